"""Who takes which site: decided from what the database says, nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from dutyroom.flows.sharing import PATIENCE_S, SETTLED, Share, share
from dutyroom.model.lease import Lease, Owners, Process

SITES = tuple(f"site-{n}" for n in range(10))
NOW = 1_000_000


def owners(
    held: Mapping[str, str], *names: str, age: int = 2 * SETTLED, sites: tuple[str, ...] = SITES
) -> Owners:
    leases = {site: Lease(site, owner, 1, 0, NOW + 5_000) for site, owner in held.items()}
    return Owners(NOW, leases, tuple(Process(n, "ingest", sites, NOW - age, NOW + 5_000) for n in names))


def settle(names: tuple[str, ...], held: dict[str, str], unowned_s: float = 0.0) -> dict[str, str]:
    """Lets the processes decide in turn until nobody wants anything more."""
    for _ in range(100):
        before = dict(held)
        for name in names:
            mine = [s for s, owner in held.items() if owner == name]
            wish = share(SITES, mine, owners(held, *names), name, dict.fromkeys(SITES, unowned_s))
            if wish.take:
                assert wish.take not in held
                held[wish.take] = name
            if wish.release:
                assert held.pop(wish.release) == name
        if held == before:
            return held
    raise AssertionError("they never come to rest")


def counts(held: Mapping[str, str]) -> list[int]:
    names = set(held.values())
    return sorted(sum(owner == name for owner in held.values()) for name in names)


def test_one_alone_takes_all() -> None:
    assert counts(settle(("a",), {})) == [10]


def test_two_that_start_together_share_without_a_quarrel() -> None:
    assert counts(settle(("a", "b"), {})) == [5, 5]
    first = share(SITES, (), owners({}, "a", "b"), "a", {})
    second = share(SITES, (), owners({}, "a", "b"), "b", {})
    assert first.take != second.take


def test_three_share_as_evenly_as_it_goes() -> None:
    found = counts(settle(("a", "b", "c"), {}, PATIENCE_S))
    assert sum(found) == 10
    assert max(found) == 4


def test_what_the_dead_owned_is_taken_by_who_is_left() -> None:
    held = settle(("a", "b"), {})
    left = {site: owner for site, owner in held.items() if owner == "a"}
    assert counts(settle(("a",), left)) == [10]


def test_one_that_joins_is_given_its_share_once_it_has_settled() -> None:
    alone = dict.fromkeys(SITES, "a")
    assert share(SITES, SITES, owners(alone, "a", "b", age=SETTLED - 1), "a", {}) == Share()
    assert share(SITES, SITES, owners(alone, "a", "b"), "a", {}) == Share(release="site-9")
    assert counts(settle(("a", "b"), alone)) == [5, 5]


def test_what_nobody_takes_is_taken_after_a_while() -> None:
    half = dict.fromkeys(SITES[:5], "a")
    waiting = owners(half, "a", "b")
    assert share(SITES, SITES[:5], waiting, "a", {"site-7": PATIENCE_S - 1}) == Share()
    assert share(SITES, SITES[:5], waiting, "a", {"site-7": PATIENCE_S}) == Share(take="site-7")


def test_an_expired_lease_is_nobody_s_and_other_kinds_of_process_share_nothing() -> None:
    expired = Owners(
        NOW,
        {site: Lease(site, "gone", 3, 0, NOW) for site in SITES},
        (
            Process("pages", "serve", SITES, 0, NOW + 1),
            Process("elsewhere", "ingest", ("another",), 0, NOW + 1),
        ),
    )
    for number in range(10):
        assert share(SITES, SITES[:number], expired, "a", {}).take == SITES[number]
