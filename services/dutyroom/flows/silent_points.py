"""Points that are not read any more while their device goes on sending others: named among the findings.

New firmware that names a field otherwise loses one register, and nobody notices: the message is decoded, the device
is heard. A look at the newest receive times of all points (arrays) finds whom to suspect; what the store has of such
a point and of its siblings decides, so nothing is remembered that a restart could lose, and a reading costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from dutyroom.flows.live import Live, ReadTimes
from dutyroom.flows.point_evidence import Suspect, judged
from dutyroom.flows.point_habit import LEAST, STEPS
from dutyroom.flows.point_rows import PointRows, silences
from dutyroom.flows.registry import Registry
from dutyroom.flows.silent_words import KIND, detail_of, silent_in
from dutyroom.interfaces import FindingRow, ReadingStore
from dutyroom.model.duty import Device, DeviceStatus
from dutyroom.model.telemetry import Finding, Longs, Point, PointTable
from dutyroom.timebase import HOUR, MINUTE, Ms

EVERY: Ms = MINUTE
AGAIN: Ms = 12 * HOUR  # it is said again as long as it lasts: what is shown is what was found lately
_MOST = 20  # points that are looked at in the store at once, registers first
_SIBLINGS = 3  # of them the newest
_AFTER: Ms = 5 * MINUTE  # again where the store could not tell


@dataclass(frozen=True, slots=True)
class Lost:
    """A point that is not read any more. last: when it was; seen: the same by the newest values."""

    name: str
    last: Ms
    seen: Ms


@dataclass(slots=True)
class Told:
    """findings: to be noted. over: devices of which nothing is lost any more."""

    findings: list[Finding] = field(default_factory=list)
    over: set[str] = field(default_factory=set)


class SilentPoints:
    """Of one site; not thread-safe. made: whether a device's profile still has a point of that name."""

    def __init__(
        self,
        table: PointTable,
        live: Live,
        store: ReadingStore,
        registry: Registry,
        made: Callable[[Device, str], bool],
    ) -> None:
        self._table, self._live, self._store, self._registry, self._made = table, live, store, registry, made
        self._rows = PointRows(table)
        self._looked: Ms | None = None
        self._rest: Longs = np.zeros(0, np.int64)  # by point: not looked at again before
        self._lost: dict[str, dict[int, Lost]] = {}
        self._said: dict[str, tuple[Collection[int], Ms]] = {}  # by device: what was told last, when
        self._away: set[str] = set()  # devices that are not in service
        self._back: dict[str, Ms] = {}  # since when they are again
        self._changes = -1

    def adopt(self, rows: Iterable[FindingRow]) -> None:
        """What is noted already; after a start."""
        for row in rows:
            if row.kind != KIND:
                continue
            said = silent_in(row.detail)
            points = [(self._table.find(row.device, name), at) for name, at in (said.lost if said else ())]
            found = {p.id: Lost(p.spec.name, at, at) for p, at in points if p is not None}
            if found:
                self._lost[row.device] = found
            self._said[row.device] = (frozenset(found), row.last_at)

    def due(self, now: Ms) -> bool:
        return self._looked is None or abs(now - self._looked) >= EVERY

    def look(self, now: Ms) -> Told:
        """What is to be noted now, and what is over. Raises Unavailable: what was found is told by the next look."""
        self._looked = now
        self._see_devices(now)
        read = self._live.read_times()
        self._rows.learn()  # after it: a point is there before its first reading
        more = len(self._rows.device) - len(self._rest)
        self._rest = np.concatenate([self._rest, np.zeros(more, np.int64)])
        self._end(read)
        for row in self._suspects(read, now):
            point = self._table[int(read.point[row])]
            self._rest[point.id] = now + _AFTER  # what the store cannot read of one holds up no other
            self._judge(point, read, now)
        return self._tell(read, now)

    # ------------------------------------------------------------ whom to suspect

    def _suspects(self, read: ReadTimes, now: Ms) -> Sequence[int]:
        """Rows of what was read too long before others of its device; registers first, then the longest, and last
        those that are known to be lost."""
        rows = self._rows
        silence = silences(rows.device[read.point], read.received, rows.tells[read.point])
        long = silence >= np.maximum(LEAST, STEPS * rows.interval[read.point])
        found = np.flatnonzero(long & (self._rest[read.point] <= now))
        known = np.isin(read.point[found], [number for points in self._lost.values() for number in points])
        order = np.lexsort((-silence[found], ~rows.register[read.point[found]], known))
        return [int(row) for row in found[order][:_MOST]]

    def _see_devices(self, now: Ms) -> None:
        """Who is out of service, and who is back: what was silent meanwhile counts from then on."""
        first = self._changes < 0
        self._changes, names = self._registry.changes.since(max(self._changes, 0))
        for name in list(self._registry.by_id) if first or names is None else names:
            if not self._active(name):
                self._away.add(name)
            elif name in self._away:
                self._away.discard(name)
                self._back[name] = now

    def _active(self, name: str) -> bool:
        device = self._registry.by_id.get(name)
        return device is not None and device.status is DeviceStatus.ACTIVE

    def _wanted(self, point: Point) -> bool:
        device = self._registry.by_id.get(point.device)
        return device is not None and self._active(device.id) and self._made(device, point.spec.name)

    # ------------------------------------------------------------ what becomes of it

    def _judge(self, point: Point, read: ReadTimes, now: Ms) -> None:
        if not self._wanted(point):
            self._rest[point.id] = now + HOUR
            return
        received, siblings = read.received_of(point.id), self._siblings(point, read)
        newest = max((read.at_of(p.id) for p in siblings), default=0)
        back = self._back.get(point.device, 0)
        suspect = Suspect(point, read.at_of(point.id), received, siblings, newest, back)
        verdict = judged(self._store, suspect, now)
        self._rest[point.id] = now + verdict.rest
        mine = self._lost.setdefault(point.device, {})
        mine.pop(point.id, None)
        if verdict.last is not None:
            mine[point.id] = Lost(point.spec.name, verdict.last, received)

    def _siblings(self, point: Point, read: ReadTimes) -> list[Point]:
        newer = self._newer(point.device, read.received_of(point.id), read)
        return newer[:_SIBLINGS]

    def _newer(self, device: str, received: Ms, read: ReadTimes) -> list[Point]:
        """What tells of the device and was read after that, the newest first."""
        points = [p for p in self._table.of_device(device) if read.received_of(p.id) > received]
        newer = [p for p in points if self._rows.tells[p.id]]
        return sorted(newer, key=lambda p: (-read.received_of(p.id), p.id))

    def _end(self, read: ReadTimes) -> None:
        """Forgets what was read again, and what nobody expects any more."""
        for device, points in list(self._lost.items()):
            self._lost[device] = {
                number: lost
                for number, lost in points.items()
                if self._wanted(self._table[number]) and read.received_of(number) <= lost.seen
            }

    def _tell(self, read: ReadTimes, now: Ms) -> Told:
        self._lost = {device: points for device, points in self._lost.items() if points}
        told = Told(over=self._said.keys() - self._lost.keys())
        for device in told.over:
            del self._said[device]
        for device, points in self._lost.items():
            before, at = self._said.get(device, ((), 0))
            if frozenset(before) == points.keys() and abs(now - at) < AGAIN:
                continue
            self._said[device] = (frozenset(points), now)
            told.findings.append(Finding(KIND, device, now, self._detail(device, points, read)))
        return told

    def _detail(self, device: str, points: dict[int, Lost], read: ReadTimes) -> str:
        last = max(read.received_of(number) for number in points)
        still = [p.spec.name for p in self._newer(device, last, read) if p.id not in points]
        return detail_of(sorted((lost.name, lost.last) for lost in points.values()), still)
