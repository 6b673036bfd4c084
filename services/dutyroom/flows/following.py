"""What another process changed in the records, taken over into memory: devices, points, marks, profiles.

Pages write into the records and leave a line in the change log; who reads the messages of the site, and
every other process that knows its devices, looks there each second. Nothing is told twice: what is
in memory is compared with what the records say. What only the owner of the journal may do is a line too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from dutyroom.flows.devices import DeviceDesk
from dutyroom.flows.intake import Intake
from dutyroom.interfaces import Records, Tx
from dutyroom.model.duty import Change, Device
from dutyroom.model.telemetry import Lane, Point, PointTable

LOOK_S = 1.0
DISCARD = "quarantine.discard"  # a wish of somebody who may not write the journal: the numbers of rows
REREAD = "quarantine.reread"  # a wish to read the quarantine again, without loss when nobody hears it
DONE = "wishes"  # cursor: the last line of the change log whose wish was fulfilled
_LINES = 500


def last_change(records: Records) -> int:
    """Where to begin: asked before anything is read that lines tell changes of."""
    with records.read() as tx:
        return tx.last_change()


class Following:
    """One site; not thread-safe. Raises Unavailable: call again, nothing is left out.

    since: line of the change log from which on changes are news. reload: reads the profiles again.
    discard: takes rows out of the quarantine; None = that is another process's to do.
    """

    def __init__(
        self,
        site: str,
        records: Records,
        table: PointTable,
        desk: DeviceDesk,
        intake: Intake,
        since: int,
        reload: Callable[[], object] = lambda: None,
        discard: Callable[[Sequence[int]], object] | None = None,
    ) -> None:
        self._site, self._records, self._table = site, records, table
        self._desk, self._intake, self._reload, self._discard = desk, intake, reload, discard
        self._seen, self._caught_up = since, discard is None

    def step(self) -> float:
        """Takes over what is new; returns the seconds until the next look."""
        if not self._caught_up:
            self._catch_up()
        with self._records.read() as tx:
            if tx.last_change() == self._seen:
                return LOOK_S
            lines = tx.changes(self._seen, _LINES)
            mine = [line for line in lines if line.site == self._site]
            kinds = {line.kind for line in mine}
            devices, points = self._news(tx, kinds)
        self._take(devices, points)
        if "device" in kinds and self._intake.not_ours.reread():
            self._intake.rereading.ask("unknown_device")
        if "profile" in kinds:
            self._reload()
        if REREAD in kinds:
            self._intake.rereading.ask()
        self._fulfil(mine)
        self._seen = lines[-1].seq if lines else self._seen
        return LOOK_S if len(lines) < _LINES else 0.0

    def learn(self) -> None:
        """Points that the records have and we do not: another process met them first, without a line."""
        with self._records.read() as tx:
            newest = max((point.id for point in self._table), default=0)
            points = tx.devices.points(self._site, newest)
            owners = {point.device for point in points} - self._intake.registry.by_id.keys()
            devices = [d for d in tx.devices.all(self._site) if d.id in owners] if owners else []
        self._take(devices, points)

    def _news(self, tx: Tx, kinds: Collection[str]) -> tuple[list[Device], list[Point]]:
        known = self._intake.registry.by_id
        devices = [d for d in tx.devices.all(self._site) if known.get(d.id) != d] if "device" in kinds else []
        points = tx.devices.points(self._site) if {"device", "profile"} & set(kinds) else ()
        return devices, [p for p in points if self._table.get(p.id) != p]

    def _take(self, devices: Sequence[Device], points: Sequence[Point]) -> None:
        for point in points:
            self._table.add(point)
        self._desk.follow(devices, points)

    # ------------------------------------------------------------ wishes

    def _catch_up(self) -> None:
        """What was wished while nobody was there to do it."""
        with self._records.read() as tx:
            done, until = tx.cursor(self._site, DONE, Lane.NORMAL), self._seen
            lines = tx.changes(done, _LINES, kind=DISCARD) if done < until else []
        self._fulfil([line for line in lines if line.site == self._site])
        if len(lines) == _LINES:
            self._done(lines[-1].seq)
            return
        self._done(until)
        self._caught_up = True

    def _fulfil(self, lines: Sequence[Change]) -> None:
        wishes = [line for line in lines if line.kind == DISCARD]
        if self._discard is None or not wishes:
            return
        rows = [int(n) for line in wishes for n in line.key.split(",") if n.isdigit()]
        self._discard(rows)
        self._done(wishes[-1].seq)

    def _done(self, line: int) -> None:
        """After the deed: done twice is done once."""
        with self._records.write() as tx:
            if line > tx.cursor(self._site, DONE, Lane.NORMAL):
                tx.advance(self._site, DONE, Lane.NORMAL, line)


class PointsFollowed:
    """A table of points that other processes add to and change. Not thread-safe."""

    def __init__(self, site: str, records: Records, table: PointTable) -> None:
        self._site, self._records, self._table = site, records, table
        self._seen = last_change(records)

    def step(self) -> None:
        """Raises Unavailable: call again."""
        with self._records.read() as tx:
            last = tx.last_change()
            lines = tx.changes(self._seen, _LINES) if last != self._seen else ()
            changed = len(lines) == _LINES or any(
                line.kind in ("device", "profile") and line.site == self._site for line in lines
            )
            after = 0 if changed else max((point.id for point in self._table), default=0)
            points = tx.devices.points(self._site, after)
        for point in points:
            if self._table.get(point.id) != point:
                self._table.add(point)
        self._seen = last
