"""Registers, period reads, usage and statements: integers and Decimals, never floats."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from dutyroom.timebase import Ms


class ReadFlag(StrEnum):
    """After AEMO: where a period read comes from."""

    ACTUAL = "A"
    ESTIMATED = "E"
    SUBSTITUTED = "S"
    MISSING = "N"


@dataclass(frozen=True, slots=True)
class Register:
    """The register of a meter: what one step is and when it wraps."""

    device: str
    point: str
    unit: str
    step: Decimal  # physical size of one step
    digits: int | None  # wraps at 10**digits steps
    multiplier: Decimal = Decimal(1)  # CT x PT
    rated: Decimal | None = None  # most that one hour can add, in `unit` at the register; None = not known
    wrap: int | None = None  # the steps at which a counter that is no dial wraps, in place of digits

    @property
    def modulus(self) -> int:
        """The steps at which it begins again at 0; 0 = not known, and then no decrease is a wrap."""
        if self.wrap is not None:
            return self.wrap
        return 10**self.digits if self.digits is not None else 0


@dataclass(frozen=True, slots=True)
class Exchange:
    """A meter replaced: closing steps of the old one, opening steps of the new one."""

    id: int
    site: str
    device: str
    point: str
    at: Ms
    closing: int  # steps
    opening: int  # steps
    actor: str
    reason: str
    step: Decimal | None = None  # of the new meter, None = the same
    digits: int | None = None
    multiplier: Decimal | None = None


@dataclass(frozen=True, slots=True)
class PeriodRead:
    """The register at a cut-off, frozen. steps None = missing, never zero."""

    site: str
    device: str
    point: str
    cut_off: Ms
    steps: int | None
    at: Ms | None  # the device's time of that reading
    flag: ReadFlag
    version: int = 1
    method: str = "nearest_before"  # how it was chosen
    source: str = ""  # journal sequence and payload hash, or import file and line
    actor: str = "system"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Use between two cut-offs, in steps times multiplier; every part names its two registers."""

    device: str
    point: str
    unit: str
    quantity: Decimal | None  # physical, None = not known
    opening: PeriodRead
    closing: PeriodRead
    segments: tuple[
        tuple[int, int, str], ...
    ]  # (from steps, to steps, "plain|rollover|before exchange|after exchange")
    flags: tuple[str, ...] = ()  # rollover, exchange, missing, suspect, reset, zero, high ...
    step: Decimal = Decimal(1)  # of the register at the opening read
    multiplier: Decimal = Decimal(1)
    exchanges: tuple[Exchange, ...] = ()  # between the two reads; an exchange may change step and multiplier


@dataclass(frozen=True, slots=True)
class Line:
    """One printed line of a statement. amount in the currency's smallest unit (fen)."""

    key: str  # message key: line.electricity, line.tier, line.public_share ...
    arguments: dict[str, str] = field(default_factory=dict)
    quantity: Decimal | None = None
    unit: str = ""
    price: Decimal | None = None
    amount: int = 0
    detail: bool = False  # an indented part that the line above already contains
    device: str = ""


@dataclass(frozen=True, slots=True)
class Correction:
    """One input that differs from the version before: why a statement was made again."""

    key: str  # message key: correction.read, correction.tariff, correction.share ...
    arguments: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Statement:
    """A locked statement for one unit and period; a correction is a new version."""

    site: str
    number: str  # 202610-A1204-1
    period: str  # "2026-10"
    unit: str  # space path
    version: int
    start: Ms
    end: Ms
    created_at: Ms
    usages: tuple[Usage, ...]
    lines: tuple[Line, ...]
    total: int  # smallest currency unit; sum of the lines that are not detail
    currency: str
    digest: str  # SHA-256 over the frozen inputs
    actor: str = "system"
    area: Decimal | None = None
    shared: tuple[Usage, ...] = ()  # of the public meters behind the public-share lines
    corrections: tuple[Correction, ...] = ()  # empty for version 1
