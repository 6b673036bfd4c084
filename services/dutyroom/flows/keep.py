"""Keep: batches from the journal by cursor, readings into the store, events and attributes into SQL.

A reader that may stop, fall behind and repeat: writing a reading twice is harmless. What is not
newer than its point's latest is compared with the store: the same value is a duplicate, another
one a conflict, whose winner does not depend on arrival (better quality, else larger value or text).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import repeat

import numpy as np
import numpy.ma  # np.unique does it at its first call, which took 40 ms of the first batch

from dutyroom.errors import Rejected
from dutyroom.flows.completeness import Witnesses
from dutyroom.flows.said import ON_CHANGE, Said, better, join, rows_of, said_at, usual, with_receipts
from dutyroom.interfaces import Journal, ReadingStore, Records, Tally
from dutyroom.model.telemetry import (
    Attribute,
    Batch,
    Bools,
    Finding,
    Lane,
    Longs,
    PointTable,
    Readings,
    Scalar,
)
from dutyroom.timebase import HOUR, Ms

READER = "keep"
_ROWS = 250_000  # readings of a pass, about: it has them in memory several times


# Lane, sequences of the first batch less one and of the last, the instants of all their readings, and of those that
# were written now.
Wrote = Callable[[Lane, int, int, Longs, Longs], None]


@dataclass(slots=True)
class Sorted:
    """What becomes of a batch's readings: row numbers to store, and what was counted."""

    store: list[int] = field(default_factory=list)
    outcomes: Counter[tuple[Ms, str, str]] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)


def _shown(said: Said) -> str:
    return said[2][:100] or str(said[0])


def rising(readings: Readings, newest: Longs) -> Bools:
    """The rows of points that only go on: each is newer than all before it, so there is nothing to compare.

    newest: by point id, -1 = none.
    """
    order = np.argsort(readings.point, kind="stable")
    points, at = readings.point[order], readings.at[order]
    before = newest[points]
    follows = np.flatnonzero(points[1:] == points[:-1]) + 1
    before[follows] = np.maximum(at[follows - 1], before[follows])
    back = at <= before
    if not back.any():
        return np.ones(len(at), np.bool_)
    return ~np.isin(readings.point, points[back])


def sort_out(
    batch: Batch,
    rows: Sequence[int],
    newest: Longs,
    stored: dict[tuple[int, Ms], Said],
    table: PointTable,
) -> Sorted:
    """Which of these rows are stored, duplicate or conflict; `newest` and `stored` are moved on by them.

    stored: what the store has, or is about to get, at the instants of the rows that are not newer
    than their point's latest. Every row counts once, under its message's device and receive hour.
    """
    result = Sorted()
    known: Counter[int] = Counter()  # readings that were there already, by message
    r = batch.readings
    listed = zip(
        rows,
        r.point[rows].tolist(),
        r.at[rows].tolist(),
        r.value[rows].tolist(),
        r.quality[rows].tolist(),
        r.message[rows].tolist(),
        strict=True,
    )
    for row, point, at, value, quality, message in listed:
        record = batch.messages[message]
        key = (record.message.received_at // HOUR * HOUR, record.device)
        new = (value, quality, r.text.get(row, ""))
        old = stored.get((point, at)) if at <= newest[point] else None
        if old is None or (old[0] == value and old[2] in ("", new[2])):
            result.outcomes[*key, "stored" if old is None else "duplicate"] += 1
            known[message] += old is not None
            if old is not None and quality >= old[1] and (old[2] or not new[2]):
                continue
        else:
            result.outcomes[*key, "conflict"] += 1
            named = table.get(point)
            name = f"{named.device}/{named.spec.name}" if named else str(point)
            result.findings.append(
                Finding(
                    "conflict",
                    record.device,
                    record.message.received_at,
                    f"{name} at {at}: {_shown(old)} and {_shown(new)}",
                )
            )
            if not better(new, old):
                continue
        stored[point, at] = new
        newest[point] = max(at, newest[point])
        result.store.append(row)
    result.findings += _said_twice(batch, known)
    return result


def _said_twice(batch: Batch, known: Counter[int]) -> list[Finding]:
    """One finding for each device that sent messages without anything new. What the broker delivers
    again is no fault of the device, and where two kinds of message tell the same, neither is."""
    sizes = Counter(batch.readings.message.tolist())
    again: Counter[str] = Counter()
    last: dict[str, Ms] = {}
    for index, number in known.items():
        record = batch.messages[index]
        if number == sizes[index] and not record.message.duplicate and not record.message.retained:
            again[record.device] += 1
            last[record.device] = record.message.received_at
    return [
        Finding("duplicate", device, last[device], f"{number} of its messages had come before")
        for device, number in again.items()
    ]


class Keep:
    """Drains the journal into the store. One per site; not thread-safe."""

    def __init__(
        self,
        site: str,
        table: PointTable,
        journal: Journal,
        store: ReadingStore,
        records: Records,
        batches: int = 64,
        wrote: Wrote | None = None,
    ) -> None:
        """wrote: is told what was passed and stored, each time."""
        self._site, self._table, self._wrote = site, table, wrote
        self._journal, self._store, self._records = journal, store, records
        self._batches = batches
        self._rows = _ROWS // 4  # readings of a batch, about
        self._newest: Longs = np.full(0, -1, np.int64)  # by point id
        self._known: Bools = np.zeros(0, np.bool_)
        self._usual: Longs = np.zeros(0, np.int64)  # how old a reading of a point may be when it comes, ms
        self._witnesses = Witnesses(table)
        self._said: dict[tuple[str, str], tuple[Scalar, Ms]] = {}  # attributes kept since the start

    def drain(self) -> int:
        """Stores what the journal has beyond the cursor; returns the batches passed.

        Raises Unavailable when the store or the records do not answer: the cursor stays.
        """
        done = 0
        while True:
            urgent = self._take(Lane.PRIORITY)
            taken, full = (urgent, True) if urgent else self._take_some(Lane.NORMAL)
            done += taken
            if not full:  # what has come meanwhile is better taken with more of it
                return done

    def _take_some(self, lane: Lane) -> tuple[int, bool]:
        """As many batches as one pass should have, and whether there were as many."""
        most = max(1, min(self._batches, _ROWS // max(self._rows, 1)))
        taken = self._take(lane, most)
        return taken, taken == most

    def _take(self, lane: Lane, most: int | None = None) -> int:
        """Some batches of a lane. After each the priority lane is looked at again: however long the other one
        has become meanwhile, what is urgent waits for a few batches of it at most."""
        after = self._journal.cursor(READER, lane)
        pending = self._journal.read(lane, after, self._batches if most is None else most)
        if pending:
            if lane is Lane.NORMAL:
                self._rows = sum(len(batch.readings) for _, batch in pending) // len(pending)
            written = self._pass([batch for _, batch in pending], (READER, lane, pending[-1][0]))
            if self._wrote is not None:
                passed = np.concatenate([batch.readings.at for _, batch in pending])
                self._wrote(lane, after, pending[-1][0], passed, written)
        return len(pending)

    def _pass(self, batches: Sequence[Batch], passed: tuple[str, Lane, int]) -> Longs:
        """Returns the instants of the readings that were written."""
        for batch in batches:
            self._learn(batch.readings)
        points = np.concatenate([batch.readings.point for batch in batches])
        newest = self._newest[points]
        try:
            return self._keep(batches, passed)
        except BaseException:
            self._newest[points] = newest  # nothing was passed: next time they are as new as now
            raise

    def _keep(self, batches: Sequence[Batch], passed: tuple[str, Lane, int]) -> Longs:
        outcomes: Counter[tuple[Ms, str, str]] = Counter()
        findings: list[Finding] = []
        chosen: list[Readings] = []
        stored: list[Tally] = []
        for batch in batches:
            r = batch.readings
            plain = rising(r, self._newest)
            store = plain
            if not plain.all():
                rows = np.flatnonzero(~plain)
                sorted_out = sort_out(
                    batch, rows.tolist(), self._newest, self._compared(r, rows, chosen), self._table
                )
                store = plain.copy()
                store[sorted_out.store] = True
                outcomes.update(sorted_out.outcomes)
                findings.extend(sorted_out.findings)
            self._newest[r.point[plain]] = r.at[
                plain
            ]  # of several of a point the last one, which is the newest
            _count_stored(batch, plain, stored)
            kept = rows_of(r, np.flatnonzero(store))
            chosen.append(with_receipts(kept, batch.times(), self._usual[kept.point]))
        joined = join(chosen)
        refused = self._write(joined, batches[-1].received_at, findings)
        _count_refused(refused, chosen, batches, outcomes)
        events = [event for batch in batches for event in batch.events]
        attributes = self._unsaid([attribute for batch in batches for attribute in batch.attributes])
        if events or attributes:
            with self._records.write() as tx:
                tx.devices.keep_events(self._site, events)
                tx.devices.keep_attributes(self._site, attributes)
            self._said.update({(a.device, a.name): (a.value, a.at) for a in attributes})
        # Last: a crash before this line repeats the batches, and then counts duplicates. Counts and
        # cursor go together: between them a crash would count the same readings twice.
        counted = self._witnesses.count(joined)
        self._journal.note(findings, outcomes, passed, counted, _together(stored))
        return joined.at

    def _unsaid(self, attributes: Sequence[Attribute]) -> list[Attribute]:
        """The newest of each, where it differs from what was kept last: a device repeats its model
        and its status with every message."""
        newest: dict[tuple[str, str], Attribute] = {}
        for attribute in sorted(attributes, key=lambda a: a.at):
            newest[attribute.device, attribute.name] = attribute
        found = []
        for key, attribute in newest.items():
            value, at = self._said.get(key, (None, 0))
            if attribute.value != value and attribute.at >= at:
                found.append(attribute)
        return found

    def _write(self, readings: Readings, received_at: Ms, findings: list[Finding]) -> list[int]:
        """What the store refuses for good is a finding and blocks nothing: the raw message stays. Returns
        those rows."""
        try:
            self._store.write(readings, self._table)
        except Rejected as err:
            refused = {(self._named(readings, row), reason) for row, reason in err.items.items()}
            findings += [
                Finding("refused", device, received_at, reason) for device, reason in sorted(refused)
            ]
            return [int(row) for row in err.items]
        return []

    def _named(self, readings: Readings, row: int | str) -> str:
        point = self._table.get(int(readings.point[int(row)]))
        return point.device if point is not None else ""

    def _learn(self, readings: Readings) -> None:
        """Latest instants of points not met since the start, from the store, in one call."""
        top = int(readings.point.max(initial=-1))
        if top >= len(self._known):
            more = top + 1024 - len(self._known)
            self._known = np.concatenate([self._known, np.zeros(more, np.bool_)])
            self._newest = np.concatenate([self._newest, np.full(more, -1, np.int64)])
            self._usual = np.concatenate([self._usual, np.full(more, ON_CHANGE, np.int64)])
        fresh = np.unique(readings.point[~self._known[readings.point]]).tolist()
        if fresh:
            points = [point for point in (self._table.get(p) for p in fresh) if point is not None]
            for point, reading in self._store.latest(points).items():
                self._newest[point] = reading.at
            for known in points:
                self._usual[known.id] = usual(known)
            self._known[fresh] = True

    def _compared(
        self, readings: Readings, rows: Longs, chosen: Sequence[Readings]
    ) -> dict[tuple[int, Ms], Said]:
        """What is said at the instants of rows that are not newer than the latest, as the store has them or
        is about to get them."""
        points, at = readings.point[rows], readings.at[rows]
        old = at <= self._newest[points]
        found = said_at(self._store, self._table, points[old], at[old])
        for block in chosen:
            same = np.flatnonzero(np.isin(block.point, points))
            keys = zip(block.point[same].tolist(), block.at[same].tolist(), strict=True)
            texts = map(block.text.get, same.tolist(), repeat("")) if block.text else repeat("", len(same))
            values = zip(block.value[same].tolist(), block.quality[same].tolist(), texts, strict=True)
            found.update(zip(keys, values, strict=True))
        return found


def _count_stored(batch: Batch, rows: Bools, stored: list[Tally]) -> None:
    """Adds rows that are stored, under their messages' devices and receive hours."""
    if not batch.messages:
        return
    which = batch.readings.message if rows.all() else batch.readings.message[rows]
    numbers = np.bincount(which, minlength=len(batch.messages))
    some = np.flatnonzero(numbers)
    hours = batch.times()[some] // HOUR * HOUR
    stored.append(Tally(hours, batch.of_whom(some), numbers[some]))


def _together(stored: Sequence[Tally]) -> Tally | None:
    """None = there is nothing."""
    if not any(tally.devices for tally in stored):
        return None
    return Tally(
        np.concatenate([tally.hours for tally in stored]),
        [device for tally in stored for device in tally.devices],
        np.concatenate([tally.counts for tally in stored]),
    )


def _count_refused(
    rows: Sequence[int],
    chosen: Sequence[Readings],
    batches: Sequence[Batch],
    outcomes: Counter[tuple[Ms, str, str]],
) -> None:
    """Rows of the joined blocks that are not stored after all."""
    starts = np.cumsum([0, *(len(block) for block in chosen)])
    for row in rows:
        place = int(np.searchsorted(starts, row, side="right")) - 1
        message = chosen[place].message.item(row - int(starts[place]))
        record = batches[place].messages[message]
        key = (record.message.received_at // HOUR * HOUR, record.device)
        outcomes[*key, "stored"] -= 1
        outcomes[*key, "refused"] += 1
