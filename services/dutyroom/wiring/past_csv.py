"""CSV files of a backtest, plain or .gz: rows and columns, with the line of what cannot be read."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO

from dutyroom.errors import Invalid, Mistake, Rejected
from dutyroom.flows.past_files import Listed, Row
from dutyroom.flows.past_readings import Columns, columns_of
from dutyroom.flows.past_troubles import Troubles

_CHUNK = 100_000  # rows
_WANTED = ("device_id", "point", "unit", "time_utc_iso", "value")


@contextmanager
def opened(path: Path) -> Iterator[IO[str]]:
    """Raises Rejected for what cannot be opened or is no text, also while it is read."""
    try:
        with _file(path) as file:
            yield file
    except (OSError, EOFError, zlib.error) as err:
        raise Rejected(f"{path}: {getattr(err, 'strerror', None) or err}") from err
    except UnicodeDecodeError as err:
        raise Rejected(f"{path}: is no text in UTF-8: byte {err.start}") from err
    except csv.Error as err:
        raise Rejected(f"{path}: is no CSV: {err}") from err


def _file(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def rows(path: Path, wanted: Sequence[str]) -> list[Row]:
    """All rows of a small table. Raises Invalid naming the columns that are missing, Rejected."""
    with opened(path) as file:
        reader = csv.DictReader(file)
        head = reader.fieldnames or []
        if missing := [Mistake(path.name, 1, c, "this column is missing") for c in wanted if c not in head]:
            raise Invalid(missing)
        return [
            {k: v or "" for k, v in row.items() if k is not None and isinstance(v, str | None)}
            for row in reader
        ]


def telemetry(path: Path, known: Listed, troubles: Troubles, unit: bool = True) -> tuple[list[Columns], bool]:
    """(the readings of a file in the order of its rows, whether it says when they came). unit: the column is
    needed. Raises Invalid naming the columns that are missing, Rejected."""
    with opened(path) as file:
        reader = csv.reader(file)
        head = next(reader, [])
        wanted = [name for name in _WANTED if unit or name != "unit"]
        if missing := [c for c in wanted if c not in head]:
            raise Invalid([Mistake(path.name, 1, c, "this column is missing") for c in missing])
        told = "received_at" in head
        return list(_stretches(reader, head, path.name, known, troubles)), told


def _stretches(
    reader: Iterator[list[str]], head: Sequence[str], name: str, known: Listed, troubles: Troubles
) -> Iterator[Columns]:
    first = 2
    while chunk := list(islice(reader, _CHUNK)):
        size = len(chunk)
        if any(len(row) != len(head) for row in chunk):
            chunk = _whole(chunk, len(head), name, first, troubles)
        if chunk:
            columns = dict(zip(head, zip(*chunk, strict=True), strict=True))
            nothing = ("",) * len(chunk)
            device, point, unit, at, value = (columns.get(c, nothing) for c in _WANTED)
            came = columns.get("received_at")
            yield columns_of(device, point, unit, at, value, came, known, name, first, troubles)
        first += size


def _whole(chunk: list[list[str]], fields: int, name: str, first: int, troubles: Troubles) -> list[list[str]]:
    """Without the rows that are too short or too long; empty lines are nothing."""
    for n, row in enumerate(chunk):
        if row and len(row) != fields:
            troubles.add("row", "fields", 1, f"{name}:{first + n}: {len(row)} fields, not {fields}")
    return [row for row in chunk if len(row) == fields]
