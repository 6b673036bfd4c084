"""Many counts of one hour as one block of columns, where a row for each device would cost more than its messages.

A block has numbers of devices (see `Names`), rising, and of each the counts that are not all zero. Blocks of an
hour are added up: each write adds one, some of them become one of the next level, and when the hour is over
all of them become one. A write of few devices does not come here: it goes into the tables by row.

block   <BBHI  version, 1 = eight bytes a count, which columns (bit n = column n), rows; then zstd of the
        columns as whole numbers, low bytes first: differences of the devices' numbers, counts. Little-endian.
"""

from __future__ import annotations

import sqlite3
import struct
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import zstandard

from dutyroom.errors import Unavailable
from dutyroom.model.telemetry import Batch, Longs, Senders
from dutyroom.timebase import HOUR, Ms

SCHEMA = """
CREATE TABLE ledger_device (number INTEGER PRIMARY KEY, device TEXT NOT NULL);
CREATE TABLE ledger_block (
  id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, hour INTEGER NOT NULL, level INTEGER NOT NULL, data BLOB NOT NULL);
CREATE INDEX ledger_block_hour ON ledger_block (kind, hour, level);
"""
LEDGER, KEPT = 0, 1  # kinds
FEW = 128  # devices of an hour and write from which on a block costs less than rows
_TOGETHER = 8  # blocks of a level that become one of the next
_LISTS = 16  # of devices, whose numbers are kept at hand
_CLOSED = 9  # the level of an hour that is over
_AT_ONCE = 4  # hours that are closed by one call
_HEAD = struct.Struct("<BBHI")
_VERSION = 1
_LEVEL = 1  # of compression
_local = threading.local()  # a compressor must not be used by two threads at once


class Names(dict[str, int]):
    """Devices by number, in the order in which they were met. The one that writes has the file's numbers."""

    def __init__(self, listed: Sequence[str] = ()) -> None:
        super().__init__(zip(listed, range(len(listed)), strict=True))
        self.listed = list(listed)
        self._lists: dict[int, tuple[Sequence[str], Longs]] = {}  # by identity, the last one used at the end

    def __missing__(self, device: str) -> int:
        number = self[device] = len(self.listed)
        self.listed.append(device)
        return number

    def of(self, devices: Sequence[str]) -> Longs:
        return np.fromiter(map(self.__getitem__, devices), np.int64, len(devices))

    def senders(self, batch: Batch, first: int) -> Longs:
        """Of the devices of a batch's messages from `first` on."""
        if sum(map(len, batch.senders)) != len(batch.messages) - first:
            return self.of(batch.of_whom(np.arange(first, len(batch.messages))))
        return np.concatenate([np.empty(0, np.int64), *map(self._rows, batch.senders)])

    def _rows(self, senders: Senders) -> Longs:
        """Those who send by thousands are looked up once: their lists grow, what is in them stays."""
        names = senders.names
        if len(senders) < len(names) // 4 and id(names) not in self._lists:
            return self.of(senders.devices())
        held = self._lists.pop(id(names), (names, np.empty(0, np.int64)))
        numbers = held[1] if held[0] is names else np.empty(0, np.int64)
        if len(numbers) < len(names):
            numbers = np.concatenate([numbers, self.of(names[len(numbers) :])])
        if len(self._lists) >= _LISTS:
            del self._lists[next(iter(self._lists))]
        self._lists[id(names)] = (names, numbers)
        return numbers[senders.row]

    def learn(self, db: sqlite3.Connection) -> None:
        """Those that the file has and we do not know yet. Of one that reads."""
        query = "SELECT number, device FROM ledger_device WHERE number >= ? ORDER BY number"
        for number, device in db.execute(query, (len(self.listed),)):
            if self[device] != number:
                raise Unavailable(f"the ledger has device {device!r} twice")

    def save(self, db: sqlite3.Connection) -> None:
        """Gives the file those that it does not have, in the transaction at hand."""
        (have,) = db.execute("SELECT coalesce(max(number) + 1, 0) FROM ledger_device").fetchone()
        db.executemany(
            "INSERT INTO ledger_device (number, device) VALUES (?,?)",
            enumerate(self.listed[have:], have),
        )


@dataclass(frozen=True, slots=True)
class Sums:
    """Counts of some devices. device: numbers, rising, each once. counts: a line for each column, zeros left out."""

    device: Longs
    counts: dict[int, Longs] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.device)

    def only(self, device: int) -> Sums:
        """Of this one alone, if it is there."""
        rows = self.device == device
        return Sums(self.device[rows], {column: line[rows] for column, line in self.counts.items()})

    def matrix(self, columns: int) -> Longs:
        """(devices, columns)"""
        found = np.zeros((columns, len(self)), np.int64)
        for column, line in self.counts.items():
            found[column] = line
        return found.T

    def total(self, columns: int) -> list[int]:
        """By column, of all devices."""
        return [int(self.counts[c].sum()) if c in self.counts else 0 for c in range(columns)]


def add_up(device: Longs, counts: dict[int, Longs]) -> Sums:
    """Of devices in any order, also several times. counts: by column, a number for each."""
    if not len(device):
        return Sums(device)
    top = int(device.max()) + 1
    if top > 8 * len(device):  # few of many
        found, place = np.unique(device, return_inverse=True)
        sums = {c: _sums(place, line, len(found)) for c, line in counts.items()}
    else:
        found = np.flatnonzero(np.bincount(device, minlength=top))
        sums = {c: _sums(device, line, top)[found] for c, line in counts.items()}
    return Sums(found, {c: line for c, line in sums.items() if line.any()})


def _sums(place: Longs, line: Longs, size: int) -> Longs:
    """Floats add whole numbers exactly up to 2**53: no device counts so far."""
    return np.bincount(place, line, size).astype(np.int64)


def together(some: Sequence[Sums]) -> Sums:
    if len(some) == 1:
        return some[0]
    columns = sorted({column for one in some for column in one.counts})
    lines = {c: np.concatenate([_line(one, c) for one in some]) for c in columns}
    return add_up(np.concatenate([np.zeros(0, np.int64), *(one.device for one in some)]), lines)


def _line(sums: Sums, column: int) -> Longs:
    found = sums.counts.get(column)
    return np.zeros(len(sums), np.int64) if found is None else found


# ---------------------------------------------------------------- in the file


def write(db: sqlite3.Connection, kind: int, hour: Ms, sums: Sums) -> None:
    """Adds a block, in the transaction at hand; the names of its devices must be in the file."""
    _insert(db, kind, hour, 0, sums)
    for level in range(_CLOSED - 1):
        found = db.execute(
            "SELECT id, data FROM ledger_block WHERE kind = ? AND hour = ? AND level = ?", (kind, hour, level)
        ).fetchall()
        if len(found) < _TOGETHER:
            return
        _join(db, kind, hour, level + 1, found)


def close(db: sqlite3.Connection, before: Ms) -> None:
    """Makes one block of each hour that is over: of some hours a call, the newest first."""
    some = db.execute(
        "SELECT kind, hour FROM ledger_block WHERE hour < ? GROUP BY kind, hour "
        "HAVING count(*) > 1 OR max(level) < ? ORDER BY hour DESC LIMIT ?",
        (before - HOUR, _CLOSED, _AT_ONCE),
    ).fetchall()
    for kind, hour in some:
        found = db.execute(
            "SELECT id, data FROM ledger_block WHERE kind = ? AND hour = ?", (kind, hour)
        ).fetchall()
        _join(db, kind, hour, _CLOSED, found)


def _join(
    db: sqlite3.Connection, kind: int, hour: Ms, level: int, found: Sequence[tuple[int, bytes]]
) -> None:
    db.executemany("DELETE FROM ledger_block WHERE id = ?", [(number,) for number, _ in found])
    _insert(db, kind, hour, level, together([unpack(data) for _, data in found]))


def _insert(db: sqlite3.Connection, kind: int, hour: Ms, level: int, sums: Sums) -> None:
    db.execute(
        "INSERT INTO ledger_block (kind, hour, level, data) VALUES (?,?,?,?)", (kind, hour, level, pack(sums))
    )


def read(db: sqlite3.Connection, kind: int, since: Ms, until: Ms) -> Iterator[tuple[Ms, Sums]]:
    """By hour, rising, with since <= hour < until. Raises Unavailable: one is damaged."""
    hour, held = 0, list[Sums]()
    query = "SELECT hour, data FROM ledger_block WHERE kind = ? AND hour >= ? AND hour < ? ORDER BY hour"
    for at, data in db.execute(query, (kind, since, until)):
        if held and at != hour:
            yield hour, together(held)
            held = []
        hour = at
        held.append(unpack(data))
    if held:
        yield hour, together(held)


# ---------------------------------------------------------------- bytes


def pack(sums: Sums) -> bytes:
    lines = [np.diff(sums.device, prepend=0), *(sums.counts[c] for c in sorted(sums.counts))]
    wide = any(len(line) and (line.max() >= 2**31 or line.min() < -(2**31)) for line in lines)
    mask = sum(1 << column for column in sums.counts)
    head = _HEAD.pack(_VERSION, wide, mask, len(sums))
    return head + _tools()[0].compress(b"".join(_bytes(line, "<i8" if wide else "<i4") for line in lines))


def unpack(data: bytes) -> Sums:
    """Raises Unavailable: not a block of ours."""
    try:
        version, wide, mask, rows = _HEAD.unpack_from(data)
        if version != _VERSION:
            raise ValueError(f"version {version}")
        body = np.frombuffer(_tools()[1].decompress(data[_HEAD.size :]), np.uint8)
        columns = [c for c in range(mask.bit_length()) if mask >> c & 1]
        planes = body.reshape(1 + len(columns), 8 if wide else 4, rows)
    except (struct.error, zstandard.ZstdError, ValueError) as err:
        raise Unavailable(f"a block of the ledger is damaged: {err}") from err
    lines: list[Longs] = [_numbers(line, "<i8" if wide else "<i4") for line in planes]
    return Sums(np.cumsum(lines[0]), dict(zip(columns, lines[1:], strict=True)))


def _bytes(line: Longs, kind: str) -> bytes:
    """Bytes of equal weight together: most of them are zeros."""
    whole: npt.NDArray[Any] = line.astype(kind)
    return whole.view(np.uint8).reshape(len(line), -1).T.tobytes() if len(line) else b""


def _numbers(planes: npt.NDArray[np.uint8], kind: str) -> Longs:
    return (
        np.ascontiguousarray(planes.T).view(kind)[:, 0].astype(np.int64)
        if planes.size
        else np.zeros(0, np.int64)
    )


def _tools() -> tuple[zstandard.ZstdCompressor, zstandard.ZstdDecompressor]:
    found: tuple[zstandard.ZstdCompressor, zstandard.ZstdDecompressor] | None = getattr(_local, "tools", None)
    if found is None:
        made = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True), zstandard.ZstdDecompressor()
        found = _local.tools = made
    return found
