"""What an alarm is called in the files of a backtest."""

from __future__ import annotations

import pytest

from dutyroom.flows.alarm_kinds import accepted, family_of, kind_of


@pytest.mark.parametrize(
    ("rule", "cause", "kind", "family"),
    [
        ("water.balance", "balance_loss", "leak", "water_leak"),
        ("water.registration", "balance_surplus", "meter_fault", "meter_fault"),
        ("meter.burst_flag", "", "burst", "water_leak"),
        ("sensor.second_leak", "", "water_leak", "water_leak"),
        ("tank.level_frozen", "level_frozen", "flatline", "meter_fault"),
        ("tank.leak", "level_leak", "leak", "water_leak"),
        ("pump.no_rise", "pump_no_rise", "pump_failure", "power"),
        ("water.home_leak", "burst", "burst", "water_leak"),
        ("fire.offline", "", "offline", "offline"),
        ("gate.forced", "", "gate_forced", ""),
    ],
)
def test_a_kind_of_a_family(rule: str, cause: str, kind: str, family: str) -> None:
    assert kind_of(rule, {"cause": cause} if cause else {}) == kind
    assert family_of(kind) == family
    assert accepted(kind, family, "") or not family
