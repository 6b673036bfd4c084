"""The API of period readings and statements."""

from __future__ import annotations

from datetime import date

from fastapi import APIRouter, HTTPException, Response

from dutyroom.api.asked import Ask, Json, plain
from dutyroom.timebase import Ms, day_start, local_date, zone

router = APIRouter(prefix="/api/v1/sites/{site}", tags=["billing"])

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def cut_offs(ask: Ask, count: int = 13) -> list[Ms]:
    """The last cut-offs, newest first: local midnight of the site's day of the month."""
    tz = zone(ask.site.site.time_zone)
    today = local_date(ask.room.clock.now(), tz)
    year, month = today.year, today.month
    if today.day < ask.site.site.cut_off_day:
        year, month = _before(year, month)
    found = []
    for _ in range(count):
        found.append(day_start(date(year, month, ask.site.site.cut_off_day), tz))
        year, month = _before(year, month)
    return found


def _before(year: int, month: int) -> tuple[int, int]:
    return (year - 1, 12) if month == 1 else (year, month - 1)


@router.get("/period-reads", name="api_reads")
def get_reads(ask: Ask, cut_off: Ms | None = None) -> list[Json]:
    """The frozen registers of a cut-off, by default the last one; a missing one has steps null."""
    moment = cut_off if cut_off is not None else cut_offs(ask, 1)[0]
    with ask.room.records.read() as tx:
        return [plain(read) for read in tx.metering.period_reads(ask.name, moment)]


@router.get("/statements", name="api_statements")
def get_statements(ask: Ask, period: str = "", unit: str = "") -> list[Json]:
    """The newest version of each statement."""
    with ask.room.records.read() as tx:
        return [plain(s) for s in tx.metering.statements(ask.name, period or None, unit or None)]


@router.get("/statements/{number}", name="api_statement")
def get_statement(ask: Ask, number: str) -> Json:
    """One statement with its lines and the registers behind them."""
    with ask.room.records.read() as tx:
        found = tx.metering.statement(ask.name, number)
    if found is None:
        raise HTTPException(404, "error.no_statement")
    return dict(plain(found))


@router.get("/statements-{period}.csv", name="statements_csv")
def get_csv(ask: Ask, period: str) -> Response:
    """A period's statements as CSV."""
    return _file(ask, period, "csv")


@router.get("/statements-{period}.xlsx", name="statements_xlsx")
def get_xlsx(ask: Ask, period: str) -> Response:
    """A period's statements as a workbook."""
    return _file(ask, period, "xlsx")


def _file(ask: Ask, period: str, kind: str) -> Response:
    files = ask.room.files
    with ask.room.records.read() as tx:
        found = tx.metering.statements(ask.name, period)
    if files is None or not found:
        raise HTTPException(404, "error.no_statement")
    language = ask.presenter().words.language
    body = files.csv(found, language) if kind == "csv" else files.xlsx(found, language)
    media = "text/csv" if kind == "csv" else XLSX
    headers = {"content-disposition": f'attachment; filename="statements-{period}.{kind}"'}
    return Response(body, media_type=media, headers=headers)
