"""Past readings in bulk: what the estate would have said, as columns, a file a day.

names.json: {"devices": [...], "points": [...]}; chunk-<number>.npz: device (int32 index), point
(int32 index), at (int64 ms UTC), value (float64, physical units).
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dutyroom_simulators import plant
from dutyroom_simulators.payloads import iso
from dutyroom_simulators.registers import DAY, HOUR
from dutyroom_simulators.scenarios import MINUTE
from dutyroom_simulators.world import World

POINTS = ("volume", "flow", "energy", "power", "voltage", "level", "running")
_QUARTER = 15 * MINUTE
_Row = tuple[int, int, int, float]


class Columns:
    """Rows of a chunk while they are gathered."""

    def __init__(self, world: World) -> None:
        self.devices = [d.id for d in world.estate.devices]
        self._index = {name: n for n, name in enumerate(self.devices)}
        self._parts: list[tuple[np.typing.NDArray[np.int32], int, int, np.typing.NDArray[np.float64]]] = []
        self._rows: list[_Row] = []

    def many(
        self, devices: np.typing.NDArray[np.int32], point: str, at: int, values: np.typing.NDArray[np.float64]
    ) -> None:
        self._parts.append((devices, POINTS.index(point), at, values))

    def one(self, device: str, point: str, at: int, value: float) -> None:
        self._rows.append((self._index[device], POINTS.index(point), at, value))

    def indexes(self, ids: list[str]) -> np.typing.NDArray[np.int32]:
        return np.array([self._index[i] for i in ids], dtype=np.int32)

    def arrays(self) -> dict[str, np.typing.NDArray[np.generic]]:
        sizes = [len(p[0]) for p in self._parts]
        rows = np.array(self._rows, dtype=np.float64).reshape(-1, 4)
        whole = np.array([(r[0], r[1], r[2]) for r in self._rows], dtype=np.int64).reshape(-1, 3)
        return {
            "device": np.concatenate([*(p[0] for p in self._parts), whole[:, 0]]).astype(np.int32),
            "point": np.concatenate([np.repeat([p[1] for p in self._parts], sizes), whole[:, 1]]).astype(
                np.int32
            ),
            "at": np.concatenate([np.repeat([p[2] for p in self._parts], sizes), whole[:, 2]]).astype(
                np.int64
            ),
            "value": np.concatenate([*(p[3] for p in self._parts), rows[:, 3]]),
        }


def chunks(world: World, start: int, end: int) -> Iterator[dict[str, np.typing.NDArray[np.generic]]]:
    """A day at a time: unit meters hourly, plant each 15 minutes, test runs each minute."""
    day = start
    while day < end:
        yield _day(world, day, min(day + DAY, end))
        day += DAY


def _first(start: int, width: int) -> int:
    return -(-start // width) * width


def _day(world: World, start: int, end: int) -> dict[str, np.typing.NDArray[np.generic]]:
    columns = Columns(world)
    for at in range(_first(start, HOUR), end, HOUR):
        _unit_meters(world, columns, at)
    for at in range(_first(start, _QUARTER), end, _QUARTER):
        _plant(world, columns, at)
    for at in range(_first(start, MINUTE), end, MINUTE):
        g = plant.past_test_run(at, world.started_at)
        if g.code or at % HOUR == 0:
            columns.one("generator", "running", at, float(g.code == 8))
            columns.one("generator", "power", at, g.power / 1000)
    return columns.arrays()


def _unit_meters(world: World, columns: Columns, at: int) -> None:
    for kind, point, step in (
        ("unit_water", "volume", 1000),
        ("unit_power", "energy", 100),
        ("unit_gas", "volume", 1000),
    ):
        ids = [d.id for d in world.estate.of_kind(kind)]
        values = np.floor(world.meters.raw(kind, at) % 100_000 * step) / step
        for i in world.record.injections:
            if i.device in ids and i.at <= at:
                values[ids.index(i.device)] = int(world.meters.register(i.device, at) * step) / step
        columns.many(columns.indexes(ids), point, at, values)


def _plant(world: World, columns: Columns, at: int) -> None:
    m = world.meters
    parts = {b: m.riser(b, at) for b in "ABCD"}
    garden = m.garden(at)
    for b, (volume, flow) in parts.items():
        columns.one(f"{b}-riser", "volume", at, int(volume * 1000) / 1000)
        columns.one(f"{b}-riser", "flow", at, round(flow, 3))
    columns.one("garden-water", "volume", at, int(garden[0] * 1000) / 1000)
    columns.one(
        "water-master", "volume", at, int((sum(p[0] for p in parts.values()) + garden[0]) * 1000) / 1000
    )
    columns.one("water-master", "flow", at, round(sum(p[1] for p in parts.values()) + garden[1], 3))
    feeders = {b: m.feeder(b, at) for b in "ABCD"}
    for b, (kwh, kw) in feeders.items():
        columns.one(f"{b}-feeder", "energy", at, round(kwh, 3))
        columns.one(f"{b}-feeder", "power", at, round(kw, 4))
        columns.one(f"{b}-feeder", "voltage", at, 230.6)
        columns.one(f"{b}-public", "energy", at, round(m.register(f"{b}-public", at), 3))
    columns.one("mains", "energy", at, round(sum(kwh for kwh, _ in feeders.values()), 3))
    columns.one("mains", "power", at, round(sum(kw for _, kw in feeders.values()), 4))
    columns.one("tank-domestic", "level", at, round(plant.tank_level(world.record, at), 3))
    columns.one("tank-fire", "level", at, 2.41)
    for n in (1, 2):
        columns.one(f"pump-domestic-{n}", "running", at, float(plant.pump_running(world.record, n, at)))


def write_chunks(world: World, start: int, end: int, folder: Path) -> int:
    """Writes names.json and the chunks; returns the rows."""
    folder.mkdir(parents=True, exist_ok=True)
    names = {"devices": [d.id for d in world.estate.devices], "points": list(POINTS)}
    (folder / "names.json").write_text(json.dumps(names), encoding="utf-8")
    total = 0
    for number, arrays in enumerate(chunks(world, start, end)):
        np.savez(folder / f"chunk-{number:04d}.npz", **arrays)  # type: ignore[arg-type]
        total += len(arrays["at"])
    return total


def write_csv(world: World, start: int, end: int, file: Path) -> int:
    """device_id,point,time_utc_iso,value; compressed when the name ends in .gz."""
    devices = [d.id for d in world.estate.devices]
    total = 0
    opener = gzip.open if file.suffix == ".gz" else open
    with opener(file, "wt", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["device_id", "point", "time_utc_iso", "value"])
        for arrays in chunks(world, start, end):
            columns = [arrays[name].tolist() for name in ("device", "point", "at", "value")]
            writer.writerows(
                [devices[d], POINTS[p], iso(at), repr(v)] for d, p, at, v in zip(*columns, strict=True)
            )
            total += len(columns[0])
    return total
