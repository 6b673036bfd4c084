"""Who was heard when, by receive time, and whose silence lasts too long: arrays by device."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from dutyroom.model.telemetry import Batch, Lane, Longs, Point, Quality
from dutyroom.rules.columns import FOREVER, NEVER, Bools, Columns, Field, Layers, Slots, instant
from dutyroom.timebase import MINUTE, Ms

if TYPE_CHECKING:
    from dutyroom.rules.kind import Instance

GAP: Ms = MINUTE  # what is under way for longer was kept somewhere


class Absence(NamedTuple):
    """The last time that a device said nothing for more than `GAP`; one that fell silent again while it handed out what had
    been kept since the first time was away from then on. fell, back: receive times of its last word before, and of the first
    one after. lag: by how much its clock was behind, or its words late, before it fell."""

    fell: Ms
    back: Ms
    lag: Ms


class Silences(Columns):
    """Of each rule on a device's silence: how long it may last, and since when it does."""

    FIELDS: ClassVar = {
        "allowance": Field(np.int64, 0, kept=False),
        "used": Field(np.bool_, False, kept=False),
        "silent": Field(np.bool_, False),
        "heard": Field(np.int64, NEVER),  # receive time of the last sign of life, or the start
    }
    allowance: Longs
    used: Bools
    silent: Bools
    heard: Longs

    def open(self, allowance: Ms) -> int:
        slot = self.add()
        self.allowance[slot], self.used[slot] = allowance, True
        return slot

    def overdue(self, now: Ms) -> list[int]:
        """The rows whose silence has become too long; what was never heard counts from now."""
        size = self.size
        waiting, heard = self.used[:size] & ~self.silent[:size], self.heard[:size]
        heard[waiting & (heard == NEVER)] = now
        return np.flatnonzero(waiting & (now - heard >= self.allowance[:size])).tolist()

    def next(self, now: Ms) -> Ms:
        """The first moment from `now` on at which a silence may be too long; FOREVER = none."""
        size = self.size
        waiting, heard = self.used[:size] & ~self.silent[:size], self.heard[:size]
        ends = np.where(heard == NEVER, now, heard + self.allowance[:size])
        return max(now, int(ends[waiting].min(initial=FOREVER)))

    def started(self, now: Ms, rows: Slots | None = None) -> None:
        """The sight of the devices, or of these rows, begins again: nothing is silent yet."""
        heard, those = self.heard[: self.size], self.used[: self.size]
        if rows is not None:
            those = those & np.isin(np.arange(self.size), rows)
        np.maximum(heard, now, out=heard, where=those)

    def stood(self, rows: Slots, away: Ms, least: Ms, now: Ms) -> None:
        """The timers of these rows stood still for so long, until `now`; this much is left of each at least."""
        heard = self.heard[rows]
        left = np.maximum(heard + away, now - self.allowance[rows] + least)
        self.heard[rows] = np.maximum(heard, np.where(heard == NEVER, now, np.minimum(left, now)))


class Devices(Columns):
    """Every device, by its place in the order in which it was met."""

    FIELDS: ClassVar = {
        "heard": Field(np.int64, NEVER),
        "lane": Field(np.int16, -1),
        "line": Field(np.int16, -1),
        "minded": Field(np.bool_, False),
        "fell": Field(np.int64, NEVER, kept=False),
        "back": Field(np.int64, NEVER, kept=False),
        "lag": Field(np.int64, 0, kept=False),
        "said": Field(np.int64, NEVER, kept=False),
        "left": Field(np.int64, NEVER, kept=False),
    }
    heard: Longs
    lane: npt.NDArray[np.int16]  # a device stays in one; -1 = not heard yet
    line: npt.NDArray[np.int16]  # the one that it was heard by last; -1 = not known
    minded: Bools  # somebody waits for its next word
    fell: Longs  # see `Absence`
    back: Longs
    lag: Longs
    said: Longs  # time of its newest word since it was back, by its own clock
    left: Longs  # receive time of a broker's word that it has gone, while it says nothing since


class Voices(Columns):
    """By point: whose voice it is, and whether it is a broker's word on the device's presence."""

    FIELDS: ClassVar = {"device": Field(np.int32, -1), "presence": Field(np.bool_, False)}
    device: npt.NDArray[np.int32]
    presence: Bools


class Hearing:
    """Signs of life of all devices, and the instances that wait for their silence."""

    def __init__(self, silences: Silences) -> None:
        self.devices, self.voices, self.silences = Devices(), Voices(), silences
        self._place: dict[str, int] = {}
        self._names: list[str] = []  # by place
        self._layers = Layers()
        self._listeners: list[Instance | None] = []  # by row of `silences`
        # From when on a broker's word that a device has gone says something of that device.
        self.trusted: Ms = NEVER
        self._minds: dict[Instance, list[int]] = {}  # places of the devices whose next word it waits for

    def place(self, device: str) -> int:
        """Where a device stands in the columns."""
        found = self._place.get(device)
        if found is None:
            found = self._place[device] = self.devices.add()
            self._names.append(device)
            self._layers.reach(found + 1)
        return found

    def meet(self, point: Point) -> None:
        """A point that is new, or another one now."""
        self.voices.reach(point.id + 1)
        self.voices.device[point.id] = self.place(point.device)
        self.voices.presence[point.id] = point.spec.name == "online"

    def join(self, instance: Instance) -> None:
        self._layers.put(self.silences, [self.place(instance.device)], instance.slots)
        self._listeners += [None] * (self.silences.size - len(self._listeners))
        self._listeners[instance.slots[0]] = instance

    def leave(self, instance: Instance) -> None:
        self._layers.take(self.silences, [self.place(instance.device)], instance.slots)
        self._listeners[instance.slots[0]] = None

    def mind(self, instance: Instance) -> None:
        """Is told of the next word of any device that it minds, once."""
        if instance not in self._minds:
            places = self._minds[instance] = [self.place(device) for device in instance.minds]
            self.devices.minded[places] = True

    def unmind(self, instance: Instance) -> None:
        if instance in self._minds:
            self.devices.minded[self._minds.pop(instance)] = False
            for places in self._minds.values():
                self.devices.minded[places] = True

    def _minding(self, places: Slots) -> list[Instance]:
        """Who waited for a word of one of these; they wait no more."""
        minded = set(places[self.devices.minded[places]].tolist())
        found = [i for i, mine in self._minds.items() if not minded.isdisjoint(mine)] if minded else []
        for instance in found:
            self.unmind(instance)
        return found

    def owner(self, point: int) -> str:
        """The device of a point that was met."""
        return self._names[self.voices.device.item(point)]

    def owners(self, points: npt.NDArray[np.int32]) -> Slots:
        """The places of the devices of some points; -1 = unknown."""
        known = (points >= 0) & (points < self.voices.size)
        return np.where(known, self.voices.device[np.where(known, points, 0)], -1).astype(np.intp)

    def _owner(self, point: int) -> int:
        """The place of a point's device; -1 = unknown."""
        return self.voices.device.item(point) if 0 <= point < self.voices.size else -1

    # ------------------------------------------------------------ what is heard

    def hear(self, batch: Batch) -> list[Instance]:
        """Any reading but a retained one, or a broker's word that a device has gone. Returns whose
        device speaks again, and who waited for a word of one."""
        places, left = self._heard(batch)
        devices = self.devices
        if len(left):
            devices.left[left] = np.where(devices.left[left] == NEVER, batch.received_at, devices.left[left])
        devices.left[places] = NEVER
        heard = devices.heard[places]
        gone = places[(heard != NEVER) & (batch.received_at - heard > GAP)]
        if len(gone):
            self._return(np.unique(gone), batch.received_at)
        self._listen(batch)
        devices.heard[places] = np.maximum(devices.heard[places], batch.received_at)
        devices.lane[places] = int(batch.lane)
        back: set[int] = set()
        for layer in self._layers.all:
            rows = layer.slots[places]
            rows = rows[rows >= 0]
            self.silences.heard[rows] = np.maximum(self.silences.heard[rows], batch.received_at)
            back.update(rows[self.silences.silent[rows]].tolist())
        told = [*self._those(back), *self._minding(places)]
        return sorted(told, key=lambda i: (i.device, i.number))

    def _return(self, places: Slots, now: Ms) -> None:
        devices = self.devices
        lag = np.where(devices.said[places] == NEVER, 0, devices.heard[places] - devices.said[places])
        # Words of before the return that came last: the same absence goes on.
        old = (devices.back[places] != NEVER) & (devices.said[places] != NEVER)
        old &= devices.said[places] + devices.lag[places] < devices.back[places] - GAP
        devices.lag[places] = np.where(old, devices.lag[places], lag)
        devices.fell[places] = np.where(old, devices.fell[places], devices.heard[places])
        devices.back[places], devices.said[places] = now, NEVER

    def _listen(self, batch: Batch) -> None:
        """Of which time the words of a batch are, by the devices' own clocks."""
        columns = batch.readings
        places = self.owners(columns.point)
        spoke = (columns.quality != Quality.RETAINED) & (places >= 0)
        np.maximum.at(self.devices.said, places[spoke], columns.at[spoke])

    def first_since(self, batch: Batch, since: Ms, pause: Ms) -> Slots:
        """The places of the devices whose first word since an instant is in a batch, after so long a silence."""
        places = np.unique(self._heard(batch)[0])
        heard = self.devices.heard[places]
        return places[(heard < since) & (batch.received_at - heard > pause)]

    def _heard(self, batch: Batch) -> tuple[Slots, Slots]:
        """The places of the devices that speak in a batch, one may come several times; and of those of which a broker says
        that they have gone."""
        columns, voices = batch.readings, self.voices
        alive = columns.quality != Quality.RETAINED
        if len(columns) and int(columns.point.max()) >= voices.size:
            alive &= columns.point < voices.size
        points = columns.point if alive.all() else columns.point[alive]
        places = voices.device[points].astype(np.intp)
        gone = voices.presence[points]
        left = np.empty(0, np.intp)
        if gone.any():
            gone &= (columns.value if len(points) == len(columns) else columns.value[alive]) == 0
            left, places = places[gone], places[~gone]
        spoke = [
            self._owner(e.point)
            for e in batch.events
            if not (e.message < len(batch.messages) and batch.messages[e.message].message.retained)
        ]
        places = np.concatenate([places, np.array(spoke, np.intp)]) if spoke else places
        # What a message says lies side by side, and is of one device.
        other = np.empty(len(places), dtype=bool)
        other[:1], other[1:] = True, places[1:] != places[:-1]
        return places[other & (places >= 0)], left[left >= 0]

    def lane(self, places: Slots, lane: Lane) -> Bools:
        """Which of these devices speak in a lane."""
        return np.equal(self.devices.lane[places], int(lane))

    # ------------------------------------------------------------ what is known of it

    def rows(self, places: Slots) -> Slots:
        """Those of `silences` that belong to some devices."""
        found = [layer.slots[places] for layer in self._layers.all]
        rows = np.concatenate(found) if found else np.empty(0, np.intp)
        return rows[rows >= 0].astype(np.intp)

    def overdue(self, now: Ms, places: Slots | None = None) -> list[Instance]:
        """Whose silence has become too long, device by device; places: of these devices only."""
        rows = self.silences.overdue(now)
        if places is not None:
            rows = np.intersect1d(rows, self.rows(places)).tolist()
        found = self._those(rows)
        return sorted(found, key=self._turn) if len(found) > 1 else found

    def _turn(self, instance: Instance) -> tuple[int, int]:
        """A device's turn is that of its first listener."""
        place = self._place[instance.device]
        rows = [layer.slots.item(place) for layer in self._layers.all]
        return min(i.number for i in self._those(row for row in rows if row >= 0)), instance.number

    def _those(self, rows: Iterable[int]) -> list[Instance]:
        return [found for row in rows if (found := self._listeners[row]) is not None]

    def expect(self, device: str, by: Ms) -> None:
        """Its silence is too long at an instant, or sooner."""
        place = self._place.get(device)
        rows = self.rows(np.array([] if place is None else [place], np.intp))
        rows = rows[self.silences.used[rows] & ~self.silences.silent[rows]]
        self.silences.heard[rows] = np.minimum(self.silences.heard[rows], by - self.silences.allowance[rows])

    def last(self) -> Ms | None:
        """When any device was heard last."""
        heard = self.devices.heard[: self.devices.size]
        return instant(int(heard.max())) if len(heard) else None

    def again(self, until: Ms, waiting: Iterable[Batch], pause: Ms) -> Ms:
        """See `Engine.again`. What is delivered once more has the time at which it came first."""
        last = self.last()
        if last is None:
            return until
        came = np.concatenate([np.array([until]), *(b.times() for b in waiting if not b.again)])
        came = np.unique(came[(came > last) & (came <= until)])
        after = came[np.diff(came, prepend=last) > pause]
        return int(after[0]) if len(after) else last

    def when(self, device: str) -> Ms | None:
        place = self._place.get(device)
        return None if place is None else instant(self.devices.heard.item(place))

    def gap(self, device: str) -> Absence | None:
        """None = it has had none."""
        place, devices = self._place.get(device), self.devices
        if place is None or devices.back[place] == NEVER:
            return None
        return Absence(devices.fell.item(place), devices.back.item(place), devices.lag.item(place))

    def departed(self, since: Ms) -> dict[str, Ms]:
        """Of which devices a broker has said that they have gone, not before an instant, and when; they have said nothing
        since. A broker that stops says so of all."""
        left = self.devices.left[: self.devices.size]
        places = np.flatnonzero(left >= max(since, self.trusted))
        return {self._names[place]: left.item(place) for place in places.tolist()}

    def dump(self) -> tuple[list[str], bytes, bytes, bytes, bytes]:
        """Who was heard, when (int64), in which lane, and by which line (int16); and of each its absence (int64)."""
        heard = self.devices.heard[: self.devices.size]
        known = np.flatnonzero(heard != NEVER)
        lanes, lines = self.devices.lane[known].tobytes(), self.devices.line[known].tobytes()
        names = [self._names[place] for place in known.tolist()]
        absences = np.stack([column[known] for column in self._absences()]).tobytes()
        return names, heard[known].tobytes(), lanes, lines, absences

    def load(self, names: list[str], heard: bytes, lanes: bytes, lines: bytes, absences: bytes) -> None:
        """What `dump` gave; lanes, lines, absences: b"" where they are not known."""
        places = np.array([self.place(name) for name in names], np.intp)
        self.devices.heard[:], self.devices.lane[:] = NEVER, -1
        self.devices.heard[places] = np.frombuffer(heard, np.int64)
        if lanes:
            self.devices.lane[places] = np.frombuffer(lanes, np.int16)
        self.devices.line[:] = -1
        if lines:
            self.devices.line[places] = np.frombuffer(lines, np.int16)
        known = np.frombuffer(absences, np.int64).reshape(4, -1)
        for column, kept in zip(self._absences(), known, strict=True):
            column[:] = NEVER
            if absences:
                column[places] = kept

    def _absences(self) -> tuple[Longs, ...]:
        return self.devices.fell, self.devices.back, self.devices.lag, self.devices.said
