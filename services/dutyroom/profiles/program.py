"""A layout compiled to closures: one document in, readings, events and attributes out."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from zoneinfo import ZoneInfo

from dutyroom.errors import Rejected
from dutyroom.model.telemetry import PointSpec, Quality, Scalar
from dutyroom.profiles.codecs import CODECS
from dutyroom.profiles.conditions import all_of
from dutyroom.profiles.events import EventProgram
from dutyroom.profiles.job import Here, Job, Known, clock
from dutyroom.profiles.paths import Captures, Index, Key, Path, Where, first_template, getter, walker
from dutyroom.profiles.points import PointProgram
from dutyroom.profiles.privacy import Guard, guard
from dutyroom.profiles.profile import ByteSource, Layout, Profile
from dutyroom.profiles.rest import Alternatives, Rest
from dutyroom.profiles.result import DecodedReading
from dutyroom.profiles.unwrap import unwrapper

MAX_READINGS = 20_000  # of one message
MAX_ADDRESS = 200


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

    def registered(self, job: Job, captures: Captures, known: Known) -> str:
        """The address of the first item, when the registry has it; else ""."""
        for item, named in self._items(job, captures):
            address = self._address(job, item, named)
            return address if address and known(self._profile.id, address) is not None else ""
        return ""

    def _address(self, job: Job, item: object, captures: Captures) -> str:
        found = self._identity(captures, item, job.document) if self._identity is not None else None
        return found if found and len(found) <= MAX_ADDRESS and found.isprintable() else ""

    def run(self, job: Job, captures: Captures, known: Known, adopt: bool) -> None:
        """Raises Rejected when a codec refuses the payload."""
        for item, named in self._items(job, captures):
            job.items += 1
            address = self._address(job, item, named)
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
        for name, leaf, value in rest.leaves(here.item, job.document):
            if name == here.taken:
                continue
            shown = self._guarded(name, value)
            if shown is None:
                continue
            if isinstance(shown, str):
                if leaf.text_point:
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
