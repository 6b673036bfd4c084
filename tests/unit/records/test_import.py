"""Past readings from files: what is right is stored, what is wrong is named by file and line."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from dutyroom.backends.history import import_history
from dutyroom.backends.memory import MemoryReadingStore
from dutyroom.errors import DutyroomError
from dutyroom.model.telemetry import DeviceClass, Kind, Point, PointSpec, PointTable
from dutyroom.timebase import from_iso

HEADER = "device_id,point,time_utc_iso,value\n"
T = from_iso("2026-10-01T00:00:00Z")


def table() -> PointTable:
    spec = PointSpec("volume", "volume", Kind.COUNTER, "m3", step=Decimal("0.001"))
    return PointTable([Point(1, "yard", "meter-1", DeviceClass.WATER_METER, "", spec)])


def test_rows_come_into_the_store_and_strangers_are_named(tmp_path: Path) -> None:
    text = HEADER + "meter-1,volume,2026-10-01T08:00:00+08:00,12.345\nmeter-9,volume,2026-10-01T00:00:00Z,1\n"
    plain, packed = tmp_path / "a.csv", tmp_path / "a.csv.gz"
    plain.write_text(text, encoding="utf-8")
    packed.write_bytes(gzip.compress(text.encode()))
    for file in (plain, packed):
        points, store = table(), MemoryReadingStore()
        done = import_history(file, points, store)
        assert (done.readings, done.unknown) == (1, ("meter-9/volume",))
        (found,) = store.latest([points[1]]).values()
        assert (found.at, found.value) == (T, 12.345)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a,b\n", "x.csv:1: device_id, point, time_utc_iso, value: column missing"),
        (b"meter-1,volume,yesterday,1\n", "x.csv:2: time_utc_iso: 'yesterday'"),
        (b"meter-1,volume\n", "x.csv:2: time_utc_iso: "),
        (b"meter-1,volume,2026-10-01T00:00:00Z,much\n", "x.csv:2: value: 'much' is not a number"),
        (b"meter-1,volume,2026-10-01T00:00:00Z,nan\n", "x.csv:2: value: 'nan' is not a finite"),
        (
            b"meter-1,volume,2026-10-01T00:00:00Z,1e300\n",
            "x.csv:2: value: 1e300 is more than a register holds",
        ),
        (b"meter-1,volume,2026-10-01T00:00:00Z,\xff\n", "x.csv: not UTF-8 at byte"),
        (b"a" * 200_000 + b",b,c,d\n", "x.csv: field larger than"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "x.csv"
    file.write_bytes((b"" if content == b"a,b\n" else HEADER.encode()) + content)
    with pytest.raises(DutyroomError) as caught:
        import_history(file, table(), MemoryReadingStore())
    assert says in str(caught.value)


@pytest.mark.parametrize("names", ["", "[]", "{}", '{"devices": 1, "points": []}'])
def test_a_folder_without_its_names(tmp_path: Path, names: str) -> None:
    (tmp_path / "names.json").write_text(names, encoding="utf-8")
    with pytest.raises(DutyroomError, match=r"names\.json"):
        import_history(tmp_path, table(), MemoryReadingStore())


def test_a_chunk_that_is_none(tmp_path: Path) -> None:
    names = {"devices": ["meter-1"], "points": ["volume"]}
    (tmp_path / "names.json").write_text(json.dumps(names), encoding="utf-8")
    chunk = tmp_path / "chunk-0.npz"
    columns = {"device": np.array([0]), "point": np.array([0]), "at": np.array([T])}
    np.savez(chunk, **columns, value=np.array([12.345]))
    assert import_history(tmp_path, table(), MemoryReadingStore()).readings == 1
    np.savez(chunk, **columns)
    with pytest.raises(DutyroomError, match=r"chunk-0\.npz"):
        import_history(tmp_path, table(), MemoryReadingStore())
    chunk.write_bytes(b"no archive")
    with pytest.raises(DutyroomError, match=r"chunk-0\.npz"):
        import_history(tmp_path, table(), MemoryReadingStore())
