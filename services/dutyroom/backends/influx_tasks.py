"""The tasks that fill the coarser buckets, as Flux.

From each window of 5 minutes, then of an hour, stays the last value of every field, companions included, under
its own instant: a register is never moved in time. Of numbers also the least, the largest, the sum, and how many
there were. Each window is made when it closes, again within the day for what came late, and once more just
before its readings expire: whatever came until then is in it. Only whole windows are ever written, so that doing it
again can only add.

Each kind of value has a task of its own: a field of somebody else's that cannot be summed stops no register.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dutyroom.backends.influx_names import AGG, COUNT, NO_NUMBERS

KINDS = ("last", "windows")
WIDTHS = ("5m", "1h")  # of the windows of the coarser buckets
EXPIRING_DAYS = 3  # how many of the oldest days are made once more, every day


@dataclass(frozen=True, slots=True)
class Plan:
    """What an InfluxDB shall hold. days: how long each bucket keeps, 0 = for ever."""

    org: str
    bucket: str
    days: int
    days_5m: int
    days_1h: int

    @property
    def buckets(self) -> tuple[tuple[str, int], ...]:
        """Names and days, the finest first."""
        coarse = coarser(self.bucket)
        return ((self.bucket, self.days), (coarse[0], self.days_5m), (coarse[1], self.days_1h))


def coarser(bucket: str) -> tuple[str, str]:
    """The buckets of 5 minutes and of an hour that belong to a bucket of readings."""
    return f"{bucket}_5m", f"{bucket}_1h"


@dataclass(frozen=True, slots=True)
class Task:
    """A task by its name, which is unique within the organisation."""

    name: str
    every: str
    offset: str
    body: str

    @property
    def flux(self) -> str:
        options = f"name: {flux_text(self.name)}, every: {self.every}, offset: {self.offset}"
        return f'import "date"\n\noption task = {{{options}}}\n\n{self.body}'


def tasks(plan: Plan) -> Iterator[Task]:
    """All tasks of a plan."""
    raw, fine, hour = plan.bucket, *coarser(plan.bucket)
    for kind in KINDS:
        for when, every, offset, since, until in _fine_runs(plan):
            yield Task(
                f"{fine} {kind} {when}", every, offset, body(plan.org, kind, raw, fine, "5m", since, until)
            )
        for when, every, offset, since, until in _hour_runs(plan):
            yield Task(
                f"{hour} {kind} {when}", every, offset, body(plan.org, kind, fine, hour, "1h", since, until)
            )


def _fine_runs(plan: Plan) -> Iterator[tuple[str, str, str, str, str]]:
    """(when, every, offset, since, until): a day is made five times, so that what is 24 h late is in it."""
    yield "as they close", "5m", "1m", "-15m", "now()"
    yield "with late ones", "6h", "10m", "-30h", "now()"
    if plan.days:
        yield "before they expire", "24h", "1h", *_oldest(plan.days)


def _hour_runs(plan: Plan) -> Iterator[tuple[str, str, str, str, str]]:
    """Each some time after the runs that it reads from."""
    yield "as they close", "1h", "5m", "-3h", "now()"
    yield "with late ones", "6h", "40m", "-36h", "now()"
    if plan.days:
        yield "before readings expire", "24h", "2h", *_oldest(plan.days)
    if plan.days_5m:
        yield "before they expire", "24h", "3h", *_oldest(plan.days_5m)


def _oldest(days: int) -> tuple[str, str]:
    """The oldest days of a bucket, and one more that it may not have dropped yet."""
    return f"-{days + 1}d", f"-{days - EXPIRING_DAYS}d"


def body(org: str, kind: str, source: str, target: str, width: str, since: str, until: str) -> str:
    """What a task does. kind: last | windows; since, until: durations before now, instants or now()."""
    first, then = (f"date.truncate(t: {moment}, unit: {width})" for moment in (since, until))
    read = f"from(bucket: {flux_text(source)})\n  |> range(start: {first}, stop: {then})\n"
    write = f"to(bucket: {flux_text(target)}, org: {flux_text(org)}"
    again = width != "5m"  # the source is made of windows itself
    if kind == "last":
        if again:
            read += f'  |> filter(fn: (r) => r._measurement != "{COUNT}" and not exists r.{AGG})\n'
        return f"{read}  |> window(every: {width})\n  |> last()\n  |> window(every: inf)\n  |> {write})\n"
    numbers = f"exists r.device and r._field !~ /{NO_NUMBERS}/"  # what else the bucket holds has other tags
    parts = []
    for agg in ("min", "max", "sum"):
        chosen = f'{numbers} and r.{AGG} == "{agg}"' if again else numbers
        parts.append(
            f"{read}  |> filter(fn: (r) => {chosen})\n"
            f'  |> aggregateWindow(every: {width}, fn: {agg}, createEmpty: false, timeSrc: "_start")\n'
            f'  |> set(key: "{AGG}", value: "{agg}")\n'
            f'  |> {write}, tagColumns: ["{AGG}", "device", "site"])\n  |> yield(name: "{agg}")\n'
        )
    chosen = f'r._measurement == "{COUNT}"' if again else numbers
    parts.append(
        f"{read}  |> filter(fn: (r) => {chosen})\n"
        f"  |> aggregateWindow(every: {width}, fn: {'sum' if again else 'count'}, createEmpty: false, "
        f'timeSrc: "_start")\n  |> set(key: "_measurement", value: "{COUNT}")\n'
        f'  |> {write})\n  |> yield(name: "{COUNT}")\n'
    )
    return "\n".join(parts)


def whole(org: str, source: str, target: str, readings: bool, since: str, until: str) -> str:
    """Copies a stretch as it is. readings: without what the windows held."""
    chosen = (
        f'  |> filter(fn: (r) => r._measurement != "{COUNT}" and not exists r.{AGG})\n' if readings else ""
    )
    return (
        f"from(bucket: {flux_text(source)})\n  |> range(start: date.truncate(t: {since}, unit: 1s), stop: {until})\n"
        f"{chosen}  |> to(bucket: {flux_text(target)}, org: {flux_text(org)})\n"
    )


def flux_text(text: str) -> str:
    """A string in Flux."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "\\${") + '"'
