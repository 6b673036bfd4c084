"""Where readings live. See `dutyroom.interfaces`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from dutyroom.model.telemetry import Point, PointTable, Reading, Readings, Series
from dutyroom.timebase import Ms


class ReadingStore(Protocol):
    """Where readings live: memory, one SQLite file, or InfluxDB; one contract suite for all."""

    def write(self, readings: Readings, table: PointTable) -> None:
        """Idempotent by (point, at): the same rows again change nothing; an equal instant with
        another value replaces (keep has decided the winner), its quality and `readings.late` and `readings.text` too (a row
        that is not in `late` came in time). Never called concurrently."""
        ...

    def range(self, point: Point, start: Ms, end: Ms, limit: int = 100_000) -> Series:
        """start <= at < end, in time order, with the receive times of late ones and texts; the newest `limit` of them."""
        ...

    def buckets(
        self, point: Point, start: Ms, end: Ms, width: Ms
    ) -> Sequence[tuple[Ms, float, float, float, float]]:
        """(bucket start, min, mean, max, last) of non-empty buckets of `width` aligned to `start`."""
        ...

    def at(self, points: Sequence[Point], moment: Ms, back: Ms) -> Mapping[int, Reading]:
        """By point id: the newest reading with moment - back <= at <= moment; missing = absent. `received_at`
        is None unless it was written as late."""
        ...

    def latest(self, points: Sequence[Point]) -> Mapping[int, Reading]:
        """By point id: the newest reading of each point."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class ManyAtOnce(Protocol):
    """A store to which thousands of questions cost far more than one about as many points."""

    def ranges(self, spans: Sequence[tuple[Point, Ms, Ms]], limit: int = 100_000) -> Sequence[Series]:
        """`ReadingStore.range` of each (point, start, end), in their order."""
        ...


@runtime_checkable
class Tended(Protocol):
    """A store that has upkeep of its own to do between the writes."""

    def tidy(self) -> bool:
        """A bounded piece of it (some 50 ms); whether there is more to do."""
        ...


@dataclass(frozen=True, slots=True)
class Run:
    """A store's server from its start on. life: another one after each start. shard: ms of the spans of time that it
    writes down each by itself."""

    life: str
    shard: Ms


@runtime_checkable
class Restarts(Protocol):
    """A store on a server that may lose, when it begins anew, some of what it took before."""

    def run(self) -> Run | None:
        """The present one; None = it does not tell. Raises Unavailable."""
        ...
