"""What feeds what."""

from __future__ import annotations

import pytest

from dutyroom.topology import Topology, check, downstream, explains, sole_below, sole_fed, upstream

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


def test_what_hangs_on_one_feed_alone_and_all_that_is_above() -> None:
    assert sole_fed(POWER, "power", "board") == ["lift", "gw"]
    assert upstream(POWER, "power", "lift") == {"board", "feeder"}
    assert upstream(POWER, "power", "a") == {"b"}
    assert sole_below(POWER, "power", "feeder") == ["board", "gw", "lift"]
    assert sole_below(POWER, "power", "a") == ["b"]


def test_mistakes_are_sentences() -> None:
    assert check(POWER) == ["power: a -> b -> a is a loop"]
    assert check(Topology({"water": {"x": ("x",)}})) == ["water: x -> x is a loop"]
    problems = check(Topology({"water": {"meter": ("main",)}}), {"meter"})
    assert problems == ["water: main is not a device"]
