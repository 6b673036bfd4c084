"""CSV files of a backtest, plain or .gz: rows and columns, with the line of what cannot be read."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import IO

from dutyroom.errors import Invalid, Mistake, Rejected
from dutyroom.flows.past_bytes import Plain
from dutyroom.flows.past_files import Listed, Row
from dutyroom.flows.past_readings import Columns, columns_of
from dutyroom.flows.past_troubles import Troubles

_BYTES = 4 << 20  # of a block
_LONGEST_LINE = 1 << 20
_WANTED = ("device_id", "point", "unit", "time_utc_iso", "value")


@contextmanager
def _guarded(path: Path) -> Iterator[None]:
    """Raises Rejected for what cannot be opened or is no text, also while it is read."""
    try:
        yield
    except (OSError, EOFError, zlib.error) as err:
        raise Rejected(f"{path}: {getattr(err, 'strerror', None) or err}") from err
    except UnicodeDecodeError as err:
        raise Rejected(f"{path}: is no text in UTF-8: byte {err.start}") from err
    except csv.Error as err:
        raise Rejected(f"{path}: is no CSV: {err}") from err


def _raw(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def rows(path: Path, wanted: Sequence[str]) -> list[Row]:
    """All rows of a small table. Raises Invalid naming the columns that are missing, Rejected."""
    with _guarded(path), _raw(path) as raw, TextIOWrapper(raw, encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        head = reader.fieldnames or []
        _need(path, head, wanted)
        return [
            {k: v or "" for k, v in row.items() if k is not None and isinstance(v, str | None)}
            for row in reader
        ]


def _need(path: Path, head: Sequence[str], wanted: Sequence[str]) -> None:
    """Raises Invalid naming the columns that are missing, or what stands between them instead of commas."""
    if len(head) == 1 and (between := next((c for c in ";\t|" if c in head[0]), "")):
        raise Invalid(
            [Mistake(path.name, 1, "", f"the columns are separated by {between!r}: it must be by commas")]
        )
    if missing := [Mistake(path.name, 1, c, "this column is missing") for c in wanted if c not in head]:
        raise Invalid(missing)


def telemetry(path: Path, known: Listed, troubles: Troubles, unit: bool = True) -> tuple[list[Columns], bool]:
    """(the readings of a file in the order of its rows, whether it says when they came). unit: the column is
    needed. Raises Invalid naming the columns that are missing, Rejected."""
    with _guarded(path), _raw(path) as file:
        head = next(csv.reader([file.readline().decode("utf-8-sig")]), [])
        wanted = [name for name in _WANTED if unit or name != "unit"]
        _need(path, head, wanted)
        plain, found, first = Plain.of(head, _WANTED, known), [], 2
        for block in _blocks(file):
            quick = plain.columns(block)
            if quick is not None:
                columns, rows = quick
            else:
                columns, rows = _one_by_one(block, head, path.name, first, known, troubles)
            found.append(columns)
            first += rows
        return found, "received_at" in head


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    """Whole lines."""
    rest = b""
    while more := file.read(_BYTES):
        text = rest + more
        end = text.rfind(b"\n") + 1
        rest = text[end:]
        if end:
            yield text[:end]
        elif len(rest) > _LONGEST_LINE:
            raise csv.Error(f"a line of more than {_LONGEST_LINE} bytes")
    if rest:
        yield rest + b"\n"


def _fields(line: str) -> list[str]:
    line = line.rstrip("\r")
    if '"' not in line:
        return line.split(",") if line else []
    try:
        return next(csv.reader([line]))
    except csv.Error:
        return [line]


def _one_by_one(
    block: bytes, head: Sequence[str], name: str, first: int, known: Listed, troubles: Troubles
) -> tuple[Columns, int]:
    """Rows as they come, with what is wrong with them. Each line is a row: a stray quote takes no other with it."""
    lines = block.decode("utf-8").split("\n")[:-1]
    chunk, place = [], []
    for number, row in enumerate(map(_fields, lines), first):
        if row and len(row) != len(head):
            said = f"{len(row)} fields, not {len(head)}"
            troubles.add("row", "fields", 1, f"{name}:{number}: {said}")
        elif row:
            chunk.append(row)
            place.append(number)
    columns = dict(zip(head, zip(*chunk, strict=True), strict=True)) if chunk else {}
    nothing = ("",) * len(chunk)
    device, point, unit, at, value = (columns.get(c, nothing) for c in _WANTED)
    came = columns.get("received_at", () if "received_at" in head else None)
    return columns_of(device, point, unit, at, value, came, known, name, place, troubles), len(lines)
