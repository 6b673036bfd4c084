"""What feeds what."""

from __future__ import annotations

import pytest

from dutyroom.topology import Topology, check, downstream, explains, inferred

POWER = Topology(
    {
        "power": {
            "board": ("feeder",),
            "lift": ("board",),
            "pump": ("board", "feeder2"),
            "gw": ("board",),
            "a": ("b",),
            "b": ("a",),
        }
    }
)


@pytest.mark.parametrize(
    ("device", "roots", "root"),
    [
        ("lift", {"feeder"}, "feeder"),
        ("lift", {"board"}, "board"),
        ("lift", {"board", "feeder"}, "board"),
        ("lift", {"feeder2"}, None),
        ("lift", {"lift"}, None),
        ("pump", {"feeder"}, None),
        ("pump", {"feeder", "feeder2"}, "feeder"),
        ("feeder", {"feeder"}, None),
        ("board", {"feeder"}, "feeder"),
        ("nobody", {"feeder"}, None),
        ("a", {"feeder"}, None),
    ],
)
def test_a_device_is_dead_when_all_its_feeds_are(device: str, roots: set[str], root: str | None) -> None:
    assert explains(POWER, "power", device, roots) == root
    assert explains(POWER, "water", device, roots) is None


def test_everything_downstream() -> None:
    assert downstream(POWER, "power", "feeder") == {"board", "lift", "pump", "gw"}
    assert downstream(POWER, "power", "a") == {"b"}


def test_a_root_is_inferred_only_when_it_is_silent_with_most_of_what_hangs_on_it_alone() -> None:
    topology = Topology({"network": {**{f"m{n}": ("gw",) for n in range(10)}, "dual": ("gw", "gw2")}})
    silent = {f"m{n}" for n in range(8)}
    assert inferred(topology, "network", {*silent, "gw"}) == ["gw"]
    assert inferred(topology, "network", silent) == []
    assert inferred(topology, "network", {"m0", "m1", "gw"}) == []
    assert inferred(topology, "network", {*sorted(silent)[:7], "gw"}) == []


def test_mistakes_are_sentences() -> None:
    assert check(POWER) == ["power: a -> b -> a is a loop"]
    assert check(Topology({"water": {"x": ("x",)}})) == ["water: x -> x is a loop"]
    problems = check(Topology({"water": {"meter": ("main",)}}), {"meter"})
    assert problems == ["water: main is not a device"]
