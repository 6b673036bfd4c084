"""SAE J1939: CAN frames of engines and generator sets, bare or as arrays of {id, data} in JSON.

J1939-71: the highest raw values of a parameter mean "error" and "not available": null, and why stands
under `reasons`. J1939-73: active faults (DM1) and past ones (DM2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import orjson

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.exact import (
    ONE,
    ZERO,
    decimal_setting,
    flag_setting,
    in_whole_numbers,
    known_settings,
    map_setting,
    whole_setting,
    with_places,
)
from dutyroom.profiles.codecs.j1939_faults import component, read_faults
from dutyroom.profiles.codecs.j1939_frames import (
    CONNECTION,
    MAX_DATA,
    TRANSFER,
    Frame,
    assembled,
    frame,
    listed_frames,
    read_id,
)
from dutyroom.profiles.codecs.j1939_table import GROUPS, Parameter
from dutyroom.profiles.codecs.seam import Ask, Codec, CodecKind, Note
from dutyroom.profiles.yamlnode import Plain

Groups: TypeAlias = Mapping[int, tuple["Field", ...]]
Values: TypeAlias = dict[str, object]

ACTIVE_FAULTS, PAST_FAULTS, COMPONENT = 65226, 65227, 65259
_OWN_WAY = frozenset({ACTIVE_FAULTS, PAST_FAULTS, COMPONENT, CONNECTION, TRANSFER})  # no fixed parameters

OPTIONS = ("frames", "id", "source", "spns")
SPN_OPTIONS = ("pgn", "byte", "bit", "bits", "scale", "offset", "signed", "special")


# ---------------------------------------------------------------- one frame


_TOP = ("reserved", "reserved", "reserved", "error", "not_available")  # of the highest byte, from FB on
_TWO = ("error", "not_available")


def why_not(raw: int, bits: int) -> str:
    """error | not_available | reserved, by the range of the raw value (J1939-71); empty for a value."""
    field_ = _field(Parameter("", 0, 0, bits))
    return "" if raw < field_.odd else field_.why[(raw - field_.odd) >> field_.low_bits]


class Field(NamedTuple):
    """How a parameter is read. end: bit after its last. odd, negative: raw values from
    here on are none, or below zero. (raw * whole + added) / ten is the value; ten = 1: it has no decimal places."""

    name: str
    start: int
    end: int
    mask: int
    odd: int
    whole: int
    added: int
    ten: int
    negative: int
    why: tuple[str, ...]  # of the odd ones, in steps of 2 ** low_bits
    low_bits: int
    parameter: Parameter


def _field(p: Parameter) -> Field:
    whole, added, places = in_whole_numbers(p.scale, p.offset)
    count = 1 << p.bits
    odd = count
    if p.special and p.bits > 1:
        odd = count - 2 if p.bits < 8 else 0xFB << (p.bits - 8)
    negative = count >> 1 if p.minus else count
    why, low_bits = (_TOP, p.bits - 8) if p.bits >= 8 else (_TWO, 0)
    scaling = (whole, added, 10**places, negative)
    return Field(p.name, p.start, p.start + p.bits, count - 1, odd, *scaling, why, low_bits, p)


def _shown_bits(p: Parameter) -> tuple[int, int]:
    """Bits are shown from the left; J1939 counts those of a byte from the right."""
    byte, bit = divmod(p.start, 8)
    if bit + p.bits <= 8:
        return byte * 8 + 8 - bit - p.bits, byte * 8 + 8 - bit
    return byte * 8, (p.start + p.bits + 7) // 8 * 8


@dataclass(slots=True)
class Collected:
    """The parameters of several frames: a value counts more than none, and the later more."""

    values: Values = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)

    def add(self, found: Frame, groups: Groups, note: Note | None = None) -> None:
        pgn = found.pgn
        if pgn in _OWN_WAY:
            if pgn == COMPONENT:
                self.values |= component(found.data)
            elif pgn in (ACTIVE_FAULTS, PAST_FAULTS):
                self._faults(read_faults(found.data, "" if pgn == ACTIVE_FAULTS else "past_"))
        fields = groups.get(pgn)
        if fields is not None:
            self._read(found.data, fields, note)
        elif pgn not in _OWN_WAY:
            self.unknown[str(pgn)] = found.data.hex()

    def _read(self, data: bytes, fields: Sequence[Field], note: Note | None) -> None:
        """The parameters that the data is long enough for."""
        content, size = int.from_bytes(data, "little"), len(data) * 8
        values, reasons = self.values, self.reasons
        for name, start, end, mask, odd, whole, added, ten, negative, why, low, parameter in fields:
            if end > size:
                continue
            raw = content >> start & mask
            value: object = None
            if raw < odd:
                if raw >= negative:
                    raw -= mask + 1
                number = raw * whole + added
                value = number if ten == 1 else with_places(number, ten)
                values[name] = value
                if name in reasons:
                    del reasons[name]
            elif values.get(name) is None:
                values[name] = None
                if name in reasons:
                    del reasons[name]
                reasons[name] = why[(raw - odd) >> low]
            if note is not None:
                note(name, *_shown_bits(parameter), value)

    def _faults(self, found: Values) -> None:
        """Those of several control units together."""
        for name, value in found.items():
            old = self.values.get(name)
            if isinstance(value, list) and isinstance(old, list):
                value = old + value
            elif isinstance(value, int) and isinstance(old, int):
                value = old + value if name.endswith("fault_count") else max(old, value)
            self.values[name] = old if value is None else value

    def document(self) -> Values:
        """An item that paths find as `engine`, and `{bus}.engine` where there are several."""
        return {"engine": self.values | {"reasons": self.reasons, "unknown": self.unknown}}


# ---------------------------------------------------------------- the codec


def make(settings: Mapping[str, Plain]) -> Codec:
    """frames: key or keys of the JSON payload that hold arrays of {id, data} ("" = the payload is one);
    without it the payload is the data of one frame. id: of that frame: `port` (the default: `bytes.port`,
    or the device parameter can_id), `topic` (its last level), or a number. source: address or addresses of
    control units that count. spns: {name: {pgn, byte, bit, bits, scale, offset, signed, special}}.
    """
    known_settings(settings, OPTIONS, "")
    groups = _groups(map_setting(settings.get("spns"), "spns"))
    sources = _sources(settings.get("source"))
    if "frames" in settings:
        return _in_json(_keys(settings["frames"]), groups, sources)
    own = settings.get("id", "port")
    fixed = own if own in ("port", "topic") else read_id(own, "id")
    return _bare(fixed, groups, sources)


def _keys(value: Plain) -> tuple[str, ...]:
    names = value if isinstance(value, list) else [value]
    found = tuple(name for name in names if isinstance(name, str))
    if len(found) != len(names) or not found:
        raise Rejected("frames: a key or a list of keys is needed")
    return found


def _sources(value: Plain) -> frozenset[int] | None:
    if value is None:
        return None
    listed = value if isinstance(value, list) else [value]
    return frozenset(whole_setting({"source": n}, "source", None, 0, 255, "") for n in listed)


def _groups(own: Mapping[str, Plain]) -> Groups:
    groups = {pgn: group.parameters for pgn, group in GROUPS.items()}
    for name, value in own.items():
        where = f"spns.{name}."
        found = map_setting(value, where[:-1])
        known_settings(found, SPN_OPTIONS, where)
        pgn = whole_setting(found, "pgn", None, 0, 0x3FFFF, where)
        others = tuple(p for p in groups.get(pgn, ()) if p.name != name)
        groups[pgn] = (*others, _parameter(name, found, where))
    return {pgn: tuple(_field(p) for p in listed) for pgn, listed in groups.items()}


def _parameter(name: str, own: Mapping[str, Plain], where: str) -> Parameter:
    byte = whole_setting(own, "byte", None, 1, MAX_DATA, where)
    bit = whole_setting(own, "bit", 1, 1, 8, where)
    minus = flag_setting(own, "signed", False, where)
    return Parameter(
        name=name,
        spn=0,
        start=(byte - 1) * 8 + bit - 1,
        bits=whole_setting(own, "bits", 8, 1, 64, where),
        scale=decimal_setting(own, "scale", ONE, where),
        offset=decimal_setting(own, "offset", ZERO, where),
        minus=minus,
        special=flag_setting(own, "special", not minus, where),
    )


def _bare(identifier: object, groups: Groups, sources: frozenset[int] | None) -> Codec:
    def decode(payload: bytes, ask: Ask) -> object:
        """{pgn, source, priority, engine: {engine_speed: "1498.75", ..., reasons: {name: why there is no
        value}, unknown: {group: hex}}}"""
        if len(payload) > MAX_DATA:
            raise Rejected(f"{len(payload)} bytes: a frame has at most 8, a long message {MAX_DATA}")
        found = frame(_identifier(identifier, ask), payload)
        collected = Collected()
        if sources is None or found.source in sources:
            collected.add(found, groups, ask.note)
        head: Values = {"pgn": found.pgn, "source": found.source, "priority": found.priority}
        if found.pgn in GROUPS:
            head["group"] = GROUPS[found.pgn].label
        return head | collected.document()

    return decode


def _identifier(identifier: object, ask: Ask) -> int:
    if identifier == "topic":
        return read_id(ask.topic.rpartition("/")[2], f"topic {ask.topic!r}")
    if identifier != "port":
        return read_id(identifier, "id")
    found = ask.port if ask.port is not None else ask.parameters.get("can_id")
    if found is None:
        raise Rejected("the CAN id of the frame is not known: give bytes.port, id or the parameter can_id")
    return read_id(found, "CAN id")


def _in_json(keys: Sequence[str], groups: Groups, sources: frozenset[int] | None) -> Codec:
    def decode(payload: bytes, ask: Ask) -> object:
        """The JSON document with each array of frames replaced by {engine: what is in them together}."""
        try:
            document = orjson.loads(payload)
        except orjson.JSONDecodeError as err:
            raise Rejected(f"not JSON: {err}") from err
        if keys == ("",):
            return _together(listed_frames(document, "frames"), groups, sources)
        if not isinstance(document, dict):
            raise Rejected("a JSON object expected")
        for key in keys:
            if document.get(key) is not None:
                document[key] = _together(listed_frames(document[key], key), groups, sources)
        return document

    return decode


def _together(frames: Sequence[Frame], groups: Groups, sources: frozenset[int] | None) -> Values:
    collected = Collected()
    for found in assembled([f for f in frames if sources is None or f.source in sources]):
        collected.add(found, groups)
    return collected.document()


KIND = CodecKind(make, OPTIONS, parameters=True)
