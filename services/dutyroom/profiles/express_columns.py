"""Columns of a form: what the rows of one kind of message say, field by field, as numbers and instants."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as made
from typing import Any, TypeAlias

import numpy as np

from dutyroom.model.telemetry import Bools, Floats, Longs, Scalar
from dutyroom.profiles.sheet import Keys, Sheet
from dutyroom.profiles.times import NEWEST, OLDEST, ReadTime
from dutyroom.profiles.values import Convert

Row: TypeAlias = Any  # a struct of a form

_FORGOTTEN = 10_000  # different values of an enumerated field that are remembered
_EXACT = 2**53  # whole numbers below it are exact as floats too, which `times` computes with
_USUAL_STEPS = 2.0**40


@dataclass(frozen=True, slots=True)
class Field:
    """Of a form's rows. get: of one row, None where it is not there; keys: as the document has it."""

    get: Callable[[Row], Any]
    keys: Keys


@dataclass(frozen=True, slots=True)
class Columns:
    """Of n payloads and the points of a form. careful: payloads that this way cannot read as it must."""

    values: Floats  # [n, points]
    present: Bools  # [n, points]
    careful: Bools  # [n]
    at: Longs | None  # [n] device time; None = the layout has none


@dataclass(frozen=True, slots=True)
class Number:
    """A numeric field: value = raw * by * factor / divisor + added, in the order of `values` and `linear`;
    of a counter rounded to whole steps."""

    field: Field
    low: float
    high: float
    by: float  # the device's own factor
    factor: float
    divisor: float
    added: float
    certain: tuple[float, float] | None = (
        None  # counters: between these the rounding is that of the exact product
    )

    def take(self, rows: Sequence[Row], sheet: Sheet | None) -> tuple[Floats, Bools, Bools]:
        """-> values, present, careful"""
        raw = None if sheet is None else sheet.floats(self.field.keys)
        if raw is None:
            raw = np.array(list(map(self.field.get, rows)), np.float64)
        with np.errstate(all="ignore"):
            # Of a value as it is, which most are, nothing is computed but what makes a negative zero one.
            scaled = raw if self.by == self.factor == self.divisor == 1.0 else self._scaled(raw)
            values = scaled + self.added
            if self.certain is None and self.low <= values.min() and values.max() <= self.high:
                return values, np.ones(len(raw), np.bool_), np.zeros(len(raw), np.bool_)  # as nearly always
            good = present = ~np.isnan(raw)
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
class Looked:
    """A field whose values are few: each is converted once. Texts too: their number is 0."""

    field: Field
    low: float
    high: float
    convert: Convert
    parameters: Mapping[str, Scalar]
    known: dict[tuple[type, Scalar | None], float] = made(default_factory=dict)

    def take(self, rows: Sequence[Row], sheet: Sheet | None) -> tuple[Floats, Bools, Bools]:
        known, get = self.known, self.field.get
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
class Time:
    """scale: milliseconds in one of the numbers, 0 = by their size; None = look at each."""

    field: Field
    read: ReadTime
    scale: int | None

    def take(self, rows: Sequence[Row], sheet: Sheet | None, received: Longs) -> tuple[Longs, Bools]:
        """-> instants, careful: no time, or one that cannot be true"""
        whole = None if sheet is None else sheet.whole(self.field.keys)
        quick = None if whole is None else self._instants(whole)
        raws: list[Scalar | None] = []
        if quick is None:
            raws = list(map(self.field.get, rows))
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
        if set(map(type, raws)) != {int}:
            return None
        try:
            values = np.array(raws, np.int64)
        except OverflowError:
            return None
        return self._instants(values)

    def _instants(self, values: Longs) -> Longs | None:
        if self.scale is None:
            return None
        if self.scale:
            return values * self.scale if np.all(np.abs(values) < _EXACT // self.scale) else None
        seconds = values < 100_000_000_000
        usual = bool(np.all((values >= 0) & (values < 100_000_000_000_000)))
        return np.where(seconds, values * 1000, values) if usual else None
