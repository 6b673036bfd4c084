"""The newest value of every point, in memory: batches in, snapshots and changes out.

Nothing scans the store for "latest". Readers ask for what changed since a version they hold.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from dutyroom.model.telemetry import Quality, Reading, Readings
from dutyroom.timebase import Ms


@dataclass(frozen=True, slots=True)
class LiveValue:
    """value in the point's stored form (steps for a counter)."""

    point: int
    at: Ms  # device time
    received_at: Ms
    value: float
    quality: int
    text: str = ""


class Live:
    """Thread-safe; one per site."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[int, LiveValue] = {}
        self._changed: dict[int, int] = {}  # point -> version of its last change
        self._heard: dict[str, Ms] = {}
        self.version = 0
        self.messages = 0
        self.readings = 0
        self.received_at: Ms | None = None

    def start(self, stored: Mapping[int, Reading]) -> None:
        """Fills from the store; the ages stay those of the stored readings. What has come meanwhile
        is newer and stays."""
        with self._lock:
            self.version += 1
            for point, reading in stored.items():
                if point in self._values:
                    continue
                received = reading.received_at if reading.received_at is not None else reading.at
                self._values[point] = LiveValue(point, reading.at, received, reading.value, reading.quality)
                self._changed[point] = self.version

    def update(
        self,
        readings: Readings,
        received_at: Ms,
        messages: int,
        devices: Iterable[str] = (),
        received: Sequence[Ms] | None = None,
    ) -> None:
        """Takes a batch; an older or suspect reading never replaces a newer good one.

        devices: those that were heard. received: by message, where that lies in the past. What a
        broker had retained is only news where it differs, and is no younger than what was known.
        """
        rows = zip(
            readings.point.tolist(),
            readings.at.tolist(),
            readings.value.tolist(),
            readings.quality.tolist(),
            readings.message.tolist(),
            strict=True,
        )
        with self._lock:
            self.version += 1
            self.messages += messages
            self.readings += len(readings)
            self.received_at = max(received_at, self.received_at or 0)
            for device in devices:
                self._heard[device] = received_at
            for row, (point, at, value, quality, message) in enumerate(rows):
                old = self._values.get(point)
                if quality == Quality.SUSPECT or (old is not None and at < old.at):
                    continue
                then = received_at if received is None else received[message]
                new = LiveValue(point, at, then, value, quality, readings.text.get(row, ""))
                if old is not None and quality == Quality.RETAINED:
                    new = _retained(old, new)
                if new is not old:
                    self._values[point] = new
                    self._changed[point] = self.version

    def get(self, point: int) -> LiveValue | None:
        return self._values.get(point)

    def heard(self, device: str) -> Ms | None:
        """When a device was last heard, by receive time; None = not since the start."""
        return self._heard.get(device)

    def snapshot(self) -> tuple[int, list[LiveValue]]:
        with self._lock:
            return self.version, list(self._values.values())

    def since(self, version: int) -> tuple[int, list[LiveValue]]:
        """The version now, and the values that changed after `version`."""
        with self._lock:
            if version >= self.version:
                return self.version, []
            changed = [self._values[p] for p, v in self._changed.items() if v > version]
            return self.version, changed


def _retained(old: LiveValue, new: LiveValue) -> LiveValue:
    """The value after a retained message: its age stays, and of one that is known nothing changes
    but a wording that was forgotten."""
    if new.value != old.value or (old.text and new.text != old.text):
        return replace(new, received_at=old.received_at)
    return replace(old, text=new.text) if new.text != old.text else old
