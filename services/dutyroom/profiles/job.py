"""One message on its way: what it is about, and what has come out so far."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec import field as make_field

from dutyroom.model.telemetry import Quality, Scalar
from dutyroom.profiles.expressions import Names
from dutyroom.profiles.paths import MISSING, Captures, Getter, getter
from dutyroom.profiles.profile import TimeRule
from dutyroom.profiles.result import DecodedEvent, DecodedReading
from dutyroom.profiles.times import ReadTime, plausible, reader, remembering
from dutyroom.profiles.values import shortened
from dutyroom.timebase import Ms, zone


class Known(Protocol):
    """The registry, as far as decoding asks it."""

    def parameters(self, profile: str, address: str) -> Mapping[str, Scalar] | None:
        """Of a registered device; None = not registered under this profile."""
        ...

    def profiles(self, address: str) -> Collection[str]:
        """Under which profiles a device with this address is registered."""
        ...


class Nobody:
    """A registry without devices."""

    def parameters(self, profile: str, address: str) -> Mapping[str, Scalar] | None:
        return None

    def profiles(self, address: str) -> Collection[str]:
        return ()


class Anybody:
    """A registry that has every device under one profile, with the same parameters: for examples."""

    def __init__(self, profile: str, parameters: Mapping[str, Scalar] | None = None) -> None:
        self._profile, self._parameters = profile, parameters or {}

    def parameters(self, profile: str, address: str) -> Mapping[str, Scalar] | None:
        return self._parameters if profile == self._profile else None

    def profiles(self, address: str) -> Collection[str]:
        return (self._profile,)


class Job(Struct):
    """One message on its way through one profile; collects what comes out."""

    document: object
    received_at: Ms
    content: object  # what items are taken from: the document, or what a decoder made of its bytes
    readings: list[DecodedReading] = make_field(default_factory=list)
    events: list[DecodedEvent] = make_field(default_factory=list)
    attributes: list[tuple[str, str, Scalar]] = make_field(default_factory=list)
    findings: list[tuple[str, str, str]] = make_field(default_factory=list)
    unknown: list[tuple[str, str]] = make_field(default_factory=list)
    addresses: list[str] = make_field(default_factory=list)
    sequences: list[tuple[str, int, int | None]] = make_field(default_factory=list)
    kept: dict[int, Any] = make_field(default_factory=dict)  # what the items of one document have in common
    items: int = 0
    looked: int = 0  # elements of series that were looked at


class Here(Struct):
    """The item at hand: whose it is, and its time."""

    item: object
    captures: Captures
    address: str
    parameters: Mapping[str, Scalar]
    at: Ms | None
    quality: Quality
    taken: str = ""  # name of the leaf that gave the time


class Clock(Protocol):
    """Tells an item's time: (when, how far to trust it, name of the field that gave it)."""

    def __call__(
        self,
        item: object,
        job: Job,
        address: str,
        index: int = 0,
        names: Names | None = None,
        base: Ms | None = None,
    ) -> tuple[Ms | None, Quality, str]:
        """index: of an element of a series. names: what an expression in `every` reads. base: what
        relative times count from, None = the receive time."""
        ...


def clock(rule: TimeRule | None, tz: ZoneInfo, again: bool = False) -> Clock | None:
    """The first plausible time of a rule; an absurd one gives (None, CLOCK) and a finding.

    again: of records that come again in every message, as those of a log.
    """
    if rule is None:
        return None
    read: ReadTime = reader(rule.format, zone(rule.zone) if rule.zone else tz, rule.since)
    if again:
        read = remembering(read)
    sources = tuple((getter([path]), path.text) for path in rule.paths)
    ago, every = rule.ago, _every(rule)
    same = bool(sources) and ago is None and every is None and all(path.whole for path in rule.paths)

    def tell(
        item: object,
        job: Job,
        address: str,
        index: int = 0,
        names: Names | None = None,
        base: Ms | None = None,
    ) -> tuple[Ms | None, Quality, str]:
        if same and (told := job.kept.get(id(tell))) is not None:
            return told  # type: ignore[no-any-return]
        wrong = ""
        start = job.received_at if base is None else base
        for get, name in sources:
            raw = get(item, job.document)
            if raw is MISSING or raw is None or raw == "":
                continue
            at = read(raw) if ago is None else _before(raw, ago, start)
            if at is not None and plausible(at, job.received_at):
                if wrong:
                    job.findings.append(("clock_wrong", address, wrong))
                if same and not wrong:
                    job.kept[id(tell)] = at, Quality.GOOD, name
                return (at if every is None else at + every(index, names)), Quality.GOOD, name
            wrong = f"{name}: {shortened(str(raw), 40)}"
        if wrong:
            job.findings.append(("clock_wrong", address, wrong))
            return None, Quality.CLOCK, ""
        if every is not None and not sources:  # counted from the receive time
            return start + every(index, names), Quality.GOOD, ""
        return None, Quality.GOOD, ""

    return tell


def _before(raw: object, unit: Ms, start: Ms) -> Ms | None:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not abs(raw) < 1e9:
        return None
    return start - round(raw * unit)


def _every(rule: TimeRule) -> Callable[[int, Names | None], Ms] | None:
    every, first = rule.every, rule.first
    if every is None:
        return None
    if isinstance(every, int):
        return lambda index, names: (index + first) * every
    seconds = every.compiled()

    def step(index: int, names: Names | None) -> Ms:
        found = seconds(names if names is not None else {})
        return round((index + first) * found * 1000) if isinstance(found, int | float) else 0

    return step


class Fields(Struct, gc=False):
    """What an expression of a point reads: named paths, fields of the item, device parameters."""

    item: object
    document: object
    parameters: Mapping[str, Scalar]
    named: Mapping[str, Getter]

    def get(self, name: str) -> object:
        getter_of = self.named.get(name)
        if getter_of is not None:
            found = getter_of(self.item, self.document)
        else:
            found = self.item.get(name, MISSING) if isinstance(self.item, dict) else MISSING
        if found is MISSING or found is None:
            return self.parameters.get(name)
        return number(found) if isinstance(found, str) else found


def number(text: str) -> float | str:
    """A number that is written as text; anything else as it is."""
    try:
        return int(text) if len(text) < 20 else text
    except ValueError:
        try:
            found = float(text) if len(text) < 40 else math.nan
        except ValueError:
            return text
        return found if math.isfinite(found) else text
