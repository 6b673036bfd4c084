"""A layout compiled to closures: one document in, readings, events and attributes out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, MutableMapping, Sequence
from zoneinfo import ZoneInfo

from dutyroom.errors import Rejected
from dutyroom.model.telemetry import Message, Quality, Scalar
from dutyroom.profiles.bytesource import Source
from dutyroom.profiles.codecs import CODECS
from dutyroom.profiles.codecs.seam import Ask, Codec, Note, Report
from dutyroom.profiles.conditions import all_of
from dutyroom.profiles.decoders import codec_of
from dutyroom.profiles.events import EventProgram
from dutyroom.profiles.job import Here, Job, Known, clock
from dutyroom.profiles.numbering import numbering
from dutyroom.profiles.paths import MISSING, Captures, Key, Path, getter, walker
from dutyroom.profiles.plan import PointPlan
from dutyroom.profiles.points import PointProgram
from dutyroom.profiles.privacy import guard_of
from dutyroom.profiles.profile import (
    CodecRule,
    Condition,
    DecoderRule,
    Layout,
    Profile,
    Stage,
    known_outside,
)
from dutyroom.profiles.ratios import over_defaults, ratio_of
from dutyroom.profiles.rest import Rest
from dutyroom.profiles.templates import first_template
from dutyroom.profiles.unnamed import Unnamed
from dutyroom.profiles.unwrap import unwrapper
from dutyroom.profiles.values import SCALARS, stored
from dutyroom.profiles.wanted import narrowed_codec

MAX_READINGS = 20_000  # of one message
MAX_ADDRESS = 200
_STAGES: dict[tuple[Stage, ...], int] = {}  # a number for each way to unwrap: quick to compare
_READS: dict[tuple[object, ...], int] = {}
_NO_FIELDS: Mapping[str, object] = {}


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
        programs = [PointProgram(rule, tz, profile, key) for rule in layout.points]
        self._points = PointPlan(layout.points, programs, bool(profile.privacy), bool(layout.each))
        read, narrow = narrowed_codec(profile, layout, self._points.finishes)
        self._narrow = narrow or self._codec
        self.shared = shared_rule(layout.decoder)
        named = isinstance(layout.decoder, CodecRule)
        reads = (layout.source, layout.decoder if named else id(layout.decoder), read)
        self.reads = _READS.setdefault(
            reads, len(_READS)
        )  # the same for layouts that make the same of a document
        self.remembers = _remembers(layout.decoder)
        self._source = Source(layout.source)
        self._early = known_outside(layout)  # the address is known before the bytes are decoded
        self._identity = first_template(layout.identity) if layout.identity else None
        self.inside = self._codec is not None and any("@" in text for text in layout.identity)  # the address
        self.brief = brief_of(layout.decoder) if self.inside else None
        asks = (layout.source, self.brief)
        self.asks = _READS.setdefault(asks, len(_READS))  # the same for layouts with the same short form
        self._number = numbering(layout.sequence)
        self._clock = clock(layout.time, tz)
        self._ratio = ratio_of(profile)
        self._events = tuple(EventProgram(rule, profile, tz, key) for rule in layout.events)
        self._attributes = tuple(
            (name, _field(paths), getter(paths), guard_of(profile, (name, *(p.leaf for p in paths)), key))
            for name, paths in layout.attributes.items()
        )
        self._rest = Rest(layout, layout.rest, profile, key) if layout.rest is not None else None
        self._unnamed: Unnamed | None = None

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
            found = over_defaults(self._profile.parameters, self._ratio, found)
        return address, found

    def address(self, document: object, content: object, captures: Captures) -> str:
        """Of the first item; "" where the message names no device."""
        if self._early:
            return self._named(document, document, captures)
        if not self._walks:
            return self._named(document, content, captures)
        job = Job(document, 0, content)
        return next((self._named(document, item, named) for item, named in self._items(job, captures)), "")

    def sender(self, document: object, captures: Captures) -> str:
        """Whose a message is that is not read, as far as its topic and its document tell; document: None where it has
        none. "" where they do not, or where it may be of several."""
        if self.inside or (self._walks and not self._early):
            return ""
        return self._named(document, document, captures)

    def addresses(self, document: object, content: object, captures: Captures) -> tuple[str, ...]:
        """Of all items, each once."""
        if self._early or not self._walks:
            found = self.address(document, content, captures)
            return (found,) if found else ()
        found_all: dict[str, None] = {}
        for walk in self._walks:
            for captured, item in walk(content, document):
                address = self._named(document, item, {**captures, **captured} if captured else captures)
                if address:
                    found_all[address] = None
        return tuple(found_all)

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
        if not self._walks:
            self._item(job, job.content, captures, known, adopt)
        for walk in self._walks:
            for captured, item in walk(job.content, job.document):
                self._item(job, item, {**captures, **captured} if captured else captures, known, adopt)

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
        kept: dict[object, object] | None = None,
    ) -> tuple[object, Report]:
        """The decoded document. Raises Rejected, or Skipped where the profile says `ignore`."""
        codec = self._narrow if note is None else self._codec
        assert codec is not None
        report = Report()
        at, topic = message.received_at, message.topic
        pieces = [
            codec(data, Ask(port, parameters, at, topic, note, report, memory, kept))
            for data, port in self._source.all_of(document)
        ]
        return (pieces[0] if len(pieces) == 1 else _together(pieces)), report

    def told(self, document: object, message: Message, kept: dict[object, object]) -> object:
        """The codec's short form of the document, enough to know whose it is. Raises Rejected."""
        assert self.brief is not None
        pieces = [
            self.brief(data, Ask(port, {}, message.received_at, message.topic, kept=kept))
            for data, port in self._source.all_of(document)
        ]
        return pieces[0] if len(pieces) == 1 else _together(pieces)

    def unnamed(self, job: Job, unread: int) -> bool:
        """Of a message of which nothing was read: whether it says what the layout knows nothing of. unread: bytes
        that its decoder left."""
        if self._codec is not None:
            return unread > 0
        if self._rest is not None:  # what it does not read it passes over by name
            return False
        if self._unnamed is None:
            self._unnamed = Unnamed(self.layout)
        return self._unnamed(job.content, job.document)

    def renamed(self, job: Job, captures: Captures, quiet: Collection[str]) -> tuple[str, ...]:
        """Of the addresses of which nothing was read, while of others something was, those of whose items the same
        is true: they say what the layout knows nothing of."""
        if self._codec is not None or self._rest is not None or self._early:
            return ()
        items: dict[str, list[object]] = {}
        wanted = frozenset(quiet)  # of a gateway they may be a thousand
        for item, named in self._items(job, captures):
            address = self._named(job.document, item, named)
            if address in wanted:
                items.setdefault(address, []).append(item)
        unnamed = self._unnamed = self._unnamed or Unnamed(self.layout)
        return tuple(a for a, mine in items.items() if unnamed.of_items(mine, job.document))

    def _items(self, job: Job, captures: Captures) -> Iterator[tuple[object, Captures]]:
        if not self._walks:
            yield job.content, captures
        for walk in self._walks:
            for captured, item in walk(job.content, job.document):
                yield item, ({**captures, **captured} if captured else captures)

    def _item(self, job: Job, item: object, captures: Captures, known: Known, adopt: bool) -> None:
        job.items += 1
        address = self._named(job.document, item, captures)
        if not address:
            return
        parameters = known.parameters(self._profile.id, address)
        if parameters is None:
            if not adopt:
                job.unknown.append((self._profile.id, address))
                return
            parameters = {}
        job.addresses.append(address)
        at, quality, taken = None, Quality.GOOD, ""
        if self._clock is not None:
            at, quality, taken = self._clock(item, job, address)
        if self._profile.parameters:
            parameters = over_defaults(self._profile.parameters, self._ratio, parameters)
        if self._number is not None:
            self._number(item, job, address)
        here = Here(item, captures, address, parameters, at, quality, taken)
        self._points.run(here, job)
        for event in self._events:
            event.run(here, job)
        table = item if type(item) is dict else _NO_FIELDS
        for name, key, get, guarded in self._attributes:
            value = table.get(key) if key else get(item, job.document)
            if value is None or value is MISSING:
                continue
            if type(value) is str and guarded is None:
                job.attributes.append((address, name, stored(value)))
            elif isinstance(value, SCALARS):
                shown = value if guarded is None else guarded(value)
                if shown is not None:
                    job.attributes.append((address, name, shown))
        if self._rest is not None:
            self._rest.run(here, job)
        if (
            len(job.readings) > MAX_READINGS
            or len(job.events) > MAX_READINGS
            or len(job.findings) > MAX_READINGS
        ):
            raise _too_many(job)


def _too_many(job: Job) -> Rejected:
    counts = {"readings": len(job.readings), "events": len(job.events), "findings": len(job.findings)}
    what = next(what for what, count in counts.items() if count > MAX_READINGS)
    return Rejected(f"more than {MAX_READINGS} {what} in one message")


def _field(paths: Sequence[Path]) -> str:
    """Of the one path that is a field of the item; else ""."""
    steps = paths[0].steps if len(paths) == 1 and not paths[0].whole else ()
    return steps[0].name if len(steps) == 1 and isinstance(steps[0], Key) else ""


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


def brief_of(decoder: DecoderRule | None) -> Codec | None:
    """The short form of a named codec, where it has one."""
    return CODECS[decoder.name].brief if isinstance(decoder, CodecRule) else None


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
