"""Statements, period reads and registers as files for a clerk's spreadsheet: CSV and XLSX.

Amounts are exact text in CSV and figures with the currency's places in XLSX. A text that a spreadsheet would
take for a formula is made harmless.
"""

from __future__ import annotations

import csv
import io
import json
import string
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from importlib.resources import files
from typing import TypeAlias
from zoneinfo import ZoneInfo

from dutyroom.metering.registers import steps_of
from dutyroom.metering.tariff import smallest
from dutyroom.model.metering import Line, PeriodRead, Statement, Usage
from dutyroom.model.telemetry import PointTable
from dutyroom.timebase import Ms, to_iso, zone

# What begins a formula in some spreadsheet; the wide ones in Chinese and Japanese editions.
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")

Cell: TypeAlias = str | Decimal | int | None
Rows: TypeAlias = list[list[Cell]]

LINE_COLUMNS = (
    "number", "period", "unit", "version", "item", "device", "opening", "opening_at", "closing", "closing_at",
    "multiplier", "quantity", "measure", "price", "amount", "currency", "included", "flags",
    "exchanges",
)  # fmt: skip
STATEMENT_COLUMNS = (
    "number",
    "period",
    "unit",
    "version",
    "start",
    "end",
    "area",
    "total",
    "currency",
    "digest",
)
READ_COLUMNS = (
    "device", "point", "cut_off", "register", "measure", "read_at", "flag", "version", "source",
)  # fmt: skip


class StatementFiles:
    """Statements as bytes of a file. time_zones: by site; times of an unknown site are in UTC."""

    def __init__(self, time_zones: Mapping[str, str] | None = None) -> None:
        self._zones = {site: zone(name) for site, name in (time_zones or {}).items()}
        self._words = {language: _words(language) for language in ("zh-CN", "en")}

    def csv(self, statements: Sequence[Statement], language: str) -> bytes:
        """One row a printed line, with the registers behind it; UTF-8 with a byte order mark."""
        words = self._words[language]
        rows = [row for s in statements for row in self._lines(s, words)]
        return _csv(_header(LINE_COLUMNS, words), rows)

    def xlsx(self, statements: Sequence[Statement], language: str) -> bytes:
        """A workbook: a row a statement, and a sheet with its lines."""
        words = self._words[language]
        sheets = {
            words["export.statements"]: (
                STATEMENT_COLUMNS,
                [self._statement(s) for s in statements],
            ),
            words["export.lines"]: (
                LINE_COLUMNS,
                [row for s in statements for row in self._lines(s, words)],
            ),
        }
        return _xlsx(sheets, words)

    def reads_csv(self, reads: Sequence[PeriodRead], table: PointTable, language: str) -> bytes:
        """The period reads of a cut-off; a missing register is an empty cell."""
        words = self._words[language]
        return _csv(_header(READ_COLUMNS, words), self._reads(reads, table))

    def reads_xlsx(self, reads: Sequence[PeriodRead], table: PointTable, language: str) -> bytes:
        words = self._words[language]
        return _xlsx({words["export.reads"]: (READ_COLUMNS, self._reads(reads, table))}, words)

    # ------------------------------------------------------------ rows

    def _time(self, site: str, at: Ms | None) -> str:
        tz: ZoneInfo | None = self._zones.get(site)
        return "" if at is None else to_iso(at, tz)

    def _statement(self, s: Statement) -> list[Cell]:
        start, end = self._time(s.site, s.start), self._time(s.site, s.end)
        total = _money(s.total, s.currency)
        return [s.number, s.period, s.unit, s.version, start, end, s.area, total, s.currency, s.digest]

    def _lines(self, s: Statement, words: Mapping[str, str]) -> Rows:
        usages = {usage.device: usage for usage in (*s.shared, *s.usages)}
        rows = [self._line(s, line, usages.get(_meters(line)), words) for line in s.lines]
        total: list[Cell] = [None] * len(LINE_COLUMNS)
        total[:5] = [s.number, s.period, s.unit, s.version, words["export.total"]]
        total[LINE_COLUMNS.index("amount")] = _money(s.total, s.currency)
        total[LINE_COLUMNS.index("currency")] = s.currency
        return [*rows, total]

    def _line(self, s: Statement, line: Line, usage: Usage | None, words: Mapping[str, str]) -> list[Cell]:
        behind: list[Cell] = [_meters(line), None, None, None, None, None]
        flags = exchanges = ""
        if usage is not None and not line.detail:
            opening, closing = usage.opening, usage.closing
            behind = [
                usage.device,
                _physical(opening.steps, usage.step),
                self._time(s.site, opening.at),
                _physical(closing.steps, steps_of(usage)[-1]),
                self._time(s.site, closing.at),
                usage.multiplier,
            ]
            flags = ", ".join(usage.flags)
            exchanges = "; ".join(
                self._exchange(s.site, usage, number) for number in range(len(usage.exchanges))
            )
        return [
            s.number,
            s.period,
            s.unit,
            s.version,
            _text(line.key, line.arguments, words),
            *behind,
            line.quantity,
            line.unit,
            line.price,
            _money(line.amount, s.currency),
            s.currency,
            words["export.yes"] if line.detail else "",
            flags,
            exchanges,
        ]

    def _exchange(self, site: str, usage: Usage, number: int) -> str:
        """When a meter was replaced, the last register of the old one and the first of the new one."""
        swap, steps = usage.exchanges[number], steps_of(usage)
        old, new = steps[number], steps[number + 1]
        return f"{self._time(site, swap.at)}: {swap.closing * old} → {swap.opening * new}"

    def _reads(self, reads: Sequence[PeriodRead], table: PointTable) -> Rows:
        rows: Rows = []
        for read in reads:
            point = table.find(read.device, read.point)
            step = point.spec.step if point is not None and point.spec.step is not None else Decimal(1)
            rows.append(
                [
                    read.device,
                    read.point,
                    self._time(read.site, read.cut_off),
                    _physical(read.steps, step),
                    point.spec.unit if point is not None else "",
                    self._time(read.site, read.at),
                    read.flag.value,
                    read.version,
                    read.source,
                ]
            )
        return rows


def _words(language: str) -> Mapping[str, str]:
    place = files("dutyroom") / "api" / "pages" / "locales" / language / "billing.json"
    words: dict[str, str] = json.loads(place.read_text(encoding="utf-8"))
    return words


def _header(columns: Iterable[str], words: Mapping[str, str]) -> list[Cell]:
    return [words[f"export.{name}"] for name in columns]


def _text(key: str, arguments: Mapping[str, str], words: Mapping[str, str]) -> str:
    return string.Formatter().vformat(words.get(key, key), (), arguments)


def _physical(steps: int | None, step: Decimal) -> Decimal | None:
    return None if steps is None else steps * step


def _meters(line: Line) -> str:
    """The meters that a line stands on: a unit's own, or the public ones of a share."""
    return line.device or line.arguments.get("meters", "").replace(",", ", ")


def _money(amount: int, currency: str) -> Decimal:
    """Smallest units as units of the currency, with its places."""
    unit = smallest(currency)
    return (Decimal(amount) / unit).quantize(1 / unit)


def _csv(header: list[Cell], rows: Rows) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    for row in (header, *rows):
        writer.writerow([_plain(cell) for cell in row])
    return b"\xef\xbb\xbf" + out.getvalue().encode("utf-8")


def _plain(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, Decimal):
        return format(cell, "f")
    return harmless(str(cell))


def harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula: an apostrophe before what might be one."""
    return "'" + text if text.startswith(_FORMULA) else text


def _figure(places: int) -> str:
    """How a spreadsheet shows money: yen have no places, dinars three."""
    return "#,##0." + "0" * places if places else "#,##0"


def _xlsx(sheets: Mapping[str, tuple[Sequence[str], Rows]], words: Mapping[str, str]) -> bytes:
    out = io.BytesIO()
    import xlsxwriter  # wanted seldom, slow to import

    book = xlsxwriter.Workbook(out, {"in_memory": True})
    bold = book.add_format({"bold": True, "bottom": 1})
    shapes = {places: book.add_format({"num_format": _figure(places)}) for places in range(4)}
    for name, (columns, rows) in sheets.items():
        sheet = book.add_worksheet(name)
        sheet.freeze_panes(1, 0)
        for column, title in enumerate(_header(columns, words)):
            sheet.write_string(0, column, str(title), bold)
            sheet.set_column(column, column, 24 if columns[column] in ("item", "source", "digest") else 16)
        money = {number for number, column in enumerate(columns) if column in ("amount", "total")}
        for number, row in enumerate(rows, 1):
            for column, cell in enumerate(row):
                if isinstance(cell, str):
                    sheet.write_string(number, column, cell)
                elif isinstance(cell, Decimal) and column in money:
                    places = max(0, -int(cell.as_tuple().exponent))
                    sheet.write_number(number, column, float(cell), shapes[places])
                elif cell is not None:
                    sheet.write_number(number, column, float(cell))
    book.close()
    return out.getvalue()
