"""The parameters of J1939 frames that a profile reads, and no others: a frame of the usual form costs two looks
and its own parameters.

Whatever is no usual frame is left to the full way: it reads it, or says what is wrong.
"""

from __future__ import annotations

from binascii import a2b_hex
from dataclasses import dataclass
from typing import Any

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.j1939_code import (
    Number,
    Read,
    compiled,
    faults_reader,
    number_of,
    silent,
)
from dutyroom.profiles.codecs.j1939_fields import ACTIVE_FAULTS, OWN_WAY, PAST_FAULTS, Field, Groups, Values
from dutyroom.profiles.codecs.j1939_frames import (
    LONGEST,
    MAX_FRAMES,
    MAX_ID,
    PIECES,
    Frame,
    frame,
    read_id,
)
from dutyroom.profiles.codecs.j1939_gathered import Gathered
from dutyroom.profiles.codecs.seam import Finish, Wanted

MAX_READERS = 4096  # CAN ids that are remembered
_ONES = "FF" * 8  # most groups of most engines have nothing to say
_hex = bytes.fromhex


@dataclass(frozen=True, slots=True)
class _Group:
    """What is read of the frames of one group. others: with the texts of their values. silent: nothing comes of a frame
    of ones."""

    read: Read
    numbers: tuple[Number, ...]
    others: tuple[Field, ...]
    silent: bool


class Narrow:
    """Reads arrays of {id, data}."""

    def __init__(self, groups: Groups, sources: frozenset[int] | None, wanted: Wanted) -> None:
        self._groups, self._sources, self._wanted = groups, sources, wanted
        self._finishes = _finishes(groups, wanted)
        self._compiled: dict[int, _Group] = {}
        self._nothing = _Group(compiled((), ()), (), (), True)
        self._readers: dict[int | str, Read | None] = {}  # None: a frame that is read in the long way
        self._silent: set[int | str] = set()
        self._faults = {
            pgn: faults_reader(prefix, self._finishes, wanted.computed)
            for pgn, prefix in ((ACTIVE_FAULTS, ""), (PAST_FAULTS, "past_"))
        }

    def read(self, value: object) -> Values | None:
        """{engine: {engine_speed: 1498.75, ..., reasons: {...}}}; None = the full way must be gone."""
        elements: list[Any] = value if isinstance(value, list) else [value]
        if len(elements) > MAX_FRAMES:
            return None
        gathered, readers, quiet = Gathered(), self._readers, self._silent
        ready, values, nothing = gathered.ready, gathered.values, self._nothing.read
        for element in elements:
            try:
                own, data = element["id"], element["data"]
            except (TypeError, KeyError):
                return None
            if type(own) is not int and type(own) is not str:
                return None
            if data == _ONES and own in quiet:
                continue
            try:
                content = a2b_hex(data)
            except (TypeError, ValueError):
                try:  # there may be blanks in it
                    content = _hex(data)
                except (TypeError, ValueError):
                    return None
            try:
                read = readers[own]
            except KeyError:
                try:
                    read = self._reader(own)
                except Rejected:
                    return None
            if read is nothing and len(data) <= 16:
                continue
            if read is not None and len(content) == 8:
                read(content, ready, values, gathered)
            elif len(data) > LONGEST or (read is not nothing and not self._long(own, content, gathered)):
                return None
        return gathered.item()

    def _long(self, own: int | str, content: bytes, gathered: Gathered) -> bool:
        """The long way of one frame, and of the long message that it may complete. False where that cannot be read:
        something else may be wrong with the frames behind it, which the full way would say first."""
        try:
            found = frame(own if type(own) is int and 0 <= own <= MAX_ID else read_id(own, ""), content)
            if self._sources is not None and found.source not in self._sources:
                return True
            self._add(found, gathered)
            if found.pgn in PIECES and (complete := gathered.take(found)) is not None:
                self._add(complete, gathered)
        except Rejected:
            return False
        return True

    def _add(self, found: Frame, gathered: Gathered) -> None:
        if found.pgn in OWN_WAY:
            if found.pgn not in PIECES or found.pgn in self._groups:
                gathered.add(found, self._groups)
            return
        group, bits = self._group(found.pgn), int.from_bytes(found.data, "little")
        for number in group.numbers:
            if number.field.end <= len(found.data) * 8:
                number.read(bits, gathered)
        gathered.read(found.data, group.others, None)

    def _reader(self, own: int | str) -> Read | None:
        """Raises Rejected: no id."""
        found = frame(read_id(own, ""), b"")
        if self._sources is not None and found.source not in self._sources:
            group: _Group | None = self._nothing
        else:
            group = None if found.pgn in OWN_WAY else self._group(found.pgn)
        read = None if group is None else group.read
        if group is None and found.pgn not in self._groups:
            read = self._faults.get(found.pgn)
        if len(self._readers) < MAX_READERS:
            self._readers[own] = read
            if group is not None and group.silent:
                self._silent.add(own)
        return read

    def _group(self, pgn: int) -> _Group:
        if pgn not in self._groups:
            return self._nothing
        group = self._compiled.get(pgn)
        if group is None:
            group = self._compiled[pgn] = self._of_fields(self._groups[pgn])
        return group

    def _of_fields(self, fields: tuple[Field, ...]) -> _Group:
        wanted = self._wanted
        numbers = []
        for f in fields:
            if f.name in wanted.numbers or f.name in wanted.computed:
                number = number_of(f, self._finishes.get(f.name), f.name in wanted.computed)
                if number is not None:
                    numbers.append(number)
        known = {number.field.name for number in numbers}
        others = tuple(f for f in fields if f.name in wanted.names and f.name not in known)
        return _Group(compiled(numbers, others), tuple(numbers), others, silent(numbers) and not others)


def _finishes(groups: Groups, wanted: Wanted) -> dict[str, Finish]:
    """Of parameters that are numbers wherever they stand, and that faults cannot have the name of: else one would
    stand there twice."""
    known = dict(wanted.finishes)
    apart = {
        f.name
        for pgn, listed in groups.items()
        for f in listed
        if f.name in known and (pgn in OWN_WAY or not f.parameter.spn or number_of(f, None, False) is None)
    }
    return {n: finish for n, finish in known.items() if n not in apart}
