"""Readings in InfluxDB 2.x: wide lines in, InfluxQL out, through influxdb-client.

One pre-joined block of line protocol a request, never `Point` objects (ten times the work). Nothing is
asked of the server before the first reading. What its answers mean: `influx_link`; what becomes of lines
that it refuses: `influx_write`; which field a point is: `influx_names`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from dutyroom.backends.influx_door import Door, door_to
from dutyroom.backends.influx_link import InfluxLink
from dutyroom.backends.influx_read import Bucketed, InfluxReader
from dutyroom.backends.influx_write import InfluxWriter
from dutyroom.interfaces import Run
from dutyroom.model.telemetry import Point, PointTable, Reading, Readings, Series
from dutyroom.timebase import Ms


class InfluxReadingStore:
    """See `interfaces.ReadingStore`. One site's readings in buckets that sites may share.

    coarser: buckets that keep longer than `bucket`, in rising order, filled by the tasks of
    `dutyroom influx setup`. Where `bucket` keeps a time no longer they are read; a reading that comes so late
    that `bucket` refuses it is stored in them.
    """

    def __init__(
        self,
        url: str | Door,
        token: str | Callable[[], str],
        org: str,
        bucket: str,
        site: str,
        timeout_s: float = 10.0,
        monotonic: Callable[[], float] = time.monotonic,
        coarser: Sequence[str] = (),
    ) -> None:
        """token: or where it is read, as in `InfluxLink`. monotonic: seconds that only rise, for the waits that the server asks for."""
        self._bucket, buckets = bucket, (bucket, *coarser)
        door = url if isinstance(url, Door) else door_to(url)
        self._link = InfluxLink(door, token, org, timeout_s, monotonic)
        self._writer = InfluxWriter(self._link, buckets, lambda points: self._reader.latest(points))  # noqa: PLW0108 made below
        self._reader = InfluxReader(self._link, buckets, site, self._writer.maker.others, monotonic)

    def write(self, readings: Readings, table: PointTable) -> None:
        self._writer.write(readings, table)

    def range(self, point: Point, start: Ms, end: Ms, limit: int = 100_000) -> Series:
        return self._reader.range(point, start, end, limit)

    def ranges(self, spans: Sequence[tuple[Point, Ms, Ms]], limit: int = 100_000) -> Sequence[Series]:
        """See `interfaces.ManyAtOnce`."""
        return self._reader.ranges(spans, limit)

    def buckets(self, point: Point, start: Ms, end: Ms, width: Ms) -> Sequence[Bucketed]:
        return self._reader.buckets(point, start, end, width)

    def at(self, points: Sequence[Point], moment: Ms, back: Ms) -> Mapping[int, Reading]:
        return self._reader.at(points, moment, back)

    def latest(self, points: Sequence[Point]) -> Mapping[int, Reading]:
        found = self._reader.latest(points)
        self._writer.met(points, found)
        return found

    def run(self) -> Run | None:
        """See `interfaces.Restarts`."""
        return self._link.run(self._bucket)

    def close(self) -> None:
        self._link.close()
