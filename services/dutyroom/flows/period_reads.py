"""Period reads: the registers at a cut-off, frozen with their source.

What is frozen is never changed: a late or corrected read is a further version beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from zoneinfo import ZoneInfo

from dutyroom.errors import Rejected
from dutyroom.interfaces import ReadingStore, Records
from dutyroom.metering import registers
from dutyroom.metering.tariff import METER_CLASSES
from dutyroom.model.duty import DeviceStatus
from dutyroom.model.metering import Exchange, PeriodRead, ReadFlag
from dutyroom.model.telemetry import Point, PointTable, Quality, Reading
from dutyroom.site import Site
from dutyroom.timebase import HOUR, Ms, day_start, local_date, to_iso, zone

TOLERANCE: Ms = 26 * HOUR  # a daily read, and two hours for one that came late
_TRIES = 5  # how often a suspect reading is passed over for the one before it


@dataclass(frozen=True, slots=True)
class PeriodReads:
    """The registers of a cut-off as they are frozen now."""

    cut_off: Ms
    reads: tuple[PeriodRead, ...]
    added: int  # how many this call froze

    @property
    def missing(self) -> tuple[PeriodRead, ...]:
        return tuple(read for read in self.reads if read.steps is None)


# ---------------------------------------------------------------- periods


def cut_off_of(month: date, day: int, tz: ZoneInfo) -> Ms:
    """Local midnight of a month's cut-off day; days after the 28th are the 28th."""
    return day_start(date(month.year, month.month, min(max(1, day), 28)), tz)


def period_bounds(period: str, cut_off_day: int, tz: ZoneInfo) -> tuple[Ms, Ms]:
    """Start and end of a period "2026-10": it is named by the month of its last day.

    Raises Rejected for another form.
    """
    try:
        year, month = (int(part) for part in period.split("-"))
        first = date(year, month, 1)
    except ValueError as err:
        raise Rejected(f"{period!r} is not a period such as 2026-10") from err
    shift = 1 if cut_off_day <= 1 else 0
    start, end = months_from(first, shift - 1), months_from(first, shift)
    return cut_off_of(start, cut_off_day, tz), cut_off_of(end, cut_off_day, tz)


def period_ended(moment: Ms, cut_off_day: int, tz: ZoneInfo) -> str:
    """The newest period whose end is not after `moment`."""
    month = local_date(moment, tz).replace(day=1)
    for back in (0, -1, -2):
        period = f"{months_from(month, back):%Y-%m}"
        if period_bounds(period, cut_off_day, tz)[1] <= moment:
            return period
    raise Rejected("no period has ended")


def months_from(first: date, shift: int) -> date:
    """The first day of the month `shift` months later."""
    year, month = divmod(first.year * 12 + first.month - 1 + shift, 12)
    return date(year, month + 1, 1)


# ---------------------------------------------------------------- reads


def register_points(site: Site, table: PointTable) -> list[Point]:
    """The registers that are read: those of meters, and of what a public share names."""
    named = {device for share in site.shares for device in (*share.meters, *share.less)}
    return [
        point
        for point in table
        if registers.is_register(point) and (point.device_class in METER_CLASSES or point.device in named)
    ]


def _read_at(store: ReadingStore, points: Sequence[Point], moment: Ms, back: Ms) -> dict[int, Reading]:
    """The newest trustworthy reading of each point at or before `moment`: one call to the store,
    and one more for each suspect reading that is passed over."""
    found: dict[int, Reading] = {}
    asked = [(moment, list(points))] if points else []
    for _ in range(_TRIES):
        again: list[tuple[Ms, list[Point]]] = []
        for at, some in asked:
            by_id = {point.id: point for point in some}
            for number, reading in store.at(some, at, back - (moment - at)).items():
                if reading.quality != Quality.SUSPECT:
                    found[number] = reading
                elif reading.at - 1 >= moment - back:
                    again.append((reading.at - 1, [by_id[number]]))
        asked = again
    return found


def take_period_reads(
    site: Site,
    table: PointTable,
    store: ReadingStore,
    records: Records,
    cut_off: Ms,
    now: Ms,
    actor: str,
    tolerance: Ms = TOLERANCE,
) -> PeriodReads:
    """Freezes every register at or before a cut-off; what is not there is frozen as missing.

    Again later, only missing ones are looked up: a frozen read stays. Raises Rejected for a
    cut-off that has not come.
    """
    if cut_off > now:
        raise Rejected("the cut-off has not come yet")
    with records.read() as tx:
        frozen = {(r.device, r.point): r for r in tx.metering.period_reads(site.id, cut_off)}
        devices = {d.id: d.status for d in tx.devices.all(site.id)}
    points = [p for p in register_points(site, table) if p.device in devices]
    gone = [p for p in points if devices[p.device] is DeviceStatus.WITHDRAWN]
    points = [p for p in points if devices[p.device] is not DeviceStatus.WITHDRAWN]
    wanted = [p for p in points if (r := frozen.get((p.device, p.spec.name))) is None or r.steps is None]
    found = _read_at(store, wanted, cut_off, tolerance)
    tz = zone(site.time_zone)
    fresh = _last_registers(site, store, gone, frozen, cut_off, actor)
    for point in wanted:
        before = frozen.get((point.device, point.spec.name))
        if before is None or point.id in found:
            fresh.append(_frozen(site, point, cut_off, found.get(point.id), before, actor, tz))
    added = _freeze(site, records, fresh, now, actor)
    frozen.update({(r.device, r.point): r for r in fresh})
    return PeriodReads(cut_off, tuple(frozen[key] for key in sorted(frozen)), added)


def _last_registers(
    site: Site,
    store: ReadingStore,
    gone: Sequence[Point],
    frozen: Mapping[tuple[str, str], PeriodRead],
    cut_off: Ms,
    actor: str,
) -> list[PeriodRead]:
    """What meters that were withdrawn within the period showed last: their use up to then is billed.

    A meter that was silent for the whole period is finished, and has no read any more.
    """
    tz = zone(site.time_zone)
    start, _ = period_bounds(period_ended(cut_off, site.cut_off_day, tz), site.cut_off_day, tz)
    before = {p.id: frozen.get((p.device, p.spec.name)) for p in gone}
    wanted = [p for p in gone if (known := before[p.id]) is None or known.steps is None]
    found = _read_at(store, wanted, cut_off, cut_off - start - 1) if wanted else {}
    reads = (_frozen(site, p, cut_off, found[p.id], before[p.id], actor, tz) for p in wanted if p.id in found)
    return [replace(read, method="last_of_withdrawn") for read in reads]


def _frozen(
    site: Site,
    point: Point,
    cut_off: Ms,
    reading: Reading | None,
    before: PeriodRead | None,
    actor: str,
    tz: ZoneInfo,
) -> PeriodRead:
    version = before.version + 1 if before else 1
    name = point.spec.name
    if reading is None:
        flag = ReadFlag.MISSING
        return PeriodRead(site.id, point.device, name, cut_off, None, None, flag, version, actor=actor)
    late = f" · received {to_iso(reading.received_at, tz)}" if reading.received_at is not None else ""
    steps = int(reading.value)
    return PeriodRead(
        site=site.id,
        device=point.device,
        point=name,
        cut_off=cut_off,
        steps=steps,
        at=reading.at,
        flag=ReadFlag.ESTIMATED if reading.quality == Quality.ESTIMATED else ReadFlag.ACTUAL,
        version=version,
        source=f"{point.device}/{name} · {to_iso(reading.at, tz)} · {steps} × {point.spec.step}"
        f" {point.spec.unit}{late}",
        actor=actor,
        reason="late reading" if before else "",
    )


def _freeze(site: Site, records: Records, reads: Sequence[PeriodRead], now: Ms, actor: str) -> int:
    if not reads:
        return 0
    with records.write() as tx:
        added = tx.metering.freeze(reads)
        cut_off = to_iso(reads[0].cut_off, zone(site.time_zone))
        tx.audit(site.id, now, actor, "reads.freeze", cut_off, f"{added}")
        tx.change(site.id, now, "statement", f"reads/{reads[0].cut_off}")
    return added


def correct_read(
    site: Site,
    records: Records,
    device: str,
    point: str,
    cut_off: Ms,
    steps: int,
    now: Ms,
    actor: str,
    reason: str,
    *,
    at: Ms | None = None,
    flag: ReadFlag = ReadFlag.SUBSTITUTED,
) -> PeriodRead:
    """A person's register for a cut-off, beside what was frozen; or the first one there, such as the
    opening register of a unit that was handed over within the period.

    at: when it was read on the dial, the cut-off when None. Raises Rejected with a message key:
    without a reason, for what the register cannot show, for what is no register or no cut-off.
    """
    if not reason.strip():
        raise Rejected("error.read_reason")
    tz = zone(site.time_zone)
    if cut_off > now or not _is_cut_off(site, cut_off) or (at is not None and at > now):
        raise Rejected("error.read_cut_off", {"at": to_iso(cut_off, tz)})
    with records.write() as tx:
        register = next((p for p in tx.devices.points(site.id) if _is(p, device, point)), None)
        if register is None or not registers.is_register(register):
            raise Rejected("error.read_register", {"device": device, "point": point})
        if not 0 <= steps < (register.spec.modulus or 0):
            raise _beyond(register)
        known = {(r.device, r.point): r for r in tx.metering.period_reads(site.id, cut_off)}
        before = known.get((device, point))
        source = f"{actor} · {to_iso(now, tz)}"
        read = PeriodRead(
            site.id, device, point, cut_off, steps, at if at is not None else cut_off, flag,
            before.version + 1 if before else 1, "manual", source, actor, reason,
        )  # fmt: skip
        tx.metering.freeze([read])
        was = before.steps if before else None
        tx.audit(site.id, now, actor, "reads.correct", device, f"{was} -> {steps}: {reason}")
        tx.change(site.id, now, "statement", f"reads/{cut_off}")
    return read


def _beyond(register: Point) -> Rejected:
    """What to say of steps that a register cannot show."""
    spec = register.spec
    if spec.wrap is None or spec.step is None:
        return Rejected("error.read_range", {"device": register.device, "digits": str(spec.digits)})
    most = format((spec.wrap - 1) * spec.step, "f")
    return Rejected("error.read_span", {"device": register.device, "most": most, "unit": spec.unit})


def _is(point: Point, device: str, name: str) -> bool:
    return (point.device, point.spec.name) == (device, name)


def _is_cut_off(site: Site, moment: Ms) -> bool:
    tz = zone(site.time_zone)
    return cut_off_of(local_date(moment, tz), site.cut_off_day, tz) == moment


def record_exchange(records: Records, exchange: Exchange, now: Ms) -> Exchange:
    """Notes that a meter was replaced. Raises Rejected without a reason, for negative registers or a
    time that has not come, Conflict when it is recorded already."""
    if exchange.at > now:
        raise Rejected("error.exchange_ahead")
    if not exchange.reason.strip():
        raise Rejected("an exchange needs a reason", {"reason": "empty"})
    if exchange.closing < 0 or exchange.opening < 0:
        raise Rejected("a register is not negative")
    with records.write() as tx:
        stored = tx.metering.add_exchange(exchange)
        figures = f"{exchange.closing} -> {exchange.opening}: {exchange.reason}"
        tx.audit(exchange.site, now, exchange.actor, "meter.exchange", exchange.device, figures)
        tx.change(exchange.site, now, "device", exchange.device)
    return stored


def readings_at(
    site: Site, table: PointTable, store: ReadingStore, moment: Ms, back: Ms = TOLERANCE
) -> list[list[str]]:
    """A header and a row a meter: its register at or before `moment`; missing is an empty cell."""
    tz = zone(site.time_zone)
    points = sorted(register_points(site, table), key=lambda p: (p.space, p.device, p.spec.name))
    found = _read_at(store, points, moment, back)
    rows = [["device", "class", "space", "point", "register", "unit", "read_at"]]
    for point in points:
        reading, value = found.get(point.id), ""
        if reading is not None and point.spec.step is not None:
            value = format(int(reading.value) * point.spec.step, "f")
        at = to_iso(reading.at, tz) if reading is not None else ""
        spec = point.spec
        rows.append([point.device, str(point.device_class), point.space, spec.name, value, spec.unit, at])
    return rows
