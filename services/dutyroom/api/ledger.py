"""The ledger for people and programs: what became of every message and reading, in sums and pages."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from dutyroom.api.asked import Ask, Asked, Json, plain
from dutyroom.errors import Rejected
from dutyroom.interfaces import LedgerPage, LedgerQuestion, LedgerSum
from dutyroom.timebase import DAY, Ms, day_starts, to_iso, zone

router = APIRouter(prefix="/api/v1/sites", tags=["data"])

By: TypeAlias = Literal["row", "device", "hour", "day"]
MESSAGES = ("received", "decoded", "ignored", "quarantined")
READINGS = ("readings", "stored", "duplicate", "conflict", "refused", "pending")
MOST_DAYS = 800
ROWS = 100  # of a page
_PAGE = 5_000  # rows of a file that are held at once


def question(
    ask: Asked,
    by: By,
    since: Ms | None,
    until: Ms | None = None,
    device: str | None = None,
    wrong: bool = False,
    limit: int = 1000,
    offset: int = 0,
) -> LedgerQuestion:
    """since: None = 24 h ago; by day the whole of its day. Raises Rejected for too many days."""
    now = ask.room.clock.now()
    start, end = now - DAY if since is None else since, now if until is None else until
    if by != "day":
        return LedgerQuestion(start, until, by, (), device, wrong, limit, offset)
    if end - start > MOST_DAYS * DAY:
        raise Rejected("error.too_many_days", {"count": str(MOST_DAYS)})
    days = day_starts(start, max(end, start + 1), zone(ask.site.site.time_zone))
    return LedgerQuestion(days[0], until, by, days, device, wrong, limit, offset)


def line(row: LedgerSum) -> Json:
    """A row with what follows from it."""
    return dict(plain(row)) | {"unread": row.unread, "pending": row.pending, "balances": row.balances}


def page_of(found: LedgerPage) -> Json:
    return {
        "rows": [line(row) for row in found.rows],
        "count": found.count,
        "totals": line(found.totals),
        "oldest": found.oldest,
        "exact": found.exact,
    }


@router.get("/{site}/ledger", name="api_ledger")
def get_ledger(
    ask: Ask,
    since: Ms | None = None,
    until: Ms | None = None,
    device: str | None = None,
    limit: Annotated[int, Query(ge=1, le=100_000)] = 20_000,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> list[Json]:
    """Messages and readings by device and receive hour, newest first; by default of the last 24 h."""
    asked = question(ask, "row", since, until, device, False, limit, offset)
    return [line(row) | {"hour": row.at} for row in ask.site.journal.balance(asked).rows]


@router.get("/{site}/ledger/sums", name="api_ledger_sums")
def get_ledger_sums(
    ask: Ask,
    by: By = "hour",
    since: Ms | None = None,
    until: Ms | None = None,
    device: str | None = None,
    wrong: bool = False,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Json:
    """Sums of the ledger, with those of all rows and whether they balance. wrong: only what does not."""
    return page_of(ask.site.journal.balance(question(ask, by, since, until, device, wrong, limit, offset)))


@router.get("/{site}/ledger.csv", name="api_ledger_csv")
def get_ledger_csv(
    ask: Ask, by: By = "row", since: Ms | None = None, until: Ms | None = None, device: str | None = None
) -> Response:
    """All rows as a CSV file for a spreadsheet."""
    end = ask.room.clock.now() if until is None else until
    return StreamingResponse(
        _csv(ask, by, since, end, device),
        media_type="text/csv",
        headers={"content-disposition": f'attachment; filename="ledger-{by}.csv"'},
    )


def _csv(ask: Asked, by: By, since: Ms | None, until: Ms, device: str | None) -> Iterator[bytes]:
    tz, offset = zone(ask.site.site.time_zone), 0
    names = (*MESSAGES, *READINGS, "gaps", "balances")
    yield b"\xef\xbb\xbf" + _line(["from", "device", *names])
    while True:
        asked = question(ask, by, since, until, device, False, _PAGE, offset)
        rows = ask.site.journal.balance(asked).rows
        for row in rows:
            at = "" if row.at is None else to_iso(row.at, tz)
            name = row.device or ""
            if name[:1] in ("=", "+", "-", "@"):  # a spreadsheet takes it for a formula
                name = f"'{name}"
            yield _line([at, name, *(int(getattr(row, n)) for n in names)])
        offset += _PAGE
        if len(rows) < _PAGE:
            return


def _line(cells: list[object]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue().encode()


def ledger_shown(ask: Asked, by: str, device: str, start: int) -> Json:
    """What the data page shows of it. by: hour, day (of 31) or device."""
    kind: By = "day" if by == "day" else "device" if by == "device" else "hour"
    since = ask.room.clock.now() - 30 * DAY if kind == "day" else None
    asked = question(ask, kind, since, None, device or None, False, ROWS, start)
    found = ask.site.journal.balance(asked)
    return {
        "ledger": found.rows,
        "totals": found.totals,
        "balances": found.totals.balances if found.exact else None,
        "by": kind,
        "of_device": device,
        "ledger_count": found.count,
        "ledger_start": start,
        "ledger_rows": ROWS,
        "columns": (*MESSAGES, *READINGS),
        "with_gaps": found.totals.gaps > 0,
    }
