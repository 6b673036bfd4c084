"""Figures of the service itself beside the readings, for dashboards that ask the readings' store.

One loop a site, in the process that owns it. Alarms follow the change log with a cursor in the records, so that no
transition is left out and none counts twice; what describes a minute waits in memory while the store is away.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from dutyroom.flows import alarm_figures, data_figures, meter_levels
from dutyroom.flows.keep import READER as KEEP
from dutyroom.flows.watch import READER as WATCH
from dutyroom.interfaces import Journal, Records, Tx
from dutyroom.model.figures import Figure
from dutyroom.model.telemetry import Lane
from dutyroom.timebase import DAY, HOUR, MINUTE, Clock, Ms
from dutyroom.topology import Topology

READER = "figures"
LOOK_S = 5.0
_LINES = 500  # of the change log in one go
_WAITING = 50_000  # figures that are kept while the store is away: some days of a site
_SOME = 2_000  # of these in one go
_AGO = 2 * HOUR  # hours of the ledger that may still change
_FINDINGS = 10_000


class FigureStore(Protocol):
    """Takes figures; what it can never take it leaves out and says so in the log. Raises Unavailable."""

    def write(self, figures: Sequence[Figure]) -> None: ...


class Figures:
    """One site; not thread-safe. Raises Unavailable: call again, no transition is left out.

    topology: as it is now, with what the registry says. health: what else belongs to a minute of `dutyroom_data`.
    """

    def __init__(
        self,
        site: str,
        records: Records,
        journal: Journal,
        store: FigureStore,
        clock: Clock,
        topology: Callable[[], Topology],
        health: Callable[[], Mapping[str, int | float]] = dict,
    ) -> None:
        self._site, self._records, self._journal = site, records, journal
        self._store, self._clock, self._topology, self._health = store, clock, topology, health
        self._after: int | None = None  # last line of the change log that was exported
        self._minute = self._hour = -1  # that were described
        self._counted: tuple[Ms, data_figures.Totals] | None = None
        self._waiting: deque[Figure] = deque(maxlen=_WAITING)

    def step(self) -> float:
        """Writes what is new; returns the seconds until the next look."""
        self._describe(self._clock.now())
        while self._waiting:
            some = [self._waiting[n] for n in range(min(_SOME, len(self._waiting)))]
            self._store.write(some)
            for _ in some:
                self._waiting.popleft()
        return 0.0 if self._alarms() else LOOK_S

    # ------------------------------------------------------------ alarms

    def _alarms(self) -> bool:
        """Writes what changed since the cursor, then moves it; whether there is more."""
        with self._records.read() as tx:
            if self._after is None:
                self._after = tx.cursor(self._site, READER, Lane.NORMAL)
            lines = tx.changes(self._after, _LINES, kind="alarm")
            named = {int(line.key): None for line in lines if line.site == self._site and line.key.isdigit()}
            found = [figure for alarm in named for figure in self._transitions(tx, alarm)]
        if not lines:
            return False
        for start in range(0, len(found), _SOME):
            self._store.write(found[start : start + _SOME])
        with self._records.write() as tx:
            tx.advance(self._site, READER, Lane.NORMAL, lines[-1].seq)
        self._after = lines[-1].seq
        return len(lines) == _LINES

    def _transitions(self, tx: Tx, number: int) -> Sequence[Figure]:
        alarm = tx.alarms.get(self._site, number)
        return [] if alarm is None else list(alarm_figures.transitions(alarm, tx.alarms.history(number)))

    # ------------------------------------------------------------ minutes and hours

    def _describe(self, now: Ms) -> None:
        """What describes this minute, once; and the meters of this hour."""
        if now // MINUTE == self._minute:
            return
        with self._records.read() as tx:
            opened = tx.alarms.open_ones(self._site)
            judged = {lane: tx.cursor(self._site, WATCH, lane) for lane in Lane}
            devices = tx.devices.all(self._site) if now // HOUR != self._hour else None
        found = [
            *alarm_figures.standing(self._site, opened, now // MINUTE * MINUTE),
            *self._data(now, judged),
            *data_figures.findings(self._site, self._journal.findings(now - DAY, _FINDINGS), now),
        ]
        if devices is not None:
            hour = now // HOUR * HOUR
            found += meter_levels.levels(self._site, devices, self._topology(), hour)
        self._waiting.extend(found)
        self._minute, self._hour = now // MINUTE, now // HOUR

    def _data(self, now: Ms, judged: dict[Lane, int]) -> Sequence[Figure]:
        counted = data_figures.totals(self._journal.ledger((now - _AGO) // HOUR * HOUR))
        rise: dict[str, int] = {}
        if self._counted is not None and now - self._counted[0] < 2 * MINUTE:
            rise = data_figures.since(self._counted[1], counted)
        self._counted = now, counted
        kept = {lane: self._journal.cursor(KEEP, lane) for lane in Lane}
        waiting = tuple(sum(self._journal.last(n) - at[n] for n in Lane) for at in (kept, judged))
        lag = max(self._lag(lane, min(kept[lane], judged[lane]), now) for lane in Lane)
        size = self._journal.quarantine_size()
        counts = {**self._health(), **rise}
        line = data_figures.minute(self._site, now, counts, (waiting[0], waiting[1]), lag, size)
        return [line, *data_figures.hours(self._site, counted)]

    def _lag(self, lane: Lane, after: int, now: Ms) -> Ms:
        """How long the oldest batch has waited that one of the readers has not passed."""
        rows = self._journal.read(lane, after, 1)
        if not rows or rows[0][1].again:  # one that is read again came long ago
            return 0
        return max(0, now - rows[0][1].received_at)
