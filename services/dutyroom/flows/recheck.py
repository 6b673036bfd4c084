"""After a store's server began anew: looks for what it may have lost, and writes again what is not there.

In pieces between the batches that come, which go first. Nothing is counted again: the ledger knows these
readings as stored, and then they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import msgspec
import numpy as np
import structlog

from dutyroom.errors import Rejected, Unavailable
from dutyroom.flows.keep import READER, sort_out
from dutyroom.flows.said import Said, join, rows_of, said_at, usual, with_receipts
from dutyroom.flows.unsettled import Stretch, Unsettled, by_shard, shards_of
from dutyroom.interfaces import Journal, ReadingStore, Records, Restarts, Run
from dutyroom.model.telemetry import Batch, Finding, Lane, Longs, PointTable, Readings
from dutyroom.timebase import DAY, SECOND, Clock, Ms

log = structlog.get_logger(__name__)

KIND = "store_lost"  # kind of finding: the store had lost what it had taken; it has it again
_BLOB = "unsettled"
_LOOK: Ms = 15 * SECOND  # between two looks at the server's life
_ROWS = 50_000  # readings of a piece, about: a second
_EVER = 2**62
_LIVES = 20  # of the server, that are remembered
_TOLD_NOT = "it does not say when it began"
_SEVERAL = "several servers answer at its address"


class _Kept(msgspec.Struct):
    """In the records. upto: by lane, up to where it is known what is in doubt."""

    upto: dict[int, int]
    stretches: list[Stretch] = []


_WRITE, _READ = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(_Kept)


class Recheck:
    """Of one site. `wrote` and `step` in the thread that keeps. rises: ms of a clock that only rises."""

    def __init__(
        self,
        site: str,
        table: PointTable,
        journal: Journal,
        store: ReadingStore,
        records: Records,
        clock: Clock,
        rises: Callable[[], Ms],
    ) -> None:
        self._site, self._table, self._clock, self._rises = site, table, clock, rises
        self._journal, self._store, self._records = journal, store, records
        self._unsettled = Unsettled()
        self._loaded = self._dirty = False  # dirty: what is in doubt has changed since it was written down
        self._run: Run | None = None
        self._width: Ms = 7 * DAY  # of a shard, as last known
        self._lives: list[str] = []  # of the server, the present one last
        self._blind = ""  # why its starts cannot be seen
        self._next_look: Ms | None = None
        self._stretch: Stretch | None = None  # looked for at present
        self._position = 0  # up to where
        self._again: Counter[int] = Counter()  # of one that is mixed, values written again by shard
        self._lost = 0  # readings, since the server began
        self._trouble = ""

    def wrote(self, lane: Lane, after: int, upto: int, passed: Longs, written: Longs) -> None:
        """See `keep.Wrote`. What was there already is in doubt, too: it may have been written just before, by a
        pass that did not come to its end."""
        shards = dict.fromkeys(by_shard(passed, self._width), 0) | by_shard(written, self._width)
        if shards:
            self._unsettled.wrote(lane, after, upto, shards, self._rises())
            self._dirty = True
        self.look()

    def look(self) -> None:
        """Whether the server began anew, four times a minute; before anything is written, and while it is."""
        if self._next_look is None or self._rises() >= self._next_look:
            self._while_there(self._look)

    def step(self) -> bool:
        """One piece; whether there is more to do now. Where something is away, later."""
        return self._while_there(self._step)

    def _while_there(self, work: Callable[[], bool]) -> bool:
        try:
            more = work()
        except Unavailable as err:
            if str(err) != self._trouble:
                log.info("recheck.waiting", site=self._site, reason=str(err))
            self._trouble = str(err)
            return False
        self._trouble = ""
        return more

    def _step(self) -> bool:
        if self._run is None:
            return False
        if self._stretch is None:
            self._begin()
        if self._stretch is not None:
            self._piece(self._stretch)
        self._tell()
        return self._stretch is not None or self._unsettled.doubtful() is not None

    # ------------------------------------------------------------ the server's life

    def _look(self) -> bool:
        """Whether it is another life than before."""
        now = self._rises()
        self._next_look = now + _LOOK  # also where it does not answer, which may take its time
        self._load()
        assert isinstance(self._store, Restarts)
        self._run = run = self._seen(self._store.run())
        if run is None:
            return False
        self._width = run.shard
        anew = self._unsettled.seen(f"{run.life}/{run.shard}", now)  # of other shards nothing is known
        if anew:
            self._stretch = None  # what was found of it may be gone again
            if self._unsettled.doubtful() is not None:
                log.info("recheck.began_anew", site=self._site, stretches=len(self._unsettled.stretches))
        self._save()
        return anew

    def _seen(self, run: Run | None) -> Run | None:
        """None where its starts cannot be seen, which is said once."""
        blind = _SEVERAL if self._blind == _SEVERAL else ""
        if run is None:
            blind = blind or _TOLD_NOT
        elif run.life in self._lives[:-1]:
            blind = (
                _SEVERAL  # an earlier life comes again: with each look everything would be in doubt, for ever
            )
        elif run.life not in self._lives:
            self._lives = [*self._lives[1 - _LIVES :], run.life]
        if blind and blind != self._blind:
            log.warning("recheck.blind", site=self._site, reason=blind)
        self._blind = blind
        return None if blind else run

    # ------------------------------------------------------------ a stretch

    def _begin(self) -> None:
        self._stretch = self._unsettled.doubtful()
        if self._stretch is not None:
            self._position, self._again = self._stretch.after, Counter()

    def _piece(self, stretch: Stretch) -> None:
        batches = self._batches(stretch)
        if batches:
            if not self._compare(stretch, [batch for _, batch in batches]):
                return
            self._position = batches[-1][0]
        if (not batches or self._position >= stretch.upto) and not self._look() and self._run is not None:
            self._unsettled.found(stretch, self._again, self._rises())
            self._stretch, self._dirty = None, True
            self._save()

    def _batches(self, stretch: Stretch) -> list[tuple[int, Batch]]:
        """Some of what is left of it: the journal may have it no longer."""
        found: list[tuple[int, Batch]] = []
        rows, position = 0, self._position
        while rows < _ROWS and position < stretch.upto:
            some = self._journal.read(Lane(stretch.lane), position, 4)
            some = [(seq, batch) for seq, batch in some if seq <= stretch.upto]
            if not some:
                break
            found += some
            position = some[-1][0]
            rows += sum(len(batch.readings) for _, batch in some)
        return found

    def _compare(self, stretch: Stretch, batches: Sequence[Batch]) -> bool:
        """Writes what is missing. False = something is, of a stretch that nothing was missing of so far: from its start
        on once more, now that it is written down that in the life at hand something of it was written."""
        chosen = [self._rows(stretch, batch.readings) for batch in batches]
        points = [batch.readings.point[rows] for batch, rows in zip(batches, chosen, strict=True)]
        at = [batch.readings.at[rows] for batch, rows in zip(batches, chosen, strict=True)]
        stored = said_at(self._store, self._table, np.concatenate(points), np.concatenate(at))
        missing: list[Readings] = []
        lost = 0
        for batch, rows in zip(batches, chosen, strict=True):
            readings, many = self._missing(batch, rows, stored)
            missing.append(readings)
            lost += many
        if any(map(len, missing)):
            if not stretch.mixed:
                self._unsettled.mix(stretch)
                self._stretch, self._dirty = None, True
                self._save()
                return False
            lost = max(0, lost - self._write(join(missing)))
        self._lost += lost
        if stretch.mixed:
            self._again.update(dict.fromkeys(by_shard(np.concatenate(at), self._width), 0))
            self._again.update(by_shard(np.concatenate([readings.at for readings in missing]), self._width))
        return True

    def _rows(self, stretch: Stretch, readings: Readings) -> Longs:
        """Those that are in doubt."""
        if not stretch.shards or stretch.mixed:
            return np.arange(len(readings))
        return np.flatnonzero(np.isin(shards_of(readings.at, self._width), list(stretch.shards)))

    def _missing(self, batch: Batch, rows: Longs, stored: dict[tuple[int, Ms], Said]) -> tuple[Readings, int]:
        """Readings that the store has not, or a worse one in their place; how many it has not. `stored` is moved on."""
        r = batch.readings
        newest: Longs = np.full(int(r.point.max(initial=0)) + 1, _EVER, np.int64)
        sorted_out = sort_out(batch, rows.tolist(), newest, stored, self._table)
        lost = sum(many for (*_, what), many in sorted_out.outcomes.items() if what == "stored")
        readings = rows_of(r, np.array(sorted_out.store, np.int64))
        return with_receipts(readings, batch.times(), self._usual(readings)), lost

    def _usual(self, readings: Readings) -> Longs:
        points, place = np.unique(readings.point, return_inverse=True)
        known = [self._table.get(point) for point in points.tolist()]
        of = np.array([usual(point) if point is not None else 0 for point in known], np.int64)
        return of[place] if len(of) else np.zeros(0, np.int64)

    def _write(self, readings: Readings) -> int:
        """Returns how many it refuses for good: those it refused before, too."""
        try:
            self._store.write(readings, self._table)
        except Rejected as err:
            return len(err.items)
        return 0

    def _tell(self) -> None:
        """Once all was looked for."""
        if self._lost and self._unsettled.doubtful() is None:
            log.warning("recheck.lost", site=self._site, readings=self._lost)
            self._journal.note([Finding(KIND, "", self._clock.now(), str(self._lost))], {})
            self._lost = 0

    # ------------------------------------------------------------ across our own starts

    def _load(self) -> None:
        if self._loaded:
            return
        with self._records.read() as tx:
            packed = tx.blob(self._site, _BLOB)
        cursors: dict[int, int] = {lane: self._journal.cursor(READER, lane) for lane in Lane}
        kept = _Kept(dict(cursors)) if packed is None else _READ.decode(packed)  # None: an earlier version's
        self._unsettled.stretches = _after_a_start(kept, cursors, self._rises())
        self._unsettled.upto = dict(cursors)
        self._loaded = self._dirty = True

    def _save(self) -> None:
        if not self._dirty:
            return
        with self._records.write() as tx:
            tx.put_blob(
                self._site, _BLOB, _WRITE.encode(_Kept(self._unsettled.upto, self._unsettled.stretches))
            )
        self._dirty = False


def _after_a_start(kept: _Kept, cursors: Mapping[int, int], now: Ms) -> list[Stretch]:
    """What was in doubt, and what was passed since that was written down: nobody knows in which life. Nothing of another
    journal, where the sequences are others."""
    lost = {lane for lane, upto in kept.upto.items() if upto > cursors[lane]}
    found = [replace(s, began=now, ended=now) for s in kept.stretches if s.lane not in lost]
    for lane, upto in kept.upto.items():
        if upto < cursors[lane]:
            found.append(Stretch(lane, upto, cursors[lane], "", mixed=True))
    return found
