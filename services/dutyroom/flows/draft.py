"""A batch while it is built: what decoded messages say, as rows of the points of registered devices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from dutyroom.flows.live import Live
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import (
    COUNTER_RESET,
    Attribute,
    Batch,
    Event,
    Finding,
    Floats,
    Ints,
    Kind,
    Lane,
    Longs,
    Message,
    MessageRecord,
    Ordinary,
    Point,
    PointSpec,
    PointTable,
    Quality,
    Readings,
    Records,
)
from dutyroom.profiles.result import DecodedEvent, DecodedReading
from dutyroom.timebase import HOUR, Ms

LATE = 2 * HOUR  # a reading this much older than its point's newest is named late

_NO_GAPS: Mapping[tuple[Ms, str], int] = {}
_NO_COUNTS: Mapping[str, bytes] = {}
Devices = Mapping[str, Device | None]  # by the address that a message has for them


@dataclass(slots=True)
class Times:
    """When readings are: by point the newest that is committed, and those of the batch at hand.

    live: what is known of each point, for what a broker had retained.
    """

    live: Live
    newest: Longs = field(default_factory=lambda: np.zeros(0, np.int64))  # by point id, 0 = none
    fresh: dict[int, Ms] = field(default_factory=dict)
    spent: set[tuple[int, Ms]] = field(default_factory=set)  # read again: instants in use

    def fit(self, top: int) -> None:
        """Makes room for points up to this id."""
        if top >= len(self.newest):
            self.newest = np.concatenate([self.newest, np.zeros(top + 1024 - len(self.newest), np.int64)])

    def before(self, point: int) -> Ms:
        known = int(self.newest[point]) if point < len(self.newest) else 0
        return max(self.fresh.get(point, 0), known)

    def move(self, points: Ints, at: Longs) -> None:
        """Readings that are committed, those of a point in time order."""
        self.newest[points] = np.maximum(self.newest[points], at)

    def committed(self) -> None:
        if self.fresh:
            self.fit(max(self.fresh))
            for point, at in self.fresh.items():
                if at > self.newest[point]:
                    self.newest[point] = at
        self.fresh, self.spent = {}, set()

    def of_receipt(self, point: Point, reading: DecodedReading, value: float, message: Message) -> Ms:
        """The instant of a reading without a clock of its own; two in one millisecond are still two.

        What a broker had retained and is known already has the instant that it is known of.
        """
        last = self.live.get(point.id) if message.retained else None
        if last is not None and last.value == value and last.text in ("", reading.text or ""):
            return last.at
        if message.duplicate:
            return message.received_at
        return max(message.received_at, self.before(point.id) + 1)

    def again(self, point: int, received_at: Ms) -> Ms:
        """The same for what is read again: when it came, however much is newer."""
        while (point, received_at) in self.spent:
            received_at += 1
        self.spent.add((point, received_at))
        return received_at


@dataclass(frozen=True, slots=True)
class Block:
    """Ordinary messages and their readings, as columns. received: when each message came; message: index in
    `ordinary`; text: by row."""

    ordinary: Ordinary
    received: Longs
    point: Ints
    at: Longs
    value: Floats
    message: Ints
    text: dict[int, str]


@dataclass(slots=True)
class Draft:
    """A batch of one lane. again: its messages are read again from quarantine."""

    again: bool = False
    messages: list[MessageRecord] = field(default_factory=list)
    rows: list[tuple[int, Ms, float, int, int]] = field(default_factory=list)
    text: dict[int, str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    attributes: list[Attribute] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    heard: set[str] = field(default_factory=set)
    blocks: list[Block] = field(default_factory=list)  # after all others
    looked: int = 0  # rows that `levels` knows
    # by point: the message that it was last read in, the value before that message, the value of it
    levels: dict[int, tuple[int, float | None, float | None]] = field(default_factory=dict)

    def batch(
        self,
        site: str,
        lane: Lane,
        gaps: Mapping[tuple[Ms, str], int] = _NO_GAPS,
        counts: Mapping[str, bytes] = _NO_COUNTS,
    ) -> Batch:
        """gaps, counts: of sequence numbers, as a batch has them."""
        parts, text = [Readings.of(self.rows)] if self.rows else [], dict(self.text)
        rows, count = len(self.rows), len(self.messages)
        for block in self.blocks:
            good = np.zeros(len(block.point), np.uint8)
            which = block.message + np.int32(count) if count else block.message
            parts.append(Readings(block.point, block.at, block.value, good, which))
            text.update({rows + row: shown for row, shown in block.text.items()})
            count += len(block.received)
            rows += len(block.point)
        odd = np.array([m.message.received_at for m in self.messages], np.int64)
        received = np.concatenate([odd, *(block.received for block in self.blocks)])
        ordinary = tuple(block.ordinary for block in self.blocks)
        more = count - len(self.messages)
        return Batch(
            site,
            lane,
            int(received.max()),
            Records(tuple(self.messages), more, lambda: (r for each in ordinary for r in each.records())),
            Readings.joined(parts, text) if parts else Readings.empty(),
            tuple(self.events),
            tuple(self.attributes),
            tuple(self.findings),
            self.again,
            more,
            gaps,
            counts,
            ordinary,
            received,
            tuple(each.senders for each in ordinary),
        )

    def read(
        self, reading: DecodedReading, message: Message, devices: Devices, table: PointTable, times: Times
    ) -> None:
        """Adds a reading of the message that comes next."""
        device = devices.get(reading.address)
        point = table.find(device.id, reading.spec.name) if device else None
        if point is None or device is None:
            return
        if reading.spec.quantity != point.spec.quantity and reading.spec.kind is not Kind.TEXT:
            detail = (
                f"{point.spec.name}: {reading.spec.quantity} by its profile, {point.spec.quantity} as stored"
            )
            self.findings.append(Finding("malformed", device.id, message.received_at, detail))
            return
        value = _in_steps(reading.value, reading.spec, point.spec)
        at, late = reading.at, times.before(point.id) - LATE
        if at is None:
            at = (
                times.again(point.id, message.received_at)
                if self.again
                else times.of_receipt(point, reading, value, message)
            )
        elif at < late and not message.retained and not self.again:
            self.findings.append(Finding("late", device.id, message.received_at, point.spec.name))
        times.fresh[point.id] = max(at, times.fresh.get(point.id, 0))
        if reading.spec.kind is Kind.TEXT and reading.text is not None:
            self.text[len(self.rows)] = reading.text
            # The newest one is an attribute of the device as well, whenever it changes.
            self.attributes.append(Attribute(device.id, reading.spec.name, reading.text, at))
        self.rows.append((point.id, at, value, int(_quality(reading, message)), len(self.messages)))

    def happened(
        self, event: DecodedEvent, message: Message, devices: Devices, table: PointTable, times: Times
    ) -> None:
        """Adds an event, after the readings of its message. What a broker had retained is none, unless it
        says itself when it was."""
        device = devices.get(event.address)
        point = table.find(device.id, event.spec.name) if device else None
        if point is None or (message.retained and event.at is None):
            return
        at, arguments = message.received_at if event.at is None else event.at, event.arguments
        if event.code == COUNTER_RESET:
            arguments = {**self._around(point, times), **arguments}
            shown = " -> ".join(f"{arguments.get(n, '?')}" for n in ("before", "after"))
            detail = f"{point.spec.name}: {shown} {point.spec.unit}".rstrip()
            self.findings.append(Finding(COUNTER_RESET, point.device, message.received_at, detail))
        self.events.append(Event(point.id, at, event.event_id, event.code, arguments, len(self.messages)))

    def _around(self, point: Point, times: Times) -> dict[str, float]:
        """A register before the message at hand, as far as it is known, and with it."""
        for number, _, value, quality, message in self.rows[self.looked :]:
            if quality != Quality.SUSPECT:
                at, before, after = self.levels.get(number, (message, None, None))
                self.levels[number] = (message, before if at == message else after, value)
        self.looked = len(self.rows)
        at, before, after = self.levels.get(point.id, (-1, None, None))
        if at != len(self.messages):
            before, after = after, None
        if before is None and (last := times.live.get(point.id)) is not None:
            before = last.value
        named = {"before": before, "after": after}
        return {name: point.physical(value) for name, value in named.items() if value is not None}


def _quality(reading: DecodedReading, message: Message) -> Quality:
    if message.retained and reading.quality != Quality.SUSPECT:
        return Quality.RETAINED
    return reading.quality


def _in_steps(value: float, read: PointSpec, kept: PointSpec) -> float:
    """A value that was read in steps of one size, or in none, in those of another: the table says in
    which a point is kept."""
    if read.step == kept.step or Kind.TEXT in (read.kind, kept.kind):
        return value
    physical = Fraction(value) * Fraction(read.step or 1)
    return float(physical) if kept.step is None else float(round(physical / Fraction(kept.step)))
