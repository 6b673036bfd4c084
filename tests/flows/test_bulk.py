"""Messages in bulk give the same as each by its own."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from dutyroom.backends import ledger
from dutyroom.backends.batch_bytes import pack, unpack
from dutyroom.flows.ingest import Ingest
from dutyroom.flows.live import Live
from dutyroom.flows.registry import Registry
from dutyroom.model.duty import Device
from dutyroom.model.messages import Messages
from dutyroom.model.telemetry import Batch, DeviceClass, Message, Point, PointSpec, PointTable
from dutyroom.profiles.decode import Library
from dutyroom.profiles.loading import read_profile
from dutyroom.timebase import HOUR, MINUTE, from_iso, zone

T = from_iso("2026-11-25T03:00:00Z")


def counts_of(counted: ledger.Counted) -> dict[tuple[int, str], list[int]]:
    return {
        (hour, counted.names.listed[n]): row
        for hour, sums in counted.sums().items()
        for n, row in zip(sums.device.tolist(), sums.matrix(len(ledger.COLUMNS)).tolist(), strict=True)
    }


TIMED = """
name: A meter with a clock
class: water_meter
match: {topics: ["meters/{meter}/up"]}
identity: "{meter}"
time: {from: ts, format: epoch_ms}
points:
  volume: {from: m3, quantity: volume, kind: counter, step: 0.001, digits: 6}
  energy: {from: power.total, quantity: energy, unit: Wh, kind: counter, step: 0.01, scale: ratio}
  flow: {from: flow, quantity: flow, unit: L/h, low: -1, high: 10}
  temperature: {from: t, quantity: temperature, scale: 0.1, offset: -40}
  valve: {from: valve, kind: state, map: {open: 1, shut: 0, true: 1, false: 0}}
  code: {from: code, kind: state}
  mode: {from: mode, kind: text}
parameters: {ratio: 1}
attributes: {serial: sn, firmware: info.fw}
"""
CLOCKLESS = """
name: A probe without a clock
class: tank
match: {topics: ["probes/{probe}"]}
identity: "{probe}"
points:
  level: {from: level, quantity: level, low: 0, high: 5}
  volume: {from: m3, quantity: volume, kind: counter, step: 0.1, digits: 5}
"""
ODD: list[Any] = [
    None,
    True,
    "",
    "12.5",
    "x",
    -999,
    1e300,
    12345678,
    0.0005,
    -0.04,
    12.3456,
    [],
    {"a": 1},
    2**60,
    7.5,
]


def _device(name: str, profile: str, **more: Any) -> Device:
    return Device("s", f"d:{name}", name, "water_meter", profile, name, "", **more)


DEVICES = [
    *(_device(f"m{n}", "acme/timed") for n in range(5)),
    _device("m5", "acme/timed", parameters={"ratio": 40}),
    _device("m6", "acme/timed", digits=5),
    *(_device(f"p{n}", "acme/clockless") for n in range(4)),
]


class Side:
    """One way to take messages. bulk False: each by its own."""

    def __init__(self, bulk: bool) -> None:
        profiles = [
            read_profile(text, f"acme/{n}") for n, text in (("timed", TIMED), ("clockless", CLOCKLESS))
        ]
        self.batches: list[Batch] = []
        self.counted = ledger.Counted()  # by columns, and the same one by one
        self.counts_before = defaultdict[tuple[int, str], list[int]](lambda: [0] * len(ledger.COLUMNS))
        self.table, self.live = PointTable(), Live()
        library, registry = Library(profiles, zone("Asia/Shanghai")), Registry(DEVICES)
        self.ingest = Ingest("s", library, registry, self.table, self, _Records(), self.live)  # type: ignore[arg-type]
        if not bulk:
            self.ingest._bulk = _Never()  # type: ignore[assignment]

    def recent(self, count: int) -> list[Message]:
        return []

    def counts(self) -> dict[str, bytes]:
        return {}

    def append(self, *batches: Batch) -> int:
        for batch in batches:
            each = ledger.Counted()
            ledger.count(replace(batch, ordinary=0), each)
            for key, row in counts_of(each).items():
                self.counts_before[key] = [a + b for a, b in zip(self.counts_before[key], row, strict=True)]
            ledger.count(batch, self.counted)
            assert counts_of(self.counted) == self.counts_before
            assert unpack(batch.lane, batch.received_at, pack(batch)).messages == tuple(
                structs.replace(m, unread=()) for m in batch.messages
            )
        self.batches += batches
        return len(self.batches)

    def readings(self) -> Counter[tuple[object, ...]]:
        found: Counter[tuple[object, ...]] = Counter()
        for batch in self.batches:
            r = batch.readings
            for row, (point, at, value, quality, message) in enumerate(
                zip(
                    r.point.tolist(),
                    r.at.tolist(),
                    r.value.tolist(),
                    r.quality.tolist(),
                    r.message.tolist(),
                    strict=True,
                )
            ):
                named, record = self.table[point], batch.messages[message]
                found[
                    named.device, named.spec.name, at, value, quality, r.text.get(row), record.device,
                    record.message.payload, record.message.received_at,
                ] += 1  # fmt: skip
        return found

    def messages(self) -> Counter[tuple[object, ...]]:
        return Counter(
            (
                m.message.topic,
                m.message.payload,
                m.message.received_at,
                m.outcome,
                m.device,
                m.profile,
                m.reason,
            )
            for batch in self.batches
            for m in batch.messages
        )

    def attributes(self) -> dict[tuple[str, str], tuple[object, int]]:
        """As `Keep` has them in the end: value, and the time since which it is known to hold."""
        known: dict[tuple[str, str], tuple[object, int]] = {}
        for batch in self.batches:
            newest = {
                (a.device, a.name): (a.value, a.at) for a in sorted(batch.attributes, key=lambda a: a.at)
            }
            for key, (value, at) in newest.items():
                old = known.get(key, (None, 0))
                if value != old[0] and at >= old[1]:
                    known[key] = (value, at)
        return known

    def findings(self) -> Counter[tuple[object, ...]]:
        return Counter((f.kind, f.device, f.at, f.detail) for batch in self.batches for f in batch.findings)


class _Records:
    """Points by number, and no memory of anything else: hundreds of cases a second."""

    def __init__(self) -> None:
        self.devices, self._count = self, 0

    @contextmanager
    def write(self) -> Iterator[_Records]:
        yield self

    read = write

    def blob(self, site: str, name: str) -> None:
        return None

    def add_points(self, site: str, wanted: Iterable[tuple[Device, PointSpec]]) -> list[Point]:
        made = []
        for device, spec in wanted:
            self._count += 1
            made.append(Point(self._count, site, device.id, DeviceClass.WATER_METER, "", spec))
        return made


class _Never:
    def sort_out(self, messages: list[Message], library: Library) -> list[Message]:
        return messages

    def draw(self, drafts: object) -> list[Message]:
        return []

    def committed(self) -> None:
        return None


def plain(n: int, device: str, at: int, m3: float = 1.0, **more: Any) -> Message:
    body = {
        "ts": at, "m3": m3, "power": {"total": 1000 + n % 5}, "flow": 120 + n, "t": 605, "valve": "open", "code": 3,
        "mode": "cool", "sn": device, "info": {"fw": "1.0"},
    }  # fmt: skip
    return Message(f"meters/{device}/up", json.dumps({**body, **more}).encode(), at + 40)


def level(device: str, value: object, at: int, **more: bool) -> Message:
    return Message(f"probes/{device}", json.dumps({"level": value, "m3": 7.25}).encode(), at, **more)


@pytest.fixture
def sides() -> tuple[Side, Side]:
    return Side(True), Side(False)


def same(quick: Side, slow: Side) -> None:
    assert quick.readings() == slow.readings()
    assert quick.messages() == slow.messages()
    assert quick.findings() == slow.findings()
    assert quick.attributes() == slow.attributes()
    key = lambda v: (quick.table[v.point].device, quick.table[v.point].spec.name)  # noqa: E731
    assert {key(v): (v.at, v.value, v.text) for v in quick.live.snapshot()[1]} == {
        (slow.table[v.point].device, slow.table[v.point].spec.name): (v.at, v.value, v.text)
        for v in slow.live.snapshot()[1]
    }
    assert [quick.live.heard(d.id) for d in DEVICES] == [slow.live.heard(d.id) for d in DEVICES]


def test_ordinary_messages_go_in_bulk(sides: tuple[Side, Side], monkeypatch: pytest.MonkeyPatch) -> None:
    quick, slow = sides
    first = [plain(0, f"m{n}", T) for n in range(7)]  # makes the points
    later = [plain(k, f"m{n}", T + k * MINUTE, 2 + k / 8) for k in range(1, 9) for n in range(5)]
    for side in sides:
        side.ingest.handle(first)
    one_by_one: list[Message] = []
    monkeypatch.setattr(quick.ingest, "_one", lambda message, drafts: one_by_one.append(message))
    assert quick.ingest.handle(later) == len(later)
    assert slow.ingest.handle(later) == len(later)
    assert one_by_one == []
    same(quick, slow)


def test_new_names_of_all_fields_are_told_whichever_way_it_is_read(sides: tuple[Side, Side]) -> None:
    first = [plain(0, f"m{n}", T) for n in range(7)]
    later = [plain(1, f"m{n}", T + MINUTE) for n in range(6)]
    renamed = Message("meters/m6/up", json.dumps({"ts": T + MINUTE, "cbm": 7.5, "owner": "Li"}).encode(), T)
    for side in sides:
        side.ingest.handle(first)
        assert side.ingest.handle([*later, renamed]) == 6
    same(*sides)
    told = [f for f in sides[0].findings() if f[0] == "nothing_read"]
    assert len(told) == 1
    assert "ts, cbm, owner" in told[0]
    assert told[0][1] == "d:m6"


def test_a_device_that_is_registered_or_changed_meanwhile_is_read_by_its_new_row(
    sides: tuple[Side, Side],
) -> None:
    changed = _device("m1", "acme/timed", parameters={"ratio": 1000})
    for side in sides:
        for k in range(3):
            side.ingest.handle([plain(k, f"m{n}", T + k * MINUTE) for n in range(6)])
        side.ingest._registry.add(changed)
        side.ingest.handle([plain(9, f"m{n}", T + 9 * MINUTE) for n in range(6)])
    same(*sides)
    steps = [r[3] for r in sides[0].readings() if r[:2] == ("d:m1", "energy")]
    assert max(steps) > 900 * min(steps)


def test_what_could_not_be_committed_is_read_the_same_once_more(
    sides: tuple[Side, Side], monkeypatch: pytest.MonkeyPatch
) -> None:
    takes = [[plain(k, f"m{n}", T + k * MINUTE, mode=f"mode {k}") for n in range(5)] for k in range(4)]
    for side in sides:
        side.ingest.handle(takes[0])
        append = side.append
        for take in takes[1:]:
            monkeypatch.setattr(side, "append", lambda *batches: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                side.ingest.handle(take)
            monkeypatch.setattr(side, "append", append)
            side.ingest.handle(take)
    same(*sides)


_field = st.sampled_from(["m3", "flow", "t", "valve", "code", "mode", "sn", "ts", "power", "info", "extra"])
_message = st.one_of(
    st.builds(
        lambda device, minute, m3, odd: plain(minute, f"m{device}", T + minute * MINUTE, **{"m3": m3, **odd}),
        st.integers(0, 6),
        st.integers(-200, 60),
        st.one_of(st.floats(0, 2000), st.integers(0, 1100), st.sampled_from([0.0005, 0.0015, 999.9995])),
        st.one_of(st.just({}), st.just({}), st.dictionaries(_field, st.sampled_from(ODD), max_size=2)),
    ),
    st.builds(
        lambda device, second, value, flag: level(f"p{device}", value, T + second * 1000, **flag),
        st.integers(0, 3),
        st.integers(0, 5),
        st.one_of(st.floats(-1, 6), st.sampled_from(ODD)),
        st.sampled_from([{}, {}, {}, {"duplicate": True}, {"retained": True}]),
    ),
    st.builds(
        lambda device, body: Message(f"meters/m{device}/up", body, T + HOUR),
        st.integers(0, 9),
        st.sampled_from(
            [
                b"",
                b"{",
                b"[1]",
                b"null",
                b'{"m3": 1} x',
                b'{"m3": NaN}',
                b'{"m3": 1, "m3": 2}',
                b"\xff",
                b'{"x": "\xff"}',
            ]
        ),
    ),
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(st.lists(st.lists(_message, min_size=1, max_size=25), min_size=1, max_size=5))
def test_any_messages_in_any_order_give_the_same(takes: list[list[Message]]) -> None:
    quick, slow = Side(True), Side(False)
    for side in (quick, slow):
        side.ingest.handle([plain(0, f"m{n}", T - 300 * MINUTE) for n in range(7)])
        for take in takes:
            side.ingest.handle(Messages.of(take) if side is quick else take)
    same(quick, slow)
