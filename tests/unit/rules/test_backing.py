"""Which feeders a generator stands in for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from tests.unit.duty.duty_room import device

from dutyroom.flows.ground import ground_of
from dutyroom.model.telemetry import PointTable
from dutyroom.rules.backing import backed_in
from dutyroom.rules.kind import Place
from dutyroom.topology import Topology

Feeds = Mapping[str, tuple[str, ...]]


def of(power: Feeds, other: Mapping[str, Feeds] | None = None, **row: str) -> Sequence[str]:
    """Of the generator `set`, beside another one, `set2`."""
    ground = ground_of(Topology({"power": power, **(other or {})}), "UTC")
    sets = {"set": device("set", "generator", **row), "set2": device("set2", "generator")}
    return sorted(backed_in(Place(sets["set"], sets, PointTable(), ground=ground)))


def test_the_row_goes_before_the_topology() -> None:
    assert of({"sw": ("mains", "set")}, backs=" f1, f2 ,") == ["f1", "f2"]
    assert of({"sw": ("mains", "set")}, backs=" , ") == ["mains", "sw"]


@pytest.mark.parametrize("order", [("mains", "set"), ("set", "mains")])
def test_what_meets_its_supply_at_a_switch_and_all_above(order: tuple[str, str]) -> None:
    power = {"sw": order, "load": ("sw",), "mains": ("transformer",), "transformer": ("hv1", "hv2")}
    assert of({**power, "beside": ("mains",), "far": ("other",)}) == [
        "hv1",
        "hv2",
        "mains",
        "sw",
        "transformer",
    ]


def test_through_a_board_of_its_own_to_several_switches() -> None:
    power = {"out": ("set",), "sw1": ("a", "out"), "sw2": ("out", "b"), "pump": ("out",), "sw3": ("c", "d")}
    assert of(power) == ["a", "b", "sw1", "sw2"], "not what is on its board alone, nor a switch of others"


def test_boards_behind_the_switch_are_not_backed() -> None:
    power = {"sw": ("mains", "set"), "b1": ("sw",), "b2": ("sw", "mains"), "load": ("b1",)}
    assert of(power) == ["mains", "sw"]


def test_two_sets_on_one_switch_back_the_mains() -> None:
    assert of({"sw": ("mains", "set", "set2")}) == ["mains", "sw"]
    assert of({"bus": ("set", "set2"), "sw": ("mains", "bus")}) == ["mains", "sw"], "they run in parallel"
    assert of({"o1": ("set",), "o2": ("set2",), "bus": ("o1", "o2"), "sw": ("bus", "mains")}) == [
        "mains",
        "sw",
    ]
    assert of({"sw1": ("a", "set"), "sw2": ("b", "set2")}) == ["a", "sw1"], "each has a part of its own"


@pytest.mark.parametrize(
    "power", [{}, {"load": ("mains",)}, {"load": ("set",)}, {"out": ("set",), "load": ("out",)}]
)
def test_a_topology_that_says_nothing_of_it(power: Feeds) -> None:
    assert of(power) == []


def test_other_utilities_are_not_asked() -> None:
    network = {"network": {"sw": ("gw",), "set": ("gw",), "mains": ("gw2",)}}
    assert of({"sw": ("mains", "set")}, network) == ["mains", "sw"]
    assert of({}, {"network": {"sw": ("set", "gw")}}) == []


def test_a_loop_is_walked_once() -> None:
    assert of({"a": ("set", "b"), "b": ("a",), "c": ("b", "c")}) == ["a", "b"]
