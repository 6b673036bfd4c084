"""Readings in InfluxDB 2.x: wide lines in, InfluxQL out, through influxdb-client.

One pre-joined block of line protocol a request, never `Point` objects (ten times the work). Nothing
is asked of the server before the first reading; what it answers is sorted by kind:

401, 403, 404, 429, 5xx, no answer    Unavailable: an operator or time mends it, nothing is dropped;
                                      where it names a time to wait it is not asked before
413                                   the block is split and sent again
400, 422                              the rows named are Rejected, the others are stored
"""

from __future__ import annotations

import json
import math
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import urllib3
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException

from dutyroom.backends.influx_lines import Field, blocks, lines_of, literal, quoted
from dutyroom.errors import Rejected, Unavailable
from dutyroom.model.telemetry import Kind, Point, PointTable, Reading, Readings, Series
from dutyroom.timebase import Ms

_LINES = 5_000  # a request
_NAMED = 100  # devices named in a query; more are read with their whole class
_STATEMENTS = 50  # a request
_LONGEST_REST_S = 60.0  # whatever it asks for
_EARLIEST, _LATEST = -9_223_372_036_854, 9_223_372_036_854  # InfluxDB's nanoseconds, in ms
_CONFLICT = re.compile(
    r'input field \\?"(?P<field>.+?)\\?" on measurement \\?"(?P<measurement>.+?)\\?" is type \w+, '
    r"already exists as type (?P<type>\w+)"
)


class InfluxReadingStore:
    """See `interfaces.ReadingStore`. One site's readings in a bucket that sites may share."""

    def __init__(
        self,
        url: str,
        token: str,
        org: str,
        bucket: str,
        site: str,
        timeout_s: float = 10.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """monotonic: seconds that only rise, for the waits that the server asks for."""
        self._url, self._org, self._bucket, self._site = url.rstrip("/"), org, bucket, site
        self._client = InfluxDBClient(url=self._url, token=token, org=org, timeout=int(timeout_s * 1000))
        self._writing: Any = self._client.write_api(write_options=SYNCHRONOUS)
        self._newest: dict[int, Ms] = {}
        self._known: set[int] = set()
        self._floats: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._monotonic = monotonic
        self._rest_until = -math.inf
        self._rest_reason = ""

    # ------------------------------------------------------------ writing

    def write(self, readings: Readings, table: PointTable) -> None:
        if not len(readings):
            return
        with self._lock:
            self._learn(readings, table)
            made = lines_of(readings, table, self._newest, self._floats)
            refused = made.refused
            for fields, block in blocks(made.fields, _LINES):
                refused.update(self._send(fields, block, readings, table))
            for point, at in zip(readings.point.tolist(), readings.at.tolist(), strict=True):
                self._newest[point] = max(at, self._newest.get(point, at))
        if refused:
            first = next(iter(refused.values()))
            raise Rejected(f"InfluxDB refused {len(refused)} of {len(readings)} readings: {first}", refused)

    def _learn(self, readings: Readings, table: PointTable) -> None:
        """Latest instants of points not met since the start."""
        fresh = set(np.unique(readings.point).tolist()) - self._known
        points = [p for p in (table.get(point) for point in fresh) if p is not None]
        for point, reading in self.latest(points).items():
            self._newest[point] = reading.at
        self._known |= fresh

    def _send(
        self, fields: list[Field], block: bytes, readings: Readings, table: PointTable
    ) -> dict[int | str, str]:
        """Sends a block; returns {row: reason} of what is refused. Raises Unavailable."""
        self._rest()
        try:
            self._writing.write(self._bucket, self._org, block, write_precision=WritePrecision.MS)
        except ApiException as err:
            if err.status == 413 and len(fields) > 1:
                return self._halves(fields, readings, table)
            if err.status not in (400, 413, 422):
                raise self._unavailable(err) from err
            return self._sort_out(fields, _message(err), readings, table)
        except (urllib3.exceptions.HTTPError, OSError) as err:
            raise self._no_answer(err) from err
        return {}

    def _halves(self, fields: list[Field], readings: Readings, table: PointTable) -> dict[int | str, str]:
        refused: dict[int | str, str] = {}
        middle = len(fields) // 2
        for half in (fields[:middle], fields[middle:]):
            for part, block in blocks(half, _LINES):
                refused.update(self._send(part, block, readings, table))
        return refused

    def _sort_out(
        self, fields: list[Field], message: str, readings: Readings, table: PointTable
    ) -> dict[int | str, str]:
        """What the server refused by its message, the rest of those lines sent again without it."""
        conflict = _CONFLICT.search(message)
        if conflict is None:
            return self._one_by_one(fields, message, readings, table)
        name, measurement = conflict["field"], conflict["measurement"]
        mine = [f for f in fields if (f.name, f.measurement) == (name, measurement)]
        if not mine:
            return {f.row: message for f in fields}
        if conflict["type"] == "float" and (measurement, name) not in self._floats:
            return self._as_floats(fields, (measurement, name), readings, table)
        refused: dict[int | str, str] = {f.row: message for f in mine}
        for part, block in blocks([f for f in fields if f.row not in refused], _LINES):
            refused.update(self._send(part, block, readings, table))
        return refused

    def _as_floats(
        self, fields: list[Field], name: tuple[str, str], readings: Readings, table: PointTable
    ) -> dict[int | str, str]:
        """Sends again, in the type that the server has the field in: no value is lost by it."""
        self._floats.add(name)
        rows = {f.row for f in fields}
        made = lines_of(readings, table, self._newest, self._floats)
        refused: dict[int | str, str] = {}
        for part, block in blocks([f for f in made.fields if f.row in rows], _LINES):
            refused.update(self._send(part, block, readings, table))
        return refused

    def _one_by_one(
        self, fields: list[Field], message: str, readings: Readings, table: PointTable
    ) -> dict[int | str, str]:
        """Halves a block until what is refused stands alone: the others are stored."""
        if len({(f.series, f.at) for f in fields}) == 1:
            return {f.row: message for f in fields}
        return self._halves(fields, readings, table)

    # ------------------------------------------------------------ reading

    def range(self, point: Point, start: Ms, end: Ms, limit: int = 100_000) -> Series:
        name, quality = quoted(point.spec.name), quoted(point.spec.name + "_q")
        rows = self._rows(
            f"SELECT {name}, {quality} FROM {self._series(point)} AND time >= {_at(start)} AND time < {_at(end)} "  # noqa: S608 names and texts are quoted
            f"ORDER BY time DESC LIMIT {int(limit)}"
        )
        rows = [row for row in reversed(rows) if row[1] is not None]
        return Series(
            point.id,
            np.array([row[0] for row in rows], np.int64),
            np.array([_value(row[1]) for row in rows], np.float64),
            np.array([row[2] or 0 for row in rows], np.uint8),
        )

    def buckets(
        self, point: Point, start: Ms, end: Ms, width: Ms
    ) -> Sequence[tuple[Ms, float, float, float, float]]:
        if point.spec.kind is Kind.TEXT:
            return []
        name = quoted(point.spec.name)
        rows = self._rows(
            f"SELECT min({name}), mean({name}), max({name}), last({name}) FROM {self._series(point)} "  # noqa: S608 names and texts are quoted
            f"AND time >= {_at(start)} AND time < {_at(end)} "
            f"GROUP BY time({int(width)}ms, {start % width}ms) fill(none)"
        )
        return [(row[0], *(float(value) for value in row[1:5])) for row in rows]

    def at(self, points: Sequence[Point], moment: Ms, back: Ms) -> Mapping[int, Reading]:
        return self._last(points, f"AND time >= {_at(moment - back)} AND time <= {_at(moment)}")

    def latest(self, points: Sequence[Point]) -> Mapping[int, Reading]:
        return self._last(points, "")

    def _last(self, points: Sequence[Point], between: str) -> dict[int, Reading]:
        """One statement for each field of a class, its devices together."""
        by_field: dict[tuple[str, str], dict[str, Point]] = defaultdict(dict)
        for point in points:
            by_field[point.device_class.value, point.spec.name][point.device] = point
        statements = [
            f"SELECT last({quoted(name)}), {quoted(name + '_q')} FROM {quoted(measurement)} "  # noqa: S608 names and texts are quoted
            f"WHERE site = {literal(self._site)} {_devices(wanted)} {between} GROUP BY device"
            for (measurement, name), wanted in by_field.items()
        ]
        found: dict[int, Reading] = {}
        for wanted, result in zip(by_field.values(), self._ask(statements), strict=True):
            for series in result.get("series", ()):
                if named := wanted.get(series["tags"]["device"]):
                    at, value, quality = series["values"][0]
                    found[named.id] = Reading(named.id, at, _value(value), quality or 0)
        return found

    def _series(self, point: Point) -> str:
        return (
            f"{quoted(point.device_class.value)} WHERE site = {literal(self._site)} "
            f"AND device = {literal(point.device)}"
        )

    def _rows(self, statement: str) -> list[list[Any]]:
        (result,) = self._ask([statement])
        return [row for series in result.get("series", ()) for row in series["values"]]

    def _ask(self, statements: Sequence[str]) -> list[dict[str, Any]]:
        """One result a statement, times in ms. Raises Unavailable."""
        results: list[dict[str, Any]] = []
        for start in range(0, len(statements), _STATEMENTS):
            results.extend(self._post(statements[start : start + _STATEMENTS]))
        return results

    def _post(self, statements: Sequence[str]) -> Iterable[dict[str, Any]]:
        self._rest()
        api: Any = self._client.api_client
        try:
            answer = api.request(
                "POST",
                f"{self._url}/query",
                headers={**api.default_headers, "Content-Type": "application/x-www-form-urlencoded"},
                post_params={"db": self._bucket, "epoch": "ms", "q": ";".join(statements)},
            )
            results: list[dict[str, Any]] = list(json.loads(answer.data)["results"])
        except ApiException as err:
            raise self._unavailable(err) from err
        except (urllib3.exceptions.HTTPError, OSError) as err:
            raise self._no_answer(err) from err
        except (ValueError, KeyError, TypeError) as err:
            raise Unavailable(
                f"InfluxDB at {self._url} answers what is no InfluxDB's answer: {err!r}"
            ) from err
        for result in results:
            if "error" in result:
                raise Unavailable(f"InfluxDB at {self._url}: {self._reason(str(result['error']))}")
        return results

    def _reason(self, error: str) -> str:
        return f"the bucket {self._bucket!r} is not there" if "database not found" in error else error

    def _unavailable(self, err: ApiException) -> Unavailable:
        """The server's answer in words that name what to mend."""
        headers: Mapping[str, str] = err.headers or {}
        wait = headers.get("Retry-After", "") if err.status in (429, 503) else ""
        reason = {
            401: "the token is not accepted",
            403: f"the token may not use the bucket {self._bucket!r}",
            404: f"the bucket {self._bucket!r} or the organisation {self._org!r} is not there",
            429: "too many requests",
        }.get(err.status, f"answer {err.status}")
        said = f"InfluxDB at {self._url}: {reason}: {_message(err)}".removesuffix(": ")
        if wait.isdigit():
            said = f"{said} (it asks to wait {wait} s)"
            self._rest_until = self._monotonic() + min(float(wait), _LONGEST_REST_S)
            self._rest_reason = said
        return Unavailable(said)

    def _rest(self) -> None:
        """Raises Unavailable while the server wants to be left alone."""
        if self._monotonic() < self._rest_until:
            raise Unavailable(self._rest_reason)

    def _no_answer(self, err: Exception) -> Unavailable:
        """What urllib3 or the socket says, without the layers around it."""
        cause = getattr(err, "reason", None) or err
        text = str(cause).rsplit(">: ", 1)[-1].rsplit("): ", 1)[-1]
        return Unavailable(f"InfluxDB at {self._url} does not answer: {text}")

    def close(self) -> None:
        client: Any = self._client
        client.close()


def _at(moment: Ms) -> str:
    return f"{min(max(int(moment), _EARLIEST), _LATEST)}ms"


def _value(stored: float | int | str | bool) -> float:
    """Texts have no number: their wording is in SQL."""
    return 0.0 if isinstance(stored, str) else float(stored)


def _devices(wanted: Iterable[str]) -> str:
    names = list(wanted)
    if len(names) > _NAMED:
        return ""
    return "AND (" + " OR ".join(f"device = {literal(name)}" for name in names) + ")"


def _message(err: ApiException) -> str:
    try:
        return str(json.loads(err.body)["message"])
    except (ValueError, KeyError, TypeError):
        return str(err.body or err.reason or "")
