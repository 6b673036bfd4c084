"""What becomes of readings when InfluxDB refuses, is away or wants to be left alone.

On the real server where it can be brought to do so; else on a small HTTP server that answers with
the code in question, in the words of the real one.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.acceptance.estate_day import EstateDay
from tests.servers.child import Missing, free_port
from tests.servers.influx import Bucket, Influx, find_influx
from tests.servers.needed import unavailable

from dutyroom.backends.readings_influx import InfluxReadingStore
from dutyroom.errors import Rejected, Unavailable
from dutyroom.flows import loops
from dutyroom.model.telemetry import DeviceClass, Kind, Message, Point, PointSpec, PointTable, Readings
from dutyroom.profiles.decode import load_library
from dutyroom.timebase import zone

ROOT = Path(__file__).parents[2]
T = 1_790_000_000_000
SPECS = [
    PointSpec("volume", "volume", "m3", Kind.COUNTER, Decimal("0.001")),
    PointSpec("flow", "flow", "m3/h"),
    PointSpec("status", "number", "", Kind.TEXT),
]
POINTS = [
    Point(number, "estate", "meter", DeviceClass.WATER_METER, "A", spec)
    for number, spec in enumerate(SPECS, 1)
]
TABLE = PointTable(POINTS)
VOLUME, FLOW, _ = POINTS


def put(store: InfluxReadingStore, *rows: tuple[int, int, float], table: PointTable = TABLE) -> None:
    store.write(Readings.of([(point, at, value, 0, 0) for point, at, value in rows]), table)


def values(store: InfluxReadingStore, point: Point) -> list[float]:
    return list(store.range(point, T - 1, T + 10_000_000).value.tolist())


# ------------------------------------------------------------ the real server

real = pytest.mark.servers
Opener = Callable[..., InfluxReadingStore]


@pytest.fixture
def opener(influx: Bucket) -> Iterator[Opener]:
    opened: list[InfluxReadingStore] = []

    def open_store(**other: str) -> InfluxReadingStore:
        given = {"url": influx.url, "token": influx.token, "org": influx.org, "bucket": influx.name} | other
        opened.append(InfluxReadingStore(site="estate", **given))
        return opened[-1]

    yield open_store
    for store in opened:
        store.close()


@real
@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"token": "guessed"}, "the token is not accepted"),
        ({"token": ""}, "the token is not accepted"),
        ({"bucket": "elsewhere"}, "the bucket 'elsewhere' is not there"),
    ],
)
def test_what_is_set_wrongly_is_said_and_nothing_is_lost(
    opener: Opener, wrong: dict[str, str], says: str
) -> None:
    store = opener(**wrong)
    with pytest.raises(Unavailable, match=says) as caught:
        put(store, (1, T, 5.0))
    assert "guessed" not in str(caught.value)
    with pytest.raises(Unavailable, match="InfluxDB at http"):
        store.latest(POINTS)
    put(opener(), (1, T, 5.0))  # with the right ones the same readings go in


@real
def test_an_organisation_that_is_not_there_is_said_at_the_first_write(opener: Opener) -> None:
    with pytest.raises(Unavailable, match="'nobody' is not there"):
        put(opener(org="nobody"), (1, T, 5.0))


@real
def test_a_field_of_another_type_blocks_no_other_reading(opener: Opener) -> None:
    """Somebody wrote `flow` as a text: those readings are named, all others of the block are stored."""
    text = Point(
        2, "estate", "meter", DeviceClass.WATER_METER, "A", PointSpec("flow", "number", "", Kind.TEXT)
    )
    readings = Readings.of([(2, T - 5000, 0.0, 0, 0)])
    readings.text[0] = "much"  # type: ignore[index]
    opener().write(readings, PointTable([text]))
    store = opener()
    rows = [(1 + (i % 2), T + i, float(i)) for i in range(200)]
    with pytest.raises(Rejected, match="refused 100 of 200 readings") as caught:
        put(store, *rows)
    assert set(caught.value.items) == {i for i in range(200) if i % 2}
    assert "already exists as type string" in next(iter(caught.value.items.values()))
    assert values(store, VOLUME) == [float(i) for i in range(0, 200, 2)]


@real
def test_a_register_that_the_server_has_as_a_float_goes_in_as_a_float(opener: Opener) -> None:
    gauge = Point(1, "estate", "meter", DeviceClass.WATER_METER, "A", PointSpec("volume"))
    put(opener(), (1, T, 0.5), table=PointTable([gauge]))
    store = opener()
    put(store, (1, T + 1, 7.0), (2, T + 1, 1.5))
    put(store, (1, T + 2, 8.0))
    assert values(store, VOLUME) == [0.5, 7.0, 8.0]
    assert values(store, FLOW) == [1.5]


@real
def test_a_time_that_the_server_cannot_hold_blocks_no_other_reading(opener: Opener) -> None:
    store = opener()
    with pytest.raises(Rejected, match="refused 1 of 3 readings"):
        put(store, (1, T, 1.0), (1, 9_300_000_000_000, 2.0), (2, T + 1, 3.0))
    assert values(store, VOLUME) == [1.0]
    assert values(store, FLOW) == [3.0]


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Influx]:
    """A server that the test may end."""
    try:
        server = find_influx(tmp_path / "influx")
    except Missing as err:
        unavailable("influxdb", err)
    if server.child is None:
        server.stop()
        pytest.skip("the InfluxDB in use was not started by the tests: it is not for us to end")
    yield server
    server.stop()


@real
def test_a_server_that_goes_and_comes_back(own_server: Influx) -> None:
    """There, away while running, there again."""
    assert own_server.child is not None
    store = InfluxReadingStore(
        own_server.url, own_server.token, own_server.org, "first", "estate", timeout_s=3
    )
    put(store, (1, T, 1.0))
    own_server.child.stop()
    for attempt in (lambda: put(store, (1, T + 1, 2.0)), lambda: store.latest(POINTS)):
        with pytest.raises(
            Unavailable, match=r"InfluxDB at http://127\.0\.0\.1:\d+ does not answer: "
        ) as caught:
            attempt()
        assert "object at 0x" not in str(caught.value)
    own_server.child.start(lambda: _answers(store), 60)
    put(store, (1, T + 1, 2.0))
    assert values(store, VOLUME) == [1.0, 2.0]
    store.close()


class Outage(EstateDay):
    """The simulated estate with its readings in InfluxDB; messages come also while it is away."""

    def __init__(self, store: InfluxReadingStore, folder: Path) -> None:
        self._influx, self.waiting = store, 0
        library = load_library(ROOT / "device_profiles", zone("Asia/Shanghai"))
        super().__init__(folder, library, 1_793_491_200_000, units=4)

    def _start_flows(self) -> None:
        self.store = self._influx  # type: ignore[assignment]
        super()._start_flows()

    def _turn(self, at: int) -> None:
        self.clock.at = at
        self.ingest.handle([Message(p.topic, p.payload, p.at) for p in self.world.step(at)])
        try:
            self.keep.drain()
        except Unavailable:
            self.waiting += 1


@real
def test_what_comes_during_an_outage_is_stored_after_it(own_server: Influx, tmp_path: Path) -> None:
    """No reading is lost or counted twice, and nothing but the storing waits."""
    assert own_server.child is not None
    store = InfluxReadingStore(
        own_server.url, own_server.token, own_server.org, "first", "lakeside", timeout_s=3
    )
    estate = Outage(store, tmp_path)
    start = estate.clock.at
    estate.until(start + 120_000)
    own_server.child.kill()
    estate.until(start + 240_000)
    assert estate.waiting == 24  # every turn of the outage
    ledger = estate.ledger()
    pending = ledger["readings"] - ledger["stored"] - ledger["duplicate"] - ledger["conflict"]
    assert pending > 1000
    own_server.child.start(lambda: _answers(store), 60)
    estate.until(start + 360_000)
    assert estate.waiting == 24
    ledger = estate.ledger()
    assert ledger["readings"] == ledger["stored"] + ledger["duplicate"]
    memory = EstateDay(
        tmp_path / "same", load_library(ROOT / "device_profiles", zone("Asia/Shanghai")), start, units=4
    )
    memory.until(start + 360_000)
    points = list(estate.table)
    there = {(p.device, p.spec.name): store.range(p, 0, 2**62).value.tolist() for p in points}
    wanted = {(p.device, p.spec.name): memory.store.range(p, 0, 2**62).value.tolist() for p in memory.table}
    assert there == wanted
    for day in (estate, memory):
        day.close()
    store.close()


def _answers(store: InfluxReadingStore) -> bool:
    try:
        store.latest(POINTS)
    except Unavailable:
        return False
    return True


def test_nobody_there_at_the_start_is_said() -> None:
    store = InfluxReadingStore(f"http://127.0.0.1:{free_port()}", "t", "o", "b", "estate")
    with pytest.raises(Unavailable, match=r"does not answer: .*refused"):
        store.latest(POINTS)
    store.close()


# ------------------------------------------------------------ answers by code


class Fake(ThreadingHTTPServer):
    """answers: what it says to the next writes, (status, headers, message); then 204."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.answers: list[tuple[int, dict[str, str], str]] = []
        self.refuses: Callable[[list[str]], tuple[int, str] | None] = lambda _lines: None
        self.queried: bytes | None = None  # what queries are answered with; None = nothing stored
        self.writes = 0
        self.stored: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answers(BaseHTTPRequestHandler):
    server: Fake

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path.startswith("/query"):
            count = body.count("SELECT")
            empty = json.dumps({"results": [{"statement_id": n} for n in range(count)]}).encode()
            self.reply(200, {}, empty if self.server.queried is None else self.server.queried)
            return
        self.server.writes += 1
        lines = body.splitlines()
        if self.server.answers:
            status, headers, message = self.server.answers.pop(0)
            self.reply(status, headers, json.dumps({"code": "x", "message": message}).encode())
        elif refused := self.server.refuses(lines):
            self.reply(refused[0], {}, json.dumps({"code": "x", "message": refused[1]}).encode())
        else:
            self.server.stored += lines
            self.reply(204, {}, b"")

    def reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def fake() -> Iterator[Fake]:
    with Fake() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def clock() -> SimpleNamespace:
    return SimpleNamespace(seconds=100.0)


@pytest.fixture
def store(fake: Fake, clock: SimpleNamespace) -> Iterator[InfluxReadingStore]:
    made = InfluxReadingStore(fake.url, "t", "org", "bucket", "estate", monotonic=lambda: clock.seconds)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (401, "the token is not accepted: why"),
        (403, "the token may not use the bucket 'bucket': why"),
        (404, "the bucket 'bucket' or the organisation 'org' is not there: why"),
        (429, "too many requests: why"),
        (500, "answer 500: why"),
        (502, "answer 502: why"),
        (503, "answer 503: why"),
    ],
)
def test_what_time_or_an_operator_mends_is_tried_again(
    store: InfluxReadingStore, fake: Fake, status: int, says: str
) -> None:
    fake.answers = [(status, {}, "why")]
    with pytest.raises(Unavailable) as caught:
        put(store, (1, T, 5.0))
    assert str(caught.value) == f"InfluxDB at {fake.url}: {says}"
    put(store, (1, T, 5.0))
    assert len(fake.stored) == 1
    assert fake.writes == 2  # nobody below us tries on his own


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_asks_to_wait_is_left_alone(
    store: InfluxReadingStore, fake: Fake, clock: SimpleNamespace, status: int
) -> None:
    fake.answers = [(status, {"Retry-After": "7"}, "busy")]
    with pytest.raises(Unavailable, match=r"busy \(it asks to wait 7 s\)"):
        put(store, (1, T, 5.0))
    clock.seconds += 6.9
    for attempt in (lambda: put(store, (1, T, 5.0)), lambda: store.latest(POINTS)):
        with pytest.raises(Unavailable, match=r"it asks to wait 7 s"):
            attempt()
    assert fake.writes == 1
    clock.seconds += 0.2
    put(store, (1, T, 5.0))
    assert fake.writes == 2


@pytest.mark.parametrize(("asked", "seconds"), [("100000", 60.0), ("soon", 0.0), ("-5", 0.0)])
def test_a_wait_is_never_longer_than_a_minute(
    store: InfluxReadingStore, fake: Fake, clock: SimpleNamespace, asked: str, seconds: float
) -> None:
    fake.answers = [(429, {"Retry-After": asked}, "busy")]
    with pytest.raises(Unavailable):
        put(store, (1, T, 5.0))
    clock.seconds += seconds
    put(store, (1, T, 5.0))
    assert len(fake.stored) == 1


@pytest.mark.parametrize("status", [400, 422])
def test_a_line_that_is_refused_blocks_no_other(store: InfluxReadingStore, fake: Fake, status: int) -> None:
    """The message names no field: the block is halved until the line stands alone."""
    fake.refuses = lambda lines: (
        (status, "bad line") if any(" flow=666.0" in line for line in lines) else None
    )
    rows = [(2, T + i, 666.0 if i in (3, 77) else float(i)) for i in range(100)]
    with pytest.raises(Rejected, match="refused 2 of 100 readings: bad line") as caught:
        put(store, *rows)
    assert caught.value.items == {3: "bad line", 77: "bad line"}
    assert len(fake.stored) == 98
    assert fake.writes < 40


def test_a_block_that_is_too_large_is_halved(store: InfluxReadingStore, fake: Fake) -> None:
    fake.refuses = lambda lines: (413, "too large") if len(lines) > 30 else None
    put(store, *[(2, T + i, float(i)) for i in range(100)])
    assert len(fake.stored) == 100


def test_a_single_line_that_is_too_large_is_refused(store: InfluxReadingStore, fake: Fake) -> None:
    fake.refuses = lambda lines: (413, "too large") if any(" flow=1.0" in line for line in lines) else None
    with pytest.raises(Rejected, match="refused 1 of 3 readings: too large"):
        put(store, (2, T, 0.0), (2, T + 1, 1.0), (2, T + 2, 2.0))
    assert len(fake.stored) == 2


def test_an_outage_in_the_middle_of_sorting_out_is_an_outage(store: InfluxReadingStore, fake: Fake) -> None:
    """Nothing is called refused that was not tried; the same again stores all of it."""
    fake.answers = [(400, {}, "bad line"), (503, {}, "away")]
    rows = [(2, T + i, float(i)) for i in range(10)]
    with pytest.raises(Unavailable, match="away"):
        put(store, *rows)
    put(store, *rows)
    assert len(set(fake.stored)) == 10


@pytest.mark.parametrize("body", [b"<html>a proxy</html>", b"{}", b"[]", b'{"results": null}'])
def test_what_is_no_influxdb_is_said(store: InfluxReadingStore, fake: Fake, body: bytes) -> None:
    fake.queried = body
    with pytest.raises(Unavailable, match="answers what is no InfluxDB's answer"):
        store.latest(POINTS)


def test_a_server_that_hangs_is_given_up(clock: SimpleNamespace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        store = InfluxReadingStore(f"http://127.0.0.1:{port}", "t", "o", "b", "estate", timeout_s=0.3)
        with pytest.raises(Unavailable, match=r"does not answer: .*timed out"):
            store.latest(POINTS)
        store.close()


def test_a_loop_waits_longer_and_longer_and_then_goes_on(fake: Fake, store: InfluxReadingStore) -> None:
    """The pauses of the loop that stores readings while the server is away."""
    waits: list[Any] = []
    away = [(503, {}, "away")] * 7
    fake.answers = list(away)

    def work() -> float:
        put(store, (1, T, 5.0))
        loop.stop.set()
        return 0.0

    loop = loops.Loop("keep", work)
    loop.woken = SimpleNamespace(wait=waits.append, clear=lambda: None, set=lambda: None)  # type: ignore[assignment]
    loop._run()
    assert waits == [0.2, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0]
    assert loop.trouble == ""
    assert len(fake.stored) == 1
