"""Flat JSON in bulk: payloads of one kind in, columns of values out; which payloads need a careful look.

A layout that is plain (JSON, the device named by the topic, every point a field of its own) is compiled to
a typed struct and numpy conversions. What comes out is, to the last bit, what `Library.decode` gives; a
payload that is unusual in any way is left to it. So this may only be quick, never different.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from dutyroom.model.telemetry import Bools, Floats, Kind, Longs, PointSpec, Scalar
from dutyroom.profiles.attempt import Candidate
from dutyroom.profiles.decode import Library
from dutyroom.profiles.job import Known
from dutyroom.profiles.linear import NEVER, linear
from dutyroom.profiles.meter import PARAMETER, read_parameter
from dutyroom.profiles.paths import Captures, Key, Path, template
from dutyroom.profiles.points import MOST, limits
from dutyroom.profiles.profile import Layout, PointRule, Profile, TimeRule
from dutyroom.profiles.program import MAX_ADDRESS
from dutyroom.profiles.times import NEWEST, OLDEST, ReadTime, reader
from dutyroom.profiles.values import Convert, affine_steps, converter, factor_of
from dutyroom.timebase import zone

Row: TypeAlias = Any  # a struct of a form

_NUMBER: Final = float | None
_CODE: Final = int | None
_TEXT: Final = str | None
_ANY: Final = int | float | str | bool | None
_OF_TOPIC: Final = re.compile(r"(?:[^{}]|\{[A-Za-z_][A-Za-z0-9_]*\})+\Z")  # a template of topic levels alone
_FORGOTTEN = 10_000  # different values of an enumerated field that are remembered
_SCALES = {"epoch_s": 1000, "epoch_ms": 1, "epoch_min": 60_000, "epoch_h": 3_600_000, "auto": 0}
_EXACT = 2**53  # whole numbers below it are exact as floats too, which `times` computes with
_USUAL_STEPS = 2.0**40
_USUAL = frozenset({"spec", "paths", "unit", "scale", "scale_by", "offset", "mapping", "otherwise"})


@dataclass(frozen=True, slots=True)
class Columns:
    """Of n payloads and the points of a form. careful: payloads that this way cannot read as it must."""

    values: Floats  # [n, points]
    present: Bools  # [n, points]
    careful: Bools  # [n]
    at: Longs | None  # [n] device time; None = the layout has none


@dataclass(frozen=True, slots=True)
class _Number:
    """A numeric field: value = raw * by * factor / divisor + added, in the order of `values` and `linear`;
    of a counter rounded to whole steps."""

    get: Callable[[Row], float | None]
    low: float
    high: float
    by: float  # the device's own factor
    factor: float
    divisor: float
    added: float
    certain: tuple[float, float] | None = (
        None  # counters: between these the rounding is that of the exact product
    )

    def take(self, rows: Sequence[Row]) -> tuple[Floats, Bools, Bools]:
        """-> values, present, careful"""
        raw = np.array(list(map(self.get, rows)), np.float64)
        present = ~np.isnan(raw)
        with np.errstate(all="ignore"):
            # Of a value as it is, which most are, nothing is computed but what makes a negative zero one.
            scaled = raw if self.by == self.factor == self.divisor == 1.0 else self._scaled(raw)
            values = scaled + self.added
            good = present
            if self.certain is not None:
                near, values = values, np.rint(values) + 0.0  # no negative zero
                # Far from a tie; of registers of usual size a float is wrong by less than a thousandth.
                usual = (np.abs(near) < _USUAL_STEPS) & (self.added == 0.0)
                far = np.abs(near - values) < np.where(usual, 0.49, 0.25)
                good = (near > self.certain[0]) & (near < self.certain[1]) & far
            good = good & (values >= self.low) & (values <= self.high)
        return values, present, present & ~good

    def _scaled(self, raw: Floats) -> Floats:
        return raw * self.by * self.factor / self.divisor


@dataclass(frozen=True, slots=True)
class _Looked:
    """A field whose values are few: each is converted once. Texts too: their number is 0."""

    get: Callable[[Row], Scalar | None]
    low: float
    high: float
    convert: Convert
    parameters: Mapping[str, Scalar]
    known: dict[tuple[type, Scalar | None], float] = field(default_factory=dict)

    def take(self, rows: Sequence[Row]) -> tuple[Floats, Bools, Bools]:
        known, get = self.known, self.get
        raws = list(map(get, rows))
        keys = list(zip(map(type, raws), raws, strict=True))  # 1 and true are one key of a dict
        if len(known) > _FORGOTTEN:
            known.clear()
        for key in set(keys).difference(known):
            known[key] = self._one(key[1])
        values = np.array([known[key] for key in keys], np.float64)
        present = ~np.isinf(values)
        return values, present, present & np.isnan(values)

    def _one(self, raw: Scalar | None) -> float:
        """NaN: not for us. Infinite: no reading."""
        if raw is None:
            return math.inf
        value = self.convert(raw, self.parameters)
        return value if type(value) is float and self.low <= value <= self.high else math.nan


@dataclass(frozen=True, slots=True)
class _Time:
    """scale: milliseconds in one of the numbers, 0 = by their size; None = look at each."""

    get: Callable[[Row], Scalar | None]
    read: ReadTime
    scale: int | None

    def take(self, rows: Sequence[Row], received: Longs) -> tuple[Longs, Bools]:
        """-> instants, careful: no time, or one that cannot be true"""
        raws = list(map(self.get, rows))
        quick = self._numbers(raws)
        if quick is not None:
            age = received - quick
            return quick, (age > OLDEST) | (age < -NEWEST)
        read = self.read
        found = [read(raw) for raw in raws]
        careful = np.array([at is None for at in found], np.bool_)
        at = np.array([0 if at is None else at for at in found], np.int64)
        age = received - at
        return at, careful | (age > OLDEST) | (age < -NEWEST)

    def _numbers(self, raws: list[Scalar | None]) -> Longs | None:
        """Whole numbers of usual size at once; None = one by one."""
        if self.scale is None or set(map(type, raws)) != {int}:
            return None
        try:
            values = np.array(raws, np.int64)
        except OverflowError:
            return None
        if self.scale:
            return values * self.scale if np.all(np.abs(values) < _EXACT // self.scale) else None
        seconds = values < 100_000_000_000
        usual = bool(np.all((values >= 0) & (values < 100_000_000_000_000)))
        return np.where(seconds, values * 1000, values) if usual else None


@dataclass(frozen=True, slots=True)
class Form:
    """A plain layout, for devices with the same parameters."""

    profile: str
    specs: tuple[PointSpec, ...]
    texts: tuple[tuple[int, Callable[[Row], str | None]], ...]  # (place in specs, field)
    attributes: tuple[tuple[str, Callable[[Row], Scalar | None]], ...]
    _decode: Callable[[bytes], Row]
    _columns: tuple[_Number | _Looked, ...]
    _time: _Time | None

    @property
    def timed(self) -> bool:
        """Whether the device says when."""
        return self._time is not None

    def decode(self, payload: bytes) -> Row | None:
        """The fields of a payload; None = look carefully."""
        try:
            return self._decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    def decode_all(self, payloads: Sequence[bytes]) -> list[Row] | None:
        """Of all payloads; None = one of them wants care."""
        try:
            return list(map(self._decode, payloads))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    def columns(self, rows: Sequence[Row], received: Longs) -> Columns:
        """received: ms UTC, by row."""
        values = np.empty((len(rows), len(self._columns)), np.float64)
        present = np.empty(values.shape, np.bool_)
        careful = np.zeros(len(rows), np.bool_)
        for place, column in enumerate(self._columns):
            values[:, place], present[:, place], odd = column.take(rows)
            careful |= odd
        at = None
        if self._time is not None:
            at, odd = self._time.take(rows, received)
            careful |= odd
        return Columns(values, present, careful, at)


def named_by_topic(layout: Layout) -> bool:
    """Whether the topic alone says whose message it is."""
    return len(layout.identity) == 1 and _OF_TOPIC.match(layout.identity[0]) is not None


def reader_of(library: Library, topic: str, known: Known) -> tuple[Profile, Layout, str] | None:
    """(profile, layout, address) of the plain layout that reads every message of a topic, of a registered
    device; None where that is for each message to say."""
    groups, captures = library._for_topic(topic)
    for group in groups:
        if not all(_asks_topic(c.profile.layouts[n]) for c in group.candidates for n, _ in c.places):
            return None
        first = group.candidates[0]
        address = _address(first, captures)
        found = [
            c for c in group.registered((address,), known) if address and _address(c, captures) == address
        ]
        if found:
            profile, number = found[0].profile, found[0].places[0][0]
            return profile, profile.layouts[number], address
    return None


def _asks_topic(layout: Layout) -> bool:
    return named_by_topic(layout) and [s.kind for s in layout.unwrap] == ["json"]


def _address(candidate: Candidate, captures: Mapping[str, Captures]) -> str:
    number, where = candidate.places[0]
    found = template(candidate.profile.layouts[number].identity[0])(captures[where], None, None)
    return found if found and len(found) <= MAX_ADDRESS and found.isprintable() else ""


def form_of(profile: Profile, layout: Layout, parameters: Mapping[str, Scalar], tz: ZoneInfo) -> Form | None:
    """None where the layout is not plain. parameters: of the devices."""
    if not _plain(profile, layout):
        return None
    known = {**profile.parameters, **parameters}
    rules = [_on_device(rule, known) for rule in layout.points]
    fields = _Struct()
    texts: list[tuple[int, Callable[[Row], str | None]]] = []
    columns: list[_Number | _Looked] = []
    for place, rule in enumerate(rules):
        path = _keys(rule.paths) or ()
        if rule.spec.kind is Kind.TEXT and not rule.mapping:
            texts.append((place, fields.asked(path, _TEXT)))
            columns.append(_text(texts[-1][1]))
        else:
            columns.append(_column(rule, path, known, fields))
    attributes = tuple(
        (name, fields.asked(_keys(paths) or (), _ANY)) for name, paths in layout.attributes.items()
    )
    time = _clock(layout.time, tz, fields) if layout.time is not None else None
    specs = tuple(rule.spec for rule in rules)
    if (
        (layout.time is not None and time is None)
        or not fields.clear
        or len(specs) != len({s.name for s in specs})
    ):
        return None
    decoder: Any = msgspec.json.Decoder(fields.made())
    return Form(profile.id, specs, tuple(texts), attributes, decoder.decode, tuple(columns), time)


def _plain(profile: Profile, layout: Layout) -> bool:
    return (
        [s.kind for s in layout.unwrap] == ["json"]
        and not (layout.when or layout.each or layout.events or profile.privacy)
        and not any(
            (layout.ignore, layout.reject, layout.rest, layout.decoder, layout.source, layout.sequence)
        )
        and named_by_topic(layout)
        and bool(layout.points)
        and all(_usual(rule) for rule in layout.points)
        and all(_keys(paths) for paths in layout.attributes.values())
    )


_BARE = PointRule(PointSpec(""), ())


def _usual(rule: PointRule) -> bool:
    """Nothing but a field and its conversion."""
    others = rule.__dataclass_fields__.keys() - _USUAL
    same = all(getattr(rule, name) == getattr(_BARE, name) for name in others)
    return same and "{" not in rule.spec.name and _keys(rule.paths) is not None


def _keys(paths: Sequence[Path]) -> tuple[str, ...] | None:
    """Of the one field that they name; None = something else."""
    if len(paths) != 1 or not paths[0].steps:
        return None
    names = tuple(step.name for step in paths[0].steps if isinstance(step, Key))
    return names if len(names) == len(paths[0].steps) else None


def _on_device(rule: PointRule, parameters: Mapping[str, Scalar]) -> PointRule:
    """As `PointProgram` has it on a device with these parameters."""
    text = parameters.get(PARAMETER)
    if text is None or rule.spec.kind is not Kind.COUNTER:
        return rule
    return replace(rule, spec=read_parameter(text).spec(rule.spec))


def _column(
    rule: PointRule, path: tuple[str, ...], parameters: Mapping[str, Scalar], fields: _Struct
) -> _Number | _Looked:
    """rule: with the device's own spec."""
    low, high = limits(rule.spec)
    low, high = max(low, -MOST), min(high, MOST)
    by = factor_of(parameters, rule.scale_by) if rule.scale_by else 1.0
    if not rule.mapping and rule.spec.kind is Kind.COUNTER:
        a, b, *certain = affine_steps(rule)
        return _Number(fields.asked(path, _NUMBER), low, high, by, a, 1.0, b, (certain[0], certain[1]))
    short = linear(replace(rule, scale_by=""))
    if short is NEVER:
        return _Looked(fields.asked(path, _ANY), low, high, converter(rule), parameters)
    wanted = _CODE if rule.spec.kind is Kind.STATE else _NUMBER
    return _Number(fields.asked(path, wanted), low, high, by, short.factor, short.divisor, short.added)


def _text(get: Callable[[Row], Scalar | None]) -> _Looked:
    return _Looked(get, 0.0, 0.0, lambda raw, parameters: 0.0, {})


def _clock(rule: TimeRule, tz: ZoneInfo, fields: _Struct) -> _Time | None:
    path = _keys(rule.paths)
    if path is None or rule.ago is not None or rule.every is not None:
        return None
    scale = None if rule.since else _SCALES.get(rule.format)
    read = reader(rule.format, zone(rule.zone) if rule.zone else tz, rule.since)
    return _Time(fields.asked(path, _ANY), read, scale)


class _Struct:
    """The fields of a document that are read, as a struct type with structs in it."""

    def __init__(self) -> None:
        self._tree: dict[str, Any] = {}
        self._places: dict[tuple[str, ...], str] = {}
        self.clear = True  # no field is both an object and a value, or of two types

    def asked(self, path: tuple[str, ...], wanted: Any) -> Callable[[Row], Any]:
        """What gives the field of a decoded document, None where it is not there."""
        at, inner = self._tree, ""
        for key in path[:-1]:
            at = at.setdefault(key, {})
            if not isinstance(at, dict):
                self.clear = False
                return attrgetter("x")
        if at.setdefault(path[-1], wanted) is not wanted:
            self.clear = False
        for depth in range(len(path)):
            inner += ("." if inner else "") + _name(path[: depth + 1][-1], self._places, path[: depth + 1])
        return attrgetter(inner)

    def made(self) -> Any:
        return self._of((), self._tree)

    def _of(self, place: tuple[str, ...], tree: Mapping[str, Any]) -> Any:
        fields, keys = [], {}
        for key, wanted in tree.items():
            name = self._places[*place, key]
            keys[name] = key
            if isinstance(wanted, dict):
                inner = self._of((*place, key), wanted)
                fields.append((name, inner, msgspec.field(default_factory=inner)))
            else:
                fields.append((name, wanted, None))
        return msgspec.defstruct("Fields", fields, rename=keys, gc=False)


def _name(key: str, places: dict[tuple[str, ...], str], place: tuple[str, ...]) -> str:
    return places.setdefault(place, f"f{len(places)}")
