"""Bulk import of past readings from a file into a store, for a start with history.

Two forms, both with physical values: CSV (`device_id,point,time_utc_iso,value`, plain or .gz) and
the chunked `.npz` folder that the simulators write (`names.json` and `chunk-*.npz` with device,
point, at, value columns).
"""

from __future__ import annotations

import csv
import gzip
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dutyroom.errors import Invalid, Mistake, Rejected
from dutyroom.interfaces import ReadingStore
from dutyroom.model.telemetry import Kind, Point, PointTable, Quality, Readings
from dutyroom.profiles.values import LARGEST
from dutyroom.timebase import from_iso

_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did."""

    readings: int
    unknown: tuple[str, ...]  # device/point names that the registry does not have


def import_history(
    source: Path, table: PointTable, store: ReadingStore, progress: Callable[[float], None] = lambda _: None
) -> Imported:
    """Writes every row of `source`. Same rows again change nothing. Raises Invalid (file, line)."""
    if source.is_dir():
        return _import_chunks(source, table, store, progress)
    return _import_csv(source, table, store)


def _stored(point: Point, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Physical values in the stored form: whole steps for counters."""
    step = point.spec.step
    if point.spec.kind is not Kind.COUNTER or step is None:
        return values
    return np.rint(values / float(step))


def _columns(point: Point, at: npt.NDArray[np.int64], value: npt.NDArray[np.float64]) -> Readings:
    n = at.shape[0]
    return Readings(
        np.full(n, point.id, np.int32),
        at,
        _stored(point, value),
        np.full(n, Quality.GOOD, np.uint8),
        np.zeros(n, np.int32),
    )


def _import_chunks(
    folder: Path, table: PointTable, store: ReadingStore, progress: Callable[[float], None]
) -> Imported:
    devices, points = _names(folder / "names.json")
    unknown: set[str] = set()
    total = 0
    files = sorted(folder.glob("chunk-*.npz"))
    for done, file in enumerate(files, 1):
        try:
            with np.load(file) as chunk:
                total += _write_chunk(chunk, devices, points, table, store, unknown)
        except (OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile) as err:
            raise Rejected(f"{file}: is no chunk of readings: {err}") from err
        progress(done / len(files))
    return Imported(total, tuple(sorted(unknown)))


def _names(file: Path) -> tuple[list[str], list[str]]:
    """The devices and points that the chunks name by number."""
    try:
        names = json.loads(file.read_text(encoding="utf-8"))
        return [str(name) for name in names["devices"]], [str(name) for name in names["points"]]
    except OSError as err:
        raise Rejected(f"{file}: {err.strerror}") from err
    except (ValueError, KeyError, TypeError) as err:
        raise Rejected(f"{file}: should hold the lists `devices` and `points`") from err


def _write_chunk(
    chunk: dict[str, npt.NDArray[np.int64]],
    devices: list[str],
    points: list[str],
    table: PointTable,
    store: ReadingStore,
    unknown: set[str],
) -> int:
    device, name, at, value = chunk["device"], chunk["point"], chunk["at"], chunk["value"].astype(np.float64)
    keys = device.astype(np.int64) * len(points) + name
    order = np.lexsort((at, keys))
    keys, at, value = keys[order], at[order].astype(np.int64), value[order]
    starts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    parts: list[Readings] = []
    for start, end in zip(starts, [*starts[1:], len(keys)], strict=True):
        d, p = divmod(int(keys[start]), len(points))
        found = table.find(devices[d], points[p])
        if found is None:
            unknown.add(f"{devices[d]}/{points[p]}")
        else:
            parts.append(_columns(found, at[start:end], value[start:end]))
    return _write(parts, table, store)


def _write(parts: list[Readings], table: PointTable, store: ReadingStore) -> int:
    """In blocks of some tens of thousands of rows, so that the live writer never waits long."""
    total, block, size = 0, list[Readings](), 0
    for part in parts:
        block.append(part)
        size += len(part)
        if size >= _ROWS:
            total += _flush(block, table, store)
            block, size = [], 0
    return total + _flush(block, table, store)


def _flush(block: list[Readings], table: PointTable, store: ReadingStore) -> int:
    if not block:
        return 0
    joined = Readings(
        np.concatenate([b.point for b in block]),
        np.concatenate([b.at for b in block]),
        np.concatenate([b.value for b in block]),
        np.concatenate([b.quality for b in block]),
        np.concatenate([b.message for b in block]),
    )
    store.write(joined, table)
    return len(joined)


def _lines(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    opener = gzip.open if file.suffix == ".gz" else open
    with opener(file, "rt", encoding="utf-8", newline="") as text:
        rows = csv.DictReader(text)
        missing = {"device_id", "point", "time_utc_iso", "value"} - set(rows.fieldnames or ())
        if missing:
            raise Invalid([Mistake(str(file), 1, ", ".join(sorted(missing)), "column missing in the header")])
        yield from enumerate(rows, 2)


def _import_csv(file: Path, table: PointTable, store: ReadingStore) -> Imported:
    unknown: set[str] = set()
    gathered: dict[int, tuple[list[int], list[float]]] = {}
    total = size = 0
    try:
        for line, row in _lines(file):
            point = table.find(row["device_id"], row["point"])
            if point is None:
                unknown.add(f"{row['device_id']}/{row['point']}")
                continue
            at, value = _parse(file, line, row, point)
            ats, values = gathered.setdefault(point.id, ([], []))
            ats.append(at)
            values.append(value)
            size += 1
            if size >= _ROWS * 4:
                total += _write(_parts(gathered, table), table, store)
                gathered, size = {}, 0
    except UnicodeDecodeError as err:
        raise Rejected(f"{file}: not UTF-8 at byte {err.start}") from err
    except (OSError, EOFError, zlib.error, csv.Error) as err:
        raise Rejected(f"{file}: {getattr(err, 'strerror', None) or err}") from err
    return Imported(total + _write(_parts(gathered, table), table, store), tuple(sorted(unknown)))


def _parts(gathered: dict[int, tuple[list[int], list[float]]], table: PointTable) -> list[Readings]:
    return [
        _columns(table[p], np.array(ats, np.int64), np.array(values, np.float64))
        for p, (ats, values) in sorted(gathered.items())
    ]


def _parse(file: Path, line: int, row: dict[str, str], point: Point) -> tuple[int, float]:
    try:
        at = from_iso(row["time_utc_iso"] or "")
    except Rejected as err:
        raise Invalid([Mistake(str(file), line, "time_utc_iso", err.reason)]) from err
    try:
        value = float(row["value"])
    except (TypeError, ValueError) as err:
        raise Invalid([Mistake(str(file), line, "value", f"{row['value']!r} is not a number")]) from err
    if not np.isfinite(value):
        raise Invalid([Mistake(str(file), line, "value", f"{row['value']!r} is not a finite number")])
    step = point.spec.step
    if step is not None and abs(value) / float(step) >= LARGEST:
        raise Invalid([Mistake(str(file), line, "value", f"{row['value']} is more than a register holds")])
    return at, value
