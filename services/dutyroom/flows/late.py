"""Readings that came too late for their place: the stretch that they change is judged again, from the
readings store, and what was recorded is brought to what it says.

Every few hours the rules' state is set aside. An instance that missed a reading is built again in
the youngest state that knows nothing newer than it, is given all readings from then on in time
order, and live operation goes on from where that leads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import msgspec
import numpy as np

from dutyroom.errors import Rejected
from dutyroom.flows.corrections import Judged
from dutyroom.flows.keep import READER as KEEP
from dutyroom.interfaces import Journal, ManyAtOnce, ReadingStore, Tx
from dutyroom.model.duty import Alarm
from dutyroom.model.telemetry import COUNTER_RESET, Lane, Point, PointTable, Quality, Series
from dutyroom.rules import snapshot
from dutyroom.rules.columns import FOREVER, NEVER
from dutyroom.rules.engine import AHEAD, HORIZON, Engine
from dutyroom.rules.kind import Instance
from dutyroom.rules.replay import Row, replay
from dutyroom.rules.roster import Key, load
from dutyroom.timebase import HOUR, SECOND, Ms

_BLOB = "watch.late"
_EVERY: Ms = 4 * HOUR  # between two states set aside
_PACE: Ms = 5 * SECOND  # between two looks: what comes late seldom comes alone
_MOST = 200  # instances judged again in one go
_READINGS = 10_000_000
_ALARMS = 100  # of an object, looked at
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


class Aside(msgspec.Struct):
    """A state set aside. at: when; name: of its blob, "" = nothing was known then."""

    at: Ms
    name: str


class Kept(msgspec.Struct):
    """What must not be lost: states set aside, what was missed (rule, object, since), and what was
    judged again (rule, object, when, since) and so is not to be begun from a state in between."""

    aside: list[Aside] = []
    missed: list[tuple[str, str, Ms]] = []
    judged: list[tuple[str, str, Ms, Ms]] = []
    number: int = 0


@dataclass(frozen=True, slots=True)
class Again:
    """An instance judged again: what is to be recorded, and the state it goes on with."""

    key: Key
    judged: Judged
    dumped: list[Any]


@dataclass(frozen=True, slots=True)
class _Base:
    """An instance as it was; of each of its points the newest reading that it knew."""

    instance: Instance
    newest: Mapping[int, Ms]
    begin: Ms  # nothing older is read


class Late:
    """One per site; belongs to `Watch`, which calls it with a drained journal."""

    def __init__(self, site: str, engine: Engine, table: PointTable, past: Past) -> None:
        self._site, self._engine, self._table, self._past = site, engine, table, past
        self._kept = Kept()
        self._looked: Ms = NEVER
        self.beyond = 0  # instances that missed what is older than any state set aside

    # ------------------------------------------------------------ what is kept

    def start(self, tx: Tx, now: Ms, known: bool) -> None:
        """known: the rules have a state from before."""
        data = tx.blob(self._site, _BLOB)
        if data is not None:
            self._kept = msgspec.msgpack.decode(data, type=Kept)
            for rule, object, since in self._kept.missed:
                self._miss((rule, object), since)
        elif not known:
            self._kept.aside = [Aside(now, "")]

    def _miss(self, key: Key, since: Ms) -> None:
        missed = self._engine.missed
        missed[key] = min(since, missed.get(key, FOREVER))

    def keep(self, tx: Tx, now: Ms, state: bytes) -> None:
        """With each snapshot of the rules, in its transaction."""
        kept, missed = self._kept, self._engine.missed
        if not kept.aside or now - kept.aside[-1].at >= _EVERY or now < kept.aside[-1].at:
            kept.number += 1
            kept.aside.append(Aside(now, f"{_BLOB}.{kept.number % 16}"))
            tx.put_blob(self._site, kept.aside[-1].name, state)
        oldest = min([now - HORIZON, *missed.values()])
        while len(kept.aside) > 14 or (len(kept.aside) > 1 and kept.aside[1].at <= oldest):
            if name := kept.aside.pop(0).name:
                tx.put_blob(self._site, name, b"")
        first = kept.aside[0].at
        kept.judged = [row for row in kept.judged if row[2] >= first]
        kept.missed = [(*key, since) for key, since in sorted(missed.items())]
        tx.put_blob(self._site, _BLOB, msgspec.msgpack.encode(kept))

    # ------------------------------------------------------------ judged again

    def due(self, now: Ms, position: Mapping[Lane, int]) -> bool:
        """Whether there is something to judge again, and all that it needs is stored."""
        if not self._engine.missed or 0 <= now - self._looked < _PACE:
            return False
        return self._past.ready(position)

    def look(self, tx: Tx, now: Ms) -> list[Again]:
        """Judges again what missed readings. Raises Unavailable: nothing is lost, look again."""
        self._looked = now
        missed = sorted(self._engine.missed.items())[:_MOST]
        bases = self._bases(tx, dict(missed))
        for key, _ in missed:
            if key not in bases:
                self.beyond += 1
                del self._engine.missed[key]
        rows = self._rows(tx, bases, now)
        return [_again(key, base, rows[key], now) for key, base in bases.items()]

    def recorded(self, tx: Tx, judged: Judged) -> Judged:
        """With the alarms that are recorded of it."""
        alarms = tx.alarms.search(self._site, object=judged.object, limit=_ALARMS)
        mine = [a for a in alarms if a.rule == judged.rule and _reaches(a, judged.since)]
        return replace(judged, rows=mine)

    def done(self, keys: Collection[Key], now: Ms) -> None:
        """After the transaction that records it."""
        for key in keys:
            self._kept.judged.append((*key, now, self._engine.missed.pop(key)))

    # ------------------------------------------------------------ from which state

    def _bases(self, tx: Tx, missed: Mapping[Key, Ms]) -> dict[Key, _Base]:
        """Each in the youngest state that knows nothing as new as what it missed."""
        found: dict[Key, _Base] = {}
        for aside in reversed(self._kept.aside):
            open_ones = {
                key: self._bound(key, since, aside) for key, since in missed.items() if key not in found
            }
            if aside.name == "":
                for key in open_ones:
                    if (instance := self._engine.twin(key)) is not None:
                        found[key] = _Base(
                            instance, dict.fromkeys(instance.points, NEVER), aside.at - HORIZON
                        )
                break
            wanted = {key: bound for key, bound in open_ones.items() if aside.at <= bound}
            data = tx.blob(self._site, aside.name) if wanted else None
            if data:
                found |= self._from(data, wanted, aside.at)
        return found

    def _bound(self, key: Key, since: Ms, aside: Aside) -> Ms:
        """A state set aside before another reading was put in its place does not know that one."""
        more = [
            s for rule, object, when, s in self._kept.judged if (rule, object) == key and when >= aside.at
        ]
        return min([since, *more])

    def _from(self, data: bytes, wanted: Mapping[Key, Ms], at: Ms) -> dict[Key, _Base]:
        try:
            state = snapshot.read(data)
        except Rejected:
            return {}
        points, instants = snapshot.instants(state.points, state.newest)
        newest = dict(zip(points.tolist(), instants.tolist(), strict=True))
        twins: dict[Key, Instance] = {}
        for key in wanted:
            rows, twin = state.rules.get(key[0]), self._engine.twin(key)
            if twin is not None and rows is not None and rows.print == self._engine.print(key[0]):
                twins[key] = twin
        for rule in {rule for rule, _ in twins}:
            snapshot.unpack(state.rules[rule], lambda device, rule=rule: twins.get((rule, device)))  # type: ignore[misc]
        for rule, device, dumped in state.instances:
            if twin := twins.get((rule, device)):
                load(twin, dumped)
        bases = {
            key: _Base(twin, {p: newest.get(p, NEVER) for p in twin.points}, at - HORIZON)
            for key, twin in twins.items()
        }
        return {key: base for key, base in bases.items() if max(base.newest.values()) < wanted[key]}

    # ------------------------------------------------------------ their readings

    def _rows(self, tx: Tx, bases: Mapping[Key, _Base], now: Ms) -> dict[Key, list[Row]]:
        """What each missed and all since, up to the newest reading that live operation has judged."""
        asked: list[tuple[Key, Point]] = []
        spans: list[tuple[Point, Ms, Ms]] = []
        for key, base in bases.items():
            for point in base.newest:
                known = self._table[point]
                begin = max(base.newest[point] + 1, base.begin)
                asked.append((key, known))
                spans.append((known, begin, max(begin, self._engine.newest(point) + 1)))
        out: dict[Key, list[Row]] = {key: [] for key in bases}
        for (key, mine), span, series in zip(asked, spans, self._past.ranges(spans), strict=True):
            out[key] += _readings(mine, series, now)
            if type(bases[key].instance).reset is not Instance.reset:
                out[key] += self._resets(tx, mine, span[1], span[2])
        return out

    def _resets(self, tx: Tx, point: Point, begin: Ms, end: Ms) -> list[Row]:
        events = tx.devices.events(self._site, point.id, begin, _EVENTS, COUNTER_RESET)
        return [Row(event.at, point.id, None) for event in events if event.at < end]


def _again(key: Key, base: _Base, rows: Iterable[Row], now: Ms) -> Again:
    since = max(base.newest.values(), default=NEVER)
    found = replay(base.instance, rows, now)
    return Again(key, Judged(*key, since, found), base.instance.dump())


def _readings(point: Point, series: Series, now: Ms) -> list[Row]:
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
