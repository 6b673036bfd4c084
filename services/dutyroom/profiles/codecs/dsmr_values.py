"""What stands in the brackets of a P1 line: numbers with units, times, identifiers, logs."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import TypeAlias

from dutyroom.errors import Rejected
from dutyroom.profiles.values import shortened

Item: TypeAlias = dict[str, object]

# sign, number without leading zeros, unit
NUMBER = re.compile(r"(-?)0{0,15}([0-9]{1,15}(?:\.[0-9]{1,9})?)\*([A-Za-z0-9%]{1,8})\Z")
_TIME = re.compile(r"[0-9]{12}([WS]?)\Z")
_DAYLIGHT = {"W": 0, "S": 1}


def quantity(text: str) -> tuple[str, str] | None:
    """(exact decimal, unit) of "001581.123*kWh", leading zeros off; None for anything else."""
    match = NUMBER.match(text)
    if match is None:
        return None
    sign, number, unit = match.groups()
    return f"{sign}{number}", unit


def register(into: Item, name: str, text: str) -> None:
    """Sets {name: number, name_unit: unit}, or {name: text} where no unit stands; nothing for empty brackets.

    Raises Rejected for what should be a number with its unit and is not.
    """
    found = quantity(text)
    if found is not None:
        into[name], into[f"{name}_unit"] = found
    elif "*" in text:
        raise Rejected(f"{name}: {shortened(text, 40)!r} is no number with a unit")
    elif text:
        into[name] = text


def total(found: Item, first: str, second: str) -> str | None:
    """The exact sum of two registers of one unit; None when one is missing."""
    unit = found.get(f"{first}_unit")
    if unit is None or unit != found.get(f"{second}_unit"):
        return None
    return f"{Decimal(str(found[first])) + Decimal(str(found[second])):f}"


def moment(text: str, winter: int) -> str | None:
    """YYMMDDhhmmss and W (winter) or S (summer) in UTC with its offset; without a letter as it stands.

    winter: hours of winter time east of UTC. None for what is no time.
    """
    match = _TIME.match(text)
    if match is None or text[8:10] > "59" or text[10:12] > "59":
        return None
    letter = match[1]
    hour = _hour(text[:8], letter, winter)
    return hour and f"{hour}:{text[8:10]}:{text[10:12]}{'+00:00' if letter else ''}"


@lru_cache(maxsize=1024)
def _hour(text: str, letter: str, winter: int) -> str | None:
    """YYMMDDhh as "2016-11-13T19", which all times of an hour begin with."""
    try:
        local = datetime.fromisoformat(f"20{text[:6]}T{text[6:]}0000")
        return (local - timedelta(hours=winter + _DAYLIGHT[letter]) if letter else local).isoformat()[:13]
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=1024)
def identifier(text: str) -> str:
    """Hexadecimal pairs of printable ASCII in plain ("4B38" -> "K8"); anything else as it stands."""
    try:
        plain = bytes.fromhex(text).decode("ascii")
    except ValueError:
        return text
    return plain if plain and plain.isprintable() and plain.strip() == plain else text


# What does not change from telegram to telegram is read once: logs, and times of the last hour.


@lru_cache(maxsize=1024)
def failures(groups: tuple[str, ...], winter: int) -> list[Item]:
    """(count)(code)(time)(seconds*s)...: power failures of the log, newest first as the meter lists them."""
    found: list[Item] = []
    for time, lasted in zip(groups[2::2], groups[3::2], strict=False):
        ended, seconds = moment(time, winter), quantity(lasted)
        if ended is not None and seconds is not None:
            found.append({"ended": ended, "seconds": seconds[0]})
    return found


@lru_cache(maxsize=1024)
def demand_history(groups: tuple[str, ...], winter: int) -> list[Item]:
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
