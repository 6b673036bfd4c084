"""`dutyroom ledger`: what became of every message and reading, and whether it balances."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, cast

from dutyroom.backends.clock import SystemClock
from dutyroom.backends.datafolder import in_use
from dutyroom.backends.journal import SqliteJournal
from dutyroom.errors import Rejected
from dutyroom.flows.completeness import intervals, overall, shares, witness_of
from dutyroom.flows.silent_words import KIND as SILENT
from dutyroom.flows.silent_words import silent_in
from dutyroom.interfaces import LedgerPage, LedgerQuestion, LedgerSum
from dutyroom.model.telemetry import PointTable
from dutyroom.settings import Settings
from dutyroom.site import Site
from dutyroom.timebase import DAY, MINUTE, Ms, day_starts, duration, from_iso, to_iso, zone
from dutyroom.wiring.commands import choose_site, data_folder, opened_records, printable

BY = ("device", "hour", "day")
LATE: Ms = 5 * MINUTE  # a reading that waits for its store longer than this is a fault
_SHOWN = 200  # rows
_WORST = 10  # devices
_NAMES = (
    "received",
    "decoded",
    "ignored",
    "quarantined",
    "readings",
    "stored",
    "duplicate",
    "conflict",
    "refused",
    "pending",
    "gaps",
)


def show_ledger(
    settings: Settings, wanted: str, since: str, device: str, by: str
) -> Iterator[tuple[bool, str]]:
    """Lines of a table, each with whether it names a fault. Works beside a running service.

    since: a time, or a span such as 24h. Raises Rejected.
    """
    if by not in BY:
        raise Rejected(f"--by {by!r}: write {', '.join(BY)}")
    settings = data_folder(settings)
    site = choose_site(settings, wanted)
    file = settings.data / "sites" / site.id / "journal.sqlite"
    if not file.exists():
        raise Rejected(f"there is no journal of {site.id} in {settings.data} yet; start the service first")
    tz, now = zone(site.time_zone), SystemClock().now()
    journal = SqliteJournal(file, read_only=in_use(settings.data))
    try:
        start = _start(since, now, site.time_zone)
        days = day_starts(start, max(now, start + 1), tz) if by == "day" else []
        question = LedgerQuestion(
            days[0] if days else start,
            by=cast(Literal["device", "hour", "day"], by),
            days=days,
            device=device or None,
            limit=_SHOWN,
        )
        found = journal.balance(question)
        yield from _table(found, by, site.time_zone)
        if device and not found.count:  # perhaps it is spelled otherwise: then nothing was looked at
            yield False, f"The ledger has nothing of {printable(device)!r} in that time."
        else:
            yield from _verdict(journal, question, now, site.time_zone)
        yield from _complete(settings, site, journal, now, device)
        yield from _silent(site, journal, now, device)
    finally:
        journal.close()


def _start(since: str, now: Ms, zone_name: str) -> Ms:
    if re.fullmatch(r"[0-9.]+ *(ms|s|min|h|d)", since):
        return now - duration(since)
    return from_iso(since, zone(zone_name))


def _table(found: LedgerPage, by: str, zone_name: str) -> Iterator[tuple[bool, str]]:
    tz = zone(zone_name)

    def cells(row: LedgerSum, name: str) -> list[str]:
        return [name, *(str(getattr(row, n)) for n in _NAMES), "yes" if row.balances else "NO"]

    def name_of(row: LedgerSum) -> str:
        if by == "device":
            return printable(row.device or "") or "(unknown)"
        shown = to_iso(row.at, tz) if row.at is not None else ""
        return shown[:10] if by == "day" else shown[:16].replace("T", " ")

    rows = [[by, *_NAMES, "balances"], *(cells(row, name_of(row)) for row in found.rows)]
    rows.append(cells(found.totals, "all"))
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    for row in rows:
        first, *others = (
            cell.ljust(width) if n == 0 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield False, "  ".join([first, *others])
    if found.count > len(found.rows):
        yield False, f"... and {found.count - len(found.rows)} more; choose with --device or --since."


def _complete(
    settings: Settings, site: Site, journal: SqliteJournal, now: Ms, device: str
) -> Iterator[tuple[bool, str]]:
    """How complete the devices were, yesterday where there was one, else today; the worst by name."""
    first = journal.kept_since()
    if first is None:
        return
    tz = zone(site.time_zone)
    starts = day_starts(now - DAY, now + 1, tz)
    records = opened_records(settings)
    try:
        with records.read() as tx:
            table = PointTable(tx.devices.points(site.id))
            expected, added = intervals(tx.devices.all(site.id), table), tx.devices_added(site.id, starts[0])
    finally:
        records.close()
    days = list(zip(starts, (*starts[1:], starts[-1] + 2 * DAY), strict=True))
    found = shares(expected, journal.kept(starts), days, first, now, added)
    found = [s for s in found if not device or s.device == device]
    whole = [s for s in found if s.day == starts[0]] or found
    total = overall(whole)
    if total is None:
        return
    yield (
        False,
        f"Complete on {to_iso(whole[0].day, tz)[:10]}: {total:.1%} of what {len(whole)} devices should send.",
    )
    for share in [s for s in whole if s.share < 1][:_WORST]:
        witness = witness_of(table.of_device(share.device))
        by = f" ({printable(witness.spec.name)})" if witness is not None else ""
        yield (
            False,
            f"  {share.share:7.1%}  {share.received} of {share.expected}  {printable(share.device)}{by}",
        )


def _silent(site: Site, journal: SqliteJournal, now: Ms, device: str) -> Iterator[tuple[bool, str]]:
    """Points that are not read any more while others of their device are."""
    tz = zone(site.time_zone)
    rows = [row for row in journal.findings(now - DAY, _SHOWN, device or None) if row.kind == SILENT]
    for row in sorted(rows, key=lambda r: r.device):
        if (said := silent_in(row.detail)) is None:
            continue
        lost = ", ".join(f"{printable(name)} since {to_iso(at, tz)[:16]}" for name, at in said.lost)
        lost += f" and {said.more} more" if said.more else ""
        read = ", ".join(map(printable, said.read))
        yield False, f"Not read any more: {printable(row.device)}: {lost}; still read: {read}"


def _verdict(
    journal: SqliteJournal, question: LedgerQuestion, now: Ms, zone_name: str
) -> Iterator[tuple[bool, str]]:
    wrong = journal.balance(
        LedgerQuestion(question.since, by="row", device=question.device, wrong=True, limit=20)
    )
    late = wrong.oldest is not None and now - wrong.oldest > LATE
    if late:
        assert wrong.oldest is not None
        least = "" if wrong.exact else "more than "
        yield (
            True,
            (
                f"{least}{wrong.totals.waiting} readings wait for their store, the oldest since "
                f"{to_iso(wrong.oldest, zone(zone_name))}."
            ),
        )
    if wrong.exact:
        for row in wrong.rows:
            at = to_iso(row.at or 0, zone(zone_name))[:16]
            yield (
                True,
                (
                    f"{printable(row.device or '') or '(unknown)'} at {at} does not balance: "
                    f"{row.unread} messages and {row.pending - row.waiting} readings are without an outcome."
                ),
            )
        if wrong.count > len(wrong.rows):
            yield True, f"... and {wrong.count - len(wrong.rows)} more."
    if not late and (not wrong.exact or not wrong.count):
        yield False, "The ledger balances."
