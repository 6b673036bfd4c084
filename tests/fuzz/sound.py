"""What every document of a codec and every outcome of decoding is, whatever the payload was."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import orjson

from dutyroom.model.telemetry import Kind
from dutyroom.profiles.decode import Decoded, Ignored, Refused

MAX_REASON: Final = 2000  # characters
MAX_DEPTH: Final = 40
_SCALARS: Final = (str, int, float, bool, type(None))


def document_fault(document: object, size: int, json: bool) -> str:
    """Dicts, lists and scalars, no deeper and not (much) larger than the payload of `size` bytes. json: the codec passes
    on a JSON document, which may be as deep as its reader allows."""
    count, most, level = 0, 64 * size + 5000, [document]
    for _depth in range(1100 if json else MAX_DEPTH):
        level = [child for node in level for child in _children(node)]
        count += len(level)
        bad = next((v for v in level if type(v) not in (dict, list) and _scalar_fault(v)), None)
        if bad is not None:
            return f"{type(bad).__name__} {str(bad)[:80]!r} in the document"
        if count > most:
            return f"more than {most} values out of {size} bytes"
        if not level:
            return (
                ""
                if isinstance(document, dict | list) or not _scalar_fault(document)
                else "no plain document"
            )
    return f"deeper than {MAX_DEPTH} levels"


def _children(node: object) -> Iterator[object]:
    if type(node) is dict:
        if any(type(key) is not str for key in node):
            yield 0j  # what no document may hold
        yield from node.values()
    elif type(node) is list:
        yield from node


def _scalar_fault(value: object) -> bool:
    kind = type(value)
    if kind not in _SCALARS:
        return True
    if kind is float:
        return value != value or value in (float("inf"), float("-inf"))
    return kind is int and value.bit_length() > 4096  # type: ignore[attr-defined]


def is_json(payload: bytes) -> bool:
    try:
        orjson.loads(payload)
    except orjson.JSONDecodeError:
        return False
    return True


def outcome_fault(outcome: object) -> str:
    """Finite readings, whole registers, bounded texts and reasons; "" = all is well."""
    if isinstance(outcome, Refused):
        return f"a detail of {len(outcome.detail)} characters" if len(outcome.detail) > 2 * MAX_REASON else ""
    if isinstance(outcome, Ignored):
        return ""
    if not isinstance(outcome, Decoded):
        return f"no outcome: {outcome!r}"
    for reading in outcome.readings:
        if type(reading.value) is not float or not math.isfinite(reading.value):
            return f"{reading.spec.name}: {reading.value!r}"
        if reading.spec.kind in (Kind.COUNTER, Kind.STATE) and not reading.value.is_integer():
            return f"{reading.spec.name}: {reading.value!r} is no whole number"
        if reading.text is not None and len(reading.text) > 1000:
            return f"{reading.spec.name}: a text of {len(reading.text)} characters"
        if not 0 < len(reading.address) <= 200:
            return f"an address of {len(reading.address)} characters"
        if reading.at is not None and type(reading.at) is not int:
            return f"{reading.spec.name}: time {reading.at!r}"
    for _, name, value in outcome.attributes:
        if type(value) not in (str, int, float, bool) or (type(value) is float and not math.isfinite(value)):
            return f"attribute {name}: {value!r}"
    for event in outcome.events:
        if not event.event_id or any(
            type(v) is float and not math.isfinite(v) for v in event.arguments.values()
        ):
            return f"event {event.spec.name}: {event!r}"
    return ""
