"""Late readings of a run over the past: put in their place as live (`late`), from readings kept in memory.

Nothing is set aside in advance, so data in order pays nothing. An instance that misses a reading for the first time
is built from the begin of the run; states on the way are kept, and the next time it is built from one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import msgspec
import numpy as np

from dutyroom.flows.exchanged import Explained
from dutyroom.flows.late import Late, rows_of
from dutyroom.flows.late_states import Base, States
from dutyroom.interfaces import Tx
from dutyroom.model.telemetry import Batch, Lane, Point, PointTable, Series
from dutyroom.rules.columns import NEVER
from dutyroom.rules.engine import AHEAD, HORIZON, Engine
from dutyroom.rules.replay import Mark, replay
from dutyroom.rules.roster import Key, load
from dutyroom.timebase import HOUR, MINUTE, Ms

_BLOCK = 50_000  # readings sorted together
_AGO = (25 * HOUR, *(hours * HOUR for hours in (20, 16, 12, 8, 4)), 10 * MINUTE)  # states kept on the way
_MARKS = 20  # of an instance


class Seen:
    """What has come until now, but what would change no alarm; sorted only when somebody asks."""

    def __init__(self) -> None:
        self._tail: list[Batch] = []
        self._blocks: list[tuple[np.ndarray, ...]] = []  # point, at, value, quality

    def take(self, batch: Batch, engine: Engine) -> None:
        """Before the engine is given it. Beyond the horizon, or from a clock that is ahead, a reading is not judged."""
        readings = batch.readings
        odd = (readings.at < batch.received_at - HORIZON) | (readings.at > batch.received_at + AHEAD)
        if odd.any():
            fine = ~odd
            for row in np.flatnonzero(odd).tolist():
                at = int(readings.at[row])
                fine[row] = engine.newest(int(readings.point[row])) < at <= batch.received_at + AHEAD
            batch = _part(batch, fine)
        self._tail.append(batch)

    def ready(self, position: Mapping[Lane, int]) -> bool:
        return True

    def ranges(self, spans: Sequence[tuple[Point, Ms, Ms]]) -> Sequence[Series]:
        self._sort()
        return [self._range(*span) for span in spans]

    def _sort(self) -> None:
        """The last block grows until it is full."""
        if not self._tail:
            return
        parts = [
            (r.point, r.at, r.value, r.quality) for r in (batch.readings for batch in self._tail) if len(r)
        ]
        self._tail = []
        if self._blocks and len(self._blocks[-1][0]) < _BLOCK:
            parts.insert(0, self._blocks.pop())  # type: ignore[arg-type]
        if parts:
            point, at, value, quality = (np.concatenate(column) for column in zip(*parts, strict=True))
            order = np.lexsort((-value, at, point))
            self._blocks.append((point[order], at[order], value[order], quality[order]))

    def _range(self, point: Point, start: Ms, end: Ms) -> Series:
        """Of one instant the larger value, as the store keeps it."""
        parts = []
        for points, ats, values, qualities in self._blocks:
            a, b = np.searchsorted(points, [point.id, point.id + 1])
            a, b = a + np.searchsorted(ats[a:b], [start, end])
            parts.append((ats[a:b], values[a:b], qualities[a:b]))
        if not parts:
            return Series(point.id, np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.uint8))
        at, value, quality = (np.concatenate(column) for column in zip(*parts, strict=True))
        order = np.lexsort((-value, at))
        first = order[np.diff(at[order], prepend=NEVER) != 0]
        return Series(point.id, at[first], value[first], quality[first])


def _part(batch: Batch, fine: np.ndarray) -> Batch:
    r = batch.readings
    readings = replace(
        r,
        point=r.point[fine],
        at=r.at[fine],
        value=r.value[fine],
        quality=r.quality[fine],
        message=r.message[fine],
    )
    return replace(batch, readings=readings)


class Marks(States):
    """States of the instances that missed something, by key in time order."""

    def __init__(
        self, site: str, engine: Engine, table: PointTable, seen: Seen, explained: Explained
    ) -> None:
        super().__init__(site, engine)
        self._table, self._seen, self._explained = table, seen, explained
        self._kept: dict[
            Key, list[tuple[Ms, Ms, bytes, Mapping[int, Ms]]]
        ] = {}  # at, newest, state, newest by point

    def bases(self, tx: Tx, missed: Mapping[Key, Ms], now: Ms) -> dict[Key, Base]:
        return {
            key: base for key, since in missed.items() if (base := self._base(key, since, now)) is not None
        }

    def _base(self, key: Key, since: Ms, now: Ms) -> Base | None:
        twin = self._engine.twin(key)
        if twin is None:
            return None
        if twin.follows:
            return Base(twin, NEVER, NEVER, dict.fromkeys(twin.points, NEVER))
        known = [row for row in self._kept.get(key, ()) if row[0] < since]
        if not known:
            self._from_begin(key, since, now)
            known = self._kept[key]
        at, newest, state, after = known[-1]
        load(twin, msgspec.msgpack.decode(state))
        marks = [now - ago for ago in _AGO if now - ago > at]
        return Base(twin, at, newest, after, marks)

    def _from_begin(self, key: Key, since: Ms, now: Ms) -> None:
        """The states up to what was missed."""
        twin = self._engine.twin(key)
        assert twin is not None
        points = [self._table[p] for p in twin.points]
        found = self._seen.ranges([(point, NEVER, since) for point in points])
        rows = [
            row for point, series in zip(points, found, strict=True) for row in rows_of(point, series, now)
        ]
        marks = sorted({since - 1, *(now - ago for ago in _AGO if now - ago < since)})
        known = dict.fromkeys(twin.points, NEVER)
        explained = partial(self._explained, *key)
        self._keep_marks(key, replay(twin, rows, since - 1, marks=marks, known=known, explained=explained)[1])

    def mend(self, key: Key, since: Ms, marks: Iterable[Mark]) -> None:
        kept = self._kept.get(key, [])
        self._kept[key] = [row for row in kept if row[0] < since]
        self._keep_marks(key, marks)

    def _keep_marks(self, key: Key, marks: Iterable[Mark]) -> None:
        more = {m.at: (m.at, m.since, msgspec.msgpack.encode(m.dumped), m.newest) for m in marks}
        rows = {row[0]: row for row in self._kept.get(key, ())} | more
        self._kept[key] = [rows[at] for at in sorted(rows)][-_MARKS:]


def late_of(site: str, engine: Engine, table: PointTable, seen: Seen, explained: Explained) -> Late:
    return Late(site, engine, table, seen, Marks(site, engine, table, seen, explained))
