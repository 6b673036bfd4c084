"""Plans and when they fall due. (Data here; decisions follow.)"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time

from dutyroom.model.duty import Priority
from dutyroom.rules.spec import Select
from dutyroom.timebase import Ms


@dataclass(frozen=True, slots=True)
class Schedule:
    """Every N days from an anchor, or monthly on a day (clipped to the month's last day)."""

    at: time  # local
    every_days: int | None = None
    anchor: date | None = None
    month_day: int | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """What telemetry must show for a plan to be fulfilled: a generator test run."""

    point: str = "running"
    load_point: str = "power"
    minutes: float = 30.0
    load_kw: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """One plan; `select` empty = one occurrence for the whole site."""

    id: str
    name: Mapping[str, str]
    schedule: Schedule
    priority: Priority
    grace: Ms  # overdue this long after due
    ahead: Ms = 0  # the work order opens this long before due
    select: Select | None = None
    proof: Proof | None = None
    checklist: Mapping[str, Sequence[str]] = field(default_factory=dict)
    reading_day: bool = False  # takes the period reads at its due instant
    skill: str = ""
    source: str = ""  # the rule or law behind the interval
