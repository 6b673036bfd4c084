"""Reading from InfluxDB in InfluxQL, the language that 1.x, 2.x and 3.x speak.

Where the first bucket keeps a time no longer, the next ones are asked: they hold the last value of each
window under its own instant, and what the windows of numbers held (`influx_names`).
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from dutyroom.backends.influx_link import InfluxLink, NoBucket, Result
from dutyroom.backends.influx_names import (
    AGG,
    COUNT,
    FLOAT,
    INTEGER,
    OTHER_NAME,
    QUALITY,
    RECEIVED,
    TYPES,
    literal,
    quoted,
)
from dutyroom.backends.influx_spans import TOGETHER, Span, grouped
from dutyroom.model.telemetry import Kind, Point, Reading, Series
from dutyroom.timebase import Ms

_NAMED = 100  # devices named in a query; more are read with their whole class
_EARLIEST, _LATEST = -9_223_372_036_854, 9_223_372_036_854  # InfluxDB's nanoseconds, in ms
_KNOWN_S = 600.0  # how long the names of fields are believed
_PARTS = (("min", "mean", "max", "last"), ("least",), ("most",), ("sum",), ("count",))
_SLACK = 3_600_000  # a bucket may have dropped a little more than its retention says

_ROWS = 100_000  # of a statement about several points

Stored = float | int | str | bool
Bucketed = tuple[Ms, float, float, float, float]
Row = tuple[Ms, Stored, int, Ms | None]  # at, value, quality, received
Fields = set[tuple[str, str]]  # (measurement, field)


class InfluxReader:
    """Reads one site's readings. buckets: as `InfluxWriter` has them; others: fields under another name than
    their point's that this process has written."""

    def __init__(
        self,
        link: InfluxLink,
        buckets: Sequence[str],
        site: str,
        others: Callable[[], Fields],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._link, self._buckets, self._site = link, tuple(buckets), site
        self._others, self._monotonic = others, monotonic
        self._found: Fields = set()
        self._found_until = -1.0
        self._absent: dict[str, float] = {}  # buckets that are not there, believed until

    # ------------------------------------------------------------ one point

    def range(self, point: Point, start: Ms, end: Ms, limit: int) -> Series:
        rows: list[Row] = []
        for bucket in self._from(start):
            rows = self._rows(bucket, point, start, rows[0][0] if rows else end, limit - len(rows)) + rows
        return _series(point, rows)

    def ranges(self, spans: Sequence[Span], limit: int = _ROWS) -> list[Series]:
        """A statement about up to 50 devices that are asked for the same fields at about the same time."""
        found: dict[int, Series] = {}
        later: list[int] = []
        for number, (point, start, end) in enumerate(spans):
            if len(self._from(start)) > 1:
                found[number] = self.range(point, start, end, limit)
            else:
                later.append(number)
        groups = grouped(spans, later, self._columns)
        answers = self._asked(self._buckets[0], [self._of_several(spans, group) for group in groups])
        for group, answer in zip(groups, answers, strict=True):
            rows = {series.tags.get("device", ""): series.values for series in answer.series}
            for numbers in group:
                mine = rows.get(spans[numbers[0]][0].device, [])
                if len(mine) >= min(limit, _ROWS // TOGETHER):  # there may be more
                    found |= {number: self.range(*spans[number], limit) for number in numbers}
                else:
                    found |= self._of_device(spans, numbers, mine)
        return [found[number] for number in range(len(spans))]

    def _of_several(self, spans: Sequence[Span], group: Sequence[Sequence[int]]) -> str:
        fields = [field for number in group[0] for field in self._columns(spans[number][0])]
        devices = [spans[numbers[0]][0] for numbers in group]
        start = min(spans[numbers[0]][1] for numbers in group)
        end = max(spans[numbers[0]][2] for numbers in group)
        return (
            f"SELECT {', '.join(map(quoted, fields))} FROM {quoted(devices[0].device_class.value)} "  # noqa: S608 names and texts are quoted
            f"WHERE site = {literal(self._site)} AND {AGG} = '' {_devices(p.device for p in devices)} "
            f"AND time >= {_at(start)} AND time < {_at(end)} GROUP BY device LIMIT {_ROWS // TOGETHER}"
        )

    def _of_device(
        self, spans: Sequence[Span], numbers: Sequence[int], answer: list[list[Any]]
    ) -> dict[int, Series]:
        """Rows that hold a time and the columns of each point one after the other."""
        found: dict[int, Series] = {}
        first = 1
        for number in numbers:
            point, start, end = spans[number]
            last = first + len(self._columns(point)) - 2
            rows = [
                (row[0], value, row[last] or 0, row[last + 1] or None)
                for row in answer
                if start <= row[0] < end and (value := _first(row[first:last])) is not None
            ]
            found[number] = _series(point, rows)
            first = last + 2
        return found

    def _columns(self, point: Point) -> list[str]:
        """The fields of a point: its values, their quality, when they came."""
        return [*self._names(point), point.spec.name + QUALITY, point.spec.name + RECEIVED]

    def _rows(self, bucket: str, point: Point, start: Ms, end: Ms, limit: int) -> list[Row]:
        """The newest `limit` rows of one bucket. Rows of companions alone, as the tasks make them where the
        last quality of a window is not the last value's, are passed over."""
        rows: list[Row] = []
        fields = self._columns(point)
        while end > start and len(rows) < limit:
            answer = self._table(
                bucket,
                f"SELECT {', '.join(map(quoted, fields))} FROM {self._series(point)} "  # noqa: S608 names and texts are quoted
                f"AND time >= {_at(start)} AND time < {_at(end)} ORDER BY time DESC LIMIT {limit - len(rows)}",
            )
            older = [
                (row[0], value, row[-2] or 0, row[-1] or None)
                for row in reversed(answer)
                if (value := _first(row[1:-2])) is not None
            ]
            rows = older + rows
            if len(older) == len(answer):
                break
            end = answer[-1][0]
        return rows

    def buckets(self, point: Point, start: Ms, end: Ms, width: Ms) -> list[Bucketed]:
        if point.spec.kind is Kind.TEXT:
            return []
        found: dict[Ms, Bucketed] = {}
        for bucket in self._from(start):
            if bucket == self._buckets[0]:
                rows = self._windows(bucket, point, start, end, width)
            else:
                rows = self._coarse_windows(bucket, point, start, end, width)
            first = min(found, default=end)
            found.update({row[0]: row for row in rows if row[0] < first})
        return [found[at] for at in sorted(found)]

    def _windows(self, bucket: str, point: Point, start: Ms, end: Ms, width: Ms) -> list[Bucketed]:
        names = [_number(name) for name in self._names(point)]
        wanted = ", ".join(f"min({name}), mean({name}), max({name}), last({name})" for name in names)
        between, group = _between(start, end, width)
        made = []
        for row in self._table(bucket, f"SELECT {wanted} FROM {self._series(point)} {between} {group}"):  # noqa: S608 names and texts are quoted
            values = row[1:5] if row[1] is not None else row[5:9]
            if values and values[0] is not None:
                made.append((row[0], *(float(value) for value in values)))
        return made

    def _coarse_windows(self, bucket: str, point: Point, start: Ms, end: Ms, width: Ms) -> list[Bucketed]:
        """Of what the tasks made, and of readings that came too late for them. The mean weighs each of their
        windows by the values that it held."""
        found: dict[Ms, dict[str, float]] = defaultdict(dict)
        between, group = _between(start, end, width)
        for name in map(_number, self._names(point)):
            statements = [
                f"SELECT min({name}) AS min, mean({name}) AS mean, max({name}) AS max, last({name}) AS last "  # noqa: S608 names and texts are quoted
                f"FROM {self._series(point)} {between} {group}"
            ]
            for agg in ("min", "max", "sum"):
                series = self._series(point, agg=agg)
                statements.append(f"SELECT {agg}({name}) FROM {series} {between} {group}")  # noqa: S608 names and texts are quoted
            statements.append(f"SELECT sum({name}) FROM {self._series(point, COUNT)} {between} {group}")  # noqa: S608 names and texts are quoted
            results = self._asked(bucket, statements)
            for keys, result in zip(_PARTS, results, strict=True):
                rows: list[list[Any]] = [row for series in result.series for row in series.values]
                for at, *values in rows:
                    found[at] |= {key: v for key, v in zip(keys, values, strict=True) if v is not None}
        return [_window(at, found[at]) for at in sorted(found) if "last" in found[at]]

    # ------------------------------------------------------------ many points

    def at(self, points: Sequence[Point], moment: Ms, back: Ms) -> dict[int, Reading]:
        between = f"AND time >= {_at(moment - back)} AND time <= {_at(moment)}"
        return self._newest(points, between, lambda: self._from(moment - back))

    def latest(self, points: Sequence[Point]) -> dict[int, Reading]:
        return self._newest(points, "", lambda: self._buckets)

    def _newest(
        self, points: Sequence[Point], between: str, buckets: Callable[[], Sequence[str]]
    ) -> dict[int, Reading]:
        found = self._last(self._buckets[0], points, between)
        missing = [point for point in points if point.id not in found]
        for bucket in buckets()[1:] if missing and len(self._buckets) > 1 else ():
            found |= self._last(bucket, missing, between)
            missing = [point for point in missing if point.id not in found]
        return found

    def _last(self, bucket: str, points: Sequence[Point], between: str) -> dict[int, Reading]:
        """One statement for each field of a class, its devices together."""
        alike: dict[tuple[str, str, Kind], dict[str, Point]] = defaultdict(dict)
        for point in points:
            spec = point.spec
            alike[point.device_class, spec.name, spec.kind][point.device] = point
        by_field: dict[tuple[str, str, str], dict[str, Point]] = defaultdict(dict)
        for (measurement, plain, _), some in alike.items():
            for name in self._names(next(iter(some.values()))):
                by_field[str(measurement), name, plain] |= some
        statements = [
            f"SELECT last({quoted(name)}), {quoted(plain + QUALITY)}, {quoted(plain + RECEIVED)} "  # noqa: S608 names and texts are quoted
            f"FROM {quoted(measurement)} WHERE site = {literal(self._site)} AND {AGG} = '' {_devices(wanted)} {between} "
            f"GROUP BY device"
            for (measurement, name, plain), wanted in by_field.items()
        ]
        found: dict[int, Reading] = {}
        for wanted, result in zip(by_field.values(), self._asked(bucket, statements), strict=True):
            for series in result.series:
                if named := wanted.get(series.tags.get("device", "")):
                    row: list[Any] = series.values[0]
                    at, value, quality, received = row
                    if named.id not in found or found[named.id].at < at:
                        found[named.id] = Reading(
                            named.id, at, _value(value), quality or 0, received or None, _text(value)
                        )
        return found

    # ------------------------------------------------------------ where it stands

    def _from(self, start: Ms) -> Sequence[str]:
        """The buckets to ask for a time that begins at `start`, the finest first."""
        chosen = [self._buckets[0]]
        for finer, coarser in zip(self._buckets, self._buckets[1:], strict=False):
            try:
                oldest = self._link.oldest(finer)
            except NoBucket:
                if finer == self._buckets[0]:
                    raise
                oldest = None
            if oldest is None or start >= oldest + _SLACK:
                break
            chosen.append(coarser)
        return chosen

    def _names(self, point: Point) -> list[str]:
        """The fields in which a point's values may stand, the plain one first."""
        other = point.spec.name + OTHER_NAME[TYPES[point.spec.kind]]
        if point.spec.kind is Kind.TEXT:
            return [other]
        key = (point.device_class.value, other)
        if key in self._others() or key in self._there():
            return [point.spec.name, other]
        return [point.spec.name]

    def _there(self) -> Fields:
        """Fields of the first bucket under a name with the type at the end."""
        if self._monotonic() >= self._found_until:
            (result,) = self._asked(self._buckets[0], ["SHOW FIELD KEYS"])
            self._found = {
                (series.name, str(field))
                for series in result.series
                for field, *_ in series.values
                if str(field).endswith((OTHER_NAME[INTEGER], OTHER_NAME[FLOAT]))
            }
            self._found_until = self._monotonic() + _KNOWN_S
        return self._found

    def _series(self, point: Point, measurement: str = "", agg: str = "") -> str:
        return (
            f"{quoted(measurement or point.device_class.value)} WHERE site = {literal(self._site)} "
            f"AND device = {literal(point.device)} AND {AGG} = {literal(agg)}"
        )

    def _table(self, bucket: str, statement: str) -> list[list[Any]]:
        (result,) = self._asked(bucket, [statement])
        return [row for series in result.series for row in series.values]

    def _asked(self, bucket: str, statements: Sequence[str]) -> list[Result]:
        """A coarser bucket that is not there has nothing: who set none up reads what the first one keeps."""
        nothing = [Result() for _ in statements]
        if self._monotonic() < self._absent.get(bucket, -1.0):
            return nothing
        try:
            return self._link.ask(bucket, statements)
        except NoBucket:
            if bucket == self._buckets[0]:
                raise
            self._absent[bucket] = self._monotonic() + _KNOWN_S
            return nothing


def _series(point: Point, rows: Sequence[Row]) -> Series:
    at, value, quality, _ = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Series(
        point.id,
        np.array(at, np.int64),
        np.array(list(map(_value, value)), np.float64),
        np.array(quality, np.uint8),
        {n: row[3] for n, row in enumerate(rows) if row[3]},
        {n: text for n, text in enumerate(map(_text, value)) if text},
    )


def _between(start: Ms, end: Ms, width: Ms) -> tuple[str, str]:
    between = f"AND time >= {_at(start)} AND time < {_at(end)}"
    return between, f"GROUP BY time({int(width)}ms, {start % width}ms) fill(none)"


def _window(at: Ms, parts: dict[str, float]) -> Bucketed:
    low, mean, high = parts["min"], parts["mean"], parts["max"]
    if parts.get("count"):
        mean = parts.get("sum", 0.0) / parts["count"]
    low, high = min(low, parts.get("least", low)), max(high, parts.get("most", high))
    return (at, float(low), float(mean), float(high), float(parts["last"]))


def _number(name: str) -> str:
    """A field as a number: where another make has a text of that name, it counts as not there."""
    return f"{quoted(name)}::float"


def _at(moment: Ms) -> str:
    return f"{min(max(int(moment), _EARLIEST), _LATEST)}ms"


def _first(values: Sequence[Any]) -> Any:
    return next((value for value in values if value is not None), None)


def _value(stored: Stored) -> float:
    """Texts have no number."""
    return 0.0 if isinstance(stored, str) else float(stored)


def _text(stored: Stored) -> str:
    return stored if isinstance(stored, str) else ""


def _devices(wanted: Iterable[str]) -> str:
    names = list(wanted)
    if len(names) > _NAMED:
        return ""
    return "AND (" + " OR ".join(f"device = {literal(name)}" for name in names) + ")"
