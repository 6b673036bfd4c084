"""Watch: the journal's batches through the rules into alarms, tickets and messages.

Everything that a stretch of the journal changes is committed with the cursor in one transaction of
the records. The rules' state is stored now and then; after a crash it is restored and what followed
is judged again with its outcome discarded, because it is in the records already.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial

import orjson

from dutyroom.alarms import spans_of
from dutyroom.flows.codes import Codes
from dutyroom.flows.conditions import OWN
from dutyroom.flows.decide import decide
from dutyroom.flows.episodes import Context, Decision, Key, Standing, interval_in
from dutyroom.flows.exchanged import Explained, accept, explained_by, left, without
from dutyroom.flows.idle_rules import IdleRules
from dutyroom.flows.inferred import Told, cut_of
from dutyroom.flows.late import Late, Past
from dutyroom.flows.learning import Learning
from dutyroom.flows.mentions import Kept, Said, with_mentions
from dutyroom.flows.outage import RULE as OUTAGE
from dutyroom.flows.outage import Outage
from dutyroom.flows.places import Places
from dutyroom.flows.recording import write
from dutyroom.flows.returns import awaited
from dutyroom.flows.wills import departed
from dutyroom.interfaces import Journal, Records, Tx
from dutyroom.model.duty import Condition, Device, DeviceStatus, TicketKind
from dutyroom.model.telemetry import Lane, PointTable
from dutyroom.rules.engine import Engine
from dutyroom.rules.spec import Rule
from dutyroom.site import Site
from dutyroom.timebase import DAY, HOUR, MINUTE, SECOND, Clock, Ms

READER = "watch"
_BLOB = "watch.engine"
_TOLD = "watch.told"
_CHUNK = 16  # batches read, and committed, at once
_SNAPSHOT_EVERY = 500  # batches
_SNAPSHOT_AGE = MINUTE
_CROWDED_AGE = SECOND  # while the journal wants the room of what only the last snapshot is behind of
_RECENT = HOUR  # ended alarms that may still explain a consequence
_ENDED = 1_000  # alarms that may have ended since the last snapshot
_LINES = 500  # of the change log, looked at in one go


class Watch:
    """One per site; not thread-safe. Raises Unavailable when the journal or the records are away:
    nothing is lost, call again."""

    def __init__(
        self,
        site: Site,
        table: PointTable,
        records: Records,
        journal: Journal,
        engine: Engine,
        clock: Clock,
        broker_ok: Callable[[], bool] = lambda: True,
        lag: Ms = 0,
        outage: Outage | None = None,
        past: Past | None = None,
        crowded: Callable[[], bool] = lambda: False,
        away: Callable[[], Collection[str] | None] | None = None,
    ) -> None:
        """away: of several lines the names of those that are, None = all or not known; not given: there is one only. crowded:
        whether the journal fills up with what only we have not passed.
        past: the stored readings; without them late ones change no alarm. lag: how long a message may be on its way by this clock. Time alone decides nothing about
        what is younger: on a clock that runs fast, a second on the way is minutes. outage: looks at ourselves."""
        self._site, self._table, self._engine = site, table, engine
        self._records, self._journal, self._clock = records, journal, clock
        self._lines_away, engine.lines.wanted = away, away is not None
        engine.lines.every = frozenset(f"{broker.host}:{broker.port}" for broker in site.brokers)
        self._broker_ok, self._lag, self._outage, self._crowded = broker_ok, lag, outage, crowded
        self._late = Late(site.id, engine, table, past) if past is not None else None
        self._position: dict[Lane, int] = {}
        self._pending: list[Condition] = []  # judged, not committed yet
        self._gone: set[Key] = set()  # withdrawn, not committed yet
        self._moved = False  # batches judged whose cursor is not committed yet
        self._since = 0  # batches since the last snapshot
        self._passed: dict[Lane, int] = {}  # by the last snapshot, as far as the journal does not know it
        self._stored_at: Ms = 0
        self._ticked_at: Ms | None = None
        self._usual: Ms = 0  # between two ticks
        self._born = clock.now()  # all that this process hears comes later
        self._away = False
        self._turned = False  # we were away, or are since now: no batch can tell that again
        self._idle = IdleRules()
        self._learning = Learning(site.id)
        self._places, self._codes, self._mentioned = Places(table), Codes(table), Kept(table)
        self._told = Told()
        self._out: frozenset[str] = frozenset()  # devices out of service
        self._change = -1  # last line of the change log that was looked at
        self._seen: tuple[int, Standing, list[Condition]] | None = None  # what stood at that line

    # ------------------------------------------------------------ start

    def start(self) -> None:
        """Restores the rules' state and judges again what followed the snapshot; called by the
        first `drain` or `tick` when nobody else did."""
        with self._records.read() as tx:
            cursors = {lane: tx.cursor(self._site.id, READER, lane) for lane in Lane}
            blob = tx.blob(self._site.id, _BLOB)
            opened = tx.alarms.open_ones(self._site.id)
            ended = tx.alarms.search(self._site.id, ended=True, limit=_ENDED)
            if (told := tx.blob(self._site.id, _TOLD)) is not None:
                self._told = Told.load(told)
            if self._late is not None:
                self._late.start(tx, self._clock.now(), blob is not None)
            exchanges = tx.metering.exchanges(self._site.id)
        position = dict(cursors)
        if blob is not None:
            head, _, state = blob.partition(b"\n")
            position = {Lane(int(lane)): int(seq) for lane, seq in orjson.loads(head).items()}
            self._gone |= self._engine.restore(state)
        rules = self._context().rules
        # The state knows of rules that went, but it may be lost.
        self._gone |= {(a.rule, a.object) for a in opened if a.rule not in rules}
        is_exchange = explained_by(lambda: self._engine.rules, lambda: exchanges)
        for lane in Lane:
            self._again(lane, position.get(lane, 0), cursors[lane], is_exchange)
        now = self._clock.now()
        # An inferred alarm is the work of the topology: the rule on that device knows nothing of it, or said it as well.
        standing = [
            a
            for a in opened
            if a.cleared_at is None and ("inferred" not in a.arguments or OWN in a.arguments)
        ]
        over = [Condition(a.rule, a.object, False, a.cleared_at) for a in (*opened, *ended) if a.cleared_at]
        known = self._engine.rules, self._engine.devices
        news = self._told.missing([a for a in (*ended, *opened) if cut_of(a)], *known, now)
        self._engine.adopt(
            [Condition(a.rule, a.object, True, spans_of(a)[-1][0]) for a in standing],
            now,
            over,
            [c for c in self._told.standing(*known) if c not in news],
        )
        if self._outage is not None:
            self._outage.adopt(any(a.rule == OUTAGE.id for a in standing))
        self._infer(news, now)
        self._engine.started(now, self._born)
        self._away = not self._engine.hears_all  # a line was away when the state was stored
        self._position = cursors
        self._commit(now, snapshot=True)

    def _again(self, lane: Lane, after: int, until: int, is_exchange: Explained) -> None:
        """Judges what the records know already, for the state alone."""
        while after < until:
            rows = self._journal.read(lane, after, _CHUNK)
            for seq, batch in rows:
                if seq > until:
                    return
                accept(self._engine, self._engine.feed(batch), is_exchange, batch.received_at)
                after = seq
            if not rows:
                return

    def _listening(self, now: Ms) -> Ms:
        """Since when we do again: what has come before anybody looked waits in the journal."""
        first = [self._journal.read(lane, seq, _CHUNK) for lane, seq in self._position.items()]
        until = min((rows[-1][1].received_at for rows in first if len(rows) == _CHUNK), default=now)
        return self._engine.again(until, [batch for rows in first for _, batch in rows])

    # ------------------------------------------------------------ batches

    def drain(self) -> int:
        """Judges and commits all that the journal holds, priority lane first; returns how many
        batches."""
        self._begin()
        count = 0
        while taken := self._take(Lane.PRIORITY) or self._take(Lane.NORMAL):
            count += taken
        return count

    def _begin(self) -> None:
        if not self._position:
            self.start()
        if self._pending or self._gone:
            self._commit(self._clock.now())

    def _take(self, lane: Lane) -> int:
        rows = self._journal.read(lane, self._position[lane], _CHUNK)
        if not rows:
            return 0
        if self._away or self._slept(self._clock.now()):
            # What waits may have ended in what a broker kept for us: its first message must not ring it.
            self._turned |= self._engine.resumed(self._listening(self._clock.now()))
        count = 0
        for seq, batch in rows:
            found = self._engine.feed(batch)
            rules, running = self._engine.rules, self._engine.running
            others = self._codes.look(batch, rules, running, found)
            self._mentioned.take(batch, rules)
            if found or others:
                said = Said(batch)
                self._pending += [self._mentioning(c, said) for c in (*found, *others)]
            self._pending += self._places.look(batch, rules, running, found)
            self._position[lane] = seq
            count += 1
            if lane is not Lane.PRIORITY and self._behind(Lane.PRIORITY):
                break  # a batch of many meters takes a while: what is urgent waits for one of them, not for all
        self._since += count
        self._moved = True
        # Where nothing has changed the cursor may lag until the next tick: judging the same
        # batches again after a crash gives the same.
        full = self._turned or self._since >= _SNAPSHOT_EVERY
        if self._pending:
            self._commit(self._clock.now(), snapshot=full)
        elif full:
            self._advance(self._clock.now(), snapshot=True)
        return count

    def _mentioning(self, condition: Condition, said: Said | None = None) -> Condition:
        return with_mentions(condition, self._engine.rules, self._table, said, self._mentioned)

    # ------------------------------------------------------------ time

    def tick(self, now: Ms) -> None:
        """What time alone changes. Timers of silence stand still while we ourselves are away:
        the broker is not there, the journal lags, or the machine slept. While one of several lines is away, those of the
        devices that are heard by another one go on."""
        self._begin()
        if self._blind(now):
            self._turned |= self._engine.hears_all
            self._engine.deaf(now, self._lines_away() if self._lines_away is not None else None)
            self._away = True
            if not self._lagging():
                self._pending += map(self._mentioning, self._engine.partly(now - self._lag))
        elif not self._lagging():
            if self._away:
                self._engine.hears(now)
                self._away, self._turned = False, True
            self._pending += map(self._mentioning, self._engine.tick(now - self._lag))
        if self._outage is not None and (change := self._outage.look(now)) is not None:
            self._pending.append(change)
        due = self._turned or (self._since > 0 and self._snapshot_due(now))
        if self._pending or self._anything_due(now):
            self._commit(now, snapshot=due)
        elif self._moved or due:
            self._advance(now, snapshot=due)
        if self._late is not None and not self._lagging() and self._late.due(now, self._position):
            self._judge_again(self._late, now)
        if findings := self._idle.look(self._engine, now):
            self._journal.note(findings, {})
        self._pass()

    def _snapshot_due(self, now: Ms) -> bool:
        age = abs(now - self._stored_at)  # a clock that was set back must not hold the journal's room
        return age >= _SNAPSHOT_AGE or (age >= _CROWDED_AGE and self._crowded())

    def _judge_again(self, late: Late, now: Ms) -> None:
        """Puts readings that came late in their place, and the alarms to what they say then."""
        with self._records.read() as tx:
            found = late.look(tx, now, self._exchanges(tx))
        with self._records.write() as tx:
            is_exchange = self._exchanges(tx)
            for again in found:  # what has been put on record since
                again.instance.accept(partial(is_exchange, *again.key))
            standing = self._standing(tx, now)
            if ended := self._exchanged(standing, is_exchange):
                # First: of what began before all that was judged again nothing is found any more.
                ended += accept(self._engine, ended, is_exchange, now)
                write(tx, self._site.id, decide(ended, standing, self._context(), now), now)
                standing = self._standing(tx, now)
            judged = late.recorded(tx, [without(again.judged, is_exchange) for again in found])
            decision = decide((), standing, self._context(), now, judged=judged)
            changed = {e.key for e in decision.episodes}
            if decision:
                write(tx, self._site.id, decision, now)
                late.note(tx, found, changed)
        for again in found:
            self._engine.take_over(again.instance, now, self._pending)
        late.done(found, changed)
        self._tell(decision, now)

    def _blind(self, now: Ms) -> bool:
        """Whether devices may have spoken without our hearing it since the last tick."""
        before, self._ticked_at = self._ticked_at, now
        if before is not None:
            if not self._too_long(step := now - before):
                self._usual = step if self._usual == 0 else (7 * self._usual + step) // 8
            else:
                self._engine.started(now, self._listening(now))
                self._turned = True
        return not self._broker_ok()

    def _slept(self, now: Ms) -> bool:
        """Whether the machine did, or its clock leapt, since the last tick."""
        return self._ticked_at is not None and self._too_long(now - self._ticked_at)

    def _too_long(self, step: Ms) -> bool:
        """For the time between two ticks of one who was awake."""
        return step > max(MINUTE, 20 * self._usual) and self._usual > 0

    def _lagging(self) -> bool:
        return any(map(self._behind, Lane))

    def _behind(self, lane: Lane) -> bool:
        return self._journal.last(lane) > self._position[lane]

    def _anything_due(self, now: Ms) -> bool:
        """Whether what stands wants something at `now`. What stands is read again only when the
        change log has moved; where nothing is open, and no device's broker has just said that it has gone, nothing can be due."""
        with self._records.read() as tx:
            self._see_devices(tx)
            if self._seen is None or self._seen[0] != self._change:
                standing = self._standing(tx, now)
                self._seen = (self._change, standing, self._exchanged(standing, self._exchanges(tx)))
        _, standing, exchanged = self._seen
        context = self._context()
        return bool(standing.open or departed(context, now)) and bool(
            decide(exchanged, standing, context, now)
        )

    # ------------------------------------------------------------ configuration

    def reload(
        self, rules: Iterable[Rule], devices: Mapping[str, Device], changed: Collection[str] = ()
    ) -> None:
        """Takes another version of the rules or the registry; alarms of what is gone are withdrawn.

        changed: devices whose row is another one now.
        """
        self._begin()
        self._gone |= self._engine.reload(rules, devices, changed)
        self._idle.changed(self._clock.now())
        self._learning.changed()
        self._commit(self._clock.now(), snapshot=True)

    def stop(self) -> None:
        """Stores the rules' state, so that the next start has nothing to judge again."""
        if self._position:
            self._commit(self._clock.now(), snapshot=True)

    # ------------------------------------------------------------ the transaction

    def _commit(self, now: Ms, snapshot: bool = False) -> None:
        """One transaction; what is pending is forgotten only after it."""
        with self._records.write() as tx:
            self._see_devices(tx)
            standing = self._standing(tx, now)
            is_exchange = self._exchanges(tx)
            ended = self._exchanged(standing, is_exchange)
            self._pending += accept(self._engine, [*ended, *self._pending], is_exchange, now)
            conditions = [*ended, *left(self._pending, is_exchange)]
            decision = decide(conditions, standing, self._context(), now, self._gone)
            if decision:
                write(tx, self._site.id, decision, now)
            self._keep(tx, snapshot)
        self._pending, self._gone = [], set()
        self._kept(now, snapshot)
        self._tell(decision, now)

    def _tell(self, decision: Decision, now: Ms) -> None:
        """Those who follow a rule of what topology has inferred in its words. What they say of it is recorded next."""
        self._engine.expect(awaited(decision.episodes, self._context(), now))
        alarms = [episode.alarm for episode in decision.episodes]
        self._infer(self._told.look(alarms, self._engine.rules, self._engine.devices, now), now)

    def _infer(self, conditions: Sequence[Condition], now: Ms) -> None:
        if conditions:
            self._pending += self._engine.learn_of(conditions, now)
            self._turned = True

    def _advance(self, now: Ms, snapshot: bool) -> None:
        """The cursors alone, where nothing is pending and nothing due: what stands is not read for it."""
        with self._records.write() as tx:
            self._keep(tx, snapshot)
        self._kept(now, snapshot)

    def _keep(self, tx: Tx, snapshot: bool) -> None:
        for lane, seq in self._position.items():
            tx.advance(self._site.id, READER, lane, seq)
        if snapshot:
            head = orjson.dumps({str(int(lane)): seq for lane, seq in self._position.items()})
            state = self._engine.snapshot()
            tx.put_blob(self._site.id, _BLOB, head + b"\n" + state)
            tx.put_blob(self._site.id, _TOLD, self._told.dump())
            self._learning.keep(tx, self._engine, self._clock.now())
            if self._late is not None:
                self._late.keep(tx, self._clock.now(), state)

    def _kept(self, now: Ms, snapshot: bool) -> None:
        """After the transaction: the journal may forget what the snapshot knows."""
        self._moved = False
        if snapshot:
            self._since, self._stored_at, self._turned = 0, now, False
            if self._late is not None:
                self._late.kept(now)
            self._passed = dict(self._position)
            self._pass()

    def _pass(self) -> None:
        """Tells the journal; where it cannot be written now, after the next tick: where it is full, nothing comes that
        would ask for another snapshot."""
        for lane, seq in list(self._passed.items()):
            self._journal.advance(READER, lane, seq)
            del self._passed[lane]

    def _context(self) -> Context:
        engine = self._engine
        rules = engine.rules if self._outage is None else {**engine.rules, OUTAGE.id: OUTAGE}
        every, topology = interval_in(self._table, engine.devices), self._site.topology
        devices, heard, out = engine.devices, engine.heard, self._out
        words = engine.gap, engine.departed, engine.said
        return Context(self._site.id, rules, devices, topology, heard, every, out, *words)

    def _see_devices(self, tx: Tx) -> None:
        """Which devices people have taken out of service; read again when one has changed."""
        last = tx.last_change()
        if last == self._change:
            return
        lines = tx.changes(self._change, _LINES) if self._change >= 0 else ()
        if self._change < 0 or len(lines) == _LINES or any(line.kind == "device" for line in lines):
            found = tx.devices.all(self._site.id)
            self._out = frozenset(d.id for d in found if d.status is DeviceStatus.OUT_OF_SERVICE)
        self._change = last

    def _standing(self, tx: Tx, now: Ms) -> Standing:
        site = self._site.id
        opened = tx.alarms.open_ones(site)
        recent = {a.id: a for a in tx.alarms.search(site, ended=True, limit=50)}
        roots = {a.root for a in opened if a.root}
        for root in roots - {a.id for a in opened} - set(recent):
            if found := tx.alarms.get(site, root):
                recent[root] = found
        kept = [a for a in recent.values() if a.id in roots or now - (a.ended_at or now) < _RECENT]
        jobs = [
            t for t in tx.tickets.search(site, open_only=True, limit=10_000) if t.kind is TicketKind.ALARM
        ]
        return Standing(opened, kept, jobs, tx.announcements.current(site, now - DAY))

    def _exchanged(self, standing: Standing, is_exchange: Explained) -> list[Condition]:
        """Decreases that an exchange, put on record meanwhile, has explained."""
        return [
            Condition(a.rule, a.object, False, spans_of(a)[-1][0])
            for a in standing.open
            if a.cleared_at is None and is_exchange(a.rule, a.object, spans_of(a)[-1][0])
        ]

    def _exchanges(self, tx: Tx) -> Explained:
        return explained_by(lambda: self._engine.rules, lambda: tx.metering.exchanges(self._site.id))
