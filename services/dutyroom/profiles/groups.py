"""The profiles that share a topic, put together by how they find whose message it is.

A group is asked once, not profile by profile, and the registry chooses among its profiles. On the topic of a
transparent DTU several groups are asked for every message: of a way that these bytes cannot be for, a look
at them says so, before anything is decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from dutyroom.errors import Rejected
from dutyroom.profiles.attempt import Candidate, Compile, Sight
from dutyroom.profiles.codecs import CODECS
from dutyroom.profiles.job import Known
from dutyroom.profiles.paths import Captures, Key
from dutyroom.profiles.profile import ByteSource, CodecRule, Layout, Profile, Sketch
from dutyroom.profiles.program import LayoutProgram
from dutyroom.profiles.result import Refused
from dutyroom.profiles.unwrap import Unreadable

Told: TypeAlias = tuple[tuple[str, ...], list[Candidate]]  # addresses, the candidates that have one of them

_ANY = bytes(256)
_HEX = frozenset(b"0123456789abcdefABCDEF")
# By first byte of a payload, 1 where it cannot be such a text. Blanks may stand in front; a byte from 80 on may
# begin a blank of Unicode, from F8 on it begins no character.
NO_HEX = bytes((0x20 < b < 0x80 and b not in _HEX) or b >= 0xF8 for b in range(256))
NO_OBJECT = bytes(b not in b" \t\r\n{" for b in range(256))

_SOURCES: dict[ByteSource, int] = {}


class Way(NamedTuple):
    """A layout as a way to find the device. never: by first byte of the payload, 1 where the layout cannot read
    it. foreign: whether its codec refuses bytes for certain. source: a number for where they stand in the
    document, -1 = it is the bytes."""

    program: LayoutProgram
    where: str
    never: bytes
    foreign: Callable[[bytes], bool] | None
    source: int


@dataclass(slots=True)
class Group:
    """Candidates that find whose message it is in the same way: the registry chooses among them.

    shares: it is worth while to ask. several: a message may be of more than one device.
    """

    candidates: list[Candidate] = field(default_factory=list)
    by_id: dict[str, Candidate] = field(default_factory=dict)
    shares: bool = False
    several: bool = False
    _ways: list[Way] = field(default_factory=list)

    def add(self, candidate: Candidate) -> None:
        self.candidates.append(candidate)
        self.by_id[candidate.profile.id] = candidate
        sketches = [candidate.profile.sketches[number] for number, _ in candidate.places]
        self.several = any(sketch.several for sketch in sketches)
        quick = not candidate.profile.fallback and all(_asked_shortly(sketch) for sketch in sketches)
        self.shares = len(self.candidates) > 1 or quick

    def registered(self, addresses: Sequence[str], known: Known) -> list[Candidate]:
        """The candidates under which one of these is registered."""
        if len(addresses) == 1:
            return [self.by_id[p] for p in known.profiles(addresses[0]) if p in self.by_id]
        found = dict.fromkeys(p for a in addresses for p in known.profiles(a) if p in self.by_id)
        return [self.by_id[p] for p in found]

    def told(self, sight: Sight, known: Known) -> Told | None:
        """Whose message it is, in the first of the group's ways that tells. () where it can be read and is of
        nobody. None where no way tells: `refusal` has the reason."""
        if not self._ways:
            self._ways = [_way(program, where) for program, where in self.candidates[0].layouts]
        first = sight.message.payload[0]
        for way in self._ways:
            if way.never[first]:
                continue
            document = sight.document(way.program, sight.captures[way.where])
            if isinstance(document, Unreadable) or _is_foreign(way, document, sight):
                continue
            try:
                found = self._told(way.program, document, sight.captures[way.where], sight, known)
            except Rejected:
                continue
            if type(found) is tuple:
                return found
        return None

    def refusal(self, sight: Sight, known: Known) -> Refused:
        """Why none of the group's ways tells whose message it is."""
        refused: dict[str, str] = {}  # reason -> detail, the first of each
        for program, where in self.candidates[0].layouts:
            captures = sight.captures[where]
            document = sight.document(program, captures)
            if isinstance(document, Unreadable):
                refused.setdefault(document.reason, document.detail)
                continue
            try:
                found = self._told(program, document, captures, sight, known)
            except Rejected as err:
                found = err
            if isinstance(found, Rejected):
                refused.setdefault("rejected", found.reason)
            else:
                refused.setdefault("no_layout", "the message names no device")
        reason = "rejected" if "rejected" in refused else list(refused)[-1]
        return Refused(reason, refused[reason])

    def _told(
        self, program: LayoutProgram, document: object, captures: Captures, sight: Sight, known: Known
    ) -> Told | Rejected | None:
        """None: this layout does not tell. Raises Rejected as well as giving it."""
        if program.brief is not None:
            brief = sight.brief(program, document)
            if isinstance(brief, Rejected):
                return brief
            found = program.addresses(document, brief, captures)
            registered = self.registered(found, known)
            if self.several or registered:
                return found, registered
        content = document
        if program.inside:  # a stranger's message must be readable to be one
            content, _ = sight.content(program, document, {})
        found = program.addresses(document, content, captures)
        return (found, self.registered(found, known)) if found or self.several else None


def _way(program: LayoutProgram, where: str) -> Way:
    layout = program.layout
    named = program.brief is not None and isinstance(layout.decoder, CodecRule)
    foreign = CODECS[layout.decoder.name].foreign if named and isinstance(layout.decoder, CodecRule) else None
    several = layout.source is not None and layout.source.each is not None
    never = _never(layout) if named else _ANY
    source = -1 if layout.source is None else _SOURCES.setdefault(layout.source, len(_SOURCES))
    return Way(program, where, never, None if several else foreign, source)


def _never(layout: Layout) -> bytes:
    kinds = [stage.kind for stage in layout.unwrap]
    source = layout.source
    if kinds == ["hex"]:
        return NO_HEX
    if kinds == ["json"] and source is not None and source.each is None:
        fields = all(path.steps and isinstance(path.steps[0], Key) for path in source.paths)
        return NO_OBJECT if fields else _ANY
    return _ANY


def _is_foreign(way: Way, document: object, sight: Sight) -> bool:
    if way.foreign is None:
        return False
    data = document if way.source < 0 else sight.inside(way.program, document, way.source)
    return not isinstance(data, bytes) or way.foreign(data)


def grouped(entries: Sequence[tuple[Profile, int, str]], compile_: Compile) -> tuple[Group, ...]:
    """The profiles of a topic by rank, each with its layouts in the order they are written; those that
    find their device in the same way together. entries: (profile, layout number, topic filter)."""
    found: dict[str, Candidate] = {}
    for profile, number, where in sorted(entries, key=lambda e: (e[0].rank, e[0].id, e[1])):
        candidate = found.setdefault(profile.id, Candidate(profile, compile_))
        if number not in {n for n, _ in candidate.places}:
            candidate.places.append((number, where))
    groups: dict[object, Group] = {}
    for candidate in found.values():
        groups.setdefault(_shared(candidate), Group()).add(candidate)
    return tuple(groups.values())


def _shared(candidate: Candidate) -> object:
    """What candidates of one group have in common: how the document is made and names its one device.
    A profile of its own way stays alone."""
    profile = candidate.profile
    sketches = [profile.sketches[number] for number, _ in candidate.places]
    alone = any(s.way is None or (s.several and s.codec and not _asked_shortly(s)) for s in sketches)
    return profile.id if profile.fallback or alone else frozenset(s.way for s in sketches)


def _asked_shortly(sketch: Sketch) -> bool:
    return sketch.codec != "" and CODECS[sketch.codec].brief is not None
