"""Application data units of GB/T 26875.3-2011 (chapter 8): type, count, information objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final, TypeAlias

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs import gb26875_tables as tables
from dutyroom.profiles.codecs.seam import Note

Item: TypeAlias = dict[str, object]
State: TypeAlias = dict[str, bool]


class Cursor:
    """Reads fields in order. Raises Rejected when the bytes end before the field does."""

    def __init__(self, data: bytes, at: int, end: int, note: Note | None) -> None:
        self._data, self.at, self._end, self._note = data, at, end, note

    @property
    def left(self) -> int:
        return self._end - self.at

    def take(self, size: int, name: str) -> bytes:
        if self.left < size:
            raise Rejected(f"{name} at byte {self.at}: {size} bytes expected, {self.left} are left")
        self.at += size
        return self._data[self.at - size : self.at]

    def told(self, size: int, name: str, value: object) -> None:
        """Notes the field of `size` bytes that was just read."""
        if self._note is not None:
            self._note(name, (self.at - size) * 8, self.at * 8, value)

    def number(self, size: int, name: str, signed: bool = False) -> int:
        value = int.from_bytes(self.take(size, name), "little", signed=signed)
        self.told(size, name, value)
        return value

    def text(self, size: int, name: str) -> str:
        """GB18030 up to the first zero byte, trailing blanks off; what is no GB18030 becomes U+FFFD."""
        raw = self.take(size, name)
        value = raw.split(b"\0", 1)[0].decode("gb18030", "replace").rstrip()
        self.told(size, name, value)
        return value

    def time(self, name: str) -> str | None:
        """s min h D M YY in plain binary. None for a clock that was never set or cannot be read: the
        report itself counts."""
        second, minute, hour, day, month, year = self.take(6, name)
        try:
            moment = datetime(2000 + year, month, day, hour, minute, second, tzinfo=UTC)
        except ValueError:
            moment = None
        value = f"{moment:%Y-%m-%dT%H:%M:%S}" if moment is not None and year < 100 else None
        self.told(6, name, value)
        return value


# ---------------------------------------------------------------- parts of objects


def _system(cursor: Cursor) -> Item:
    code, address = cursor.number(1, "system_type"), cursor.number(1, "system_address")
    key = tables.named(tables.SYSTEMS, code)
    return {
        "system_type": code,
        "system": key,
        "system_class": tables.class_name(key, "ControllerType"),
        "system_address": address,
        "panel": f"{code}.{address}",
    }


def _part(cursor: Cursor) -> Item:
    found = _system(cursor)
    code, address = cursor.number(1, "part_type"), cursor.number(4, "part_address")
    key = tables.named(tables.PARTS, code)
    loop, detector = address >> 16, address & 0xFFFF
    return {
        **found,
        "part_type": code,
        "part": key,
        "part_class": tables.class_name(key, "EquipmentType"),
        "part_address": address,
        "loop": loop,
        "detector": detector,
        "part_id": f"{loop}.{detector}",
    }


def _flags(cursor: Cursor, size: int, names: tuple[str, ...]) -> tuple[Item, State]:
    flags = cursor.number(size, "flags")
    state = {name: bool(flags >> bit & 1) for bit, name in enumerate(names)}
    event = next((name for name in tables.URGENT if state.get(name)), "test" if "normal" in state else "none")
    return {"flags": flags, "state": state, "event": event}, state


# Flags of a panel or of the transmission device that stand on their own in the document.
_OWN: Final[tuple[tuple[str, str], ...]] = (
    ("fire_alarm", "alarm"), ("fault", "fault"), ("spare_power_fault", "battery_fault"), ("bus_fault", "bus_fault"),
    ("channel_fault", "channel_fault"), ("line_fault", "line_fault"), ("shielded", "isolated"),
    ("supervised", "supervised"), ("started", "started"), ("feedback", "feedback"), ("delayed", "delayed"),
    ("manual", "manual"),
)  # fmt: skip


def _levels(state: State) -> Item:
    """What reports for itself: each flag as 1 or 0, mains and testing the right way round."""
    found: Item = {name: int(state[flag]) for flag, name in _OWN if flag in state}
    return {**found, "mains": int(not state["main_power_fault"]), "testing": int(not state["normal"])}


def _operation(cursor: Cursor, names: tuple[str, ...]) -> Item:
    found, state = _flags(cursor, 1, names)
    if state["manual_alarm"]:  # somebody pressed it: a fire until reset
        found["alarm"] = 1
    elif state["reset"] or state["alarm_cleared"]:
        found["alarm"] = 0
    return {**found, "operator": cursor.number(1, "operator")}


def _version(cursor: Cursor) -> Item:
    main, sub = cursor.number(1, "version_main"), cursor.number(1, "version_sub")
    return {"version": f"{main}.{sub}", "version_number": main << 8 | sub}


def timed(found: Item, cursor: Cursor, name: str = "time") -> Item:
    time = cursor.time(name)
    return {**found, name: time} if time is not None else found


# ---------------------------------------------------------------- objects by type


def _system_state(cursor: Cursor) -> Item:
    system, (found, state) = _system(cursor), _flags(cursor, 2, tables.SYSTEM_BITS)
    if not state["shielded"]:  # nothing of it is, so no loop is
        found["loop_isolated"] = 0
    return timed({**system, **found, **_levels(state)}, cursor)


def _part_state(cursor: Cursor) -> Item:
    part, (found, state) = _part(cursor), _flags(cursor, 2, tables.PART_BITS)
    found = {**part, **found, "description": cursor.text(31, "description")}
    if state["fire_alarm"]:
        found |= {"alarm": 1, "alarm_loop": part["loop"], "alarm_detector": part["detector"]}
    if state["fault"]:
        found["fault"] = 1
    if state["shielded"]:
        found["isolated"] = 1
        if part["part_type"] == tables.LOOP:
            found["loop_isolated"] = 1
    named = part["part_id"]
    found["part_states"] = {f"{named}_{name}": int(state[flag]) for flag, name in _OWN if flag in state}
    return timed(found, cursor)


def _part_analog(cursor: Cursor) -> Item:
    found = _part(cursor)
    code, raw = cursor.number(1, "analog_type"), cursor.number(2, "raw", signed=True)
    key, unit, step = tables.ANALOGS.get(code) or (f"analog_{code}", "", None)
    kind, named = tables.class_name(key, "ParameterType"), found["part_id"]
    found |= {"analog_type": code, "analog": key, "analog_class": kind, "raw": raw, "event": "analog"}
    found["part_numbers"] = {f"{named}_raw": raw, f"{named}_address": found["part_address"]}
    found["part_texts"] = {f"{named}_type": found["part_class"], f"{named}_kind": kind}
    if step is not None:  # the unit of a maker's own type is not known
        value = f"{raw * step:f}"
        found |= {"value": value, "unit": unit, f"{key}s": {named: value}}
    return timed(found, cursor)


def _device_state(cursor: Cursor) -> Item:
    found, state = _flags(cursor, 1, tables.DEVICE_BITS)
    return timed({**found, **_levels(state)}, cursor)


def _configuration(cursor: Cursor) -> Item:
    return {"configuration": cursor.text(cursor.number(1, "length"), "configuration")}


def _question(cursor: Cursor, of: Callable[[Cursor], Item] | None = None, more: str = "") -> Item:
    """What the monitoring centre asks. more: `records` (count and start), `clock`, `minutes`, `reserved`."""
    found = of(cursor) if of is not None else {}
    match more:
        case "records":
            found["count"] = cursor.number(1, "count")
            return timed(found, cursor, "since")
        case "clock":
            return timed(found, cursor, "clock")
        case "":
            return found
    return {**found, more: cursor.number(1, more)}


OBJECTS: Final[Mapping[int, Callable[[Cursor], Item]]] = {
    1: _system_state,
    2: _part_state,
    3: _part_analog,
    4: lambda c: timed({**_system(c), **_operation(c, tables.SYSTEM_OPERATION_BITS)}, c),
    5: lambda c: {**_system(c), **_version(c)},
    6: lambda c: {**_system(c), **_configuration(c)},
    7: lambda c: {**_part(c), "description": c.text(31, "description")},
    8: lambda c: timed(_system(c), c, "clock"),
    21: _device_state,
    24: lambda c: timed(_operation(c, tables.DEVICE_OPERATION_BITS), c),
    25: _version,
    26: _configuration,
    28: lambda c: timed({}, c, "clock"),
    **dict.fromkeys((61, 65, 66, 68), _system),
    **dict.fromkeys((62, 63, 67), _part),
    64: lambda c: _question(c, _system, "records"),
    **dict.fromkeys((81, 85, 86, 88, 89), lambda c: _question(c, more="reserved")),
    84: lambda c: _question(c, more="records"),
    90: lambda c: _question(c, more="clock"),
    91: lambda c: _question(c, more="minutes"),
}


def read_unit(cursor: Cursor) -> list[Item]:
    """The objects of one application data unit. Raises Rejected unless it ends where its bytes end."""
    at = cursor.at
    code = cursor.number(1, "type")
    kind = tables.named(tables.UNITS, code)
    count = cursor.number(1, "count")
    if code >= 128:  # the maker's own: nobody else knows its objects
        rest = cursor.left
        data = cursor.take(rest, "data").hex()
        return [{"kind": kind, "type": code, "event": kind, "count": count, "data": data}]
    read = OBJECTS.get(code)
    if read is None:
        raise Rejected(f"type at byte {at}: {code} is none of GB/T 26875.3")
    if count == 0:
        raise Rejected(f"count at byte {at + 1}: 0 objects of type {code}")
    objects = [{"kind": kind, "type": code, "event": kind, **read(cursor)} for _ in range(count)]
    if cursor.left:
        raise Rejected(
            f"end of the unit at byte {cursor.at}: {cursor.left} bytes too many for {count} objects"
        )
    return objects
