"""Independent checks of what a codec accepted: every value comes from a frame whose checksum is right, and none from
digits that are no digits. They use the notes of the codec (which bytes gave which value) and count for themselves."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from tests.fuzz import frames

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.seam import Ask, Codec


class Noted(NamedTuple):
    """A field as the codec told it: bits of the payload, value."""

    name: str
    first: int
    last: int
    value: object


class Seen(NamedTuple):
    """A payload that was accepted."""

    payload: bytes
    document: Any
    notes: list[Noted]
    settings: Mapping[str, object]
    codec: Codec


Oracle = Callable[[Seen], str]  # what is wrong; "" = nothing


# ---------------------------------------------------------------- digits


def digits_of(data: bytes) -> str:
    return data[::-1].hex()


def _digit_fault(name: str, data: bytes, value: object) -> str:
    """A number that came out of packed digits has these digits, and they are digits."""
    if not isinstance(value, str):
        return ""
    digits = digits_of(data)
    if value.startswith("-") or not value.strip("0."):  # the top bit is the sign, also of a zero
        digits = f"{int(digits[0], 16) & 7:x}{digits[1:]}"
    if not digits.isdecimal():
        return f"{name}: {value!r} came out of {data.hex()}"
    figures = "".join(c for c in value if c.isdecimal())
    if (
        ":" not in value
        and figures.lstrip("0") != digits.lstrip("0")
        and "T" not in value
        and value.count("-") < 2
    ):
        return f"{name}: {value!r} is not what {data.hex()} says"
    return ""


# ---------------------------------------------------------------- lines of meters

_NO_DIGITS: Final = frozenset(
    {"asset_number", "rated_voltage", "rated_current", "maximum_current", "active_class", "reactive_class", "model",
     "made_on", "protocol_version", "valve", "extra", "status"}
)  # fmt: skip


def _line_oracle(length_at: int, address_at: int, offset: int) -> Oracle:
    def check(seen: Seen) -> str:
        found = _frames_of(seen, length_at, address_at)
        if isinstance(found, str):
            return found
        told = {n.name for n in seen.notes}
        for kind in ("frames", "requests"):
            for number, document in enumerate(seen.document[kind]):
                for name, value in document["values"].items():
                    if isinstance(value, str) and f"{kind}[{number}].values.{name}" not in told:
                        return f"{name}: {value!r} came from nowhere"
        for note in seen.notes:
            name = note.name.rpartition(".")[2]
            if ".values." not in note.name or name in _NO_DIGITS or name.endswith("_unit"):
                continue
            inside = [f for f in found if f.start * 8 <= note.first and note.last <= f.stop * 8 - 16]
            if inside:  # else it is put together from several frames
                raw = seen.payload[note.first // 8 : note.last // 8]
                fault = _digit_fault(note.name, bytes((b - offset) & 0xFF for b in raw), note.value)
                if fault:
                    return fault
        return ""

    return check


def _frames_of(seen: Seen, length_at: int, address_at: int) -> list[range] | str:
    """The places of all frames that gave something, each with a right sum; or what is wrong."""
    starts = [n.first // 8 - address_at for n in seen.notes if n.name.endswith("].address")]
    if len(starts) != len(seen.document["frames"]) + len(seen.document["requests"]):
        return f"{len(starts)} addresses were told of {seen.document}"
    found = []
    for start in starts:
        frame = frames.line_frame(seen.payload, start, length_at)
        if frame is None:
            return f"a frame with a wrong sum at byte {start} was accepted"
        found.append(frame)
    return found


# ---------------------------------------------------------------- others


def _gb26875(seen: Seen) -> str:
    framed = [o for o in seen.document["objects"] if "serial" in o]
    places = [n.first // 8 - 2 for n in seen.notes if n.name == "serial"]
    if framed and not places:
        return "objects of a frame came from nowhere"
    if seen.settings.get("form") == "frame" and len(framed) != len(seen.document["objects"]):
        return "an object without a frame was accepted"
    wrong = [p for p in places if not frames.gb_frame(seen.payload, p)]
    return f"a frame with a wrong sum at byte {wrong[0]} was accepted" if wrong else ""


def _sia(seen: Seen) -> str:
    """The lines whose CRC is right, alone, give the same."""
    right = [line for line, ok in frames.sia_lines(seen.payload) if ok]
    if not right:
        return "no line has a right CRC"
    try:
        again: Any = seen.codec(b"\n".join(right), Ask())
    except Rejected as err:
        return f"the lines with a right CRC alone give nothing: {err.reason}"
    return "" if again["events"] == seen.document["events"] else "a line with a wrong CRC gave something"


def _dsmr(seen: Seen) -> str:
    """Every telegram that gave a value has a right CRC; from version 4 on it has one."""
    for note in seen.notes:
        right = frames.p1_right(seen.payload, note.first // 8)
        if right is False:
            return f"{note.name} at byte {note.first // 8}: of a telegram with a wrong CRC"
        if right is None and note.name in ("1-3:0.2.8", "0-0:96.1.4") and str(note.value)[1:-1].isdigit():
            return f"{note.name} at byte {note.first // 8}: of version {note.value}, without a CRC"
    return ""


def _modbus(seen: Seen) -> str:
    payload, framing = seen.payload, seen.settings.get("framing", "none")
    if framing == "rtu" and not _rtu_right(payload):
        return "an RTU frame with a wrong CRC was accepted"
    if framing == "auto" and payload.strip()[:1] not in (b"[", b"{"):
        text = payload.strip().removeprefix(b"0x")
        try:
            inner = bytes.fromhex(text.decode("ascii"))
        except ValueError:
            tcp = payload[2:4] == b"\0\0" and int.from_bytes(payload[4:6], "big") == len(payload) - 6
            return "" if _rtu_right(payload) or tcp else "a frame that is none was accepted"
        is_answer = len(inner) > 4 and inner[1] in (1, 2, 3, 4) and inner[2] == len(inner) - 5
        if is_answer and not _rtu_right(inner) and not _rtu_right(payload):
            return "an RTU frame in hex with a wrong CRC was accepted"
    return _modbus_digits(seen) if framing in ("rtu", "tcp") else ""


def _modbus_digits(seen: Seen) -> str:
    registers: Any = seen.settings.get("registers", {})
    for note in seen.notes:
        if registers.get(note.name, {}).get("as") != "bcd":
            continue
        digits = seen.payload[note.first // 8 : note.last // 8].hex()
        if not digits.isdecimal() or int(digits) != int(str(note.value)):
            return f"{note.name}: {note.value!r} came out of {digits}"
    return ""


def _rtu_right(payload: bytes) -> bool:
    return len(payload) > 4 and frames.crc_reflected(payload, frames.MODBUS) == 0


# ---------------------------------------------------------------- cursor programs of profiles


def _sealed_right(payload: bytes) -> bool:
    """The program asks for no more than the sum: FF 00 is that of one FF. FF FF, that of no bytes, protects nothing."""
    return len(payload) >= 3 and frames.rtu(payload[:-2]) == payload


def _harsh(seen: Seen) -> str:
    """What the program of harsh.py has of digits and of a checksum."""
    if isinstance(seen.document, dict) and "body" in seen.document and not _sealed_right(seen.payload):
        return "a message with a wrong checksum was accepted"
    whole, size = int.from_bytes(seen.payload, "big"), len(seen.payload) * 8
    for note in seen.notes:
        if note.name.rpartition(".")[2] != "bcd":
            continue
        digits = f"{whole >> size - note.last & (1 << note.last - note.first) - 1:02x}"
        if not digits.isdecimal() or note.value != int(digits):
            return f"{note.name}: {note.value!r} came out of {digits}"
    return ""


# ---------------------------------------------------------------- M-Bus

_BCD: Final = frozenset((0x9, 0xA, 0xB, 0xC, 0xE))
_HEX: Final = frozenset(b"0123456789abcdefABCDEF_| \t\r\n\v\f")


def telegram(payload: bytes) -> bytes:
    """Hex text as bytes."""
    text = payload.rpartition(b";0x")[2].strip().removeprefix(b"telegram=")
    if text and all(c in _HEX for c in text):
        digits = bytes(c for c in text if c not in b"_| \t\r\n\v\f")
        if digits and len(digits) % 2 == 0:
            return bytes.fromhex(digits.decode())
    return payload


def _wmbus(seen: Seen) -> str:
    data = telegram(seen.payload)
    if data[:1] == b"\x68" and data[3:4] == b"\x68" and data[1] == data[2]:
        return _bcd(seen, data) if frames.long_right(data) else "a long frame with a wrong sum was accepted"
    blocks = frames.blocks_a(data)
    if any(blocks):
        return "" if all(blocks) else f"a telegram with a wrong CRC was accepted: {blocks}"
    if len(data) != data[0] + 1:
        return ""
    if frames.crc_13757(data[:-2]) == int.from_bytes(data[-2:], "big"):
        data = data[:-2]  # format B
    if data[10] == 0x8D and frames.crc_13757(data[19:]) != int.from_bytes(data[17:19], "little"):
        return "an extended link layer with a wrong CRC was accepted"
    return _bcd(seen, data) if seen.document.get("ci") in (0x72, 0x78, 0x7A) else ""


def _mbus(seen: Seen) -> str:
    return _bcd(seen, seen.payload)


def _bcd(seen: Seen, data: bytes) -> str:
    """No number comes out of BCD with letters; F in front is the standard's minus."""
    if seen.settings.get("names"):
        return ""
    places = {n.name: n for n in seen.notes}
    for record in seen.document["records"]:
        note, value = places.get(record["name"]), record["value"]
        if note is None or value is None:
            continue
        if _MEMBER.search(record["name"]) and record["dif"][1].upper() == "D":
            if found := _bcd_member(record, note, data):
                return found
            continue
        if record["n"] != 1:
            continue
        raw, coding = data[note.first // 8 : note.last // 8], bytes.fromhex(record["dif"])[0] & 0x0F
        variable = coding == 0x0D and 0xC0 <= data[note.first // 8 - 1] <= 0xD9
        if coding not in _BCD and not variable:
            continue
        digits = digits_of(raw).removeprefix("f") if str(value)[:1] in "-0" else digits_of(raw)
        if str(value).upper() == digits.upper():
            continue  # a name, digit by digit
        if not digits.isdecimal() and (isinstance(value, int) or _looks_a_number(value)):
            return f"{record['name']}: {value!r} came out of BCD {raw.hex()}"
    return ""


_MEMBER: Final = re.compile(r"_(back|after|register)[0-9]+(_[0-9]+)?$")


def _bcd_member(record: dict[str, Any], note: Noted, data: bytes) -> str:
    """A value of a compact profile: control and spacing stand before its first member."""
    first, last = note.first // 8, note.last // 8
    coding = data[first - 2 - (record["n"] - 1) * (last - first)] & 0x0F
    digits = digits_of(data[first:last])
    if coding not in _BCD or digits.removeprefix("f").isdecimal():
        return ""
    return f"{record['name']}: {record['value']!r} came out of BCD {digits}"


def _looks_a_number(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True


ORACLES: Final[Mapping[str, Oracle]] = {
    "cjt188": _line_oracle(10, 2, 0),
    "dlt645": _line_oracle(9, 1, 0x33),
    "dsmr": _dsmr,
    "gb26875": _gb26875,
    "harsh": _harsh,
    "mbus": _mbus,
    "modbus": _modbus,
    "sia_dc09": _sia,
    "wmbus": _wmbus,
}


# ---------------------------------------------------------------- a short look


def brief_fault(brief: Codec, payload: bytes, ask: Ask, document: object) -> str:
    """A short look at a payload that the codec accepts says a part of what the codec says."""
    try:
        found = brief(payload, ask)
    except Rejected as err:
        return f"a short look refuses what the codec accepts: {err.reason[:100]}"
    except Exception as err:
        return f"a short look raised {err!r:.100}"
    return "" if _within(found, document) else f"a short look says {str(found)[:200]}"


def _within(part: object, whole: object) -> bool:
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and _within(value, whole[key]) for key, value in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        return len(part) == len(whole) and all(map(_within, part, whole))
    return part == whole
