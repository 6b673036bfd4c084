"""The points of a layout in the order that costs least: what a message does not hold is not looked for.

Points that are a plain field, at the top or in an object of the item, are read in one loop; of all others
only those whose object is there are run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import fields
from typing import TypeAlias

from dutyroom.model.telemetry import Kind
from dutyroom.profiles.codecs.seam import LEFT, READY, Finish
from dutyroom.profiles.job import Here, Job
from dutyroom.profiles.meter import PARAMETER
from dutyroom.profiles.paths import MISSING, Getter, Key, Keys, Path, getter
from dutyroom.profiles.points import PointProgram, Quick
from dutyroom.profiles.profile import PointRule
from dutyroom.profiles.result import DecodedReading
from dutyroom.profiles.tables import Table, read_fields, read_shared
from dutyroom.profiles.ways import NamedPoints, One, TestedPoint, inside, leading, take, take_long

Keyed: TypeAlias = tuple[str, ...]
Tables: TypeAlias = tuple[bool, Keyed, tuple[Table, ...]]  # of the whole message, object, its fields
Sought: TypeAlias = tuple[Getter, Quick]
Choice: TypeAlias = tuple[tuple[Keyed, ...], Quick]  # the first of several paths that is there
Measured: TypeAlias = tuple[
    tuple[str, ...], tuple[tuple[str, Getter, Quick], ...]
]  # object, its fields, units
# Field of the item; what may be in it, and its points; their numbers by that name, where all have one.
Nested: TypeAlias = tuple[str, tuple[tuple[str, One], ...], dict[str, list[int]] | None]

# What a conversion knows all about, or the point itself; every other field makes a rule a special one.
_CONVERTED = frozenset(
    {"spec", "paths", "unit", "scale", "scale_by", "offset", "mapping", "otherwise", "none", "wrap"}
)
_MEASURED = _CONVERTED | {"unit_path"}
_TESTED = _CONVERTED | {"value", "names", "when", "absent"}
_OF_FIELD = _CONVERTED | {"when", "time", "unit_path"}
_OF_SERIES = _OF_FIELD | {"each", "value", "names", "absent", "sum_from", "sum_down"}


class PointPlan:
    """All points of a layout."""

    def __init__(
        self,
        rules: Sequence[PointRule],
        programs: Sequence[PointProgram],
        private: bool,
        several: bool = False,
    ) -> None:
        """private: some names are personal, so what is named by the message is looked at one by one. several: a message
        may have several items."""
        self._programs = tuple(programs)
        listed = tuple(zip(rules, programs, strict=True))
        self._usual = _Sorted(listed, True, private, several)
        self._metered = _Sorted(listed, False, private, several)  # registers of the device's own kind apart
        self._specs = [rule.spec for rule in rules]
        places = {id(point): place for place, point in enumerate(programs)}
        fixed = {name for name, _ in self._metered.plain()}
        self.finishes = {
            name: _finish(places[id(quick[8])], quick, name not in fixed)
            for name, quick in self._usual.plain()
            if quick[0]  # a personal value goes the long way
        }
        self._registers = frozenset(f.place for f in self.finishes.values() if f.register)

    def run(self, here: Here, job: Job) -> None:
        item = here.item
        if type(item) is not dict:
            for point in self._programs:
                point.run(here, job)
            return
        metered = PARAMETER in here.parameters
        ready, left = item.get(READY), item
        if ready is not None:
            left = item[LEFT]
            if metered:
                ready = {n: v for n, v in ready.items() if n not in self._registers}
            address, specs, at, quality = here.address, self._specs, here.at, here.quality
            job.readings += [
                DecodedReading(address, specs[n], at, v, quality, None) for n, v in ready.items()
            ]
        (self._metered if metered else self._usual).run(item, left, here, job)


class _Sorted:
    """others: field of the item, and what may be in it ("" = whatever it is)."""

    __slots__ = ("_choices", "_measured", "_others", "_several", "_sought", "_tables", "_top")

    def __init__(
        self,
        listed: Sequence[tuple[PointRule, PointProgram]],
        registers: bool,
        private: bool,
        several: bool,
    ) -> None:
        self._several = several
        tables: dict[tuple[bool, Keyed], list[Table]] = {}
        sought: list[Sought] = []
        choices: list[Choice] = []
        measured: dict[tuple[str, ...], list[tuple[str, Getter, Quick]]] = {}
        others: list[tuple[str, list[tuple[str, One]]]] = []
        for rule, point in listed:
            plain = not _special(rule) and (registers or _fixed(rule))
            path = _keys(rule)
            if plain and path and rule.unit_path is not None and _only(rule, _MEASURED):
                with_unit = (path[-1], getter([rule.unit_path]), point.quick)
                measured.setdefault(path[:-1], []).append(with_unit)
            elif not _only(rule, _CONVERTED) or not plain:
                key, inner = _place(rule)
                if not others or others[-1][0] != key:
                    others.append((key, []))
                shared = registers or _fixed(rule)  # the same for all devices
                if shared and not private and _named(rule):
                    others[-1][1].append((inner, NamedPoints(rule, point.quick)))
                elif plain and _only(rule, _TESTED):
                    others[-1][1].append((inner, TestedPoint(rule, point.quick)))
                else:
                    others[-1][1].append((inner, point))
            elif path:
                _enter(tables.setdefault((False, path[:-1]), []), path[-1], point.quick)
            elif len(rule.paths) == 1 and (path := _named_keys(rule.paths[0])):
                _enter(tables.setdefault((True, path[:-1]), []), path[-1], point.quick)
            elif rule.paths and all(_bare(p) for p in rule.paths):
                choices.append((tuple(leading(p) for p in rule.paths), point.quick))
            else:
                sought.append((getter(rule.paths), point.quick))
        self._top: tuple[Table, ...] = tuple(tables.pop((False, ()), ()))
        self._tables: tuple[Tables, ...] = tuple((*at, tuple(several)) for at, several in tables.items())
        self._choices = tuple(choices)
        self._sought = tuple(sought)
        self._measured: tuple[Measured, ...] = tuple((at, tuple(found)) for at, found in measured.items())
        self._others: tuple[Nested, ...] = tuple(
            (key, tuple(found), _by_name(found)) for key, found in others
        )

    def plain(self) -> Iterator[tuple[str, Quick]]:
        """Fields of the item, and the point that each of them is."""
        for table in self._top[:1]:
            yield from table.items()

    def run(self, item: dict[str, object], left: dict[str, object], here: Here, job: Job) -> None:
        """left: the fields of the item that are no readings yet."""
        for fields_of in self._top:
            read_fields(fields_of, left, here, job)
        document = job.document
        for whole, path, known in self._tables:
            table = inside(document if whole else item, path)
            if type(table) is dict:
                if whole and self._several:
                    read_shared(known, table, here, job)
                    continue
                for fields_of in known:
                    read_fields(fields_of, table, here, job)
        for paths, found in self._choices:
            for path in paths:
                raw = inside(item, path)
                if raw is not None:
                    take(raw, found, found[7], here, job)
                    break
        for get, found in self._sought:
            raw = get(item, document)
            if raw is not None and raw is not MISSING:
                take(raw, found, found[7], here, job)
        for path, measured in self._measured:
            table = inside(item, path)
            if type(table) is not dict:
                continue
            for key, get_unit, quick in measured:
                raw = table.get(key)
                if raw is not None:
                    unit = get_unit(item, document)
                    point = quick[8]
                    convert = point.units.get(unit) if type(unit) is str else None
                    convert = convert or point.in_unit(unit)
                    take_long(raw, quick, convert, quick[7], here, job)
        for key, listed, by_name in self._others:
            within = item.get(key) if key else None
            if key and (within is None or within == {}):
                continue
            if by_name is None:
                for inner, one in listed:
                    if not inner or (type(within) is dict and inner in within):
                        one.run(here, job)
            elif type(within) is dict:  # of dozens those few that are there, in the profile's order
                for place in sorted([at for inner in within for at in by_name.get(inner, ())]):
                    listed[place][1].run(here, job)


def _by_name(listed: Sequence[tuple[str, object]]) -> dict[str, list[int]] | None:
    """None where one of the points may read whatever is there, or they are few."""
    if len(listed) < 4 or not all(name for name, _ in listed):
        return None
    found: dict[str, list[int]] = {}
    for number, (name, _) in enumerate(listed):
        found.setdefault(name, []).append(number)
    return found


def _enter(several: list[Table], key: str, quick: Quick) -> None:
    """A field that several points read stands in as many tables."""
    for fields_of in several:
        if key not in fields_of:
            fields_of[key] = quick
            return
    several.append(Table(key, quick))


def _finish(place: int, quick: Quick, register: bool) -> Finish:
    types, factor, divisor, added, steps, low, high, spec, _ = quick
    return Finish(place, spec.name, types, factor, divisor, added, low, high, steps, register)


def _only(rule: PointRule, known: frozenset[str]) -> bool:
    """True when nothing else is said of the point than these fields."""
    return all(
        field.name in known
        or getattr(rule, field.name) == ({} if field.default is NO_DEFAULT else field.default)
        for field in fields(rule)
    )


def _special(rule: PointRule) -> bool:
    return rule.device_wrap or "{" in rule.spec.name or any(not path.single for path in rule.paths)


def _named(rule: PointRule) -> bool:
    """ "{x}" from `a.b.{x}`: every field gives a point of its name."""
    path = rule.paths[0] if len(rule.paths) == 1 else None
    last = path.steps[-1] if path is not None and path.steps else None
    if path is None or path.whole or not isinstance(last, Keys) or len(leading(path)) != len(path.steps) - 1:
        return False
    own = last.capture != "" and rule.spec.name == f"{{{last.capture}}}"
    return own and not rule.device_wrap and _only(rule, _CONVERTED)


def _fixed(rule: PointRule) -> bool:
    """True when a device row cannot say anything about it."""
    return rule.spec.kind is not Kind.COUNTER


def _keys(rule: PointRule) -> tuple[str, ...]:
    """The one path, where it is keys from the item on; else ()."""
    return leading(rule.paths[0]) if len(rule.paths) == 1 and _bare(rule.paths[0]) else ()


def _bare(path: Path) -> bool:
    return not path.whole and all(isinstance(step, Key) for step in path.steps)


def _named_keys(path: Path) -> Keyed:
    """Of a path that is nothing but keys; else ()."""
    names = tuple(step.name for step in path.steps if isinstance(step, Key))
    return names if len(names) == len(path.steps) else ()


def _place(rule: PointRule) -> tuple[str, str]:
    """(field of the item, field in that one) without which the point gives nothing; "" = not known."""
    if rule.each is not None and _only(rule, _OF_SERIES):
        return _two(rule.each)
    if rule.each is None and len(rule.paths) == 1 and _only(rule, _OF_FIELD):
        return _two(rule.paths[0])
    return "", ""


def _two(path: Path) -> tuple[str, str]:
    first, second, *_ = (*leading(path), "", "")
    return first, second
