"""GB/T 26875.3-2011: frames of a user information transmission device, and their bare data units.

A frame is  40 40 | serial 2 | version 2 | s min h D M YY | source 6 | target 6 | length 2 | command 1 |
unit | sum 1 | 23 23.  Numbers are little-endian; the sum is that of the bytes from the serial to the end
of the unit, modulo 256. The unit (0 to 1024 bytes) is  type 1 | count 1 | objects.

The document is {"objects": [...]}, one object for each information object, with what its frame says
beside it (source, target, serial, sent_at, command). So one path reads frames and bare units:

    kind            system_state, part_state, ... (table 3)
    device          source of the frame: the transmission device (of a question from above: the target)
    panel           "1.3": system type and address, where the object is of a fire-protection system
    state           {fire_alarm: true, ...}: the flags by name; `flags`: the number
    event           the most urgent flag, or the kind
    alarm, fault    1 or 0 for the panel; a part can only say 1, since another may still be in alarm
    isolated        the same of what is disabled; loop_isolated: where that part is a whole detection loop
    mains, testing, battery_fault, ...    other flags of a panel or device as 1 or 0
    alarm_loop, alarm_detector      upper and lower half of the address of a part on fire
    part_states     {"2.17_alarm": 1, ...}: flags of a part under loop and detector
    temperatures, heights, ...      {"5.9": "21.5"}: an analog value in `unit`; part_numbers, part_texts
    time            "2026-11-01T08:30:00", local to the panel, absent when the clock was never set

A frame with a wrong sum, length or end is never read. Good frames beside it are, since one of them may be a
fire, and the damage becomes a finding. A payload that has nothing good in it is rejected.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs import gb26875_tables as tables
from dutyroom.profiles.codecs.gb26875_units import Cursor, Item, read_unit, timed
from dutyroom.profiles.codecs.seam import Ask, Codec, CodecKind, Note
from dutyroom.profiles.yamlnode import Plain

START, END = b"@@", b"##"
HEADER = 27  # bytes before the unit
TAIL = 3  # sum and end
MAX_UNIT = 1024
MAX_DAMAGE = 10  # damaged frames that are told
MAX_TRIES = 2000  # starts of a frame that are looked at
FORMS = ("any", "frame", "unit")
_DOWN = frozenset({1, 4})  # commands of the monitoring centre


def _header(cursor: Cursor) -> Item:
    """What the frame says of itself; the cursor stands on the unit then."""
    cursor.take(2, "start")
    found: Item = {"serial": cursor.number(2, "serial")}
    main, user = cursor.number(1, "protocol_main"), cursor.number(1, "protocol_user")
    found |= {"protocol": f"{main}.{user}", "protocol_number": main << 8 | user}
    found = timed(found, cursor, "sent_at")
    found |= {"source": cursor.number(6, "source"), "target": cursor.number(6, "target")}
    cursor.number(2, "length")
    command = cursor.number(1, "command")
    key = tables.named(tables.COMMANDS, command)
    found |= {"command": command, "action": key, "action_class": tables.class_name(key, "Action")}
    found["device"] = found["target"] if command in _DOWN else found["source"]
    return found


def _frame(payload: bytes, at: int, note: Note | None) -> tuple[list[Item], int]:
    """(objects, byte after the frame) of the frame at `at`. Raises Rejected for one that is not right."""
    length = int.from_bytes(payload[at + 24 : at + 26], "little")
    end = at + HEADER + length + TAIL
    if end > len(payload):
        raise Rejected(f"frame at byte {at}: {end - at} bytes expected, {len(payload) - at} are there")
    if length > MAX_UNIT:
        raise Rejected(f"length at byte {at + 24}: {length}, at most {MAX_UNIT}")
    if payload[end - 2 : end] != END:
        raise Rejected(f"end at byte {end - 2}: {payload[end - 2 : end].hex()}, 2323 expected")
    told, counted = payload[end - 3], sum(payload[at + 2 : end - 3]) & 0xFF
    if told != counted:
        raise Rejected(f"checksum at byte {end - 3}: {told:02x}, {counted:02x} expected")
    cursor = Cursor(payload, at, end - TAIL, note)
    header = _header(cursor)
    if not cursor.left:  # a confirmation has no unit
        key = header["action"]
        return [{"kind": key, "event": key, **header}], end
    return [{**header, **found} for found in read_unit(cursor)], end


def _frames(payload: bytes, note: Note | None) -> tuple[list[Item], list[str]]:
    """(objects of all good frames, why others are not). Bytes between frames are noise."""
    objects: list[Item] = []
    damage: list[tuple[int, str]] = []
    at = payload.find(START)
    for _ in range(MAX_TRIES):
        if at < 0:
            return objects, [reason for _, reason in damage]
        try:
            found, end = _frame(payload, at, note)
        except Rejected as err:
            if len(damage) < MAX_DAMAGE:
                damage.append((at, err.reason))
            at = payload.find(START, at + 1)
            continue
        objects += found
        # A 40 40 of the noise reads its length from the true frame: no frame was damaged then.
        damage = [d for d in damage if d[0] + HEADER <= at]
        at = payload.find(START, end)
    raise Rejected(f"more than {MAX_TRIES} starts of a frame before byte {at}")


def _was_frame(payload: bytes) -> bool:
    """A frame with a damaged start, end or middle: never to be read as a bare unit."""
    return payload.startswith(START) or (START[:1] in payload[:2] and payload.endswith(END))


def _decode(payload: bytes, form: str, ask: Ask) -> Item:
    objects, damage = _frames(payload, ask.note) if form != "unit" else ([], [])
    if objects:
        ask.report.findings += [("malformed", reason) for reason in damage]
        return {"objects": objects}
    if form == "frame" or (form == "any" and _was_frame(payload)):
        raise Rejected(damage[0] if damage else "no frame: 4040 is nowhere in the payload")
    try:
        return {"objects": read_unit(Cursor(payload, 0, len(payload), ask.note))}
    except Rejected as err:
        raise Rejected(damage[0] if damage else err.reason) from err


def make(options: Mapping[str, Plain]) -> Codec:
    """form: `frame` (only whole frames), `unit` (only bare data units, which no sum protects), `any`."""
    form = options.get("form", "any")
    if not isinstance(form, str) or form not in FORMS:
        raise Rejected(f"form: {form!r} is none of {', '.join(FORMS)}")

    def codec(payload: bytes, ask: Ask) -> object:
        return _decode(payload, form, ask)

    return codec


KIND: Final = CodecKind(make, ("form",))
