"""The newest value of every point, in memory: batches in, snapshots and changes out.

Nothing scans the store for "latest". Readers ask for what changed since a version they hold. Columns
by point id: a value becomes an object only when somebody asks for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from dutyroom.flows.roll import NEVER, Heard, Roll
from dutyroom.model.telemetry import Bytes8, Floats, Longs, Quality, Reading, Readings, Senders
from dutyroom.timebase import HOUR, MINUTE, Ms

Slots: TypeAlias = npt.NDArray[np.intp]
_Instants: TypeAlias = Longs | Ms

_NONE: Ms = -(1 << 62)  # no value yet
AHEAD: Ms = 5 * MINUTE  # a value so far in the future was read by a clock that was wrong then
_ROLLS = 64  # lists of devices that are kept apart
CURRENT: Ms = HOUR  # and gives way to one that is no older than this


@dataclass(frozen=True, slots=True)
class LiveValue:
    """value in the point's stored form (steps for a counter)."""

    point: int
    at: Ms  # device time
    received_at: Ms
    value: float
    quality: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class ReadTimes:
    """When points were read last: their ids, rising, by the device's time, and by ours. Not what a broker had
    retained."""

    point: Slots
    at: Longs
    received: Longs

    def received_of(self, point: int) -> Ms:
        """0 = it was never read."""
        return self._of(point, self.received)

    def at_of(self, point: int) -> Ms:
        return self._of(point, self.at)

    def _of(self, point: int, column: Longs) -> Ms:
        row = int(np.searchsorted(self.point, point))
        return column.item(row) if row < len(self.point) and self.point[row] == point else 0


class Live:
    """Thread-safe; one per site."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at: Longs = np.empty(0, np.int64)
        self._received: Longs = np.empty(0, np.int64)
        self._value: Floats = np.empty(0, np.float64)
        self._quality: Bytes8 = np.empty(0, np.uint8)
        self._changed: Longs = np.empty(0, np.int64)  # version of the last change
        self._row: Longs = np.empty(0, np.int64)  # for a moment: of a batch
        self._worded = np.empty(0, np.bool_)  # has a text
        self._text: dict[int, str] = {}
        self._heard: dict[str, Heard] = {}
        self._rolls: list[Roll] = []  # the same of those whose messages come by thousands
        self.version = 0
        self.messages = 0
        self.readings = 0
        self.received_at: Ms | None = None

    def start(self, stored: Mapping[int, Reading]) -> None:
        """Fills from the store; the ages stay those of the stored readings. What has come meanwhile
        is newer and stays."""
        with self._lock:
            self.version += 1
            self._reach(max(stored, default=-1) + 1)
            for point, reading in stored.items():
                if self._at.item(point) == _NONE:
                    received = reading.received_at if reading.received_at is not None else reading.at
                    self._put(point, reading.at, received, reading.value, reading.quality, reading.text)

    def update(
        self,
        readings: Readings,
        received_at: Ms,
        messages: int,
        devices: Iterable[str] = (),
        received: Sequence[Ms] | None = None,
        senders: Iterable[Senders] = (),
    ) -> None:
        """Takes a batch; an older or suspect reading never replaces a newer good one, unless that one lies in the
        future: a clock that was wrong for a moment would hide what its device says for hours.

        devices, senders: those that were heard. received: by message, where that lies in the past. What a
        broker had retained is only news where it differs, and is no younger than what was known.
        """
        with self._lock:
            self.version += 1
            self.messages += messages
            self.readings += len(readings)
            self.received_at = max(received_at, self.received_at or 0)
            self._heard.update(dict.fromkeys(devices, (self.version, received_at)))
            for some in senders:
                self._roll_of(some.names).hear(some.row, self.version, received_at)
            if not len(readings):
                return
            self._reach(int(readings.point.max()) + 1)
            fine = readings.quality != Quality.SUSPECT
            retained = readings.quality == Quality.RETAINED
            if retained.any():  # what becomes of one depends on what was there before it
                single = np.isin(readings.point, readings.point[retained])
                self._one_by_one(readings, np.flatnonzero(fine & single), received_at, received)
                fine &= ~single
            self._take(readings, np.flatnonzero(fine), received_at, received)

    def _roll_of(self, names: Sequence[str]) -> Roll:
        for roll in self._rolls:
            if roll.names is names:
                return roll
        if len(self._rolls) >= _ROLLS:
            for device, heard in self._rolls.pop(0).told():
                self._heard[device] = max(heard, self._heard.get(device, NEVER))
        roll = Roll(names)
        self._rolls.append(roll)
        return roll

    def _take(self, readings: Readings, rows: Slots, received_at: Ms, received: Sequence[Ms] | None) -> None:
        """Of each point the newest; of those at one instant the last, which is the correction."""
        every = len(rows) == len(readings)
        point, at = (readings.point, readings.at) if every else (readings.point[rows], readings.at[rows])
        point = point.astype(np.intp)
        held = self._at[point]
        newer = at >= held
        if not newer.all():
            if received is None and (wrong := ~newer & _put_right(held, at, received_at)).any():
                newer |= wrong
                self._at[point[wrong]] = _NONE
            rows, point, at = rows[newer], point[newer], at[newer]
        self._row[point] = rows
        if (self._row[point] == rows).all():  # each point once, as mostly
            self._at[point] = at
        else:
            np.maximum.at(self._at, point, at)
            newest = at == self._at[point]
            rows, point = rows[newest], point[newest]
            self._row[point] = -1
            np.maximum.at(self._row, point, rows)
            last = self._row[point] == rows
            rows, point = rows[last], point[last]
        self._received[point] = (
            received_at if received is None else np.array(received, np.int64)[readings.message[rows]]
        )
        self._value[point] = readings.value[rows]
        self._quality[point] = readings.quality[rows]
        self._changed[point] = self.version
        old = point[self._worded[point]]
        for number in old.tolist():
            del self._text[number]
        self._worded[old] = False
        if readings.text:
            taken = np.zeros(len(readings), dtype=bool)
            taken[rows] = True
            for row, text in readings.text.items():
                if text and taken[row]:
                    self._word(int(readings.point[row]), text)

    def _one_by_one(
        self, readings: Readings, rows: Slots, received_at: Ms, received: Sequence[Ms] | None
    ) -> None:
        """In the order of the batch."""
        for row in rows.tolist():
            point, at = readings.point.item(row), readings.at.item(row)
            old = self._get(point)
            if (
                old is not None
                and at < old.at
                and (received is not None or not _put_right(old.at, at, received_at))
            ):
                continue
            then = received_at if received is None else received[readings.message.item(row)]
            quality, text = readings.quality.item(row), readings.text.get(row, "")
            new = LiveValue(point, at, then, readings.value.item(row), quality, text)
            if old is not None and quality == Quality.RETAINED:
                new = _retained(old, new)
            if new is not old:
                self._put(point, new.at, new.received_at, new.value, new.quality, new.text)

    def _put(self, point: int, at: Ms, received: Ms, value: float, quality: int, text: str) -> None:
        self._at[point], self._received[point] = at, received
        self._value[point], self._quality[point] = value, quality
        self._changed[point] = self.version
        self._word(point, text)

    def _word(self, point: int, text: str) -> None:
        self._worded[point] = bool(text)
        if text:
            self._text[point] = text
        else:
            self._text.pop(point, None)

    def _reach(self, size: int) -> None:
        """Makes room for points up to this number."""
        more = size - len(self._at)
        if more <= 0:
            return
        more = max(more, len(self._at) // 2, 64)
        self._at = np.concatenate([self._at, np.full(more, _NONE, np.int64)])
        self._received = np.concatenate([self._received, np.zeros(more, np.int64)])
        self._value = np.concatenate([self._value, np.zeros(more)])
        self._quality = np.concatenate([self._quality, np.zeros(more, np.uint8)])
        self._changed = np.concatenate([self._changed, np.zeros(more, np.int64)])
        self._row = np.concatenate([self._row, np.zeros(more, np.int64)])
        self._worded = np.concatenate([self._worded, np.zeros(more, np.bool_)])

    # ------------------------------------------------------------ what is asked

    def _get(self, point: int) -> LiveValue | None:
        at = self._at.item(point) if 0 <= point < len(self._at) else _NONE
        if at == _NONE:
            return None
        return LiveValue(
            point,
            at,
            self._received.item(point),
            self._value.item(point),
            self._quality.item(point),
            self._text.get(point, ""),
        )

    def _all(self, points: Slots) -> list[LiveValue]:
        columns = (self._at, self._received, self._value, self._quality)
        at, received, value, quality = (column[points].tolist() for column in columns)
        text = (self._text.get(point, "") for point in points.tolist())
        return list(map(LiveValue, points.tolist(), at, received, value, quality, text))

    def get(self, point: int) -> LiveValue | None:
        with self._lock:
            return self._get(point)

    def heard(self, device: str) -> Ms | None:
        """When a device was last heard, by receive time; None = not since the start."""
        with self._lock:
            told = [roll.heard(device) for roll in self._rolls]
            by, at = max([self._heard.get(device, NEVER), *told])
        return at if by else None

    def snapshot(self) -> tuple[int, list[LiveValue]]:
        with self._lock:
            return self.version, self._all(np.flatnonzero(self._at != _NONE))

    def since(self, version: int) -> tuple[int, list[LiveValue]]:
        """The version now, and the values that changed after `version`."""
        with self._lock:
            if version >= self.version:
                return self.version, []
            return self.version, self._all(np.flatnonzero(self._changed > version))

    def read_times(self) -> ReadTimes:
        with self._lock:
            points = np.flatnonzero((self._at != _NONE) & (self._quality != Quality.RETAINED))
            return ReadTimes(points, self._at[points], self._received[points])

    def newest_since(self, version: int, owner: Callable[[int], str | None]) -> tuple[int, list[LiveValue]]:
        """The same, but of all that has one owner only the newest, and no retained ones. owner: of a point by its
        number; None = it is left out."""
        with self._lock:
            now = self.version
            if version >= now:
                return now, []
            points = np.flatnonzero(self._changed > version)
            points = points[self._quality[points] != Quality.RETAINED]
            at = self._at[points].tolist()
        found: dict[str, tuple[Ms, int]] = {}
        for point, when in zip(points.tolist(), at, strict=True):
            name = owner(point)
            if name is not None and (name not in found or found[name][0] < when):
                found[name] = when, point
        with self._lock:
            return now, self._all(np.array([point for _, point in found.values()], np.intp))


def _put_right(held: _Instants, at: _Instants, now: Ms) -> Any:
    """Where a value of `at` that comes now replaces one of a later instant."""
    return (held > now + AHEAD) & (at >= now - CURRENT)


def _retained(old: LiveValue, new: LiveValue) -> LiveValue:
    """The value after a retained message: its age stays, and of one that is known nothing changes
    but a wording that was forgotten."""
    if new.value != old.value or (old.text and new.text != old.text):
        return replace(new, received_at=old.received_at)
    return replace(old, text=new.text) if new.text != old.text else old
