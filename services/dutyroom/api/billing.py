"""The API of period readings and statements."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from fastapi import APIRouter, HTTPException, Response
from pydantic import BaseModel, Field

from dutyroom.api.asked import Ask, Asked, Json, plain
from dutyroom.api.present import Presenter
from dutyroom.errors import Rejected
from dutyroom.flows.billing import (
    close_period,
    correct_read,
    problems_of,
    record_exchange,
    statement_trace,
)
from dutyroom.flows.billing_run import Problem
from dutyroom.model.metering import Exchange, ReadFlag
from dutyroom.timebase import Ms, day_start, from_iso, local_date, zone

router = APIRouter(prefix="/api/v1/sites/{site}", tags=["billing"])

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def cut_offs(ask: Asked, count: int = 13) -> list[Ms]:
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


class ReadIn(BaseModel):
    """A register read on the dial, for a cut-off: as printed on the meter, in the point's unit."""

    device: str = Field(max_length=120)
    point: str = Field("volume", max_length=60)
    cut_off: str = Field(description="ISO 8601, local to the site without a zone")
    register_: Decimal = Field(ge=0, alias="register", allow_inf_nan=False)
    reason: str = Field(min_length=1, max_length=500)
    at: str = Field("", description="when it was read; without it the cut-off")
    estimated: bool = False


@router.post("/period-reads", name="api_read_correct", status_code=201)
def post_read(ask: Ask, given: ReadIn) -> Json:
    """A person's register beside the frozen one: a further version, with who and why."""
    tz = zone(ask.site.site.time_zone)
    stored = correct_read(
        ask.site.site,
        ask.room.records,
        given.device,
        given.point,
        from_iso(given.cut_off, tz),
        _steps(ask, given.device, given.point, given.register_),
        ask.room.clock.now(),
        ask.actor,
        given.reason,
        at=from_iso(given.at, tz) if given.at else None,
        flag=ReadFlag.ESTIMATED if given.estimated else ReadFlag.SUBSTITUTED,
    )
    return dict(plain(stored))


def _steps(ask: Asked, device: str, name: str, register: Decimal) -> int:
    """A register in steps of its meter. Raises Rejected where it lies between two of them."""
    point = ask.site.table.find(device, name)
    if point is None or point.spec.step is None:
        raise HTTPException(404, "error.no_point")
    steps = register / point.spec.step
    if steps != steps.to_integral_value():
        raise Rejected("error.read_step", {"device": device, "step": format(point.spec.step, "f")})
    return int(steps)


@router.post("/billing-runs/{period}", name="api_bill", status_code=201)
def post_run(ask: Ask, period: str) -> Json:
    """Reads what is missing and bills a period that has ended; again without change adds nothing."""
    site = ask.site
    reads, run = close_period(
        site.site, site.table, site.store, ask.room.records, period, ask.room.clock.now(), ask.actor
    )
    shown = ask.presenter()
    return {
        "period": period,
        "missing": [read.device for read in reads.missing],
        "locked": run.locked,
        "statements": [s.number for s in run.statements],
        "problems": [problem_row(shown, row) for row in run.problems],
    }


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


@router.get("/statements/{number}/trace", name="api_trace")
def get_trace(ask: Ask, number: str) -> list[Json]:
    """Every amount of a statement with the two registers that it stands on."""
    return [plain(row) for row in statement_trace(ask.room.records, ask.name, number)]


@router.get("/billing-problems", name="api_problems")
def get_problems(ask: Ask, period: str) -> list[Json]:
    """What the last run of a period could not bill, or wants looked at."""
    shown = ask.presenter()
    with ask.room.records.read() as tx:
        found = problems_of(tx, ask.name, period)
    return [problem_row(shown, row) for row in found]


def problem_row(shown: Presenter, row: Problem) -> Json:
    arguments = {"unit": row.unit, **dict(row.arguments), "device": row.device}
    place = shown.place(row.unit) if row.unit else ""
    return {"unit": row.unit, "place": place, "holds": row.holds, "text": shown.text(row.key, arguments)}


class ExchangeIn(BaseModel):
    """A meter was replaced: registers as printed on the meters, in the point's unit."""

    device: str = Field(max_length=120)
    point: str = Field("volume", max_length=60)
    at: str = Field(description="ISO 8601, local to the site without a zone")
    closing: Decimal = Field(ge=0)
    opening: Decimal = Field(ge=0)
    reason: str = Field(min_length=1, max_length=500)


@router.post("/exchanges", name="api_exchange", status_code=201)
def post_exchange(ask: Ask, given: ExchangeIn) -> Json:
    """Records that a meter was replaced, so that the period's usage has both parts."""
    point = ask.site.table.find(given.device, given.point)
    if point is None or point.spec.step is None:
        raise HTTPException(404, "error.no_point")
    now = ask.room.clock.now()
    row = Exchange(
        id=0,
        site=ask.name,
        device=given.device,
        point=given.point,
        at=from_iso(given.at, zone(ask.site.site.time_zone)),
        closing=_steps(ask, given.device, given.point, given.closing),
        opening=_steps(ask, given.device, given.point, given.opening),
        actor=ask.actor,
        reason=given.reason,
    )
    stored = record_exchange(ask.room.records, row, now)
    ask.site.wake()
    return dict(plain(stored))


@router.get("/exchanges", name="api_exchanges")
def get_exchanges(ask: Ask) -> list[Json]:
    """Recorded replacements of meters."""
    with ask.room.records.read() as tx:
        return [plain(row) for row in tx.metering.exchanges(ask.name)]


@router.get("/statements-{period}.csv", name="statements_csv")
def get_csv(ask: Ask, period: str) -> Response:
    """A period's statements as CSV."""
    return _file(ask, period, "csv")


@router.get("/statements-{period}.xlsx", name="statements_xlsx")
def get_xlsx(ask: Ask, period: str) -> Response:
    """A period's statements as a workbook."""
    return _file(ask, period, "xlsx")


def _file(ask: Asked, period: str, kind: str) -> Response:
    files = ask.room.files
    with ask.room.records.read() as tx:
        found = tx.metering.statements(ask.name, period)
    if files is None or not found:
        raise HTTPException(404, "error.no_statement")
    language = ask.presenter().words.language
    return _attached(
        (files.csv if kind == "csv" else files.xlsx)(found, language), f"statements-{period}.{kind}"
    )


def _attached(body: bytes, name: str) -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(body, media_type="text/csv" if name.endswith(".csv") else XLSX, headers=headers)


@router.get("/period-reads.csv", name="reads_csv")
def get_reads_csv(ask: Ask, cut_off: Ms | None = None) -> Response:
    """The frozen registers of a cut-off as CSV; a missing one is an empty cell."""
    return _reads_file(ask, cut_off, "csv")


@router.get("/period-reads.xlsx", name="reads_xlsx")
def get_reads_xlsx(ask: Ask, cut_off: Ms | None = None) -> Response:
    """The frozen registers of a cut-off as a workbook."""
    return _reads_file(ask, cut_off, "xlsx")


def _reads_file(ask: Asked, cut_off: Ms | None, kind: str) -> Response:
    files, moment = ask.room.files, cut_off if cut_off is not None else cut_offs(ask, 1)[0]
    with ask.room.records.read() as tx:
        found = tx.metering.period_reads(ask.name, moment)
    if files is None or not found:
        raise HTTPException(404, "error.no_reads")
    make = files.reads_csv if kind == "csv" else files.reads_xlsx
    day = local_date(moment, zone(ask.site.site.time_zone))
    return _attached(make(found, ask.site.table, ask.presenter().words.language), f"reads-{day}.{kind}")
