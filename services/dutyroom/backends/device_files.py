"""Tables of devices as files: CSV and workbooks, read and written."""

from __future__ import annotations

import csv
import io
import re
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from dutyroom.errors import Invalid
from dutyroom.model.duty import Device
from dutyroom.site.columns import COLUMNS
from dutyroom.site.flaws import flaw
from dutyroom.site.listing import NUMBERS, cells, titles
from dutyroom.site.table import MAX_BYTES, MAX_CELL, MAX_COLUMNS, MAX_ROWS, Cell, CellKind, Sheet, read_csv

_MAX_UNPACKED = 300_000_000  # bytes of a workbook's parts: a small file may hold a huge one
_WIDTHS = {"name": 24, "model": 24, "profile": 28, "address": 24, "parameters": 36}


class DeviceFiles:
    """What pages and commands need of files of devices."""

    def read(self, raw: bytes, file: str) -> Sheet:
        """The sheet of a CSV file or a workbook, by what the bytes are. Raises Invalid."""
        return read_workbook(raw, file) if raw.startswith(b"PK") else read_csv(raw, file)

    def csv(self, devices: Sequence[Device], language: str) -> bytes:
        """UTF-8 with a byte order mark, as Excel wants it; column names in the language."""
        out = io.StringIO(newline="")
        csv.writer(out).writerows([titles(language), *(cells(device) for device in devices)])
        return out.getvalue().encode("utf-8-sig")

    def xlsx(self, devices: Sequence[Device], language: str) -> bytes:
        """A workbook whose codes are text, so that no address loses its zeros."""
        out = io.BytesIO()
        import xlsxwriter  # wanted seldom, slow to import

        book = xlsxwriter.Workbook(out, {"in_memory": True})
        sheet = book.add_worksheet("设备" if language == "zh-CN" else "devices")
        bold, plain = book.add_format({"bold": True, "bottom": 1}), book.add_format({"num_format": "@"})
        for column, (name, title) in enumerate(zip(COLUMNS, titles(language), strict=True)):
            sheet.set_column(column, column, _WIDTHS.get(name, 16), None if name in NUMBERS else plain)
            sheet.write_string(0, column, title, bold)
        sheet.freeze_panes(1, 1)
        sheet.autofilter(0, 0, len(devices), len(COLUMNS) - 1)
        for number, device in enumerate(devices, 1):
            for column, (name, text) in enumerate(zip(COLUMNS, cells(device), strict=True)):
                if text and name in NUMBERS:
                    sheet.write_number(number, column, float(text))
                elif text:
                    sheet.write_string(number, column, text, plain)
        book.close()
        return out.getvalue()


def read_workbook(raw: bytes, file: str) -> Sheet:
    """The first sheet of an .xlsx file that has anything in it. Raises Invalid."""
    if len(raw) > MAX_BYTES:
        raise Invalid([flaw(file, 0, "", "too_large", most=f"{MAX_BYTES // 1_000_000} MB")])
    try:
        _bounded(raw, file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of things in a workbook that do not concern its cells
            return Sheet(file, tuple(_rows(raw, file)))
    except Invalid:
        raise
    except Exception as err:  # the library raises whatever a broken file leads it to
        raise Invalid([flaw(file, 0, "", "no_workbook", why=type(err).__name__)]) from err


def _bounded(raw: bytes, file: str) -> None:
    with zipfile.ZipFile(io.BytesIO(raw)) as parts:
        if sum(part.file_size for part in parts.infolist()) > _MAX_UNPACKED:
            raise Invalid([flaw(file, 0, "", "too_large", most=f"{_MAX_UNPACKED // 1_000_000} MB")])


def _rows(raw: bytes, file: str) -> Iterator[tuple[int, tuple[Cell, ...]]]:
    from openpyxl import load_workbook

    # Read twice side by side: with what the spreadsheet had computed, and with the formulas themselves.
    values = load_workbook(io.BytesIO(raw), read_only=True, data_only=True)
    written = load_workbook(io.BytesIO(raw), read_only=True)
    try:
        for shown, meant in zip(values.worksheets, written.worksheets, strict=True):
            shown.reset_dimensions()
            meant.reset_dimensions()
            count = 0
            for number, (row, formulas) in enumerate(
                zip(shown.iter_rows(), meant.iter_rows(), strict=False), 1
            ):
                found = [_cell(c, f) for c, f in zip(row[:MAX_COLUMNS], formulas[:MAX_COLUMNS], strict=False)]
                if any(cell.text for cell in found):
                    count += 1
                    yield number, tuple(found)
                if count > MAX_ROWS:
                    raise Invalid([flaw(file, 0, "", "too_many_rows", most=MAX_ROWS)])
            if count:
                return
    finally:
        values.close()
        written.close()


def _cell(cell: Any, written: Any) -> Cell:
    """openpyxl's cell with its value, beside the same cell with its formula."""
    value = cell.value
    if value is None:
        if getattr(written, "data_type", "") == "f":
            return Cell(str(written.value)[:MAX_CELL], CellKind.FORMULA)
        return Cell()
    if cell.data_type == "e":
        return Cell(str(value), CellKind.ERROR)
    if isinstance(value, bool):
        return Cell("true" if value else "false", CellKind.BOOLEAN)
    if isinstance(value, int | float):
        return Cell(_digits(value, str(cell.number_format)), CellKind.NUMBER)
    if isinstance(value, datetime | date | time | timedelta):
        return Cell(str(value), CellKind.DATE)
    return Cell(str(value).strip()[:MAX_CELL])


def _digits(value: float, shape: str) -> str:
    """A number as its shortest digits; shown as 00012345 (format 00000000) it has these zeros."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e30:
        value = int(value)
    text = str(value) if isinstance(value, int) else repr(value)
    return text.zfill(len(shape)) if re.fullmatch("0{2,40}", shape) and text.isdecimal() else text
