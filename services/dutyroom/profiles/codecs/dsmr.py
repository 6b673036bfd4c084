r"""DSMR P1 telegrams (2.2 to 5.0.2, e-MUCS of Belgium, and their kin) of smart electricity meters.

    /KFM5KAIFA-METER
    1-0:1.8.1(001581.123*kWh)
    0-1:24.2.1(161129200000W)(00981.443*m3)
    !6796

The document is {"meters": [...]}: the electricity meter (channel 0) and each gas, water or heat meter on its
M-Bus channels 1 to 4, with what the telegram says beside it (maker, model, version).

    id          identifier in plain ("4B38" is hex for "K8"); `equipment`: as it stands
    kind        electricity | gas | water | hot_water | heat | cooling; `type`: as it stands, `type_code`: a number
    energy_import_t1, power_import, voltage_l1, ...     registers of channel 0, see dsmr_tables
    reading, unit, volume or energy, valve              registers of a sub-meter
    time        "2016-11-13T19:57:57+00:00" where the telegram says winter or summer, else "2016-11-07T19:00:00"
    clock_wrong the time again, when it is years away from the time of receipt
    failures    [{ended, seconds}], demand_history [{month, time, value, unit}]
    obis        {"1-0:1.8.1": ["001581.123*kWh"], ...}: every line of that meter as it stands
    others      {"1-0:81.7.1": {value: "120", unit: "deg"}}: numbers of lines that no table names

Numbers are exact decimal text without leading zeros. The CRC-16/ARC behind ! must be right; from version 4 on
it must be there. A telegram whose line ends lost their CR on the way is checked with them put back.
`check: false` is for bridges that rewrite telegrams: no CRC is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs import dsmr_tables as tables
from dutyroom.profiles.codecs.crc16_arc import crc16_arc
from dutyroom.profiles.codecs.dsmr_lines import Lines, place_of, read_lines
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
from dutyroom.profiles.codecs.seam import Ask, Codec, CodecKind
from dutyroom.profiles.times import plausible
from dutyroom.profiles.values import shortened
from dutyroom.profiles.yamlnode import Plain
from dutyroom.timebase import from_iso

MAX_TELEGRAMS = 20
MAX_SIZE = 65536  # bytes

_TELEGRAM = re.compile(rb"/(?P<head>[^\r\n/!]{4,64})\r?\n(?P<body>[^!/]*)!(?P<crc>[^\r\n]*)")
_HEAD = re.compile(r"(?P<maker>[A-Za-z]{3})(?P<baud>.)(?:\\(?P<mode>[0-9A-Z]))?(?P<model>.*)\Z")
_TOLD = re.compile(  # from the start of a line only, since digits would be tried from every place
    r"^[ \t]*(?P<code>[0-9]{1,3}-[0-9]{1,3}:[0-9.]{1,16})(?P<value>\([^\r\n]*)", re.MULTILINE
)


def _check(telegram: bytes, told: bytes, at: int) -> None:
    """Raises Rejected unless the CRC behind ! is that of the bytes from / to !."""
    if not re.fullmatch(rb"[0-9A-Fa-f]{4}", told):
        raise Rejected(
            f"CRC at byte {at}: {shortened(told.decode('latin-1'), 10)!r} is no hexadecimal number"
        )
    counted = crc16_arc(telegram)
    if counted == int(told, 16):
        return
    if b"\r" not in telegram and crc16_arc(telegram.replace(b"\n", b"\r\n")) == int(told, 16):
        return
    raise Rejected(f"CRC at byte {at}: {told.decode('ascii')}, {counted:04X} expected")


# ---------------------------------------------------------------- from lines to meters


def _electricity(found: Item, lines: Lines, winter: int) -> tuple[Lines, dict[int, Lines]]:
    """The meter itself: channel 0. Its own lines, and those of each other channel without it. Raises Rejected."""
    found["channel"], found["kind"] = 0, "electricity"
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
    peak = lines.get(tables.MONTH_PEAK, [])
    if len(peak) == 2 and (at := moment(peak[0], winter)) is not None:
        found["demand_max_time"] = at
    if log := failures(lines.get(tables.FAILURES, []), winter):
        found["failures"] = log
    if history := demand_history(lines.get(tables.DEMAND_HISTORY, []), winter):
        found["demand_history"] = history
    for code, name in tables.TEXTS.items():
        if text := (lines.get(code) or [""])[0]:
            found[f"{name}_raw"], found[name] = text, identifier(text)
    time = moment((lines.get(tables.TIME) or [""])[0], winter)
    if time is not None:
        found["time"] = time
    return own, behind


def _kind(text: str) -> Item:
    """What is on a channel: the device type as it stands, as a number, and in words."""
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
    meter["obis"] = lines


def _meters(lines: Lines, common: Item, winter: int) -> list[Item]:
    """common: what the telegram says of all of them. Raises Rejected."""
    meters = [common.copy()]
    own, behind = _electricity(meters[0], lines, winter)
    _identify(meters[0], own, tables.EQUIPMENT)
    for channel, found in sorted(behind.items()):
        meter = common.copy()
        _sub_meter(meter, channel, found, winter)
        _identify(meter, found, ("96.1.0", "96.1.1"))
        meters.append(meter)
    return meters


def _telegram(match: re.Match[bytes], check: bool, winter: int, ask: Ask) -> list[Item]:
    """The meters of one telegram. Raises Rejected."""
    head = _HEAD.match(match["head"].decode("latin-1"))
    if head is None:
        raise Rejected(
            f"header at byte {match.start('head')}: {shortened(repr(match['head']), 40)} names no maker"
        )
    lines = read_lines(match["body"].decode("latin-1"), match.start("body"))
    version = next((g[0] for code in tables.VERSIONS if (g := lines.get(code)) and g[0]), None)
    told = match["crc"].strip()
    if check and (told or (version or "").isdigit()):
        _check(match[0][: match.start("crc") - match.start()], told, match.start("crc"))
    common: Item = {"maker": head["maker"].upper(), "model": head["model"].strip()}
    if version:
        common["version"] = version
    meters = _meters(lines, common, winter)
    for meter in meters:
        time = meter.get("time")
        if isinstance(time, str) and "+" in time and not plausible(from_iso(time), ask.received_at):
            meter["clock_wrong"] = time
    if ask.note is not None:
        for line in _TOLD.finditer(match["body"].decode("latin-1")):
            first, last = match.start("body") + line.start("value"), match.start("body") + line.end()
            ask.note(line["code"], first * 8, last * 8, line["value"])
    return meters


def _decode(payload: bytes, check: bool, winter: int, ask: Ask) -> Item:
    if len(payload) > MAX_SIZE:
        raise Rejected(f"{len(payload)} bytes are more than {MAX_SIZE}")
    meters: list[Item] = []
    end = 0
    for number, match in enumerate(_TELEGRAM.finditer(payload)):
        if number >= MAX_TELEGRAMS:
            raise Rejected(f"more than {MAX_TELEGRAMS} telegrams")
        meters += _telegram(match, check, winter, ask)
        end = match.end()
    if not meters:
        raise Rejected(f"no telegram from / to ! in {len(payload)} bytes")
    if b"!" in payload[end:]:
        raise Rejected(f"telegram at byte {end}: an end without its beginning")
    return {"meters": meters}


def make(options: Mapping[str, Plain]) -> Codec:
    """check: whether CRCs are looked at. winter: hours of the zone's winter time east of UTC (1 = CET)."""
    check, winter = options.get("check", True), options.get("winter", 1)
    if not isinstance(check, bool):
        raise Rejected(f"check: {check!r} is neither true nor false")
    if not isinstance(winter, int) or isinstance(winter, bool) or not -12 <= winter <= 14:
        raise Rejected(f"winter: {winter!r} is no whole number of hours from -12 to 14")

    def codec(payload: bytes, ask: Ask) -> object:
        return _decode(payload, check, winter, ask)

    return codec


KIND: Final = CodecKind(make, ("check", "winter"))
