"""From two register reads to the use between them: integers and Decimals, nothing guessed.

A decrease is a rollover only when the use it means fits what the meter can pass in the time;
anything else is suspect and gives no usage. Missing stays missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal, InvalidOperation

from dutyroom.errors import Rejected
from dutyroom.model.duty import Device
from dutyroom.model.metering import Exchange, PeriodRead, ReadFlag, Register, Usage
from dutyroom.model.telemetry import DeviceClass, Kind, Point
from dutyroom.timebase import HOUR, Ms

NEAR: Ms = HOUR  # an exchange this near to a reset accounts for it
REGISTERS = ("volume", "energy")  # the points that a meter is billed by
# What a dwelling's meter can pass in an hour, generously: 32 A three-phase, DN20, G6. A bigger
# meter says so in its parameter "rated".
DWELLING: dict[str, Decimal] = {
    DeviceClass.ELECTRICITY_METER: Decimal(22),  # kWh
    DeviceClass.WATER_METER: Decimal(5),  # m3
    DeviceClass.GAS_METER: Decimal(10),  # m3
    DeviceClass.HEAT_METER: Decimal(30),  # kWh
}


def is_register(point: Point) -> bool:
    """Whether a point is a register that can be billed: a counter with a step, of which it is known
    when it wraps, and that never starts again by itself."""
    spec = point.spec
    if point.device_class is DeviceClass.HEAT_METER and spec.name != "energy":
        return False  # heat is billed by energy; its volume is for the plant
    counts = spec.kind is Kind.COUNTER and spec.step is not None and spec.modulus is not None
    return counts and spec.name in REGISTERS and not spec.resets


def register_of(point: Point, device: Device, *, dwelling: bool) -> Register:
    """The register behind a point. dwelling: without a parameter "rated" the class's own holds.

    Raises Rejected when a parameter "multiplier" or "rated" is not a positive number.
    """
    name = f"{point.device}/{point.spec.name}"
    if point.spec.step is None or point.spec.modulus is None:
        raise Rejected(f"{name} is no register: it has no step, or neither digits nor wrap")
    if point.spec.resets:
        raise Rejected(f"{name} is no register: it starts again from 0 by itself, its use cannot be billed")
    multiplier = _parameter(device, "multiplier")
    rated = _parameter(device, "rated")
    if rated is None and dwelling:
        rated = DWELLING.get(point.device_class)
    return Register(
        device=point.device,
        point=point.spec.name,
        unit=point.spec.unit,
        step=point.spec.step,
        digits=point.spec.digits,
        multiplier=multiplier if multiplier is not None else Decimal(1),
        rated=rated,
        wrap=point.spec.wrap,
    )


def _parameter(device: Device, name: str) -> Decimal | None:
    value = device.parameters.get(name)
    if value is None:
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal(0)
    if not number.is_finite() or number <= 0:
        raise Rejected(f"device {device.id}: parameter {name} = {value!r} is not a positive number")
    return number


def after(register: Register, exchanges: Sequence[Exchange], moment: Ms) -> Register:
    """The register as it is at `moment`, after the exchanges (of this register) up to then."""
    for exchange in sorted(exchanges, key=lambda e: (e.at, e.id)):
        if exchange.at <= moment:
            register = replace(
                register,
                step=exchange.step if exchange.step is not None else register.step,
                digits=exchange.digits if exchange.digits is not None else register.digits,
                wrap=None if exchange.digits is not None else register.wrap,
                multiplier=exchange.multiplier if exchange.multiplier is not None else register.multiplier,
            )
    return register


def steps_of(usage: Usage) -> tuple[Decimal, ...]:
    """The step of the meter in each stretch: up to the first exchange, after it, and so on."""
    found = [usage.step]
    for exchange in usage.exchanges:
        found.append(exchange.step if exchange.step is not None else found[-1])
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """One meter without an exchange: from one register to another."""

    register: Register
    start: int
    end: int
    label: str
    elapsed: Ms


def usage(
    register: Register,
    opening: PeriodRead,
    closing: PeriodRead,
    exchanges: Sequence[Exchange] = (),
    resets: Sequence[Ms] = (),
) -> Usage:
    """The use between two reads of one register.

    register: as it is before any of `exchanges`; exchanges: those of this device and point, any
    order, also outside the two reads. resets: when its device said that the register began again at 0;
    what it had counted until then is not known, unless an exchange beside it says so. quantity None =
    not known: the flags say missing, suspect or reset.
    """
    mine = [e for e in exchanges if (e.device, e.point) == (register.device, register.point)]
    first, last = _moment(opening), _moment(closing)
    between = tuple(sorted((e for e in mine if first < e.at <= last), key=lambda e: (e.at, e.id)))
    start = after(register, mine, first)
    flags = _read_flags(opening, closing)
    quantity: Decimal | None = None
    segments: tuple[tuple[int, int, str], ...] = ()
    if opening.steps is not None and closing.steps is not None and last >= first:
        stretches = _stretches(start, opening.steps, closing.steps, between, (first, last))
        lost = any(first < at <= last and all(abs(e.at - at) > NEAR for e in mine) for at in resets)
        quantity, labels = (None, [s.label for s in stretches]) if lost else _sum(stretches)
        segments = tuple((s.start, s.end, label) for s, label in zip(stretches, labels, strict=True))
        flags += ("rollover",) if "rollover" in labels else ()
        flags += ("exchange",) if between else ()
        flags += ("reset",) if lost else ("suspect",) if quantity is None else ()
    elif last < first:
        flags += ("suspect",)
    return Usage(
        device=register.device,
        point=register.point,
        unit=register.unit,
        quantity=quantity,
        opening=opening,
        closing=closing,
        segments=segments,
        flags=flags,
        step=start.step,
        multiplier=start.multiplier,
        exchanges=between,
    )


def _moment(read: PeriodRead) -> Ms:
    return read.at if read.at is not None else read.cut_off


def _read_flags(opening: PeriodRead, closing: PeriodRead) -> tuple[str, ...]:
    reads = (opening, closing)
    flags: tuple[str, ...] = ()
    if any(r.steps is None for r in reads):
        flags += ("missing",)
    if any(r.flag is ReadFlag.ESTIMATED for r in reads):
        flags += ("estimated",)
    if any(r.flag is ReadFlag.SUBSTITUTED for r in reads):
        flags += ("substituted",)
    return flags


def _stretches(
    register: Register, opening: int, closing: int, between: Sequence[Exchange], span: tuple[Ms, Ms]
) -> list[_Stretch]:
    found: list[_Stretch] = []
    at, steps, label = span[0], opening, "plain"
    for exchange in between:
        found.append(_Stretch(register, steps, exchange.closing, "before exchange", exchange.at - at))
        register = after(register, [exchange], exchange.at)
        at, steps, label = exchange.at, exchange.opening, "after exchange"
    found.append(_Stretch(register, steps, closing, label, span[1] - at))
    return found


def _sum(stretches: Sequence[_Stretch]) -> tuple[Decimal | None, list[str]]:
    """The quantity, None as soon as one stretch is suspect; and a label per stretch."""
    total: Decimal | None = Decimal(0)
    labels: list[str] = []
    for s in stretches:
        gained = advance(s.register, s.start, s.end, s.elapsed)
        rolled = gained is not None and s.end < s.start
        labels.append("rollover" if rolled else s.label)
        if gained is None or total is None:
            total = None
        else:
            total += gained * s.register.step * s.register.multiplier
    return total, labels


def advance(register: Register, start: int, end: int, elapsed: Ms) -> int | None:
    """Steps gained from `start` to `end` in `elapsed` ms; None = nothing plausible explains it."""
    modulus = register.modulus
    if not (0 <= start < modulus and 0 <= end < modulus):
        return None
    gained = (end - start) % modulus
    most = _most(register, elapsed)
    if end < start and most is None:
        return None
    if register.wrap is not None and most is not None and most >= modulus:
        return None  # it may have gone all the way round, nobody knows how often
    if most is not None and gained > most:
        return None
    return gained


def _most(register: Register, elapsed: Ms) -> int | None:
    """Steps that the register can gain in the time; one more, for a step that was nearly full."""
    if register.rated is None:
        return None
    hours = Decimal(max(0, elapsed)) / HOUR
    return int((register.rated * hours / register.step).to_integral_value(ROUND_CEILING)) + 1
