"""States of the rules from which an instance can be judged again.

Every few hours the state of all rules is set aside. It spoils for an instance that is given a reading
from before then: the replay that puts the reading in its place gives, on its way, the state as it
should have been at that moment, which is kept instead. So whatever comes late has a state that knows
nothing as new, and everything older. A further one, of some minutes ago, makes the next look short.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from dutyroom.errors import Rejected
from dutyroom.interfaces import Tx
from dutyroom.rules import snapshot
from dutyroom.rules.columns import NEVER
from dutyroom.rules.engine import AHEAD, HORIZON, Engine
from dutyroom.rules.kind import Instance
from dutyroom.rules.replay import Mark, Pause
from dutyroom.rules.roster import Key, load
from dutyroom.timebase import HOUR, MINUTE, Ms

BLOB = "watch.late"
_EVERY: Ms = 4 * HOUR  # between two states set aside
_MOST = 14
_NEAR: Ms = 10 * MINUTE  # before now: what swaps on its way does so within it


class Aside(msgspec.Struct):
    """A state set aside. at: when; name: of its blob, "" = nothing was known then."""

    at: Ms
    name: str


class Mended(msgspec.Struct, array_like=True):
    """The state of an instance as it should have been at an instant. since: of the newest
    that it knows; print: of its rule; state: MessagePack of what `dump` gave; after: point and the newest of it
    that had come by then: what is older than `at` may come as new to its point later."""

    at: Ms
    since: Ms
    print: str
    state: bytes
    after: list[tuple[int, Ms]] = []


class Kept(msgspec.Struct):
    """What must not be lost: states set aside, and what was missed (rule, object, since)."""

    aside: list[Aside] = []
    missed: list[tuple[str, str, Ms]] = []
    number: int = 0
    pauses: list[tuple[Ms, Ms]] = []  # in which no device was heard


@dataclass(frozen=True, slots=True)
class Base:
    """An instance as it was at an instant. since: of the newest that it knew: a reading, or what time alone had
    decided; after: of each of its points, what is newer is to be read; marks: instants at which its state is
    wanted on the way."""

    instance: Instance
    at: Ms
    since: Ms
    after: Mapping[int, Ms]
    marks: Sequence[Ms] = ()


class States:
    """One per site; belongs to `Late`."""

    def __init__(self, site: str, engine: Engine) -> None:
        self._site, self._engine = site, engine
        self._aside: list[Aside] = []
        self._number = 0
        self._mended: dict[str, dict[Key, Mended]] = {}  # by name of the state set aside
        self._near: dict[Key, Mended] = {}
        self._stale: set[str] = set()  # names whose mended ones are not stored as they are now
        self._read: tuple[str, snapshot.State] | None = None  # the one that was read last

    # ------------------------------------------------------------ kept

    def start(self, tx: Tx, now: Ms, known: bool) -> list[tuple[str, str, Ms]]:
        """Returns what was missed. known: the rules have a state from before."""
        data = tx.blob(self._site, BLOB)
        if data is None:
            self._aside = [] if known else [Aside(now, "")]
            return []
        kept = msgspec.msgpack.decode(data, type=Kept)
        self._aside, self._number = kept.aside, kept.number
        self._engine.pauses = [Pause(*times) for times in kept.pauses]
        for aside in self._aside:
            if aside.name and (data := tx.blob(self._site, _mended(aside.name))):
                rows = msgspec.msgpack.decode(data, type=list[tuple[str, str, Mended]])
                self._mended[aside.name] = {(rule, object): row for rule, object, row in rows}
        return kept.missed

    def keep(self, tx: Tx, now: Ms, state: bytes, missed: Mapping[Key, Ms]) -> None:
        """With each snapshot of the rules, in its transaction."""
        aside = self._aside
        if not aside or now - aside[-1].at >= _EVERY or now < aside[-1].at:
            self._number += 1
            aside.append(Aside(now, f"{BLOB}.{self._number % 16}"))
            tx.put_blob(self._site, aside[-1].name, state)
        oldest = min([now - HORIZON, *missed.values()])
        while len(aside) > _MOST or (len(aside) > 1 and aside[1].at <= oldest):
            self._drop(tx, aside.pop(0).name)
        for name in self._stale:
            rows = [(*key, row) for key, row in self._mended.get(name, {}).items()]
            tx.put_blob(self._site, _mended(name), msgspec.msgpack.encode(rows))
        self.note(tx, missed)

    def note(self, tx: Tx, missed: Mapping[Key, Ms]) -> None:
        """What was missed until now, between two snapshots."""
        pauses = [(pause.at, pause.until) for pause in self._engine.pauses]
        kept = Kept(
            self._aside, [(*key, since) for key, since in sorted(missed.items())], self._number, pauses
        )
        tx.put_blob(self._site, BLOB, msgspec.msgpack.encode(kept))

    def _drop(self, tx: Tx, name: str) -> None:
        if name:
            tx.put_blob(self._site, name, b"")
            if self._mended.pop(name, None):
                tx.put_blob(self._site, _mended(name), b"")
            self._stale.discard(name)

    def kept(self, now: Ms) -> None:
        """After that transaction."""
        self._stale.clear()
        self._read = None
        old = [key for key, row in self._near.items() if row.at < now - _EVERY]
        for key in old:
            del self._near[key]

    # ------------------------------------------------------------ from which state

    def bases(self, tx: Tx, missed: Mapping[Key, Ms], now: Ms) -> dict[Key, Base]:
        """Of each the youngest state that knows nothing as new as what it missed."""
        found: dict[Key, Base] = {}
        for key, since in missed.items():
            self._put(found, key, self._near.get(key), since, now)
        for aside in reversed(self._aside):
            if len(found) == len(missed):
                break
            mended = self._mended.get(aside.name, {})
            plain: dict[Key, Ms] = {}
            for key, since in missed.items():
                if key in found:
                    continue
                if key in mended:  # the state set aside does not know all that it should
                    self._put(found, key, mended[key], since, now)
                elif aside.at < since:
                    plain[key] = since
            if plain and aside.name:
                found |= self._set_aside(tx, aside, plain, now)
            elif not aside.name:
                found |= self._from_nothing(aside, [key for key in missed if key not in found], now)
        return found

    def _put(self, found: dict[Key, Base], key: Key, row: Mended | None, since: Ms, now: Ms) -> None:
        if row is None or row.at >= since or row.print != self._engine.print(key[0]):
            return
        if (instance := self._engine.twin(key)) is not None:
            load(instance, msgspec.msgpack.decode(row.state))
            newest = dict(row.after)
            after = {point: newest.get(point, row.at) for point in instance.points}
            found[key] = Base(instance, row.at, row.since, after, self._marks(row.at, since, now))

    def _from_nothing(self, aside: Aside, keys: Iterable[Key], now: Ms) -> dict[Key, Base]:
        begin = aside.at - HORIZON
        marks = self._marks(NEVER, NEVER, now)
        twins = {key: self._engine.twin(key) for key in keys}
        return {
            key: Base(twin, NEVER, NEVER, dict.fromkeys(twin.points, begin - 1), marks)
            for key, twin in twins.items()
            if twin is not None
        }

    def _marks(self, base: Ms, since: Ms, now: Ms) -> list[Ms]:
        """The states set aside that are spoilt by what was missed, and the near one."""
        spoilt = [a.at for a in self._aside if a.name and a.at > base and a.at + AHEAD >= since]
        return sorted({*spoilt, *([now - _NEAR] if now - _NEAR > base else [])})

    def _set_aside(self, tx: Tx, aside: Aside, wanted: Mapping[Key, Ms], now: Ms) -> dict[Key, Base]:
        state = self._state(tx, aside.name)
        if state is None:
            return {}
        points, instants = snapshot.instants(state.points, state.newest)
        newest = dict(zip(points.tolist(), instants.tolist(), strict=True))
        found = {}
        for key, twin in self._twins(state, wanted).items():
            knows = {p: newest.get(p, NEVER) for p in twin.points}
            since = max(knows.values(), default=NEVER)
            if max(since, twin.turned) < wanted[key]:  # by a clock that is ahead time alone has said more
                after = {p: max(at, aside.at - HORIZON - 1) for p, at in knows.items()}
                found[key] = Base(
                    twin, aside.at, max(since, aside.at), after, self._marks(aside.at, wanted[key], now)
                )
        return found

    def _state(self, tx: Tx, name: str) -> snapshot.State | None:
        if self._read is None or self._read[0] != name:
            data = tx.blob(self._site, name)
            try:
                self._read = (name, snapshot.read(data)) if data else None
            except Rejected:
                self._read = None
        return None if self._read is None else self._read[1]

    def _twins(self, state: snapshot.State, wanted: Iterable[Key]) -> dict[Key, Instance]:
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
        return twins

    # ------------------------------------------------------------ mended

    def mend(self, key: Key, since: Ms, marks: Iterable[Mark]) -> None:
        """What a replay gave on its way. since: of what was missed."""
        near = self._near.get(key)
        if near is not None and near.at >= since:
            del self._near[key]
        by_instant = {aside.at: aside.name for aside in self._aside if aside.name}
        for mark in marks:
            state = msgspec.msgpack.encode(mark.dumped)
            after = list(mark.newest.items())
            row = Mended(mark.at, mark.since, self._engine.print(key[0]), state, after)
            name = by_instant.get(mark.at)
            if name is None:
                self._near[key] = row
            else:
                self._mended.setdefault(name, {})[key] = row
                self._stale.add(name)


def _mended(name: str) -> str:
    return f"{name}.mended"
