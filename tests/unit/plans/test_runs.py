"""What telemetry proves of a generator test run, and what becomes of an occurrence."""

from __future__ import annotations

from datetime import date, time

import numpy as np
import pytest

from dutyroom.model.duty import (
    Occurrence,
    OccurrenceState,
    Priority,
    Ticket,
    TicketKind,
    TicketState,
)
from dutyroom.model.telemetry import Series
from dutyroom.plans import Plan, Proof, Run, Schedule, proves, runs, verdict
from dutyroom.timebase import DAY, MINUTE, from_iso, zone

TZ = zone("Asia/Shanghai")
DUE = from_iso("2026-10-16T10:00", TZ)
S = OccurrenceState


def series(*pairs: tuple[float, float]) -> Series:
    """(minute, value) pairs."""
    at = np.array([int(minute * MINUTE) for minute, _ in pairs], dtype=np.int64)
    value = np.array([value for _, value in pairs], dtype=np.float64)
    return Series(1, at, value, np.zeros(len(pairs), dtype=np.uint8))


def every_minute(first: int, last: int, value: float) -> list[tuple[float, float]]:
    return [(float(m), value) for m in range(first, last)]


def minutes(found: list[Run]) -> list[tuple[float, float, float]]:
    return [(run.start / MINUTE, run.end / MINUTE, run.loaded_minutes) for run in found]


@pytest.mark.parametrize(
    ("running", "power", "expected"),
    [
        pytest.param(
            [*every_minute(0, 5, 0), *every_minute(5, 40, 1), *every_minute(40, 45, 0)],
            [*every_minute(0, 7, 0), *every_minute(7, 38, 80), *every_minute(38, 45, 0)],
            [(5, 40, 31)],
            id="warm-up and cool-down belong to the run, not to its load",
        ),
        pytest.param(
            [*every_minute(0, 35, 1), (35, 0)],
            every_minute(0, 36, 0),
            [(0, 35, 0)],
            id="ran without load",
        ),
        pytest.param(
            [*every_minute(0, 20, 1), *every_minute(50, 70, 1), (70, 0)],
            [*every_minute(0, 20, 80), *every_minute(50, 71, 80)],
            [(0, 19, 19), (50, 70, 20)],
            id="a gap in the data breaks a run",
        ),
        pytest.param(
            [(0, 1), (30, 0)],
            every_minute(0, 31, 80),
            [(0, 30, 30)],
            id="a state that comes on change only: the power shows that it is there",
        ),
        pytest.param(
            every_minute(0, 31, 1), every_minute(0, 31, 80), [(0, 30, 30)], id="still running: so far"
        ),
        pytest.param([(0, 0), (10, 0)], every_minute(0, 10, 0), [], id="never ran"),
        pytest.param([], every_minute(0, 10, 80), [], id="no state at all"),
    ],
)
def test_runs(running, power, expected):
    assert minutes(runs(series(*running), series(*power), 50.0, 10 * MINUTE)) == expected


def test_without_a_load_point_running_is_enough():
    found = runs(series(*every_minute(0, 31, 1)), None, 0.0, 10 * MINUTE)
    assert minutes(found) == [(0, 30, 30)]


@pytest.mark.parametrize(
    ("wanted", "enough"), [(30.0, 37.0), (31.0, 38.0), (31.5, None)], ids=["within", "just", "never"]
)
def test_when_a_run_was_long_enough(wanted, enough):
    """Loaded from minute 7 to 38."""
    running = series(*every_minute(0, 5, 0), *every_minute(5, 40, 1), (40, 0))
    power = series(*every_minute(0, 7, 0), *every_minute(7, 38, 80), *every_minute(38, 41, 0))
    (run,) = runs(running, power, 50.0, 10 * MINUTE, wanted)
    assert run.enough_at == (None if enough is None else enough * MINUTE)


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (Run(0, 30 * MINUTE, 30), True),
        (Run(0, 40 * MINUTE, 29.9), False),
        (Run(0, 29 * MINUTE, 29), False),
    ],
)
def test_long_enough_and_loaded(run, expected):
    assert proves(run, Proof(minutes=30)) is expected


def a_plan(proof: Proof | None = None) -> Plan:
    schedule = Schedule(time(10), every_days=15, anchor=date(2026, 1, 4))
    return Plan("gen", {"en": "test run"}, schedule, Priority.MEDIUM, grace=2 * DAY, ahead=DAY, proof=proof)


def an_occurrence(state: OccurrenceState = S.DUE) -> Occurrence:
    return Occurrence(7, "s", "gen", "gen-1", DUE, state, DUE - DAY, ticket=3)


def a_ticket(state: TicketState) -> Ticket:
    return Ticket(
        3, "s", "WO-3", TicketKind.PLAN, state, Priority.MEDIUM, "ticket.plan", {}, "gen-1", "", 0, None, "c",
        assignee="li", done_at=DUE + MINUTE,
    )  # fmt: skip


GOOD = Run(DUE, DUE + 35 * MINUTE, 31)
POOR = Run(DUE, DUE + 35 * MINUTE, 5)


@pytest.mark.parametrize(
    ("state", "proof", "now", "found", "ticket", "down", "expected"),
    [
        pytest.param(S.DUE, None, DUE, [], None, False, None, id="due and nothing done"),
        pytest.param(S.DUE, None, DUE + 2 * DAY, [], None, False, S.OVERDUE, id="the grace is over"),
        pytest.param(S.DUE, None, DUE + 2 * DAY, [], None, True, S.MISSED, id="we were down"),
        pytest.param(S.DUE, None, DUE, [], TicketState.DONE, False, S.DONE, id="a person did it"),
        pytest.param(S.OVERDUE, None, DUE + 9 * DAY, [], TicketState.CLOSED, False, S.DONE, id="late"),
        pytest.param(S.DUE, None, DUE, [], TicketState.CANCELLED, False, S.EXCUSED, id="cancelled"),
        pytest.param(S.DUE, Proof(), DUE, [GOOD], None, False, S.DONE, id="telemetry proves it"),
        pytest.param(S.DUE, Proof(), DUE, [POOR], None, False, None, id="not loaded long enough"),
        pytest.param(S.DUE, Proof(), DUE, [], TicketState.DONE, False, None, id="a tick proves nothing"),
        pytest.param(S.MISSED, Proof(), DUE + 9 * DAY, [GOOD], None, False, S.DONE, id="late data"),
        pytest.param(S.DONE, Proof(), DUE + 9 * DAY, [POOR], None, False, None, id="done stays done"),
        pytest.param(S.EXCUSED, None, DUE + 9 * DAY, [], None, False, None, id="excused stays"),
    ],
)
def test_verdict(state, proof, now, found, ticket, down, expected):
    ticket_row = None if ticket is None else a_ticket(ticket)
    after = verdict(an_occurrence(state), a_plan(proof), now, found, ticket_row, tz=TZ, was_down=down)
    assert (after.state if after else None) == expected


def test_evidence_names_the_run():
    after = verdict(an_occurrence(), a_plan(Proof()), DUE + DAY, [POOR, GOOD], tz=TZ)
    assert after is not None
    assert after.evidence == "2026-10-16 10:00–10:35 · 31 min"
    assert after.done_at == GOOD.end
