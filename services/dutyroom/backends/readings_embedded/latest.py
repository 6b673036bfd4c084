"""The newest reading of each point, in memory and in a small table: nothing is ever scanned for it.

A group's 32 points have neighbouring places in the columns. Of two readings of one instant the one with
the higher number of its write counts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import repeat

import numpy as np
import numpy.typing as npt

from dutyroom.backends.readings_embedded.columns import GROUP, GROUP_BITS, NEVER, Columns, group_of
from dutyroom.model.telemetry import Reading

_COLUMNS = (("at", "<i8"), ("seq", "<i8"), ("received", "<i8"), ("value", "<f8"), ("quality", "u1"))
_RECORD = np.dtype(list(_COLUMNS))
_NONE = -1  # number of a write: there is no reading
_PART = 500  # groups asked for at once

_Places = npt.NDArray[np.int32]


class Latest:
    """Not thread-safe."""

    def __init__(self) -> None:
        self._slot: dict[int, int] = {}  # group -> its place
        self._slots: _Places = np.zeros(0, np.int32)  # the same by group, from the first one on; -1 = none
        self._first = 0
        self._at = np.zeros(0, np.int64)
        self._seq = np.zeros(0, np.int64)
        self._received = np.zeros(0, np.int64)
        self._value = np.zeros(0, np.float64)
        self._quality = np.zeros(0, np.uint8)

    @property
    def room(self) -> int:
        """For so many points: about as many have a reading."""
        return len(self._slot) * GROUP

    def update(self, c: Columns, seq: int) -> None:
        """Takes in the rows of one write; of equal instants in it the last row counts."""
        if not len(c):
            return
        place = self._places(c.point)
        if place is None:
            self._add(np.unique(group_of(c.point)).tolist())
            place = self._places(c.point)
            assert place is not None
        known = self._at[place]
        newer = c.at > known
        if not newer.all():
            known_seq = self._seq[place]
            newer |= (known_seq == _NONE) | ((c.at == known) & (seq >= known_seq))
            rows = np.flatnonzero(newer)
            c, place = c.take(rows), place[rows]
        if not (c.at[1:] >= c.at[:-1]).all():
            order = np.argsort(c.at, kind="stable")
            c, place = c.take(order), place[order]
        # Where a place stands twice the later assignment stays.
        self._at[place] = c.at
        self._seq[place] = seq
        self._value[place] = c.value
        self._quality[place] = c.quality
        self._received[place] = NEVER if c.received is None else c.received

    def _places(self, point: npt.NDArray[np.int32]) -> _Places | None:
        """None = some of their groups have none yet."""
        group = group_of(point) - self._first
        if not len(self._slots) or int(group.min()) < 0 or int(group.max()) >= len(self._slots):
            return None
        slot = self._slots[group]
        if int(slot.min()) < 0:
            return None
        place: _Places = slot * GROUP + (point & (GROUP - 1))
        return place

    def _add(self, groups: Sequence[int]) -> None:
        fresh = [group for group in groups if group not in self._slot]
        if not fresh:
            return
        for group in fresh:
            self._slot[group] = len(self._slot)
        self._first = min(self._slot)
        self._slots = np.full(max(self._slot) - self._first + 1, -1, np.int32)
        self._slots[np.array(list(self._slot)) - self._first] = list(self._slot.values())
        missing = len(self._slot) * GROUP - len(self._at)
        if missing > 0:
            self._grow(max(missing, len(self._at) // 4 // GROUP * GROUP))

    def _grow(self, more: int) -> None:
        empty = np.zeros(more, np.int64)
        self._at = np.concatenate([self._at, empty])
        self._seq = np.concatenate([self._seq, empty + _NONE])
        self._received = np.concatenate([self._received, empty])
        self._value = np.concatenate([self._value, np.zeros(more)])
        self._quality = np.concatenate([self._quality, np.zeros(more, np.uint8)])

    def of(self, points: Sequence[int]) -> dict[int, Reading]:
        """By point; missing = has none."""
        some = np.array([p for p in points if p >> GROUP_BITS in self._slot], np.int32)
        place = self._places(some) if len(some) else None
        if place is None:
            return {}
        has = self._seq[place] != _NONE
        some, place = some[has], place[has]
        received = self._received[place]
        late: Sequence[int | None] | repeat[None] = repeat(None)
        if (received != NEVER).any():
            late = [None if moment == NEVER else moment for moment in received.tolist()]
        points = some.tolist()
        columns = (self._at[place].tolist(), self._value[place].tolist(), self._quality[place].tolist())
        return dict(zip(points, map(Reading, points, *columns, late), strict=True))

    # ------------------------------------------------------------ in the file

    def load(self, db: sqlite3.Connection, groups: Sequence[int] | None = None) -> None:
        """Takes in what the table has. groups: only these; None = all."""
        if groups is None:
            self._merge(db.execute("SELECT grp, data FROM latest").fetchall())
            return
        for start in range(0, len(groups), _PART):
            part = groups[start : start + _PART]
            marks = ",".join("?" * len(part))
            self._merge(db.execute(f"SELECT grp, data FROM latest WHERE grp IN ({marks})", part).fetchall())  # noqa: S608

    def _merge(self, rows: Sequence[tuple[int, bytes]]) -> None:
        if not rows:
            return
        self._add([group for group, _ in rows])
        theirs = np.frombuffer(b"".join([data for _, data in rows]), _RECORD)
        slots = np.array([self._slot[group] for group, _ in rows])
        place = (slots[:, None] * GROUP + np.arange(GROUP)).reshape(-1)
        at, seq = self._at[place], self._seq[place]
        same = (theirs["at"] == at) & (theirs["seq"] >= seq)
        newer = (theirs["seq"] != _NONE) & ((seq == _NONE) | (theirs["at"] > at) | same)
        place, theirs = place[newer], theirs[newer]
        for name, _ in _COLUMNS:
            getattr(self, f"_{name}")[place] = theirs[name]

    def save(self, db: sqlite3.Connection) -> None:
        """Writes all that is here over what the table has of these groups."""
        records = np.zeros(len(self._slot) * GROUP, _RECORD)
        for name, _ in _COLUMNS:
            records[name] = getattr(self, f"_{name}")[: len(records)]
        groups = records.reshape(-1, GROUP)
        db.executemany(
            "INSERT INTO latest (grp, data) VALUES (?,?) ON CONFLICT (grp) DO UPDATE SET data = excluded.data",
            [(group, groups[slot].tobytes()) for group, slot in self._slot.items()],
        )


def keep_latest(db: sqlite3.Connection, c: Columns, seq: int) -> None:
    """Brings the table up to what is about to be stored, inside the same transaction. c: settled."""
    some = Latest()
    some.load(db, np.unique(group_of(c.point)).tolist())
    some.update(c.take(np.append(c.point[1:] != c.point[:-1], True)), seq)
    some.save(db)
