"""Rows of a table as devices are meant: every cell read by its column, every flaw named.

A column that a table does not have says nothing: for a device that is known its field stays.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from dutyroom.model.duty import DeviceStatus
from dutyroom.model.telemetry import DeviceClass, Scalar
from dutyroom.site import pairs
from dutyroom.site.columns import PARAMETER, class_of, column_of, like, status_of
from dutyroom.site.flaws import Flaw, flaw, near, quoted
from dutyroom.site.table import Cell, CellKind, Sheet
from dutyroom.timebase import DAY

ID = re.compile(r"[\w.:-]{1,100}")  # what people may give; one that was adopted may look otherwise
MAX_INTERVAL_S = 31 * DAY // 1000
MAX_DIGITS = 15  # 10**15 steps are below 2**53
HEADER_WITHIN = 10  # rows: above the names there may be a title
_LONGEST = {"name": 200, "model": 200, "profile": 200, "address": 200, "space": 200, "serial": 100, "id": 400}
_SCIENTIFIC = re.compile(r"[0-9]\.?[0-9]*E\+?[0-9]+", re.IGNORECASE)
_MADE_FORMULA = re.compile(r"'+[=+\-@\t\r\n＝＋－＠]")
_SECONDS = {
    unit: size
    for units, size in (
        ("s sec second seconds 秒 秒钟", 1),
        ("m min mins minute minutes 分 分钟", 60),
        ("h hr hour hours 时 小时", 3600),
        ("d day days 日 天", 86400),
    )
    for unit in units.split()
}
_LASTS = re.compile(rf"([0-9]{{1,9}}(?:\.[0-9]{{1,6}})?)\s*({'|'.join(_SECONDS)})?")
_RATIO = re.compile(r"([0-9.]+)\s*[/:：]\s*([0-9.]+)")


@dataclass(frozen=True, slots=True)
class Draft:
    """One row. given: field -> value, of the columns that the table has; an empty cell clears."""

    row: int
    id: str
    given: Mapping[str, Any]
    cells: Mapping[str, Cell] = field(default_factory=dict)  # field -> cell
    titles: Mapping[str, str] = field(default_factory=dict)  # field -> the column's name in the file


@dataclass(slots=True)
class _Row:
    """A row while it is read."""

    file: str
    number: int
    titles: Mapping[str, str]
    flaws: list[Flaw]

    def wrong(self, name: str, key: str, near: str = "", **arguments: str | int) -> None:
        self.flaws.append(flaw(self.file, self.number, self.titles.get(name, name), key, near, **arguments))


def read_drafts(sheet: Sheet) -> tuple[list[Draft], list[Flaw]]:
    """Every row as a draft; with flaws the drafts are there for further checks only."""
    flaws: list[Flaw] = []
    if not sheet.rows:
        return [], [flaw(sheet.file, 0, "", "empty_file")]
    at = next((i for i, (_, cells) in enumerate(sheet.rows[:HEADER_WITHIN]) if _is_header(cells)), None)
    if at is None:
        return [], [flaw(sheet.file, sheet.rows[0][0], "", "no_header")]
    number, header = sheet.rows[at]
    names = _names(sheet.file, number, header, flaws)
    drafts = [_draft(sheet.file, n, cells, names, header, flaws) for n, cells in sheet.rows[at + 1 :]]
    _once(sheet.file, drafts, flaws)
    return drafts, flaws


def _is_header(cells: tuple[Cell, ...]) -> bool:
    return "id" in {column_of(cell.text) for cell in cells}


def _names(file: str, row: int, header: tuple[Cell, ...], flaws: list[Flaw]) -> list[str]:
    """The field of each column, "" = none."""
    found: list[str] = []
    for cell in header:
        name = column_of(cell.text)
        if cell.text and not name:
            flaws.append(flaw(file, row, cell.text, "unknown_column", like(cell.text)))
        elif name and name in found:
            flaws.append(flaw(file, row, cell.text, "column_twice"))
            name = ""
        found.append(name)
    return found


def _draft(
    file: str,
    number: int,
    cells: tuple[Cell, ...],
    names: list[str],
    header: tuple[Cell, ...],
    flaws: list[Flaw],
) -> Draft:
    titles = {name: title.text for name, title in zip(names, header, strict=True) if name}
    row = _Row(file, number, titles, flaws)
    if any(cell.text for cell in cells[len(names) :]):
        row.wrong("", "no_cell", found=len(cells), wanted=len(names))
    padded = (*cells, *[Cell()] * (len(names) - len(cells)))
    of = {n: replace(c, text=unharmed(c.text)) for n, c in zip(names, padded, strict=False) if n}
    given: dict[str, Any] = {}
    for name, cell in of.items():
        if not name.startswith(PARAMETER) and _readable(row, name, cell):
            given[name] = _READ[name](row, name, cell)
    own = {n.removeprefix(PARAMETER): c for n, c in of.items() if n.startswith(PARAMETER)}
    if own:
        given["parameters"] = {**given.get("parameters", {}), **_own(row, own)}
        given["some"] = "parameters" not in of  # then the others that a device has stay
    if not given.get("id"):
        row.wrong("id", "needed")
    return Draft(number, given.get("id", ""), given, of, titles)


def unharmed(text: str) -> str:
    """Without the apostrophe that keeps a spreadsheet from taking a text for a formula."""
    return text[1:] if _MADE_FORMULA.match(text) else text


def _readable(row: _Row, name: str, cell: Cell) -> bool:
    """Whether the spreadsheet left what was entered."""
    match cell.kind:
        case CellKind.FORMULA:
            row.wrong(name, "formula")
        case CellKind.ERROR:
            row.wrong(name, "error_cell", value=cell.text)
        case CellKind.DATE:
            row.wrong(name, "date", value=cell.text)
        case _:
            return True
    return False


def _text(row: _Row, name: str, cell: Cell) -> str:
    most = _LONGEST.get(name, 200)
    if len(cell.text) > most:
        row.wrong(name, "too_long", most=most)
    if not cell.text.isprintable():
        row.wrong(name, "control")
    return cell.text


def _code(row: _Row, name: str, cell: Cell) -> str:
    """An identifier, which a spreadsheet may have taken for a number."""
    if _SCIENTIFIC.fullmatch(cell.text) and any(c in cell.text for c in ".+"):
        row.wrong(name, "shortened", value=cell.text)
    elif cell.kind is CellKind.NUMBER and len(cell.text.lstrip("-").replace(".", "")) > 15:
        row.wrong(name, "digits_lost")
    return _text(row, name, cell)


def _class(row: _Row, name: str, cell: Cell) -> str:
    word = class_of(cell.text)
    if word and word not in set(DeviceClass):
        row.wrong(name, "no_class", near(word, [str(c) for c in DeviceClass]), value=quoted(word))
    return word


def _status(row: _Row, name: str, cell: Cell) -> DeviceStatus | None:
    word = status_of(cell.text)
    if word and word not in set(DeviceStatus):
        row.wrong(name, "no_status", value=quoted(word))
        return None
    return DeviceStatus(word) if word else None


def _feeds(row: _Row, name: str, cell: Cell) -> tuple[str, ...]:
    found = (part.strip() for part in re.split("[;,；，、]", _text(row, name, cell)))
    return tuple(dict.fromkeys(filter(None, found)))


def _interval(row: _Row, name: str, cell: Cell) -> int | None:
    found = seconds_of(cell.text)
    if cell.text and found is None:
        row.wrong(name, "seconds", value=quoted(cell.text), most=MAX_INTERVAL_S)
    return found


def seconds_of(text: str) -> int | None:
    """Whole seconds of "900", "15min", "1.5 h", "15分钟"; None for anything else, or out of bounds."""
    parts = _LASTS.fullmatch(text.strip().lower())
    if parts is None:
        return None
    found = Decimal(parts[1]) * _SECONDS[parts[2] or "s"]
    return int(found) if found == found.to_integral_value() and 0 < found <= MAX_INTERVAL_S else None


def _whole(row: _Row, name: str, cell: Cell) -> int | None:
    if not cell.text:
        return None
    if not (re.fullmatch("[0-9]{1,9}", cell.text) and 0 < int(cell.text) <= MAX_DIGITS):
        row.wrong(name, "digits_form", value=quoted(cell.text), most=MAX_DIGITS)
        return None
    return int(cell.text)


def _resolution(row: _Row, name: str, cell: Cell) -> Decimal | None:
    if not cell.text:
        return None
    found = _positive(cell.text)
    if found is None or not Decimal("1e-9") <= found <= Decimal("1e9"):
        row.wrong(name, "resolution_form", value=quoted(cell.text))
        return None
    return plain(found)


def _positive(text: str) -> Decimal | None:
    try:
        number = Decimal(text) if len(text) <= 30 else Decimal(0)
    except InvalidOperation:
        return None
    return number if number.is_finite() and number > 0 else None


def plain(number: Decimal) -> Decimal:
    """One way to write it: 0.010 is 0.01, 1E+1 is 10."""
    return Decimal(format(number.normalize(), "f"))


def _parameters(row: _Row, name: str, cell: Cell) -> dict[str, Scalar]:
    found: dict[str, Scalar] = {}
    for part, key, value in pairs.parts(cell.text):
        if value is None:
            row.wrong(name, "not_pair", value=quoted(part))
        elif not pairs.NAME.fullmatch(key):
            row.wrong(name, "parameter_name", value=quoted(key))
        elif key in found:
            row.wrong(name, "pair_twice", value=quoted(key))
        else:
            found[key] = value
    return found


def _own(row: _Row, cells: Mapping[str, Cell]) -> dict[str, Scalar | None]:
    """Parameters in columns of their own; None = the cell is empty."""
    found: dict[str, Scalar | None] = {}
    for key, cell in cells.items():
        name = PARAMETER + key
        if not _readable(row, name, cell):
            continue
        if not pairs.NAME.fullmatch(key):
            row.wrong(name, "parameter_name", value=quoted(key))
        elif key in ("ct", "pt") and (ratio := _RATIO.fullmatch(cell.text)):
            found[key] = _ratio(row, name, cell.text, ratio)
        else:
            found[key] = pairs.value_of(cell.text) if cell.text else None
    return found


def _ratio(row: _Row, name: str, text: str, ratio: re.Match[str]) -> Scalar | None:
    """200/5 on the plate of a transformer is 40."""
    first, second = _positive(ratio[1]), _positive(ratio[2])
    if first is None or second is None:
        row.wrong(name, "number_wanted", value=quoted(text))
        return None
    quotient = first / second
    return int(quotient) if quotient == quotient.to_integral_value() else float(quotient)


_READ: Mapping[str, Any] = {
    "id": _code, "name": _text, "class": _class, "model": _text, "profile": _text, "address": _code, "space": _text,
    "fed_by": _feeds, "interval_s": _interval, "digits": _whole, "resolution": _resolution, "serial": _code,
    "parameters": _parameters, "status": _status,
}  # fmt: skip


def _once(file: str, drafts: list[Draft], flaws: list[Flaw]) -> None:
    """Notes an id that stands twice."""
    first: dict[str, int] = {}
    for draft in drafts:
        row = first.setdefault(draft.id, draft.row)
        if draft.id and row != draft.row:
            flaws.append(
                flaw(
                    file, draft.row, draft.titles.get("id", "id"), "twice", value=quoted(draft.id), first=row
                )
            )
