"""What becomes of readings when InfluxDB refuses, is away or wants to be left alone.

On the real server where it can be brought to do so; else on a small HTTP server that answers with
the code in question, in the words of the real one.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.domain.bucket_retention_rules import BucketRetentionRules
from influxdb_client.domain.permission import Permission
from influxdb_client.domain.permission_resource import PermissionResource
from tests.servers.child import free_port
from tests.servers.fake_influx import Answer, FakeInflux, fake_influx
from tests.servers.influx import Bucket

from dutyroom.backends import influx_write
from dutyroom.backends.influx_door import Door
from dutyroom.backends.influx_link import InfluxLink, TooSlow
from dutyroom.backends.readings_influx import InfluxReadingStore
from dutyroom.errors import Rejected, Unavailable
from dutyroom.flows import loops
from dutyroom.model.telemetry import DeviceClass, Kind, Point, PointSpec, PointTable, Readings
from dutyroom.timebase import DAY, HOUR

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


def stranger(influx: Bucket, *fields: str) -> None:
    """Somebody else writes texts into fields of these names."""
    with InfluxDBClient(url=influx.url, token=influx.token, org=influx.org) as client:
        line = "water_meter,device=meter,site=estate " + ",".join(f'{field}="much"' for field in fields)
        client.write_api(SYNCHRONOUS).write(influx.name, record=f"{line} {T - 5000}", write_precision="ms")


@real
def test_a_field_of_another_type_keeps_its_name_and_ours_takes_another(
    influx: Bucket, opener: Opener
) -> None:
    """Somebody wrote `flow` as a text: our numbers stand beside it, and are found again after a restart."""
    stranger(influx, "flow")
    rows = [(1 + (i % 2), T + i, float(i)) for i in range(200)]
    store = opener()
    put(store, *rows)
    put(store, (2, T + 200, 200.5))
    for each in (store, opener()):
        assert values(each, VOLUME) == [float(i) for i in range(0, 200, 2)]
        assert values(each, FLOW) == [*(float(i) for i in range(1, 200, 2)), 200.5]
        assert each.latest([FLOW])[2].value == 200.5
        assert each.at([FLOW], T + 100, 1000)[2].value == 99.0
        assert each.buckets(FLOW, T, T + 1000, 1000) == [(T, 1.0, pytest.approx(100.995), 200.5, 200.5)]


@real
@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_makes_of_meters_that_disagree_on_a_point_are_all_stored(
    opener: Opener, order: tuple[int, ...], together: bool
) -> None:
    """`volume` is a counter of one make, a gauge without a step of another, a text of a third."""
    counter = PointSpec("volume", "volume", "m3", Kind.COUNTER, Decimal("0.01"))
    specs = [counter, PointSpec("volume"), PointSpec("volume", "number", "", Kind.TEXT)]
    points = [Point(n, "estate", f"make {n}", DeviceClass.WATER_METER, "A", specs[n]) for n in range(3)]
    chosen = [points[n] for n in order]
    for group in [chosen] if together else [[point] for point in chosen]:
        rows = [
            (p.id, T + i, 0.0 if p.id == 2 else 5.0 + p.id * 0.5 * (p.id == 1) + i, 0, 0)
            for p in group
            for i in range(3)
        ]
        readings = Readings.of(rows)
        for row, (point, *_) in enumerate(rows):
            if point == 2:
                readings.text[row] = "dry"  # type: ignore[index]
        opener().write(readings, PointTable(group))  # a process of its own each time
    store = opener()
    assert [values(store, p) for p in points] == [[5, 6, 7], [5.5, 6.5, 7.5], [0, 0, 0]]
    assert {p: r.value for p, r in store.latest(points).items()} == {0: 7, 1: 7.5, 2: 0}


@real
def test_what_cannot_be_named_otherwise_is_refused_and_blocks_no_other(
    influx: Bucket, opener: Opener
) -> None:
    """Both names of `flow` are taken by texts: those readings are named, all others of the block are stored."""
    stranger(influx, "flow", "flow_float")
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


def limited(influx: Bucket, *actions: str) -> str:
    """A token that may do only this to the bucket."""
    with InfluxDBClient(url=influx.url, token=influx.token, org=influx.org) as client:
        org = client.organizations_api().find_organizations(org=influx.org)[0].id
        bucket = client.buckets_api().find_bucket_by_name(influx.name)
        resource = PermissionResource(type="buckets", id=bucket.id, org_id=org)
        rights = [Permission(action=action, resource=resource) for action in actions]
        made = client.authorizations_api().create_authorization(org_id=org, permissions=rights)
        return str(made.token)


@real
def test_a_token_that_may_only_read_is_said_and_nothing_is_lost(influx: Bucket, opener: Opener) -> None:
    store = opener(token=limited(influx, "read"))
    assert store.latest(POINTS) == {}
    with pytest.raises(Unavailable, match=rf"the token may not use the bucket '{influx.name}': insufficient"):
        put(store, (1, T, 5.0))


@real
def test_a_token_that_was_renewed_in_its_file_is_taken_without_a_restart(
    influx: Bucket, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("one that was deleted\n")
    store = InfluxReadingStore(
        influx.url, lambda: file.read_text().strip(), influx.org, influx.name, "estate"
    )
    with pytest.raises(Unavailable, match="the token is not accepted"):
        put(store, (1, T, 5.0))
    file.write_text(f"{influx.token}\n")
    with pytest.raises(Unavailable, match="the token is not accepted"):
        put(store, (1, T, 5.0))  # by this answer it learns of it
    put(store, (1, T, 5.0))
    assert store.latest(POINTS)[1].value == 5.0
    store.close()


@pytest.fixture
def shorter(influx: Bucket) -> Iterator[tuple[Bucket, str, str]]:
    """A bucket that keeps two days, one that keeps thirty, one that keeps all."""
    with InfluxDBClient(url=influx.url, token=influx.token, org=influx.org) as client:
        api = client.buckets_api()
        made = [
            api.create_bucket(
                bucket_name=f"{influx.name}-{days}",
                org=influx.org,
                retention_rules=[BucketRetentionRules(type="expire", every_seconds=days * 86400)]
                if days
                else None,
            )
            for days in (2, 30, 0)
        ]
        yield Bucket(influx.url, influx.token, influx.org, made[0].name), made[1].name, made[2].name
        for bucket in made:
            api.delete_bucket(bucket)


@real
def test_what_comes_later_than_a_bucket_keeps_goes_whole_into_the_next(
    shorter: tuple[Bucket, str, str],
) -> None:
    """A gateway that was away for weeks, and one that was away for months."""
    first, month, ever = shorter
    now = int(time.time() * 1000)
    rows = [(1 + i % 2, now - age * DAY - i, float(i)) for age in (0, 1, 5, 20, 100, 400) for i in range(20)]
    store = InfluxReadingStore(first.url, first.token, first.org, first.name, "estate", coarser=(month, ever))
    put(store, *rows)
    put(store, *rows)  # again, when the bounds are known
    for point in (VOLUME, FLOW):
        wanted = sorted((at, value) for number, at, value in rows if number == point.id)
        series = store.range(point, 0, now + 1)
        assert list(zip(series.at.tolist(), series.value.tolist(), strict=True)) == wanted
        assert store.range(point, 0, now + 1, limit=25).at.tolist() == [at for at, _ in wanted[-25:]]
        days = store.buckets(point, now - 500 * DAY, now + DAY, DAY)
        assert sum(high for _, _, _, high, _ in days) >= 18 * 6
        assert store.at([point], now - 100 * DAY, DAY)[point.id].at == wanted[19][0]
    store.close()


@real
def test_what_expires_within_the_day_is_in_the_next_bucket_too(shorter: tuple[Bucket, str, str]) -> None:
    """The task that would take it over runs once a day: it might come too late."""
    first, month, ever = shorter
    now = int(time.time() * 1000)
    rows = [(2, now - hours * HOUR, float(hours)) for hours in (1, 20, 30, 47, 29 * 24 + 12)]
    store = InfluxReadingStore(first.url, first.token, first.org, first.name, "estate", coarser=(month, ever))
    put(store, *rows)
    for bucket, wanted in ((first.name, [47, 30, 20, 1]), (month, [708, 47, 30]), (ever, [708])):
        single = InfluxReadingStore(first.url, first.token, first.org, bucket, "estate")
        assert single.range(FLOW, 0, now + 1).value.tolist() == wanted
        single.close()
    assert store.range(FLOW, 0, now + 1).value.tolist() == [708, 47, 30, 20, 1]
    store.close()


@real
def test_what_comes_later_than_all_buckets_keep_is_refused_by_name(shorter: tuple[Bucket, str, str]) -> None:
    first, _, _ = shorter
    now = int(time.time() * 1000)
    store = InfluxReadingStore(first.url, first.token, first.org, first.name, "estate")
    rows = [(2, now - i * DAY, float(i)) for i in range(100)]
    for _ in range(2):
        with pytest.raises(
            Rejected, match=r"refused 98 of 100 readings: .*outside retention policy"
        ) as caught:
            put(store, *rows)
        assert set(caught.value.items) == set(range(2, 100))
    assert store.range(FLOW, 0, now + 1).value.tolist() == [1.0, 0.0]
    store.close()


@real
def test_a_coarser_bucket_that_is_not_there_stops_nothing(shorter: tuple[Bucket, str, str]) -> None:
    first, _, _ = shorter
    now = int(time.time() * 1000)
    store = InfluxReadingStore(first.url, first.token, first.org, first.name, "estate", coarser=("nowhere",))
    with pytest.raises(Rejected, match=r"refused 1 of 2 readings: older than .* keeps, and .*'nowhere'"):
        put(store, (2, now, 1.0), (2, now - 50 * DAY, 2.0))
    assert store.range(FLOW, 0, now + 1).value.tolist() == [1.0]
    assert store.latest(POINTS)[2].value == 1.0
    assert [row[4] for row in store.buckets(FLOW, now - 10 * DAY, now + 1, DAY)] == [1.0]
    store.close()


def test_nobody_there_at_the_start_is_said() -> None:
    store = InfluxReadingStore(f"http://127.0.0.1:{free_port()}", "t", "o", "b", "estate")
    with pytest.raises(Unavailable, match=r"does not answer: .*refused"):
        store.latest(POINTS)
    store.close()


# ------------------------------------------------------------ answers by code


@pytest.fixture
def fake() -> Iterator[FakeInflux]:
    with fake_influx() as server:
        yield server


@pytest.fixture
def clock() -> SimpleNamespace:
    return SimpleNamespace(seconds=100.0)


@pytest.fixture
def store(fake: FakeInflux, clock: SimpleNamespace) -> Iterator[InfluxReadingStore]:
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
    store: InfluxReadingStore, fake: FakeInflux, status: int, says: str
) -> None:
    fake.answers = [Answer(status, {}, "why")]
    with pytest.raises(Unavailable) as caught:
        put(store, (1, T, 5.0))
    assert str(caught.value) == f"InfluxDB at {fake.url}: {says}"
    put(store, (1, T, 5.0))
    assert len(fake.stored) == 1
    assert fake.writes == 2  # nobody below us tries on his own


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_asks_to_wait_is_left_alone(
    store: InfluxReadingStore, fake: FakeInflux, clock: SimpleNamespace, status: int
) -> None:
    fake.answers = [Answer(status, {"Retry-After": "7"}, "busy")]
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


HTTP_DATE = "Thu, 26 Nov 2026 12:00:%02d GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": HTTP_DATE % 9, "Date": HTTP_DATE % 0}, 9),
        ({"Retry-After": HTTP_DATE % 0, "Date": HTTP_DATE % 9}, 0),
        ({"Retry-After": HTTP_DATE % 9}, 5),  # without its own time: a little
        ({"Retry-After": "Fri, 27 Nov 2099 12:00:00 GMT", "Date": HTTP_DATE % 0}, 60),
        ({"Retry-After": "9" * 400}, 60),
        ({"Retry-After": "Thu, 99 Nov 2026 99:00:00 GMT"}, 0),
        ({"Retry-After": "\u0663"}, 0),
    ],
)
def test_a_wait_may_be_an_instant_of_the_servers_own_clock(
    store: InfluxReadingStore,
    fake: FakeInflux,
    clock: SimpleNamespace,
    headers: dict[str, str],
    seconds: float,
) -> None:
    headers = {name: value.encode().decode("latin-1") for name, value in headers.items()}
    fake.answers = [Answer(429, headers, "busy")]
    for wait in (seconds - 0.1, 0.1):
        with pytest.raises(Unavailable):
            put(store, (1, T, 5.0))
        if not seconds:
            break
        clock.seconds += wait
    put(store, (1, T, 5.0))
    assert fake.writes == 2


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, body=b"<html>Welcome to the proxy</html>"),
        Answer(200, body=b""),
        Answer(202, body=b"{}"),
        Answer(400, body=b"<html>bad request</html>"),
        Answer(400, body=b'{"message":"Bad request"}'),
        Answer(422, body=b'{"message":["a"],"request_id":"1"}'),
        Answer(422, body=b""),
        Answer(302, {"Location": "http://127.0.0.1:9/"}, body=b""),
        Answer(405, body=b""),
        Answer(500, message="x", cut=3),
        Answer(503, cut=-1),
        Answer(204, body=b"", cut=-1),
    ],
    ids=lambda answer: f"{answer.status}-{answer.cut}-{(answer.body or b'-')[:14].decode()}",
)
def test_only_influxdbs_own_yes_is_a_yes_and_its_own_no_a_no(
    store: InfluxReadingStore, fake: FakeInflux, answer: Answer
) -> None:
    """A proxy, a half answer, a connection that ends: nothing is taken as stored, nothing as refused."""
    fake.answers = [answer]
    with pytest.raises(Unavailable, match=r"InfluxDB at http://127\.0\.0\.1:\d+"):
        put(store, (1, T, 5.0))
    put(store, (1, T, 5.0))
    assert len(fake.stored) == 1


@pytest.mark.parametrize(
    "body", [b'{"results": [{"statement_id": 0', b'{"results": []}', b'{"results": [1]}', b"\xff\xfe"]
)
def test_half_an_answer_to_a_question_is_none(
    store: InfluxReadingStore, fake: FakeInflux, body: bytes
) -> None:
    fake.queried = body
    with pytest.raises(Unavailable):
        store.latest(POINTS)
    fake.queried = Answer(200, body=b'{"results": [{"statement_id": 0}]}', cut=9)
    with pytest.raises(Unavailable, match="does not answer"):
        store.latest(POINTS)


def test_a_server_that_hangs_in_a_write_is_given_up_and_the_same_again_is_stored(fake: FakeInflux) -> None:
    held = threading.Event()
    fake.refuses = lambda _lines: (500, "late") if not held.wait(2) else None
    store = InfluxReadingStore(fake.url, "t", "org", "bucket", "estate", timeout_s=0.3)
    with pytest.raises(Unavailable, match="timed out"):
        put(store, (1, T, 5.0))
    held.set()
    put(store, (1, T, 5.0))
    assert len(set(fake.stored)) == 1
    store.close()


def test_a_server_that_is_too_slow_for_a_block_gets_less_of_it(fake: FakeInflux) -> None:
    """The same again would take as long, and nothing would ever be stored."""
    sizes: list[int] = []

    def slow(lines: list[str]) -> None:
        sizes.append(len(lines))
        time.sleep(0.6 if len(lines) > 200 else 0)

    fake.refuses = slow
    store = InfluxReadingStore(fake.url, "t", "org", "bucket", "estate", timeout_s=0.3)
    rows = [(2, T + i, float(i)) for i in range(1_000)]
    tries = 0
    while len(set(fake.stored)) < len(rows):
        tries += 1
        assert tries < 40
        with contextlib.suppress(Unavailable):
            put(store, *rows)
    fake.refuses = lambda lines: sizes.append(len(lines))
    for _ in range(9):
        put(store, *rows)
    assert sizes[-1] == 1_000  # as before, once it is quick again
    store.close()


def test_a_line_that_is_too_slow_for_a_block_is_told_from_one_that_is_cut() -> None:
    """What it does not take in time is a smaller block's affair, too; what it resets is not."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link = InfluxLink(Door(f"http://127.0.0.1:{server.getsockname()[1]}"), "t", "org", 0.3)
        with pytest.raises(TooSlow, match="does not answer"):
            link.write("bucket", b"x" * (32 << 20))
    with pytest.raises(Unavailable) as caught:
        link.write("bucket", b"x")
    assert not isinstance(caught.value, TooSlow)
    link.close()


@pytest.mark.parametrize(("asked", "seconds"), [("100000", 60.0), ("soon", 0.0), ("-5", 0.0)])
def test_a_wait_is_never_longer_than_a_minute(
    store: InfluxReadingStore, fake: FakeInflux, clock: SimpleNamespace, asked: str, seconds: float
) -> None:
    fake.answers = [Answer(429, {"Retry-After": asked}, "busy")]
    with pytest.raises(Unavailable):
        put(store, (1, T, 5.0))
    clock.seconds += seconds
    put(store, (1, T, 5.0))
    assert len(fake.stored) == 1


@pytest.mark.parametrize("status", [400, 422])
def test_a_line_that_is_refused_blocks_no_other(
    store: InfluxReadingStore, fake: FakeInflux, status: int
) -> None:
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


def test_a_large_batch_goes_in_parts_and_the_later_of_equal_ones_replaces_whole(
    store: InfluxReadingStore, fake: FakeInflux, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(influx_write, "ROWS", 4)
    store.write(Readings.of([(2, T + i % 5, float(i), 3 if i < 2 else 0, 0) for i in range(10)]), TABLE)
    assert fake.writes == 3
    assert [line.split(" ")[1] for line in fake.stored[4:]] == [
        "flow=4.0",
        "flow=5.0,flow_q=0i",
        "flow=6.0,flow_q=0i",
        "flow=7.0,flow_q=0i",
        "flow=8.0,flow_q=0i",
        "flow=9.0,flow_q=0i",
    ]


def test_a_block_that_is_too_large_is_halved(store: InfluxReadingStore, fake: FakeInflux) -> None:
    fake.refuses = lambda lines: (413, "too large") if len(lines) > 30 else None
    put(store, *[(2, T + i, float(i)) for i in range(100)])
    assert len(fake.stored) == 100


def test_a_single_line_that_is_too_large_is_refused(store: InfluxReadingStore, fake: FakeInflux) -> None:
    fake.refuses = lambda lines: (413, "too large") if any(" flow=1.0" in line for line in lines) else None
    with pytest.raises(Rejected, match="refused 1 of 3 readings: too large"):
        put(store, (2, T, 0.0), (2, T + 1, 1.0), (2, T + 2, 2.0))
    assert len(fake.stored) == 2


def test_an_outage_in_the_middle_of_sorting_out_is_an_outage(
    store: InfluxReadingStore, fake: FakeInflux
) -> None:
    """Nothing is called refused that was not tried; the same again stores all of it."""
    fake.answers = [Answer(400, {}, "bad line"), Answer(503, {}, "away")]
    rows = [(2, T + i, float(i)) for i in range(10)]
    with pytest.raises(Unavailable, match="away"):
        put(store, *rows)
    put(store, *rows)
    assert len(set(fake.stored)) == 10


@pytest.mark.parametrize("body", [b"<html>a proxy</html>", b"{}", b"[]", b'{"results": null}'])
def test_what_is_no_influxdb_is_said(store: InfluxReadingStore, fake: FakeInflux, body: bytes) -> None:
    fake.queried = body
    with pytest.raises(Unavailable, match="answers what is no InfluxDB's answer"):
        store.latest(POINTS)


def test_a_server_that_hangs_is_given_up(clock: SimpleNamespace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        store = InfluxReadingStore(f"http://127.0.0.1:{port}", "t", "o", "b", "estate", timeout_s=0.3)
        with pytest.raises(Unavailable, match=r"does not answer: .*timed out\W*$"):
            store.latest(POINTS)
        store.close()


def test_a_loop_waits_longer_and_longer_and_then_goes_on(fake: FakeInflux, store: InfluxReadingStore) -> None:
    """The pauses of the loop that stores readings while the server is away."""
    waits: list[Any] = []
    away = [Answer(503, {}, "away")] * 7
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
