"""A statement as a pure function of frozen inputs: same inputs, same bytes.

Every amount stands on usages, and every usage names its two register reads.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from enum import Enum

from dutyroom.errors import Rejected
from dutyroom.metering.registers import steps_of
from dutyroom.metering.tariff import METER_CLASSES, Charge, PublicShare, Tariff, charge
from dutyroom.model.metering import Correction, Line, PeriodRead, Statement, Usage
from dutyroom.timebase import Ms


@dataclass(frozen=True, slots=True)
class Metered:
    """A unit's own meter in the period."""

    usage: Usage
    device_class: str
    tariff: Tariff
    before: Decimal = Decimal(0)  # used earlier on the tariff's basis (this year)


@dataclass(frozen=True, slots=True)
class Shared:
    """The unit's part of a public consumption, already allocated."""

    share: PublicShare
    quantity: Decimal  # of the whole pool
    area: Decimal  # of the unit, m2
    whole_area: Decimal  # of all units that pay, m2
    amount: int  # of this unit, smallest currency unit
    usages: tuple[Usage, ...]  # of the public meters; their sub-meters are kept once, with the pool
    pool: str  # digest of all the usages that make the pool
    less: Decimal = Decimal(0)  # what the sub-meters used


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything that a statement is computed from."""

    site: str
    period: str  # "2026-10"
    unit: str
    start: Ms
    end: Ms
    currency: str
    area: Decimal | None = None
    metered: tuple[Metered, ...] = ()
    shared: tuple[Shared, ...] = field(default=())


def canonical(value: object) -> bytes:
    """One spelling per value: sorted keys, no spaces, Decimals without trailing zeros."""
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Decimal):
        return format(value.normalize(), "f") if value else "0"
    if isinstance(value, date):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


def digest(value: object) -> str:
    """SHA-256 over the canonical spelling, hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()


def statement(
    inputs: Inputs,
    *,
    code: str,
    created_at: Ms,
    version: int = 1,
    actor: str = "system",
    corrections: tuple[Correction, ...] = (),
) -> Statement:
    """The locked statement of one unit. code: how the unit is written in the number ("A1204").

    Every usage must have a quantity: what is not known is held back before it comes here, else
    Rejected.
    """
    metered = sorted(inputs.metered, key=_order)
    lines = [*_metered_lines(metered, inputs.currency), *map(_shared_line, inputs.shared)]
    return Statement(
        site=inputs.site,
        number=f"{inputs.period.replace('-', '')}-{code}-{version}",
        period=inputs.period,
        unit=inputs.unit,
        version=version,
        start=inputs.start,
        end=inputs.end,
        created_at=created_at,
        usages=tuple(m.usage for m in metered),
        lines=tuple(lines),
        total=sum(line.amount for line in lines if not line.detail),
        currency=inputs.currency,
        digest=digest(inputs),
        actor=actor,
        area=inputs.area,
        shared=_distinct(usage for s in inputs.shared for usage in s.usages),
        corrections=corrections,
    )


def _order(metered: Metered) -> tuple[int, str, str]:
    classes = [str(c) for c in METER_CLASSES]
    known = metered.device_class in classes
    rank = classes.index(metered.device_class) if known else len(classes)
    return rank, metered.usage.device, metered.usage.point


def _distinct(usages: Iterable[Usage]) -> tuple[Usage, ...]:
    return tuple({(u.device, u.point): u for u in usages}.values())


def _metered_lines(metered: Sequence[Metered], currency: str) -> list[Line]:
    """A line per meter and its tiers; meters of one tariff climb the same tiers one after another."""
    lines: list[Line] = []
    reached: defaultdict[str, Decimal] = defaultdict(Decimal)  # by tariff: how far up the tiers already
    for m in metered:
        reached[m.tariff.id] += m.before
    for m in metered:
        quantity = m.usage.quantity
        if quantity is None:  # never zero
            raise Rejected(f"the use of {m.usage.device} is not known; nothing is billed for it")
        before = reached[m.tariff.id]
        reached[m.tariff.id] += quantity
        priced = charge(m.tariff, quantity, before, currency=currency)
        lines += _lines_of(m, quantity, before, priced)
    return lines


def _lines_of(m: Metered, quantity: Decimal, before: Decimal, priced: Charge) -> list[Line]:
    arguments = {
        "tariff": m.tariff.id,
        "version": str(m.tariff.version),
        "valid_from": m.tariff.valid_from.isoformat(),
        "basis": m.tariff.basis,
    }
    if m.tariff.basis == "year":
        arguments["year_to_date"] = format(before + quantity, "f")
    tiered = len(m.tariff.tiers) > 1
    if tiered and len(priced.parts) == 1:
        arguments["tier"] = str(priced.parts[0].tier)
    price = priced.parts[0].price if len(priced.parts) == 1 else None
    unit, device = m.usage.unit, m.usage.device
    key = f"line.{m.device_class}.year" if m.tariff.basis == "year" else f"line.{m.device_class}"
    line = Line(key, arguments, quantity, unit, price, priced.amount, False, device)
    if len(priced.parts) == 1:
        return [line]
    details = [
        Line(
            "line.tier" if part.limit is not None else "line.tier_last",
            {
                "tier": str(part.tier),
                "above": format(part.above, "f"),
                "limit": format(part.limit, "f") if part.limit is not None else "",
            },
            part.quantity,
            unit,
            part.price,
            part.amount,
            True,
            device,
        )
        for part in priced.parts
    ]
    return [line, *details]


def _shared_line(s: Shared) -> Line:
    mine = (s.quantity * s.area / s.whole_area).quantize(Decimal("0.01"), ROUND_HALF_UP)
    arguments = {
        "share": s.share.id,
        "pool": format(s.quantity, "f"),
        "pool_unit": s.share.unit,
        "area": format(s.area, "f"),
        "whole_area": format(s.whole_area, "f"),
        "meters": ",".join(usage.device for usage in s.usages),
        "less": format(s.less, "f"),
        "pool_digest": s.pool,
        "name_zh": s.share.name.get("zh-CN", s.share.id),
        "name_en": s.share.name.get("en", s.share.id),
    }
    return Line("line.public_share", arguments, mine, s.share.unit, s.share.price, s.amount)


def unit_codes(units: Iterable[str]) -> dict[str, str]:
    """How units are written in statement numbers: "A/12/1204" as A1204, "A/6/0605" as A0605, where
    that is unique; else the whole path."""
    paths = sorted(set(units))
    short = {path: _short(path) for path in paths}
    count = Counter(short.values())
    return {
        path: code if count[code] == 1 and code else path.replace("/", ".") for path, code in short.items()
    }


def _short(path: str) -> str:
    parts = path.split("/")
    last = parts[-1]
    middle = [part for part in parts[1:-1] if not last.lstrip("0").startswith(part.lstrip("0"))]
    return parts[0] + last if len(parts) > 1 and not middle else "-".join(parts)


# ---------------------------------------------------------------- what changed


def corrections(before: Statement, after: Statement) -> tuple[Correction, ...]:
    """The inputs in which two versions differ, each named; never empty for different digests."""
    found = [*_usage_changes(before, after), *_line_changes(before, after)]
    if before.area != after.area:
        found.append(Correction("correction.area", {"old": _text(before.area), "new": _text(after.area)}))
    return tuple(found) or (Correction("correction.inputs", {}),)


def corrected(before: Statement, after: Statement) -> Statement:
    """`after` with the inputs named in which it differs from `before`."""
    return dataclasses.replace(after, corrections=corrections(before, after))


def _text(value: object) -> str:
    return "" if value is None else format(value, "f") if isinstance(value, Decimal) else str(value)


def _usage_changes(before: Statement, after: Statement) -> list[Correction]:
    found: list[Correction] = []
    old = {(u.device, u.point): u for u in (*before.usages, *before.shared)}
    new = {(u.device, u.point): u for u in (*after.usages, *after.shared)}
    for key in sorted(old.keys() | new.keys()):
        device = {"device": key[0]}
        if key not in new or key not in old:
            found.append(
                Correction("correction.meter_added" if key in new else "correction.meter_removed", device)
            )
            continue
        was, now = old[key], new[key]
        for which in ("opening", "closing"):
            if getattr(was, which) != getattr(now, which):
                found.append(_read_change(which, was, now))
        if was.exchanges != now.exchanges:
            found.append(Correction("correction.exchange", device))
        if was.multiplier != now.multiplier:
            values = {"old": _text(was.multiplier), "new": _text(now.multiplier)}
            found.append(Correction("correction.multiplier", {**device, **values}))
    return found


def _read_change(which: str, was: Usage, now: Usage) -> Correction:
    old: PeriodRead = getattr(was, which)
    new: PeriodRead = getattr(now, which)
    arguments = {
        "device": now.device,
        "old": _physical(old, was),
        "new": _physical(new, now),
        "unit": now.unit,
        "actor": new.actor,
        "reason": new.reason,
    }
    return Correction(f"correction.{which}", arguments)


def _physical(read: PeriodRead, usage: Usage) -> str:
    """A register in its unit, by the step of the meter that showed it."""
    if read.steps is None:
        return "—"
    step = steps_of(usage)[-1] if read is usage.closing else usage.step
    return format(read.steps * step, "f")


def _line_changes(before: Statement, after: Statement) -> list[Correction]:
    old = {_line_key(line): line for line in before.lines if not line.detail}
    found: list[Correction] = []
    for line in after.lines:
        was = old.get(_line_key(line))
        if was is not None and not line.detail:
            found += _line_change(was, line)
    return found


def _line_change(was: Line, now: Line) -> list[Correction]:
    def differs(*names: str) -> bool:
        return any(was.arguments.get(name) != now.arguments.get(name) for name in names)

    def values(name: str) -> dict[str, str]:
        return {"old": was.arguments.get(name, ""), "new": now.arguments.get(name, "")}

    if now.key == "line.public_share":
        if was.arguments == now.arguments and was.price == now.price:
            return []
        return [Correction("correction.share", {"share": now.arguments["share"], **values("pool")})]
    if differs("tariff", "version", "valid_from"):
        return [Correction("correction.tariff", {"device": now.device, **values("tariff")})]
    if _repriced(was, now):
        return [Correction("correction.price", {"device": now.device, "tariff": now.arguments["tariff"]})]
    if was.quantity == now.quantity and differs("year_to_date"):
        return [Correction("correction.year", {"device": now.device, **values("year_to_date")})]
    return []


def _repriced(was: Line, now: Line) -> bool:
    """The same quantity for another amount at the same place of the tiers: the price was edited."""
    same = was.quantity == now.quantity and was.arguments == now.arguments
    return same and (was.amount, was.price) != (now.amount, now.price)


def _line_key(line: Line) -> tuple[str, str, str]:
    return line.key, line.device, line.arguments.get("share", "")


# ---------------------------------------------------------------- the trace


@dataclass(frozen=True, slots=True)
class Trace:
    """One usage behind one printed line: two registers, each with its source."""

    line: int  # index in the statement's lines
    key: str
    amount: int  # of the line
    usage: Usage


def trace(made: Statement, pools: Mapping[str, Sequence[Usage]]) -> tuple[Trace, ...]:
    """Every amount with the register reads that it stands on.

    pools: by digest, all the usages behind a public share; without it the public meters alone.
    """
    own = {usage.device: usage for usage in made.usages}
    public = {usage.device: usage for usage in made.shared}
    rows: list[Trace] = []
    for index, line in enumerate(made.lines):
        if line.device:
            behind: Sequence[Usage] = [own[line.device]]
        else:
            meters = [public[name] for name in line.arguments["meters"].split(",")]
            behind = pools.get(line.arguments["pool_digest"], meters)
        rows += [Trace(index, line.key, line.amount, usage) for usage in behind]
    return tuple(rows)
