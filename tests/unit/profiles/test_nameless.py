"""`dutyroom profile try` says which name of an expression had no value."""

from __future__ import annotations

from pathlib import Path

from dutyroom.wiring.profiles import try_profile

TEXT = """
name: A meter
class: electricity_meter
match: {topics: ["m/{id}"]}
identity: "{id}"
parameters: {pt: 1, weight: }
points:
  energy: {value: "e * ct * pt", quantity: energy}
  power: {value: "volts * amps * weight", names: {volts: a.v}, quantity: power}
  ratio: {value: "1 / zero"}
"""


def tried(folder: Path, payload: str, *parameters: str, more: str = "") -> list[str]:
    file = folder / "acme" / "m.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(TEXT + more, encoding="utf-8")
    return [
        line
        for line in try_profile(str(file), payload, topic="m/1", parameters=parameters)
        if "missing" in line or "no value" in line
    ]


def test_the_name_that_nobody_gives_is_told_beside_the_point(tmp_path: Path) -> None:
    told = "neither the message nor the device's parameters have what"
    assert tried(tmp_path, '{"e": 1, "a": {"v": 230}, "amps": 5, "zero": 0}') == [
        "no value energy, power, ratio",
        f"missing  ct: {told} energy is computed from (e * ct * pt)",
        f"missing  weight: {told} power is computed from (volts * amps * weight)",
    ]
    lines = tried(tmp_path, '{"e": 1, "zero": 1}', "ct=40", "weight=2")
    assert lines == [
        "no value power",
        f"missing  amps, volts: {told} power is computed from (volts * amps * weight)",
    ]


def test_of_several_items_a_name_that_some_have_is_not_missing(tmp_path: Path) -> None:
    lines = tried(tmp_path, '{"l": [{"e": 1}, {"e": 2, "ct": 3, "zero": 1}]}', more='each: "l[*]"\n')
    assert lines == [
        "no value power",
        "missing  amps, volts, weight: neither the message nor the device's parameters have what power is computed from "
        "(volts * amps * weight)",
    ]
