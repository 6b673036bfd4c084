"""A layout compiled to closures: one document in, readings, events and attributes out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from zoneinfo import ZoneInfo

from dutyroom.errors import Rejected
from dutyroom.model.telemetry import Message, PointSpec, Quality, Scalar
from dutyroom.profiles.codecs import CODECS
from dutyroom.profiles.codecs.seam import Ask, Codec, Note, Report
from dutyroom.profiles.conditions import all_of
from dutyroom.profiles.decoders import codec_of
from dutyroom.profiles.events import EventProgram
from dutyroom.profiles.job import Here, Job, Known, clock
from dutyroom.profiles.meter import PARAMETER
from dutyroom.profiles.paths import (
    MISSING,
    Captures,
    Index,
    Key,
    Path,
    Where,
    first_template,
    getter,
    walker,
)
from dutyroom.profiles.points import PointProgram
from dutyroom.profiles.privacy import Guard, guard
from dutyroom.profiles.profile import (
    ByteSource,
    CodecRule,
    Condition,
    DecoderRule,
    Layout,
    Profile,
    Stage,
    known_outside,
)
from dutyroom.profiles.rest import Alternatives, Rest
from dutyroom.profiles.result import DecodedReading
from dutyroom.profiles.unwrap import from_text, unwrapper

MAX_READINGS = 20_000  # of one message
MAX_ADDRESS = 200
_STAGES: dict[tuple[Stage, ...], int] = {}  # a number for each way to unwrap: quick to compare


class LayoutProgram:
    """One layout of a profile."""

    def __init__(self, profile: Profile, layout: Layout, tz: ZoneInfo, key: bytes) -> None:
        self.layout = layout
        self._profile = profile
        self.unwrap = unwrapper(layout.unwrap)
        self.stages = _STAGES.setdefault(layout.unwrap, len(_STAGES))
        kinds = {s.kind for s in layout.unwrap}
        self.by_topic = "under" in kinds  # the document depends on the topic's named levels
        self.bare_by_topic = "uplink" in kinds  # ... where the payload is no JSON
        of_bytes, outer, inner = _sorted_tests(layout)
        self.test, self.bytes_test, self.fits = all_of(outer), all_of(of_bytes), all_of(inner)
        self._walks = tuple(walker(path) for path in layout.each)
        self._codec: Codec | None = codec_of(layout.decoder) if layout.decoder is not None else None
        self.shared = shared_rule(layout.decoder)
        self.remembers = _remembers(layout.decoder)
        self._source = _Source(layout.source)
        self._early = known_outside(layout)  # the address is known before the bytes are decoded
        self._identity = first_template(layout.identity) if layout.identity else None
        self.inside = self._codec is not None and any("@" in text for text in layout.identity)  # the address
        self._clock = clock(layout.time, tz)
        self._points = tuple(PointProgram(rule, tz) for rule in layout.points)
        self._fields = tuple((p.field, *p.quick) for p in self._points if p.field)
        self._others = tuple(p for p in self._points if not p.field)
        self._events = tuple(EventProgram(rule, profile, tz, key) for rule in layout.events)
        self._attributes = tuple(
            (name, getter(paths), guard(profile, (name, *(p.leaf for p in paths)), key))
            for name, paths in layout.attributes.items()
        )
        own = frozenset(spec.name for spec in profile.points)
        self._rest = Rest(layout.rest, *_taken(layout), own) if layout.rest is not None else None
        self._guards: dict[str, Guard] = {}
        self._key = key

    @property
    def decodes(self) -> bool:
        """True when the bytes must be decoded before the layout can answer."""
        outcome = self.layout.ignore is not None or self.layout.reject is not None
        return self._codec is not None and (not outcome or self.fits is not None)

    def starts(self, captures: Captures, document: object) -> bool:
        """The tests that need no decoding."""
        if self.test is not None and not self.test(captures, document, document):
            return False
        return self.bytes_test is None or self.bytes_test(captures, self._head(document), document)

    def device(
        self, document: object, captures: Captures, known: Known
    ) -> tuple[str, Mapping[str, Scalar] | None]:
        """(address, parameters) where the message says whose it is before it is decoded; parameters None =
        not registered. Else "" and the profile's defaults."""
        if not self._early:
            return "", self._profile.parameters
        address = self.address(document, document, captures)
        found = known.parameters(self._profile.id, address) if address else None
        if found is not None and self._profile.parameters:
            found = {**self._profile.parameters, **found}
        return address, found

    def address(self, document: object, content: object, captures: Captures) -> str:
        """Of the first item; "" where the message names no device."""
        if self._early:
            return self._named(document, document, captures)
        job = Job(document, 0, content)
        return next((self._named(document, item, named) for item, named in self._items(job, captures)), "")

    def registered(self, job: Job, captures: Captures, known: Known) -> str:
        """The address of the first item, when the registry has it; else ""."""
        for item, named in self._items(job, captures):
            address = self._named(job.document, item, named)
            found = known.parameters(self._profile.id, address) if address else None
            return address if found is not None else ""
        return ""

    def _named(self, document: object, item: object, captures: Captures) -> str:
        found = self._identity(captures, item, document) if self._identity is not None else None
        return found if found and len(found) <= MAX_ADDRESS and found.isprintable() else ""

    def run(self, job: Job, captures: Captures, known: Known, adopt: bool) -> None:
        """Raises Rejected when the message gives too much."""
        for item, named in self._items(job, captures):
            job.items += 1
            address = self._named(job.document, item, named)
            if not address:
                continue
            parameters = known.parameters(self._profile.id, address)
            if parameters is None:
                if not adopt:
                    job.unknown.append((self._profile.id, address))
                    continue
                parameters = {}
            job.addresses.append(address)
            self._item(job, item, named, address, parameters)

    def _head(self, document: object) -> object:
        """What tests may ask before the bytes are decoded: {"bytes": {port, length, hex}}."""
        data, port = self._source.first(document)
        known: dict[str, object] = {"port": port}
        if data is not None:
            known |= {"length": len(data), "hex": data[:32].hex()}
        return {"bytes": known}

    def bytes_of(self, document: object) -> bytes | None:
        """The bytes that the layout decodes; None when it decodes none, or they are not there."""
        return self._source.first(document)[0] if self._codec is not None else None

    def content(
        self,
        document: object,
        message: Message,
        parameters: Mapping[str, Scalar],
        note: Note | None = None,
        memory: MutableMapping[str, bytes] | None = None,
    ) -> tuple[object, Report]:
        """The decoded document. Raises Rejected, or Skipped where the profile says `ignore`."""
        assert self._codec is not None
        report = Report()
        pieces = [
            self._codec(data, Ask(port, parameters, message.received_at, message.topic, note, report, memory))
            for data, port in self._source.pieces(document)
        ]
        return (pieces[0] if len(pieces) == 1 else _together(pieces)), report

    def _items(self, job: Job, captures: Captures) -> Iterator[tuple[object, Captures]]:
        if not self._walks:
            yield job.content, captures
        for walk in self._walks:
            for captured, item in walk(job.content, job.document):
                yield item, ({**captures, **captured} if captured else captures)

    def _item(
        self, job: Job, item: object, captures: Captures, address: str, parameters: Mapping[str, Scalar]
    ) -> None:
        at, quality, taken = None, Quality.GOOD, ""
        if self._clock is not None:
            at, quality, taken = self._clock(item, job, address)
        if self._profile.parameters:
            parameters = {**self._profile.parameters, **parameters}
        here = Here(item, captures, address, parameters, at, quality, taken)
        if type(item) is dict and PARAMETER not in parameters:
            self._quick(item, here, job)
            for point in self._others:
                point.run(here, job)
        else:
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

    def _quick(self, item: dict[str, object], here: Here, job: Job) -> None:
        """Points that are a field of the item and nothing else: most points of most messages."""
        address, at, quality, parameters = here.address, here.at, here.quality, here.parameters
        for key, convert, low, high, spec, point in self._fields:
            raw = item.get(key)
            if raw is None:
                continue
            value = convert(raw, parameters)
            if type(value) is float and low <= value <= high:
                job.readings.append(DecodedReading(address, spec, at, value, quality))
            else:
                point.emit(value, raw, spec, here, job)

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


def _sorted_tests(layout: Layout) -> tuple[tuple[Condition, ...], ...]:
    """Tests of the bytes (`bytes.port`, `bytes.length`, `bytes.hex`), of the outer document or topic, and
    of what the decoder gives."""
    decodes = layout.decoder is not None
    raw = (
        decodes or layout.source is not None or any(s.kind in ("raw", "hex", "base64") for s in layout.unwrap)
    )
    of_bytes, outer, inner = [], [], []
    for condition in layout.when:
        path = condition.path
        if path is not None and raw and path.steps and path.steps[0] == Key("bytes"):
            of_bytes.append(condition)
        elif path is None or path.whole or not decodes:
            outer.append(condition)
        else:
            inner.append(condition)
    return tuple(of_bytes), tuple(outer), tuple(inner)


def shared_rule(decoder: DecoderRule | None) -> CodecRule | None:
    """A named codec that makes the same of a message for every profile."""
    return decoder if isinstance(decoder, CodecRule) and not CODECS[decoder.name].parameters else None


def _remembers(decoder: DecoderRule | None) -> str:
    """The name of a codec that has a memory; else ""."""
    return decoder.name if isinstance(decoder, CodecRule) and CODECS[decoder.name].remembers else ""


def _together(pieces: Sequence[object]) -> object:
    """The fields of all pieces; where two have the same, the last one's."""
    found: dict[str, object] = {}
    for piece in pieces:
        if isinstance(piece, dict):
            found.update(piece)
    return found


class _Source:
    """Where the bytes are: the document itself, or a text of it."""

    def __init__(self, source: ByteSource | None) -> None:
        self._encoding = source.encoding if source is not None else ""
        self._get = getter(source.paths) if source is not None else None
        self._port = getter(source.ports) if source is not None and source.ports else None
        self._walk = walker(source.each) if source is not None and source.each is not None else None

    def pieces(self, document: object) -> Iterator[tuple[bytes, int | None]]:
        """(bytes, port) of each piece. Raises Rejected."""
        if self._walk is None:
            yield self._one(document, document)
            return
        for _, element in self._walk(document, document):
            yield self._one(element, document)

    def first(self, document: object) -> tuple[bytes | None, int | None]:
        """Without data where the bytes cannot be read: the port still says which layout is meant."""
        try:
            return next(self.pieces(document), (None, None))
        except Rejected:
            port = self._port(document, document) if self._port is not None else None
            return None, port if type(port) is int else None

    def _one(self, item: object, document: object) -> tuple[bytes, int | None]:
        value = item if self._get is None else self._get(item, document)
        port = self._port(item, document) if self._port is not None else None
        if isinstance(value, str):
            try:
                value = value.encode() if self._get is None else from_text(value, self._encoding)
            except ValueError as err:
                raise Rejected(f"payload: {err}") from err
        if not isinstance(value, bytes):
            raise Rejected(
                "no payload bytes in the message" if value in (MISSING, None) else "bytes expected"
            )
        return value, port if type(port) is int else None


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
