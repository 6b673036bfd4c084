"""Price plans: dated, versioned; Decimals only, rounded once per printed line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from dutyroom.errors import Invalid, Mistake, Rejected
from dutyroom.fields import Fields
from dutyroom.metering.allocation import allocate
from dutyroom.model.telemetry import DeviceClass
from dutyroom.yamltext import read_yaml

METER_CLASSES = (
    DeviceClass.ELECTRICITY_METER,
    DeviceClass.WATER_METER,
    DeviceClass.GAS_METER,
    DeviceClass.HEAT_METER,
    DeviceClass.FEEDER,
)

# Currencies whose smallest unit is not a hundredth (ISO 4217).
_WHOLE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THOUSANDTHS = "BHD IQD JOD KWD LYD OMR TND"
_PLACES = dict.fromkeys(_WHOLE.split(), 0) | dict.fromkeys(_THOUSANDTHS.split(), 3)


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


def changes_within(tariffs: Iterable[Tariff], device_class: str, first: date, end: date) -> Tariff | None:
    """The first tariff of a class that begins after the first day and before the day of the end."""
    inside = [t for t in tariffs if t.device_class == device_class and first < t.valid_from < end]
    return min(inside, key=lambda t: (t.valid_from, t.id), default=None)


def in_force(tariffs: Iterable[Tariff], device_class: str, day: date) -> Tariff | None:
    """The newest tariff of a class that is valid on a day."""
    valid = [t for t in tariffs if t.device_class == device_class and t.valid_from <= day]
    return max(valid, key=lambda t: (t.valid_from, t.version, t.id), default=None)


# ---------------------------------------------------------------- the file


def parse_tariffs(text: str, file: str) -> tuple[tuple[Tariff, ...], tuple[PublicShare, ...]]:
    """`tariffs:` and `shares:` of a YAML text. Raises Invalid with every mistake."""
    mistakes: list[Mistake] = []
    root = Fields.of(read_yaml(text, file), mistakes)
    tariffs, shares = root.children("tariffs"), root.children("shares")
    root.finish()
    found = [_tariff(entry) for entry in tariffs]
    shared = [_share(entry) for entry in shares]
    _unique(tariffs, [t.id for t in found], "id")
    _unique(shares, [s.id for s in shared], "id")
    _shared_once(shares, shared)
    _unique(tariffs, [f"{t.device_class} from {t.valid_from}" for t in found], "valid_from")
    if mistakes:
        raise Invalid(mistakes)
    return tuple(found), tuple(shared)


def _unique(entries: Sequence[Fields], keys: Sequence[str], name: str) -> None:
    for index, entry in enumerate(entries):
        if keys[index] and keys[index] in keys[:index]:
            entry.wrong(name, f"{keys[index]!r} is there twice")


def _shared_once(entries: Sequence[Fields], shares: Sequence[PublicShare]) -> None:
    """No register is paid for twice: a public meter stands in one share, and once in it."""
    taken: dict[str, str] = {}
    for entry, share in zip(entries, shares, strict=True):
        listed = Counter((*share.meters, *share.less))
        for device in (name for name, times in listed.items() if times > 1):
            entry.wrong("meters", f"{device!r} is there twice, in meters or less")
        for device in share.meters:
            if device in taken:
                entry.wrong("meters", f"{device!r} is shared out by {taken[device]!r} already")
        taken = dict.fromkeys(share.meters, share.id) | taken


def _tariff(entry: Fields) -> Tariff:
    tariff = Tariff(
        id=entry.text("id"),
        device_class=entry.choice("class", [str(c) for c in METER_CLASSES]),
        name=entry.words("name"),
        tiers=_tiers(entry),
        unit=entry.text("unit"),
        valid_from=_day(entry, "valid_from"),
        basis=entry.choice("basis", ("month", "year"), "month"),
        version=entry.integer("version", 1, 1),
    )
    entry.finish()
    return tariff


def _day(entry: Fields, name: str) -> date:
    written = entry.text(name)
    try:
        return date.fromisoformat(written)
    except ValueError:
        if written:
            entry.wrong(name, f"{written!r} is not a date such as 2026-01-01")
        return date.min


def _tiers(entry: Fields) -> tuple[Tier, ...]:
    rows = entry.children("tiers")
    if entry.has("price") == entry.has("tiers"):
        entry.wrong("", "write either price: 0.5050 or tiers: a list of up_to and price")
    if entry.has("price"):
        return (Tier(None, _price(entry)),)
    tiers: list[Tier] = []
    for row in rows:
        limit = row.decimal("up_to", None)
        _check_limit(row, limit, tiers[-1].limit if tiers else Decimal(0), row is rows[-1])
        tiers.append(Tier(limit, _price(row)))
        row.finish()
    if entry.has("tiers") and not tiers:
        entry.wrong("tiers", "needs at least one tier")
    return tuple(tiers)


def _check_limit(row: Fields, limit: Decimal | None, before: Decimal | None, last: bool) -> None:
    if last and limit is not None:
        row.wrong("up_to", "the last tier takes all the rest: leave up_to out")
    if not last and limit is None and not row.has("up_to"):
        row.wrong("", "up_to is missing; only the last tier is without it")
    if limit is not None and before is not None and limit <= before:
        row.wrong("up_to", "must be more than that of the tier before")


def _price(entry: Fields) -> Decimal:
    price = entry.decimal("price")
    if price is not None and price < 0:
        entry.wrong("price", "must not be negative")
    return price if price is not None else Decimal(0)


def _share(entry: Fields) -> PublicShare:
    meters = entry.texts("meters")
    if not meters:
        entry.wrong("", "meters: at least one public meter is wanted")
    share = PublicShare(
        id=entry.text("id"),
        name=entry.words("name"),
        space=entry.text("space", ""),
        meters=meters,
        less=entry.texts("less"),
        price=_price(entry),
        unit=entry.text("unit"),
        basis=entry.choice("basis", ("area",), "area"),
    )
    entry.finish()
    return share
