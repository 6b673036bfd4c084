"""Which meters measure the same twice."""

from __future__ import annotations

from dutyroom.flows.meter_levels import levels
from dutyroom.model.duty import Device, DeviceStatus
from dutyroom.topology import Topology

T = 1_793_491_200_000


def meter(id: str, space: str = "A/1", use: str = "", kind: str = "water_meter", **more: object) -> Device:
    parameters = {"use": use} if use else {}
    return Device("estate", id, id, kind, "some/meter", id, space, parameters, **more)  # type: ignore[arg-type]


def told(devices: list[Device], **feeds: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """top, end, both or none of each meter."""
    found = {}
    for line in levels("estate", devices, Topology(feeds), T):
        assert (line.tags["any"], line.at, line.tags["site"]) == ("yes", T, "estate")
        which = [name for name in ("top", "end") if line.tags[name] == "yes"]
        found[line.tags["device"]] = " ".join(which)
    return found


def test_what_is_drawn_is_followed_through_what_is_no_meter() -> None:
    devices = [meter(n) for n in ("main", "riser", "a", "b", "alone")] + [meter("valve", kind="other")]
    drawn = {"riser": ("main",), "valve": ("riser",), "a": ("valve",), "b": ("main",)}
    wanted = {"main": "top", "riser": "", "a": "end", "b": "end", "alone": "top end"}
    assert told(devices, water=drawn) == wanted


def test_a_meter_of_something_else_or_a_gateway_is_not_above() -> None:
    devices = [meter("w"), meter("e", kind="electricity_meter"), meter("g", kind="gas_meter")]
    drawn = {"w": ("e",), "g": ("w",)}
    assert told(devices, power=drawn, water=drawn, network={"w": ("g",)}) == dict.fromkeys("weg", "top end")


def test_a_loop_and_a_device_that_is_not_there_end_the_walk() -> None:
    drawn = {"a": ("b",), "b": ("a", "gone")}
    assert set(told([meter("a"), meter("b")], water=drawn)) == {"a", "b"}


def test_a_master_below_which_nothing_is_drawn_stands_for_its_building() -> None:
    devices = [meter("main", "A/plant", "master"), meter("a", "A/1/101"), meter("b", "B/1/101")]
    assert told(devices) == {"main": "top", "a": "end", "b": "top end"}
    assert told([meter("main", "", "master"), *devices[1:]]) == {"main": "top", "a": "end", "b": "end"}
    two = [*devices, meter("fire", "A/plant", "master")]
    assert told(two) == {"main": "top", "fire": "top", "a": "end", "b": "top end"}


def test_a_master_with_meters_drawn_below_it_stands_for_these_alone() -> None:
    devices = [meter("main", "A/plant", "master"), meter("a", "A/1/101"), meter("cellar", "A/0")]
    assert told(devices, water={"a": ("main",)}) == {"main": "top", "a": "end", "cellar": "top end"}


def test_what_was_withdrawn_and_what_is_no_meter_have_no_line() -> None:
    devices = [meter("old", status=DeviceStatus.WITHDRAWN), meter("a"), meter("p", kind="pump")]
    assert told(devices, water={"a": ("old",)}) == {"a": "top end"}


def test_a_large_site_takes_no_time() -> None:
    devices = [meter("main", "A/plant", "master"), *(meter(f"m{n}", "A/1") for n in range(20_000))]
    assert sum(level == "end" for level in told(devices).values()) == 20_000
