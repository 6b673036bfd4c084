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
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, TypeAlias

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs import dsmr_tables as tables
from dutyroom.profiles.codecs.crc16_arc import crc16_arc
from dutyroom.profiles.codecs.dsmr_lines import Lines, read_lines
from dutyroom.profiles.codecs.dsmr_meters import meters_of, meters_of_cut, still_of
from dutyroom.profiles.codecs.dsmr_shapes import Shapes
from dutyroom.profiles.codecs.dsmr_values import Item
from dutyroom.profiles.codecs.seam import Ask, Codec, CodecKind, Note, Wanted
from dutyroom.profiles.times import plausible
from dutyroom.profiles.values import shortened
from dutyroom.profiles.yamlnode import Plain
from dutyroom.timebase import DAY, Ms, from_iso

MAX_TELEGRAMS = 20
MAX_SIZE = 65536  # bytes

_TELEGRAM = re.compile(rb"/(?P<head>[^\r\n/!]{4,64})\r?\n(?P<body>[^!/]*)!(?P<crc>[^\r\n]*)")
# The same where no other / can follow: it is found in half the time.
_LONE = re.compile(rb"/(?P<head>[^\r\n/!]{4,64})\r?\n(?P<body>[^!]*)!(?P<crc>[^\r\n]*)")
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


Telegram: TypeAlias = Callable[[re.Match[bytes], Ask], list[Item]]


@lru_cache(maxsize=1024)
def _told_in(head: bytes) -> tuple[str, str] | None:
    """(maker, model) of a header; None where it names none."""
    found = _HEAD.match(head.decode("latin-1"))
    return None if found is None else (found["maker"].upper(), found["model"].strip())


def _version(lines: Lines) -> str | None:
    return next((g[0] for code in tables.VERSIONS if (g := lines.get(code)) and g[0]), None)


def _reader(check: bool, winter: int, shapes: Shapes | None) -> Telegram:
    """shapes: of telegrams that need not be read in full; None = every one is."""

    def read(match: re.Match[bytes], ask: Ask) -> list[Item]:
        """The meters of one telegram. Raises Rejected."""
        head, body = match["head"], match["body"]
        named = _told_in(head)
        if named is None:
            raise Rejected(
                f"header at byte {match.start('head')}: {shortened(repr(head), 40)} names no maker"
            )
        text = body.decode("latin-1")
        cut = shapes.read(head, body, text) if shapes is not None else None
        still = cut.still if cut is not None else None
        lines = cut.own if cut is not None and still is None else {}
        if cut is None:
            lines = read_lines(text, match.start("body"))
        version = still.version if still is not None else _version(lines)
        told = match["crc"].strip()
        if check and (told or (version or "").isdigit()):
            _check(match[0][: match.start("crc") - match.start()], told, match.start("crc"))
        if cut is not None and still is not None:
            return meters_of_cut(cut, still, winter)
        common: Item = {"maker": named[0], "model": named[1]}
        if version:
            common["version"] = version
        if cut is not None:
            return meters_of_cut(cut, still_of(cut, version, common, winter), winter)
        meters = meters_of(lines, common, winter)
        if shapes is not None:
            shapes.learn(head, body, text)
        elif ask.note is not None:
            _show(text, match.start("body"), ask.note)
        return meters

    return read


def _show(text: str, at: int, note: Note) -> None:
    """The lines to somebody who watches."""
    for line in _TOLD.finditer(text):
        note(line["code"], (at + line.start("value")) * 8, (at + line.end()) * 8, line["value"])


def _decode(payload: bytes, read: Telegram, ask: Ask) -> Item:
    if len(payload) > MAX_SIZE:
        raise Rejected(f"{len(payload)} bytes are more than {MAX_SIZE}")
    meters: list[Item] = []
    end = 0
    pattern = _LONE if payload.count(b"/") == 1 else _TELEGRAM
    for number, match in enumerate(pattern.finditer(payload)):
        if number >= MAX_TELEGRAMS:
            raise Rejected(f"more than {MAX_TELEGRAMS} telegrams")
        meters += read(match, ask)
        end = match.end()
    if not meters:
        raise Rejected(f"no telegram from / to ! in {len(payload)} bytes")
    if b"!" in payload[end:]:
        raise Rejected(f"telegram at byte {end}: an end without its beginning")
    for meter in meters:
        time = meter.get("time")
        if isinstance(time, str) and "+" in time and not _plausible(time, ask.received_at):
            meter["clock_wrong"] = time
    return {"meters": meters}


def _plausible(time: str, received_at: Ms) -> bool:
    """Of a time in UTC. On most days any time would do."""
    day = _began(time[:10])
    whole = plausible(day, received_at) and plausible(day + DAY, received_at)
    return whole or plausible(from_iso(time), received_at)


@lru_cache(maxsize=1024)
def _began(day: str) -> Ms:
    return from_iso(f"{day}T00:00:00+00:00")


def make(options: Mapping[str, Plain]) -> Codec:
    """check: whether CRCs are looked at. winter: hours of the zone's winter time east of UTC (1 = CET)."""
    read = _reader(*_settings(options), None)
    return lambda payload, ask: _decode(payload, read, ask)


def narrow(options: Mapping[str, Plain], wanted: Wanted) -> Codec | None:
    """Where neither the lines as they stand nor those without a name are wanted."""
    if not wanted.free("meters") or wanted.names & {"obis", "others"}:
        return None
    read = _reader(*_settings(options), Shapes(wanted))
    return lambda payload, ask: _decode(payload, read, ask)


def _settings(options: Mapping[str, Plain]) -> tuple[bool, int]:
    check, winter = options.get("check", True), options.get("winter", 1)
    if not isinstance(check, bool):
        raise Rejected(f"check: {check!r} is neither true nor false")
    if not isinstance(winter, int) or isinstance(winter, bool) or not -12 <= winter <= 14:
        raise Rejected(f"winter: {winter!r} is no whole number of hours from -12 to 14")
    return check, winter


KIND: Final = CodecKind(make, ("check", "winter"), narrow=narrow)
