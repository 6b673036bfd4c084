"""One process owns a site: in SQLite and PostgreSQL, the same suite."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.busy import alone

from dutyroom.backends.records_sql import SqlRecords, open_records

TTL = 60_000


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.servers)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/records.sqlite"
    found: str = request.getfixturevalue("postgres_records_url")
    return found


@pytest.fixture
def records(url: str) -> Iterator[SqlRecords]:
    opened = open_records(url)
    yield opened
    opened.close()


def test_one_owner_at_a_time(records: SqlRecords) -> None:
    leases = records.leases
    mine = leases.take("yard", "a", TTL)
    assert mine is not None
    assert (mine.site, mine.owner, mine.token) == ("yard", "a", 1)
    assert leases.take("yard", "b", TTL) is None
    other = leases.take("park", "b", TTL)
    assert other is not None
    owners = leases.owners()
    assert {site: lease.owner for site, lease in owners.leases.items()} == {"yard": "a", "park": "b"}
    held = owners.owner("yard")
    assert held is not None
    assert 0 < held.expires_at - owners.now <= TTL
    assert owners.owner("elsewhere") is None


def test_the_database_s_clock_is_about_right(records: SqlRecords) -> None:
    assert abs(records.leases.owners().now - time.time() * 1000) < 5_000


def test_the_next_owner_has_a_larger_token(records: SqlRecords) -> None:
    leases = records.leases
    first = leases.take("yard", "a", 50)
    assert first is not None
    assert leases.take("yard", "b", TTL) is None
    time.sleep(0.1)
    second = leases.take("yard", "b", TTL)
    assert second is not None
    assert second.token == first.token + 1
    with records.read() as tx:
        assert tx.token("yard") == second.token
        assert tx.token("park") == 0


def test_a_renewal_keeps_it_and_says_how_it_is(records: SqlRecords) -> None:
    leases = records.leases
    lease = leases.take("yard", "a", 50)
    assert lease is not None
    time.sleep(0.1)  # run out, and nobody wanted it
    assert leases.renew("a", {"yard": (lease.token, {"broker": True})}, TTL) == {"yard"}
    assert leases.take("yard", "b", TTL) is None
    held = leases.owners().owner("yard")
    assert held is not None
    assert held.said == {"broker": True}
    assert held.taken_at == lease.taken_at


def test_who_was_late_has_lost_it(records: SqlRecords) -> None:
    leases = records.leases
    lease, other = leases.take("yard", "a", 10), leases.take("park", "a", TTL)
    assert lease is not None
    assert other is not None
    time.sleep(0.05)
    assert leases.take("yard", "b", TTL) is not None
    held = {"yard": (lease.token, {}), "park": (other.token, {})}
    assert leases.renew("a", held, TTL) == {"park"}
    leases.release("yard", "a", lease.token)  # what is not ours is not ours to give
    assert leases.take("yard", "c", TTL) is None


def test_a_released_one_is_free_at_once_and_its_token_is_remembered(records: SqlRecords) -> None:
    leases = records.leases
    lease = leases.take("yard", "a", TTL)
    assert lease is not None
    leases.release("yard", "a", lease.token)
    assert leases.owners().owner("yard") is None
    again = leases.take("yard", "b", TTL)
    assert again is not None
    assert again.token == 2


def test_the_same_owner_may_come_back_and_is_another_then(records: SqlRecords) -> None:
    first = records.leases.take("yard", "a", TTL)
    second = records.leases.take("yard", "a", TTL)
    assert first is not None
    assert second is not None
    assert second.token == first.token + 1
    assert records.leases.renew("a", {"yard": (first.token, {})}, TTL) == set()


def test_restored_records_are_behind_the_journal(records: SqlRecords) -> None:
    lease = records.leases.take("yard", "a", TTL, above=41)
    assert lease is not None
    assert lease.token == 42


def test_processes_that_are_alive_are_listed(records: SqlRecords) -> None:
    leases = records.leases
    leases.alive("a", "ingest", ("yard", "park"), TTL)
    leases.alive("b", "ingest", ("yard",), 10)
    since = {p.name: p.since for p in leases.owners().processes}
    time.sleep(0.05)
    leases.alive("a", "ingest", ("yard", "park"), TTL)
    (only,) = leases.owners().processes
    assert (only.name, only.role, only.sites, only.since) == ("a", "ingest", ("yard", "park"), since["a"])
    leases.gone("a")
    assert leases.owners().processes == ()


def test_two_that_take_at_once(url: str) -> None:
    both = [open_records(url), open_records(url)]
    ready, got = threading.Barrier(2), []

    def take(records: SqlRecords, owner: str) -> None:
        ready.wait()
        for number in range(20):
            got.append((number, owner, records.leases.take(f"site-{number}", owner, TTL)))

    threads = [
        threading.Thread(target=take, args=(r, name)) for r, name in zip(both, ("a", "b"), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [number for number, _, lease in got if lease is not None]
    assert sorted(winners) == list(range(20))
    for records in both:
        records.close()


def test_a_token_changes_only_between_transactions(records: SqlRecords) -> None:
    """Who has seen its token and writes is not overtaken before its commit."""
    lease = records.leases.take("yard", "a", 1)
    assert lease is not None
    taken = threading.Event()

    def take() -> None:
        records.leases.take("yard", "b", TTL)
        taken.set()

    thread = threading.Thread(target=take)
    with records.write() as tx:
        assert tx.token("yard") == lease.token
        thread.start()
        assert not taken.wait(0.3)
        tx.put_blob("yard", "state", b"1")
    assert taken.wait(5)
    thread.join()
    with records.read() as tx:
        assert tx.token("yard") == lease.token + 1


@pytest.mark.servers
def test_a_renewal_does_not_wait_for_a_long_import(postgres_url: str) -> None:
    records = open_records(postgres_url)
    lease = records.leases.take("yard", "a", TTL)
    assert lease is not None
    with records.write() as tx:
        tx.put_blob("yard", "state", b"1")
        began = time.monotonic()
        assert records.leases.renew("a", {"yard": (lease.token, {})}, TTL) == {"yard"}
        assert records.leases.owners().owner("yard") is not None
        assert alone(time.monotonic() - began) < 2
    records.close()
