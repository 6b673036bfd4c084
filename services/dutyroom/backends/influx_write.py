"""Writing to InfluxDB: blocks of lines, and which of them the server means when it refuses one."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from dutyroom.backends.influx_companions import Field, Rows
from dutyroom.backends.influx_lines import LineMaker
from dutyroom.backends.influx_link import InfluxLink, NoBucket, Refused, TooSlow
from dutyroom.backends.influx_names import INTEGER
from dutyroom.errors import Rejected
from dutyroom.model.telemetry import Point, PointTable, Reading, Readings
from dutyroom.timebase import DAY, Ms

LINES = 10_000  # a request
FEWEST = 100  # a request to a server that was too slow for more
ROWS = 70_000  # turned into lines at once: some 10 MB
_WIDEST = 1_000  # rows of a line that stay together
EVER = 2**62
_CONFLICT = re.compile(
    r'input field \\?"(?P<field>.+?)\\?" on measurement \\?"(?P<measurement>.+?)\\?" is type \w+, '
    r"already exists as type (?P<type>\w+)"
)
_TOO_OLD = re.compile(r"Retention Policy Lower Bound at (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)")

Latest = Callable[[Sequence[Point]], Mapping[int, Reading]]
Slots = npt.NDArray[np.int32]
Reasons = dict[int | str, str]


class InfluxWriter:
    """Writes the readings of one site. buckets: the first one takes all; what is older than a bucket keeps goes
    whole into the next, which keeps longer. latest: the newest readings that the server has."""

    def __init__(self, link: InfluxLink, buckets: Sequence[str], latest: Latest) -> None:
        self._link, self._buckets, self._latest = link, tuple(buckets), latest
        self.maker = LineMaker()
        self._known = np.zeros(0, np.bool_)  # slots whose newest reading was asked for
        self._asked = False
        self._most = LINES  # a request, at present
        self._lock = threading.Lock()

    def write(self, readings: Readings, table: PointTable) -> None:
        """See `interfaces.ReadingStore`."""
        if not len(readings):
            return
        with self._lock:
            slots = self.maker.learn(readings, table)
            self._meet(slots, table)
            refused: Reasons = {}
            start = 0
            while start < len(readings):
                stop = self._end_of_line(readings, slots, min(start + ROWS, len(readings)))
                rows = np.arange(start, stop)
                refused |= self._send(readings, table, slots, rows, 0)
                self.maker.written(readings, slots, rows)
                start = stop
        if refused:
            first = next(iter(refused.values()))
            raise Rejected(f"InfluxDB refused {len(refused)} of {len(readings)} readings: {first}", refused)

    def _end_of_line(self, readings: Readings, slots: Slots, stop: int) -> int:
        """The first place from `stop` on at which a line may end."""
        series, at, last = self.maker.slots.series, readings.at, min(stop + _WIDEST, len(readings))
        while stop < last and at[stop] == at[stop - 1] and series[slots[stop]] == series[slots[stop - 1]]:
            stop += 1
        return stop

    def _meet(self, slots: Slots, table: PointTable) -> None:
        """Latest instants of points not met since the start."""
        if not self._asked:
            for bucket in self._buckets:
                self.maker.server_has(self._fields(bucket))
            self._asked = True
        self._reach()
        fresh = slots[~self._known[slots]]
        if len(fresh):
            ids = self.maker.slots.ids[np.unique(fresh)].tolist()
            points = [p for p in (table.get(point) for point in ids) if p is not None]
            self.maker.know({point: reading.at for point, reading in self._latest(points).items()})
            self._known[fresh] = True

    def _reach(self) -> None:
        """Makes room for all slots."""
        known = self.maker.slots
        if len(self._known) < known.size:
            self._known = np.append(self._known, np.zeros(len(known.ids) - len(self._known), np.bool_))

    def met(self, points: Sequence[Point], latest: Mapping[int, Reading]) -> None:
        """Somebody has asked for the newest readings of these points: they need not be asked for again."""
        if not points or not self._lock.acquire(blocking=False):
            return
        try:
            slots = self.maker.slots.find(np.array([point.id for point in points], np.int64))
            self.maker.know({point: reading.at for point, reading in latest.items()})
            self._reach()
            self._known[slots] = True
        finally:
            self._lock.release()

    def _fields(self, bucket: str) -> Iterator[Field]:
        """Its integers: companions are."""
        try:
            (result,) = self._link.ask(bucket, ["SHOW FIELD KEYS"])
        except NoBucket:
            if bucket == self._buckets[0]:
                raise
            return
        for series in result.series:
            for field, kind, *_ in series.values:
                if kind == INTEGER:
                    yield series.name, str(field)

    def _send(self, readings: Readings, table: PointTable, slots: Slots, rows: Rows, step: int) -> Reasons:
        """Sends rows to bucket number `step`, what is older than it keeps to the next; returns {row: reason} of
        what is refused. Raises Unavailable.
        """
        if not len(rows):
            return {}
        oldest, at = self._keeps_since(step), readings.at[rows]
        ageing = at < oldest + DAY
        if ageing.any():
            # Also what expires within the day: the tasks that would take it over run once a day.
            refused = self._send(readings, table, slots, rows[ageing], step + 1)
            refused = {row: why for row, why in refused.items() if readings.at[int(row)] < oldest}
            return refused | self._put(readings, table, slots, rows[at >= oldest], step)
        return self._put(readings, table, slots, rows, step)

    def _keeps_since(self, step: int) -> Ms:
        """The oldest instant of a bucket; -EVER where it keeps all, or there is no next one."""
        if step + 1 == len(self._buckets):
            return -EVER
        try:
            oldest = self._link.oldest(self._buckets[step])
        except NoBucket:
            if step == 0:
                raise
            return -EVER
        return -EVER if oldest is None else oldest

    def _put(self, readings: Readings, table: PointTable, slots: Slots, rows: Rows, step: int) -> Reasons:
        """Writes rows to a bucket that should keep them."""
        if not len(rows):
            return {}
        lines, made = self.maker.lines(readings, slots, rows), self.maker.changes
        refused = lines.refused
        for part, block in lines.blocks(self._most):
            if self.maker.changes != made:  # a block before it taught us other names
                refused |= self._send(readings, table, slots, part, step)
                continue
            try:
                self._post(step, block)
            except Refused as err:
                refused |= self._sort_out(err, readings, table, slots, part, step)
            except NoBucket as err:
                if step == 0:
                    raise
                refused |= dict.fromkeys(part.tolist(), f"older than {self._buckets[0]!r} keeps, and {err}")
        return refused

    def _post(self, step: int, block: bytes) -> None:
        """A server that does not answer in time gets less of it, or the same would take as long for ever; more again
        once it has a good part of that time left."""
        began = self._link.monotonic()
        try:
            self._link.write(self._buckets[step], block)
        except TooSlow:
            self._most = max(self._most // 4, FEWEST)
            raise
        if self._link.monotonic() - began < self._link.timeout_s / 4:
            self._most = min(2 * self._most, LINES)

    def _sort_out(
        self, err: Refused, readings: Readings, table: PointTable, slots: Slots, rows: Rows, step: int
    ) -> Reasons:
        """What the server refuses by its message; the rest of those lines is sent again without it."""
        if too_old := _TOO_OLD.search(err.message):
            return self._too_old(too_old[1], err, readings, table, slots, rows, step)
        conflict = _CONFLICT.search(err.message)
        if conflict is None:
            return self._halves(err, readings, table, slots, rows, step)
        said = conflict["measurement"], conflict["field"]
        before = self.maker.changes
        mine = self.maker.conflict(*said, rows, slots, conflict["type"])
        if not len(mine) and self.maker.changes == before:
            return self._halves(err, readings, table, slots, rows, step)
        self.maker.learn(readings, table)
        rest = rows[~np.isin(rows, mine)]
        refused: Reasons = dict.fromkeys(mine.tolist(), err.message)
        return refused | self._send(readings, table, slots, rest, step)

    def _too_old(
        self,
        bound: str,
        err: Refused,
        readings: Readings,
        table: PointTable,
        slots: Slots,
        rows: Rows,
        step: int,
    ) -> Reasons:
        """What this bucket keeps no longer goes to the next one; the rest was stored, and is sent again: it is
        the same."""
        oldest = int(datetime.fromisoformat(bound).replace(tzinfo=UTC).timestamp()) * 1000 + 1000
        old = rows[readings.at[rows] < oldest]
        if not len(old):
            return self._halves(err, readings, table, slots, rows, step)
        if step + 1 < len(self._buckets):
            refused = self._send(readings, table, slots, old, step + 1)
        else:
            refused = dict.fromkeys(old.tolist(), err.message)
        rest = rows[readings.at[rows] >= oldest]
        return refused | self._send(readings, table, slots, rest, step)

    def _halves(
        self, err: Refused, readings: Readings, table: PointTable, slots: Slots, rows: Rows, step: int
    ) -> Reasons:
        """Halves a block until what is refused stands alone in its line: the others are stored."""
        at, series = readings.at[rows], self.maker.slots.series[slots[rows]]
        cuts = np.flatnonzero((at[1:] != at[:-1]) | (series[1:] != series[:-1])) + 1
        if not len(cuts):
            return dict.fromkeys(rows.tolist(), err.message)
        cut = int(cuts[len(cuts) // 2])
        refused = self._send(readings, table, slots, rows[:cut], step)
        return refused | self._send(readings, table, slots, rows[cut:], step)
