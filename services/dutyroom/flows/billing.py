"""From the registers at a cut-off to locked statements.

Fetch, decide in `metering/`, commit. What is frozen is never changed: a late or corrected read is
a new version of the read, and makes a new version of the statements that stood on it.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

from dutyroom.errors import Rejected
from dutyroom.interfaces import ReadingStore, Records, Tx
from dutyroom.metering import allocation, registers, statement, tariff, vee
from dutyroom.metering.statement import Inputs, Metered, Shared, Trace
from dutyroom.metering.tariff import METER_CLASSES, PublicShare, Tariff
from dutyroom.model.duty import Device, DeviceStatus
from dutyroom.model.metering import Exchange, PeriodRead, ReadFlag, Register, Statement, Usage
from dutyroom.model.telemetry import Point, PointTable, Quality, Reading
from dutyroom.site import Site
from dutyroom.timebase import HOUR, Ms, day_start, local_date, to_iso, zone

TOLERANCE: Ms = 26 * HOUR  # a daily read, and two hours for one that came late
HISTORY = 3  # earlier periods that a usage is compared with

Key = tuple[str, str]  # device, point


@dataclass(frozen=True, slots=True)
class PeriodReads:
    """The registers of a cut-off as they are frozen now."""

    cut_off: Ms
    reads: tuple[PeriodRead, ...]
    added: int  # how many this call froze

    @property
    def missing(self) -> tuple[PeriodRead, ...]:
        return tuple(read for read in self.reads if read.steps is None)


@dataclass(frozen=True, slots=True)
class Problem:
    """What a clerk should look at. holds: the statements concerned are not locked."""

    key: str  # message key: problem.missing, problem.suspect, problem.pool_negative ...
    unit: str = ""  # "" = not of one unit
    device: str = ""
    holds: bool = True
    arguments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BillingRun:
    """The newest statements of a period after a run, and what stood in the way of others."""

    period: str
    start: Ms
    end: Ms
    statements: tuple[Statement, ...]
    problems: tuple[Problem, ...]
    locked: int = 0  # how many versions this run added


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
    start, end = _months(first, shift - 1), _months(first, shift)
    return cut_off_of(start, cut_off_day, tz), cut_off_of(end, cut_off_day, tz)


def period_ended(moment: Ms, cut_off_day: int, tz: ZoneInfo) -> str:
    """The newest period whose end is not after `moment`."""
    month = local_date(moment, tz).replace(day=1)
    for back in (0, -1, -2):
        period = f"{_months(month, back):%Y-%m}"
        if period_bounds(period, cut_off_day, tz)[1] <= moment:
            return period
    raise Rejected("no period has ended")


def _months(first: date, shift: int) -> date:
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
    """The newest trustworthy reading of each point at or before `moment`; one call unless some are
    suspect, then one more for those."""
    found: dict[int, Reading] = {}
    groups = {moment: list(points)}
    while groups:
        at, asked = groups.popitem()
        by_id = {point.id: point for point in asked}
        for number, reading in store.at(asked, at, back - (moment - at)).items():
            if reading.quality != Quality.SUSPECT:
                found[number] = reading
            elif reading.at - 1 >= moment - back:
                groups.setdefault(reading.at - 1, []).append(by_id[number])
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
        active = {d.id for d in tx.devices.all(site.id) if d.status is not DeviceStatus.WITHDRAWN}
    points = [p for p in register_points(site, table) if p.device in active]
    wanted = [p for p in points if (r := frozen.get((p.device, p.spec.name))) is None or r.steps is None]
    found = _read_at(store, wanted, cut_off, tolerance) if wanted else {}
    tz = zone(site.time_zone)
    fresh: list[PeriodRead] = []
    for point in wanted:
        before = frozen.get((point.device, point.spec.name))
        if before is None or point.id in found:
            fresh.append(_frozen(site, point, cut_off, found.get(point.id), before, actor, tz))
    added = _freeze(site, records, fresh, now, actor)
    frozen.update({(r.device, r.point): r for r in fresh})
    return PeriodReads(cut_off, tuple(frozen[key] for key in sorted(frozen)), added)


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
    """A person's register for a cut-off, beside what was frozen. Raises Rejected without a reason,
    for a negative register, or where nothing was frozen."""
    if not reason.strip():
        raise Rejected("a corrected read needs a reason", {"reason": "empty"})
    if steps < 0:
        raise Rejected("a register is not negative", {"steps": str(steps)})
    with records.write() as tx:
        known = {(r.device, r.point): r for r in tx.metering.period_reads(site.id, cut_off)}
        before = known.get((device, point))
        if before is None:
            raise Rejected(f"no read of {device}/{point} is frozen at this cut-off")
        source = f"{actor} · {to_iso(now, zone(site.time_zone))}"
        read = PeriodRead(
            site.id, device, point, cut_off, steps, at if at is not None else cut_off, flag,
            before.version + 1, "manual", source, actor, reason,
        )  # fmt: skip
        tx.metering.freeze([read])
        tx.audit(site.id, now, actor, "reads.correct", device, f"{before.steps} -> {steps}: {reason}")
        tx.change(site.id, now, "statement", f"reads/{cut_off}")
    return read


def record_exchange(records: Records, exchange: Exchange, now: Ms) -> Exchange:
    """Notes that a meter was replaced. Raises Rejected without a reason or for negative registers,
    Conflict when it is recorded already."""
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
    found = _read_at(store, points, moment, back) if points else {}
    rows = [["device", "class", "space", "point", "register", "unit", "read_at"]]
    for point in points:
        reading, value = found.get(point.id), ""
        if reading is not None and point.spec.step is not None:
            value = format(int(reading.value) * point.spec.step, "f")
        at = to_iso(reading.at, tz) if reading is not None else ""
        spec = point.spec
        rows.append([point.device, str(point.device_class), point.space, spec.name, value, spec.unit, at])
    return rows


# ---------------------------------------------------------------- billing


@dataclass(frozen=True, slots=True)
class _Frozen:
    """What a run reads from the records, once."""

    devices: Mapping[str, Device]
    exchanges: Sequence[Exchange]
    reads: Mapping[Ms, Mapping[Key, PeriodRead]]  # by cut-off
    locked: Mapping[str, Statement]  # by unit


def bill_period(
    site: Site, table: PointTable, records: Records, period: str, now: Ms, actor: str
) -> BillingRun:
    """Locks a statement for every unit whose inputs are known; a run without change adds nothing.

    The reads of both cut-offs must be frozen. Raises Rejected for a period that has not ended.
    """
    tz = zone(site.time_zone)
    start, end = period_bounds(period, site.cut_off_day, tz)
    if end > now:
        raise Rejected(f"the period {period} has not ended yet")
    earlier = _earlier(site, period, tz)
    with records.read() as tx:
        frozen = _load(tx, site, period, (*earlier, start, end))
    work = _Work(site, table, frozen, period, start, end, earlier, local_date(start, tz))
    made = work.statements(now, actor)
    problems = tuple(work.problems)
    with records.write() as tx:
        locked = tx.metering.lock(made) if made else 0
        tx.put_blob(site.id, f"billing|{period}", _packed(problems))
        if made:
            tx.audit(site.id, now, actor, "statements.lock", period, f"{locked}")
            for one in made:
                tx.change(site.id, now, "statement", one.number)
    newest = {**frozen.locked, **{one.unit: one for one in made}}
    return BillingRun(period, start, end, tuple(newest[u] for u in sorted(newest)), problems, locked)


def close_period(
    site: Site, table: PointTable, store: ReadingStore, records: Records, period: str, now: Ms, actor: str
) -> tuple[PeriodReads, BillingRun]:
    """The reads of the period's end (and start, where none are frozen), then the billing run."""
    start, end = period_bounds(period, site.cut_off_day, zone(site.time_zone))
    with records.read() as tx:
        opened = bool(tx.metering.period_reads(site.id, start))
    if not opened:
        take_period_reads(site, table, store, records, start, now, actor)
    reads = take_period_reads(site, table, store, records, end, now, actor)
    return reads, bill_period(site, table, records, period, now, actor)


def problems_of(tx: Tx, site: str, period: str) -> tuple[Problem, ...]:
    """The problems of the last run of a period."""
    packed = tx.blob(site, f"billing|{period}")
    return tuple(Problem(**row) for row in json.loads(packed)) if packed else ()


def statement_trace(records: Records, site: str, number: str) -> tuple[Trace, ...]:
    """Every amount of a statement with its two registers. Raises Rejected for an unknown number."""
    with records.read() as tx:
        found = tx.metering.statement(site, number)
    if found is None:
        raise Rejected(f"there is no statement {number}")
    return statement.trace(found)


def _packed(problems: Iterable[Problem]) -> bytes:
    rows = [
        {"key": p.key, "unit": p.unit, "device": p.device, "holds": p.holds, "arguments": dict(p.arguments)}
        for p in problems
    ]
    return json.dumps(rows, ensure_ascii=False).encode()


def _earlier(site: Site, period: str, tz: ZoneInfo) -> tuple[Ms, ...]:
    """Cut-offs before the period's start that matter: the year's, and those of the history."""
    first = date(int(period[:4]), int(period[5:7]), 1)
    yearly = any(t.basis == "year" for t in site.tariffs)
    count = max(HISTORY, first.month - 1 if yearly else 0)
    months = [_months(first, -back) for back in range(count, 0, -1)]
    return tuple(period_bounds(f"{month:%Y-%m}", site.cut_off_day, tz)[0] for month in months)


def _load(tx: Tx, site: Site, period: str, cut_offs: Sequence[Ms]) -> _Frozen:
    return _Frozen(
        devices={d.id: d for d in tx.devices.all(site.id)},
        exchanges=tx.metering.exchanges(site.id),
        reads={
            at: {(r.device, r.point): r for r in tx.metering.period_reads(site.id, at)} for at in cut_offs
        },
        locked={s.unit: s for s in tx.metering.statements(site.id, period)},
    )


class _Work:
    """One billing run in memory: usages, shares, inputs, statements; no I/O."""

    def __init__(
        self,
        site: Site,
        table: PointTable,
        frozen: _Frozen,
        period: str,
        start: Ms,
        end: Ms,
        earlier: tuple[Ms, ...],
        first_day: date,
    ) -> None:
        self.site, self.frozen, self.period = site, frozen, period
        self.start, self.end, self.earlier, self.first_day = start, end, earlier, first_day
        self.problems: list[Problem] = []
        self.units = sorted(path for path, space in site.spaces.items() if space.kind == "unit")
        self._exchanges: dict[Key, list[Exchange]] = {}
        for exchange in frozen.exchanges:
            self._exchanges.setdefault((exchange.device, exchange.point), []).append(exchange)
        self.registers = self._registers(table)
        self.usages = {device: self._usage(r, start, end) for device, r in self.registers.items()}

    def _registers(self, table: PointTable) -> dict[str, Register]:
        """The billed register of each device that is not withdrawn."""
        found: dict[str, Register] = {}
        dwellings = set(self.units)
        for point in register_points(self.site, table):
            device = self.frozen.devices.get(point.device)
            if device is None or device.status is DeviceStatus.WITHDRAWN:
                continue
            try:
                found[device.id] = registers.register_of(point, device, dwelling=device.space in dwellings)
            except Rejected as err:
                unit = device.space if device.space in dwellings else ""
                self.problems.append(Problem("problem.meter", unit, device.id, True, {"detail": err.reason}))
        return found

    def _read(self, register: Register, cut_off: Ms) -> PeriodRead:
        found = self.frozen.reads[cut_off].get((register.device, register.point))
        if found is not None:
            return found
        return PeriodRead(
            self.site.id, register.device, register.point, cut_off, None, None, ReadFlag.MISSING, 0
        )

    def _usage(self, register: Register, start: Ms, end: Ms) -> Usage:
        exchanges = self._exchanges.get((register.device, register.point), ())
        return registers.usage(register, self._read(register, start), self._read(register, end), exchanges)

    def statements(self, now: Ms, actor: str) -> list[Statement]:
        """The statements that differ from the locked ones."""
        shared, blocked = self._shares()
        codes = statement.unit_codes(self.units)
        own: dict[str, list[str]] = {}
        for device in self.registers:
            own.setdefault(self.frozen.devices[device].space, []).append(device)
        held = {p.unit for p in self.problems if p.holds and p.unit} | blocked
        made: list[Statement] = []
        for unit in self.units:
            metered = self._metered(unit, sorted(own.get(unit, ())))
            if metered is None or unit in held or not (metered or shared.get(unit)):
                continue
            inputs = Inputs(
                self.site.id, self.period, unit, self.start, self.end, self.site.currency,
                self.site.spaces[unit].area, metered, tuple(shared.get(unit, ())),
            )  # fmt: skip
            new = self._version(inputs, codes[unit], now, actor)
            made += [new] if new is not None else []
        return made

    def _version(self, inputs: Inputs, code: str, now: Ms, actor: str) -> Statement | None:
        """The next version of a statement, None when nothing changed."""
        before = self.frozen.locked.get(inputs.unit)
        if before is None:
            return statement.statement(inputs, code=code, created_at=now, actor=actor)
        if before.digest == statement.digest(inputs):
            return None
        version = before.version + 1
        after = statement.statement(inputs, code=code, created_at=now, version=version, actor=actor)
        return statement.corrected(before, after)

    def _metered(self, unit: str, devices: Sequence[str]) -> tuple[Metered, ...] | None:
        """The unit's meters with their tariffs; None when the statement has to wait."""
        found: list[Metered] = []
        waits = False
        for device in devices:
            device_class = self.frozen.devices[device].device_class
            if not any(t.device_class == device_class for t in self.site.tariffs):
                continue  # its supplier bills it, not this site
            usage = self.usages[device]
            price = self._tariff(unit, device, device_class, usage)
            flags = vee.check(usage, self._history(device))
            self.problems += [
                Problem(f"problem.{f}", unit, device, vee.holds((f,)), _of(usage)) for f in flags
            ]
            if price is None or vee.holds(flags):
                waits = True
            else:
                found.append(Metered(usage, device_class, price, self._before(device, price)))
        return None if waits else tuple(found)

    def _tariff(self, unit: str, device: str, device_class: str, usage: Usage) -> Tariff | None:
        price = tariff.in_force(self.site.tariffs, device_class, self.first_day)
        if price is None:
            self.problems.append(Problem("problem.no_tariff", unit, device, True, {"class": device_class}))
        elif price.unit != usage.unit:
            units = {"tariff": price.id, "unit": price.unit, "meter_unit": usage.unit}
            self.problems.append(Problem("problem.unit", unit, device, True, units))
            return None
        return price

    def _history(self, device: str) -> list[Decimal]:
        """What the meter used in the last periods, as far as it is known."""
        register = self.registers[device]
        cut_offs = [*self.earlier[-HISTORY:], self.start]
        found = (self._usage(register, a, b).quantity for a, b in itertools.pairwise(cut_offs))
        return [quantity for quantity in found if quantity is not None]

    def _before(self, device: str, price: Tariff) -> Decimal:
        """What was used in the year up to the period's start, from its first frozen read on."""
        if price.basis != "year":
            return Decimal(0)
        register = self.registers[device]
        months = int(self.period[5:7]) - 1
        for cut_off in self.earlier[len(self.earlier) - months :] if months else ():
            if self._read(register, cut_off).steps is not None:
                return self._usage(register, cut_off, self.start).quantity or Decimal(0)
        return Decimal(0)

    # ------------------------------------------------------------ public shares

    def _shares(self) -> tuple[dict[str, list[Shared]], set[str]]:
        """By unit: its public shares; and the units whose statements wait for one."""
        shared: dict[str, list[Shared]] = {}
        blocked: set[str] = set()
        for share in self.site.shares:
            payers = [u for u in self.units if not share.space or f"{u}/".startswith(f"{share.space}/")]
            parts = self._allocated(share, payers)
            if parts is None:
                blocked.update(payers)
                continue
            for unit, part in parts.items():
                shared.setdefault(unit, []).append(part)
        return shared, blocked

    def _allocated(self, share: PublicShare, payers: Sequence[str]) -> dict[str, Shared] | None:
        quantity = self._pool(share)
        areas = {unit: self.site.spaces[unit].area for unit in payers}
        known = {unit: area for unit, area in areas.items() if area is not None and area > 0}
        for unit in areas.keys() - known.keys():
            self.problems.append(Problem("problem.no_area", unit, "", True, {"share": share.id}))
        if quantity is None or len(known) < len(areas) or not known:
            return None
        whole = sum(known.values(), Decimal(0))
        exact = quantity * share.price * tariff.smallest(self.site.currency)
        amounts = allocation.allocate(int(exact.to_integral_value(ROUND_HALF_UP)), known)
        usages = tuple(self.usages[device] for device in (*share.meters, *share.less))
        return {u: Shared(share, quantity, known[u], whole, amounts[u], usages) for u in known}

    def _pool(self, share: PublicShare) -> Decimal | None:
        """What is shared out; None with the reason among the problems."""

        def known(devices: Sequence[str]) -> dict[str, Decimal | None]:
            return {d: self.usages[d].quantity if d in self.usages else None for d in devices}

        quantity, unknown = allocation.pool(known(share.meters), known(share.less))
        for device in unknown:
            self.problems.append(Problem("problem.pool_unknown", "", device, True, {"share": share.id}))
        others = {
            d: u.unit
            for d in (*share.meters, *share.less)
            if (u := self.usages.get(d)) and u.unit != share.unit
        }
        for device, unit in others.items():
            units = {"share": share.id, "unit": share.unit, "meter_unit": unit}
            self.problems.append(Problem("problem.unit", "", device, True, units))
        if quantity is None and not unknown:
            self.problems.append(Problem("problem.pool_negative", "", "", True, {"share": share.id}))
        return None if others else quantity


def _of(usage: Usage) -> dict[str, str]:
    """The figures of a usage for a problem's message; empty = not known."""

    def physical(read: PeriodRead) -> str:
        return "" if read.steps is None else format(read.steps * usage.step, "f")

    quantity = "" if usage.quantity is None else format(usage.quantity, "f")
    return {
        "opening": physical(usage.opening),
        "closing": physical(usage.closing),
        "quantity": quantity,
        "unit": usage.unit,
    }
