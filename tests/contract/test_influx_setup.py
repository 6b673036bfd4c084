"""`dutyroom influx setup` on a real server: from the first start on, again, and what its tasks keep."""

from __future__ import annotations

import json
import stat
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import influxdb_client
import pytest
from tests.servers.child import Missing
from tests.servers.influx import Influx, new_influx
from tests.servers.needed import unavailable
from typer.testing import CliRunner

from dutyroom.backends.influx_history import InfluxHistory, to_its_end
from dutyroom.backends.influx_setup import first_user
from dutyroom.backends.influx_tasks import Plan, coarser, tasks
from dutyroom.backends.readings_influx import InfluxReadingStore
from dutyroom.cli import app
from dutyroom.errors import Rejected, Unavailable
from dutyroom.model.telemetry import DeviceClass, Kind, Point, PointSpec, PointTable, Readings
from dutyroom.settings import Settings
from dutyroom.timebase import DAY, HOUR, MINUTE
from dutyroom.wiring.influx import plan_of

real = pytest.mark.servers
client_of: Any = influxdb_client.InfluxDBClient
VOLUME = PointSpec("volume", "volume", "m3", Kind.COUNTER, Decimal("0.001"), 9)
SPECS = [VOLUME, PointSpec("flow"), PointSpec("online", kind=Kind.STATE), PointSpec("status", kind=Kind.TEXT)]
POINTS = [Point(n, "estate", f"m{n // 4}", DeviceClass.WATER_METER, "", SPECS[n % 4]) for n in range(8)]
TABLE = PointTable(POINTS)


@dataclass(frozen=True)
class Site:
    """A server, and the folder of its tokens."""

    url: str
    tokens: Path

    def setup(self, *more: str, code: int = 0) -> list[str]:
        given = ["influx", "setup", "--url", self.url, "--tokens", str(self.tokens), *more]
        done = CliRunner().invoke(app, given)
        assert done.exit_code == code, done.output
        return done.output.splitlines()

    def token(self, name: str) -> str:
        return (self.tokens / f"{name}.token").read_text()

    def store(self, name: str = "service") -> InfluxReadingStore:
        return InfluxReadingStore(
            self.url, self.token(name), "dutyroom", "dutyroom", "estate", coarser=coarser("dutyroom")
        )

    def ask(self, query: str, name: str = "grafana", db: str = "dutyroom") -> list[list[Any]]:
        body = urllib.parse.urlencode({"db": db, "epoch": "ms", "q": query}).encode()
        request = urllib.request.Request(
            f"{self.url}/query", body, {"Authorization": f"Token {self.token(name)}"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            result = json.load(answer)["results"][0]
        assert "error" not in result, result
        return [row for series in result.get("series", ()) for row in series["values"]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    try:
        started = new_influx(tmp_path_factory.mktemp("influx"))
    except Missing as err:
        unavailable("influxdb", err)
    yield started
    started.stop()


@pytest.fixture(scope="module")
def site(server: Influx, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Set up from nothing; keeps ten years at first, so that the tests can write what is old."""
    made = Site(server.url, tmp_path_factory.mktemp("site") / "tokens")
    dry = made.setup("--dry-run")
    assert dry == [
        "would make   user dutyroom, organisation dutyroom, bucket dutyroom, and then all the rest"
    ]
    assert not made.tokens.exists()
    said = "\n".join(made.setup("--days", "3650", "--days-of-minutes", "3650"))
    for file in ("operator.token", "operator.password", "service.token", "grafana.token"):
        path = made.tokens / file
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, file
        assert len(path.read_text()) >= 20
        assert path.read_text() not in said
    assert stat.S_IMODE(made.tokens.stat().st_mode) == 0o700
    return made


@real
def test_the_same_again_says_what_is_there_and_changes_nothing(site: Site) -> None:
    before = {file.name: (file.read_text(), file.stat().st_mtime_ns) for file in site.tokens.iterdir()}
    for more in ([], ["--dry-run"]):
        said = site.setup("--days", "3650", "--days-of-minutes", "3650", *more)
        assert all(line.startswith(("there already", "DUTYROOM_INFLUX_TOKEN_FILE=")) for line in said), said
        assert sum("task" in line for line in said) == 14
    assert {
        file.name: (file.read_text(), file.stat().st_mtime_ns) for file in site.tokens.iterdir()
    } == before


@real
def test_what_is_missing_is_made_again(site: Site) -> None:
    token = site.token("grafana")
    (site.tokens / "grafana.token").unlink()
    with client_of(url=site.url, token=site.token("operator"), org="dutyroom") as client:
        api = client.tasks_api()
        task = api.find_tasks(name="dutyroom_5m last with late ones")[0]
        api.update_task_request(task.id, influxdb_client.TaskUpdateRequest(status="inactive"))  # type: ignore[no-untyped-call]
        said = site.setup("--days", "3650", "--days-of-minutes", "3650")
        assert [line.split("   ")[1][:42] for line in said if line.startswith(("made", "wrote"))] == [
            "task 'dutyroom_5m last with late ones', ev",
            str(site.tokens / "grafana.token")[:42],
        ]
        assert api.find_task_by_id(task.id).status == "active"
    assert site.token("grafana") == token


@real
def test_a_file_with_somebody_elses_token_is_left_alone(site: Site) -> None:
    file = site.tokens / "grafana.token"
    mine = file.read_text()
    file.write_text("of-another-server")
    said = site.setup("--days", "3650", "--days-of-minutes", "3650", code=1)
    assert "move it away" in said[-1]
    assert "of-another-server" not in "".join(said)
    assert file.read_text() == "of-another-server"
    file.write_text(mine)


@real
def test_tokens_may_do_what_they_are_for_and_nothing_else(site: Site) -> None:
    now = int(time.time() * 1000)
    reading, writing = site.store("grafana"), site.store()
    row = Readings.of([(1, now, 0.5, 0, 0)])
    with pytest.raises(Unavailable, match="may not use the bucket 'dutyroom'"):
        reading.write(row, TABLE)
    writing.write(row, TABLE)
    assert reading.latest(POINTS)[1].value == 0.5
    for name in ("service", "grafana"):
        for method, path in (
            ("POST", "buckets"),
            ("GET", "tasks"),
            ("GET", "users"),
            ("POST", "authorizations"),
        ):
            body = b"{}" if method == "POST" else None
            request = urllib.request.Request(
                f"{site.url}/api/v2/{path}",
                body,
                {"Authorization": f"Token {site.token(name)}"},
                method=method,
            )
            assert nothing_or_refused(request, path), (name, method, path)
    reading.close()
    writing.close()


def nothing_or_refused(request: urllib.request.Request, what: str) -> bool:
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return not json.load(answer).get(what)
    except urllib.error.HTTPError as err:
        err.close()
        return err.code in (400, 401, 403, 404)


@real
def test_influxql_finds_the_buckets_as_databases_and_as_retention_policies(site: Site) -> None:
    now = int(time.time() * 1000)
    store = site.store()
    store.write(Readings.of([(5, now, 0.25, 0, 0)]), TABLE)
    store.close()
    for source in ('"water_meter"', '"dutyroom"."autogen"."water_meter"'):
        assert site.ask(f"SELECT last(flow) FROM {source} WHERE device = 'm1'")[-1][1] == 0.25
    for source in ('"dutyroom"."5m"."water_meter"', '"dutyroom"."1h"."water_meter"'):
        site.ask(f"SELECT flow FROM {source} LIMIT 1")
    site.ask("SELECT flow FROM water_meter LIMIT 1", db="dutyroom_5m")


def rows_of(first: int, days: int) -> list[tuple[int, int, float, int, int]]:
    """Two meters, a message every 7 minutes."""
    rows = []
    for n, at in enumerate(range(first, first + days * DAY, 7 * MINUTE)):
        for point in range(8):
            value = (float(1000 + n), (n * 37 % 101) / 7, float(n // 9 % 2), 0.0)[point % 4]
            rows.append((point, at + point // 4 * 11_000, value, 2 if n % 50 == 49 and point == 0 else 0, n))
    return rows


@real
def test_months_later_the_last_registers_and_what_the_hours_held_are_still_read(site: Site) -> None:
    """Tasks run for a day of last spring, something comes late, the readings expire."""
    day = int(time.time() * 1000) // DAY * DAY - 200 * DAY
    rows = rows_of(day, 2)
    late = [row for row in rows if row[4] % 5 == 4]
    store = site.store()
    for part in ([row for row in rows if row[4] % 5 != 4], late):
        readings = Readings.of(part)
        for row, given in enumerate(part):
            if given[0] % 4 == 3:
                readings.text[row] = f"s{given[4]}"  # type: ignore[index]
        if part is late:
            readings = replace(readings, late={row: given[1] + 20 * HOUR for row, given in enumerate(part)})
        store.write(readings, TABLE)
        if part is not late:
            run(site, "dutyroom_5m last with late ones", day + 2 * DAY)  # too early for the late ones
    for name in ("dutyroom_5m last", "dutyroom_5m windows", "dutyroom_1h last", "dutyroom_1h windows"):
        for hours in (24, 48):
            run(site, f"{name} with late ones", day + hours * HOUR)
    cuts = [day + h * HOUR + 13 * MINUTE for h in range(2, 46)]
    before = [store.at(POINTS, cut, DAY) for cut in cuts]
    hours = [store.buckets(POINTS[n], day, day + 2 * DAY, HOUR) for n in (0, 1, 2)]
    six = store.buckets(POINTS[1], day, day + 2 * DAY, 6 * HOUR)

    said = site.setup(
        "--days", "90", "--days-of-minutes", "3650", "--shorten"
    )  # puts all history into the coarser ones
    assert any(line.startswith("filled   dutyroom_5m with 2") for line in said), said
    forget(site, "dutyroom")
    store.close()
    store = site.store()
    series = store.range(POINTS[0], day, day + 2 * DAY)
    assert set(series.at.tolist()) <= {row[1] for row in rows if row[0] == 0}
    assert len(series) > 400
    assert series.late
    assert set(series.late.values()) <= {row[1] + 20 * HOUR for row in late}
    for cut, then in zip(cuts, before, strict=True):
        found = store.at(POINTS, cut, DAY)
        # In the window of the moment itself a later reading may have taken the place; before it, never.
        for point, reading in then.items():
            if reading.at < cut - cut % (5 * MINUTE):
                assert found[point] == reading
    for n, wanted in zip((0, 1, 2), hours, strict=True):
        assert store.buckets(POINTS[n], day, day + 2 * DAY, HOUR) == [
            (at, low, pytest.approx(mean), high, last) for at, low, mean, high, last in wanted
        ]
    assert [row[:2] for row in store.buckets(POINTS[1], day, day + 2 * DAY, 6 * HOUR)] == [
        row[:2] for row in six
    ]
    assert store.latest(POINTS[:1])[0].at >= max(row[1] for row in rows if row[0] == 0)

    forget(site, "dutyroom_5m")
    site.setup(
        "--days", "90", "--days-of-minutes", "120", "--shorten"
    )  # there is nothing left to fill from: no harm
    store.close()
    store = site.store()
    ends = [day + h * HOUR for h in range(2, 48)]
    for end in ends:  # at the turn of an hour the register is exact
        wanted = [row for row in rows if row[0] == 0 and row[1] < end][-1]
        found = store.at(POINTS[:1], end - 1, 2 * HOUR)[0]
        assert (found.at, found.value, found.quality) == wanted[1:4]
    assert store.buckets(POINTS[1], day, day + 2 * DAY, HOUR) == [
        (at, low, pytest.approx(mean), high, last) for at, low, mean, high, last in hours[1]
    ]
    store.close()


@real
@pytest.mark.parametrize("broken_off", [False, True])
def test_a_bucket_that_is_told_to_keep_longer_gets_back_what_it_has_lost(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken_off: bool
) -> None:
    """Also where the first run was ended in the middle of it."""
    other, bucket = Site(site.url, tmp_path / "tokens"), f"longer{int(broken_off)}"
    given = ["--operator-token", str(site.tokens / "operator.token"), "--bucket", bucket]
    first = other.setup(*given, "--days", "10", "--days-of-minutes", "40")
    assert sum("expire" in line for line in first) == 6

    def opened() -> InfluxReadingStore:
        token = other.token("service")
        return InfluxReadingStore(site.url, token, "dutyroom", bucket, "estate", coarser=coarser(bucket))

    store = opened()
    now = int(time.time() * 1000)
    rows = [(n % 3, now - age * DAY + n, float(n), n % 2, 0) for age in (1, 20, 60) for n in range(30)]
    store.write(replace(Readings.of(rows), late=dict.fromkeys(range(0, 90, 7), now)), TABLE)

    def everything() -> list[object]:
        found = [store.range(point, 0, 2**53) for point in POINTS[:3]]
        return [(s.at.tolist(), s.value.tolist(), s.quality.tolist(), dict(s.late)) for s in found]

    wanted = everything()
    store.close()
    longer = [*given, "--days", "0", "--days-of-minutes", "0"]
    if broken_off:
        describe(site, bucket, "of the east wing")
        with monkeypatch.context() as patched:
            patched.setattr(InfluxHistory, "into_finer", cut_off)
            other.setup(*longer, code=1)
        other.setup(*longer, "--dry-run")  # changes nothing of it
    said = other.setup(*longer)
    made = [line.split("   ")[1] for line in said if line.startswith("made")]
    assert f"bucket {bucket} keep for ever instead of 10 days" in made
    what = "made whole" if broken_off else "keep for ever instead of 40 days"
    assert any(line.startswith(f"bucket {bucket}_5m") and what in line for line in made), made
    store = opened()
    assert everything() == wanted
    assert sum(len(at) for at, *_ in wanted) == 90  # type: ignore[misc]
    store.close()
    assert described(site, bucket) == ("of the east wing" if broken_off else "")
    assert described(site, f"{bucket}_5m") == ""
    again = other.setup(*longer)
    assert not [line for line in again if line.startswith(("made", "filled")) or "expire" in line]
    if not broken_off:
        ended = [line for line in said if "expire" in line]
        assert len(ended) == 6
        assert all(line.startswith("made   an end to task 'longer") for line in ended)


def cut_off(*_: object) -> None:
    raise Unavailable("the line was cut")


def bucket_of(client: Any, name: str) -> Any:
    return client.buckets_api().find_buckets(name=name).buckets[0]


def describe(site: Site, name: str, text: str) -> None:
    with client_of(url=site.url, token=site.token("operator"), org="dutyroom") as client:
        bucket = bucket_of(client, name)
        bucket.description = text
        client.buckets_api().update_bucket(bucket)


def described(site: Site, name: str) -> str:
    with client_of(url=site.url, token=site.token("operator"), org="dutyroom") as client:
        return bucket_of(client, name).description or ""


@real
def test_a_bucket_that_keeps_less_than_a_day_is_not_one_that_keeps_for_ever(
    site: Site, tmp_path: Path
) -> None:
    other = Site(site.url, tmp_path / "tokens")
    rules = [influxdb_client.BucketRetentionRules(type="expire", every_seconds=12 * 3600)]  # type: ignore[no-untyped-call]
    with client_of(url=site.url, token=site.token("operator"), org="dutyroom") as client:
        client.buckets_api().create_bucket(bucket_name="short", org="dutyroom", retention_rules=rules)
    said = other.setup("--operator-token", str(site.tokens / "operator.token"), "--bucket", "short")
    assert "made   bucket short keep 90 days instead of 1 days" in said


@real
def test_a_name_that_stands_for_another_bucket_is_said(site: Site, tmp_path: Path) -> None:
    """What is written would not be what is read."""
    other = Site(site.url, tmp_path / "tokens")
    given = ["--operator-token", str(site.tokens / "operator.token"), "--bucket", "named"]
    with client_of(url=site.url, token=site.token("operator"), org="dutyroom") as client:
        api = influxdb_client.DBRPsService(client.api_client)
        bucket, org = bucket_of(client, "dutyroom"), client.organizations_api().find_organizations()[0].id

        def name(policy: str, of: str) -> Any:
            return api.post_dbrp(
                influxdb_client.DBRPCreate(  # type: ignore[no-untyped-call]
                    org_id=org, bucket_id=of, database="named", retention_policy=policy, default=True
                )
            )

        made = name("autogen", bucket.id)
        said = other.setup(*given, code=1)[-1]
        assert '"named"."autogen"' in said
        assert "stands for bucket dutyroom" in said
        api.delete_dbrpid(made.id, org_id=org)
        name("weekly", bucket.id)  # and another one is what is asked without a name
        other.setup(*given)
        found = [d for d in api.get_dbr_ps(org_id=org).content if d.database == "named" and not d.virtual]
        assert [d.retention_policy for d in found if d.default] == ["autogen"]


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Site]:
    """A server of its own that nobody has set up."""
    try:
        started = new_influx(tmp_path / "influx")
    except Missing as err:
        unavailable("influxdb", err)
    yield Site(started.url, tmp_path / "tokens")
    started.stop()


@real
def test_a_first_set_up_that_was_broken_off_goes_on(fresh: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before and after there was a password, when the server had answered and nobody heard it, and while a token was
    written down."""
    with monkeypatch.context() as patched:
        patched.setattr("dutyroom.wiring.influx._password", cut_off)
        fresh.setup(code=1)
    (fresh.tokens / "operator.password").write_text("")
    with monkeypatch.context() as patched:
        patched.setattr("dutyroom.wiring.influx.first_user", cut_off)
        fresh.setup(code=1)
    assert fresh.token("operator") == ""

    def unheard(*given: Any) -> str:
        first_user(*given)
        cut_off()
        return ""

    with monkeypatch.context() as patched:
        patched.setattr("dutyroom.wiring.influx.first_user", unheard)
        fresh.setup(code=1)
    assert fresh.token("operator") == ""
    assert "would write" in fresh.setup("--dry-run")[0]
    assert "left empty" in fresh.setup()[0]
    (fresh.tokens / "service.token").write_text("")
    said = fresh.setup()
    assert next(line for line in said if not line.startswith("there already")).startswith("wrote")
    store = fresh.store()
    store.write(Readings.of([(5, int(time.time() * 1000), 0.25, 0, 0)]), TABLE)
    store.close()
    (fresh.tokens / "operator.token").write_text("")
    (fresh.tokens / "operator.password").write_text("another-one")
    assert "make one in InfluxDB's pages" in fresh.setup(code=1)[-1]


def run(site: Site, name: str, at: int) -> None:
    """A run of a task as at an instant, to its end."""
    with client_of(url=site.url, token=site.token("operator"), org="dutyroom") as client:
        api = client.tasks_api()
        task = api.find_tasks(name=name)[0]
        started = api.run_manually(task.id, datetime.fromtimestamp(at / 1000, UTC))
        deadline = time.monotonic() + 120
        while (done := found(api, task.id, started.id)) is None or done.status not in ("success", "failed"):
            assert time.monotonic() < deadline, name
            time.sleep(0.1)
        assert done.status == "success", (name, [entry.message for entry in done.log or ()])


def found(api: Any, task: str, started: str) -> Any:
    """A run; None while the server has it neither among those that run nor among those that ended."""
    try:
        return api.get_run(task, started)
    except influxdb_client.rest.ApiException as err:
        if err.status != 404:
            raise
        return None


def forget(site: Site, bucket: str) -> None:
    """What time does to a bucket."""
    with client_of(url=site.url, token=site.token("operator"), org="dutyroom") as client:
        client.delete_api().delete(
            datetime(2000, 1, 1, tzinfo=UTC), datetime.now(UTC), "", bucket, "dutyroom"
        )


@real
def test_another_server_is_not_taken_over_without_its_token(site: Site, tmp_path: Path) -> None:
    other = Site(site.url, tmp_path / "tokens")
    assert "--operator-token" in other.setup(code=1)[-1]
    assert (
        "takes an operator's"
        in other.setup("--operator-token", str(site.tokens / "service.token"), code=1)[-1]
    )
    (tmp_path / "wrong").write_text("wrong-token")
    said = other.setup("--operator-token", str(tmp_path / "wrong"), code=1)
    assert "takes an operator's" in said[-1]
    assert "wrong-token" not in "".join(said)


@real
def test_a_second_organisation_and_bucket_with_an_existing_token(site: Site, tmp_path: Path) -> None:
    other = Site(site.url, tmp_path / "tokens")
    given = ["--operator-token", str(site.tokens / "operator.token"), "--org", "two", "--bucket", "half"]
    dry = other.setup(*given, "--dry-run")
    assert all(line.startswith(("would make", "would write")) for line in dry)
    made = other.setup(*given)
    assert sum(line.startswith("made") for line in made) == len(dry) - 2
    assert (other.tokens / "service.token").read_text() != site.token("service")


def test_nobody_there_is_said(tmp_path: Path) -> None:
    said = Site("http://127.0.0.1:9", tmp_path).setup(code=1)
    assert "does not answer" in said[-1]


@pytest.mark.parametrize(
    ("days", "says"),
    [
        ((3, 732, 0), "more than 3 days"),
        ((90, 30, 0), "dutyroom_5m must keep at least as long"),
        ((0, 30, 0), "dutyroom_5m must keep at least as long"),
        ((90, 0, 365), "dutyroom_1h must keep at least as long"),
    ],
)
def test_a_coarser_bucket_never_keeps_less(days: tuple[int, int, int], says: str) -> None:
    given = dict(zip(("influx_days", "influx_days_of_minutes", "influx_days_of_hours"), days, strict=True))
    with pytest.raises(Rejected, match=says):
        plan_of(Settings(**given))


def test_a_bucket_that_keeps_for_ever_has_no_pass_before_the_end() -> None:
    names = [task.name for task in tasks(Plan("o", 'b"${x}', 0, 0, 0))]
    assert not any("expire" in name for name in names)
    assert len(set(names)) == len(names) == 8
    assert all('from(bucket: "b\\"\\${x}' in task.flux for task in tasks(Plan("o", 'b"${x}', 0, 0, 0)))


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_error_in_the_middle_of_an_answer_is_not_passed_over(size: int) -> None:
    """InfluxDB says 200 before it knows."""
    rows = b"#datatype,string,long\r\n,result,table\r\n,to1,0\r\n"
    whole = rows + b"\r\n,error,reference\r\n,panic: no such thing,\r\n"

    def answering(text: bytes) -> Any:
        parts = [text[n : n + size] for n in range(0, len(text), size)]
        return SimpleNamespace(query_raw=lambda _flux, org: SimpleNamespace(stream=lambda _size: iter(parts)))

    to_its_end(answering(rows), "flux", "o")
    with pytest.raises(Unavailable, match="InfluxDB: panic: no such thing"):
        to_its_end(answering(whole), "flux", "o")
