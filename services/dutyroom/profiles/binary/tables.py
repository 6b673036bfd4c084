"""A table of types of the cursor language: records of key, perhaps length, and value."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from dutyroom.errors import Rejected
from dutyroom.profiles.binary.cursor import Cursor
from dutyroom.profiles.binary.model import Step, Tlv
from dutyroom.profiles.binary.types import of_bytes

Run: TypeAlias = Callable[[Cursor], None]
MAX_KNOWN = 1_000  # keys whose steps are remembered, in each of hundreds of profiles
MAX_TYPED = 500  # records; an uplink of 242 bytes has a hundred, and many profiles may try one message


def table(step: Tlv, compiled: Callable[[tuple[Step, ...]], Run]) -> Run:
    """compiled: makes one closure of a list of steps."""
    find, unknown = _finder(step, compiled), step.unknown
    count, names = len(step.names), step.names
    length = of_bytes(step.length) if step.length is not None else None
    length_bytes = step.length.bits // 8 if step.length is not None else 0

    def run(cursor: Cursor) -> None:
        fewest = max(0, cursor.left - MAX_TYPED)
        while cursor.end * 8 - cursor.bit >= count * 8:
            start = cursor.bit
            key = cursor.take_bytes("key", count)
            cursor.left -= 1
            if cursor.left < fewest:
                raise Rejected("too many records")
            size = length(cursor.take_bytes("length", length_bytes)) if length is not None else None
            chosen = find(key.hex())
            if chosen is None:
                if not _unknown(cursor, key, start, size, unknown):
                    break
                continue
            cursor.fields.update(zip(names, key, strict=True))
            if isinstance(size, int):
                cursor.fields["_size"] = size
                limited(cursor, size, chosen)
            else:
                chosen(cursor)
            if cursor.ask.note is not None:
                cursor.ask.note("type " + key.hex(" "), start, start + count * 8, None)
        for name in names:
            cursor.fields.pop(name, None)

    return run


def _finder(step: Tlv, compiled: Callable[[tuple[Step, ...]], Run]) -> Callable[[str], Run | None]:
    """The steps of a key in hex; exact ones go before those with ??."""
    exact = {k: compiled(v) for k, v in step.types.items() if "?" not in k}
    wild = tuple((k, compiled(v)) for k, v in step.types.items() if "?" in k)
    found: dict[str, Run | None] = dict(exact)

    def find(key: str) -> Run | None:
        if key not in found:
            if len(found) > MAX_KNOWN:
                found.clear()
            found[key] = exact.get(key) or next((r for k, r in wild if _fits(k, key)), None)
        return found[key]

    return find


def _unknown(cursor: Cursor, key: bytes, start: int, size: object, unknown: str) -> bool:
    """Whether the message goes on behind a type that nobody knows. Raises Rejected where it must not be
    believed: what begins with such a type has told nothing at all."""
    if unknown == "reject" or (unknown == "stop" and start == 0):
        raise Rejected(f"unknown type {key.hex(' ')} at byte {start >> 3}")
    cursor.ask.report.findings.append(("unknown_code", f"type {key.hex(' ')} at byte {start >> 3}"))
    if unknown == "skip" and isinstance(size, int):
        limited(cursor, size, _nothing)
        return True
    cursor.bit = start
    return False


def _nothing(cursor: Cursor) -> None:
    return


def limited(cursor: Cursor, count: int, run: Run) -> None:
    """Runs within the next bytes, and stands behind them afterwards."""
    start, end = cursor.bit >> 3, cursor.end
    if count < 0 or start + count > end:
        raise cursor.short("length", count)
    cursor.end = start + count
    run(cursor)
    cursor.bit, cursor.end = cursor.end * 8, end


def _fits(pattern: str, key: str) -> bool:
    return all(p in ("?", k) for p, k in zip(pattern, key, strict=True))
