"""Tests beside a rule: what `dutyroom check` says of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests import shipped_profiles

from dutyroom import checks
from dutyroom.checks import check_site

SITE = "id: t\nname: {zh-CN: 测, en: T}\ntime_zone: Asia/Shanghai\n"
BURST = """rules:
  - id: water.burst
    tests:
      - title: half a minute
        readings: [[0s, 0.2], [10s, 6], [25s, 6], [45s, 6], [60s, 0.2], [130s, 0.2]]
        raised: 40s
        cleared: 120s
      - title: two readings are no burst
        readings: [[0s, 6], [10s, 6], [20s, 0.2]]
        raised: never
"""
CUT = """rules:
  - id: power.transfer_late
    parameters: {within: 20s}
    tests:
      - title: the load stays where it was
        readings:
          running: [[0s, 0], [12s, 1]]
          transfer_switch.source: [[0s, 1], [50s, 0], [90s, 2]]
        after: [[3s, 5min]]
        raised: 32s
        cleared: 90s
      - title: it follows in time
        readings: {running: [[0s, 0], [12s, 1]], transfer_switch.source: [[0s, 1], [15s, 2]]}
        after: [[3s, 5min]]
        raised: never
  - id: generator.start_failure
    tests:
      - title: too slow
        readings: {running: [[0s, 0], [50s, 1]]}
        after: [[3s, 5min]]
        raised: 33s
        cleared: 50s
"""
LEAK = """rules:
  - id: water.leak
    tests:
      - title: a day without rest
        interval: 1h
        readings: [{rows}]
        raised: 25h
"""


NIGHTS = """rules:
  - id: water.night_flow
    tests:
      - title: a leak of 60 L/h from the 20th day on
        interval: 1h
        readings: [[0s, 0, 1h, 0.03], [20d, 14.4, 1h, 0.09]]
        until: 24d
        raised: 509h
      - title: a cistern that runs for one night
        interval: 1h
        readings: [[0s, 0, 1h, 0.03], [20d, 14.4, 1h, 0.09], [21d, 16.56, 1h, 0.03]]
        until: 24d
        raised: never
  - id: gas.night_flow
    tests:
      - title: a tap that drips gas
        interval: 1h
        readings: [[0s, 0, 1h, 0], [20d, 0, 1h, 0.012]]
        until: 22d
        raised: 485h
  - id: water.balance
    tests:
      - title: a third of the water never comes to a meter
        interval: 1h
        readings:
          volume: [[0s, 0, 1h, 0.3]]
          water_meter 2.volume: [[10min, 0, 1h, 0.1]]
          water_meter 3.volume: [[20min, 0, 1h, 0.1]]
        until: 5d
        raised: 4340min
      - title: what is read at other minutes is not lost
        interval: 1h
        readings: {volume: [[0s, 0, 1h, 0.2]], water_meter 2.volume: [[10min, 0, 1h, 0.2]]}
        until: 10d
        raised: never
  - id: water.registration
    tests:
      - title: a meter with a wrong multiplier
        interval: 1h
        readings: {volume: [[0s, 0, 1h, 0.2]], water_meter 2.volume: [[10min, 0, 1h, 0.3]]}
        until: 5d
        raised: 4330min
"""


TANKS = """rules:
  - id: tank.level_frozen
    tests:
      - title: from the first day on, while the pump runs
        interval: 10min
        readings: {level: [[0s, 1.5, 10min, 0]], pump.running: [[0s, 1, 10min, 0]]}
        until: 2d
        raised: 24h
      - title: two millimetres an hour for 20 days, then it stands
        interval: 1h
        readings: {level: [[0s, 1.0, 1h, 0.002], [20d, 1.96, 1h, 0]]}
        until: 22d
        raised: 485h
  - id: fire_tank.level_frozen
    tests:
      - title: still water is no frozen sensor
        interval: 1h
        readings: {level: [[0s, 2.4, 1h, 0]]}
        until: 60d
        raised: never
  - id: tank.leak
    tests:
      - title: it sinks by a centimetre an hour with the pump at rest
        interval: 30min
        readings: {level: [[0s, 2.4, 30min, 0], [20d, 2.4, 30min, -0.005]], pump.running: [[0s, 0, 30min, 0]]}
        until: 23d
        raised: 22d
  - id: pump.no_rise
    tests:
      - title: half an hour without a rise
        interval: 1min
        parameters: {fills: tank}
        readings: {running: [[0s, 0, 1min, 0], [30min, 1, 1min, 0]], tank.level: [[10s, 1.0, 1min, 0]]}
        until: 1h
        raised: 3010s
      - title: it fills
        interval: 1min
        parameters: {fills: tank}
        readings: {running: [[0s, 0, 1min, 0], [30min, 1, 1min, 0]], tank.level: [[10s, 1.0, 1min, 0.01]]}
        until: 1h
        raised: never
"""


def said(tmp_path: Path, rules: str) -> list[str]:
    (tmp_path / "site.yaml").write_text(SITE, encoding="utf-8")
    (tmp_path / "rules.yaml").write_text(rules, encoding="utf-8")
    return [str(m).replace(f"{tmp_path}/", "") for m in check_site(tmp_path, tmp_path / "no profiles")]


def of_rules(found: list[str]) -> list[str]:
    return [line for line in found if line.startswith("rules.yaml")]


def test_tests_that_hold_say_nothing(tmp_path: Path) -> None:
    assert of_rules(said(tmp_path, BURST)) == []


def test_a_rule_that_follows_another_one_is_told_when_that_stood(tmp_path: Path) -> None:
    assert of_rules(said(tmp_path, CUT)) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("raised: 32s", "raised: 40s", "rules.yaml:10: rules[0].tests[0].raised: the load stays where it was: raised after 32 s, not after 40 s"),
        ("after: [[3s, 5min]]", "after: [3s]", "rules.yaml:9: rules[0].tests[0].after: must be a list of [from, to], for example [[3s, 5min]]"),
        ("transfer_switch.source", "transfer_swich.source", "there is no device class 'transfer_swich'; did you mean 'transfer_switch'?"),
        ("running: [[0s, 0], [12s, 1]]\n", "walking: [[0s, 0], [12s, 1]]\n", "raised after 23 s, not after 32 s"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_such_a_test_is_named(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert expected in of_rules(said(tmp_path, CUT.replace(old, new, 1)))[0]


def test_a_register_is_written_in_its_unit(tmp_path: Path) -> None:
    rows = ", ".join(f"[{n}h, {10 + n * 0.005:.3f}]" for n in range(30))
    found = of_rules(said(tmp_path, LEAK.replace("{rows}", rows)))
    assert found == [
        "rules.yaml:7: rules[0].tests[0].raised: a day without rest: raised after 86400 s, not after 90000 s"
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("raised: 40s", "raised: 55s", "tests[0].raised: half a minute: raised after 40 s, not after 55 s"),
        (
            "raised: never",
            "raised: 20s",
            "tests[1].raised: two readings are no burst: raised never, not after 20 s",
        ),
        ("raised: 40s", "raised: soon", "'soon' is not a duration"),
        ("[10s, 6], [25s", "[10s], [25s", "['10s'] is not [time, value]"),
        ("[10s, 6], [25s", "[26s, 6], [25s", "their times must rise"),
        ("title: half", "titel: half", "unknown field; did you mean 'title'?"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, expected: str) -> None:
    found = of_rules(said(tmp_path, BURST.replace(old, new, 1)))
    assert len(found) == 1
    assert expected in found[0]


ANYWHERE = """rules:
  - id: own.low
    kind: limit
    name: Low
    select: {select}
    point: level
    parameters: {below: 1}
    ticket: never
    tests:
      - {title: low at once, readings: [[0s, 0.5], [60s, 0.5]], raised: RAISED}
"""


@pytest.mark.parametrize(
    "select", ["{classes: [tank], spaces: [A/1]}", "{devices: [A-tank]}", "{profiles: [a/b]}"]
)
def test_a_rule_for_some_places_devices_or_profiles_is_tried_like_any_other(
    tmp_path: Path, select: str
) -> None:
    rules = ANYWHERE.replace("{select}", select)
    assert not [line for line in of_rules(said(tmp_path, rules.replace("RAISED", "0s"))) if "tests" in line]
    assert "raised after 0 s, not after 5 s" in str(said(tmp_path, rules.replace("RAISED", "5s")))


def test_what_happens_in_the_first_second_is_not_never(tmp_path: Path) -> None:
    rules = ANYWHERE.replace("{select}", "{classes: [tank]}")
    assert (
        "low at once: raised after 0 s, not never"
        in of_rules(said(tmp_path, rules.replace("RAISED", "never")))[0]
    )
    high = rules.replace("RAISED", "0s").replace("0.5", "1.5")
    assert "low at once: raised never, not after 0 s" in of_rules(said(tmp_path, high))[0]


def test_a_rule_on_plans_or_events_has_no_tests(tmp_path: Path) -> None:
    rules = "rules:\n  - id: gate.quiet\n    tests:\n      - {readings: [[0s, 1]], raised: never}\n"
    assert (
        "looks at more than readings (plans, events); it has no tests" in of_rules(said(tmp_path, rules))[0]
    )


EMPTY = """rules:
  - id: pump.dry_run
    tests:
      - title: the tank is empty and the pump goes on
        parameters: {tank: tank}
        devices: {tank: {height: 2.5}}
        readings: {running: [[0s, 1], [60s, 1]], tank.level: [[0s, 0.6], [10s, 0.19], [60s, 0.19]]}
        raised: 20s
  - id: gateway.silent
    tests:
      - title: three of three
        interval: 5min
        readings:
          water_meter 1.volume: [[0s, 1]]
          water_meter 2.volume: [[0s, 1]]
          gas_meter.volume: [[10s, 1]]
        until: 12min
        raised: 690s
      - title: two can fail by chance
        interval: 5min
        readings: {water_meter 1.volume: [[0s, 1]], water_meter 2.volume: [[0s, 1]], gas_meter.volume: [[10s, 1, 5min, 1]]}
        until: 1h
        raised: never
"""


def test_devices_beside_ours_have_parameters_of_their_own(tmp_path: Path) -> None:
    assert of_rules(said(tmp_path, EMPTY)) == []


def test_our_own_device_may_stand_among_the_devices_too(tmp_path: Path) -> None:
    own = EMPTY.replace("        parameters: {tank: tank}\n", "").replace("running:", "pump.running:")
    own = own.replace("devices: {tank:", "devices: {pump: {tank: tank}, tank:")
    assert of_rules(said(tmp_path, own)) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("height: 2.5", "height: 1.5", "raised never, not after 20 s"),
        ("devices: {tank", "devices: {tnak", "the test has no readings of 'tnak'; did you mean 'tank'?"),
        ("devices: {tank: {height: 2.5}}", "devices: [tank]", "devices: must be a mapping: device: {parameter: value}"),
        ("{tank: {height: 2.5}}", "{tank: 2.5}", "devices: must be a mapping: parameter: value"),
        ("gas_meter.volume: [[10s, 1]]", "gas_meter.volume: [[10s, 1], [5min, 2]]", "raised never, not after 690 s"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_devices_beside_ours_is_named(
    tmp_path: Path, old: str, new: str, expected: str
) -> None:
    found = of_rules(said(tmp_path, EMPTY.replace(old, new, 1)))
    assert len(found) == 1
    assert expected in found[0]


def test_weeks_of_readings_and_the_meters_that_a_master_feeds_stand_in_a_row_or_two(tmp_path: Path) -> None:
    assert of_rules(said(tmp_path, NIGHTS)) == []


def test_a_tank_and_its_pumps_stand_beside_each_other(tmp_path: Path) -> None:
    assert of_rules(said(tmp_path, TANKS)) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("raised: 509h", "raised: never", "raised after 1.8324e+06 s, not never"),
        ("[20d, 0, 1h, 0.012]", "[20d, 0, 0s, 0.012]", "every 0 s: a time above 0"),
        ("[20d, 0, 1h, 0.012]", "[20d, 0, 1ms, 0.012]", "not too many"),
        ("[20d, 0, 1h, 0.012]", "[20d, 0, 1h]", "is not [time, value] or [time, value, every, rise]"),
        ("[20d, 0, 1h, 0.012]", "[20d, 0, 1h, a]", "a rise in numbers"),
        (
            "water_meter 2",
            "watermeter 2",
            "there is no device class 'watermeter'; did you mean 'water_meter'?",
        ),
    ],
)
def test_what_is_wrong_with_such_rows_is_named(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert expected in of_rules(said(tmp_path, NIGHTS.replace(old, new, 1)))[0]


def test_a_mistake_in_the_rules_accuses_no_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which parameters the rules ask for is not known then."""
    monkeypatch.setattr(checks, "load_profiles", shipped_profiles.load_profiles)
    rows = "id,class,profile,address,parameters\nm,water_meter,axioma/qalcosonic-w1,70B3D57ED0050041,burst_flow=12\n"
    (tmp_path / "devices.csv").write_text(rows, encoding="utf-8")
    shipped = Path(__file__).parents[3] / "device_profiles"
    (tmp_path / "site.yaml").write_text(SITE, encoding="utf-8")
    (tmp_path / "rules.yaml").write_text(
        "rules:\n  - {id: water.burst, parameters: {abov: 5}}\n", encoding="utf-8"
    )
    found = [str(m) for m in check_site(tmp_path, shipped)]
    assert len(found) == 1
    assert "rules[0].parameters.abov: unknown field" in found[0]
