"""What stands in the brackets of a P1 line: numbers with units, times, identifiers, logs."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import TypeAlias

Item: TypeAlias = dict[str, object]

_NUMBER = re.compile(r"(?P<number>-?[0-9]{1,15}(?:\.[0-9]{1,9})?)\*(?P<unit>[A-Za-z0-9%]{1,8})\Z")
_TIME = re.compile(r"(?P<time>[0-9]{12})(?P<letter>[WS]?)\Z")
_DAYLIGHT = {"W": 0, "S": 1}


def quantity(text: str) -> tuple[str, str] | None:
    """(exact decimal, unit) of "001581.123*kWh", leading zeros off; None for anything else."""
    match = _NUMBER.match(text)
    return (f"{Decimal(match['number']):f}", match["unit"]) if match is not None else None


def register(name: str, text: str) -> Item:
    """{name: number, name_unit: unit}, or {name: text} where no unit stands; {} for empty brackets."""
    found = quantity(text)
    if found is not None:
        return {name: found[0], f"{name}_unit": found[1]}
    return {name: text} if text and "*" not in text else {}


def sum_of(first: object, second: object) -> str | None:
    """The exact sum of two decimal texts."""
    if not isinstance(first, str) or not isinstance(second, str):
        return None
    return f"{Decimal(first) + Decimal(second):f}"


def moment(text: str, winter: int) -> str | None:
    """YYMMDDhhmmss and W (winter) or S (summer) in UTC with its offset; without a letter as it stands.

    winter: hours of winter time east of UTC. None for what is no time.
    """
    match = _TIME.match(text)
    if match is None:
        return None
    try:
        local = datetime.strptime(match["time"], "%y%m%d%H%M%S")  # noqa: DTZ007 - the letter tells
    except ValueError:
        return None
    if not match["letter"]:
        return local.isoformat()
    zone = timezone(timedelta(hours=winter + _DAYLIGHT[match["letter"]]))
    return local.replace(tzinfo=zone).astimezone(UTC).isoformat()


def identifier(text: str) -> str:
    """Hexadecimal pairs of printable ASCII in plain ("4B38" -> "K8"); anything else as it stands."""
    try:
        plain = bytes.fromhex(text).decode("ascii")
    except ValueError:
        return text
    return plain if plain and plain.isprintable() and plain.strip() == plain else text


def failures(groups: list[str], winter: int) -> list[Item]:
    """(count)(code)(time)(seconds*s)...: power failures of the log, newest first as the meter lists them."""
    found: list[Item] = []
    for time, lasted in zip(groups[2::2], groups[3::2], strict=False):
        ended, seconds = moment(time, winter), quantity(lasted)
        if ended is not None and seconds is not None:
            found.append({"ended": ended, "seconds": seconds[0]})
    return found


def demand_history(groups: list[str], winter: int) -> list[Item]:
    """(count)(code)(code)(month)(time)(value*kW)...: the highest quarter-hour demand of each month."""
    found: list[Item] = []
    for month, time, value in zip(groups[3::3], groups[4::3], groups[5::3], strict=False):
        peak = quantity(value)
        if peak is not None:
            found.append(
                {
                    "month": moment(month, winter),
                    "time": moment(time, winter),
                    "value": peak[0],
                    "unit": peak[1],
                }
            )
    return found
