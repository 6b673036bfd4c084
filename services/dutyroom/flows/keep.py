"""Keep: batches from the journal by cursor, readings into the store, events and attributes into SQL.

A reader that may stop, fall behind and repeat: writing a reading twice is harmless. What is not
newer than its point's latest is compared with the store: the same value is a duplicate, another
one a conflict, whose winner does not depend on arrival (better quality, else larger value).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dutyroom.errors import Rejected
from dutyroom.interfaces import Journal, ReadingStore, Records
from dutyroom.model.telemetry import Attribute, Batch, Finding, Lane, PointTable, Readings, Scalar
from dutyroom.timebase import HOUR, Ms

READER = "keep"


@dataclass(slots=True)
class Sorted:
    """What becomes of a batch's readings: row numbers to store, and what was counted."""

    store: list[int] = field(default_factory=list)
    outcomes: Counter[tuple[Ms, str, str]] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)


def better(new: tuple[float, int], old: tuple[float, int]) -> bool:
    """Whether (value, quality) `new` wins over `old` at the same point and time."""
    return (-new[1], new[0]) > (-old[1], old[0])


def sort_out(
    batch: Batch, newest: dict[int, Ms], stored: dict[tuple[int, Ms], tuple[float, int]], table: PointTable
) -> Sorted:
    """Which rows are stored, duplicate or conflict; `newest` and `stored` are moved on by them.

    stored: what the store has, or is about to get, at the instants of the rows that are not newer
    than their point's latest. Every row counts once, under its message's device and receive hour.
    """
    result = Sorted()
    known: Counter[int] = Counter()  # readings that were there already, by message
    r = batch.readings
    rows = zip(
        r.point.tolist(), r.at.tolist(), r.value.tolist(), r.quality.tolist(), r.message.tolist(), strict=True
    )
    for row, (point, at, value, quality, message) in enumerate(rows):
        record = batch.messages[message]
        key = (record.message.received_at // HOUR * HOUR, record.device)
        old = stored.get((point, at)) if at <= newest.get(point, -1) else None
        if old is None or old[0] == value:
            result.outcomes[*key, "stored" if old is None else "duplicate"] += 1
            known[message] += old is not None
            if old is not None and quality >= old[1]:
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
                    f"{name} at {at}: {old[0]} and {value}",
                )
            )
            if not better((value, quality), old):
                continue
        stored[point, at] = (value, quality)
        newest[point] = max(at, newest.get(point, at))
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
    ) -> None:
        self._site, self._table = site, table
        self._journal, self._store, self._records = journal, store, records
        self._batches = batches
        self._newest: dict[int, Ms] = {}
        self._known: set[int] = set()
        self._said: dict[tuple[str, str], tuple[Scalar, Ms]] = {}  # attributes kept since the start

    def drain(self) -> int:
        """Stores what the journal has beyond the cursor; returns the batches passed.

        Raises Unavailable when the store or the records do not answer: the cursor stays.
        """
        done = 0
        for lane in Lane:
            while pending := self._journal.read(lane, self._journal.cursor(READER, lane), self._batches):
                self._pass([batch for _, batch in pending], (READER, lane, pending[-1][0]))
                done += len(pending)
        return done

    def _pass(self, batches: Sequence[Batch], passed: tuple[str, Lane, int]) -> None:
        outcomes: Counter[tuple[Ms, str, str]] = Counter()
        findings: list[Finding] = []
        chosen: list[Readings] = []
        seen: dict[tuple[int, Ms], tuple[float, int]] = {}  # what earlier batches of this pass store
        for batch in batches:
            self._learn(batch.readings)
            self._compare(batch.readings, seen)
            sorted_out = sort_out(batch, self._newest, seen, self._table)
            chosen.append(_rows(batch.readings, np.array(sorted_out.store, dtype=np.int64)))
            outcomes.update(sorted_out.outcomes)
            findings.extend(sorted_out.findings)
        findings.extend(self._write(_join(chosen), batches[-1].received_at))
        events = [event for batch in batches for event in batch.events]
        attributes = self._unsaid([attribute for batch in batches for attribute in batch.attributes])
        if events or attributes:
            with self._records.write() as tx:
                tx.devices.keep_events(self._site, events)
                tx.devices.keep_attributes(self._site, attributes)
            self._said.update({(a.device, a.name): (a.value, a.at) for a in attributes})
        # Last: a crash before this line repeats the batches, and then counts duplicates. Counts and
        # cursor go together: between them a crash would count the same readings twice.
        self._journal.note(findings, outcomes, passed)

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

    def _write(self, readings: Readings, received_at: Ms) -> list[Finding]:
        """What the store refuses for good is a finding and blocks nothing: the raw message stays."""
        try:
            self._store.write(readings, self._table)
        except Rejected as err:
            refused = {(self._named(readings, row), reason) for row, reason in err.items.items()}
            return [Finding("refused", device, received_at, reason) for device, reason in sorted(refused)]
        return []

    def _named(self, readings: Readings, row: int | str) -> str:
        point = self._table.get(int(readings.point[int(row)]))
        return point.device if point is not None else ""

    def _learn(self, readings: Readings) -> None:
        """Latest instants of points not met since the start, from the store, in one call."""
        fresh = {p for p in readings.point.tolist() if p not in self._known}
        if fresh:
            points = [point for point in (self._table.get(p) for p in fresh) if point is not None]
            for point, reading in self._store.latest(points).items():
                self._newest[point] = reading.at
            self._known |= fresh

    def _compare(self, readings: Readings, seen: dict[tuple[int, Ms], tuple[float, int]]) -> None:
        """Adds the stored (value, quality) at the instants of rows that are not newer than the latest."""
        for p, at in zip(readings.point.tolist(), readings.at.tolist(), strict=True):
            point = self._table.get(p)
            if point is None or (p, at) in seen or at > self._newest.get(p, -1):
                continue
            series = self._store.range(point, at, at + 1, 1)
            if len(series):
                seen[p, at] = (float(series.value[0]), int(series.quality[0]))


def _rows(readings: Readings, rows: np.typing.NDArray[np.int64]) -> Readings:
    """The chosen rows, texts re-numbered."""
    texts = {new: readings.text[old] for new, old in enumerate(rows.tolist()) if old in readings.text}
    return Readings(
        readings.point[rows],
        readings.at[rows],
        readings.value[rows],
        readings.quality[rows],
        readings.message[rows],
        texts,
    )


def _join(parts: Sequence[Readings]) -> Readings:
    """One block of columns; the message column loses its meaning and is only carried along."""
    texts: dict[int, str] = {}
    offset = 0
    for part in parts:
        texts.update({offset + row: text for row, text in part.text.items()})
        offset += len(part)
    return Readings(
        np.concatenate([p.point for p in parts]),
        np.concatenate([p.at for p in parts]),
        np.concatenate([p.value for p in parts]),
        np.concatenate([p.quality for p in parts]),
        np.concatenate([p.message for p in parts]),
        texts,
    )
