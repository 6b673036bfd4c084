"""A lease that cannot be renewed in time ends the work on the site; what is lost is not worked on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dutyroom.backends.records_sql import open_records
from dutyroom.errors import Fenced, Rejected, Unavailable
from dutyroom.flows.lease import TTL, FencedRecords, Keeper
from dutyroom.model.lease import Lease, Owners

IN_TIME, TOO_LATE = TTL / 1000 - 1.5, TTL / 1000 - 0.5


class Database:
    """Leases without a clock: nobody's runs out by itself."""

    def __init__(self) -> None:
        self.owner: dict[str, tuple[str, int]] = {}
        self.away = False
        self.said: Mapping[str, Any] = {}
        self.alive_ones: list[str] = []

    def take(self, site: str, owner: str, ttl: int, above: int = 0) -> Lease | None:
        token = max(self.owner.get(site, ("", 0))[1], above) + 1
        self.owner[site] = (owner, token)
        return Lease(site, owner, token, 0, ttl)

    def renew(self, owner: str, held: Mapping[str, tuple[int, Mapping[str, Any]]], ttl: int) -> set[str]:
        if self.away:
            raise Unavailable("the records do not answer")
        self.said = {site: said for site, (_, said) in held.items()}
        return {site for site, (token, _) in held.items() if self.owner.get(site) == (owner, token)}

    def release(self, site: str, owner: str, token: int) -> None:
        if self.owner.get(site) == (owner, token):
            self.owner[site] = ("", token)

    def alive(self, process: str, role: str, sites: tuple[str, ...], ttl: int) -> None:
        if self.away:
            raise Unavailable("the records do not answer")
        self.alive_ones = [process]

    def gone(self, process: str) -> None:
        self.alive_ones = []

    def owners(self) -> Owners:
        return Owners(0, {}, ())


class Rig:
    def __init__(self) -> None:
        self.database, self.now, self.told = Database(), 100.0, list[str]()
        self.keeper = Keeper(self.database, "me", "ingest", ("yard", "park"), lambda: self.now)

    def hold(self, site: str) -> None:
        assert self.keeper.take(site) is not None
        words = [f"{word} {site}" for word in ("pause", "resume", "lost")]
        pause, resume, lost = [lambda word=word: self.told.append(word) for word in words]  # type: ignore[misc]
        self.keeper.attach(site, pause, resume, lost, lambda: {"broker": True})


@pytest.fixture
def rig() -> Rig:
    made = Rig()
    made.hold("yard")
    return made


def test_a_site_is_ours_until_the_lease_runs_out(rig: Rig) -> None:
    rig.keeper.check("yard")
    with pytest.raises(Fenced, match="another process owns the site park"):
        rig.keeper.check("park")
    rig.now += IN_TIME
    rig.keeper.look()
    rig.keeper.check("yard")
    assert rig.told == []
    rig.now += 1
    with pytest.raises(Fenced, match="could not be renewed"):
        rig.keeper.check("yard")
    rig.keeper.look()
    rig.keeper.look()
    assert rig.told == ["pause yard"]


def test_renewed_in_time_nothing_happens(rig: Rig) -> None:
    for _ in range(5):
        rig.now += IN_TIME
        rig.keeper.renew()
        rig.keeper.look()
        rig.keeper.check("yard")
    assert rig.told == []
    assert rig.database.said == {"yard": {"broker": True}}


def test_the_time_counts_from_before_the_question(rig: Rig) -> None:
    rig.hold("park")
    renew = rig.database.renew

    def slow(*given: Any) -> set[str]:
        rig.now += TOO_LATE
        return renew(*given)

    rig.database.renew = slow  # type: ignore[method-assign]
    rig.keeper.renew()
    with pytest.raises(Fenced):
        rig.keeper.check("yard")


def test_records_that_were_away_too_long_and_are_back(rig: Rig) -> None:
    rig.database.away = True
    rig.now += TOO_LATE
    with pytest.raises(Unavailable):
        rig.keeper.renew()
    rig.keeper.look()
    assert rig.told == ["pause yard"]
    rig.database.away = False
    rig.keeper.renew()
    assert rig.told == ["pause yard", "resume yard"]
    rig.keeper.check("yard")


def test_what_cannot_be_resumed_is_tried_again_and_holds_up_no_other_site(rig: Rig) -> None:
    rig.hold("park")
    broken = [True]

    def resume() -> None:
        if broken[0]:
            raise Rejected("the password cannot be read")
        rig.told.append("resumed")

    rig.keeper.attach("yard", lambda: rig.told.append("paused"), resume, lambda: None, lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    rig.now += TOO_LATE
    rig.keeper.look()
    rig.keeper.renew()
    assert rig.told == ["paused", "pause park", "resume park"]
    assert rig.database.said == {"yard": {}, "park": {"broker": True}}
    broken[0] = False
    rig.keeper.renew()
    rig.keeper.renew()
    assert rig.told == ["paused", "pause park", "resume park", "resumed"]


def test_another_has_taken_it(rig: Rig) -> None:
    rig.hold("park")
    rig.database.take("yard", "another", TTL)
    rig.keeper.renew()
    assert rig.told == ["pause yard", "lost yard"]
    assert rig.keeper.held == {"park"}
    with pytest.raises(Fenced):
        rig.keeper.check("yard")
    rig.keeper.renew()
    assert rig.told == ["pause yard", "lost yard"]


def test_lost_while_it_was_being_opened() -> None:
    rig = Rig()
    assert rig.keeper.take("yard") is not None
    rig.now += TOO_LATE
    rig.keeper.look()
    rig.keeper.attach("yard", lambda: rig.told.append("pause"), lambda: None, lambda: None)
    assert rig.told == ["pause"]
    rig.database.take("yard", "another", TTL)
    rig.keeper.renew()
    with pytest.raises(Fenced):
        rig.keeper.attach("yard", lambda: None, lambda: None, lambda: None)


def test_who_leaves_frees_what_it_has(rig: Rig) -> None:
    rig.keeper.renew()
    assert rig.database.alive_ones == ["me"]
    rig.keeper.leave()
    assert rig.database.owner["yard"] == ("", 1)
    assert rig.database.alive_ones == []
    assert rig.keeper.held == frozenset()


def test_who_slept_and_woke_writes_nothing_into_the_records(tmp_path: Path) -> None:
    records = open_records(f"sqlite:///{tmp_path}/records.sqlite")
    lease = records.leases.take("yard", "a", 1)
    assert lease is not None
    mine = FencedRecords(records, "yard", lease.token)
    with mine.write() as tx:
        tx.put_blob("yard", "state", b"mine")
    while records.leases.take("yard", "b", TTL) is None:
        pass
    with pytest.raises(Fenced), mine.write() as tx:
        tx.put_blob("yard", "state", b"late")
    with mine.read() as tx:
        assert tx.blob("yard", "state") == b"mine"
    mine.close()
