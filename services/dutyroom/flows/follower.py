"""The newest values for a process that does not ingest: from the journal that another one writes.

On a machine that does not see the journal's disk they come from the readings store, every few seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from dutyroom.flows.keep import READER as KEEP
from dutyroom.flows.live import Live
from dutyroom.flows.verdicts import sign_of_life
from dutyroom.interfaces import Journal, ReadingStore
from dutyroom.model.telemetry import Batch, Lane, Point, PointTable, Reading, Readings

LOOK_S = 0.25
STORE_S = 10.0
_THERE_S = 1.0  # between two looks whether the journal has come
_CHUNK = 64


class Follower:
    """Feeds `live`. One per site; not thread-safe. Raises Unavailable: call again.

    there: whether the journal can be seen from here. learn: brings points into the table that another
    process made.
    """

    def __init__(
        self,
        journal: Journal,
        there: Callable[[], bool],
        store: ReadingStore,
        table: PointTable,
        live: Live,
        learn: Callable[[], None],
    ) -> None:
        self._journal, self._there, self._store = journal, there, store
        self._table, self._live, self._learn = table, live, learn
        self._position: dict[Lane, int] | None = None
        self._rest_s = 0.0  # until the store is asked again
        self.from_store = False

    def step(self) -> float:
        """Takes what is new; returns the seconds until the next look."""
        if self._position is None and not self._there():
            self.from_store = True
            if self._rest_s <= 0:
                self._learn()
                self._refresh()
                self._rest_s = STORE_S
            self._rest_s -= _THERE_S
            return _THERE_S
        if self._position is None:
            self._begin()
        self.from_store = False
        more = [self._lane(lane) for lane in Lane]
        return 0.0 if any(more) else LOOK_S

    def _begin(self) -> None:
        """What the store does not have yet stands in the journal behind its cursor."""
        position = {lane: self._journal.cursor(KEEP, lane) for lane in Lane}
        self._refresh()
        self._position = position

    def _lane(self, lane: Lane) -> bool:
        assert self._position is not None
        rows = self._journal.read(lane, self._position[lane], _CHUNK)
        for seq, batch in rows:
            self._take(batch)
            self._position[lane] = seq
        return len(rows) == _CHUNK

    def _take(self, batch: Batch) -> None:
        points = set(batch.readings.point.tolist())
        if any(self._table.get(p) is None for p in points):
            self._learn()
        heard = {r.device for r in batch.messages if r.device and not r.message.retained and sign_of_life(r)}
        received = [m.message.received_at for m in batch.messages] if batch.again else None
        count = 0 if batch.again else len(batch.messages)
        self._live.update(batch.readings, batch.received_at, count, () if batch.again else heard, received)

    # ------------------------------------------------------------ without the journal

    def _refresh(self) -> None:
        """The store's newest readings, as far as they are newer than what is known."""
        points: Sequence[Point] = list(self._table)
        fresh = [r for r in self._store.latest(points).values() if self._newer(r)]
        if not fresh:
            return
        rows = [(r.point, r.at, r.value, r.quality, n) for n, r in enumerate(fresh)]
        received = [r.received_at if r.received_at is not None else r.at for r in fresh]
        devices = {point.device for r in fresh if (point := self._table.get(r.point)) is not None}
        texts = {n: r.text for n, r in enumerate(fresh) if r.text}
        readings = replace(Readings.of(rows), text=texts)
        self._live.update(readings, max(received), 0, devices if self.from_store else (), received)

    def _newer(self, reading: Reading) -> bool:
        known = self._live.get(reading.point)
        return known is None or reading.at > known.at
