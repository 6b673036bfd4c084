"""Readings of one store into another, compared reading by reading.

Device by device and page by page, the newest first: what the target lacks or has otherwise is written, then
the page is read from it again. So a copy that was broken off goes on where it was: what is there already is
only compared. Value, quality, text and the receive time of late ones are compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from dutyroom.errors import Rejected
from dutyroom.interfaces import ReadingStore
from dutyroom.model.telemetry import Point, PointTable, Readings, Series
from dutyroom.timebase import Ms

PAGE = 200_000  # readings of a device held at once
BLOCK = 50_000  # readings a write
EVER = 2**53  # ms

Words = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]


@dataclass(slots=True)
class Tally:
    """What both stores have of one point, so far. checksum: of readings in any order, modulo 2**64."""

    point: Point
    source: int = 0
    target: int = 0
    source_sum: int = 0
    target_sum: int = 0
    written: int = 0
    missing: int = 0  # from the target, after all
    different: int = 0
    extra: int = 0  # in the target only
    first: Ms | None = None  # the earliest that is missing, different or extra
    reason: str = ""  # why the target refused one

    @property
    def equal(self) -> bool:
        return (self.source, self.source_sum) == (self.target, self.target_sum)


@dataclass(slots=True)
class Copied:
    """What a copy did. tallies: of every point that either store has something of."""

    tallies: list[Tally] = field(default_factory=list)

    @property
    def differences(self) -> list[Tally]:
        return [tally for tally in self.tallies if not tally.equal]

    def total(self, name: str) -> int:
        return int(sum(getattr(tally, name) for tally in self.tallies)) % 2**64


def copy_readings(
    table: PointTable,
    source: ReadingStore,
    target: ReadingStore,
    since: Ms = -EVER,
    until: Ms = EVER,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Copied:
    """Copies since <= at < until. progress: devices done, of all. Raises Unavailable: begin again, it goes on."""
    by_device: dict[str, list[Point]] = defaultdict(list)
    for point in table:
        by_device[point.device].append(point)
    done = Copied()
    for number, device in enumerate(sorted(by_device), 1):
        points = sorted(by_device[device], key=lambda p: p.id)
        tallies = {point.id: Tally(point) for point in points}
        for start, end, page in _pages(points, source, since, until):
            _copy_page(table, page, target, (start, end), tallies)
        done.tallies += [tally for tally in tallies.values() if tally.source or tally.target]
        progress(number, len(by_device))
    return done


def _pages(
    points: Sequence[Point], source: ReadingStore, since: Ms, until: Ms
) -> Iterator[tuple[Ms, Ms, dict[int, Series]]]:
    """(start, end, the source's readings in between) from the newest to the oldest, without a gap."""
    limit, end = max(1000, PAGE // len(points)), until
    while end > since:
        page = {point.id: source.range(point, since, end, limit) for point in points}
        start = max((int(s.at[0]) for s in page.values() if len(s) >= limit), default=since)
        yield start, end, {point: _from(series, start) for point, series in page.items()}
        end = start


def _from(series: Series, start: Ms) -> Series:
    cut = int(np.searchsorted(series.at, start))
    late = {row - cut: then for row, then in series.late.items() if row >= cut}
    text = {row - cut: said for row, said in series.text.items() if row >= cut}
    return Series(series.point, series.at[cut:], series.value[cut:], series.quality[cut:], late, text)


def _whole(store: ReadingStore, point: Point, start: Ms, end: Ms) -> Series:
    """All readings in between, whatever the limit of one answer."""
    parts: list[Series] = []
    while end > start:
        part = store.range(point, start, end, PAGE)
        parts.insert(0, part)
        if len(part) < PAGE:
            break
        end = int(part.at[0])
    late, text, offset = {}, {}, 0
    for part in parts:
        late.update({offset + row: then for row, then in part.late.items()})
        text.update({offset + row: said for row, said in part.text.items()})
        offset += len(part)
    at = np.concatenate([p.at for p in parts]) if parts else np.zeros(0, np.int64)
    value = np.concatenate([p.value for p in parts]) if parts else np.zeros(0)
    quality = np.concatenate([p.quality for p in parts]) if parts else np.zeros(0, np.uint8)
    return Series(point.id, at, value, quality, late, text)


def _copy_page(
    table: PointTable,
    page: dict[int, Series],
    target: ReadingStore,
    between: tuple[Ms, Ms],
    tallies: dict[int, Tally],
) -> None:
    wanted: list[tuple[Series, Mask]] = []
    for point, series in page.items():
        there = _whole(target, table[point], *between)
        alike = _alike(series, there)
        if alike.all():
            _count(tallies[point], series, there)
        else:
            wanted.append((series, ~alike))
    _write(table, wanted, target, tallies)
    for series, _ in wanted:
        _count(tallies[series.point], series, _whole(target, table[series.point], *between))


def _alike(mine: Series, theirs: Series) -> Mask:
    """Which rows of `mine` `theirs` has with the same value, quality and receive time."""
    place = np.searchsorted(theirs.at, mine.at)
    inside = place < len(theirs)
    place = np.where(inside, place, 0)
    if not len(theirs):
        return np.zeros(len(mine), dtype=bool)
    same: Mask = inside & (theirs.at[place] == mine.at) & (_words(theirs)[place] == _words(mine))
    return same


def _write(
    table: PointTable, wanted: Sequence[tuple[Series, Mask]], target: ReadingStore, tallies: dict[int, Tally]
) -> None:
    """All fields of an instant together, in the order of time."""
    if not wanted:
        return
    rows = [(series, np.flatnonzero(mask)) for series, mask in wanted]
    point = np.concatenate([np.full(len(chosen), s.point, np.int32) for s, chosen in rows])
    at = np.concatenate([s.at[chosen] for s, chosen in rows])
    value = np.concatenate([s.value[chosen] for s, chosen in rows])
    quality = np.concatenate([s.quality[chosen] for s, chosen in rows])
    late = np.concatenate([_late(s)[chosen] for s, chosen in rows])
    text = _texts(rows)
    order = np.lexsort((point, at))
    for start in range(0, len(order), BLOCK):
        part = order[start : start + BLOCK]
        received = {n: int(then) for n, then in enumerate(late[part].tolist()) if then != _IN_TIME}
        said = {n: text[row] for n, row in enumerate(part.tolist()) if row in text} if text else {}
        message = np.zeros(len(part), np.int32)
        block = Readings(point[part], at[part], value[part], quality[part], message, said, received)
        try:
            target.write(block, table)
        except Rejected as err:
            for row, reason in err.items.items():
                tallies[int(block.point[int(row)])].reason = reason
    for series, chosen in rows:
        tallies[series.point].written += len(chosen)


def _texts(rows: Sequence[tuple[Series, npt.NDArray[np.intp]]]) -> dict[int, str]:
    """By row of all the chosen ones, one series after the other."""
    found: dict[int, str] = {}
    first = 0
    for series, chosen in rows:
        if series.text:
            texts = ((n, series.text.get(row, "")) for n, row in enumerate(chosen.tolist()))
            found.update({first + n: text for n, text in texts if text})
        first += len(chosen)
    return found


def _count(tally: Tally, mine: Series, theirs: Series) -> None:
    """Adds a page as it is in the end."""
    tally.source += len(mine)
    tally.target += len(theirs)
    tally.source_sum = (tally.source_sum + checksum(mine)) % 2**64
    tally.target_sum = (tally.target_sum + checksum(theirs)) % 2**64
    there, alike = np.isin(mine.at, theirs.at), _alike(mine, theirs)
    extra = ~np.isin(theirs.at, mine.at)
    tally.missing += int((~there).sum())
    tally.different += int((there & ~alike).sum())
    tally.extra += int(extra.sum())
    odd = [*mine.at[~alike].tolist(), *theirs.at[extra].tolist()]
    tally.first = min(odd if tally.first is None else [*odd, tally.first], default=None)


# ---------------------------------------------------------------- checksums

_IN_TIME = np.iinfo(np.int64).min


def _late(series: Series) -> npt.NDArray[np.int64]:
    """Receive times as a column."""
    column = np.full(len(series), _IN_TIME, np.int64)
    for row, then in series.late.items():
        column[row] = then
    return column


def _mixed(words: Words) -> Words:
    """Every bit spread over the word (the finalizer of SplitMix64: Steele, Lea, Flood 2014)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def _words(series: Series) -> Words:
    """A number for each reading, of its instant, value (0.0 and -0.0 are one), quality, receive time and
    text."""
    value = (series.value + 0.0).view(np.uint64)
    words = _mixed(series.at.astype(np.int64).view(np.uint64))
    words = _mixed(words + value)
    words = _mixed(words + series.quality.astype(np.uint64))
    words = _mixed(words + _late(series).view(np.uint64))
    if series.text:
        rows = list(series.text)
        words[rows] = _mixed(words[rows] + np.array(list(map(_word, series.text.values())), np.uint64))
    return words


def _word(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "big")


def checksum(series: Series) -> int:
    """The same for the same readings in any order and any pages."""
    return int(_words(series).sum(dtype=np.uint64))
