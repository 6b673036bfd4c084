"""What flows while all sleep: leaks of risers, and gas where nobody cooks."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dutyroom.model.workdays import Workdays
from dutyroom.rules.learned.least import BESIDE, KEPT, QUARANTINE, Kind, Least
from dutyroom.rules.learned.localtime import LocalTime, weekday_of
from dutyroom.rules.learned.meter import Meter
from dutyroom.rules.learned.night_flow import NightFlow
from dutyroom.timebase import DAY, HOUR, MINUTE, Ms, zone

from .series import BEGIN, LOCAL, Reading, alarms, register

RISER = Meter("water_meter", "riser", LOCAL, 3600, 0.001)
GAS = Meter("gas_meter", "unit", LOCAL, 3600, 0.001)


def house(seed: int, leak: float = 0.0, since: float = 30.0, until: float = 1e9) -> Callable[[Ms], float]:
    """m3 in an hour: 20 to 60 L at night, up to 2 m3 by day."""
    rng = random.Random(seed)

    def flow(at: Ms) -> float:
        usual = rng.uniform(0.02, 0.06) if at % DAY // HOUR < 6 else rng.uniform(0.2, 2.0)
        return usual + (leak if since <= (at - BEGIN) / DAY < until else 0.0)

    return flow


def kitchen(leak: float, since: float) -> Callable[[Ms], float]:
    """m3 in an hour: meals only."""
    return lambda at: (
        (0.2 if at % DAY // HOUR in (7, 12, 19) else 0.0) + (leak if (at - BEGIN) / DAY >= since else 0.0)
    )


def test_a_leak_of_a_riser_is_told_after_its_second_night_and_ends_after_two_quiet_ones() -> None:
    found = alarms(NightFlow(RISER, 0.02), register(house(1, 0.12, 30, 40), 60))
    #  the leak begins at midnight of day 30: nights 30 and 31; it ends at midnight of day 40
    assert found == [("raised", "night_flow", 31.21), ("cleared", "night_flow", 41.21)]


@pytest.mark.parametrize("seed", range(6))
def test_nights_that_differ_by_life_raise_nothing(seed: int) -> None:
    assert alarms(NightFlow(RISER, 0.02), register(house(seed), 120)) == []


def test_one_loud_night_is_a_guest() -> None:
    assert alarms(NightFlow(RISER, 0.02), register(house(2, 0.3, 30, 31), 40)) == []


def test_nothing_is_said_in_the_first_two_weeks() -> None:
    assert alarms(NightFlow(RISER, 0.02), register(house(3, 0.5, 9, 12), 14)) == []


def test_a_leak_is_not_learned_while_it_stands_and_the_next_one_is_seen() -> None:
    usual = house(4)
    leak = lambda at: 0.1 if (at - BEGIN) // DAY in (*range(30, 36), *range(44, 50)) else 0.0  # noqa: E731
    found = alarms(NightFlow(RISER, 0.02), register(lambda at: usual(at) + leak(at), 60))
    assert [what for what, _, _ in found] == ["raised", "cleared"] * 2
    assert found[2][2] == 45.21


def test_what_has_stood_for_two_weeks_is_the_new_normal_but_not_for_gas() -> None:
    bar = alarms(NightFlow(RISER, 0.02, normal=14 * DAY), register(house(5, 0.2), 60))
    assert [what for what, _, _ in bar] == ["raised", "cleared"]
    assert 44 < bar[1][2] < 46.5
    gas = alarms(NightFlow(GAS, 0.005, nights=1), register(kitchen(0.02, 30), 90))
    assert gas == [("raised", "night_flow", 30.21)]


def test_gas_that_flows_through_one_night_where_it_never_did_is_told_in_the_morning() -> None:
    detector = NightFlow(GAS, 0.005, nights=1, cause="gas_night_flow")
    found = alarms(detector, register(kitchen(0.015, 20.5), 22))
    assert found == [("raised", "gas_night_flow", 21.21)]
    assert detector.arguments() == pytest.approx({"flow": 0.015, "usual": 0.0}, abs=1e-4)


def test_gas_below_what_the_register_shows_is_not_guessed() -> None:
    coarse = Meter("gas_meter", "unit", LOCAL, 3600, 0.1)
    assert alarms(NightFlow(coarse, 0.005, nights=1), register(kitchen(0.05, 20), 40, digit=0.1)) == []


def test_a_night_without_readings_neither_raises_nor_ends() -> None:
    def heard(at: Ms) -> bool:
        return not (31 * DAY <= at - BEGIN < 32 * DAY or 36 * DAY <= at - BEGIN < 38 * DAY)

    rows = [(at, value) for at, value in register(house(6, 0.15, 30, 36), 45) if heard(at)]
    found = alarms(NightFlow(RISER, 0.02), rows)
    assert [(what, day) for what, _, day in found] == [("raised", 32.21), ("cleared", 39.21)]


def test_a_bar_that_is_loud_before_days_of_rest_is_known_by_the_calendar() -> None:
    """Nights to Saturday and Sunday are loud, and those of a holiday; not that before a Saturday that is worked."""
    week = Workdays(
        frozenset({date(2026, 4, 6), date(2026, 4, 7)}), frozenset({date(2026, 4, 11), date(2026, 4, 12)})
    )
    meter = Meter("water_meter", "public", LocalTime(zone("Etc/UTC"), week), 3600, 0.001)

    def bar(leak_on: tuple[int, ...]) -> list[Reading]:
        def flow(at: Ms) -> float:
            day, hour = (at - 1) // DAY, (at - 1) % DAY // HOUR
            night = 0.4 if meter.local.rests(day) else 0.02
            return (night if hour < 6 else 1.0) + (0.3 if day - BEGIN // DAY in leak_on else 0.0)

        return list(register(flow, 45))

    assert alarms(NightFlow(meter, 0.02), bar(())) == []
    #  11 and 12 April are the days 41 and 42: 0.32 m3/h are less than a loud night, and much for a working one
    assert alarms(NightFlow(meter, 0.02), bar((41, 42)))[0] == ("raised", "night_flow", 42.21)
    plain = Meter("water_meter", "public", LOCAL, 3600, 0.001)
    assert alarms(NightFlow(plain, 0.02), bar((41, 42)))[:1] != [("raised", "night_flow", 42.21)]


WEDNESDAY = 3


def garden(seed: int, leak: float, since: float) -> Callable[[Ms], float]:
    """A house whose garden is watered in the nights to Wednesdays, 0.6 m3/h."""
    usual = house(seed, leak, since)

    def flow(at: Ms) -> float:
        day, clock = divmod(at - 1, DAY)
        return usual(at) + (0.6 if weekday_of(day) == WEDNESDAY and clock < 6 * HOUR else 0.0)

    return flow


@pytest.mark.parametrize(("first", "told"), [(60, 61), (61, 62), (62, 63), (63, 64), (64, 65), (66, 68)])
def test_a_weekday_that_is_loud_hides_no_leak_on_the_others(first: int, told: int) -> None:
    """0.15 m3/h are a quarter of what the garden takes: two nights in a row, of which none is to Wednesday (day 66)."""
    assert alarms(NightFlow(RISER, 0.02), register(garden(first, 0.0, 99), 80)) == []
    found = alarms(NightFlow(RISER, 0.02), register(garden(first, 0.15, first), 80))
    assert found[:1] == [("raised", "night_flow", told + 0.21)]


def test_a_loud_weekday_is_judged_by_its_own_nights() -> None:
    """Nearly twice the garden's water: told on that Wednesday, where one night is asked for."""
    usual = garden(3, 0.0, 99)

    def flow(at: Ms) -> float:
        return usual(at) + (0.5 if usual(at) > 0.6 and at > BEGIN + 62 * DAY and at % DAY < 6 * HOUR else 0.0)

    found = alarms(NightFlow(RISER, 0.02, nights=1), register(flow, 68))
    assert found[:1] == [("raised", "night_flow", 66.21)]


@pytest.mark.parametrize("dist", ["steady", "any"])
def test_nights_of_weekdays_that_are_all_alike_raise_no_more_than_before(dist: str) -> None:
    """A hundred days each of ten houses whose nights differ by a factor of two, or by a factor of ten."""
    found = 0
    for seed in range(10):
        rng = random.Random(seed)
        night = (
            (lambda r=rng: r.uniform(0.04, 0.08))
            if dist == "steady"
            else (lambda r=rng: r.lognormvariate(-2, 0.6))
        )
        rows = register(lambda at, n=night: n() if at % DAY // HOUR < 6 else 1.0, 100)
        found += len(alarms(NightFlow(RISER, 0.02), rows))
    assert found == 0


def test_a_holiday_has_no_weekday_and_what_was_kept_without_weekdays_is_taken() -> None:
    days = Least(0.02)
    days.begun = 1
    for n in range(40):
        days.note(n * DAY, 0.5 if n % 7 == 0 else 0.05, Kind(False, n % 7 + 1))
    older = Least(0.02)
    older.begun = 1
    for n in range(40):
        older.note(n * DAY, 0.5 if n % 7 == 0 else 0.05, Kind(False))
    taken = Least(0.02)
    taken.unpack(older.pack())
    assert taken.dump() == older.dump()
    for at in (50 * DAY, 51 * DAY):
        days.note(at, 0.3, Kind(False))  # no such weekday: below what working days may come to
        taken.note(at, 0.3, Kind(False, 3))
    assert not days.active
    assert not taken.active
    for at in (52 * DAY, 53 * DAY):
        days.note(at, 0.3, Kind(False, 3))
    assert days.active


def test_a_week_of_holidays_does_not_hide_leaks_behind_a_garden_for_the_month_after_it() -> None:
    """The garden is watered every Wednesday night: 0.4 m3/h; a leak of 0.05 m3/h from five weeks after the holidays on."""
    days = Least(0.02)
    days.begun = 1
    told = []
    for n in range(80):
        weekday, holiday = n % 7 + 1, 35 <= n < 42
        usual = 0.4 if weekday == WEDNESDAY else 0.02
        kind = Kind(holiday or weekday > 5, 0 if holiday and weekday <= 5 else weekday)
        days.note(n * DAY, usual + (0.05 if n >= 63 else 0.0), kind)
        told += [n] if days.active and not told else []
    assert told == [64]


def test_days_beside_the_week_are_forgotten_at_last() -> None:
    days = Least(0.02)
    days.begun = 1
    for n in range(400):
        days.note(n * DAY, 0.02, Kind(False, n % 7 + 1 if n < 100 else 0))
    assert len(days.past) == KEPT + QUARANTINE
    for n in range(400, 500):
        days.note(n * DAY, 0.02, Kind(False, n % 7 + 1 if n % 2 else 0))
    assert len(days.past) == KEPT + QUARANTINE + BESIDE


def test_nights_of_the_calendar() -> None:
    week = Workdays(frozenset({date(2026, 4, 6)}), frozenset({date(2026, 4, 11)}))
    detector = NightFlow(Meter("water_meter", "riser", LocalTime(zone("Etc/UTC"), week), 3600, 0.001), 0.02)
    first = date(2026, 4, 3).toordinal() - date(1970, 1, 1).toordinal()  # a Friday
    kinds = [detector.kind(first + n) for n in range(9)]
    assert kinds == [
        Kind(False, 5), Kind(True, 6), Kind(True, 7), Kind(True), Kind(False, 2), Kind(False, 3), Kind(False, 4),
        Kind(False, 5), Kind(False),
    ]  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 99), st.lists(st.integers(1, 24 * 45), max_size=6), st.floats(0.0, 0.3))
def test_a_restart_at_any_time_changes_nothing(seed: int, cuts: list[int], leak: float) -> None:
    rows = list(register(house(seed, leak, 25, 33), 45))
    whole, parted = NightFlow(RISER, 0.02), NightFlow(RISER, 0.02)
    for number, (at, value) in enumerate(rows):
        whole.read(at, value)
        parted.read(at, value)
        if number in cuts:
            kept, parted = msgspec.msgpack.encode(parted.dump()), NightFlow(RISER, 0.02)
            parted.load(msgspec.msgpack.decode(kept))
        assert (parted.active, parted.arguments()) == (whole.active, whole.arguments())
    assert len(msgspec.msgpack.encode(whole.dump())) < 1024


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 99), st.floats(0.06, 1.0), st.sampled_from([5, 15, 60]))
def test_a_steady_leak_above_the_spread_of_nights_is_found_at_any_interval(
    seed: int, leak: float, minutes: int
) -> None:
    usual, share = house(seed, leak + 0.05, 30), minutes / 60
    meter = Meter("water_meter", "riser", LOCAL, minutes * 60, 0.001)
    rows = register(lambda at: usual(at) * share, 36, minutes * MINUTE)
    assert [what for what, _, _ in alarms(NightFlow(meter, 0.02), rows)] == ["raised"]
