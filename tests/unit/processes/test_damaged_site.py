"""A site whose files are damaged is said and tried again; the others of the process are opened meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.shipped_profiles import as_after_a_first_start

from dutyroom.backends.datafolder import DataFolder
from dutyroom.backends.readings_awaited import AwaitedReadingStore
from dutyroom.backends.records_sql import open_records
from dutyroom.errors import Unavailable
from dutyroom.model.telemetry import DeviceClass, Point, PointSpec, PointTable, Readings
from dutyroom.settings import Settings
from dutyroom.wiring.ingesting import Ingesting
from dutyroom.wiring.lastgood import read_sites
from dutyroom.wiring.leasing import Leasing

# A process that opens a site collects its garbage: here also what other tests left of their connections.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

SITES = ("harbour", "yard")
SITE = """
id: {name}
name: {name}
time_zone: Asia/Shanghai
broker: {{host: 127.0.0.1, port: 9, topics: ["x/#"]}}
"""


class Process:
    """`dutyroom ingest` of two sites, step by step."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.data, self.said = folder / "data", list[str]()
        for name in SITES:
            (folder / name).mkdir(exist_ok=True)
            (folder / name / "site.yaml").write_text(SITE.format(name=name))
        as_after_a_first_start(self.data)
        settings = Settings(data=self.data)
        data = stack.enter_context(DataFolder(self.data, shared=True))
        records = open_records(f"sqlite:///{self.data}/records.sqlite")
        stack.callback(records.close)
        self.records = records
        self.leasing = Leasing(records, "me", "ingest", ("harbour", "yard"))
        sites = read_sites(self.data, [folder / "harbour", folder / "yard"]).sites
        self.ingesting = Ingesting(settings, data, sites, records, self.leasing, self.said.append)
        stack.callback(self.ingesting.stop)

    def steps(self, count: int) -> None:
        for _ in range(count):
            self.ingesting.step()


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    with ExitStack() as stack:
        yield Process(tmp_path, stack)


def test_a_damaged_journal_keeps_no_other_site_from_being_read(process: Process) -> None:
    broken = process.data / "sites" / "harbour" / "journal.sqlite"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"\xa5" * 5_000)
    process.steps(3)
    assert process.said[0].startswith(
        f"Site harbour: cannot be opened: journal {broken}: file is not a database"
    )
    assert process.said[1:] == ["Site yard: ours"]
    assert list(process.leasing.keeper.held) == ["yard"]  # the other is anybody's who can open it
    assert [kept.name.split("-")[0] for kept in (process.data / "kept").iterdir()] == [
        "yard"
    ]  # it alone started


def test_a_site_with_mistakes_runs_with_the_files_of_its_last_start_and_tells_the_pages(
    tmp_path: Path,
) -> None:
    with ExitStack() as stack:
        Process(tmp_path, stack).steps(2)
    (tmp_path / "yard" / "topology.yaml").write_text("power: [\n")
    with ExitStack() as stack:
        process = Process(tmp_path, stack)
        process.steps(2)
        process.leasing.keeper.renew()
        owners = process.records.leases.owners()
        told = {site: dict(owner.said["troubles"]) for site in SITES if (owner := owners.owner(site))}
        assert "folder" not in told["harbour"]
        assert str(tmp_path / "yard" / "topology.yaml") in told["yard"]["folder"]


def test_nor_does_what_nobody_expected(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError("a mistake of ours")

    with monkeypatch.context() as patched:
        patched.setattr("dutyroom.wiring.ingesting.awaited_store_of", fails)
        process.steps(1)
    process.steps(2)
    assert process.said == ["Site harbour: cannot be opened: a mistake of ours", "Site yard: ours"]
    assert list(process.leasing.keeper.held) == ["yard"]


def test_a_secret_that_is_none_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "privacy.secret").write_bytes(b"\xff\xfe\xe5")
    with DataFolder(tmp_path) as folder, pytest.raises(Exception, match=r"privacy\.secret cannot be read"):
        folder.secret("privacy")


def test_damaged_readings_silence_no_rules(process: Process) -> None:
    broken = process.data / "sites" / "harbour" / "readings.sqlite"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"\xa5" * 5_000)
    process.steps(2)
    assert process.said == ["Site harbour: ours", "Site yard: ours"]


def test_a_store_that_could_not_be_opened_is_once_it_can(tmp_path: Path) -> None:
    file = tmp_path / "readings.sqlite"
    file.write_bytes(b"\xa5" * 5_000)
    store = AwaitedReadingStore(file, "not yet", again_s=0.0)
    with pytest.raises(Unavailable, match=r"readings\.sqlite: file is not a database"):
        store.write(Readings.of([(1, 1_000, 7.0, 0, 0)]), PointTable())
    with pytest.raises(Unavailable):
        store.tidy()
    file.unlink()
    store.write(Readings.of([(1, 1_000, 7.0, 0, 0)]), PointTable())
    point = Point(1, "s", "m", DeviceClass.WATER_METER, "", PointSpec("volume"))
    assert list(store.range(point, 0, 2_000).value) == [7.0]
    store.close()
