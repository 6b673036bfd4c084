"""Leaves that a profile does not name: nothing of a generic family is lost.

A number or boolean becomes a point named by its path, a text an attribute (or a text point where it
changes often). The names come from devices, so their number and length are bounded.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, TypeAlias

from dutyroom.errors import Rejected
from dutyroom.model.telemetry import PointSpec
from dutyroom.profiles.job import Here, Job
from dutyroom.profiles.leafnames import suffix_unit, taken_names
from dutyroom.profiles.leaves import Leaf, emit
from dutyroom.profiles.linear import NEVER, Linear, linear
from dutyroom.profiles.paths import MISSING, as_text, getter
from dutyroom.profiles.points import MOST
from dutyroom.profiles.privacy import guard_of
from dutyroom.profiles.profile import Layout, PointRule, Profile, RestRule
from dutyroom.profiles.restcode import Shapes, straight
from dutyroom.profiles.restnames import ALL, Together
from dutyroom.profiles.result import DecodedReading
from dutyroom.profiles.values import Convert, converter, stored
from dutyroom.quantities import QUANTITIES, quantities_of

MAX_LEAVES = 1000  # of a message
MAX_DEPTH = 32
MAX_NAMES = 5_000  # remembered by a layout; then all are forgotten, and those in use come again
MAX_NAME = 120

_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")


# (types, factor, divisor, added) of a number that is a point (see `linear`), its point, name, the leaf; () = left out.
_Quick: TypeAlias = tuple[frozenset[type], float, float, float, PointSpec, str, Leaf]


class _Place:
    """An object or list at one place of messages, and what is known of what stands in it. name: its path. depth: of how
    many others. skip: it is left out."""

    __slots__ = ("depth", "inner", "leaves", "name", "skip")

    def __init__(self, name: str, depth: int, skip: bool) -> None:
        self.name, self.depth, self.skip = name, depth, skip or depth >= MAX_DEPTH
        self.leaves: dict[str | int, _Quick | tuple[()]] = {}
        self.inner: dict[str | int, _Place] = {}

    def name_of(self, key: str | int) -> str:
        if isinstance(key, int):
            return f"{self.name}[{key}]"
        return f"{self.name}.{key}" if self.name else key


class Rest:
    """The compiled rule of one layout."""

    def __init__(
        self, layout: Layout, rule: RestRule, profile: Profile, key: bytes, together: Together = ALL
    ) -> None:
        """together: the layouts that share one bound of what is remembered."""
        self._rule = rule
        self._taken, self._alternatives = taken_names(layout, rule)
        self._doubtful = frozenset(n for paths in self._alternatives for _, n in paths) - self._taken
        self._known = frozenset(spec.name for spec in profile.points)  # names of the profile's own points
        self._get = getter([rule.source]) if rule.source is not None else None
        self._profile, self._key = profile, key
        # Of the whole message, and the same for each of several items.
        whole = rule.source is not None and rule.source.whole and not self._alternatives
        self._common = whole and bool(layout.each)
        self._leaves: dict[str, Leaf] = {}
        self._top = _Place("", 0, False)
        self._places = 0
        self._together = together
        together.join(self)
        # Objects of fields that come again and again; None: they do not.
        self._shapes = None if self._alternatives or rule.list_name else Shapes()
        # What stands below these is skipped whole: "can1*" names all of it.
        self._skipped = tuple(g[:-1] for g in rule.skip if g.endswith("*") and not set(g[:-1]) & set("*?["))

    @property
    def remembered(self) -> int:
        """How many names and places of them."""
        return self._places + len(self._leaves)

    def forget(self) -> None:
        """All of that: keys may be times or numbers of devices, so that no two messages have the same."""
        self._top, self._places, self._leaves = _Place("", 0, False), 0, {}

    def run(self, here: Here, job: Job) -> None:
        """Every unnamed leaf; null and empty containers are nothing."""
        if not self._common:
            self._run(here, job)
            return
        key = id(self)
        known = job.kept.get(key)
        if known is not None and known[0] == here.taken:
            _, readings, attributes = known
            at, quality, address = here.at, here.quality, here.address
            job.readings += [DecodedReading(address, r.spec, at, r.value, quality, r.text) for r in readings]
            job.attributes += [(address, name, value) for _, name, value in attributes]
            return
        count, others = len(job.readings), len(job.attributes)
        self._run(here, job)
        job.kept[key] = here.taken, job.readings[count:], job.attributes[others:]

    def _run(self, here: Here, job: Job) -> None:
        if self._places >= MAX_NAMES or len(self._leaves) >= MAX_NAMES:
            self.forget()
        root = self._get(here.item, job.document) if self._get is not None else here.item
        if self._rule.list_name:
            used = {here.taken, *self._used(here.item, job.document)}
            for count, (name, value) in enumerate(self._listed(root)):
                if count >= MAX_LEAVES:
                    raise _too_many()
                if value is None or name in used:
                    continue
                if not (leaf := self._known_leaf(name)).skip:
                    emit(leaf, value, here, job)
        elif isinstance(root, dict | list) and not (type(root) is dict and self._straight(root, here, job)):
            self._gather(root, here, job)

    def _straight(self, root: dict[str, Any], here: Here, job: Job) -> bool:
        """True where it is done."""
        shapes = self._shapes
        if shapes is None or not root:
            return False
        fields = (here.taken, *root)
        run = shapes.compiled.get(fields)
        if run is not None:
            return run(root, job.readings.append, here.address, here.at, here.quality, here, job)
        if shapes.useless:
            self._shapes = None
        elif shapes.often(fields):
            place = self._top
            found = [place.leaves[k] if k in place.leaves else self._entered(place, k) for k in root]
            leaves = [f[6] if f and f[5] != here.taken else None for f in found]
            skip = [k.startswith(self._skipped) for k in root]
            if any(type(v) in (dict, list) and not s for v, s in zip(root.values(), skip, strict=True)):
                shapes.refuse(fields)
            else:
                shapes.compiled[fields] = straight(leaves, skip, list(root.values()))
        return False

    def _gather(self, root: dict[str, Any] | list[Any], here: Here, job: Job) -> None:
        """The leaves of an object or list; null is nothing. Without recursion: a call costs as much as a few leaves.
        Raises Rejected, when some may have come out."""
        add, address, at, quality, taken = (
            job.readings.append,
            here.address,
            here.at,
            here.quality,
            here.taken,
        )
        place = self._top
        leaves, inner = place.leaves, place.inner
        around: list[tuple[Iterator[tuple[Any, Any]], _Place]] = []
        count, fresh = len(root), 0  # leaves, and of them those that are not known yet
        pairs = iter(root.items()) if isinstance(root, dict) else enumerate(root)
        while True:
            for key, child in pairs:
                kind = type(child)
                if kind is dict or kind is list:
                    within = inner.get(key) or self._inner(place, key)
                    if within.skip:
                        count -= 1
                        continue
                    around.append((pairs, place))
                    place, leaves, inner = within, within.leaves, within.inner
                    count += len(child) - 1
                    pairs = iter(child.items()) if kind is dict else enumerate(child)
                    break
                if child is None:
                    continue
                try:
                    found = leaves[key]
                except KeyError:
                    fresh += 1
                    if fresh > MAX_LEAVES:
                        raise _too_many() from None
                    found = self._entered(place, key)
                if not found:
                    continue
                types, factor, divisor, added, spec, name, leaf = found
                if name == taken:
                    continue
                if kind in types and -MOST <= (number := child * factor / divisor + added) <= MOST:
                    add(DecodedReading(address, spec, at, number, quality, None))
                elif leaf.doubtful and name in self._used(here.item, job.document):
                    continue
                elif kind is str and leaf.guard is None and not leaf.text_point:
                    job.attributes.append((address, name, stored(child)))
                else:
                    emit(leaf, child, here, job)
            else:
                if not around:
                    break
                pairs, place = around.pop()
                leaves, inner = place.leaves, place.inner
        if count > MAX_LEAVES:  # what lies behind would be lost unseen
            raise _too_many()

    def _entered(self, place: _Place, key: str | int) -> _Quick | tuple[()]:
        leaf = self._known_leaf(place.name_of(key))
        found = () if leaf.skip else (*leaf.short[:4], leaf.number, leaf.name, leaf)
        if self._places < MAX_NAMES:
            place.leaves[key] = found
            self._places += 1
            self._together.one_more()
        return found

    def _inner(self, place: _Place, key: str | int) -> _Place:
        skip = place is self._top and type(key) is str and key.startswith(self._skipped)
        found = _Place(place.name_of(key), place.depth + 1, skip)
        if self._places < MAX_NAMES:
            place.inner[key] = found
            self._places += 1
            self._together.one_more()
        return found

    def _known_leaf(self, name: str) -> Leaf:
        leaf = self._leaves.get(name)
        if leaf is None:
            leaf = self._leaf(name)
            if len(self._leaves) < MAX_NAMES:
                self._leaves[name] = leaf
                self._together.one_more()
        return leaf

    def _used(self, item: object, document: object) -> set[str]:
        used: set[str] = set()
        for paths in self._alternatives:
            for get, name in paths:
                if get(item, document) not in (MISSING, None):
                    used.add(name)
                    break
        return used

    def _listed(self, root: object) -> Iterator[tuple[str, object]]:
        for element in root if isinstance(root, list) else ():
            if isinstance(element, dict):
                name, value = as_text(element.get(self._rule.list_name)), element.get(self._rule.list_value)
                if name is not None:
                    yield from flat(value, name)

    def _leaf(self, name: str) -> Leaf:
        rule = self._rule
        bad = len(name) > MAX_NAME or not name or _UNSAFE.search(name) is not None
        quantity, unit, own = self._meaning(name)
        if own in self._known:
            own = name if name not in self._known else f"{name}.raw"
        number = PointSpec(own, quantity, QUANTITIES[quantity].unit)
        guard = guard_of(self._profile, (name, name.rpartition(".")[2]), self._key)
        attribute = _any(name, rule.attributes)
        skip = bad or name in self._taken or _any(name, rule.skip)
        convert, short = _of_unit(quantity, unit)
        doubtful = name in self._doubtful
        return Leaf(
            name=name,
            skip=skip,
            attribute=attribute,
            text_point=_any(name, rule.texts),
            number=number,
            convert=convert,
            short=short if guard is None and not attribute and not skip and not doubtful else NEVER,
            guard=guard,
            doubtful=doubtful,
        )

    def _meaning(self, name: str) -> tuple[str, str, str]:
        """(quantity, unit of the payload, point name)."""
        for glob, unit in self._rule.units.items():
            if fnmatch.fnmatchcase(name, glob):
                return quantities_of(unit)[0], unit, name
        found = suffix_unit(name) if self._rule.suffix else None
        if found is not None:
            quantity, unit, base = found
            # Names carry no unit, but flow_c and flow_m3h must not become one point.
            return quantity, unit, base if quantity in base else f"{base}_{quantity}"
        return "number", "", name


@lru_cache(1024)
def _of_unit(quantity: str, unit: str) -> tuple[Convert, Linear]:
    """What becomes of numbers of all names with this unit."""
    rule = PointRule(PointSpec("", quantity, QUANTITIES[quantity].unit), (), unit)
    return converter(rule), linear(rule)


def _too_many() -> Rejected:
    return Rejected(f"more than {MAX_LEAVES} fields that no point names")


def _any(name: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, glob) for glob in globs)


def flat(value: object, name: str = "", depth: int = 0) -> Iterator[tuple[str, object]]:
    """Every leaf with its path: a.b[0].c."""
    if isinstance(value, dict):
        prefix = f"{name}." if name else ""
        for key, child in value.items() if depth < MAX_DEPTH else ():
            if type(child) is dict or type(child) is list:
                yield from flat(child, prefix + key, depth + 1)
            else:
                yield prefix + key, child
    elif isinstance(value, list):
        if depth < MAX_DEPTH:
            for number, child in enumerate(value):
                yield from flat(child, f"{name}[{number}]", depth + 1)
    elif value is not MISSING:
        yield name, value
