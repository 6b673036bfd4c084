"""Moves what is stored between the buckets of a plan, a day at a time: before one keeps less, after one keeps more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from dutyroom.backends.influx_tasks import KINDS, body, flux_text, whole
from dutyroom.errors import Unavailable
from dutyroom.timebase import DAY, Ms, duration


class InfluxHistory:
    """client: an influxdb-client with an operator's token. now: where history ends."""

    def __init__(self, client: Any, org: str, now: Ms) -> None:
        self._query, self._org, self._now = client.query_api(), org, now

    def into_coarser(self, source: str, target: str, width: str, say: Callable[[str], None]) -> None:
        """All whole windows of what a bucket has."""
        count = 0
        # In the first hour of a day it has no whole hour yet: InfluxDB refuses an empty range.
        end = self._now // duration(width) * duration(width)
        for since, until in self._days(self._first(source), end):
            for kind in KINDS:
                self._run(body(self._org, kind, source, target, width, since, until))
            count += 1
        say(f"filled   {target} with {count} days of {source}")

    def into_finer(
        self, source: str, target: str, readings: bool, before: Ms, say: Callable[[str], None]
    ) -> None:
        """What a coarser bucket has of the time before `target` kept anything: readers ask for it there now.

        readings: those alone, without what the windows held.
        """
        count = 0
        for since, until in self._days(self._first(source), before):
            self._run(whole(self._org, source, target, readings, since, until))
            count += 1
        say(f"filled   {target} with {count} days of {source}")

    def _days(self, first: Ms, end: Ms) -> Iterator[tuple[str, str]]:
        for day in range(first // DAY * DAY, end, DAY):
            since, until = (datetime.fromtimestamp(at / 1000, UTC) for at in (day, min(day + DAY, end)))
            if until - since >= timedelta(seconds=1):
                yield f"{since:%Y-%m-%dT%H:%M:%SZ}", f"{until:%Y-%m-%dT%H:%M:%SZ}"

    def _first(self, bucket: str) -> Ms:
        """The oldest instant of a bucket; now, where it is empty."""
        query = (
            f"from(bucket: {flux_text(bucket)}) |> range(start: 0) |> first() |> keep(columns: "
            f'["_time"]) |> group() |> min(column: "_time")'
        )
        times = [r.get_time() for t in self._query.query(query, org=self._org) for r in t.records]
        return min((int(at.timestamp() * 1000) for at in times), default=self._now)

    def _run(self, flux: str) -> None:
        to_its_end(self._query, f'import "date"\n{flux}', self._org)


def to_its_end(query: Any, flux: str, org: str) -> None:
    """Runs a query whose rows nobody wants. An answer that is not read to its end may end the query before its
    own; and an error in the middle stands in the answer. Raises Unavailable."""
    answer, rest, failed = query.query_raw(flux, org=org), b"", False
    for part in answer.stream(1 << 16):
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            if failed:
                said = line.decode(errors="replace").strip().strip(",")
                raise Unavailable(f"InfluxDB: {said[:300]}")
            failed = line.startswith(b",error,")
