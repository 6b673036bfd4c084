"""Exact numbers for codecs: a raw register times its resolution, never by way of a float."""

from __future__ import annotations

import contextlib
import math
import struct
from collections.abc import Mapping
from decimal import Context, Decimal
from functools import lru_cache
from typing import TypeAlias

from dutyroom.errors import Rejected
from dutyroom.profiles.yamlnode import Plain

Exact: TypeAlias = int | str  # a whole number, or decimal text such as "123.45"

ONE, ZERO = Decimal(1), Decimal(0)
_CONTEXT = Context(prec=120)  # 64 bits times a resolution of 11 digits needs 32
MAX_DIGITS = 30  # of a resolution or offset in a profile


def scaled(raw: int, scale: Decimal = ONE, offset: Decimal = ZERO) -> Exact:
    """raw * scale + offset."""
    whole, added, places = in_whole_numbers(scale, offset)
    value = raw * whole + added
    return with_places(value, 10**places) if places else value


def with_places(value: int, ten: int) -> Exact:
    """value / ten, where ten is a power of ten above 1."""
    number, part = divmod(value if value >= 0 else -value, ten)
    if not part:
        return number if value >= 0 else -number
    text = f"{number}.{str(ten + part)[1:]}".rstrip("0")
    return text if value >= 0 else f"-{text}"


@lru_cache(maxsize=1024)
def in_whole_numbers(scale: Decimal, offset: Decimal) -> tuple[int, int, int]:
    """(a, b, n): raw * scale + offset = (raw * a + b) / 10**n."""
    places = max(0, *(-int(number.as_tuple().exponent) for number in (scale, offset)))
    whole, added = (int(_CONTEXT.scaleb(number, Decimal(places))) for number in (scale, offset))
    return whole, added, places


def exact(value: Decimal) -> Exact:
    """As a document holds it: whole numbers as int, others as text without trailing zeros."""
    if value == value.to_integral_value(context=_CONTEXT):
        return int(value)
    return format(value.normalize(_CONTEXT), "f")


def shifted(value: Exact, power: int) -> Exact:
    """value * 10 ** power."""
    return exact(_CONTEXT.scaleb(Decimal(value), Decimal(power)))


def float32(data: bytes) -> float | None:
    """Four bytes, big-endian, as the shortest decimal that is this number (230.1, not
    230.10000610351562). None for NaN and the infinities."""
    value: float = struct.unpack(">f", data)[0]
    if not math.isfinite(value):
        return None
    for digits in range(6, 9):
        short = float(f"{value:.{digits}g}")
        try:
            if struct.pack(">f", short) == data:
                return short
        except OverflowError:  # rounded up beyond the largest one
            continue
    return float(f"{value:.9g}")


def float64(data: bytes) -> float | None:
    """Eight bytes, big-endian. None for NaN and the infinities."""
    value: float = struct.unpack(">d", data)[0]
    return value if math.isfinite(value) else None


def unsigned(data: bytes, order: str = "big") -> int:
    return int.from_bytes(data, "little" if order == "little" else "big")


def signed(data: bytes) -> int:
    """Two's complement, big-endian."""
    return int.from_bytes(data, "big", signed=True)


# ---------------------------------------------------------------- settings of a profile


def decimal_setting(settings: Mapping[str, Plain], name: str, default: Decimal, where: str) -> Decimal:
    """A resolution or offset as written, also a fraction "1/128". Raises Rejected."""
    value = settings.get(name)
    if value is None:
        return default
    text = str(value)
    top, _, bottom = text.partition("/")
    try:
        found = Decimal(top) if not bottom else _CONTEXT.divide(Decimal(top), Decimal(bottom))
    except ArithmeticError:
        found = Decimal("nan")
    if isinstance(value, bool) or not found.is_finite() or len(found.as_tuple().digits) > MAX_DIGITS:
        raise Rejected(f"{where}{name}: {text!r} is no exact number of at most {MAX_DIGITS} digits")
    if abs(found.adjusted()) > MAX_DIGITS:
        raise Rejected(f"{where}{name}: {text!r} is out of range")
    return found


def whole_setting(
    settings: Mapping[str, object], name: str, default: int | None, low: int, high: int, where: str
) -> int:
    """A whole number, decimal or "0x1F". Raises Rejected; without a default it must be there."""
    value = settings.get(name, default)
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = int(value, 16 if value[:2] in ("0x", "0X") else 10)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise Rejected(f"{where}{name}: a whole number from {low} to {high} is needed")
    return value


def choice_setting(
    settings: Mapping[str, Plain], name: str, default: str, allowed: tuple[str, ...], where: str
) -> str:
    """Raises Rejected, naming what is allowed."""
    value = settings.get(name, default)
    if value not in allowed:
        raise Rejected(f"{where}{name}: one of {', '.join(allowed)} is needed")
    return str(value)


def flag_setting(settings: Mapping[str, Plain], name: str, default: bool, where: str) -> bool:
    value = settings.get(name, default)
    if not isinstance(value, bool):
        raise Rejected(f"{where}{name}: true or false is needed")
    return value


def map_setting(value: Plain, where: str) -> dict[str, Plain]:
    """A mapping, {} for none. Raises Rejected."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Rejected(f"{where}: a mapping is needed")
    return value


def known_settings(settings: Mapping[str, Plain], allowed: tuple[str, ...], where: str) -> None:
    """Raises Rejected for a name that means nothing."""
    for name in settings:
        if name not in allowed:
            raise Rejected(f"{where}{name}: unknown; known: {', '.join(allowed)}")
