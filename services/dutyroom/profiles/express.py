"""Flat JSON in bulk: payloads of one kind in, columns of values out; which payloads need a careful look.

A layout that is plain (JSON, the device named by the topic, every point a field of its own) is compiled to
a typed struct and numpy conversions. What comes out is, to the last bit, what `Library.decode` gives; a
payload that is unusual in any way is left to it. So this may only be quick, never different.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from dutyroom.model.telemetry import Kind, Longs, PointSpec, Scalar
from dutyroom.profiles.attempt import Candidate
from dutyroom.profiles.decode import Library
from dutyroom.profiles.express_columns import Columns, Field, Looked, Number, Row, Time
from dutyroom.profiles.job import Known
from dutyroom.profiles.linear import NEVER, linear
from dutyroom.profiles.meter import PARAMETER, read_parameter
from dutyroom.profiles.paths import Captures, Key, Path
from dutyroom.profiles.points import MOST, limits
from dutyroom.profiles.profile import Layout, PointRule, Profile, TimeRule
from dutyroom.profiles.program import MAX_ADDRESS
from dutyroom.profiles.ratios import factor_of, on_device
from dutyroom.profiles.sheet import sheet_of
from dutyroom.profiles.templates import Render, template
from dutyroom.profiles.times import reader
from dutyroom.profiles.values import affine_steps, converter
from dutyroom.timebase import zone

_NUMBER: Final = float | None
_CODE: Final = int | None
_TEXT: Final = str | None
_ANY: Final = int | float | str | bool | None
_OF_TOPIC: Final = re.compile(r"(?:[^{}]|\{[A-Za-z_][A-Za-z0-9_]*\})+\Z")  # a template of topic levels alone
_SCALES = {"epoch_s": 1000, "epoch_ms": 1, "epoch_min": 60_000, "epoch_h": 3_600_000, "auto": 0}
_USUAL = frozenset({"spec", "paths", "unit", "scale", "scale_by", "offset", "mapping", "otherwise"})


@dataclass(frozen=True, slots=True)
class Form:
    """A plain layout, for devices with the same parameters."""

    profile: str
    specs: tuple[PointSpec, ...]
    texts: tuple[tuple[int, Callable[[Row], str | None]], ...]  # (place in specs, what gives it)
    attributes: tuple[tuple[str, Callable[[Row], Scalar | None]], ...]
    _decode: Callable[[bytes], Row]
    _columns: tuple[Number | Looked, ...]
    _time: Time | None

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
        sheet = sheet_of(rows)
        for place, column in enumerate(self._columns):
            values[:, place], present[:, place], odd = column.take(rows, sheet)
            careful |= odd
        at = None
        if self._time is not None:
            at, odd = self._time.take(rows, sheet, received)
            careful |= odd
        return Columns(values, present, careful, at)


def named_by_topic(layout: Layout) -> bool:
    """Whether the topic alone says whose message it is."""
    return len(layout.identity) == 1 and _OF_TOPIC.match(layout.identity[0]) is not None


def reader_of(library: Library, topic: str, known: Known) -> tuple[Profile, Layout, str] | None:
    """(profile, layout, address) of the plain layout that reads every message of a topic, of a registered
    device; None where that is for each message to say."""
    groups, captures = library.for_topic(topic)
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


@lru_cache(1_000)
def _template(text: str) -> Render:
    """Compiled once: thousands of devices have the same."""
    return template(text)


def _address(candidate: Candidate, captures: Mapping[str, Captures]) -> str:
    number, where = candidate.places[0]
    found = _template(candidate.profile.layouts[number].identity[0])(captures[where], None, None)
    return found if found and len(found) <= MAX_ADDRESS and found.isprintable() else ""


def form_of(profile: Profile, layout: Layout, parameters: Mapping[str, Scalar], tz: ZoneInfo) -> Form | None:
    """None where the layout is not plain. parameters: of the devices."""
    if not _plain(profile, layout):
        return None
    known = on_device(profile, parameters)
    rules = [_on_device(rule, known) for rule in layout.points]
    fields = _Struct()
    texts: list[tuple[int, Callable[[Row], str | None]]] = []
    columns: list[Number | Looked] = []
    for place, rule in enumerate(rules):
        path = _keys(rule.paths) or ()
        if rule.spec.kind is Kind.TEXT and not rule.mapping:
            text = fields.asked(path, _TEXT)
            texts.append((place, text.get))
            columns.append(_text(text))
        else:
            columns.append(_column(rule, path, known, fields))
    attributes = tuple(
        (name, fields.asked(_keys(paths) or (), _ANY).get) for name, paths in layout.attributes.items()
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
) -> Number | Looked:
    """rule: with the device's own spec."""
    low, high = limits(rule.spec)
    low, high = max(low, -MOST), min(high, MOST)
    by = factor_of(parameters, rule.scale_by) if rule.scale_by else 1.0
    if not rule.mapping and rule.spec.kind is Kind.COUNTER:
        a, b, *certain = affine_steps(rule)
        return Number(fields.asked(path, _NUMBER), low, high, by, a, 1.0, b, (certain[0], certain[1]))
    short = linear(replace(rule, scale_by=()))
    if short is NEVER:
        return Looked(fields.asked(path, _ANY), low, high, converter(rule), parameters)
    wanted = _CODE if rule.spec.kind is Kind.STATE else _NUMBER
    return Number(fields.asked(path, wanted), low, high, by, short.factor, short.divisor, short.added)


def _text(place: Field) -> Looked:
    return Looked(place, 0.0, 0.0, lambda raw, parameters: 0.0, {})


def _clock(rule: TimeRule, tz: ZoneInfo, fields: _Struct) -> Time | None:
    path = _keys(rule.paths)
    if path is None or rule.ago is not None or rule.every is not None:
        return None
    scale = None if rule.since else _SCALES.get(rule.format)
    read = reader(rule.format, zone(rule.zone) if rule.zone else tz, rule.since)
    return Time(fields.asked(path, _ANY), read, scale)


class _Struct:
    """The fields of a document that are read, as a struct type with structs in it."""

    def __init__(self) -> None:
        self._tree: dict[str, Any] = {}
        self._places: dict[tuple[str, ...], str] = {}
        self.clear = True  # no field is both an object and a value, or of two types

    def asked(self, path: tuple[str, ...], wanted: Any) -> Field:
        """The field of decoded documents."""
        at, inner = self._tree, ""
        for key in path[:-1]:
            at = at.setdefault(key, {})
            if not isinstance(at, dict):
                self.clear = False
                return Field(attrgetter("x"), path)
        if at.setdefault(path[-1], wanted) is not wanted:
            self.clear = False
        for depth in range(len(path)):
            inner += ("." if inner else "") + _name(path[: depth + 1][-1], self._places, path[: depth + 1])
        return Field(attrgetter(inner), path)

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
