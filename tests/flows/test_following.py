"""Two processes of one site: one reads the messages, the other shows pages; each sees what the other does.

They share the files only: records, journal, readings, profiles. Nothing is handed over in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.flows.intake_rig import BEATS, TZ, Rig, T, batch, probe, tank

from dutyroom.backends.journal_followed import FollowedJournal
from dutyroom.backends.readings_embedded import EmbeddedReadingStore
from dutyroom.backends.readings_followed import FollowedReadingStore
from dutyroom.backends.records_sql import open_records
from dutyroom.errors import Rejected, Unavailable
from dutyroom.flows.devices import DeviceDesk
from dutyroom.flows.follower import LOOK_S, STORE_S, Follower
from dutyroom.flows.following import DISCARD, Following, last_change
from dutyroom.flows.intake import Elsewhere, Intake
from dutyroom.flows.live import Live
from dutyroom.flows.notours import NotOurs
from dutyroom.flows.registry import Registry
from dutyroom.flows.strangers import Strangers, adoption, sheet_rows
from dutyroom.flows.strangers import Wish as Adoption
from dutyroom.model.telemetry import DeviceClass, Message, Point, PointSpec, PointTable, Readings
from dutyroom.profiles.decode import load_library
from dutyroom.site import Site
from dutyroom.site.table import sheet_of
from dutyroom.timebase import MINUTE


class Clock:
    def now(self) -> int:
        return T


class Pages:
    """The process that ingests nothing."""

    def __init__(self, folder: Path) -> None:
        self.records = open_records(f"sqlite:///{folder}/records.sqlite")
        since = last_change(self.records)
        library = load_library(folder / "shipped", TZ, b"key", [])
        with self.records.read() as tx:
            self.table = PointTable(tx.devices.points("site"))
            self.registry = Registry(tx.devices.all("site"))
        self.store = FollowedReadingStore(folder / "readings.sqlite")
        self.journal = FollowedJournal(folder / "journal.sqlite", self.wish)
        self.live = Live()
        reader = Elsewhere(NotOurs("site", self.records))
        self.intake = Intake(
            "site", library, self.registry, self.table, self.records, reader, reader, self.store.latest
        )
        self.desk = DeviceDesk(
            Site("site", {"en": "Site"}, "Asia/Shanghai"),
            lambda: self.intake.library,
            self.records,
            self.table,
            self.store.latest,
            Clock(),
            self.intake.register,
        )
        self.following = Following("site", self.records, self.table, self.desk, self.intake, since)
        self.follower = Follower(
            self.journal,
            lambda: self.journal.there,
            self.store,
            self.table,
            self.live,
            self.following.learn,
        )

    def wish(self, rows: list[int]) -> None:  # type: ignore[override]
        with self.records.write() as tx:
            tx.change("site", T, DISCARD, ",".join(map(str, rows)))

    def value(self, device: str, name: str) -> float | None:
        self.follower.step()
        point = self.table.find(device, name)
        found = self.live.get(point.id) if point is not None else None
        return None if found is None or point is None else point.physical(found.value)

    def unknown(self) -> list[str]:
        strangers = Strangers(self.journal)
        foreign = self.intake.not_ours.addresses
        return [s.address for s in strangers.all(self.intake.library, self.registry.find, foreign=foreign)]

    def adopt(self, address: str) -> None:
        stranger = Strangers(self.journal).find(self.intake.library, address)
        row = adoption(Adoption(address), stranger, self.intake.library, ())
        self.desk.take(sheet_of("", sheet_rows(row)), "clerk")

    def close(self) -> None:
        self.journal.close()
        self.store.close()
        self.records.close()


class Ingesting:
    """The process that has no pages."""

    def __init__(self, folder: Path) -> None:
        self.rig = Rig(folder)
        self.reloaded = 0
        self.open()

    def open(self) -> None:
        rig = self.rig
        since = last_change(rig.records)
        site = Site("site", {"en": "Site"}, "Asia/Shanghai")
        desk = DeviceDesk(
            site,
            lambda: rig.intake.library,
            rig.records,
            rig.table,
            rig.store.latest,
            Clock(),
            rig.intake.register,
        )
        self.following = Following(
            "site",
            rig.records,
            rig.table,
            desk,
            rig.intake,
            since,
            self.reload,
            lambda rows: rig.journal.settle(rows, "discarded"),
        )

    def reload(self) -> None:
        self.reloaded += 1
        self.rig.shelf.reload()

    def turn(self) -> None:
        while self.following.step() == 0:
            pass
        self.rig.reread()


@pytest.fixture
def ingesting(tmp_path: Path) -> Iterator[Ingesting]:
    made = Ingesting(tmp_path)
    yield made
    made.rig.close()


@pytest.fixture
def pages(ingesting: Ingesting, tmp_path: Path) -> Iterator[Pages]:
    made = Pages(tmp_path)
    yield made
    made.close()


def test_what_is_adopted_on_a_page_is_read_by_the_other_process(ingesting: Ingesting, pages: Pages) -> None:
    rig = ingesting.rig
    rig.ingest.handle([batch(T, m1=(12.5, T)), batch(T + MINUTE, m1=(12.6, T + MINUTE))])
    assert pages.unknown() == ["m1"]
    pages.adopt("m1")
    assert pages.unknown() == []
    assert rig.stored("acme-m1", "volume") == []
    ingesting.turn()
    assert rig.stored("acme-m1", "volume") == [("03:00:00Z", 12.5), ("03:01:00Z", 12.6)]
    assert pages.value("acme-m1", "volume") == 12.6
    rig.ingest.handle([batch(T + 2 * MINUTE, m1=(12.7, T + 2 * MINUTE))])
    assert pages.value("acme-m1", "volume") == 12.7
    assert pages.live.heard("acme-m1") == T + 2 * MINUTE
    assert pages.live.messages == 1
    rig.keep.drain()
    ledger = rig.ledger()
    assert ledger["acme-m1"].received == ledger["acme-m1"].decoded == 3


def test_nonsense_and_what_a_profile_passes_over_are_no_sign_of_life_on_the_pages_either(
    ingesting: Ingesting, pages: Pages
) -> None:
    rig = ingesting.rig
    rig.shelve("probe", BEATS)
    rig.shelf.reload()
    rig.register(tank())
    for said in (b"\xff", b'{"beat": 1}', b""):
        rig.ingest.handle([Message("probe/p1/level", said, T)])
    assert {row.device for row in rig.journal.ledger(0)} == {"tank-p1"}
    pages.follower.step()
    assert (rig.live.heard("tank-p1"), pages.live.heard("tank-p1")) == (None, None)
    rig.ingest.handle([Message("probe/p1/level", b'{"depth": 2}', T + MINUTE)])  # other names: it is there
    pages.follower.step()
    assert (rig.live.heard("tank-p1"), pages.live.heard("tank-p1")) == (T + MINUTE, T + MINUTE)


def test_a_mark_and_its_taking_back_reach_the_other_process(ingesting: Ingesting, pages: Pages) -> None:
    rig = ingesting.rig
    rig.ingest.handle([probe(1, T, "next-door")])
    pages.intake.disown("next-door", "clerk", T)
    ingesting.turn()
    assert rig.journal.quarantine_size() == 0
    rig.ingest.handle([probe(2, T + 1, "next-door")])
    assert rig.journal.quarantine_size() == 0
    pages.intake.not_ours.take_back("next-door", "clerk", T)
    ingesting.turn()
    rig.ingest.handle([probe(3, T + 2, "next-door")])
    assert rig.journal.quarantine_size() >= 1
    assert pages.unknown() == ["next-door"]


def test_a_page_discards_what_only_the_other_may(ingesting: Ingesting, pages: Pages) -> None:
    rig = ingesting.rig
    rig.ingest.handle([probe(n, T + n, "p1") for n in range(3)])
    rows = sorted(row.id for row in pages.journal.quarantine())
    assert pages.journal.settle([*rows[:2], 999], "discarded") == 2
    assert pages.journal.settle(rows[:2], "discarded") == 0
    assert [row.id for row in pages.journal.quarantine()] == rows[2:]
    assert (pages.journal.quarantine_size(), rig.journal.quarantine_size()) == (1, 3)
    ingesting.turn()
    assert (pages.journal.quarantine_size(), rig.journal.quarantine_size()) == (1, 1)
    assert {row.id for row in pages.journal.quarantine("discarded")} == set(rows[:2])


def test_a_wish_waits_for_an_owner_that_is_away(ingesting: Ingesting, pages: Pages) -> None:
    rig = ingesting.rig
    rig.ingest.handle([probe(n, T + n, "p1") for n in range(2)])
    first, second = sorted(row.id for row in pages.journal.quarantine())
    pages.journal.settle([first], "discarded")
    rig.again()
    ingesting.open()
    ingesting.turn()
    assert [row.id for row in rig.journal.quarantine()] == [second]
    # Fulfilled once; the next owner does not look at it again.
    rig.again()
    ingesting.open()
    settled: list[object] = []
    ingesting.following._discard = settled.append
    ingesting.turn()
    assert settled == []


def test_profiles_are_read_again_when_a_page_says_so(ingesting: Ingesting, pages: Pages) -> None:
    with pages.records.write() as tx:
        tx.change("site", T, "profile", "")
        tx.change("another", T, "profile", "")
    ingesting.turn()
    ingesting.turn()
    assert ingesting.reloaded == 1


def test_a_device_changed_on_a_page_is_another_one_at_once(ingesting: Ingesting, pages: Pages) -> None:
    rig = ingesting.rig
    with pages.records.write() as tx:
        tx.devices.upsert([tank()])
        tx.change("site", T, "device", "tank-p1")
    ingesting.turn()
    pages.following.step()
    assert pages.registry.by_id.keys() == {"tank-p1"}
    rig.ingest.handle([probe(1.5, T)])
    assert pages.value("tank-p1", "level") == 1.5
    pages.desk.withdraw("tank-p1", "clerk")
    ingesting.turn()
    rig.ingest.handle([probe(1.6, T + MINUTE)])
    assert rig.journal.quarantine_size() == 1
    assert pages.value("tank-p1", "level") == 1.5


def test_values_that_the_store_does_not_have_yet_are_shown(ingesting: Ingesting, pages: Pages) -> None:
    rig = ingesting.rig
    rig.register(tank())
    rig.ingest.handle([probe(1.0, T)])
    rig.keep.drain()
    rig.ingest.handle([probe(2.0, T + MINUTE)])  # in the journal only
    assert pages.value("tank-p1", "level") == 2.0
    assert pages.follower.step() == LOOK_S
    assert not pages.follower.from_store


def test_without_the_journal_s_disk_values_come_from_the_store(
    ingesting: Ingesting, pages: Pages, tmp_path: Path
) -> None:
    rig = ingesting.rig
    rig.register(tank())
    rig.ingest.handle([probe(1.0, T)])
    rig.keep.drain()
    away = FollowedJournal(tmp_path / "elsewhere" / "journal.sqlite", lambda rows: None)
    live = Live()
    follower = Follower(away, lambda: away.there, pages.store, pages.table, live, pages.following.learn)
    follower.step()
    assert follower.from_store
    point = pages.table.find("tank-p1", "level")
    assert point is not None
    found = live.get(point.id)
    assert found is not None
    assert (found.value, found.at) == (1.0, T)
    version = live.version
    rounds = round(STORE_S)
    for _ in range(rounds):
        follower.step()
    assert live.version == version  # nothing new, nothing told
    rig.ingest.handle([probe(2.0, T + MINUTE)])
    rig.keep.drain()
    for _ in range(rounds):
        follower.step()
    assert live.get(point.id).value == 2.0  # type: ignore[union-attr]
    assert (away.quarantine(), away.quarantine_size(), away.ledger(0), away.settle([1], "discarded")) == (
        [],
        0,
        [],
        0,
    )
    with pytest.raises(Rejected, match="another process writes it"):
        away.append()


def test_readings_that_nobody_wrote_yet_are_none_and_only_their_owner_writes_them(tmp_path: Path) -> None:
    file = tmp_path / "readings.sqlite"
    followed, table = FollowedReadingStore(file), PointTable()
    spec = PointSpec("level")
    point = Point(1, "site", "tank", DeviceClass.TANK, "", spec)
    assert followed.latest([point]) == {}
    assert len(followed.range(point, 0, T)) == 0
    file.touch()  # just being made
    with pytest.raises(Unavailable, match="has not begun"):
        followed.latest([point])
    owner = EmbeddedReadingStore(file)
    owner.write(Readings.of([(1, T, 2.5, 0, 0)]), table)
    assert followed.latest([point])[1].value == 2.5
    owner.write(Readings.of([(1, T + 1, 3.5, 0, 0)]), table)
    assert followed.at([point], T + 1, MINUTE)[1].value == 3.5
    with pytest.raises(Rejected, match="another process writes them"):
        followed.write(Readings.of([(1, T, 9.0, 0, 0)]), table)
    owner.close()
    followed.close()
