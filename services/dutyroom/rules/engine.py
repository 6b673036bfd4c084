"""The rules of a site over its readings: batches in, conditions out.

Event time per point: what is not newer than the newest reading already judged is not judged again,
only counted. The engine knows nothing of alarms: it says what holds, and saying it twice is harmless.
Most readings are passed over by arrays (`points`); what is said never depends on that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import numpy as np

from dutyroom.model.duty import Condition, Device, Priority
from dutyroom.model.telemetry import COUNTER_RESET, Batch, Lane, Point, PointTable, Quality
from dutyroom.rules import snapshot
from dutyroom.rules.columns import FOREVER, NEVER, Bools, Shelf, Slots, instant
from dutyroom.rules.hearing import Absence, Hearing, Silences
from dutyroom.rules.kind import NOWHERE, Ground, Instance
from dutyroom.rules.lines import Lines
from dutyroom.rules.points import Points
from dutyroom.rules.replay import Pause
from dutyroom.rules.roster import Key, Roster, load
from dutyroom.rules.spec import Rule
from dutyroom.rules.waits import Waits
from dutyroom.timebase import DAY, HOUR, MINUTE, Ms

AHEAD: Ms = HOUR  # a reading further in the future than this comes from a wrong clock; ingest stores it as of when it came
HORIZON: Ms = DAY  # what comes later than this is kept and billed, but changes no alarm any more
_KEPT: Ms = 2 * HORIZON + 4 * HOUR  # what late readings may change lies no farther back
SESSIONS: Ms = 3 * MINUTE  # until a broker that was away has its clients back: it said that all had gone
PAUSE: Ms = MINUTE  # a start this long after the last message of any device: we were away


class Engine:
    """One per site; not thread-safe. `devices` may grow while it runs."""

    def __init__(
        self,
        rules: Iterable[Rule],
        table: PointTable,
        devices: Mapping[str, Device],
        one_by_one: bool = False,
        ground: Ground = NOWHERE,
        roomy: bool = False,
    ) -> None:
        """ground: where and when the devices stand. roomy: what rules learn may take three times the memory, and is
        judged in two thirds of the time: for the past of some thousand points. one_by_one: judge every reading on its own, as if nothing were ever calm (for tests and
        benchmarks: what is said must be the same)."""
        self.late: Counter[str] = Counter()  # readings not judged in their place because older, by device
        self.missed: dict[Key, Ms] = {}  # what would be judged otherwise in time order, from when on
        self._one_by_one = one_by_one
        shelf = Shelf(roomy)
        self._points = Points()
        self._hearing = Hearing(shelf.of(Silences))
        self._waits = Waits(self._hearing)
        self._deaf: Ms | None = None  # since when a line is away
        self.lines = Lines(self._hearing)
        self.pauses: list[Pause] = []  # in which no device at all was heard
        self._followers: dict[str, list[Instance]] = {}
        self._moved = snapshot.Moved()
        self._muster = snapshot.Muster()
        self._roster = Roster(table, shelf, self._meet, self._join, self._leave, ground, self.heard)
        self.reload(rules, devices)

    # ------------------------------------------------------------ rules and devices

    @property
    def rules(self) -> Mapping[str, Rule]:
        return self._roster.rules

    @property
    def devices(self) -> Mapping[str, Device]:
        return self._roster.devices

    @property
    def problems(self) -> Mapping[Key, str]:
        """(rule, device) -> why it does not run."""
        return self._roster.problems

    @property
    def running(self) -> Collection[Key]:
        """The (rule, device) pairs that look at readings now."""
        return self._roster.instances.keys()

    @property
    def looked_at(self) -> frozenset[int]:
        """The points whose readings a rule judges."""
        return frozenset(point for i in self._roster.instances.values() for point in i.points)

    def learning(self, now: Ms) -> list[tuple[Key, Ms]]:
        """The pairs that still lack history at `now`, and from when on each will judge."""
        found = ((key, instance.ready) for key, instance in self._roster.instances.items())
        return [(key, ready) for key, ready in found if ready > now]

    def reload(
        self, rules: Iterable[Rule], devices: Mapping[str, Device], changed: Collection[str] = ()
    ) -> set[Key]:
        """Takes other rules and devices; returns the (rule, device) pairs that are gone.

        changed: devices whose row is another one now: their limits and places are read anew. What
        stays keeps its state.
        """
        gone = self._roster.reload(rules, devices, changed)
        self._prints = {rule.id: snapshot.fingerprint(rule) for rule in self._roster.rules.values()}
        return gone

    def _meet(self, point: Point) -> None:
        self._points.meet(point.id, float(1 / point.spec.step) if point.spec.step else 1.0)
        self._hearing.meet(point)

    def _join(self, instance: Instance) -> None:
        self._points.join(instance)
        if instance.hears:
            self._hearing.join(instance)
        if instance.follows:
            mine = self._followers.setdefault(instance.follows, [])
            mine.append(instance)
            mine.sort(key=lambda i: i.number)
        self._muster.changed(instance.rule.id)
        self._look(instance)

    def _leave(self, instance: Instance) -> None:
        self._points.leave(instance)
        if instance.hears:
            self._hearing.leave(instance)
        if instance.follows:
            self._followers[instance.follows].remove(instance)
        self._muster.changed(instance.rule.id)
        self._waits.forget(instance)
        self._moved.discard(instance)

    def _look(self, instance: Instance) -> None:
        """Its state may be another one now."""
        if not instance.hears:
            self._waits.see(instance)
        if not instance.rest:
            self._moved.add(instance)

    # ------------------------------------------------------------ readings and time

    def feed(self, batch: Batch) -> list[Condition]:
        """What the readings of a batch change, in their devices' time order."""
        self._roster.refresh()
        out: list[Condition] = []
        if self._deaf is not None and not batch.again:
            waiting = self._waits.of(self._hearing.first_since(batch, self._deaf, PAUSE))
            self._defer([i for i in waiting if not self._reaches(i)], batch.received_at)
        if not batch.again:
            self.lines.learn(batch)
        self._reset(batch, out)
        if not batch.again and (len(batch.readings) or batch.events):
            for instance in self._hearing.hear(batch):
                self._note(instance, instance.hear(batch.received_at), batch.received_at, out)
        if len(batch.readings):
            self._read(batch, out)
        if batch.events and not batch.again:
            self._happened(batch, out)
        # After the readings: one of them may say that what was waited for has ended long ago. Only
        # of its lane: the readings of the other one may not have been judged as far as this. What is
        # read again from quarantine came long ago and tells no time.
        if not batch.again:
            self._timers(batch.received_at, out, batch.lane)
        return out

    def _reset(self, batch: Batch, out: list[Condition]) -> None:
        """Before the readings: the first one after it comes with the same message."""
        for event in batch.events:
            if event.code == COUNTER_RESET and not _retained(batch, event.message):
                passed = event.at <= self.newest(event.point)
                for instance in self._points.at(event.point):
                    if passed:
                        self._misses(instance, event.at)
                    self._note(instance, instance.reset(event.point, event.at), batch.received_at, out)

    def _happened(self, batch: Batch, out: list[Condition]) -> None:
        for event in sorted(batch.events, key=lambda e: e.at):
            if event.code != COUNTER_RESET and not _retained(batch, event.message):
                for instance in self._points.at(event.point):
                    said = instance.happened(event.point, event.at, event.code, batch.received_at)
                    self._note(instance, said, batch.received_at, out)

    def _read(self, batch: Batch, out: list[Condition]) -> None:
        readings = batch.readings
        usable = self._points.known(readings)
        usable &= readings.quality != Quality.SUSPECT
        usable &= np.isfinite(readings.value)
        usable &= readings.at <= batch.received_at + AHEAD
        rows = np.flatnonzero(usable)
        if not len(rows):
            return
        left, asked, late = self._points.sift(readings, rows, self._one_by_one)
        if len(late):
            self._miss(batch, late)
        if len(left):
            self._take(batch, left, asked, out)

    def _miss(self, batch: Batch, rows: Slots) -> None:
        """Notes whom these readings, too late to be judged in their place, concern. Older ones than
        `HORIZON` change nothing."""
        point, at = batch.readings.point[rows], batch.readings.at[rows]
        points, places, counts = np.unique(point, return_inverse=True, return_counts=True)
        first = np.full(len(points), FOREVER, np.int64)
        np.minimum.at(first, places, np.where(at < batch.received_at - HORIZON, FOREVER, at))
        for one, since, count in zip(points.tolist(), first.tolist(), counts.tolist(), strict=True):
            self.late[self._hearing.owner(one)] += count
            if since < FOREVER:
                for instance in self._points.at(one):
                    self._misses(instance, since)

    def _misses(self, instance: Instance, since: Ms) -> None:
        if instance.again:
            key = (instance.rule.id, instance.device)
            self.missed[key] = min(since, self.missed.get(key, FOREVER))

    def _take(self, batch: Batch, rows: Slots, asked: Bools, out: list[Condition]) -> None:
        """One by one, in time order. asked: of which all is known but what those learn who ask for it."""
        columns, points, times = batch.readings, self._points, batch.times()
        count = len(times)
        taken: dict[int, float] = {}
        early: dict[int, Ms] = {}  # by point: until when nothing is wanted of it
        for point, at, value, quality, message, only in zip(
            columns.point[rows].tolist(),
            columns.at[rows].tolist(),
            columns.value[rows].tolist(),
            columns.quality[rows].tolist(),
            columns.message[rows].tolist(),
            asked.tolist(),
            strict=True,
        ):
            if (at < early.get(point, NEVER)) if only else (at <= points.newest.item(point)):
                continue  # not wanted; the same instant twice in the batch
            then = times.item(message) if message < count else batch.received_at
            if only:
                early[point] = self._teach(point, at, value / points.scale.item(point), then, out)
                continue
            early[point] = at + 1
            if point not in taken:
                points.wake(point)
            points.newest[point] = at
            taken[point] = points.last[point] = physical = value / points.scale.item(point)
            retained = quality == Quality.RETAINED
            for instance in points.at(point):
                if not retained and instance.wait >= 0:
                    self._note(instance, instance.reach(point, at, then), then, out)
                if not retained and instance.passed(point, at):
                    self._misses(instance, at)
                condition = instance.take(point, at, physical, retained, then)
                if condition is not None:
                    instance.timed = at
                if condition is not None or not instance.asks:  # those do not wait
                    self._note(instance, condition, then, out)
        for point, physical in taken.items():
            points.settle(point, physical)

    def _teach(self, point: int, at: Ms, value: float, received: Ms, out: list[Condition]) -> Ms:
        """A reading for those who ask for it; value in the point's unit. Returns from when on they want
        the next one."""
        wanted = FOREVER
        for instance in self._points.asking(point):
            if at >= instance.wants:
                if instance.passed(point, at):
                    self._misses(instance, at)
                condition = instance.take(point, at, value, False, received)
                if condition is not None:
                    self._note(instance, condition, received, out)
            wanted = min(wanted, instance.wants)
        self._points.asked[point] = wanted
        return max(wanted, at + 1)

    def _note(
        self, instance: Instance, condition: Condition | None, received: Ms, out: list[Condition]
    ) -> None:
        """Keeps who waits, and lets followers see a condition."""
        self._look(instance)
        if condition is None:
            return
        self._points.stir(instance)
        instance.spoke = condition.at
        out.append(condition)
        self._tell(condition, received, out)

    def _tell(self, condition: Condition, received: Ms, out: list[Condition]) -> None:
        """Those who follow its rule."""
        for follower in self._followers.get(condition.rule, ()):
            if condition.at < follower.turned or condition.at == follower.timed:
                self._misses(follower, condition.at)
            self._note(follower, follower.follow(condition, received), received, out)

    def learn_of(self, conditions: Iterable[Condition], now: Ms) -> list[Condition]:
        """What others have found out, in the words of a rule that does not say it itself: those who follow it go on from
        there. Returns what they say of it."""
        out: list[Condition] = []
        for condition in conditions:
            own = self._roster.instances.get((condition.rule, condition.object))
            if own is None or not own.active:  # else it has told them, and goes on to
                self._tell(condition, now, out)
        return out

    def accept(self, key: Key, explained: Callable[[Ms], bool], now: Ms) -> list[Condition]:
        """What an instance said of such instants is explained by what no reading tells: it goes on from how things are
        now. Returns what it, and those who follow its rule, say of it; doing it again changes nothing."""
        instance, out = self._roster.instances.get(key), list[Condition]()
        if instance is None:
            return out
        self._wake(instance)
        before = instance.active
        if (said := instance.accept(explained)) is not None:
            out.append(said)
        self._turned(instance, before, now, out)
        return out

    def _timers(self, now: Ms, out: list[Condition], lane: Lane | None = None) -> None:
        """Delays and deadlines by rule and device, so that the order is always the same; of the
        devices of one lane, or of all."""
        for instance in self._waits.due(now, lane):
            if not self._unheard(instance):
                self._tick(instance, now, out)

    def _tick(self, instance: Instance, now: Ms, out: list[Condition]) -> None:
        condition = instance.tick(now)
        if condition is not None:
            instance.timed = condition.at
        self._note(instance, condition, now, out)

    def tick(self, now: Ms) -> list[Condition]:
        """What time alone changes: delays, deadlines, silence. Call it with a drained journal."""
        self._roster.refresh()
        out: list[Condition] = []
        self._timers(now, out)
        for instance in self._hearing.overdue(now):
            self._note(instance, instance.tick(now), now, out)
        return out

    def partly(self, now: Ms) -> list[Condition]:
        """As `tick`, while a line is away: of the devices that are known to be heard by others."""
        self._roster.refresh()
        out: list[Condition] = []
        places = np.flatnonzero(self.lines.there())
        if not len(places):
            return out
        for instance in self._waits.due(now, None):
            if self._reaches(instance):
                self._tick(instance, now, out)
        for instance in self._hearing.overdue(now, places):
            self._note(instance, instance.tick(now), now, out)
        return out

    def next(self, now: Ms) -> Ms:
        """The first moment from `now` on at which `tick` may change something if no batch comes before."""
        return min(self._waits.next(now), self._hearing.silences.next(now))

    def started(self, now: Ms, again: Ms | None = None) -> None:
        """The service, or its sight of the devices, begins again: nothing is silent yet, and as `resumed`. again: since
        when we listen, where that is earlier."""
        self._hearing.silences.started(now)
        if self._hearing.last() is not None:  # what the broker has kept meanwhile comes now
            self._hearing.trusted = now + SESSIONS
        for instance in self._roster.instances.values():
            instance.started(now)
            self._look(instance)
        self.resumed(now if again is None else again)

    def again(self, until: Ms, waiting: Sequence[Batch]) -> Ms:
        """Since when we listen again after a while in which no device was heard: from the first message after it of what
        waits to be judged, which is known until then; `until` where there is none. When one was last heard where what
        waits has no such while: others listened, it is only judged late."""
        return self._hearing.again(until, waiting, PAUSE)

    def resumed(self, now: Ms) -> bool:
        """We listen again at `now`. Where no device at all was heard for a while, nothing is known of that while:
        what waits begins to wait anew. Returns whether it was so."""
        last = self._hearing.last()
        if last is None or now - last <= PAUSE:
            return False
        self.pauses = [*(p for p in self.pauses if p.at != last and p.until > now - _KEPT), Pause(last, now)]
        for instance in self._roster.instances.values():
            instance.paused(now)
            self._look(instance)
        return True

    @property
    def hears_all(self) -> bool:
        """Whether no line is away, as far as it was told."""
        return self._deaf is None

    def deaf(self, now: Ms, away: Collection[str] | None = None) -> None:
        """A line is away from now on, by which some devices speak; away: which ones are now, where that is known. What
        waits at those devices goes on when it is back (`hears`): its end may be with the broker. Whose line is not known goes
        on with its next word, too; what is urgent, and what a power cut wants next, does not wait there: the line may
        have gone with the mains, for hours."""
        self._hearing.trusted = FOREVER
        if self._deaf is None:
            self._deaf, self.lines.away = now, frozenset()
        for back, since in self.lines.turn(away, now, self._deaf):
            places = set(back.tolist())
            mine = [i for i in self._roster.instances.values() if not self._places(i).isdisjoint(places)]
            self._sees(mine, back, since, now)
            if now - since > PAUSE:
                self._defer([i for i in mine if i.waiting and not _urgent(i)], now)

    def hears(self, now: Ms) -> None:
        """All lines are there again, and what has come is judged. Nothing is silent yet of what was not heard meanwhile."""
        there = self.lines.there()
        places = set(np.flatnonzero(there).tolist())
        every = self._roster.instances.values()
        mine = [i for i in every if not self._places(i) <= places] if places else every
        unheard = [i for i in self._waits.all() if self._unheard(i)]
        since = now if self._deaf is None else self._deaf
        self._deaf, self._hearing.trusted = None, now + SESSIONS
        self.lines.all_there()
        self._sees(mine, np.flatnonzero(~there), since, now)
        self.resumed(now)
        if now - since > PAUSE:
            self._defer(unheard, now)

    def _sees(self, instances: Iterable[Instance], places: Slots, since: Ms, now: Ms) -> None:
        """Some devices are heard again, for which a line was away: the sight of them, and of those who look at them,
        begins again. Where it was for a moment the timers of silence only stood still, as a line that comes and goes
        would hide a silence for ever; until that moment was seen we may have listened in vain for as long as a keep-alive lasts."""
        rows = self._hearing.rows(places)
        if now - since > PAUSE:
            self._hearing.silences.started(now, rows)
        else:
            last = int(self._hearing.devices.heard[places].max(initial=NEVER))
            began = min(since, max(last, since - PAUSE))
            self._hearing.silences.stood(rows, now - began, PAUSE, now)
        for instance in instances:
            instance.started(now)
            self._look(instance)

    def _places(self, instance: Instance) -> set[int]:
        """Of the devices whose words an instance waits for."""
        if instance.listens:
            return {self._hearing.place(device) for device in instance.listens}
        owners = self._hearing.owners(np.array(instance.points, np.int32)).tolist()
        return {self._hearing.place(instance.device), *(place for place in owners if place >= 0)}

    def _reaches(self, instance: Instance) -> bool | None:
        return self.lines.reaches(self._places(instance)) if self.lines.away else None

    def _unheard(self, instance: Instance) -> bool:
        """Whether the end of what it waits for may be with a broker whose line is away."""
        if self._deaf is None:
            return False
        known = self._reaches(instance)
        if known or _urgent(instance):
            return False
        if known is not None or instance.follows:
            return known is False
        heard = self.heard(instance.device)
        return heard is None or heard < self._deaf

    def _defer(self, waiting: Iterable[Instance], now: Ms) -> None:
        for instance in waiting:
            instance.deferred(now)
            self._look(instance)

    def heard(self, device: str) -> Ms | None:
        """Receive time of a device's last sign of life; None = none since the state began."""
        return self._hearing.when(device)

    def gap(self, device: str) -> Absence | None:
        """See `Hearing.gap`."""
        return self._hearing.gap(device)

    def said(self, rule: str, device: str) -> Ms | None:
        """Time of the newest reading that a rule looks at there, by the device's clock; None = none, or it looks at none."""
        instance = self._roster.instances.get((rule, device))
        newest = [self.newest(point) for point in instance.points] if instance is not None else []
        return instant(max(newest, default=NEVER))

    def expect(self, until: Mapping[str, Ms]) -> None:
        """Devices that have to be heard by then: what waits for their silence waits no longer."""
        for device, by in until.items():
            self._hearing.expect(device, by)

    def departed(self, since: Ms) -> dict[str, Ms]:
        """See `Hearing.departed`."""
        return self._hearing.departed(since)

    def newest(self, point: int) -> Ms:
        """Instant of the newest reading of a point that was judged; NEVER = none."""
        return self._points.newest.item(point) if point < self._points.size else NEVER

    # ------------------------------------------------------------ late readings

    def print(self, rule: str) -> str:
        """Of a rule: another one when its state can no longer be trusted to mean the same."""
        return self._prints.get(rule, "")

    def follows(self, key: Key) -> bool:
        """Whether an instance follows another rule."""
        instance = self._roster.instances.get(key)
        return instance is not None and bool(instance.follows)

    def width(self, key: Key) -> int:
        """How many points an instance looks at."""
        instance = self._roster.instances.get(key)
        return 0 if instance is None else len(instance.points)

    def followers(self, rule: str) -> list[Key]:
        """Who follows a rule and can be judged again."""
        return [(f.rule.id, f.device) for f in self._followers.get(rule, ()) if f.again]

    def twin(self, key: Key) -> Instance | None:
        """A fresh instance like the one that runs, on rows of its own; None = none runs."""
        return self._roster.twin(key)

    def take_over(self, twin: Instance, now: Ms, out: list[Condition]) -> None:
        """An instance goes on from the state of its twin, which saw all readings in time order. Those who
        follow its rule are told where its condition is another one now."""
        instance = self._roster.instances.get((twin.rule.id, twin.device))
        if instance is None:
            return
        before = instance.active
        self._wake(instance)
        load(instance, twin.dump())
        if (
            twin.spoke > NEVER
        ):  # else it said nothing since the state that it began with: what it had said stands
            instance.spoke = twin.spoke
        if twin.timed > NEVER:
            instance.timed = twin.timed
        self._turned(instance, before, now, out)

    def _turned(self, instance: Instance, before: bool, now: Ms, out: list[Condition]) -> None:
        """Its state is another one: those who follow its rule are told where its condition is another one, too."""
        self._points.stir(instance)
        self._look(instance)
        if instance.active != before:
            change = Condition(instance.rule.id, instance.device, instance.active, now)
            for follower in self._followers.get(instance.rule.id, ()):
                self._note(follower, follower.follow(change, now), now, out)

    def _wake(self, instance: Instance) -> None:
        for point in instance.points:
            self._points.wake(point)

    # ------------------------------------------------------------ state

    def adopt(
        self,
        standing: Sequence[Condition],
        now: Ms,
        over: Iterable[Condition] = (),
        learnt: Iterable[Condition] = (),
    ) -> None:
        """After a start: what the alarm table says of conditions that stand, and of those that are over. It
        knows what time alone decided before, which no reading can tell again; those who follow a rule are told
        of what began and of what ended so. What they said of it the table knows, too. learnt: what `learn_of` was given and
        holds, for those who are new."""
        held = {(c.rule, c.object) for c in standing}
        ends = {(c.rule, c.object): c for c in sorted(over, key=lambda c: c.at)}
        told = list(standing)
        self._points.wake_all()
        for key, instance in self._roster.instances.items():
            if instance.active and key not in held:
                told.append(ends.get(key) or Condition(*key, False, now))
            self._adopt(instance, key in held)
        for condition in (*standing, *ends.values()):
            if decided := self._roster.instances.get((condition.rule, condition.object)):
                decided.decided(condition.at)
                decided.timed = max(decided.timed, condition.at)
        for condition in sorted(told, key=lambda c: c.at):
            for follower in self._followers.get(condition.rule, ()):
                follower.follow(condition, condition.at)
                self._adopt(follower, (follower.rule.id, follower.device) in held)
        for condition in learnt:
            for follower in self._followers.get(condition.rule, ()):
                follower.follow(condition, now)
                self._adopt(follower, (follower.rule.id, follower.device) in held)

    def _adopt(self, instance: Instance, active: bool) -> None:
        instance.adopt(active)
        self._points.stir(instance)
        self._look(instance)

    def snapshot(self) -> bytes:
        """The whole state, for `restore`."""
        self._points.wake_all()
        points, newest = snapshot.known(self._points.newest[: self._points.size])
        devices, heard, lanes, line, absences = self._hearing.dump()
        moved = self._moved.still()
        return snapshot.write(
            snapshot.State(
                points,
                newest,
                devices,
                heard,
                lanes,
                self._muster.of(self._roster.instances.of, self._prints),
                [(i.rule.id, i.device, i.packed()) for i in moved],
                self._deaf,
                self.lines.names,
                line,
                absences,
            )
        )

    def restore(self, data: bytes) -> set[Key]:
        """Takes a snapshot; returns the (rule, device) pairs in it that do not exist any more.

        An instance whose rule has changed starts afresh. Raises Rejected for what is no snapshot.
        """
        state = snapshot.read(data)
        self._deaf = state.deaf
        self._points.wake_all()
        self._points.take_newest(*snapshot.instants(state.points, state.newest))
        self._hearing.load(state.devices, state.heard, state.lanes, state.line, state.absences)
        self.lines.restore(state.lines)
        same = {rule for rule, rows in state.rules.items() if self._prints.get(rule) == rows.print}
        instances = self._roster.instances
        for key in [(i.rule.id, i.device) for i in self._moved.all() if i.rule.id in same]:
            self._roster.renew(key)
        for rule in same:
            snapshot.unpack(state.rules[rule], lambda device, rule=rule: instances.get((rule, device)))  # type: ignore[misc]
        for rule, device, dumped in state.instances:
            instance = instances.get((rule, device)) if rule in same else None
            if instance is not None:
                load(instance, dumped)
                self._look(instance)
        pairs = [(rule, device) for rule, rows in state.rules.items() for device in rows.devices]
        return {key for key in pairs if key not in instances and not self._roster.wanted(key)}


def _urgent(instance: Instance) -> bool:
    """Whether it waits for no broker; what follows another rule has just that to wait for."""
    return instance.rule.priority <= Priority.HIGH and not instance.follows


def _retained(batch: Batch, message: int) -> bool:
    return message < len(batch.messages) and batch.messages[message].message.retained
