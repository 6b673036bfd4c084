"""The meters of a P1 telegram: the electricity meter, and those behind it on its M-Bus channels."""

from __future__ import annotations

import re
from functools import lru_cache

from dutyroom.profiles.codecs import dsmr_tables as tables
from dutyroom.profiles.codecs.dsmr_lines import Lines, place_of
from dutyroom.profiles.codecs.dsmr_shapes import Cut, Still
from dutyroom.profiles.codecs.dsmr_values import (
    NUMBER,
    Item,
    demand_history,
    failures,
    identifier,
    moment,
    register,
    total,
)


def _registers(found: Item, lines: Lines) -> tuple[Lines, dict[int, Lines]]:
    """Those of the meter itself. Its own lines, and those of each other channel without it. Raises Rejected."""
    own: Lines = {}
    behind: dict[int, Lines] = {}
    others: Item = {}
    for code, groups in lines.items():
        channel, key, name, unit, counts = place_of(code)
        if channel:
            behind.setdefault(channel, {})[key] = groups
            continue
        own[code] = groups
        text = groups[-1]
        if "*" not in text:
            if name and text:
                found[name] = text
        elif (match := NUMBER.match(text)) is None:
            if name:
                register(found, name, text)
        elif name:
            found[name], found[unit] = match[1] + match[2], match[3]
        elif counts:
            others[code] = {"value": match[1] + match[2], "unit": match[3]}
    if others:
        found["others"] = others
    for name, (first, second) in tables.TOTALS.items():
        if name not in found and (both := total(found, first, second)) is not None:
            found[name], found[f"{name}_unit"] = both, found[f"{first}_unit"]
    return own, behind


def _electricity(found: Item, lines: Lines, winter: int) -> None:
    """The meter itself, channel 0, beside its registers."""
    found["channel"], found["kind"] = 0, "electricity"
    peak = lines.get(tables.MONTH_PEAK, [])
    if len(peak) == 2 and (at := moment(peak[0], winter)) is not None:
        found["demand_max_time"] = at
    if log := failures(tuple(lines.get(tables.FAILURES, ())), winter):
        found["failures"] = log.copy()
    if history := demand_history(tuple(lines.get(tables.DEMAND_HISTORY, ())), winter):
        found["demand_history"] = history.copy()
    for code, name in tables.TEXTS.items():
        if text := (lines.get(code) or [""])[0]:
            found[f"{name}_raw"], found[name] = text, identifier(text)
    time = moment((lines.get(tables.TIME) or [""])[0], winter)
    if time is not None:
        found["time"] = time


@lru_cache(maxsize=1024)
def _kind(text: str) -> Item:
    """What is on a channel: the device type as it stands, as a number, and in words. Not to be changed."""
    if not re.fullmatch(r"[0-9]{1,3}", text):
        return {"type": text, "kind": "unknown"}
    code = int(text)
    return {"type": text, "type_code": code, "kind": tables.KINDS.get(code, f"type_{code}")}


def _sub_meter(found: Item, channel: int, lines: Lines, winter: int) -> None:
    """A meter on an M-Bus channel. lines: its own, keyed without the channel."""
    found["channel"] = channel
    kind = (lines.get("24.1.0") or [""])[0]
    if kind:
        found |= _kind(kind)
    for code in ("24.2.1", "24.2.3", "24.2.2", "24.3.0"):
        groups = lines.get(code) or []
        if len(groups) < 2:
            continue
        time = moment(groups[0], winter)
        # 24.3.0 of versions 2 and 3: (time)(..)(..)(..)(0-1:24.2.1)(unit) and the value on the next line.
        value = f"{groups[-1]}*{groups[-2]}" if code == "24.3.0" else groups[-1]
        register(found, "reading", value)
        unit = found.get("reading_unit")
        if "reading" in found:
            found["volume" if unit == "m3" else "energy" if unit in tables.ENERGY_UNITS else "value"] = found[
                "reading"
            ]
        if time is not None:
            found["time"] = time
        break
    if valve := (lines.get("24.4.0") or [""])[0]:
        found["valve"] = valve


def _identify(meter: Item, lines: Lines, codes: tuple[str, ...]) -> None:
    equipment = next((g[0] for code in codes if (g := lines.get(code)) and g[0]), None)
    if equipment:
        meter["equipment"], meter["id"] = equipment, identifier(equipment)


def meters_of(lines: Lines, common: Item, winter: int) -> list[Item]:
    """common: what the telegram says of all of them. Raises Rejected."""
    found = common.copy()
    own, behind = _registers(found, lines)
    meters = _together(found, own, behind, common, winter)
    for meter, listed in zip(meters, (own, *(behind[channel] for channel in sorted(behind))), strict=True):
        meter["obis"] = listed
    return meters


def still_of(cut: Cut, version: str | None, common: Item, winter: int) -> Still:
    """What such a telegram says beside registers and its clock; it is remembered. Raises Rejected."""
    found, *behind = _together(common.copy(), cut.own, cut.behind, common, winter)
    still = Still(version, found, tuple(behind))
    cut.remember(still)
    return still


def meters_of_cut(cut: Cut, still: Still, winter: int) -> list[Item]:
    """The meters of a telegram that has been cut to pieces, with the registers that are wanted."""
    found = cut.found
    found.update(still.found)
    time = moment(cut.time, winter)
    if time is not None:
        found["time"] = time
    return [found, *map(dict.copy, still.behind)]


def _together(found: Item, own: Lines, behind: dict[int, Lines], common: Item, winter: int) -> list[Item]:
    _electricity(found, own, winter)
    _identify(found, own, tables.EQUIPMENT)
    meters = [found]
    for channel, lines in sorted(behind.items()):
        meter = common.copy()
        _sub_meter(meter, channel, lines, winter)
        _identify(meter, lines, ("96.1.0", "96.1.1"))
        meters.append(meter)
    return meters
