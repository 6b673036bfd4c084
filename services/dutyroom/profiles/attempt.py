"""One message against one profile.

What several candidates need of a message (its document, what a named codec makes of it) is made once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeVar

from dutyroom.errors import Rejected
from dutyroom.model.telemetry import Message, Scalar
from dutyroom.profiles.binary.cursor import Skipped
from dutyroom.profiles.codecs.seam import Note, Report
from dutyroom.profiles.envelopes import HINTS
from dutyroom.profiles.job import Job, Known, Nobody
from dutyroom.profiles.memory import Memory
from dutyroom.profiles.paths import Captures, as_text, getter, parse
from dutyroom.profiles.profile import Profile
from dutyroom.profiles.program import LayoutProgram
from dutyroom.profiles.result import Decoded, Ignored, Refused
from dutyroom.profiles.unwrap import Unreadable, bare

T = TypeVar("T")
_NUMBERED = re.compile(r"\d")
Outcome: TypeAlias = Decoded | Ignored | Refused

NOBODY: Final = Nobody()
FEW: Final = 5  # profiles of one topic whose reasons are told


Compile: TypeAlias = Callable[[Profile, int], LayoutProgram]  # layout by its number


@dataclass(slots=True)
class Candidate:
    """A profile that may read a topic. places: (number of a layout, topic filter that it was found by)."""

    profile: Profile
    compile: Compile
    places: list[tuple[int, str]] = field(default_factory=list)
    _layouts: list[tuple[LayoutProgram, str]] = field(default_factory=list)

    @property
    def layouts(self) -> list[tuple[LayoutProgram, str]]:
        """The layouts of that topic in order, compiled when they are first asked for."""
        if not self._layouts:
            self._layouts = [(self.compile(self.profile, n), where) for n, where in self.places]
        return self._layouts


class Sight:
    """One message, and what has been made of it so far. captures: the topic's named levels, by topic
    filter. memory: of codecs. note: see codecs/seam.py."""

    __slots__ = (
        "_briefs",
        "_contents",
        "_documents",
        "_inside",
        "_kept",
        "_memory",
        "_product",
        "captures",
        "message",
        "note",
        "read",
    )

    def __init__(
        self, message: Message, captures: Mapping[str, Captures], memory: Memory, note: Note | None = None
    ) -> None:
        self.message, self.captures, self._memory, self.note = message, captures, memory, note
        self._documents: dict[object, object] = {}
        self._contents: dict[object, tuple[object, Report] | Rejected] = {}
        self._briefs: dict[object, object] = {}
        self._inside: dict[object, bytes | None] = {}
        self._kept: dict[object, object] = {}
        self._product: str | None = None
        self.read: tuple[LayoutProgram, object, object] | None = None  # layout, document, decoded content

    def document(self, program: LayoutProgram, captures: Captures) -> object:
        key: object = program.stages
        if program.by_topic or (program.bare_by_topic and bare(self.message.payload, captures)):
            key = (program.stages, tuple(captures.items()))
        found = self._documents.get(key)
        if found is None:
            found = self._documents[key] = program.unwrap(self.message.payload, captures)
        return found

    def content(
        self, program: LayoutProgram, document: object, parameters: Mapping[str, Scalar]
    ) -> tuple[object, Report]:
        """What the layout's decoder gives; of a named codec once for all profiles, else once for all layouts
        with the same decoder. Raises Rejected, Skipped."""
        memory = self._memory.of(program.remembers) if program.remembers else None
        key: tuple[object, ...] = (program.reads, id(document))
        if program.shared is None:
            key = (*key, *parameters.items())
        found = self._contents.get(key)
        if found is None:
            try:
                found = program.content(document, self.message, parameters, self.note, memory, self._kept)
            except Rejected as err:
                found = Rejected(err.reason, err.items)  # err leads to all that was read, and so to itself
            self._contents[key] = found
        if isinstance(found, Rejected):
            raise Rejected(found.reason, found.items)
        return found

    def brief(self, program: LayoutProgram, document: object) -> object:
        """The short form of what the layout's codec gives, or why there is none; once for all."""
        key = (program.asks, id(document))
        if key not in self._briefs:
            try:
                self._briefs[key] = program.told(document, self.message, self._kept)
            except Rejected as err:
                self._briefs[key] = Rejected(err.reason, err.items)
        return self._briefs[key]

    def inside(self, program: LayoutProgram, document: object, source: int) -> bytes | None:
        """The bytes that stand in a document, None where they cannot be read. source: a number for where."""
        key = (source, id(document))
        if key not in self._inside:
            self._inside[key] = program.bytes_of(document)
        return self._inside[key]

    def names(self, profile: Profile) -> int:
        """2: the message names this product, with its vendor or (where the name has a digit, as EM300-TH)
        without. 1: another of the same vendor. 0: neither."""
        if not self.product:
            return 0
        vendor, _, model = profile.id.partition("/")
        maker = _plain(vendor)
        # The Things Network calls a maker milesight-iot.
        product = (
            maker + self.product.removeprefix(f"{maker}iot")
            if self.product.startswith(f"{maker}iot")
            else self.product
        )
        own = {_plain(text) for text in (*profile.products, profile.id)}
        own |= {name.removeprefix(maker) for name in own} | {_plain(model)}
        if product in own and (product.startswith(maker) or _NUMBERED.search(product)):
            return 2
        return 1 if product.startswith(maker) else 0

    @property
    def product(self) -> str:
        """As the server of the message calls it, in letters and digits; "" where it calls it nothing."""
        if self._product is None:
            self._product = self._named()
        return self._product

    def _named(self) -> str:
        for document in self._documents.values():
            for paths in HINTS["lorawan"]:
                texts = [as_text(getter([parse(p)])(document, document)) for p in paths]
                if all(texts):
                    return _plain("".join(t for t in texts if t))
        return ""


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def attempt(candidate: Candidate, sight: Sight, known: Known, adopt: bool) -> Outcome:
    """The first layout that fits reads the message. Raises nothing."""
    profile = candidate.profile
    unreadable: Unreadable | None = None
    refused: Refused | None = None
    for program, where in candidate.layouts:
        captures = sight.captures[where]
        document = sight.document(program, captures)
        if isinstance(document, Unreadable):
            unreadable = unreadable or document
            continue
        if not program.starts(captures, document):
            continue
        try:
            outcome = _read(profile, program, captures, document, sight, known, adopt)
        except Rejected as err:  # another layout may know better
            refused = refused or Refused("rejected", f"{profile.id}: {err.reason}")
            continue
        except Skipped as skipped:
            address = program.address(document, document, captures)
            known_one = address and known.parameters(profile.id, address) is not None
            return Ignored(profile.id, skipped.reason, address if known_one else "")
        except RecursionError:
            return Refused("malformed", "nested too deeply")
        if outcome is not None:
            return outcome
    if refused is not None:
        return refused
    if unreadable is not None:
        return Refused(unreadable.reason, unreadable.detail)
    return Refused("no_layout", f"{profile.id}: no layout reads this message")


def _read(
    profile: Profile, program: LayoutProgram, captures: Captures, document: object, sight: Sight, known: Known, adopt: bool
) -> Outcome | None:  # fmt: skip
    """None: the layout does not fit after all. Raises Rejected, Skipped."""
    content, unread, odd, outer = document, 0, [], document
    if program.decodes:
        address, parameters = program.device(document, captures, known)
        if parameters is None:
            if address and not adopt:  # whether its bytes can be read is the question of a trial
                return Refused("unknown_device", address, ((profile.id, address),))
            parameters = profile.parameters
        content, report = sight.content(program, document, parameters)
        unread, odd = report.unread, report.findings
        if program.fits is not None and not program.fits(captures, content, document):
            return None
        if isinstance(document, dict):
            document = {**document, "decoded": content}
        elif isinstance(content, dict):
            document = content
    sight.read = (program, outer, content)
    layout = program.layout
    if layout.reject is not None:
        return Refused("rejected", f"{profile.id}: {layout.reject}")
    job = Job(document, sight.message.received_at, content)
    if layout.ignore is not None:
        return Ignored(profile.id, layout.ignore, program.registered(job, captures, known))
    program.run(job, captures, known, adopt)
    if job.addresses:
        job.findings += [(kind, job.addresses[0], detail) for kind, detail in odd]
    silent = not (job.readings or job.events or job.attributes or job.unknown)
    outcome = _outcome(profile, job, unread, silent and program.unnamed(job, unread))
    if (len(job.addresses) > 1 or job.unknown) and not silent and isinstance(outcome, Decoded):
        outcome.quiet = _quiet(job)
        if outcome.quiet:
            outcome.renamed = program.renamed(job, captures, outcome.quiet)
    return outcome


def _quiet(job: Job) -> tuple[str, ...]:
    """The addresses of which nothing was read."""
    said = {reading.address for reading in job.readings}
    if job.events or job.attributes:
        said.update(event.address for event in job.events)
        said.update(address for address, _, _ in job.attributes)
    return tuple(dict.fromkeys(address for address in job.addresses if address not in said))


def told(candidates: Sequence[Candidate], sight: Sight, limit: int = 3) -> list[tuple[str, str]]:
    """(profile, why it does not read the message) of the products that the message names, or else of a
    topic that is of few profiles; nothing where so many share it that their reasons say little."""
    named = [c for c in candidates if sight.names(c.profile) == 2]
    asked = named[:FEW] or (candidates if len(candidates) <= FEW else ())
    found = [(c.profile.id, attempt(c, sight, NOBODY, True)) for c in asked]
    reasons = [(p, o.detail.removeprefix(f"{p}: ") or o.reason) for p, o in found if isinstance(o, Refused)]
    return reasons[:limit]


def _each_once(found: list[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(found)) if len(found) > 1 else tuple(found)


def _outcome(profile: Profile, job: Job, unread: int, unnamed: bool) -> Outcome:
    if job.addresses:
        return Decoded(
            profile.id,
            job.readings,
            job.events,
            job.attributes,
            job.findings,
            _each_once(job.unknown),
            _each_once(job.addresses),
            unread,
            sequences=job.sequences,
            unnamed=unnamed,
        )
    if job.unknown:
        devices = tuple(dict.fromkeys(job.unknown))
        return Refused("unknown_device", ", ".join(address for _, address in devices[:10]), devices)
    if not job.items:
        return Ignored(profile.id, "nothing")
    return Refused("no_layout", f"{profile.id}: the message names no device")
