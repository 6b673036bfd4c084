"""Mutations of payloads: small damage, spliced parts, wrong lengths, extreme values, depth, repetition, size."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

import orjson

LIMIT = 256 * 1024  # what the service reads of a message
ODD = bytes(
    (0x00, 0xFF, 0x7F, 0x80, 0x68, 0x16, 0xFE, 0x2F, 0x0F, 0x1F, 0x0D, 0xAA, 0x40, 0x23, 0x33, 0x32, 0xCD)
)
_WIDE = (b"\0", b"\xff", b"\x7f", b"\x80", b"\x9a", b"\x40", b"\x68")
_FLOATS = tuple(
    struct.pack(order + "f", value) for order in "<>" for value in (float("nan"), float("inf"), -1e38, 1e-45)
)
Change = Callable[[Random, bytearray, Sequence[bytes]], None]


def _flip(rng: Random, data: bytearray, others: Sequence[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _byte(rng: Random, data: bytearray, others: Sequence[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.randrange(256)


def _odd(rng: Random, data: bytearray, others: Sequence[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.choice(ODD)


def _step(rng: Random, data: bytearray, others: Sequence[bytes]) -> None:
    """A length, a count or a code that is a little off."""
    if data:
        at = rng.randrange(len(data))
        data[at] = (data[at] + rng.choice((-2, -1, 1, 2, 16, -16))) & 0xFF


def _insert(rng: Random, data: bytearray, others: Sequence[bytes]) -> None:
    at = rng.randint(0, len(data))
    data[at:at] = rng.randbytes(rng.randint(1, 8))


def _delete(rng: Random, data: bytearray, others: Sequence[bytes]) -> None:
    at = rng.randint(0, len(data))
    del data[at : at + rng.randint(1, 8)]


def _cut(rng: Random, data: bytearray, others: Sequence[bytes]) -> None:
    del data[rng.randint(0, len(data)) :]


def _behead(rng: Random, data: bytearray, others: Sequence[bytes]) -> None:
    del data[: rng.randint(1, 12)]


def _double(rng: Random, data: bytearray, others: Sequence[bytes]) -> None:
    """A part of it comes twice or more often."""
    first = rng.randint(0, len(data))
    part = bytes(data[first : first + rng.randint(1, 40)])
    data[first:first] = part * rng.randint(1, 6)


def _splice(rng: Random, data: bytearray, others: Sequence[bytes]) -> None:
    other = rng.choice(others)
    data[rng.randint(0, len(data)) :] = other[rng.randint(0, len(other)) :]


def _behind(rng: Random, data: bytearray, others: Sequence[bytes]) -> None:
    data += rng.choice((b"", b"\0", b"\xfe\xfe", b"\r\n", rng.randbytes(3))) + rng.choice(others)


def _wide(rng: Random, data: bytearray, others: Sequence[bytes]) -> None:
    """Two to eight bytes that are an extreme number."""
    at = rng.randint(0, len(data))
    extreme = rng.choice(_FLOATS) if rng.random() < 0.3 else rng.choice(_WIDE) * rng.choice((2, 3, 4, 6, 8))
    data[at : at + len(extreme)] = extreme


def _length(rng: Random, data: bytearray, others: Sequence[bytes]) -> None:
    """A byte that counts what follows it (as far as that can be guessed) counts wrong."""
    found = [at for at, byte in enumerate(data[:300]) if byte and abs(len(data) - at - 1 - byte) < 6]
    if found:
        at = rng.choice(found)
        data[at] = rng.choice((0, 1, 255, (data[at] + 1) & 0xFF, (data[at] - 1) & 0xFF, data[at] // 2))
    else:
        _step(rng, data, others)


CHANGES: Final[tuple[Change, ...]] = (
    _flip, _flip, _byte, _odd, _odd, _step, _insert, _delete, _cut, _behead, _double, _splice, _behind, _wide, _length,
)  # fmt: skip


def mutated(rng: Random, payload: bytes, others: Sequence[bytes]) -> bytes:
    """A payload with one to four mutations; now and then with none, or only random bytes."""
    chance = rng.random()
    if chance < 0.03:
        return payload
    if chance < 0.06:
        return rng.randbytes(rng.choice((1, 2, 5, 11, 30, 100, 255)))
    data = bytearray(payload)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        rng.choice(CHANGES)(rng, data, others)
    return bytes(data[:LIMIT])


# ---------------------------------------------------------------- large ones

RUNS: Final = (
    b" ",
    b"0",
    b"1",
    b"a",
    b"A",
    b"(1)",
    b"[]",
    b"\r\n",
    b"\t",
    b"\0",
    b"\xff",
    b".",
    b"-",
    b"9",
    b"()",
    b"\n(1)\n",
)


def large(rng: Random, payload: bytes, others: Sequence[bytes], starts: Sequence[bytes]) -> bytes:
    """256 bytes up to the limit: repeated frames, starts of frames that never end, a tail of noise. starts: how frames
    of this family begin. A long run that does not end as it should is what makes patterns search for ever."""
    size = min(LIMIT, int(256 * 2 ** rng.uniform(0, 10.01)))
    kind = rng.randrange(7)
    if kind == 0:
        return rng.randbytes(size)
    if kind == 1:
        end = rng.choice((b"", b"x", b"\xff", b"!", b'"', rng.choice(starts), payload))
        return (_repeated(rng.choice(starts) or b"\0", size) + end)[:LIMIT]
    if kind == 6:  # a run inside a payload that is well formed
        at = rng.randint(0, len(payload))
        return (payload[:at] + _repeated(rng.choice((*RUNS, *starts)) or b"\0", size) + payload[at:])[:LIMIT]
    if kind == 2:
        return _repeated(rng.choice(starts) + rng.randbytes(rng.randint(1, 12)), size)
    if kind == 3:
        return (payload + _repeated(bytes((rng.choice(ODD),)), size))[:size]
    data = bytearray(_repeated(payload or b"\0", size))
    if kind == 4:
        return bytes(data)
    for _ in range(rng.randint(1, 20)):
        rng.choice(CHANGES)(rng, data, others)
    return bytes(data[:LIMIT])


def _repeated(part: bytes, size: int) -> bytes:
    return (part * (size // len(part) + 1))[:size]


# ---------------------------------------------------------------- JSON

SCALARS: Final[tuple[object, ...]] = (
    None, True, False, 0, -1, 2**31, 2**63 - 1, -(2**63), 1e308, -1e-320, 0.1, "", " ", "null", "NaN", "1e999", "9" * 400,
    "-0", "0x1F", "2026-02-30T25:00:00Z", "\0", "\u202e", "OFFLINE", [], {}, [[]], {"": {}}, "12.5 kWh", "ff" * 40,
)  # fmt: skip


def _changed(rng: Random, document: object, others: Sequence[bytes], depth: int = 0) -> object:
    """The document with one thing in it changed."""
    if isinstance(document, dict) and document and depth < 8:
        key = rng.choice(list(document))
        chance = rng.random()
        if chance < 0.08:
            return {k: v for k, v in document.items() if k != key}
        if chance < 0.14:
            return {
                **document,
                f"{key}{rng.choice(('', 's', '.x', '[0]'))}": rng.choice(list(document.values())),
            }
        return {**document, key: _changed(rng, document[key], others, depth + 1)}
    if isinstance(document, list) and document and depth < 8:
        at = rng.randrange(len(document))
        chance = rng.random()
        if chance < 0.1:
            return document[:at] + document[at + 1 :]
        if chance < 0.2:
            return document + document[at:] * rng.randint(1, 30)
        return [*document[:at], _changed(rng, document[at], others, depth + 1), *document[at + 1 :]]
    if isinstance(document, str) and document and rng.random() < 0.4:
        return mutated(rng, document.encode(), others).decode("latin-1")
    if isinstance(document, int | float) and rng.random() < 0.3:
        return document * rng.choice((-1, 10, 1000, 0.1))
    return rng.choice(SCALARS) if rng.random() < 0.9 else nested(rng, rng.randint(2, 60))


def nested(rng: Random, depth: int) -> object:
    found: object = rng.choice(SCALARS)
    for _ in range(depth):
        found = [found] if rng.random() < 0.5 else {"a": found}
    return found


def mutated_json(rng: Random, payload: bytes, others: Sequence[bytes]) -> bytes:
    """By its structure, or as bytes where it has none."""
    try:
        document = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return mutated(rng, payload, others)
    if not isinstance(document, dict | list) or rng.random() < 0.25:
        return mutated(rng, payload, others)
    for _ in range(rng.choice((1, 1, 2, 3))):
        document = _changed(rng, document, others)
    try:
        return orjson.dumps(document)[:LIMIT]
    except (TypeError, orjson.JSONEncodeError):  # numbers beyond 64 bits, nested too deeply
        return mutated(rng, payload, others)


def large_json(rng: Random, payload: bytes) -> bytes:
    """Deep, wide or long, up to the limit."""
    size = min(LIMIT, int(4096 * 2 ** rng.uniform(0, 6.01)))
    kind = rng.randrange(5)
    if kind == 0:
        deep = rng.choice((900, 1020, size // 2))
        return (b"[" * deep + b"]" * deep)[:LIMIT]
    if kind == 1:
        deep = rng.choice((900, 1020, size // 6))
        return (b'{"a":' * deep + b"1" + b"}" * deep)[:LIMIT]
    if kind == 2:
        count = size // (len(payload) + 1)
        return (b"[" + b",".join([payload] * max(count, 1)) + b"]")[:LIMIT]
    try:
        document = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return _repeated(payload or b" ", size)
    if isinstance(document, dict) and kind == 3:
        return orjson.dumps({**document, **{f"n{i}": i for i in range(size // 12)}})[:LIMIT]
    return orjson.dumps(_grown(rng, document, size))[:LIMIT]


def _grown(rng: Random, document: object, size: int) -> object:
    """One list of it is long, or one text."""
    if isinstance(document, dict) and document:
        key = rng.choice(list(document))
        return {**document, key: _grown(rng, document[key], size)}
    if isinstance(document, list) and document:
        whole = len(orjson.dumps(document))
        return (document * (size // whole + 1))[: size // 2]
    return rng.choice(str(document) or "0") * (size - 200)
