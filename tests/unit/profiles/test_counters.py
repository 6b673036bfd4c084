"""When a register begins again at 0: widths of binary counters, what resets them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.unit.profiles.test_decode import library, readings, send
from tests.unit.profiles.test_loading import mistakes

from dutyroom.flows.points import declared, with_steps_kept
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import DeviceClass, Point, PointSpec, PointTable, Quality, Reading
from dutyroom.profiles.decode import Decoded, Library
from dutyroom.profiles.meter import PARAMETER, Meter

PULSES = """
class: water_meter
match: {topics: ["pulse/{id}"]}
identity: "{id}"
points:
  volume: {from: total, quantity: volume, unit: L, kind: counter, step: 0.001, wrap: u32}
"""
OF_A_SIZE = PULSES.replace("class: water_meter", "class: water_meter\nparameters: {size: 1}").replace(
    "unit: L", "unit: L, scale: size"
)


def device(**more: object) -> Device:
    return Device("s", "w", "W", "water_meter", "acme/m0", "7", "A", **more)  # type: ignore[arg-type]


def spec(lib: Library, **more: object) -> PointSpec:
    (found,) = declared(device(**more), lib)
    return found


@pytest.mark.parametrize(
    ("change", "to", "steps"),
    [
        ("wrap: u32", "wrap: u32", 2**32),
        ("wrap: u32", "wrap: u24", 2**24),
        ("wrap: u32", "wrap: u16", 2**16),
        ("wrap: u32", "wrap: 1000000", 10**6),
        ("unit: L", "unit: L, scale: 10", 2**32 * 10),
        ("unit: L", "unit: L, scale: 0.5", 2**31),
        ("step: 0.001", "step: 0.0001", 2**32 * 10),
    ],
)
def test_the_width_in_steps(change: str, to: str, steps: int) -> None:
    found = spec(library(PULSES.replace(change, to)))
    assert (found.wrap, found.modulus, found.digits) == (steps, steps, None)


@pytest.mark.parametrize(
    ("change", "to", "told"),
    [
        ("wrap: u32", "wrap: u33", "points.volume.wrap: 'u33' is not "),
        ("wrap: u32", "wrap: 1", "points.volume.wrap: must be a whole number from 2"),
        ("wrap: u32", "wrap: 2.5", "points.volume.wrap: must be a whole number from 2"),
        ("wrap: u32", "wrap: u32, digits: 8", "points.volume.wrap: not together with digits"),
        ("wrap: u32", "wrap: u32, offset: 4", "points.volume.wrap: not together with offset"),
        ("wrap: u32", "wrap: u32, unit_from: u", "points.volume.wrap: not together with unit_from"),
        ("unit: L", "unit: ft3", "4294967296 counts of the payload are no whole number of steps of 0.001"),
        ("unit: L", "unit: L, scale: -1", "4294967296 counts of the payload are no whole number of steps"),
        (
            "step: 0.001",
            "step: 0.000000000001",
            "4294967296 counts of the payload are no whole number of steps",
        ),
        ("kind: counter, step: 0.001,", "", "points.volume.wrap: only a counter wraps or resets"),
    ],
)
def test_what_cannot_be_exact_is_named(change: str, to: str, told: str) -> None:
    assert change in PULSES
    assert any(told in m for m in mistakes(PULSES.replace(change, to)))


def test_the_highest_count_is_a_register_and_what_is_above_is_suspect() -> None:
    outcome = send(library(PULSES), "pulse/7", {"total": 2**32 - 1})
    assert readings(outcome) == {("7", "volume"): 2.0**32 - 1}
    above = send(library(PULSES), "pulse/7", {"total": 2**32})
    assert isinstance(above, Decoded)
    assert [(r.quality, kind) for r, (kind, _, _) in zip(above.readings, above.findings, strict=True)] == [
        (Quality.SUSPECT, "out_of_range")
    ]


def test_the_last_part_of_a_step_is_rounded_to_the_next_turn() -> None:
    lib = library(PULSES.replace("unit: L", "unit: L, scale: 0.5").replace("u32", "u16"))
    found = [readings(send(lib, "pulse/7", {"total": n}))["7", "volume"] for n in (65_534, 65_535, 0, 1, 2)]
    assert found == [32_767, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("size", "steps"),
    [(1, 2**16), (10, 655_360), (0.5, 32_768), ("2.5", 163_840), ("1e9", 65_536 * 10**9), (0.3, None),
     (0, None), (-1, None), ("much", None), ("1e-400", None), ("nan", None), (True, None)],
)  # fmt: skip
def test_a_pulse_of_a_device_s_own_size_says_when_its_counter_wraps(size: object, steps: int | None) -> None:
    lib = library(OF_A_SIZE.replace("u32", "u16"))
    own = {"size": size}
    assert spec(lib, parameters=own).wrap == steps
    outcome = send(lib, "pulse/7", {"total": 65_535}, {("acme/m0", "7"): own})
    assert isinstance(outcome, Decoded)
    assert all(reading.spec.wrap == steps for reading in outcome.readings)  # as its point is declared
    assert steps is None or outcome.findings == []


def test_devices_of_one_profile_have_each_their_own() -> None:
    lib = library(OF_A_SIZE)
    registry = {("acme/m0", "7"): {"size": 10}, ("acme/m0", "8"): {}}
    for name, wrap in (("7", 2**32 * 10), ("8", 2**32), ("7", 2**32 * 10)):
        outcome = send(lib, f"pulse/{name}", {"total": 5}, registry)
        assert isinstance(outcome, Decoded)
        assert [r.spec.wrap for r in outcome.readings] == [wrap]


@pytest.mark.parametrize(
    ("own", "wrap", "digits", "step"),
    [
        ({"digits": 6}, None, 6, "0.001"),
        ({"resolution": Decimal("0.0001")}, 2**32 * 10, None, "0.0001"),
        ({"resolution": Decimal("0.003")}, None, None, "0.003"),  # no whole number of steps: not known
    ],
)
def test_a_meter_s_own_register_counts_before_the_profile_s(
    own: dict[str, object], wrap: int | None, digits: int | None, step: str
) -> None:
    lib = library(PULSES)
    declared_one = spec(lib, **own)
    assert (declared_one.wrap, declared_one.digits, declared_one.step) == (wrap, digits, Decimal(step))
    text = Meter("volume", **own).parameter()  # type: ignore[arg-type]
    outcome = send(lib, "pulse/7", {"total": 5}, {("acme/m0", "7"): {PARAMETER: text}})
    assert isinstance(outcome, Decoded)
    assert [(r.spec.wrap, r.spec.digits, r.spec.step) for r in outcome.readings] == [
        (wrap, digits, Decimal(step))
    ]


def test_a_history_of_differences_goes_back_over_the_wrap() -> None:
    lib = library(
        PULSES.replace("from: total", 'each: "log[*]", from: used, sum: {from: total, direction: down}')
    )
    outcome = send(lib, "pulse/7", {"total": 5, "log": [{"used": 3}, {"used": 4}]})
    assert isinstance(outcome, Decoded)
    assert [r.value for r in outcome.readings] == [2, 2**32 - 2]
    assert outcome.findings == []


@pytest.mark.parametrize(
    ("old", "digits", "wrap"),
    [
        ({"digits": 8, "step": Decimal("0.01")}, 8, None),  # 2**32 litres are no whole number of them
        ({"digits": 8, "step": Decimal("0.0001")}, None, 2**32 * 10),
        ({"wrap": 2**16, "step": Decimal("0.01")}, None, 2**16),
    ],
)
def test_a_point_that_keeps_its_steps_learns_when_they_wrap(
    old: dict[str, object], digits: int | None, wrap: int | None
) -> None:
    new = spec(library(PULSES))
    kept = PointSpec(new.name, new.quantity, new.unit, new.kind, **old)  # type: ignore[arg-type]
    table = PointTable([Point(1, "s", "w", DeviceClass.WATER_METER, "A", kept)])
    store, _ = with_steps_kept(
        [(device(), new)], table, lambda points: {p.id: Reading(p.id, 0, 0.0) for p in points}
    )
    found = [s for _, s in store] or [kept]  # nothing to store: it stays
    assert [(s.step, s.digits, s.wrap) for s in found] == [(old["step"], digits, wrap)]


# ---------------------------------------------------------------- resets

DAILY = PULSES.replace("wrap: u32", "resets: true")
TOLD = PULSES.replace("wrap: u32", "wrap: u32, reset_when: {power_on: true}")


def resets_of(outcome: object) -> list[tuple[str, str, str]]:
    assert isinstance(outcome, Decoded)
    return [(e.address, e.spec.name, e.code) for e in outcome.events]


def test_a_counter_that_starts_again_by_design() -> None:
    lib = library(DAILY)
    assert (spec(lib).resets, spec(lib).modulus) == (True, None)
    own = spec(lib, digits=8, resolution=Decimal("0.1"))  # a device's row makes no register of it either
    assert (own.resets, own.modulus, own.step) == (True, None, Decimal("0.001"))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("resets: true, digits: 8", "points.volume.resets: not together with digits"),
        (
            "resets: true, wrap: u32",
            "points.volume.resets: not together with wrap: a counter that starts again",
        ),
        ("resets: true, reset_when: {a: 1}", "points.volume.resets: not together with reset_when"),
        ("resets: often", "points.volume.resets: must be true or false"),
        ("reset_when: yes", "points.volume.reset_when: must be a mapping"),
        ("reset_when: {a: {abov: 1}}", "points.volume.reset_when.a.abov: unknown field"),
    ],
)
def test_what_contradicts_a_reset_is_named(change: str, told: str) -> None:
    assert any(told in m for m in mistakes(PULSES.replace("wrap: u32", change)))
    gauge = PULSES.replace("kind: counter, step: 0.001, wrap: u32", "resets: true")
    assert any("points.volume.resets: only a counter wraps or resets" in m for m in mistakes(gauge))


def test_a_reset_that_the_device_tells_is_an_event_of_the_counter() -> None:
    lib = library(TOLD)
    seven = [("7", "volume", "counter_reset")]
    assert resets_of(send(lib, "pulse/7", {"total": 3, "power_on": True})) == seven
    assert resets_of(send(lib, "pulse/7", {"power_on": True})) == seven  # the counter comes later
    assert resets_of(send(lib, "pulse/7", {"total": None, "power_on": True})) == seven
    assert resets_of(send(lib, "pulse/7", {"total": 3, "power_on": False})) == []
    assert resets_of(send(lib, "pulse/7", {"total": 3})) == []
    assert readings(send(lib, "pulse/7", {"total": 3, "power_on": True})) == {("7", "volume"): 3.0}


def test_an_invalid_counter_tells_no_reset() -> None:
    lib = library(TOLD.replace("reset_when", "when: {ok: 1}, reset_when"))
    assert resets_of(send(lib, "pulse/7", {"total": 3, "power_on": True, "ok": 0})) == []


def test_an_element_of_a_history_tells_when_it_was() -> None:
    lib = library(TOLD.replace("from: total", 'each: "log[*]", from: total, time: t'))
    log = [
        {"total": 9, "t": "2026-10-31T23:00:00Z"},
        {"total": 1, "power_on": True, "t": "2026-10-31T23:30:00Z"},
    ]
    outcome = send(lib, "pulse/7", {"log": log})
    assert isinstance(outcome, Decoded)
    assert [(e.at, e.code) for e in outcome.events] == [(outcome.readings[1].at, "counter_reset")]


def test_every_channel_tells_of_its_own() -> None:
    lib = library(
        TOLD.replace("volume:", '"volume_{n}":')
        .replace("from: total", 'from: "channels.{n}"')
        .replace("{power_on: true}", '{"{n}": b}')
    )
    outcome = send(lib, "pulse/7", {"channels": {"a": 5, "b": 6}})
    assert resets_of(outcome) == [("7", "volume_b", "counter_reset")]
    assert set(readings(outcome)) == {("7", "volume_a"), ("7", "volume_b")}
