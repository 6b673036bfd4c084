"""Telemetry out of a block of a CSV file without making an object of each field: a tenth of the time.

Only for plain rows: nothing quoted, as many fields in each, every device known, instants such as
2026-03-01T00:15:00Z, numbers in every row. A block that holds anything else is left to `past_readings`, which
takes a row on its own and says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from dutyroom.flows.past_files import Listed
from dutyroom.flows.past_readings import Columns, steps_of
from dutyroom.model.telemetry import Bools, Bytes8, Floats, Ints, Longs
from dutyroom.timebase import DAY, HOUR, MINUTE, SECOND

Field: TypeAlias = tuple[Longs, Longs]  # where it begins and ends, by row
_COMMA, _NEWLINE, _RETURN, _QUOTE = b',\n\r"'
_LONGEST = 64  # characters of a field
_INSTANT = b"0000-00-00T00:00:00Z"
_PRIME = 1_099_511_628_211  # FNV: of a hash of 64 bits
_BASE = 14_695_981_039_346_656_037
_WHOLE = 2**64


class _OddError(ValueError):
    """A block that is not plain."""


@dataclass(frozen=True, slots=True)
class Plain:
    """What a file's rows mean. places: of device_id, point, unit (-1 = none), time_utc_iso, value, received_at (-1)
    among its fields."""

    fields: int
    places: Sequence[int]
    keys: npt.NDArray[np.uint64]  # hashes of (device, point, unit), in order
    point: Ints
    factor: Floats
    offset: Floats
    steps: Bools

    @classmethod
    def of(cls, head: Sequence[str], wanted: Sequence[str], known: Listed) -> Plain:
        places = [head.index(name) if name in head else -1 for name in (*wanted, "received_at")]
        named = {_hash(key): rule for key, rule in known.factors.items() if places[2] >= 0 or not key[2]}
        order = sorted(named)
        rules = [named[key] for key in order] or [(0, 1.0, 0.0)]
        point, factor, offset = (np.array(column) for column in zip(*rules, strict=True))
        keys = np.array(order or [0], np.uint64)
        return cls(len(head), places, keys, point.astype(np.int32), factor, offset, steps_of(known.table))

    def columns(self, block: bytes) -> tuple[Columns, int] | None:
        """(readings, rows) of whole lines; None where a row is not plain."""
        try:
            return self._columns(block)
        except ValueError:
            return None

    def _columns(self, block: bytes) -> tuple[Columns, int]:
        text = np.frombuffer(block, np.uint8)
        field = _fields(text, self.fields)
        rows = len(field[0][0])
        device, name, unit, at, value, came = (field[p] if p >= 0 else None for p in self.places)
        assert device is not None and name is not None and at is not None and value is not None  # noqa: PT018
        hashed = np.full(rows, _BASE, np.uint64)
        for part in (device, name, unit):
            _mix(text, part, hashed)
        found = np.minimum(np.searchsorted(self.keys, hashed), len(self.keys) - 1)
        if (self.keys[found] != hashed).any():
            raise _OddError
        point = self.point[found]
        number = _numbers(text, value) * self.factor[found] + self.offset[found]
        counts = self.steps[point]
        number[counts] = np.rint(number[counts])
        when = _instants(text, at)
        return Columns(point, when, number, when if came is None else _instants(text, came)), rows


def _hash(key: Sequence[str]) -> int:
    """As `_mix` makes it: each part, and a byte that no text holds."""
    found = _BASE
    for part in key:
        for byte in (*part.encode(), 0xFF):
            found = (found ^ byte) * _PRIME % _WHOLE
    return found


def _mix(text: Bytes8, field: Field | None, hashed: npt.NDArray[np.uint64]) -> None:
    prime = np.uint64(_PRIME)
    if field is not None:
        start, end = field
        size = end - start
        longest = int(size.max())
        if longest > _LONGEST:
            raise _OddError
        for place in range(longest):
            inside = place < size
            letter = text[np.minimum(start + place, len(text) - 1)].astype(np.uint64)
            if inside.all():
                hashed ^= letter
                hashed *= prime
            else:
                hashed[inside] = (hashed[inside] ^ letter[inside]) * prime
    hashed ^= np.uint64(0xFF)
    hashed *= prime


def _fields(text: Bytes8, fields: int) -> list[Field]:
    """Each field of all rows. Raises _OddError."""
    ends = np.flatnonzero(text == _NEWLINE)
    commas = np.flatnonzero(text == _COMMA)
    if not len(ends) or len(commas) != len(ends) * (fields - 1) or (text == _QUOTE).any():
        raise _OddError
    starts = np.concatenate(([0], ends[:-1] + 1))
    ends = ends - (text[np.maximum(ends - 1, 0)] == _RETURN)
    cuts = commas.reshape(len(ends), fields - 1)
    if (cuts[:, :1] < starts[:, None]).any() or (cuts[:, -1:] > ends[:, None]).any():
        raise _OddError
    edges = [starts, *(cuts[:, n] + 1 for n in range(fields - 1))]
    return list(zip(edges, [*(cuts[:, n] for n in range(fields - 1)), ends], strict=True))


def _instants(text: Bytes8, field: Field) -> Longs:
    """Raises _OddError, ValueError."""
    start, end = field
    if (end - start != len(_INSTANT)).any():
        raise _OddError
    found = text[start[:, None] + np.arange(len(_INSTANT))]
    shape = np.frombuffer(_INSTANT, np.uint8)
    digit = shape == ord("0")
    number = found[:, digit] - np.uint8(ord("0"))  # below "0" it wraps to something large
    if (found[:, ~digit] != shape[~digit]).any() or (number > 9).any():
        raise _OddError
    tens = number[:, ::2].astype(np.int64) * 10 + number[:, 1::2]
    hour, minute, second = tens[:, 4], tens[:, 5], tens[:, 6]
    if (hour > 23).any() or (minute > 59).any() or (second > 59).any():
        raise _OddError
    days, back = np.unique(
        ((tens[:, 0] * 100 + tens[:, 1]) * 100 + tens[:, 2]) * 100 + tens[:, 3], return_inverse=True
    )
    written = [f"{d // 10_000:04d}-{d // 100 % 100:02d}-{d % 100:02d}" for d in days.tolist()]
    began = np.array(written, "datetime64[D]").astype(np.int64) * DAY
    of_day: Longs = began[back] + hour * HOUR + minute * MINUTE + second * SECOND
    return of_day


def _numbers(text: Bytes8, field: Field) -> Floats:
    """Decimal numbers. A mantissa below 2**53 divided by a power of ten up to 22 is the nearest float."""
    start, end = field
    size = end - start
    longest = int(size.max())
    if longest > _LONGEST or not size.all():
        raise _OddError
    mantissa = np.zeros(len(start), np.int64)
    places = np.full(len(start), -1, np.int64)  # digits after the point; -1 = no point yet
    minus = text[start] == ord("-")
    plain = size - minus <= 16
    for place in range(min(longest, 18)):
        letter = text[np.minimum(start + place, len(text) - 1)]
        inside = place < size
        digit = letter - np.uint8(ord("0"))
        is_digit = inside & (digit <= 9)
        is_point = inside & (letter == ord("."))
        plain &= ~inside | is_digit | (is_point & (places < 0)) | ((place == 0) & minus)
        mantissa = np.where(is_digit, mantissa * 10 + digit, mantissa)
        places = np.where(is_point, 0, places + (is_digit & (places >= 0)))
    plain &= mantissa < 2**53
    value = mantissa / 10.0 ** np.maximum(places, 0)
    value[minus] *= -1
    odd = np.flatnonzero(~plain | (size == minus))
    if len(odd):
        raw = text.tobytes()
        value[odd] = [float(raw[a:b]) for a, b in zip(start[odd].tolist(), end[odd].tolist(), strict=True)]
    return value
