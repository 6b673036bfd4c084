"""Price plans: dated, versioned; Decimals only. (Data here; pricing follows.)"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal


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
