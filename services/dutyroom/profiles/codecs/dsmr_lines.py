"""The lines of a P1 telegram: OBIS codes with what stands in their brackets."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs import dsmr_tables as tables
from dutyroom.profiles.values import shortened

Lines: TypeAlias = dict[str, list[str]]  # OBIS code -> what stands in its brackets

MAX_LINES = 1000

_BLANK = re.compile(r"\s*")
_CODE = r"[0-9]{1,3}-[0-9]{1,3}:[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?:\.[0-9]{1,3})?"
_OBIS = re.compile(_CODE)
_ROW = re.compile(  # at most 200 brackets
    rf"({_CODE})?((?:\([^()\r\n]*\)){{1,200}})[ \t]*(?:[\r\n]\s*|\Z)"
)
# A row as meters write it: what may be a code, the first bracket, the others. From the first other thing on:
# all of that.
_USUAL = re.compile(r"([-0-9:.]{0,23})\(([^()\r\n]*)\)((?:\([^()\r\n]*\)){0,199})[\r\n]+|([\s\S]+)")


class Place(NamedTuple):
    """What an OBIS code stands for. channel: 0 = the meter itself, -1 = it is none. key: the code without a sub-meter's channel.
    name: of the register, "" = none; others: a number there counts, too."""

    channel: int
    key: str
    name: str
    unit: str
    others: bool


@lru_cache(maxsize=4096)
def place_of(code: str) -> Place:
    if _OBIS.fullmatch(code) is None:
        return Place(-1, code, "", "", False)
    if code.startswith("0-") and code[2] in "123456789" and code[3] == ":":
        return Place(int(code[2]), code[4:], "", "", False)
    name = tables.REGISTERS.get(code, "")
    return Place(0, code, name, f"{name}_unit", not name and code not in tables.LOGS)


def _usual_lines(body: str) -> Lines | None:
    """The lines of a telegram in which nothing is odd; None where something is."""
    found: Lines = {}
    last: list[str] | None = None
    rows = _USUAL.findall(body.lstrip("\r\n"))
    if len(rows) > MAX_LINES:
        return None
    for code, first, others, odd in rows:
        if odd:
            return None
        groups = [first, *others[1:-1].split(")(")] if others else [first]
        if code and code not in found and place_of(code).channel >= 0:
            found[code] = last = groups
        elif code or last is None:
            return None
        else:
            last += groups
    return found


def read_lines(body: str, at: int) -> Lines:
    """The lines of a telegram. Raises Rejected."""
    usual = _usual_lines(body)
    return _any_lines(body, at) if usual is None else usual


def _any_lines(body: str, at: int) -> Lines:
    """The lines of a telegram; a line that begins with a bracket goes on with the one before. Raises Rejected."""
    found: Lines = {}
    last: list[str] | None = None
    place, count, blank = 0, 0, _BLANK.match(body)
    if blank is not None:
        place = blank.end()
    while place < len(body):
        row = _ROW.match(body, place)
        count += 1
        if count > MAX_LINES:
            raise Rejected(f"more than {MAX_LINES} lines")
        if row is None or (last is None and row[1] is None):
            shown = shortened(body[place:].split("\n", 1)[0].strip(), 40)
            raise Rejected(f"line at byte {at + place}: {shown!r} is no OBIS line")
        if row[1] is not None:
            last = found.setdefault(row[1], [])
        assert last is not None
        last += row[2][1:-1].split(")(")
        place = row.end()
    return found
