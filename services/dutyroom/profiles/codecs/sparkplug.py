"""Sparkplug B: spBv1.0/{group}/{message type}/{edge node}/{device}, births, data, deaths.

Source: "Sparkplug Specification 3.0.0" of the Eclipse Foundation. A birth names every metric; data then
may carry only aliases, so the last birth of each node and device, and the last sequence number of each
node, are kept in `Ask.memory`. What cannot be read without a birth is refused and may be read again when
the birth has come.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, field
from typing import TypeAlias

import orjson

from dutyroom.errors import Rejected
from dutyroom.model.telemetry import Scalar
from dutyroom.profiles.codecs.seam import Ask, CodecKind
from dutyroom.profiles.codecs.sparkplug_payload import SKIPPED, Metric, Payload, read_payload, value_of
from dutyroom.profiles.codecs.sparkplug_topic import BIRTHS, DEATHS, OTHERS, Place, place, rebirth_topic
from dutyroom.quantities import quantities_of

Memory: TypeAlias = MutableMapping[str, bytes]
Document: TypeAlias = dict[str, object]

BIRTH_SEQUENCE = "bdSeq"
_CONTROLS = ("Node Control/", "Device Control/")  # switches, not measurements
GOOD = 192


@dataclass(slots=True)
class Node:
    """What is remembered of an edge node. at: time of the newest message, ms."""

    seq: int | None = None
    birth: int | None = None
    at: int = 0
    devices: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Born:
    """A metric as its birth named it."""

    name: str
    type: int
    unit: str


@dataclass(slots=True)
class Birth:
    by_alias: dict[int, Born] = field(default_factory=dict)
    by_name: dict[str, Born] = field(default_factory=dict)


# ---------------------------------------------------------------- the codec


def decode(payload: bytes, ask: Ask) -> object:
    """{type, group, node, device, seq, items: [{address, time, online, metrics: {name: value},
    units: {name: unit}, by_unit: {unit: {name: value}}, plain: {name: value}, quality: {name: code},
    skipped: {name: type}}]}

    Each metric stands in `metrics`, and once more either under its unit (numbers of a unit that has a
    quantity) or in `plain`. One item for each time that metrics carry; `online` stands in the item of the message's own time. A
    death has an item for the node and each of its devices. Findings: sequence_gap, stale_death.
    Raises Rejected for what is no Sparkplug, and for data whose birth is not known yet.
    """
    where = place(ask.topic)
    memory: Memory = {} if ask.memory is None else ask.memory
    if where.kind in OTHERS:
        return _document(where, None, [])
    message = read_payload(payload)
    node = _remembered(memory, where)
    if where.kind in DEATHS:
        items = _death(where, message, node, memory, ask)
    else:
        birth = _birth(where, message, memory)
        items = _items(where, message, birth, ask)
        _follow(where, message, node, ask)
        if where.kind in BIRTHS:
            _keep_birth(where, birth, node, memory)
    memory[where.node_key] = orjson.dumps([node.seq, node.birth, node.at, node.devices])
    return _document(where, message.seq, items)


def _document(where: Place, seq: int | None, items: list[Document]) -> Document:
    return {
        "type": where.kind,
        "group": where.group,
        "node": where.node,
        "device": where.device or None,
        "seq": seq,
        "items": items,
    }


def _item(where: Place, device: str, time: int | None) -> Document:
    address = f"{where.group}/{where.node}"
    return {
        "address": f"{address}/{device}" if device else address,
        "node": where.node,
        "device": device or None,
        "time": time,
        "metrics": {},
        "units": {},
    }


def _remembered(memory: Memory, where: Place) -> Node:
    kept = memory.get(where.node_key)
    return Node(*orjson.loads(kept)) if kept else Node()


# ---------------------------------------------------------------- sequence


def _follow(where: Place, message: Payload, node: Node, ask: Ask) -> None:
    """Every message of a node but its death counts on, from 0 to 255 and round again."""
    if where.kind == "NBIRTH":
        node.birth, node.seq, node.devices = _birth_number(message), message.seq, []
        node.at = message.time or 0
        return
    if message.time is not None and message.time < node.at:
        return  # was held back, and is no gap
    last, node.at = node.seq, message.time or node.at
    if message.seq is None:
        return
    if last is not None and message.seq not in (last, (last + 1) % 256):
        missing = (message.seq - last - 1) % 256
        detail = f"{where.group}/{where.node}: {message.seq} after {last}, {missing} missing"
        ask.report.findings.append(("sequence_gap", detail))
    node.seq = message.seq % 256


def _birth_number(message: Payload) -> int | None:
    for metric in message.metrics:
        if metric.name == BIRTH_SEQUENCE:
            value = value_of(metric, metric.type or 8)
            return value if isinstance(value, int) else None
    return None


# ---------------------------------------------------------------- births


def _birth(where: Place, message: Payload, memory: Memory) -> Birth:
    """Of the message itself, or the one that is remembered."""
    if where.kind in BIRTHS:
        return _birth_of((m.alias, m.name, m.type, m.unit) for m in message.metrics if m.name)
    kept = memory.get(where.birth_key(where.device))
    if kept:
        return _birth_of(orjson.loads(kept))
    if all(m.name and m.type for m in message.metrics):
        return Birth()  # says everything itself
    raise Rejected(
        f"no birth certificate of {where.address} yet: ask the node for a rebirth "
        f"({rebirth_topic(where.group, where.node)})"
    )


def _birth_of(rows: Iterable[tuple[int | None, str, int, str]]) -> Birth:
    birth = Birth()
    for alias, name, kind, unit in rows:
        birth.by_name[name] = Born(name, kind, unit)
        if alias is not None:
            birth.by_alias[alias] = birth.by_name[name]
    return birth


def _keep_birth(where: Place, birth: Birth, node: Node, memory: Memory) -> None:
    if where.kind == "NBIRTH":
        _forget(where, memory)
    elif where.device not in node.devices:
        node.devices.append(where.device)
    aliases = {born.name: alias for alias, born in birth.by_alias.items()}
    rows = [(aliases.get(b.name), b.name, b.type, b.unit) for b in birth.by_name.values()]
    memory[where.birth_key(where.device)] = orjson.dumps(rows)


def _forget(where: Place, memory: Memory) -> None:
    """A node's birth and its death end the births of its devices."""
    for device in ("", *_remembered(memory, where).devices):
        memory.pop(where.birth_key(device), None)


def _death(where: Place, message: Payload, node: Node, memory: Memory, ask: Ask) -> list[Document]:
    if where.kind == "DDEATH":
        _follow(where, message, node, ask)
        memory.pop(where.birth_key(where.device), None)
        node.devices = [d for d in node.devices if d != where.device]
        return [_item(where, where.device, message.time) | {"online": 0}]
    number = _birth_number(message)
    if None not in (number, node.birth) and number != node.birth:
        detail = f"{where.address}: of birth {number}, the node lives since birth {node.birth}"
        ask.report.findings.append(("stale_death", detail))
        return []
    _forget(where, memory)
    gone = ["", *node.devices]
    node.seq, node.devices = None, []
    # The broker sends this message, written when the node connected: its time says nothing.
    return [_item(where, device, None) | {"online": 0} for device in gone]


# ---------------------------------------------------------------- metrics


def _items(where: Place, message: Payload, birth: Birth, ask: Ask) -> list[Document]:
    now = _item(where, where.device, message.time) | {"online": 1}
    by_time: dict[int | None, Document] = {message.time: now}
    for metric in message.metrics:
        born = _born(where, metric, birth)
        if born.name == BIRTH_SEQUENCE or born.name.startswith(_CONTROLS):
            continue
        time = metric.time if metric.time is not None else message.time
        item = by_time.get(time)
        if item is None:
            item = by_time[time] = _item(where, where.device, time)
        _put(item, metric, born, ask)
    return list(by_time.values())


def _born(where: Place, metric: Metric, birth: Birth) -> Born:
    known = birth.by_name.get(metric.name) if metric.name else None
    if known is None and metric.alias is not None:
        known = birth.by_alias.get(metric.alias)
    if known is None:
        if not metric.name:
            raise Rejected(
                f"alias {metric.alias} at byte {metric.at} is not in the birth certificate of {where.address}: "
                f"ask the node for a rebirth ({rebirth_topic(where.group, where.node)})"
            )
        return Born(metric.name, metric.type, metric.unit)
    return Born(known.name, metric.type or known.type, metric.unit or known.unit)


def _put(item: Document, metric: Metric, born: Born, ask: Ask) -> None:
    if born.type in SKIPPED:
        _part(item, "skipped")[born.name] = SKIPPED[born.type]
        return
    value = value_of(metric, born.type)
    if metric.quality != GOOD:
        _part(item, "quality")[born.name] = metric.quality
        value = None
    _part(item, "metrics")[born.name] = value
    if born.unit:
        _part(item, "units")[born.name] = born.unit
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and quantities_of(born.unit):
        by_unit = item.setdefault("by_unit", {})
        assert isinstance(by_unit, dict)
        by_unit.setdefault(born.unit, {})[born.name] = value
    else:
        _part(item, "plain")[born.name] = value
    if ask.note is not None:
        ask.note(born.name, metric.at * 8, metric.end * 8, value)


def _part(item: Document, name: str) -> dict[str, Scalar | None]:
    found = item.setdefault(name, {})
    assert isinstance(found, dict)
    return found


KIND = CodecKind(lambda options: decode, remembers=True)
