"""A table that a person made: rows of cells, from a CSV file in whatever encoding Excel chose.

Workbooks give the same (`backends/workbook.py`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from dutyroom.errors import Invalid
from dutyroom.site.flaws import flaw

MAX_BYTES = 20_000_000
MAX_ROWS = 100_000
MAX_COLUMNS = 200
MAX_CELL = 5_000  # characters; more is cut and then refused by its field
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_WORKBOOK = b"\xd0\xcf\x11\xe0"  # the container of .xls, and of encrypted .xlsx


class CellKind(StrEnum):
    """What a spreadsheet took a cell for."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    FORMULA = "formula"  # without a result
    ERROR = "error"  # #N/A and the like


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell's text without blanks around it; a number as its shortest digits."""

    text: str = ""
    kind: CellKind = CellKind.TEXT


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows with their number as a spreadsheet shows it; rows without any text are left out."""

    file: str
    rows: tuple[tuple[int, tuple[Cell, ...]], ...]


def read_csv(raw: bytes, file: str) -> Sheet:
    """UTF-8 with or without a byte order mark, GB18030 or UTF-16; commas, semicolons or tabs between.

    Raises Invalid.
    """
    if len(raw) > MAX_BYTES:
        raise Invalid([flaw(file, 0, "", "too_large", most=f"{MAX_BYTES // 1_000_000} MB")])
    if raw.startswith(_WORKBOOK):
        raise Invalid([flaw(file, 0, "", "old_workbook")])
    text = _decoded(raw, file)
    first = next((line for line in text.splitlines() if line.strip()), "")
    between = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=between, strict=True)
    rows: list[tuple[int, tuple[Cell, ...]]] = []
    number = 0
    try:
        for number, cells in enumerate(reader, 1):
            if any(cell.strip() for cell in cells):
                rows.append((number, tuple(Cell(cell.strip()[:MAX_CELL]) for cell in cells[:MAX_COLUMNS])))
            if len(rows) > MAX_ROWS:
                raise Invalid([flaw(file, 0, "", "too_many_rows", most=MAX_ROWS)])
    except csv.Error as err:
        raise Invalid([flaw(file, number + 1, "", "no_csv", why=str(err))]) from None
    return Sheet(file, tuple(rows))


def _decoded(raw: bytes, file: str) -> str:
    if raw.startswith(_UTF16):
        return raw.decode("utf-16", "replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    try:
        return raw.decode("gb18030")
    except UnicodeDecodeError as err:
        raise Invalid([flaw(file, 0, "", "encoding", place=err.start)]) from None


def sheet_of(file: str, rows: Sequence[Sequence[str]]) -> Sheet:
    """A sheet of plain texts, numbered from 1: a form that was filled in."""
    return Sheet(file, tuple((i, tuple(Cell(text.strip()) for text in row)) for i, row in enumerate(rows, 1)))
