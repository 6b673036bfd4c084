"""A point of a layout compiled: one item of a document in, its readings out."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TypeAlias
from zoneinfo import ZoneInfo

from msgspec.structs import replace as with_other

from dutyroom.errors import Rejected
from dutyroom.model.telemetry import COUNTER_RESET, Kind, PointSpec, Quality, Scalar
from dutyroom.profiles.codecs.seam import AS_TOLD, Told
from dutyroom.profiles.conditions import all_of
from dutyroom.profiles.job import Fields, Here, Job, clock
from dutyroom.profiles.linear import NEVER, linear, shared
from dutyroom.profiles.meter import PARAMETER, read_parameter
from dutyroom.profiles.paths import MISSING, Getter, Walker, as_text, getter, walker
from dutyroom.profiles.privacy import Guard, guard_of, hidden, point_guard
from dutyroom.profiles.profile import PointRule, Profile
from dutyroom.profiles.result import DecodedEvent, DecodedReading
from dutyroom.profiles.templates import template
from dutyroom.profiles.values import Convert, Problem, affine_steps, converter, shortened
from dutyroom.quantities import QUANTITIES

MAX_LOOKED = 50_000  # elements of all series of a message
MAX_NAMES = 5_000  # remembered by a point whose name is in the message
MOST = sys.float_info.max  # an infinite number is out of any range

# (types, factor, divisor, added, steps) of the short way, see `linear`; lowest and highest value, spec, the point. What
# lies beyond is no mistake yet: it goes the long way. Each object in it that no other point has is one more line of the
# processor's cache to fetch and to write, so numbers are shared and the conversion is looked up where it is needed.
Quick: TypeAlias = "tuple[frozenset[type], float, float, float, bool, float, float, PointSpec, PointProgram]"


class PointProgram:
    """One point of a layout."""

    __slots__ = (
        "_absent",
        "_clock",
        "_each",
        "_get",
        "_guard",
        "_guards",
        "_high",
        "_key",
        "_low",
        "_marks",
        "_meters",
        "_name",
        "_named",
        "_profile",
        "_reset",
        "_rule",
        "_specs",
        "_sum",
        "_test",
        "_tz",
        "_unit",
        "_value",
        "_walk",
        "convert",
        "spec",
        "units",
    )

    def __init__(
        self, rule: PointRule, tz: ZoneInfo, profile: Profile | None = None, key: bytes = b""
    ) -> None:
        self.spec = rule.spec
        self._rule, self._profile, self._key = rule, profile, key
        self._guard = point_guard(profile, rule, key) if profile is not None else None
        self._marks = profile is not None and bool(profile.privacy)
        self._guards: dict[str, Guard | None] = {}  # by name, where the name is in the message
        self.convert = self._guarded(converter(rule))
        self._unit = getter([rule.unit_path]) if rule.unit_path is not None else None
        self.units: dict[str, Convert] = {}
        self._get: Getter = getter(rule.paths)
        self._test = all_of(rule.when)
        self._reset = all_of(rule.reset_when)
        self._clock = clock(rule.time, tz)
        self._name = template(rule.spec.name) if "{" in rule.spec.name else None
        self._walk = tuple(walker(p) for p in rule.paths) if self._name else ()
        self._specs: dict[str, PointSpec] = {}
        self._low, self._high = limits(rule.spec)
        self._absent = rule.absent
        self._each = walker(rule.each) if rule.each is not None else None
        self._value = rule.value.compiled() if rule.value is not None else None
        self._named = {name: getter([path]) for name, path in rule.names.items()}
        self._sum = getter([rule.sum_from]) if rule.sum_from is not None else None
        self._tz = tz
        self._meters: dict[object, PointProgram] = {}  # by what a device row says of its own register

    @property
    def quick(self) -> Quick:
        """What a loop over such points needs."""
        short = linear(self._rule) if self._guard is None else NEVER
        low, high = max(self._low, -MOST), min(self._high, MOST)
        if short.steps:
            _, _, least, most = affine_steps(self._rule)
            low, high = max(low, least + 1), min(high, most - 0.5)
        return *short, shared(low), shared(high), self.spec, self

    @property
    def guarded(self) -> bool:
        """True where its values are personal."""
        return self._guard is not None

    def run(self, here: Here, job: Job) -> None:
        if self.spec.kind is Kind.COUNTER and (self._rule.device_wrap or PARAMETER in here.parameters):
            program = self._of_device(here.parameters)
            if program is not self:
                program.run(here, job)
                return
        if self._each is not None:
            self._run_series(self._each, here, job)
            return
        if self._name is not None:
            self._run_named(here, job)
            return
        raw = self._raw(here.item, here, job)
        if (raw is MISSING or raw is None) and self._reset is None:
            return
        if self._test is not None and not self._test(here.captures, here.item, job.document):
            return
        self._emit(raw, self.spec, here, job)

    def _of_device(self, parameters: Mapping[str, Scalar]) -> PointProgram:
        """This point on a meter with digits or a resolution, or with pulses of a size, of its own."""
        text = parameters.get(PARAMETER)
        sizes = self._rule.scale_by if self._rule.device_wrap else ()
        key = (text, *(parameters.get(name) for name in sizes))
        found = self._meters.get(key)
        if found is None:
            spec = self._rule.spec_of(parameters)
            spec = spec if text is None else read_parameter(text).spec(spec)
            own = replace(self._rule, spec=spec)
            found = self if spec == self.spec else PointProgram(own, self._tz, self._profile, self._key)
            found._meters[key] = found
            if len(self._meters) < 1000:
                self._meters[key] = found
        return found

    def _raw(self, item: object, here: Here, job: Job) -> object:
        if self._value is not None:
            return self._value(Fields(item, job.document, here.parameters, self._named))
        raw = self._get(item, job.document)
        return self._absent if raw is MISSING and self._absent is not None else raw

    def _run_series(self, walk: Walker, here: Here, job: Job) -> None:
        """Every element is a reading: `from`, `when` and its own time are looked up in the element; with
        `every`, the time of the first in the item around it."""
        spaced = self._rule.time is not None and self._rule.time.every is not None
        names = Fields(here.item, job.document, here.parameters, self._named)
        total = self._sum(here.item, job.document) if self._sum is not None else None
        for index, (captured, element) in enumerate(walk(here.item, job.document)):
            job.looked += 1
            if job.looked > MAX_LOOKED:  # a series of the whole message, looked at for each of its items
                raise Rejected(f"{self.spec.name}: more than {MAX_LOOKED} elements to look at")
            raw = self._raw(element, here, job)
            if self._sum is not None:
                total = raw = _added(total, raw, self._rule.sum_down, self._rule.wrap)
                if raw is None:  # a difference that is missing: the registers after it are not known
                    return
            captures = {**here.captures, **captured} if captured else here.captures
            if raw is MISSING or raw is None:
                continue
            if self._test is not None and not self._test(captures, element, job.document):
                continue
            name = self._name(captures, element, job.document) if self._name is not None else None
            if self._name is not None and (not name or len(name) > 120):
                continue
            own = Here(element, captures, here.address, here.parameters, here.at, here.quality, here.taken)
            if spaced and self._clock is not None:
                own.at, own.quality, _ = self._clock(here.item, job, here.address, index, names, here.at)
            self._emit(raw, self._spec(name) if name else self.spec, own, job, timed=spaced)

    def _run_named(self, here: Here, job: Job) -> None:
        assert self._name is not None
        for walk in self._walk:
            for captured, raw in walk(here.item, job.document):
                captures = {**here.captures, **captured}
                name = self._name(captures, here.item, job.document)
                if raw is None or not name or len(name) > 120:
                    continue
                if self._test is None or self._test(captures, here.item, job.document):
                    own = here if self._reset is None else with_other(here, captures=captures)
                    self._emit(raw, self._spec(name), own, job)

    def _spec(self, name: str) -> PointSpec:
        spec = self._specs.get(name)
        if spec is None:
            spec = replace(self.spec, name=name)
            if len(self._specs) < MAX_NAMES:
                self._specs[name] = spec
        return spec

    def _emit(self, raw: object, spec: PointSpec, here: Here, job: Job, timed: bool = False) -> None:
        convert = self.convert if self._unit is None else self.in_unit(self._unit(here.item, job.document))
        if self._clock is not None and not timed:
            own, found, _ = self._clock(here.item, job, here.address, base=here.at)
            if own is not None or found is not Quality.GOOD:  # without a time of its own: the message's
                here = Here(here.item, here.captures, here.address, here.parameters, own, found, here.taken)
        if self._reset is not None:
            if self._reset(here.captures, here.item, job.document):
                job.events.append(DecodedEvent(here.address, spec, here.at, COUNTER_RESET, COUNTER_RESET, {}))
            if raw is MISSING or raw is None:  # some tell it in a message without the counter
                return
        value = convert(raw, here.parameters)
        if self._name is not None and self._marks and (guarded := self._guard_of(spec.name)):
            value = hidden(value, guarded)
        self.emit(value, raw, spec, here, job)

    def emit(self, value: object, raw: object, spec: PointSpec, here: Here, job: Job) -> None:
        """A converted value as a reading or a finding."""
        at, quality = here.at, here.quality
        if type(value) is float:
            if not self._low <= value <= self._high:
                quality = Quality.SUSPECT
                shown = shortened(str(self._told(raw, here.item)), 40)
                job.findings.append(("out_of_range", here.address, f"{spec.name}: {shown}"))
            job.readings.append(DecodedReading(here.address, spec, at, value, quality))
        elif type(value) is str:
            job.readings.append(DecodedReading(here.address, spec, at, 0.0, quality, value))
        elif isinstance(value, Problem):
            job.findings.append((value.kind, here.address, f"{spec.name}: {value.detail}"))

    def _told(self, raw: object, item: object) -> object:
        """A value as the device told it, where its codec made a float of that."""
        told = item.get(AS_TOLD) if type(raw) is float and type(item) is dict else None
        text = told.text(self._rule.paths[0].leaf) if isinstance(told, Told) and self._rule.paths else None
        return raw if text is None else text

    def in_unit(self, named: object) -> Convert:
        """The conversion from the unit that the payload names."""
        text = as_text(named)
        if not text:
            return self.convert
        found = self.units.get(text)
        if found is None:
            units = QUANTITIES[self.spec.quantity].units
            if text not in units:
                problem = Problem(
                    "malformed", f"unit {shortened(text, 20)!r} is none of {self.spec.quantity}"
                )
                return lambda raw, parameters: problem
            found = self.units[text] = self._guarded(converter(replace(self._rule, unit=text)))
        return found

    def _guarded(self, convert: Convert) -> Convert:
        """A conversion that lets nothing personal out."""
        guarded = self._guard
        if guarded is None:
            return convert
        return lambda raw, parameters: hidden(convert(raw, parameters), guarded)

    def _guard_of(self, name: str) -> Guard | None:
        """Of a point whose name is in the message."""
        if name in self._guards or self._profile is None:
            return self._guards.get(name)
        found = guard_of(self._profile, (name,), self._key)
        if len(self._guards) < MAX_NAMES:
            self._guards[name] = found
        return found


def _added(total: object, difference: object, down: bool, wrap: int | None = None) -> object:
    """The next register of a series of differences, exact; None when one of them is missing.

    wrap: where the register begins again at 0.
    """
    try:
        a, b = Decimal(str(total)), Decimal(str(difference))
    except ArithmeticError:
        return None
    if not a.is_finite() or not b.is_finite():
        return None
    found = a - b if down else a + b
    if wrap is not None and not 0 <= found < wrap:
        found += wrap if found < 0 else -wrap
    return int(found) if found == found.to_integral_value() else str(found)


def limits(spec: PointSpec) -> tuple[float, float]:
    """The physical range in the unit of stored values (steps for a counter)."""
    low = -float("inf") if spec.low is None else spec.low
    high = float("inf") if spec.high is None else spec.high
    if spec.kind is not Kind.COUNTER:
        return low, high
    step = float(spec.step) if spec.step is not None else 1.0
    roll = float(spec.modulus - 1) if spec.modulus is not None else float("inf")
    return max(low / step, 0.0 if spec.low is None else -float("inf")), min(high / step, roll)
