"""A point that is not read any more while its device goes on is told, once; in ordinary life nothing is."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal

import numpy as np
import pytest

from dutyroom.backends.memory import MemoryReadingStore
from dutyroom.errors import Unavailable
from dutyroom.flows import silent_points
from dutyroom.flows.live import Live
from dutyroom.flows.registry import Registry
from dutyroom.flows.silent_points import AGAIN, SilentPoints, Told
from dutyroom.flows.silent_words import silent_in
from dutyroom.interfaces import FindingRow
from dutyroom.model.duty import Device, DeviceStatus
from dutyroom.model.telemetry import (
    DeviceClass,
    Finding,
    Kind,
    Point,
    PointSpec,
    PointTable,
    Quality,
    Readings,
)
from dutyroom.timebase import DAY, HOUR, MINUTE, Ms

T = 1_795_000_000_000 // DAY * DAY
VOLUME, BATTERY, RSSI, FLOW, ONLINE = 1, 2, 3, 4, 5
SPECS = {
    VOLUME: PointSpec("volume", kind=Kind.COUNTER, step=Decimal("0.001"), digits=9, interval_s=3600),
    BATTERY: PointSpec("battery", interval_s=3600),
    RSSI: PointSpec("rssi", interval_s=3600),
    FLOW: PointSpec("flow"),
    ONLINE: PointSpec("online", kind=Kind.STATE),
}
METER = Device("s", "m", "", "water_meter", "acme/meter", "1", "")
Says = Callable[[Ms], Iterable[int]]  # at an hour: which points


@dataclass
class Plant:
    """One meter, its readings in a store and the newest in memory; looked at each hour."""

    store: MemoryReadingStore = field(default_factory=MemoryReadingStore)
    live: Live = field(default_factory=Live)
    registry: Registry = field(default_factory=lambda: Registry([METER]))
    made: set[str] = field(default_factory=lambda: {spec.name for spec in SPECS.values()})
    now: Ms = T
    noted: dict[str, FindingRow] = field(default_factory=dict)

    def __post_init__(self) -> None:
        points = [Point(n, "s", "m", DeviceClass.WATER_METER, "", spec) for n, spec in SPECS.items()]
        self.table = PointTable(points)
        self.start()

    def start(self) -> None:
        """Also again: nothing is remembered but what is stored and noted."""
        self.live = Live()
        self.live.start(self.store.latest(list(self.table)))
        made = self.made
        self.silent = SilentPoints(
            self.table, self.live, self.store, self.registry, lambda _, name: name in made
        )
        self.silent.adopt(self.noted.values())

    def read(self, point: int, at: Ms, received: Ms | None = None, quality: int = 0) -> None:
        came = at if received is None else received
        one = Readings.of([(point, at, 1.0, quality, 0)])
        late = {0: came} if came - at > HOUR else {}
        self.store.write(replace(one, late=late), self.table)
        self.live.update(one, came, 1, ["m"])

    def look(self) -> Told:
        told = self.silent.look(self.now)
        for device in told.over:
            del self.noted[device]
        for f in told.findings:
            old = self.noted.get(f.device)
            first, count = (old.first_at, old.count) if old else (f.at, 0)
            self.noted[f.device] = FindingRow(f.kind, f.device, first, f.at, count + 1, f.detail)
        return told

    def hours(self, count: int, says: Says) -> list[Finding]:
        """What is found in so many hours."""
        found = []
        for _ in range(count):
            self.now += HOUR
            for point in says(self.now):
                self.read(point, self.now)
            found += self.look().findings
        return found

    def lost(self) -> list[str]:
        said = silent_in(self.noted["m"].detail) if "m" in self.noted else None
        return [name for name, _ in said.lost] if said else []


def all_but(*points: int) -> Says:
    return lambda _: [p for p in (VOLUME, BATTERY, RSSI) if p not in points]


def test_a_renamed_register_is_told_after_six_of_its_intervals_and_once() -> None:
    plant = Plant()
    assert plant.hours(30, all_but()) == []
    last = plant.now
    assert plant.hours(5, all_but(VOLUME)) == []
    (found,) = plant.hours(1, all_but(VOLUME))
    assert (found.kind, found.device, found.at) == ("point_silent", "m", last + 6 * HOUR)
    said = silent_in(found.detail)
    assert said is not None
    assert (said.lost, set(said.read)) == ((("volume", last),), {"battery", "rssi"})
    assert plant.hours(11, all_but(VOLUME)) == []


def test_it_is_said_twice_a_day_as_long_as_it_lasts_and_is_over_when_it_is_read() -> None:
    plant = Plant()
    plant.hours(30, all_but())
    assert [f.at - plant.noted["m"].first_at for f in plant.hours(6 + 24, all_but(VOLUME))] == [
        0,
        AGAIN,
        2 * AGAIN,
    ]
    assert plant.hours(1, all_but()) == []
    assert plant.noted == {}
    assert plant.hours(30, all_but()) == []


def test_a_restart_forgets_nothing_and_says_nothing_twice() -> None:
    plant = Plant()
    plant.hours(30, all_but())
    plant.hours(7, all_but(VOLUME))
    plant.start()
    assert plant.hours(3, all_but(VOLUME)) == []
    assert plant.lost() == ["volume"]
    plant.start()
    plant.hours(1, all_but())
    assert plant.noted == {}


def test_it_is_over_also_when_it_came_back_while_we_were_down() -> None:
    plant = Plant()
    plant.hours(30, all_but())
    plant.hours(7, all_but(VOLUME))
    plant.now += HOUR
    plant.read(VOLUME, plant.now)
    plant.start()
    plant.look()
    assert plant.noted == {}


def test_a_second_point_is_told_beside_the_first_and_goes_by_itself() -> None:
    plant = Plant()
    plant.hours(30, all_but())
    plant.hours(7, all_but(VOLUME))
    plant.hours(7, all_but(VOLUME, BATTERY))
    assert plant.lost() == ["battery", "volume"]
    plant.hours(1, all_but(BATTERY))
    assert plant.lost() == ["battery"]


def test_of_many_suspects_registers_are_looked_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silent_points, "_MOST", 1)
    plant = Plant()
    plant.hours(30, lambda _: [BATTERY, RSSI])
    plant.hours(30, all_but())
    plant.hours(6, lambda _: [RSSI])
    assert plant.lost() == ["volume"]
    plant.hours(1, lambda _: [RSSI])
    assert plant.lost() == ["battery", "volume"]


def _battery_once_a_day(now: Ms) -> Iterable[int]:
    return [VOLUME, RSSI, *([BATTERY] if now % DAY == 0 else [])]


def _volume_not_at_night(now: Ms) -> Iterable[int]:
    return [RSSI, *([VOLUME] if now % DAY < 14 * HOUR else [])]


def _volume_on_working_days(now: Ms) -> Iterable[int]:
    return [RSSI, *([VOLUME] if now // DAY % 7 < 5 else [])]


def _by_chance(seed: int) -> Says:
    draw = random.Random(seed)
    return lambda _: [VOLUME, RSSI, *([FLOW] if draw.random() < 0.2 else [])]


def _lossy(seed: int) -> Says:
    """Each in a message of its own, a fifth of which is lost."""
    draw = random.Random(seed)
    return lambda _: [p for p in (VOLUME, BATTERY, RSSI) if draw.random() > 0.2]


@pytest.mark.parametrize(
    "says",
    [
        all_but(BATTERY),  # never sent
        _battery_once_a_day,
        _volume_on_working_days,
        *(_by_chance(seed) for seed in range(3)),
        *(_lossy(seed) for seed in range(3)),
    ],
)
def test_ordinary_life_says_nothing(says: Says) -> None:
    plant = Plant()
    found = plant.hours(24 * 28, says)
    # Of the first two weekends nobody knows yet that they will come again.
    assert [f for f in found if f.at > T + 16 * DAY] == []
    if says is not _volume_on_working_days:
        assert found == []


def test_a_point_that_rests_each_night_is_told_in_the_first_nights_only() -> None:
    plant = Plant()
    found = plant.hours(24 * 28, _volume_not_at_night)
    assert max((f.at for f in found), default=T) < T + 3 * DAY


def test_a_device_that_is_silent_as_a_whole_has_its_alarm_already() -> None:
    plant = Plant()
    plant.hours(30, all_but())
    assert plant.hours(100, lambda _: []) == []
    assert plant.hours(3, all_but(VOLUME)) == []  # it is back, and begins with something else
    assert plant.hours(24, all_but()) == []


def test_our_own_outage_is_one_step_at_most() -> None:
    plant = Plant()
    plant.hours(30, all_but())
    plant.now += 40 * HOUR  # nothing was heard, and some of it comes late and together
    plant.start()
    for back in range(38, 0, -1):
        plant.read(RSSI, plant.now - back * HOUR, plant.now)
    plant.look()
    assert plant.hours(4, all_but(VOLUME)) == []
    assert plant.hours(2, all_but()) == []


def test_how_the_device_is_reached_is_no_sign_of_it() -> None:
    plant = Plant()
    plant.hours(30, lambda _: [VOLUME, ONLINE])
    assert plant.hours(30, lambda _: [ONLINE]) == []


def test_what_a_broker_had_retained_is_no_sign_either() -> None:
    plant = Plant()
    plant.hours(30, all_but())
    for _ in range(30):
        plant.now += HOUR
        plant.read(RSSI, plant.now, quality=Quality.RETAINED)
        plant.read(BATTERY, plant.now, quality=Quality.RETAINED)
        assert plant.look().findings == []


def test_a_suspect_reading_is_a_reading() -> None:
    plant = Plant()
    plant.hours(30, all_but())
    for _ in range(100):
        plant.now += HOUR
        plant.read(VOLUME, plant.now, quality=Quality.SUSPECT)
        plant.read(BATTERY, plant.now)
        plant.read(RSSI, plant.now)
        assert plant.look().findings == []


def test_a_meter_that_sends_its_day_at_once_has_six_days() -> None:
    plant = Plant()

    def day(volume: bool) -> list[Finding]:
        found = plant.hours(24, lambda _: [RSSI])
        for back in range(23, -1, -1) if volume else ():
            plant.read(VOLUME, plant.now - back * HOUR, plant.now + MINUTE)
        return found

    assert [f for _ in range(24) for f in day(True)] == []
    quiet = [f for _ in range(6) for f in day(False)]
    assert quiet == []
    assert day(False)
    assert plant.lost() == ["volume"]
    day(True)
    plant.look()
    assert plant.noted == {}


@pytest.mark.parametrize("hours", [-8, 8])
def test_a_clock_that_is_off_changes_nothing(hours: int) -> None:
    plant = Plant()

    def send(count: int, *points: int) -> None:
        for _ in range(count):
            plant.now += HOUR
            for point in points:
                plant.read(point, plant.now + hours * HOUR, plant.now)
            plant.look()

    send(40, VOLUME, RSSI)
    plant.start()
    send(40, VOLUME, RSSI)
    assert plant.noted == {}
    send(8, RSSI)
    assert plant.lost() == ["volume"]
    plant.start()
    send(2, VOLUME, RSSI)
    assert plant.noted == {}


def test_out_of_service_nothing_is_expected_and_then_anew() -> None:
    plant = Plant()
    plant.hours(30, all_but())
    plant.hours(7, all_but(VOLUME))
    plant.registry.add(replace(METER, status=DeviceStatus.OUT_OF_SERVICE))
    assert plant.hours(30, all_but(VOLUME)) == []
    assert plant.noted == {}
    plant.registry.add(METER)
    assert plant.hours(5, all_but(VOLUME)) == []
    assert len(plant.hours(2, all_but(VOLUME))) == 1


def test_what_the_profile_has_no_more_nobody_expects() -> None:
    plant = Plant()
    plant.hours(30, all_but())
    plant.hours(7, all_but(VOLUME))
    assert plant.lost() == ["volume"]
    plant.made.discard("volume")
    assert plant.hours(30, all_but(VOLUME)) == []
    assert plant.noted == {}


def test_a_point_without_an_interval_that_comes_each_time_is_known_by_its_habit() -> None:
    plant = Plant()
    plant.hours(30, lambda _: [RSSI, FLOW])
    plant.hours(7, lambda _: [RSSI])
    assert plant.lost() == ["flow"]


def test_one_earlier_loss_is_no_habit() -> None:
    plant = Plant()
    plant.hours(24 * 10, all_but())
    plant.hours(30, all_but(VOLUME))
    plant.hours(24 * 3, all_but())
    assert plant.noted == {}
    plant.hours(7, all_but(VOLUME))
    assert plant.lost() == ["volume"]


def test_with_the_store_away_it_is_told_later(monkeypatch: pytest.MonkeyPatch) -> None:
    plant = Plant()
    plant.hours(30, all_but())
    there = plant.store.range

    def away(*_: object) -> object:
        raise Unavailable("away")

    monkeypatch.setattr(plant.store, "range", away)
    with pytest.raises(Unavailable):
        plant.hours(7, all_but(VOLUME))
    monkeypatch.setattr(plant.store, "range", there)
    plant.hours(7, all_but(VOLUME))
    assert plant.lost() == ["volume"]


def test_a_point_that_the_store_cannot_read_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a disk has damaged what it has of that one."""
    plant = Plant()
    plant.hours(30, all_but())
    there = plant.store.range

    def damaged(point: Point, *others: int) -> object:
        if point.id == VOLUME:
            raise Unavailable("malformed")
        return there(point, *others)

    monkeypatch.setattr(plant.store, "range", damaged)
    with pytest.raises(Unavailable):
        plant.hours(7, lambda _: [RSSI])
    for _ in range(7):
        plant.now += HOUR
        plant.read(RSSI, plant.now)
        with contextlib.suppress(Unavailable):
            plant.look()
        plant.now += MINUTE
        plant.look()
    assert plant.lost() == ["battery"]


def test_it_is_looked_for_once_a_minute() -> None:
    plant = Plant()
    assert plant.silent.due(T)
    plant.silent.look(T)
    assert not plant.silent.due(T + MINUTE - 1)
    assert plant.silent.due(T + MINUTE)


def test_many_points_at_once_are_no_work_without_suspects() -> None:
    """What a look costs when all is well is a pass over arrays: the store is not asked."""
    plant = Plant()
    plant.hours(30, all_but())

    def never(*_: object) -> object:
        raise AssertionError

    plant.store.range = never  # type: ignore[method-assign, assignment]
    plant.store.at = never  # type: ignore[method-assign, assignment]
    assert plant.hours(30, all_but()) == []
    assert np.all(plant.live.read_times().received > 0)
