"""The whole state of the rules as bytes, and back.

Of each rule its devices and the rows of its columns as they lie in memory; in plain data only those
instances that keep something beside (they wait, have been raised, or are of a kind without columns).
A snapshot of before there were columns, plain data throughout, is read too.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
import numpy as np
import orjson

from dutyroom.errors import Rejected
from dutyroom.rules.columns import NEVER, Columns, Slots
from dutyroom.rules.kind import Instance
from dutyroom.rules.spec import Rule

_MARK = b"\x02"  # first byte; what zlib writes begins otherwise

Key = tuple[str, str]  # rule, device


class Rows(msgspec.Struct):
    """Of one rule: its devices, and for each row of its columns whose it is (arrays of int32)."""

    print: str
    devices: list[str]
    owner: bytes = b""  # place in `devices`
    point: bytes = b""  # -1 = of no point
    columns: dict[str, bytes] = {}


class State(msgspec.Struct):
    """A snapshot, unpacked."""

    points: bytes  # int32
    newest: bytes  # int64, by `points`
    devices: list[str]
    heard: bytes  # int64, by `devices`
    lanes: bytes  # int16, by `devices`; b"" = not known
    rules: dict[str, Rows]
    instances: list[tuple[str, str, Any]]  # rule, device, what `packed` gave; read: what `dump` gave
    deaf: int | None = None  # since when a line was away
    lines: list[str] = []
    line: bytes = b""  # int16, by `devices`: the place in `lines`, -1 = not known; b"" = of none
    absences: bytes = b""  # int64, four by `devices` (see `Absence`); b"" = not known


class Moved:
    """Instances that may keep more than their columns, by their number: a tenth of the memory of a set."""

    def __init__(self) -> None:
        self._held: list[Instance | None] = []

    def add(self, instance: Instance) -> None:
        held, number = self._held, instance.number
        if number >= len(held):
            held += [None] * (number + 1 - len(held))
        held[number] = instance

    def discard(self, instance: Instance) -> None:
        if instance.number < len(self._held):
            self._held[instance.number] = None

    def all(self) -> list[Instance]:
        return [instance for instance in self._held if instance is not None]

    def still(self) -> list[Instance]:
        """Those of them that do, in the order of their numbers; the others are forgotten."""
        self._held = [None if i is None or i.rest else i for i in self._held]
        return self.all()


class Muster:
    """Where the rows of each rule's instances are: the same until one comes or goes."""

    def __init__(self) -> None:
        self._rules: dict[str, tuple[Columns | None, Rows, Slots]] = {}

    def changed(self, rule: str) -> None:
        self._rules.pop(rule, None)

    def of(self, of: Callable[[str], Iterable[Instance]], prints: Mapping[str, str]) -> dict[str, Rows]:
        """The rows of all rules, with their columns as they are now. of: the instances of a rule; prints: by rule."""
        for rule in prints:
            if rule in self._rules:
                continue
            mine = list(of(rule))
            self._rules[rule] = (mine[0].columns if mine else None, *_rows_of(mine))
        out = {}
        for rule, print_ in prints.items():
            columns, rows, slots = self._rules[rule]
            rows.print, rows.columns = print_, {} if columns is None else columns.pack(slots)
            out[rule] = rows
        return out


def _rows_of(instances: list[Instance]) -> tuple[Rows, Slots]:
    owners, points, slots = [], [], []
    for place, instance in enumerate(instances):
        for number, slot in enumerate(instance.slots):
            owners.append(place)
            points.append(instance.points[number] if instance.points else -1)
            slots.append(slot)
    devices = [instance.device for instance in instances]
    owner, point = np.array(owners, np.int32).tobytes(), np.array(points, np.int32).tobytes()
    return Rows("", devices, owner, point), np.array(slots, np.intp)


def write(state: State) -> bytes:
    return _MARK + zlib.compress(msgspec.msgpack.encode(state), 1)


def read(data: bytes) -> State:
    """Raises Rejected for what is no snapshot."""
    try:
        if data[:1] != _MARK:
            return _plain(orjson.loads(zlib.decompress(data)))
        state = msgspec.msgpack.decode(zlib.decompress(data[1:]), type=State)
        for numbers, wide, names in (
            (state.points, 4, len(state.newest) // 8),
            (state.heard, 8, len(state.devices)),
            (state.lanes, 2, len(state.devices)),
            (state.line, 2, len(state.devices) if state.line else 0),
            (state.absences, 32, len(state.devices) if state.absences else 0),
        ):
            if len(numbers) != wide * names:
                raise ValueError("columns of different lengths")
        return state
    except (zlib.error, msgspec.DecodeError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise Rejected(f"not a snapshot of the rules: {err}") from err


def _plain(state: Any) -> State:
    """One of before there were columns."""
    newest = [(int(p), int(at)) for p, at in state["newest"]]
    heard = {str(d): int(at) for d, at in state["heard"].items()}
    rules: dict[str, Rows] = {}
    instances = []
    for rule, device, print_, dumped in state["instances"]:
        rules.setdefault(str(rule), Rows(str(print_), [])).devices.append(str(device))
        instances.append((str(rule), str(device), list(dumped)))
    return State(
        np.array([p for p, _ in newest], np.int32).tobytes(),
        np.array([at for _, at in newest], np.int64).tobytes(),
        list(heard),
        np.array(list(heard.values()), np.int64).tobytes(),
        b"",
        rules,
        instances,
    )


def unpack(rows: Rows, find: Callable[[str], Instance | None]) -> None:
    """Puts the rows of a rule where its instances have them now; what does not fit stays fresh."""
    owner, point = np.frombuffer(rows.owner, np.int32), np.frombuffer(rows.point, np.int32)
    found = [find(device) for device in rows.devices]
    slots, taken, columns = [], [], None
    for row, (place, number) in enumerate(zip(owner.tolist(), point.tolist(), strict=False)):
        instance = found[place] if 0 <= place < len(found) else None
        if instance is None or instance.columns is None:
            continue
        if number < 0 and not instance.points:
            slots.append(instance.slots[0])
        elif number in instance.points:
            slots.append(instance.slots[instance.points.index(number)])
        else:
            continue
        taken.append(row)
        columns = instance.columns
    if columns is not None:
        try:
            columns.unpack(np.array(slots, np.intp), np.array(taken, np.intp), rows.columns)
        except ValueError:  # of another make: they begin afresh
            return


def instants(points: bytes, newest: bytes) -> tuple[Slots, Any]:
    """Ids and instants."""
    return np.frombuffer(points, np.int32).astype(np.intp), np.frombuffer(newest, np.int64)


def fingerprint(rule: Rule) -> str:
    """Changes when the rule's state can no longer be trusted to mean the same. Further names of a state's point change
    nothing of it where it stands."""
    choice = ("otherwise", "label") if rule.kind == "state" else ()
    given = sorted(((k, v) for k, v in rule.parameters.items() if k not in choice), key=str)
    text = repr((rule.kind, rule.point, given, rule.on_delay, rule.off_delay))
    text += "".join(repr(v.select) + fingerprint(v.rule) for v in rule.variants)
    return f"{zlib.crc32(text.encode()):08x}"


def known(newest: Any) -> tuple[bytes, bytes]:
    """Ids and instants of the points that were judged (an array by id)."""
    ids = np.flatnonzero(newest != NEVER)
    return ids.astype(np.int32).tobytes(), newest[ids].tobytes()
