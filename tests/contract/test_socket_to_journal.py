"""From the bytes of a socket to what is committed: by columns, all at once, as by paho and each message by its own.

Lines are cut and put up again, the journal refuses now and then, a broker marks what it sends again, rightly or not.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import paho.mqtt.client as paho
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.contract.mqtt_streams import Pieces, packet, publish
from tests.flows.test_bulk import Side, T, same

from dutyroom.backends.batch_bytes import pack, unpack
from dutyroom.backends.mqtt import bulk
from dutyroom.backends.mqtt.bulk import BulkClient
from dutyroom.backends.mqtt.client import StockClient
from dutyroom.backends.mqtt.waiting import Waiting
from dutyroom.errors import Unavailable
from dutyroom.flows.loops import IngestWork
from dutyroom.interfaces import Parcel
from dutyroom.model.telemetry import Batch


@pytest.fixture(autouse=True, scope="module")
def _no_network() -> object:
    patch = pytest.MonkeyPatch()
    for name in ("_PACE_S", "_MUCH_PACE_S", "_FLOOD_PACE_S"):
        patch.setattr(bulk, name, 0.0)
    patch.setattr(paho.Client, "reconnect", _reset)
    yield
    patch.undo()


def _reset(client: Any) -> int:
    """What paho forgets when it connects anew."""
    client._in_packet = {
        "command": 0, "have_remaining": 0, "remaining_count": [], "remaining_mult": 1, "remaining_length": 0,
        "packet": bytearray(b""), "to_process": 0, "pos": 0,
    }  # fmt: skip
    client._out_packet.clear()
    return 0


@dataclass(frozen=True)
class Line:
    """A connection: what comes by it in pieces, when, and how many messages are taken at once."""

    stream: bytes
    cuts: tuple[int, ...]
    after_ms: int
    limit: int


@dataclass
class Way:
    """A reader and a way to take. refuses: which commits the journal refuses."""

    kind: type[StockClient]
    side: Side
    refuses: frozenset[int]
    five: bool
    now_ms: int = T
    commits: int = 0
    waiting: Waiting = field(default_factory=lambda: Waiting(None, 10**9, 10**12))

    def __post_init__(self) -> None:
        self.client: Any = self.kind("probe", self.five, self.waiting, self, "here")

        def append(*batches: Batch) -> int:
            self.commits += 1
            if self.commits in self.refuses:
                raise Unavailable("disk full")
            # Of a packet id the journal keeps two bytes, without what says QoS 2.
            self.side.batches += [unpack(b.lane, b.received_at, pack(b)) for b in batches]
            return len(self.side.batches)

        self.side.append = append  # type: ignore[method-assign]
        self.work = IngestWork(self, self.side.ingest, lambda: None)

    def now(self) -> int:
        return self.now_ms

    def take(self, timeout_s: float, limit: int) -> Parcel:
        with self.waiting.changed:
            return self.waiting.pop(limit)

    def acknowledge(self, tokens: object) -> None:
        return None

    def comes(self, line: Line) -> None:
        self.now_ms += line.after_ms
        self.client.reconnect()
        ends = sorted({min(cut, len(line.stream)) for cut in line.cuts} | {0, len(line.stream)})
        self.client._sock = sock = Pieces([line.stream[a:b] for a, b in pairwise(ends)])
        with contextlib.suppress(Exception):  # a broken stream ends it
            while self.client._sock is sock:
                self.client.loop_read()
        self.client._sock = None
        self.work._limit = line.limit
        while self.waiting.count or any(self.work._held.values()):
            with contextlib.suppress(Unavailable):
                self.work()


TOPICS = [*(f"meters/m{n}/up".encode() for n in range(7)), b"probes/p0", b"probes/p1", b"x/1", b"\xff/2"]


def said(number: int, level: float, odd: object) -> bytes:
    body = {
        "ts": T + number * 1000, "m3": level, "level": level, "power": {"total": 1000 + number % 5}, "flow": odd,
        "t": 605, "valve": "open", "code": 3,
    }  # fmt: skip
    return json.dumps(body).encode()


payloads = st.one_of(
    st.builds(
        said, st.integers(0, 9), st.sampled_from([1.0, 1.5, 2.0]), st.sampled_from([5, 5, 5, 5, -9, None])
    ),
    st.sampled_from([b"", b"{", b"null", b'{"cbm": 1}', b"\xff\xfe", said(3, 1.25, 5)[:-1]]),
)
published = st.tuples(
    st.sampled_from(TOPICS),
    payloads,
    st.sampled_from([0, 1, 1, 1, 1, 2]),
    st.integers(1, 4),  # packet id, used again and again
    st.sampled_from([False, False, False, True]),  # retained
    st.sampled_from([False, False, True]),  # marked as sent again
    st.booleans(),  # QoS 2: it is released; MQTT 5: named by its alias alone
)
properties = st.sampled_from([b"", b"", b"", b"\x01\0", b"\x02\0\0\0\x3c", b"\x23\0\1", b"\x23\0\2"])


def bytes_of(rows: list[tuple[tuple[Any, ...], bytes]], five: bool, many: int) -> bytes:
    found = []
    for (topic, payload, qos, mid, retain, dup, rel), more in rows:
        aliased = five and more[:1] == b"\x23" and rel  # by its number alone
        named, marks = (b"" if aliased else topic), {"retain": retain, "dup": dup}
        found.append(publish(named, payload, qos, mid, **marks, properties=more if five else None))
        if qos == 2 and rel:
            found.append(packet(0x62, mid.to_bytes(2, "big")))
        if many and not retain and not dup:  # as a make of devices uploads: laid out alike, all at once
            alike = [
                publish(
                    b"meters/m%d/up" % (n % 7),
                    said(n % 10, 1.5, 5),
                    1,
                    1 + n % 9,
                    properties=b"" if five else None,
                )
                for n in range(many)
            ]
            found += alike
            many = 0
    return b"".join(found)


lines = st.lists(
    st.tuples(
        st.lists(st.tuples(published, properties), min_size=1, max_size=10),
        st.sampled_from([0, 0, 20, 70]),
        st.lists(st.integers(0, 4000), max_size=4),
        st.sampled_from([0, 1, 5, 1000]),
        st.sampled_from([1, 3, 8192, 8192]),
    ),
    min_size=1,
    max_size=4,
)


ALONE, SAID = b"", said(3, 1.5, 5)
# Marks in the first batch of all: of what the same batch had under another packet id, and once more after it.
MARKED_AT_FIRST = [
    ((b"meters/m0/up", b"null", 0, 2, False, False, False), b"\x01\0"),
    ((b"meters/m3/up", SAID, 1, 2, False, True, True), b"\x02\0\0\0\x3c"),
]
MARKED_EARLIER = [
    ((b"meters/m3/up", SAID, 1, 1, False, True, False), ALONE),
    ((b"meters/m3/up", SAID, 1, 2, False, True, False), ALONE),
    ((b"meters/m3/up", SAID, 1, 2, False, True, False), ALONE),
]


@given(lines, st.frozensets(st.integers(1, 6), max_size=3), st.booleans())
@example([(MARKED_AT_FIRST, 20, [], 0, 8192)], frozenset(), True)
@example([(MARKED_EARLIER, 0, [], 0, 8192)], frozenset(), True)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_committed_is_the_same(drawn: list[Any], refuses: frozenset[int], five: bool) -> None:
    quick, slow = (
        Way(BulkClient, Side(True), refuses, five),
        Way(StockClient, Side(False), refuses, five),
    )
    for rows, many, cuts, after_ms, limit in drawn:
        line = Line(bytes_of(rows, five, many), tuple(cuts), after_ms, limit)
        for way in (quick, slow):
            way.comes(line)
    same(quick.side, slow.side)
    assert quick.side.batches or not slow.side.batches
