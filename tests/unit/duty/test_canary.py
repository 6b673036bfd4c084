"""The canary and the alarm of our own outage."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from dutyroom.backends.journal import SqliteJournal
from dutyroom.backends.records_sql import open_records
from dutyroom.errors import Unavailable
from dutyroom.flows.canary import AGAIN_S, EVERY_S, FIRST_S, Canaries, Canary
from dutyroom.flows.outage import RULE, Outage
from dutyroom.flows.watch import Watch
from dutyroom.model.duty import AlarmState
from dutyroom.model.telemetry import PointTable
from dutyroom.rules.engine import Engine
from dutyroom.site import Site
from dutyroom.timebase import Ms

T: Ms = 1_800_000_000_000


class Way:
    """From publishing to the store, in steps that a test takes by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.published: list[bytes] = []
        self.open = True
        self.kept: float | None = None
        self.read: float | None = None
        self.canary = Canary(
            self.publish, lambda: self.kept, lambda: self.read, self.stamp, lambda: self.seconds, lambda: T
        )

    def stamp(self) -> Ms:
        return T + round(self.seconds * 1000)

    def publish(self, payload: bytes) -> None:
        if not self.open:
            raise Unavailable("the broker is away")
        self.published.append(payload)

    def go(self, seconds: float, after: float | None = 0.25) -> None:
        """after: that a beat is in the store; None = it never comes."""
        end = self.seconds + seconds
        sent: tuple[float, float] | None = None
        while self.seconds < end:
            many = len(self.published)
            self.canary.step()
            if len(self.published) > many:
                sent = float(self.stamp()), self.seconds
            self.seconds += 0.05
            if sent and after is not None and self.seconds >= sent[1] + after - 1e-9:
                self.kept = self.read = sent[0]
                sent = None


def test_the_delay_of_each_beat_is_measured() -> None:
    way = Way()
    way.go(FIRST_S - 1)
    assert (way.published, way.canary.state.proven) == ([], False)
    way.go(3 * EVERY_S)
    assert len(way.published) == 3
    state = way.canary.state
    assert state.proven
    assert state.delay_s is not None
    assert 0.2 < state.delay_s < 0.4
    assert (state.back_at, state.silent, way.canary.deaf) == (T, False, False)


def test_one_that_never_came_back_says_nothing_of_us() -> None:
    """A broker may drop without a word what we may not publish."""
    way = Way()
    way.go(20 * EVERY_S, after=None)
    assert (way.canary.state.proven, way.canary.state.silent, way.canary.deaf) == (False, False, False)


def test_its_silence_is_an_outage_after_three_minutes_and_ends() -> None:
    way = Way()
    way.go(2 * EVERY_S)
    way.go(2 * EVERY_S, after=None)
    assert (way.canary.deaf, way.canary.state.silent) == (True, False)
    way.go(2 * EVERY_S, after=None)
    assert way.canary.state.silent
    way.go(EVERY_S + 2)
    assert (way.canary.deaf, way.canary.state.silent) == (False, False)
    way.open = False
    way.go(EVERY_S)
    assert way.canary.state.trouble == "the broker is away"


def test_it_is_back_soon_after_a_broker_that_was_away() -> None:
    """An outage that lasts on after the broker is back hides devices that are really silent."""
    way = Way()
    way.go(2 * EVERY_S)
    way.open = False
    way.go(4 * EVERY_S)
    assert way.canary.state.silent
    way.open = True
    way.go(AGAIN_S + 1)
    assert (way.canary.state.silent, way.canary.state.trouble) == (False, "")


class Brokers:
    """Two canaries that look for their beats in one store; what the brokers named hold back never comes."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.held: set[int] = set()
        self.kept: float | None = None
        self.canaries = [self.canary(place) for place in (0, 1)]
        self.all = Canaries(self.canaries, ["north", "south"])

    def canary(self, place: int) -> Canary:
        def publish(payload: bytes) -> None:
            if place not in self.held:
                self.kept = float(json.loads(payload)["beat"])

        return Canary(
            publish,
            lambda: self.kept,
            lambda: self.kept,
            lambda: T + round(self.seconds * 1000) // 2 * 2 + place,
            lambda: self.seconds,
            lambda: T,
            place * EVERY_S / 2,
        )

    def go(self, seconds: float) -> None:
        end = self.seconds + seconds
        while self.seconds < end:
            for canary in self.canaries:
                canary.step()
            self.seconds += 0.5


def test_of_several_brokers_each_is_heard_and_the_silent_one_is_named() -> None:
    brokers = Brokers()
    brokers.go(1.5 * EVERY_S)
    assert (brokers.all.state.proven, brokers.all.state.where) == (True, "")
    brokers.held = {1}
    brokers.go(1.5 * EVERY_S + 5)  # just after the next beat
    assert [canary.deaf for canary in brokers.canaries] == [False, True]  # its devices are not judged
    assert (brokers.all.deaf, brokers.all.deaf_at) == (True, {"south"})
    brokers.go(2 * EVERY_S)
    assert (brokers.all.state.silent, brokers.all.state.where) == (True, "south")
    brokers.held = set()
    brokers.go(1.5 * EVERY_S)
    assert (brokers.all.state.silent, brokers.all.deaf) == (False, False)


def test_one_that_never_came_back_is_named() -> None:
    brokers = Brokers()
    brokers.held = {0}
    brokers.go(5 * EVERY_S)
    state = brokers.all.state
    assert (state.proven, state.silent, state.where) == (False, False, "north")


def test_whatever_fails_of_us_is_one_alarm(tmp_path: Path) -> None:
    records = open_records(f"sqlite:///{tmp_path}/r.sqlite")
    journal = SqliteJournal(tmp_path / "j.sqlite")
    failing: set[str] = set()
    seconds, now = [0.0], [T]

    class Now:
        def now(self) -> Ms:
            return now[0]

    def opened() -> Watch:
        site, table = Site("s", {"en": "S"}, "Asia/Shanghai"), PointTable()
        outage = Outage(lambda: set(failing), lambda: seconds[0])
        return Watch(site, table, records, journal, Engine((), table, {}), Now(), outage=outage)

    watch = opened()

    def go(minutes: int) -> None:
        for _ in range(minutes * 12):
            seconds[0] += 5
            now[0] += 5_000
            watch.tick(now[0])

    def alarms() -> list[tuple[str, bool]]:
        with records.read() as tx:
            return [(a.rule, a.cleared_at is None) for a in tx.alarms.search("s")]

    go(2)
    failing.add("broker")
    seconds[0] += 30
    watch.tick(now[0])
    failing.clear()
    go(1)
    assert alarms() == []  # a short break is none
    failing |= {"broker", "profiles"}
    go(3)
    failing |= {"canary", "keep"}
    go(10)
    assert alarms() == [(RULE.id, True)]
    with records.read() as tx:
        assert len(tx.tickets.search("s", open_only=True)) == 1
    with records.write() as tx:
        (alarm,) = tx.alarms.search("s")
        tx.alarms.update(replace(alarm, state=AlarmState.ACKNOWLEDGED))
    failing.discard("canary")
    watch = opened()  # and a restart in the middle of it
    watch.tick(now[0])
    assert alarms() == [(RULE.id, True)]
    go(2)
    assert alarms() == [(RULE.id, True)]
    failing.clear()
    go(1)
    assert alarms() == [(RULE.id, False)]
    records.close()
    journal.close()
