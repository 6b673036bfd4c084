"""The watch ends at random points, 200 of them by `python -m tests.chaos.long`: the same alarms, tickets and messages."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from tests.chaos.watched import WRITES, Counting, Day

from dutyroom.flows import watch as watching

ENDS = int(os.environ.get("DUTYROOM_KILLS", "12"))
SEED = int(os.environ.get("DUTYROOM_CHAOS_SEED", "1"))
APART = {False: 700, True: 40}  # steps, and steps that write, between two ends, on average
Outcome = Mapping[str, Sequence[object]]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    day = Day(tmp_path_factory.mktemp("undisturbed"))
    assert day.play() == 0
    found = day.outcome()
    day.close()
    return found


def test_the_undisturbed_day_is_what_the_duty_log_says(undisturbed: Outcome) -> None:
    assert [row[0] for row in undisturbed["tickets"]] == [  # type: ignore[index]
        "elevator.entrapment|lift3",
        "elevator.offline|lift1",
        "feeder.offline|mute",
        "fire.alarm|panel",
        "gate.held_open|gate",
        "gate.held_open|gate2",
        "generator.fault|gen",
        "generator.start_failure|gen2",
        "power.mains_lost|mains",
        "power.transfer_late|gen",
        "water.burst|riser",
    ]
    assert undisturbed["lists"]
    assert undisturbed["twice"] == []


def test_a_process_that_ends_anywhere_loses_nothing_and_says_nothing_twice(
    undisturbed: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With snapshots every 90 s, so that ends fall before and behind one."""
    monkeypatch.setattr(watching, "_SNAPSHOT_EVERY", 40)
    monkeypatch.setattr(watching, "_SNAPSHOT_AGE", 90_000)
    dice, ends, where, days = random.Random(SEED), 0, Counter[str](), 0

    def next_end(count: Counting) -> None:
        """Every other time, about, at a step that writes: they are few."""
        writes = dice.random() < 0.5
        count.end_at = count.end_at_write = -1
        if writes:
            count.end_at_write = count.writes + dice.randrange(1, 2 * APART[True])
        else:
            count.end_at = count.steps + dice.randrange(1, 2 * APART[False])

    while ends < ENDS:
        day = Day(tmp_path / f"day-{days}", next_end)
        ends += day.play()
        days += 1
        found = day.outcome()
        day.close()
        where.update(day.count.where)
        for name, wanted in undisturbed.items():
            assert found[name] == wanted, f"day {days}: {name}; the process ended at {day.count.where}"
    inside = sum(many for what, many in where.items() if what.startswith(WRITES[:4]))
    print(
        f"{ends} ends on {days} days, {inside} of them in a transaction that had written: {dict(where.most_common())}"
    )
    assert ends >= ENDS
