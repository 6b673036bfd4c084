"""What may be asked of the estate, and what is written down of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from dutyroom.errors import Rejected
from dutyroom.wiring.estate import check_scenario
from dutyroom_simulators.estate import make_estate
from dutyroom_simulators.runner import Runner
from dutyroom_simulators.scenarios import BY_ITSELF, LATER, NAMES, SCENARIOS, Record, make_injection
from dutyroom_simulators.world import World

T0 = 1_795_564_800_000
MINUTE = 60_000


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("earthquake", {}, "there is no scenario 'earthquake'; there is burst_pipe, "),
        (
            "burst_pipe",
            {"colour": "red"},
            "burst_pipe has no option 'colour'; it knows device, minutes, flow",
        ),
        ("malformed", {"device": "A-riser"}, "malformed has no option 'device'; it knows none"),
        ("late_batch", {"minutes": "5"}, "late_batch has no option 'minutes'; it knows device"),
        ("entrapment", {"device": "E-lift-1"}, "there is no device 'E-lift-1'"),
        (
            "entrapment",
            {"device": "A-riser"},
            "entrapment cannot happen to 'A-riser'; to A-lift-1, A-lift-2, ",
        ),
        ("feeder_cut", {"minutes": "soon"}, "minutes: 'soon' is not a number"),
        ("feeder_cut", {"minutes": "nan"}, "minutes: nan is not between 1 and 10080"),
        ("feeder_cut", {"minutes": "-5"}, "minutes: -5 is not between 1 and 10080"),
        ("gate_held_open", {"minutes": "2"}, "minutes: 2 is not between 3 and 10080"),
        ("burst_pipe", {"flow": "1"}, "flow: 1 is not between 10 and 100"),
    ],
)
def test_what_cannot_be_played_is_refused_with_a_sentence(
    name: str, options: dict[str, str], sentence: str
) -> None:
    world = World(make_estate(7, 24), Record(), T0)
    with pytest.raises(ValueError, match="^" + re.escape(sentence)) as refused:
        world.inject(name, T0, options)
    assert world.record.injections == []
    with pytest.raises(Rejected) as rejected:  # the page and the command say the same
        check_scenario(name, options, 24)
    assert rejected.value.reason == str(refused.value)


def test_every_scenario_can_be_played_as_it_is() -> None:
    for name in NAMES:
        injection = World(make_estate(7, 24), Record(), T0).inject(name, T0)
        assert (injection.device, injection.until - T0) == (SCENARIOS[name].device, SCENARIOS[name].last)
        assert SCENARIOS[name].last == 0 or SCENARIOS[name].last >= SCENARIOS[name].least


def test_on_another_device_for_longer() -> None:
    world = World(make_estate(7, 24), Record(), T0)
    injection = world.inject("gateway_offline", T0, {"device": "lora-gateway", "minutes": "7.5"})
    assert (injection.device, injection.until) == ("lora-gateway", T0 + 450_000)
    assert injection.truth()["expect"] == {
        "alarms": [{"rule": "gateway.offline", "device": "lora-gateway"}],
        "tickets": 1,
        "findings": [],
    }


def test_what_is_being_played_is_not_played_twice() -> None:
    world = World(make_estate(7, 24), Record(), T0)
    world.inject("burst_pipe", T0)
    with pytest.raises(ValueError, match="burst_pipe is being played on A-riser already"):
        world.inject("burst_pipe", T0 + MINUTE)
    world.inject("burst_pipe", T0 + MINUTE, {"device": "B-riser"})
    world.inject("burst_pipe", T0 + 9 * MINUTE)


def test_the_ground_truth_is_written_before_anything_happens(tmp_path: Path) -> None:
    world = World(make_estate(7, 24), Record(tmp_path / "estate"), T0)
    world.inject("generator_start_failure", T0, {"minutes": "4"})
    (line,) = (tmp_path / "estate" / "ground-truth.jsonl").read_text("utf-8").splitlines()
    assert json.loads(line) == {
        "scenario": "generator_start_failure",
        "device": "C-feeder",
        "from": T0,
        "to": T0 + 4 * MINUTE,
        "settled": T0 + 14 * MINUTE,
        "expect": {
            "alarms": [
                {"rule": "power.mains_lost", "device": "C-feeder"},
                {"rule": "generator.start_failure", "device": "generator"},
            ],
            "tickets": 2,
            "findings": [],
        },
    }
    again = World(make_estate(7, 24), Record(tmp_path / "estate"), T0)
    assert again.record.injections == world.record.injections
    assert again.dead_feeders(T0 + MINUTE) == {"C-feeder"}


# ---------------------------------------------------------------- by itself, and by request


class Recording(World):
    def __init__(self) -> None:
        super().__init__(make_estate(7, 24), Record(), T0)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"\xff\x00", "cannot play that: "),
        (b"[]", 'expected {"scenario": name, "options": {...}}'),
        (b'{"scenario": 7}', "expected"),
        (b'{"scenario": "fire_alarm", "options": [1]}', "options: expected names and values"),
        (
            b'{"scenario": "fire_alarm", "options": {"device": "A-riser"}}',
            "fire_alarm cannot happen to 'A-riser'",
        ),
    ],
)
def test_a_request_that_is_wrong_is_said_and_ends_nothing(
    body: bytes, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world = Recording()
    runner = Runner(world, "127.0.0.1", 9, _Still(), by_itself=False)
    runner._play(body, T0)
    assert said in capsys.readouterr().out
    runner._play(b'{"scenario": "fire_alarm"}', T0)
    assert [i.scenario for i in world.record.injections] == ["fire_alarm"]


class _Still:
    def now(self) -> int:
        return T0


def test_something_happens_in_the_first_two_minutes_and_nothing_spoils_the_test_run() -> None:
    plan = [(second * 1000, SCENARIOS[name]) for second, name in BY_ITSELF]
    assert [name for second, name in BY_ITSELF if second <= 60] == ["burst_pipe", "elevator_fault"]
    assert [at for at, _ in plan] == sorted(at for at, _ in plan)
    (test,) = [at for at, scenario in plan if scenario.name == "generator_test"]
    assert 10 * MINUTE < test < 15 * MINUTE  # it falls due at the tenth
    for at, scenario in plan:
        if any(rule == "power.mains_lost" for rule, _ in scenario.alarms):
            assert at + scenario.last < test


def test_what_comes_back_every_while_hits_the_same_places() -> None:
    """So the screen never fills: a repeated scenario raises the alarm that it raised before."""
    assert set(LATER) <= set(NAMES)
    places = {
        (rule, device or SCENARIOS[name].device) for name in LATER for rule, device in SCENARIOS[name].alarms
    }
    assert len(places) <= len(LATER)
    assert all(SCENARIOS[name].last + SCENARIOS[name].settle <= 40 * MINUTE for name in LATER)


def test_an_injection_needs_no_estate_to_be_checked() -> None:
    options: dict[str, Any] = {"device": "anything"}
    assert make_injection("entrapment", T0, options).device == "anything"
