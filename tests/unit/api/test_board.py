"""What the wall board computes: use from registers, what a tile says, the duty log, plans put together."""

from __future__ import annotations

import numpy as np
import pytest
from tests.acceptance.pages_harness import SITE
from tests.unit.api.conftest import House

from dutyroom.api.board import _said, passed, use_between
from dutyroom.api.stream import presenter
from dutyroom.api.wall import duty_notes
from dutyroom.model.telemetry import Event
from dutyroom.timebase import HOUR, MINUTE

MARKS = np.arange(0, 5) * 30 * MINUTE


def test_readings_by_the_hour_and_by_the_minute_give_the_same_curve() -> None:
    hourly = np.arange(0, 3) * HOUR
    minutely = np.arange(0, 121) * MINUTE
    for at in (hourly, minutely):
        assert use_between(at, at / HOUR * 6.0, MARKS) == pytest.approx([3.0] * 4)
    mixed = np.concatenate([hourly[:2], np.arange(61, 121) * MINUTE])
    assert use_between(mixed, mixed / HOUR * 6.0, MARKS) == pytest.approx([3.0] * 4)


def test_a_gap_stays_a_gap_and_a_register_that_fell_says_nothing() -> None:
    at = np.array([0, 30, 30 + 125, 200]) * MINUTE
    marks = np.arange(0, 6) * 30 * MINUTE
    assert use_between(at, np.array([0.0, 1, 5, 9]), marks) == [1.0, None, None, None, None]
    at = np.arange(0, 5) * 30 * MINUTE
    assert use_between(at, np.array([10.0, 11, 2, 3, 4]), MARKS) == [1.0, None, 1.0, 1.0]
    assert use_between(at[:1], np.array([1.0]), MARKS) == [None] * 4


def test_the_running_half_hour_counts_up_to_its_newest_reading() -> None:
    at = np.array([0, 30, 45]) * MINUTE
    assert use_between(at, np.array([0.0, 2.0, 3.0]), MARKS[:3]) == [2.0, 1.0]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({}, []),
        ({"Burst pipe": 1}, ["Burst pipe"]),
        ({"Burst pipe": 4, "Leak": 1, "Silent": 2}, ["Burst pipe 4", "+3"]),
    ],
)
def test_a_tile_names_the_worst_alarm_and_counts_the_others(names: dict[str, int], said: list[str]) -> None:
    assert _said(names) == said


def test_the_duty_log_tells_what_people_did(house: House) -> None:
    operator = house.person("operator")
    api = f"/api/v1/sites/{SITE}"
    assert operator.post(f"{api}/alarms/1/note", json={"reason": "on the way"}).status_code == 200
    shown = presenter(house.app.state.room, house.estate.runtime, "en")
    with house.estate.records.read() as tx:
        notes = duty_notes(tx, shown)
    assert (notes[0]["done"], notes[0]["said"], notes[0]["actor"]) == ("Note", "on the way", "operator")
    assert "on the way" in operator.get(f"/sites/{SITE}/wall").text


@pytest.mark.parametrize(
    ("code", "granted", "counts"),
    [
        ("passage", {"granted": True}, True),
        ("passage", {}, True),  # a terminal that tells of passages only
        ("passage", {"granted": False}, False),  # a card refused
        ("door", {"granted": False}, False),  # opened, closed: the same person once more
        ("refused", {}, False),
    ],
)
def test_only_a_passage_is_counted_as_one(code: str, granted: dict[str, bool], counts: bool) -> None:
    assert passed(Event(1, 0, "1", code, granted, 0)) is counts
