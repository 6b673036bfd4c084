"""What the engine knows of each point, by its id, and which readings nothing comes of.

Most readings of a site lie where they always do. For a point all of whose instances are calm it is
known between which bounds a reading changes nothing; where a kind keeps something of every reading,
it keeps it in columns and looks at many at once. Those that learn ask for some of the readings, which
are theirs alone then. Only the rest is judged one by one.
"""

from __future__ import annotations

from math import inf, nan
from typing import ClassVar, TypeAlias, TypeVar, cast

import numpy as np
import numpy.typing as npt

from dutyroom.model.telemetry import Floats, Longs, Quality, Readings
from dutyroom.rules.calm import bounds_of, foreseen
from dutyroom.rules.columns import FOREVER, NEVER, Bools, Columns, Field, Layers, Slots, Stepped
from dutyroom.rules.kind import Instance

Those: TypeAlias = Instance | tuple[Instance, ...]  # most often one: a tuple of it takes 48 bytes more
FEW = 24  # rows: one by one is quicker than arrays


class Points(Columns):
    """A row a point id."""

    FIELDS: ClassVar = {
        "watched": Field(np.bool_, False),
        "newest": Field(np.int64, NEVER),  # instant of the newest reading judged
        "last": Field(np.float64, nan),  # its value, in the point's unit
        "scale": Field(np.float64, 1.0),  # steps in a unit
        "calm": Field(np.bool_, False),  # within `low` and `high` nothing comes of a reading
        "untried": Field(np.bool_, True),  # whether its next reading could be a calm one was not asked yet
        "low": Field(np.float64, -inf),
        "high": Field(np.float64, inf),
        "stepped": Field(np.bool_, False),  # columns of its instances want to look at each reading
        "asks": Field(np.bool_, False),  # some of its instances ask
        "asked": Field(np.int64, FOREVER),  # nobody who asks wants an earlier reading
        "keeps": Field(np.bool_, False),  # its instances want to know the newest, once they wake
        "unseen": Field(np.bool_, False),  # that they have not been told of it yet
        "mark": Field(np.bool_, False),  # for a moment
        "place": Field(np.int32, 0),  # for a moment
    }
    watched: Bools
    newest: Longs
    last: Floats
    scale: Floats
    calm: Bools
    untried: Bools
    low: Floats
    high: Floats
    stepped: Bools
    asks: Bools
    asked: Longs
    keeps: Bools
    unseen: Bools
    mark: Bools
    place: npt.NDArray[np.int32]

    def __init__(self) -> None:
        super().__init__()
        self.layers = Layers()
        self._instances: list[Those] = []  # by point: that look at it, in their order
        self._asking: dict[int, Those] = {}  # by point: those of them that ask, where others do not

    def meet(self, point_id: int, scale: float) -> None:
        """A point that is new, or another one now."""
        self._make_room(point_id + 1)
        self.scale[point_id], self.calm[point_id], self.untried[point_id] = scale, False, True

    def _make_room(self, size: int) -> None:
        if size > self.size:
            self._instances += [()] * (size - self.size)
            self.reach(size)
            self.layers.reach(size)

    def at(self, point: int) -> tuple[Instance, ...]:
        """Who looks at a point."""
        return listed(self._instances[point]) if 0 <= point < self.size else ()

    def join(self, instance: Instance) -> None:
        for point in instance.points:
            mine = (*self.at(point), instance)
            self._instances[point] = _those(tuple(sorted(mine, key=_number)))
            self.watched[point], self.calm[point], self.untried[point] = True, False, True
            self._part(point, instance)
        if isinstance(instance.columns, Stepped):
            self.layers.put(instance.columns, instance.points, instance.slots)
            self.stepped[list(instance.points)] = True

    def leave(self, instance: Instance) -> None:
        """Not asked for readings any more; it knows all that was kept away from it."""
        for point in instance.points:
            self.wake(point)
            mine = tuple(i for i in self.at(point) if i is not instance)
            self._instances[point] = _those(mine)
            self.calm[point], self.untried[point], self.watched[point] = False, True, bool(mine)
            self._part(point, instance)
        if isinstance(instance.columns, Stepped):
            self.layers.take(instance.columns, instance.points, instance.slots)

    # ------------------------------------------------------------ who asks

    def _part(self, point: int, changed: Instance) -> None:
        """Others look at this point than before: those who ask are parted from those who do not, whoever came first."""
        whole = self.at(point)
        mine = tuple(i for i in whole if i.asks)
        self.asks[point] = bool(mine)
        if changed.asks:
            self.asked[point] = NEVER if mine else FOREVER
        self._asking.pop(point, None)
        if mine and len(mine) < len(whole):
            self._asking[point] = _those(mine)

    def asking(self, point: int) -> tuple[Instance, ...]:
        """Who asks, of a point of which somebody does."""
        return listed(self._asking.get(point, self._instances[point]))

    # ------------------------------------------------------------ calm

    def wake(self, point: int) -> None:
        """Tells its instances what was kept away from them."""
        if self.unseen.item(point):
            self.unseen[point] = False
            for instance in self.at(point):
                instance.wake(point, self.newest.item(point), self.last.item(point))

    def wake_all(self) -> None:
        for point in np.flatnonzero(self.unseen[: self.size]).tolist():
            self.wake(point)

    def take_newest(self, points: Slots, newest: Longs) -> None:
        """Of a snapshot: what was judged until then. Nothing is calm before its next reading."""
        self.newest[:], self.calm[:], self.untried[:] = NEVER, False, True
        self.asked[self.asks] = NEVER
        if len(points):
            self._make_room(int(points.max()) + 1)
            self.newest[points] = newest

    def stir(self, instance: Instance) -> None:
        """It may want other readings now than before."""
        for point in instance.points:
            self.calm[point], self.untried[point] = False, True

    def settle(self, point: int, value: float) -> None:
        """After a reading: between which bounds the next ones may lie unseen."""
        mine = self.at(point)
        keeps = any([i.active for i in mine])  # noqa: C419 quicker than a generator
        bounds = bounds_of(mine, point, value)
        self.calm[point], self.untried[point], self.keeps[point] = bounds is not None, False, keeps
        if bounds is not None:
            self.low[point], self.high[point] = bounds

    def _foresee(self, point: Slots, value: Floats) -> None:
        """Points that are not calm may be so before they are read: the first reading of thousands of devices is
        one like any other then."""
        points, first = np.unique(point, return_index=True)
        self.untried[points] = False
        calm, lows, highs = foreseen(self.at, points.tolist(), value[first].tolist())
        self.calm[calm], self.keeps[calm] = True, False
        self.low[calm], self.high[calm] = lows, highs

    # ------------------------------------------------------------ a batch

    def known(self, readings: Readings) -> Bools:
        """Which readings are of points that somebody looks at."""
        if int(readings.point.max()) < self.size:
            return self.watched[readings.point]
        watched = readings.point < self.size
        watched[watched] = self.watched[readings.point[watched]]
        return watched

    def sift(self, readings: Readings, rows: Slots, one_by_one: bool) -> tuple[Slots, Bools, Slots]:
        """Rows of usable readings in. Out those that are to be judged one by one, in time order, of one instant
        in that of their points (as `replay` does); which
        of them are for those only who ask; and those that come too late to be judged in their place:
        older than the newest judged, or of its instant with another value. What need not be judged
        has been taken account of."""
        point, at = _of(readings.point, rows).astype(np.intp), _of(readings.at, rows)
        quality = _of(readings.quality, rows)
        newest = self.newest[point]
        fresh, late = at > newest, rows[:0]
        if not fresh.all():
            other = _of(readings.value, rows) / self.scale[point] != self.last[point]
            late = rows[((at < newest) | ((at == newest) & other)) & (quality != Quality.RETAINED)]
            rows, point, at, quality = rows[fresh], point[fresh], at[fresh], quality[fresh]
        if len(rows) <= FEW or one_by_one:
            return rows[np.lexsort((point, at))], np.zeros(len(rows), bool), late
        value = _of(readings.value, rows) / self.scale[point]
        loud = self._loud(point, at, value, quality)
        left = np.flatnonzero(loud | (at >= self.asked[point]))
        left = left[np.lexsort((point[left], at[left]))]
        return rows[left], ~loud[left], late

    def _loud(self, point: Slots, at: Longs, value: Floats, quality: npt.NDArray[np.uint8]) -> Bools:
        """Which readings must be judged one by one; the others are done."""
        loud = ~self.calm[point]
        if loud.any() and (fresh := loud & self.untried[point]).any():
            self._foresee(point[fresh], value[fresh])
            loud = ~self.calm[point]
        loud |= value < self.low[point]
        loud |= value > self.high[point]
        loud |= quality == Quality.RETAINED
        if loud.any():  # all of a point then, so that they stay in their order
            noisy = point[loud]
            self.mark[noisy] = True
            loud = self.mark[point]
            self.mark[noisy] = False
        stepped = self.stepped[point]
        stepped &= ~loud
        plain = ~(loud | stepped)
        if plain.all():
            self._done(point, at, value)
            return loud
        self._done(point[plain], at[plain], value[plain])
        rows = np.flatnonzero(stepped)
        if len(rows):
            loud[rows[self._step(point[rows], at[rows], value[rows])]] = True
        return loud

    def _done(self, point: Slots, at: Longs, value: Floats) -> None:
        """Nothing comes of these readings but that they are the newest."""
        np.maximum.at(self.newest, point, at)
        newest = np.flatnonzero(at == self.newest[point])[::-1]  # of several at one instant the first counts
        self.last[point[newest]] = value[newest]
        self.unseen[point[self.keeps[point]]] = True

    # ------------------------------------------------------------ kinds that keep something

    def _step(self, point: Slots, at: Longs, value: Floats) -> Slots:
        """Lets columns look at readings of calm points; returns those that are to be judged one by
        one, with all that follow them at their point."""
        turns, rest = self._turns(point, at)
        loud = [rest]
        noisy = point[:0]
        for turn in turns:
            told = self.mark[point[turn]]
            loud.append(turn[told])
            turn = turn[~told] if len(loud[-1]) else turn
            calm = self._look(point[turn], at[turn], value[turn])
            if not calm.all():
                more = turn[~calm]
                loud.append(more)
                noisy = np.concatenate([noisy, point[more]])
                self.mark[noisy] = True
        self.mark[noisy] = False
        return np.concatenate(loud)

    def _turns(self, point: Slots, at: Longs) -> tuple[list[Slots], Slots]:
        """Rows in time order, no point twice in a turn, of one instant of a point only the first; and
        those that come after the last turn which is worth a pass."""
        rows = np.arange(len(point))
        self.place[point] = rows
        if (self.place[point] == rows).all():
            return ([rows], rows[:0]) if len(rows) > FEW else ([], rows)
        order = np.lexsort((at, point))
        same = point[order[1:]] == point[order[:-1]]
        twice = same & (at[order[1:]] == at[order[:-1]])
        order = order[np.concatenate([[True], ~twice])]
        begins = np.concatenate([[True], point[order[1:]] != point[order[:-1]]])
        place = np.arange(len(order))
        turn = place - np.maximum.accumulate(np.where(begins, place, 0))
        by_turn, sizes = order[np.argsort(turn, kind="stable")], np.bincount(turn)
        ends = np.cumsum(sizes)[sizes > FEW]  # no turn has more rows than the one before it
        *turns, rest = np.split(by_turn, ends)
        return turns, rest

    def _look(self, point: Slots, at: Longs, value: Floats) -> Bools:
        """Which of these readings, of a point each, all columns find calm; those have been written."""
        calm = np.ones(len(point), dtype=bool)
        looks = []
        for layer in self.layers.all:
            slots = layer.slots[point].astype(np.intp)
            here = np.flatnonzero(slots >= 0)
            if len(here):
                stepped = cast(Stepped, layer.columns)
                fine, keep = stepped.look(slots[here], at[here], value[here])
                calm[here] &= fine
                looks.append((here, keep))
        for here, keep in looks:
            keep(calm[here])
        self._done(point[calm], at[calm], value[calm])
        return calm


def listed(those: Those) -> tuple[Instance, ...]:
    return those if isinstance(those, tuple) else (those,)


def _those(instances: tuple[Instance, ...]) -> Those:
    return instances[0] if len(instances) == 1 else instances


T = TypeVar("T", bound=np.generic)


def _of(column: npt.NDArray[T], rows: Slots) -> npt.NDArray[T]:
    """The rows of a column; the column itself where they are all of it."""
    return column if len(rows) == len(column) else column[rows]


def _number(instance: Instance) -> int:
    return instance.number
