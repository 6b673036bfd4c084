"""Readings that came too late for their place: the stretch that they change is judged again, from the
readings store, and what was recorded is brought to what it says.

An instance that missed a reading is built again in a state that knows nothing as new (`late_states`), is
given all readings from then on in time order, and live operation goes on from where that leads.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np

from dutyroom.alarms import spans_of
from dutyroom.flows.corrections import Judged
from dutyroom.flows.exchanged import Explained
from dutyroom.flows.inferred import cut_of, cuts, words
from dutyroom.flows.keep import READER as KEEP
from dutyroom.flows.late_states import Base, States
from dutyroom.interfaces import Journal, ManyAtOnce, ReadingStore, Tx
from dutyroom.model.duty import Alarm, Condition, Spans
from dutyroom.model.telemetry import COUNTER_RESET, Lane, Point, PointTable, Quality, Series
from dutyroom.rules.columns import FOREVER, NEVER
from dutyroom.rules.engine import AHEAD, Engine
from dutyroom.rules.kind import Instance
from dutyroom.rules.replay import Mark, Pause, Row, replay
from dutyroom.rules.roster import Key
from dutyroom.timebase import DAY, MINUTE, SECOND, Ms

_JUST: Ms = 2 * MINUTE
_PACE: Ms = 5 * SECOND  # between two looks: what comes late seldom comes alone
_MOST = 200  # instances judged again in one go, and
_POINTS = 400  # of theirs: what looks at a whole building takes as long as a hundred others
_READINGS = 10_000_000
_ALARMS = 100  # of an object, looked at
_MANY = 2_000  # of a site
_LONG: Ms = 7 * DAY  # what a rule that is followed said of an older alarm is not looked for
_EVENTS = 1_000


class Past(Protocol):
    """The readings that are stored."""

    def ready(self, position: Mapping[Lane, int]) -> bool:
        """Whether all of the journal up to there is stored."""
        ...

    def ranges(self, spans: Sequence[tuple[Point, Ms, Ms]]) -> Sequence[Series]:
        """Of each (point, start, end): start <= at < end. Raises Unavailable."""
        ...


class StoredPast:
    """The readings store behind the reader that fills it."""

    def __init__(self, store: ReadingStore, journal: Journal) -> None:
        self._store, self._journal = store, journal

    def ready(self, position: Mapping[Lane, int]) -> bool:
        return all(self._journal.cursor(KEEP, lane) >= seq for lane, seq in position.items())

    def ranges(self, spans: Sequence[tuple[Point, Ms, Ms]]) -> Sequence[Series]:
        if isinstance(self._store, ManyAtOnce):
            return self._store.ranges(spans, _READINGS)
        return [self._store.range(*span, _READINGS) for span in spans]


@dataclass(frozen=True, slots=True)
class Again:
    """An instance judged again: what is to be recorded, and the state it goes on with."""

    key: Key
    judged: Judged
    instance: Instance
    marks: Sequence[Mark] = ()


class Late:
    """One per site; belongs to `Watch`, which calls it with a drained journal."""

    def __init__(
        self, site: str, engine: Engine, table: PointTable, past: Past, states: States | None = None
    ) -> None:
        self._site, self._engine, self._table, self._past = site, engine, table, past
        self._states = states or States(site, engine)
        self._looked: Ms = NEVER
        self._round: list[Key] = []  # of which some were looked at already
        self.beyond = 0  # instances that missed what is older than any state set aside

    # ------------------------------------------------------------ what is kept

    def start(self, tx: Tx, now: Ms, known: bool) -> None:
        """known: the rules have a state from before."""
        for rule, object, since in self._states.start(tx, now, known):
            self._miss((rule, object), since)

    def _miss(self, key: Key, since: Ms) -> None:
        missed = self._engine.missed
        missed[key] = min(since, missed.get(key, FOREVER))

    def keep(self, tx: Tx, now: Ms, state: bytes) -> None:
        """With each snapshot of the rules, in its transaction."""
        self._states.keep(tx, now, state, self._engine.missed)

    def kept(self, now: Ms) -> None:
        """After that transaction."""
        self._states.kept(now)

    # ------------------------------------------------------------ judged again

    def due(self, now: Ms, position: Mapping[Lane, int]) -> bool:
        """Whether there is something to judge again, and all that it needs is stored."""
        if not self._engine.missed or (0 <= now - self._looked < _PACE and not self._round):
            return False
        return self._past.ready(position)

    def look(self, tx: Tx, now: Ms, explained: Explained = lambda rule, object, at: False) -> list[Again]:
        """Judges again what missed readings. explained: by what is on record. Raises Unavailable: nothing is lost, look
        again."""
        missed = self._next(now)
        bases = self._states.bases(tx, missed, now)
        for key in missed:
            if key not in bases:
                self.beyond += 1
                del self._engine.missed[key]
        rows = {key: _believed(found, missed[key], now) for key, found in self._rows(tx, bases, now).items()}
        pauses = self._engine.pauses
        return [
            _again(
                key,
                base,
                rows[key],
                self._followed(tx, base),
                now,
                [p for p in pauses if p.until > base.at],
                partial(explained, *key),
            )
            for key, base in bases.items()
        ]

    def _next(self, now: Ms) -> dict[Key, Ms]:
        """Whose turn it is. What is missed meanwhile waits for the next round: more of it may be on its
        way. Who follows another rule is judged when that one is right."""
        missed = self._engine.missed
        if not self._round:
            self._looked = now
            self._round = sorted(missed, key=self._urgency, reverse=True)
        count = self._portion()
        part, self._round = self._round[-count:], self._round[:-count]
        if not self._engine.follows(part[-1]):
            later = [key for key in part if self._engine.follows(key)]
            self._round += later
            part = part[len(later) :]
        return {key: missed[key] for key in reversed(part) if key in missed}

    def _portion(self) -> int:
        """How many of the round are judged in one go."""
        points = 0
        for count, key in enumerate(reversed(self._round[-_MOST:])):
            points += self._engine.width(key)
            if count and points > _POINTS:
                return count
        return min(_MOST, len(self._round))

    def _urgency(self, key: Key) -> tuple[bool, int, Key]:
        rule = self._engine.rules.get(key[0])
        return self._engine.follows(key), (9 if rule is None else int(rule.priority)), key

    def _followed(self, tx: Tx, base: Base) -> list[Condition]:
        """What the rule that it follows said since, as it is recorded; and what stood then."""
        rule = base.instance.follows
        if not rule:
            return []
        since = max(base.at, NEVER + _LONG) - _LONG
        # What was over by the devices' clocks may have been said only after the state was set aside.
        known = base.at if base.instance.turned == NEVER else min(base.at, base.instance.turned)
        recent = tx.alarms.search(self._site, since=since, limit=_MANY)
        alarms = {a.id: a for a in (*recent, *tx.alarms.open_ones(self._site))}
        spans: dict[str, list[tuple[Ms, Ms | None]]] = {}
        for alarm in alarms.values():
            spans.setdefault(alarm.object, []).extend(self._said(alarm, rule))
        found = []
        for object, said in spans.items():
            for begin, end in _united(said):
                if end is None or end > known:
                    found.append(Condition(rule, object, True, begin))
                if end is not None and end > known:
                    found.append(Condition(rule, object, False, end))
        return found

    def _said(self, alarm: Alarm, rule: str) -> Spans:
        """When an alarm said what a rule says: by itself, or because topology had inferred it."""
        if alarm.rule == rule:
            return spans_of(alarm)
        if not (utility := cut_of(alarm)):
            return ()
        device = self._engine.devices.get(alarm.object)
        return cuts(alarm) if rule in words(utility, device, self._engine.rules) else ()

    def recorded(self, tx: Tx, judged: Iterable[Judged]) -> list[Judged]:
        """With the alarms that are recorded of each. Several rules of an object are often judged together."""
        alarms: dict[str, Sequence[Alarm]] = {}
        found = []
        for each in judged:
            if each.object not in alarms:
                alarms[each.object] = tx.alarms.search(self._site, object=each.object, limit=_ALARMS)
            mine = [a for a in alarms[each.object] if a.rule == each.rule and _reaches(a, each.since)]
            found.append(replace(each, rows=mine))
        return found

    def note(self, tx: Tx, found: Iterable[Again], changed: Collection[Key]) -> None:
        """In the transaction that records it: whoever follows what changed has its turn, though we are killed
        before. Judged again after a start, nothing would be found to change any more."""
        noted = dict(self._engine.missed)
        for key, since in self._following(found, changed):
            noted[key] = min(since, noted.get(key, FOREVER))
        if noted != self._engine.missed:
            self._states.note(tx, noted)

    def done(self, found: Sequence[Again], changed: Collection[Key]) -> None:
        """After the transaction that records it. changed: whose alarms are other ones now."""
        following = self._following(found, changed)
        for again in found:
            since = self._engine.missed.pop(again.key)
            self._states.mend(again.key, since, again.marks)
        for key, since in following:
            self._miss(key, since)

    def _following(self, found: Iterable[Again], changed: Collection[Key]) -> list[tuple[Key, Ms]]:
        """Who follows a rule whose alarms changed, and since when."""
        missed = self._engine.missed
        return [
            (follower, missed[again.key])
            for again in found
            if again.key in changed
            for follower in self._engine.followers(again.key[0])
        ]

    # ------------------------------------------------------------ their readings

    def _rows(self, tx: Tx, bases: Mapping[Key, Base], now: Ms) -> dict[Key, list[Row]]:
        """What each missed and all since, up to the newest reading that live operation has judged."""
        asked: dict[tuple[int, Ms], list[Key]] = {}  # several rules look at a point: it is read once
        for key, base in bases.items():
            for point, after in base.after.items():
                asked.setdefault((point, after), []).append(key)
        spans = [
            (self._table[point], after + 1, max(after, self._engine.newest(point)) + 1)
            for point, after in asked
        ]
        out: dict[Key, list[Row]] = {key: [] for key in bases}
        for keys, span, series in zip(asked.values(), spans, self._past.ranges(spans), strict=True):
            rows = rows_of(span[0], series, now)
            for key in keys:
                out[key] += rows
                if type(bases[key].instance).reset is not Instance.reset:
                    out[key] += self._resets(tx, *span)
        return out

    def _resets(self, tx: Tx, point: Point, begin: Ms, end: Ms) -> list[Row]:
        events = tx.devices.events(self._site, point.id, begin, _EVENTS, COUNTER_RESET)
        return [Row(event.at, point.id, None) for event in events if event.at < end]


def _believed(rows: list[Row], since: Ms, now: Ms) -> list[Row]:
    """Without those of a time that is not yet, where what was missed was said just now: the clock that told them was ahead and
    has been set right, and what it says now must not wait until they have passed."""
    return [row for row in rows if row.at <= now] if now - _JUST <= since <= now else rows


def _again(
    key: Key,
    base: Base,
    rows: Sequence[Row],
    followed: Iterable[Condition],
    now: Ms,
    pauses: Sequence[Pause],
    explained: Callable[[Ms], bool],
) -> Again:
    # Time alone may have said more than the newest reading; and a state may be younger than the next reading,
    # which was new to its point when it came: what ended there is judged again, too.
    # A state set aside may also have waited for what was over long before, by readings that had just come: that was
    # said later, and is not among what it knows.
    first = min((row.at for row in rows), default=FOREVER)
    since = min(max(base.since, base.instance.turned), first - 1)
    found, marks = replay(
        base.instance, rows, now, base.since, base.marks, followed, base.after, pauses, explained
    )
    said = min((stretch.said for stretch in found), default=FOREVER)
    return Again(key, Judged(*key, min(since, said - 1), found), base.instance, marks)


def _united(spans: Iterable[tuple[Ms, Ms | None]]) -> Spans:
    """Those that overlap are one: what two alarms say of an object, one of which was inferred, is over with the last."""
    found: list[tuple[Ms, Ms | None]] = []
    for begin, end in sorted(spans, key=lambda s: (s[0], FOREVER if s[1] is None else s[1])):
        last = found[-1] if found else None
        if last is None or (last[1] is not None and last[1] <= begin):
            found.append((begin, end))
        elif last[1] is not None and (end is None or end > last[1]):
            found[-1] = last[0], end
    return tuple(found)


def rows_of(point: Point, series: Series, now: Ms) -> list[Row]:
    """What of a series is judged."""
    scale = float(1 / point.spec.step) if point.spec.step else 1.0
    fine = (series.quality != Quality.SUSPECT) & np.isfinite(series.value) & (series.at <= now + AHEAD)
    return [
        Row(at, point.id, value / scale, quality == Quality.RETAINED)
        for at, value, quality in zip(
            series.at[fine].tolist(), series.value[fine].tolist(), series.quality[fine].tolist(), strict=True
        )
    ]


def _reaches(alarm: Alarm, since: Ms) -> bool:
    """Whether the alarm, or the time in which it was not over for the people, goes beyond an instant."""
    return alarm.ended_at is None or alarm.ended_at > since or (alarm.cleared_at or 0) > since
