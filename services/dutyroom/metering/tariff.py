"""Price plans: dated, versioned; Decimals only, rounded once per printed line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from dutyroom.document import Field, read
from dutyroom.errors import Rejected
from dutyroom.metering.allocation import allocate
from dutyroom.model.telemetry import DeviceClass

# Currencies whose smallest unit is not a hundredth (ISO 4217), as far as a site may use one.
_PLACES = {"JPY": 0, "KRW": 0, "VND": 0, "CLP": 0, "BHD": 3, "KWD": 3, "JOD": 3, "OMR": 3, "TND": 3}


@dataclass(frozen=True, slots=True)
class Tier:
    """Up to `limit` (None = no limit) at `price` per unit of quantity."""

    limit: Decimal | None
    price: Decimal


@dataclass(frozen=True, slots=True)
class Tariff:
    """Flat = one tier. `basis` says over what the tiers run."""

    id: str
    device_class: str  # DeviceClass value: water_meter ...
    name: Mapping[str, str]
    tiers: tuple[Tier, ...]
    unit: str
    valid_from: date
    basis: str = "month"  # month | year
    version: int = 1


@dataclass(frozen=True, slots=True)
class PublicShare:
    """Public consumption allocated to the units below a space, by area."""

    id: str
    name: Mapping[str, str]
    space: str  # path prefix whose units pay
    meters: tuple[str, ...]  # device ids whose use is shared
    less: tuple[str, ...]  # device ids subtracted (sub-meters)
    price: Decimal
    unit: str
    basis: str = "area"


@dataclass(frozen=True, slots=True)
class Part:
    """The piece of a quantity that falls into one tier. amount in the smallest currency unit."""

    tier: int  # 1-based
    above: Decimal
    limit: Decimal | None
    quantity: Decimal
    price: Decimal
    amount: int = 0


@dataclass(frozen=True, slots=True)
class Charge:
    """A priced quantity: `amount` is rounded once, and the parts add up to it."""

    parts: tuple[Part, ...]
    amount: int


def smallest(currency: str) -> Decimal:
    """How many smallest units (fen) make one unit of the currency."""
    return Decimal(10) ** _PLACES.get(currency, 2)


def rounded(amount: Decimal) -> int:
    """Half up, to a whole smallest unit: the one rounding point of a line."""
    return int(amount.to_integral_value(ROUND_HALF_UP))


def split(tiers: tuple[Tier, ...], quantity: Decimal, before: Decimal = Decimal(0)) -> tuple[Part, ...]:
    """The pieces of `quantity` per tier, when `before` has been used already on the same basis.

    Nothing used gives one piece of zero in the tier that is reached. Raises Rejected for a
    negative quantity.
    """
    if quantity < 0 or before < 0:
        raise Rejected(f"a negative quantity ({quantity} after {before}) has no price")
    pieces: list[Part] = []
    above, used, left = Decimal(0), before, quantity
    for number, tier in enumerate(tiers, 1):
        room = left if tier.limit is None else min(left, max(Decimal(0), tier.limit - used))
        reached = tier.limit is None or used < tier.limit
        if room > 0 or (quantity == 0 and reached and not pieces):
            pieces.append(Part(number, above, tier.limit, room, tier.price))
        used, left = used + room, left - room
        above = tier.limit if tier.limit is not None else above
    return tuple(pieces)


def charge(
    tariff: Tariff, quantity: Decimal, before: Decimal = Decimal(0), *, currency: str = "CNY"
) -> Charge:
    """The price of a quantity. before: used earlier on the tariff's basis (this year, or this month).

    The line is rounded once, half up; its tiers are shown so that they add up to it.
    """
    unit = smallest(currency)
    parts = split(tariff.tiers, quantity, before)
    exact = [part.quantity * part.price * unit for part in parts]
    amount = rounded(sum(exact, Decimal(0)))
    weights = {f"{part.tier:03d}": value for part, value in zip(parts, exact, strict=True)}
    shown = allocate(amount, weights) if any(exact) else dict.fromkeys(weights, 0)
    priced = tuple(Part(p.tier, p.above, p.limit, p.quantity, p.price, shown[f"{p.tier:03d}"]) for p in parts)
    return Charge(priced, amount)


def in_force(tariffs: Iterable[Tariff], device_class: str, day: date) -> Tariff | None:
    """The newest tariff of a class that is valid on a day."""
    valid = [t for t in tariffs if t.device_class == device_class and t.valid_from <= day]
    return max(valid, key=lambda t: (t.valid_from, t.version, t.id), default=None)


# ---------------------------------------------------------------- the file


def parse_tariffs(text: str, file: str) -> tuple[tuple[Tariff, ...], tuple[PublicShare, ...]]:
    """`tariffs:` and `shares:` of a YAML text. Raises Invalid with every mistake."""
    root = read(text, file)
    root.only("tariffs", "shares")
    tariffs = tuple(_tariff(entry) for entry in root["tariffs"].items())
    shares = tuple(_share(entry) for entry in root["shares"].items())
    _unique(root["tariffs"].items(), [t.id for t in tariffs])
    _unique(root["shares"].items(), [s.id for s in shares])
    starts: set[tuple[str, date]] = set()
    for entry, tariff in zip(root["tariffs"].items(), tariffs, strict=True):
        if (tariff.device_class, tariff.valid_from) in starts:
            entry["valid_from"].wrong(f"another tariff of {tariff.device_class} begins on the same day")
        starts.add((tariff.device_class, tariff.valid_from))
    root.sheet.finish()
    return tariffs, shares


def _unique(entries: list[Field], ids: list[str]) -> None:
    for index, entry in enumerate(entries):
        if ids[index] and ids[index] in ids[:index]:
            entry["id"].wrong(f"{ids[index]!r} is used twice")


def _tariff(entry: Field) -> Tariff:
    entry.only("id", "class", "name", "unit", "valid_from", "basis", "price", "tiers", "version")
    return Tariff(
        id=entry["id"].text(),
        device_class=entry["class"].choice([c.value for c in DeviceClass]),
        name=entry["name"].words(),
        tiers=_tiers(entry),
        unit=entry["unit"].text(),
        valid_from=entry["valid_from"].date(),
        basis=entry["basis"].choice(("month", "year"), "month"),
        version=entry["version"].integer(1),
    )


def _tiers(entry: Field) -> tuple[Tier, ...]:
    written = entry["tiers"]
    if entry["price"].given == written.given:
        entry.wrong("write either price: 0.5050 or tiers: a list of up_to and price")
        return ()
    if entry["price"].given:
        return (Tier(None, _price(entry["price"])),)
    tiers: list[Tier] = []
    rows = written.items()
    for index, row in enumerate(rows):
        row.only("up_to", "price")
        limit = row["up_to"].decimal() if row["up_to"].given else None
        if limit is None and index < len(rows) - 1:
            row.wrong("only the last tier may be without up_to")
        if limit is not None and index == len(rows) - 1:
            row["up_to"].wrong("the last tier has no up_to: it takes all the rest")
        if limit is not None and limit <= (tiers[-1].limit or 0 if tiers else 0):
            row["up_to"].wrong("must be more than the tier before")
        tiers.append(Tier(limit, _price(row["price"])))
    if not tiers:
        written.wrong("at least one tier is wanted")
    return tuple(tiers)


def _price(field: Field) -> Decimal:
    price = field.decimal()
    if price < 0:
        field.wrong("a price is not negative")
    return price


def _share(entry: Field) -> PublicShare:
    entry.only("id", "name", "space", "meters", "less", "price", "unit", "basis")
    meters = entry["meters"].strings()
    if not meters:
        entry["meters"].wrong("at least one public meter is wanted")
    return PublicShare(
        id=entry["id"].text(),
        name=entry["name"].words(),
        space=entry["space"].text(""),
        meters=meters,
        less=entry["less"].strings(),
        price=_price(entry["price"]),
        unit=entry["unit"].text(),
        basis=entry["basis"].choice(("area",), "area"),
    )
