"""A layout compiled to closures: one item of a document in, readings, events and attributes out."""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias
from zoneinfo import ZoneInfo

import orjson

from dutyroom.errors import Rejected
from dutyroom.model.telemetry import Kind, PointSpec, Quality, Scalar
from dutyroom.profiles.codecs import CODECS
from dutyroom.profiles.conditions import all_of
from dutyroom.profiles.paths import (
    MISSING,
    Captures,
    Getter,
    Index,
    Key,
    Path,
    Where,
    as_text,
    first_template,
    getter,
    template,
    walker,
)
from dutyroom.profiles.profile import ByteSource, EventRule, Layout, PointRule, Profile, TimeRule
from dutyroom.profiles.rest import Alternatives, Rest, text_is_point
from dutyroom.profiles.result import DecodedEvent, DecodedReading
from dutyroom.profiles.times import ReadTime, plausible, reader
from dutyroom.profiles.unwrap import unwrapper
from dutyroom.profiles.values import Convert, Problem, converter, shortened
from dutyroom.quantities import QUANTITIES
from dutyroom.timebase import Ms, zone

Known: TypeAlias = Callable[[str, str], Mapping[str, Scalar] | None]

MAX_READINGS = 20_000  # of one message


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


class PointProgram:
    """One point of a layout."""

    __slots__ = (
        "_clock",
        "_convert",
        "_get",
        "_high",
        "_low",
        "_name",
        "_rule",
        "_specs",
        "_test",
        "_unit",
        "_units",
        "_walk",
        "spec",
    )

    def __init__(self, rule: PointRule, tz: ZoneInfo) -> None:
        self.spec = rule.spec
        self._rule = rule
        self._convert: Convert = converter(rule)
        self._unit = getter([rule.unit_path]) if rule.unit_path is not None else None
        self._units: dict[str, Convert] = {}
        self._get: Getter = getter(rule.paths)
        self._test = all_of(rule.when)
        self._clock = clock(rule.time, tz)
        self._name = template(rule.spec.name) if "{" in rule.spec.name else None
        self._walk = tuple(walker(p) for p in rule.paths) if self._name else ()
        self._specs: dict[str, PointSpec] = {}
        self._low, self._high = _limits(rule.spec)

    def run(self, here: Here, job: Job) -> None:
        if self._name is not None:
            self._run_named(here, job)
            return
        raw = self._get(here.item, job.document)
        if raw is MISSING or raw is None:
            return
        if self._test is not None and not self._test(here.captures, here.item, job.document):
            return
        self._emit(raw, self.spec, here, job)

    def _run_named(self, here: Here, job: Job) -> None:
        assert self._name is not None
        for walk in self._walk:
            for captured, raw in walk(here.item, job.document):
                captures = {**here.captures, **captured}
                name = self._name(captures, here.item, job.document)
                if raw is None or not name or len(name) > 120:
                    continue
                if self._test is None or self._test(captures, here.item, job.document):
                    self._emit(raw, self._spec(name), here, job)

    def _spec(self, name: str) -> PointSpec:
        spec = self._specs.get(name)
        if spec is None:
            spec = replace(self.spec, name=name)
            if len(self._specs) < 20_000:
                self._specs[name] = spec
        return spec

    def _emit(self, raw: object, spec: PointSpec, here: Here, job: Job) -> None:
        convert = self._convert if self._unit is None else self._in_unit(self._unit(here.item, job.document))
        value = convert(raw, here.parameters)
        at, quality = here.at, here.quality
        if self._clock is not None:
            at, quality, _ = self._clock(here.item, job, here.address)
        if type(value) is float:
            if not self._low <= value <= self._high:
                quality = Quality.SUSPECT
                job.findings.append(("out_of_range", here.address, f"{spec.name}: {shortened(str(raw), 40)}"))
            job.readings.append(DecodedReading(here.address, spec, at, value, quality))
        elif type(value) is str:
            job.readings.append(DecodedReading(here.address, spec, at, 0.0, quality, value))
        elif isinstance(value, Problem):
            job.findings.append((value.kind, here.address, f"{spec.name}: {value.detail}"))

    def _in_unit(self, named: object) -> Convert:
        """The conversion from the unit that the payload names."""
        text = as_text(named)
        if not text:
            return self._convert
        found = self._units.get(text)
        if found is None:
            units = QUANTITIES[self.spec.quantity].units
            if text not in units:
                problem = Problem(
                    "malformed", f"unit {shortened(text, 20)!r} is none of {self.spec.quantity}"
                )
                return lambda raw, parameters: problem
            found = self._units[text] = converter(replace(self._rule, unit=text))
        return found


def _limits(spec: PointSpec) -> tuple[float, float]:
    """The physical range in the unit of stored values (steps for a counter)."""
    low = -float("inf") if spec.low is None else spec.low
    high = float("inf") if spec.high is None else spec.high
    if spec.kind is not Kind.COUNTER:
        return low, high
    step = float(spec.step) if spec.step is not None else 1.0
    roll = float(10**spec.digits - 1) if spec.digits is not None else float("inf")
    return max(low / step, 0.0 if spec.low is None else -float("inf")), min(high / step, roll)


class EventProgram:
    """One kind of event of a layout."""

    def __init__(self, rule: EventRule, profile: Profile, tz: ZoneInfo, key: bytes) -> None:
        self._rule = rule
        self._walk = walker(rule.each) if rule.each is not None else None
        self._test = all_of(rule.when)
        self._clock = clock(rule.time, tz)
        self._code = template(rule.code)
        self._id = template(rule.id) if rule.id is not None else None
        self._arguments = tuple(
            (name, getter(paths), guard(profile, (name, *(p.leaf for p in paths)), key))
            for name, paths in rule.arguments.items()
        )

    def run(self, here: Here, job: Job) -> None:
        if self._walk is None:
            self._one(here, here.item, here.captures, job)
            return
        for captured, item in self._walk(here.item, job.document):
            self._one(here, item, {**here.captures, **captured}, job)

    def _one(self, here: Here, item: object, captures: Captures, job: Job) -> None:
        if self._test is not None and not self._test(captures, item, job.document):
            return
        code = self._code(captures, item, job.document)
        if not code:
            return
        at = here.at
        if self._clock is not None:
            at = self._clock(item, job, here.address)[0]
        event_id = self._id(captures, item, job.document) if self._id is not None else None
        job.events.append(
            DecodedEvent(
                here.address,
                self._rule.spec,
                at,
                event_id or _digest(item),
                self._rule.codes.get(code, code)[:100],
                dict(self._given(item, job.document)),
            )
        )

    def _given(self, item: object, document: object) -> Iterator[tuple[str, Scalar]]:
        for name, get, guarded in self._arguments:
            value = get(item, document)
            if isinstance(value, str | int | float):
                shown = guarded(value)
                if shown is not None:
                    yield name, shown


def _digest(item: object) -> str:
    """The same record gives the same id; key order does not matter."""
    try:
        data = orjson.dumps(item, option=orjson.OPT_SORT_KEYS)
    except (TypeError, RecursionError):
        data = repr(item)[:100_000].encode("utf-8", "replace")
    return hashlib.blake2b(data, digest_size=10).hexdigest()


def pseudonym(value: Scalar, key: bytes = b"") -> str:
    """What stands for a personal value marked `hash`: the same person, the same text."""
    text = as_text(value) or ""
    return "~" + hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8, key=key[:64]).hexdigest()


Guard: TypeAlias = Callable[[Scalar], Scalar | None]


def guard(profile: Profile, names: Iterable[str], key: bytes) -> Guard:
    """What a privacy mark makes of a value whose field has one of these names; None = dropped."""
    listed = [n for n in names if n]
    for glob, action in profile.privacy.items():
        if any(fnmatch.fnmatchcase(n, glob) for n in listed):
            return (lambda value: None) if action == "drop" else (lambda value: pseudonym(value, key))
    return lambda value: value[:1000] if isinstance(value, str) else value


class LayoutProgram:
    """One layout of a profile."""

    def __init__(self, profile: Profile, layout: Layout, tz: ZoneInfo, key: bytes) -> None:
        self.layout = layout
        self._profile = profile
        self.unwrap = unwrapper(layout.unwrap)
        self.test = all_of(layout.when)
        self._walk = walker(layout.each) if layout.each is not None else None
        self._codec = CODECS.get(layout.codec) if layout.codec else None
        self._identity = first_template(layout.identity) if layout.identity else None
        self._clock = clock(layout.time, tz)
        self._points = tuple(PointProgram(rule, tz) for rule in layout.points)
        self._events = tuple(EventProgram(rule, profile, tz, key) for rule in layout.events)
        self._attributes = tuple(
            (name, getter(paths), guard(profile, (name, *(p.leaf for p in paths)), key))
            for name, paths in layout.attributes.items()
        )
        own = frozenset(spec.name for spec in profile.points)
        self._rest = Rest(layout.rest, *_taken(layout), own) if layout.rest is not None else None
        self._guards: dict[str, Guard] = {}
        self._key = key

    def run(self, job: Job, captures: Captures, known: Known, adopt: bool) -> None:
        """Raises Rejected when a codec refuses the payload."""
        for item, named in self._items(job, captures):
            job.items += 1
            address = self._identity(named, item, job.document) if self._identity is not None else None
            if not address:
                continue
            parameters = known(self._profile.id, address)
            if parameters is None:
                if not adopt:
                    job.unknown.append((self._profile.id, address))
                    continue
                parameters = {}
            job.addresses.append(address)
            self._item(job, item, named, address, parameters)

    def _items(self, job: Job, captures: Captures) -> Iterator[tuple[object, Captures]]:
        if self._codec is not None and self.layout.source is not None:
            yield self._decoded(job.document, self.layout.source), captures
        elif self._walk is None:
            yield job.document, captures
        else:
            for captured, item in self._walk(job.document, job.document):
                yield item, ({**captures, **captured} if captured else captures)

    def _decoded(self, document: object, source: ByteSource) -> object:
        assert self._codec is not None
        text = getter([source.path])(document, document)
        port = getter([source.port])(document, document) if source.port is not None else None
        payload = _bytes(text, source.encoding)
        return self._codec(payload, port if isinstance(port, int) else None, self._profile.parameters)

    def _item(
        self, job: Job, item: object, captures: Captures, address: str, parameters: Mapping[str, Scalar]
    ) -> None:
        at, quality, taken = None, Quality.GOOD, ""
        if self._clock is not None:
            at, quality, taken = self._clock(item, job, address)
        if self._profile.parameters:
            parameters = {**self._profile.parameters, **parameters}
        here = Here(item, captures, address, parameters, at, quality, taken)
        for point in self._points:
            point.run(here, job)
        for event in self._events:
            event.run(here, job)
        for name, get, guarded in self._attributes:
            value = get(item, job.document)
            if isinstance(value, str | int | float):
                self._attribute(job, address, name, guarded(value))
        if self._rest is not None:
            self._rest_of(self._rest, here, job)
        if len(job.readings) > MAX_READINGS:
            raise Rejected(f"more than {MAX_READINGS} readings in one message")

    @staticmethod
    def _attribute(job: Job, address: str, name: str, value: Scalar | None) -> None:
        if value is not None:
            job.attributes.append((address, name, value))

    def _rest_of(self, rest: Rest, here: Here, job: Job) -> None:
        assert self.layout.rest is not None
        for name, leaf, value in rest.leaves(here.item, job.document):
            if name == here.taken:
                continue
            shown = self._guarded(name, value)
            if shown is None:
                continue
            if isinstance(shown, str):
                if text_is_point(self.layout.rest, name):
                    self._reading(job, here, leaf.text, 0.0, shown)
                else:
                    job.attributes.append((here.address, name, shown))
            elif leaf.attribute:
                job.attributes.append((here.address, name, shown))
            elif isinstance(shown, bool):
                self._reading(job, here, leaf.state, float(shown))
            else:
                found = leaf.convert(shown, here.parameters)
                if isinstance(found, float):
                    self._reading(job, here, leaf.number, found)

    def _guarded(self, name: str, value: object) -> Scalar | None:
        if not isinstance(value, str | int | float):
            return None
        guarded = self._guards.get(name)
        if guarded is None:
            guarded = guard(self._profile, (name, name.rpartition(".")[2]), self._key)
            if len(self._guards) < 20_000:
                self._guards[name] = guarded
        return guarded(value)

    @staticmethod
    def _reading(job: Job, here: Here, spec: PointSpec, value: float, text: str | None = None) -> None:
        job.readings.append(DecodedReading(here.address, spec, here.at, value, here.quality, text))


def _bytes(text: object, encoding: str) -> bytes:
    if not isinstance(text, str):
        raise Rejected("no payload bytes in the message")
    try:
        return base64.b64decode(text, validate=True) if encoding == "base64" else bytes.fromhex(text)
    except (ValueError, binascii.Error) as err:
        raise Rejected(f"payload is not {encoding}: {err}") from err


def _taken(layout: Layout) -> tuple[frozenset[str], tuple[Alternatives, ...]]:
    """Names of the leaves that points and attributes read, as `rest` would name them; those of
    several paths apart, because only the one used is taken."""
    listed = [rule.paths for rule in layout.points] + list(layout.attributes.values())
    source = layout.rest.source if layout.rest is not None else None
    names = {n for paths in listed if len(paths) == 1 for n in _leaf_names(paths[0], source)}
    several = tuple(
        tuple((getter([path]), name) for path in paths for name in _leaf_names(path, source))
        for paths in listed
        if len(paths) > 1
    )
    return frozenset(names), several


def _leaf_names(path: Path, source: Path | None) -> Sequence[str]:
    named = [s for s in path.steps if isinstance(s, Where)]
    if named:
        return [s.text for s in named]
    steps = list(path.steps)
    if source is not None:
        if path.whole != source.whole or tuple(steps[: len(source.steps)]) != source.steps:
            return []
        steps = steps[len(source.steps) :]
    elif path.whole:
        return []
    text = ""
    for step in steps:
        if isinstance(step, Key):
            text = f"{text}.{step.name}" if text else step.name
        elif isinstance(step, Index):
            text += f"[{step.at}]"
    return [text]
