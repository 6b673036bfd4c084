"""One billing run in memory: frozen reads in, statements and problems out. No I/O."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from dutyroom.errors import Rejected
from dutyroom.flows.period_reads import register_points
from dutyroom.metering import allocation, registers, statement, tariff, vee
from dutyroom.metering.statement import Inputs, Metered, Shared
from dutyroom.metering.tariff import PublicShare, Tariff
from dutyroom.model.duty import Device, DeviceStatus
from dutyroom.model.metering import Exchange, PeriodRead, ReadFlag, Register, Statement, Usage
from dutyroom.model.telemetry import Event, Point, PointTable
from dutyroom.site import Site
from dutyroom.timebase import Ms

HISTORY = 3  # earlier periods that a usage is compared with

Key = tuple[str, str]  # device, point


@dataclass(frozen=True, slots=True)
class Problem:
    """What a clerk should look at. holds: the statements concerned are not locked."""

    key: str  # message key: problem.missing, problem.suspect, problem.pool_negative ...
    unit: str = ""  # "" = not of one unit
    device: str = ""
    holds: bool = True
    arguments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Frozen:
    """What a run reads from the records, once."""

    devices: Mapping[str, Device]
    exchanges: Sequence[Exchange]
    reads: Mapping[Ms, Mapping[Key, PeriodRead]]  # by cut-off
    locked: Mapping[str, Statement]  # by unit
    resets: Sequence[Event] = ()  # of counters, from before the first cut-off on


class Work:
    """One billing run in memory: usages, shares, inputs, statements; no I/O."""

    def __init__(
        self,
        site: Site,
        table: PointTable,
        frozen: Frozen,
        period: str,
        start: Ms,
        end: Ms,
        earlier: tuple[Ms, ...],
        first_day: date,
        end_day: date,
    ) -> None:
        self.site, self.frozen, self.period = site, frozen, period
        self.start, self.end, self.earlier, self.first_day = start, end, earlier, first_day
        self.end_day = end_day  # the first one that is no longer of the period
        self.problems: list[Problem] = []
        self.pools: dict[str, tuple[Usage, ...]] = {}  # by digest: what a public share stands on
        self.units = sorted(path for path, space in site.spaces.items() if space.kind == "unit")
        self._dwellings = frozenset(self.units)
        self._exchanges: dict[Key, list[Exchange]] = {}
        for exchange in frozen.exchanges:
            self._exchanges.setdefault((exchange.device, exchange.point), []).append(exchange)
        self._resets: dict[Key, list[Ms]] = {}
        for event in frozen.resets:
            if (point := table.get(event.point)) is not None:
                self._resets.setdefault((point.device, point.spec.name), []).append(event.at)
        self.gone: dict[tuple[str, str], list[tuple[Point, Device]]] = {}  # finished meters of a unit
        self.registers = self._registers(table)
        self.usages = {device: self._usage(r, start, end) for device, r in self.registers.items()}

    def _registers(self, table: PointTable) -> dict[str, Register]:
        """The billed register of each device that was in use in the period."""
        found: dict[str, Register] = {}
        for point in register_points(self.site, table):
            device = self.frozen.devices.get(point.device)
            unit = self.unit_of(device.space) if device is not None else ""
            if device is None or not self._in_use(point, device):
                if device is not None and unit:
                    self.gone.setdefault((unit, device.device_class), []).append((point, device))
                continue
            try:
                found[device.id] = registers.register_of(point, device, dwelling=bool(unit))
            except Rejected as err:
                self.problems.append(Problem("problem.meter", unit, device.id, True, {"detail": err.reason}))
        return found

    def _in_use(self, point: Point, device: Device) -> bool:
        """A withdrawn meter counts once more: in the period in which it was last read."""
        if device.status is not DeviceStatus.WITHDRAWN:
            return True
        return (device.id, point.spec.name) in self.frozen.reads[self.end]

    def unit_of(self, space: str) -> str:
        """The unit that a place is or lies in ("A/12/1204/kitchen" lies in "A/12/1204"), "" = none."""
        parts = space.split("/")
        inside = ("/".join(parts[:count]) for count in range(len(parts), 0, -1))
        return next((path for path in inside if path in self._dwellings), "")

    def _read(self, register: Register, cut_off: Ms) -> PeriodRead:
        found = self.frozen.reads[cut_off].get((register.device, register.point))
        if found is not None:
            return found
        return PeriodRead(
            self.site.id, register.device, register.point, cut_off, None, None, ReadFlag.MISSING, 0
        )

    def _usage(self, register: Register, start: Ms, end: Ms) -> Usage:
        key = register.device, register.point
        opening, closing = self._read(register, start), self._read(register, end)
        return registers.usage(
            register, opening, closing, self._exchanges.get(key, ()), self._resets.get(key, ())
        )

    def statements(self, now: Ms, actor: str) -> list[Statement]:
        """The statements that differ from the locked ones."""
        shared, blocked = self._shares()
        codes = statement.unit_codes(self.units)
        own: dict[str, list[str]] = {}
        for device in self.registers:
            own.setdefault(self.unit_of(self.frozen.devices[device].space), []).append(device)
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
            occupied = self.frozen.devices[device].parameters.get("vacant") is not True
            flags = vee.check(usage, self._history(device), occupied=occupied)
            self.problems += [
                Problem(f"problem.{f}", unit, device, vee.holds((f,)), _of(usage)) for f in flags
            ]
            before = self._before(unit, device, price) if price is not None else None
            if price is None or before is None or vee.holds(flags):
                waits = True
            else:
                first = not any(m.tariff.id == price.id for m in found)
                gone = self._used_by_gone(unit, device_class, price) if first else Decimal(0)
                waits = waits or gone is None
                found.append(Metered(usage, device_class, price, before + (gone or Decimal(0))))
        return None if waits else tuple(found)

    def _tariff(self, unit: str, device: str, device_class: str, usage: Usage) -> Tariff | None:
        price = tariff.in_force(self.site.tariffs, device_class, self.first_day)
        if price is None:
            self.problems.append(Problem("problem.no_tariff", unit, device, True, {"class": device_class}))
        elif later := tariff.changes_within(self.site.tariffs, device_class, self.first_day, self.end_day):
            # Which part of the use was before the change no register says.
            told = {"tariff": later.id, "date": later.valid_from.isoformat()}
            self.problems.append(Problem("problem.tariff_within", unit, device, True, told))
            return None
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

    def _before(self, unit: str, device: str, price: Tariff) -> Decimal | None:
        """What was used in the year up to the period's start, from its first frozen read on.

        None, with the reason among the problems, when the registers do not tell: a guess of zero
        would sell the year's cheap tiers twice.
        """
        if price.basis != "year":
            return Decimal(0)
        register = self.registers[device]
        months = int(self.period[5:7]) - 1
        for cut_off in self.earlier[len(self.earlier) - months :] if months else ():
            if self._read(register, cut_off).steps is not None:
                used = self._usage(register, cut_off, self.start)
                if used.quantity is None and self.usages[device].quantity is not None:
                    self.problems.append(Problem("problem.year", unit, device, True, _of(used)))
                return used.quantity
        return Decimal(0)

    def _used_by_gone(self, unit: str, device_class: str, price: Tariff) -> Decimal | None:
        """What meters of the unit that were withdrawn used earlier in the year: another meter is no
        other household. None, with the reason among the problems, when it is not known."""
        total = Decimal(0)
        months = int(self.period[5:7]) - 1
        year = [*self.earlier[len(self.earlier) - months :], self.start] if months else []
        for point, device in self.gone.get((unit, device_class), ()) if price.basis == "year" else ():
            try:
                register = registers.register_of(point, device, dwelling=True)
            except Rejected as err:
                self.problems.append(Problem("problem.meter", unit, device.id, True, {"detail": err.reason}))
                return None
            known = [at for at in year if self._read(register, at).steps is not None]
            if len(known) > 1:
                used = self._usage(register, known[0], known[-1])
                if used.quantity is None:
                    self.problems.append(Problem("problem.year", unit, device.id, True, _of(used)))
                    return None
                total += used.quantity
        return total

    # ------------------------------------------------------------ public shares

    def _shares(self) -> tuple[dict[str, list[Shared]], set[str]]:
        """By unit: its public shares; and the units whose statements wait for one."""
        shared: dict[str, list[Shared]] = {}
        blocked: set[str] = set()
        for share in self.site.shares:
            payers = [u for u in self.units if not share.space or f"{u}/".startswith(f"{share.space}/")]
            if not payers:
                self.problems.append(Problem("problem.no_payers", "", "", False, {"share": share.id}))
                continue
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
        amounts = allocation.allocate(tariff.rounded(exact), known)
        usages = tuple(self.usages[device] for device in share.meters)
        less = tuple(self.usages[device] for device in share.less)
        pool = statement.digest((usages, less))
        self.pools[pool] = (*usages, *less)
        minus = sum((u.quantity for u in less if u.quantity is not None), Decimal(0))
        return {u: Shared(share, quantity, known[u], whole, amounts[u], usages, pool, minus) for u in known}

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
        owned = [d for d in share.meters if d in self.usages and self._billed_itself(d)]
        for device in owned:
            self.problems.append(Problem("problem.pool_owned", "", device, True, {"share": share.id}))
        for device, unit in others.items():
            units = {"share": share.id, "unit": share.unit, "meter_unit": unit}
            self.problems.append(Problem("problem.unit", "", device, True, units))
        if quantity is None and not unknown:
            self.problems.append(Problem("problem.pool_negative", "", "", True, {"share": share.id}))
        return None if others or owned else quantity

    def _billed_itself(self, device: str) -> bool:
        """Whether a unit pays for this meter on its own lines."""
        row = self.frozen.devices[device]
        priced = any(t.device_class == row.device_class for t in self.site.tariffs)
        return priced and bool(self.unit_of(row.space))


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
