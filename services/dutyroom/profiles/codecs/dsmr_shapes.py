"""P1 telegrams whose lines are those of an earlier one: they are cut where that one was, not read line by line.

A meter writes the same lines every few seconds, each register with all its digits, so that only digits change. What
stands between the registers must be the same byte by byte, a number must have its digits and its point where they
were; any other telegram is read in full.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from operator import itemgetter
from typing import Final, NamedTuple, TypeAlias

from dutyroom.profiles.codecs import dsmr_tables as tables
from dutyroom.profiles.codecs.dsmr_lines import Lines, place_of
from dutyroom.profiles.codecs.dsmr_values import NUMBER, Item
from dutyroom.profiles.codecs.seam import AS_TOLD, Told, Wanted

MAX_KINDS = 256  # headers and sizes of telegrams that are remembered
MAX_SHAPES = 4  # of each
MAX_LEARNED = 64  # times that shapes of one kind are learned: some meter may never write the same twice
MAX_STILLS = 4  # of a shape: what its telegrams say beside registers
MAX_SIZE = 8192  # bytes of a telegram that is remembered
_DIGITS = 12  # of a register: a counter of thousandths is exact

_ROW = re.compile(r"([-0-9:.]{0,23})((?:\([^()\r\n]*\)){1,200})[\r\n]+")
_BRACKET = re.compile(r"\(([^()\r\n]*)\)")
_DECIMAL = re.compile(r"[0-9]{1,30}(?:\.[0-9]{1,9})?\Z")
_ZEROS: Final = bytes.maketrans(b"123456789", b"000000000")
_KEPT = frozenset({
    tables.TIME, *tables.VERSIONS, *tables.EQUIPMENT, *tables.LOGS, tables.MONTH_PEAK, *tables.TEXTS
})  # fmt: skip

Pieces: TypeAlias = tuple[bytes, ...]
Pick: TypeAlias = Callable[[Pieces], Pieces]
Span: TypeAlias = tuple[int, int]
Spans: TypeAlias = tuple[tuple[str, tuple[Span, ...]], ...]  # (code, where its brackets are)


class Still(NamedTuple):
    """What a telegram says beside its registers and its clock: it stays the same for minutes. Not to be changed.
    found: of the electricity meter. behind: the meters on its channels."""

    version: str | None
    found: Item
    behind: tuple[Item, ...]


class Cut(NamedTuple):
    """A telegram cut to pieces. found: registers of the electricity meter. key: what `still` depends on. still: None =
    it is not known."""

    found: Item
    shape: Shape
    text: str
    key: Pieces
    still: Still | None

    @property
    def time(self) -> str:
        """The clock's line."""
        return self.text[self.shape.clock[0] : self.shape.clock[1]]

    @property
    def own(self) -> Lines:
        """Lines of the electricity meter that are more than a register, without its clock's."""
        return self._lines(self.shape.own)

    @property
    def behind(self) -> dict[int, Lines]:
        """The lines of each channel."""
        return {channel: self._lines(listed) for channel, listed in self.shape.behind}

    def _lines(self, listed: Spans) -> Lines:
        return {code: [self.text[a:b] for a, b in spans] for code, spans in listed}

    def remember(self, still: Still) -> None:
        if len(self.shape.stills) >= MAX_STILLS:
            self.shape.stills.clear()
        self.shape.stills[self.key] = still


@dataclass(frozen=True, slots=True)
class _Places:
    """Where what stands in a telegram. numbers: only their digits change. words: letters and digits. registers:
    name -> (where, unit)."""

    numbers: list[Span] = field(default_factory=list)
    words: list[Span] = field(default_factory=list)
    registers: dict[str, tuple[Span, str]] = field(default_factory=dict)
    own: list[tuple[str, tuple[Span, ...]]] = field(default_factory=list)
    behind: dict[int, list[tuple[str, tuple[Span, ...]]]] = field(default_factory=dict)

    def totals(self, text: str) -> Iterator[tuple[str, str, str, int]]:
        """(name, first, second, decimals) of totals that the meter does not show. -1: the two have not as many."""
        for name, pair in tables.TOTALS.items():
            if name in self.registers or not all(part in self.registers for part in pair):
                continue
            (one, unit), (other, same) = (self.registers[part] for part in pair)
            if unit and unit == same:
                first, second = (len(text[a:b].partition(".")[2]) for a, b in (one, other))
                yield name, *pair, first if first == second else -1


class Shape:
    """How telegrams of one kind are cut."""

    __slots__ = (
        "_always", "_cut", "_fixed", "_key", "_names", "_number", "_registers", "_same", "_totals", "_units", "_word",
        "_zeros", "behind", "clock", "own", "stills",
    )  # fmt: skip

    def __init__(self, text: str, places: _Places, wanted: Wanted) -> None:
        spans = sorted((*places.numbers, *places.words))
        edges = [0, *(edge for span in spans for edge in span), len(text)]
        self._cut = struct.Struct("".join(f"{b - a}s" for a, b in pairwise(edges))).unpack
        at = {span: 2 * number + 1 for number, span in enumerate(spans)}  # its piece
        self._fixed = _pick(range(0, 2 * len(spans) + 1, 2))
        self._number, self._word = (_pick(at[s] for s in found) for found in (places.numbers, places.words))
        pieces = self._cut(text.encode("latin-1"))
        self._same, self._zeros = self._fixed(pieces), b"".join(self._number(pieces)).translate(_ZEROS)
        known = {name: at[span] for name, (span, _) in places.registers.items()}
        units = {name: unit for name, (_, unit) in places.registers.items()}
        self._units = frozenset(name for name, unit in units.items() if unit)
        self._always: Item = {f"{n}_unit": u for n, u in units.items() if u and f"{n}_unit" in wanted.names}
        self._totals = tuple(
            (name, known[first], known[second], 10**decimals)
            for name, first, second, decimals in places.totals(text)
        )
        self._names = tuple(name for name in known if name in wanted.numbers)
        self._registers = _pick(known[name] for name in self._names)
        self.own = tuple((code, found) for code, found in places.own if code != tables.TIME)
        self.behind = tuple((channel, tuple(found)) for channel, found in sorted(places.behind.items()))
        self.clock = next((found[0] for code, found in places.own if code == tables.TIME), (0, 0))
        listed = [*self.own, *(line for _, found in self.behind for line in found)]
        still = [span for _, found in listed for span in found]
        self._key = _pick(at[a, b] for a, b in spans if any(a >= c and b <= d for c, d in still))
        self.stills: dict[Pieces, Still] = {}

    def read(self, body: bytes, text: str) -> Cut | None:
        """None where the telegram has another shape. text: the same as body."""
        pieces = self._cut(body)
        if (
            self._fixed(pieces) != self._same
            or b"".join(self._number(pieces)).translate(_ZEROS) != self._zeros
            or not all(map(bytes.isalnum, self._word(pieces)))
        ):
            return None
        found = self._always.copy()
        found.update(zip(self._names, map(float, self._registers(pieces)), strict=True))
        for name, first, second, ten in self._totals:
            found[name] = (
                int(pieces[first].replace(b".", b"")) + int(pieces[second].replace(b".", b""))
            ) / ten
        found[AS_TOLD] = _AsTold(self, pieces)
        key = self._key(pieces)
        return Cut(found, self, text, key, self.stills.get(key))

    def told(self, name: str, pieces: Pieces) -> str | None:
        """The text of a register, or of a total of two."""
        for total, first, second, _ in self._totals:
            if total == name:
                return f"{Decimal(pieces[first].decode()) + Decimal(pieces[second].decode()):f}"
        if name not in self._names:
            return None
        text = self._registers(pieces)[self._names.index(name)].decode()
        match = NUMBER.match(f"{text}*1") if name in self._units else None
        return match[2] if match else text


class _AsTold(Told):
    __slots__ = ("_pieces", "_shape")

    def __init__(self, shape: Shape, pieces: Pieces) -> None:
        self._shape, self._pieces = shape, pieces

    def text(self, name: str) -> str | None:
        return self._shape.told(name, self._pieces)


def _pick(numbers: Iterable[int]) -> Pick:
    """Of a tuple those at these places, as a tuple."""
    places = tuple(numbers)
    if len(places) > 1:
        return itemgetter(*places)
    return (lambda pieces: (pieces[places[0]],)) if places else (lambda pieces: ())


# ---------------------------------------------------------------- learning


def _rows(text: str) -> Iterator[tuple[str, list[re.Match[str]]]]:
    """(code, its brackets) of each line; the code "?" for what is no line."""
    at = len(text) - len(text.lstrip("\r\n"))
    while at < len(text):
        row = _ROW.match(text, at)
        if row is None:
            yield "?", []
            return
        yield row[1], list(_BRACKET.finditer(text, row.start(2), row.end(2)))
        at = row.end()


def shape_of(text: str, wanted: Wanted) -> Shape | None:
    """The shape of a telegram that has been read in full; None where something in it is not usual."""
    lines: dict[str, list[re.Match[str]]] = {}
    last: list[re.Match[str]] | None = None
    for code, brackets in _rows(text):
        if code and (code in lines or place_of(code).channel < 0):
            return None
        if code:
            lines[code] = last = brackets
        elif last is None:
            return None
        else:
            last += brackets
    places = _Places()
    for code, brackets in lines.items():
        if not _learn(places, code, brackets, wanted):
            return None
    unusual = any(
        decimals < 0 or name in wanted.names - wanted.numbers for name, _, _, decimals in places.totals(text)
    )
    return None if unusual else Shape(text, places, wanted)


def _learn(places: _Places, code: str, brackets: list[re.Match[str]], wanted: Wanted) -> bool:
    """False where a register is none as they usually are."""
    channel, key, name, _, _ = place_of(code)
    for bracket in brackets:
        span, content = bracket.span(1), bracket[1]
        match = NUMBER.match(content)
        unit = match[3] if match else ""
        number = (span[0], span[1] - len(unit) - 1) if match else span
        if _DECIMAL.match(content[: number[1] - number[0]]):
            places.numbers.append(number)
        elif content.isascii() and content.isalnum():
            places.words.append(span)
        if name and bracket is brackets[-1] and content:
            size = number[1] - number[0]
            if number not in places.numbers or size > _DIGITS + 1 or name in wanted.names - wanted.numbers:
                return False
            places.registers[name] = (number, unit)
    spans = tuple(bracket.span(1) for bracket in brackets)
    if channel:
        places.behind.setdefault(channel, []).append((key, spans))
    elif code in _KEPT:
        places.own.append((code, spans))
    return True


class _Kind:
    """The shapes of telegrams with one header and of one size, the newest first."""

    __slots__ = ("learned", "shapes")

    def __init__(self) -> None:
        self.learned = 0
        self.shapes: list[Shape] = []


class Shapes:
    """All that are remembered for what is wanted."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._kinds: dict[tuple[bytes, int], _Kind] = {}

    def read(self, head: bytes, body: bytes, text: str) -> Cut | None:
        kind = self._kinds.get((head, len(body)))
        for shape in kind.shapes if kind is not None else ():
            cut = shape.read(body, text)
            if cut is not None:
                return cut
        return None

    def learn(self, head: bytes, body: bytes, text: str) -> None:
        """The telegram could be read in full."""
        if len(body) > MAX_SIZE:
            return
        kind = self._kinds.get((head, len(body)))
        if kind is None:
            if len(self._kinds) >= MAX_KINDS:
                self._kinds.clear()
            kind = self._kinds[head, len(body)] = _Kind()
        if kind.learned >= MAX_LEARNED:
            return
        kind.learned += 1
        shape = shape_of(text, self._wanted)
        if shape is not None:
            kind.shapes = [shape, *kind.shapes[: MAX_SHAPES - 1]]
