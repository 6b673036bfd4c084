"""One message on its way: what it is about, and what has come out so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias
from zoneinfo import ZoneInfo

from dutyroom.model.telemetry import Quality, Scalar
from dutyroom.profiles.paths import MISSING, Captures, getter
from dutyroom.profiles.profile import TimeRule
from dutyroom.profiles.result import DecodedEvent, DecodedReading
from dutyroom.profiles.times import ReadTime, plausible, reader
from dutyroom.profiles.values import shortened
from dutyroom.timebase import Ms, zone

Known: TypeAlias = Callable[[str, str], Mapping[str, Scalar] | None]


@dataclass(slots=True)
class Job:
    """One message on its way through one profile; collects what comes out."""

    document: object
    received_at: Ms
    readings: list[DecodedReading] = field(default_factory=list)
    events: list[DecodedEvent] = field(default_factory=list)
    attributes: list[tuple[str, str, Scalar]] = field(default_factory=list)
    findings: list[tuple[str, str, str]] = field(default_factory=list)
    unknown: list[tuple[str, str]] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    items: int = 0


@dataclass(slots=True)
class Here:
    """The item at hand: whose it is, and its time."""

    item: object
    captures: Captures
    address: str
    parameters: Mapping[str, Scalar]
    at: Ms | None
    quality: Quality
    taken: str = ""  # name of the leaf that gave the time


Clock: TypeAlias = Callable[[object, Job, str], tuple[Ms | None, Quality, str]]


def clock(rule: TimeRule | None, tz: ZoneInfo) -> Clock | None:
    """The first plausible time of a rule; an absurd one gives (None, CLOCK) and a finding."""
    if rule is None:
        return None
    read: ReadTime = reader(rule.format, zone(rule.zone) if rule.zone else tz)
    sources = tuple((getter([path]), path.text) for path in rule.paths)

    def tell(item: object, job: Job, address: str) -> tuple[Ms | None, Quality, str]:
        wrong = ""
        for get, name in sources:
            raw = get(item, job.document)
            if raw is MISSING or raw is None or raw == "":
                continue
            at = read(raw)
            if at is not None and plausible(at, job.received_at):
                if wrong:
                    job.findings.append(("clock_wrong", address, wrong))
                return at, Quality.GOOD, name
            wrong = f"{name}: {shortened(str(raw), 40)}"
        if not wrong:
            return None, Quality.GOOD, ""
        job.findings.append(("clock_wrong", address, wrong))
        return None, Quality.CLOCK, ""

    return tell
