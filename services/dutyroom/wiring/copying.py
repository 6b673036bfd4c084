"""`dutyroom store copy`: a site's readings from one store into the other, verified."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

from dutyroom.backends.clock import SystemClock
from dutyroom.backends.datafolder import DataFolder, in_use
from dutyroom.errors import Rejected
from dutyroom.flows.copying import EVER, Copied, Tally, copy_readings
from dutyroom.interfaces import ReadingStore
from dutyroom.model.telemetry import PointTable
from dutyroom.settings import Settings
from dutyroom.timebase import Ms, from_iso, to_iso, zone
from dutyroom.wiring.commands import choose_site, data_folder
from dutyroom.wiring.stores import followed_store_of, records_of, store_of

STORES = ("embedded", "influx")
Say = Callable[[str], None]


def copy_store(settings: Settings, source: str, target: str, site: str, until: str, say: Say) -> bool:
    """Returns whether both stores have the same then. Raises Rejected, Unavailable."""
    settings = data_folder(settings)
    _check(settings, source, target)
    found = choose_site(settings, site)
    tz = zone(found.time_zone)
    bound = from_iso(until, tz) if until else EVER
    running = in_use(settings.data)
    if running:
        bound = min(bound, SystemClock().now())
        say(f"The service runs: only what lies before {to_iso(bound, tz)} is copied.")
    if source == "embedded" and not _file(settings, found.id):
        raise Rejected(f"there are no embedded readings of {found.id} in {settings.data}")
    # A service that starts meanwhile would write to one of the two.
    with (
        nullcontext() if running else DataFolder(settings.data),
        _opened(settings, source, target, found.id) as (table, mine, theirs),
    ):
        shown = _Progress(say)
        done = copy_readings(table, mine, theirs, until=bound, progress=shown)
    for line in report(done, source, target, lambda at: to_iso(at, tz)):
        say(line)
    return not done.differences


def _check(settings: Settings, source: str, target: str) -> None:
    for name, given in (("--from", source), ("--to", target)):
        if given not in STORES:
            raise Rejected(f"{name} must be one of {', '.join(STORES)}, not {given!r}")
    if source == target:
        raise Rejected("--from and --to must be two different stores")
    if target == "embedded" and in_use(settings.data):
        raise Rejected(
            f"the service runs on {settings.data}, and the embedded file has one writer: stop it first"
        )


def _file(settings: Settings, site: str) -> bool:
    return (settings.data / "sites" / site / "readings.sqlite").exists()


@contextmanager
def _opened(
    settings: Settings, source: str, target: str, site: str
) -> Iterator[tuple[PointTable, ReadingStore, ReadingStore]]:
    """The registry and both stores, closed again afterwards."""
    if not settings.records and not (settings.data / "records.sqlite").exists():
        raise Rejected(
            f"there are no records in {settings.data}; where they live in PostgreSQL, set DUTYROOM_RECORDS"
        )
    records = records_of(settings)
    try:
        with records.read() as tx:
            table = PointTable(tx.devices.points(site))
    finally:
        records.close()
    opened: list[ReadingStore] = []
    try:
        opened.append(followed_store_of(settings.model_copy(update={"readings": source}), site))
        opened.append(store_of(settings.model_copy(update={"readings": target}), site))
        yield table, opened[0], opened[1]
    finally:
        for store in opened:
            store.close()


class _Progress:
    """A line each tenth of the devices."""

    def __init__(self, say: Say) -> None:
        self._say, self._tenth = say, 0

    def __call__(self, done: int, all_of_them: int) -> None:
        if done * 10 // all_of_them > self._tenth:
            self._tenth = done * 10 // all_of_them
            self._say(f"{done} of {all_of_them} devices")


def report(done: Copied, source: str, target: str, shown: Callable[[Ms], str]) -> Iterator[str]:
    """What a person reads: totals, then a table of the points that differ."""
    yield (
        f"{done.total('written')} readings were written; {source} has {done.total('source')} of "
        f"{len(done.tallies)} points (checksum {done.total('source_sum'):016x}), {target} has "
        f"{done.total('target')} (checksum {done.total('target_sum'):016x})."
    )
    if not done.differences:
        yield "Every reading is the same in both: counts and checksums of each point."
        return
    yield f"{len(done.differences)} points differ:"
    head = (
        "device",
        "point",
        source,
        target,
        "missing",
        "different",
        f"only in {target}",
        "first at",
        "reason",
    )
    yield from _table([head, *(_row(tally, shown) for tally in done.differences)])


def _row(tally: Tally, shown: Callable[[Ms], str]) -> tuple[str, ...]:
    numbers = (tally.source, tally.target, tally.missing, tally.different, tally.extra)
    first = "" if tally.first is None else _time(tally.first, shown)
    return (tally.point.device, tally.point.spec.name, *map(str, numbers), first, tally.reason)


def _time(at: Ms, shown: Callable[[Ms], str]) -> str:
    """Also of what no calendar has."""
    try:
        return shown(at)
    except (ValueError, OverflowError, OSError):
        return f"{at} ms"


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
