"""A batch as the bytes of one row of the journal, and back.

Everything is a column: what repeats (device, profile, flags, times) is stored once and pointed at, numbers are
differences with their bytes sorted by significance, so that a fast compression finds what is alike.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import zstandard

from dutyroom.errors import Rejected
from dutyroom.model.messages import NUMBERED, idents_of, payloads_of, sessions_of, topics_of
from dutyroom.model.telemetry import (
    Attribute,
    Batch,
    Event,
    Finding,
    Lane,
    Message,
    MessageRecord,
    Outcome,
    Readings,
    Records,
    Senders,
)
from dutyroom.timebase import Ms

_OUTCOMES = tuple(Outcome)
_CODES = {outcome: code << 2 for code, outcome in enumerate(_OUTCOMES)}
_RETAINED, _DUPLICATE = 1, 2
_KIND = attrgetter("profile", "reason", "detail", "outcome", "message.retained", "message.duplicate")
_LEVEL = 1
_KEPT = 8 << 20  # bytes of a place to write to that is kept for the next batch
_FORMAT = b"\x02"  # a row without it is of the first format, which zlib compressed
_DAMAGED = (zlib.error, zstandard.ZstdError, msgspec.DecodeError, ValueError, IndexError)


class _Body(msgspec.Struct, array_like=True):
    """The stored form. Numbers: see `_squeezed`. kinds: (profile, reason, detail, flags); kind: the one of
    each message."""

    site: str
    topics: list[str]
    payloads: list[bytes]
    devices: list[str]
    received: bytes
    kinds: list[tuple[str, str, str, int]]
    kind: bytes
    point: bytes
    at: bytes
    value: bytes
    quality: bytes
    message: bytes
    text: dict[int, str]
    events: list[tuple[int, int, str, str, dict[str, str | int | float | bool], int]]
    attributes: list[tuple[str, str, str | int | float | bool, int]]
    findings: list[tuple[str, str, int, str]]
    again: bool = False
    sessions: list[str] = []
    session: bytes = b""
    ident: bytes = b""


class _First(msgspec.Struct, array_like=True):
    """The first format: a tuple a message, columns as raw little-endian bytes."""

    site: str
    messages: list[tuple[str, bytes, int, bool, bool, str, str, str, str, str]]
    point: bytes
    at: bytes
    value: bytes
    quality: bytes
    message: bytes
    text: dict[int, str]
    events: list[tuple[int, int, str, str, dict[str, str | int | float | bool], int]]
    attributes: list[tuple[str, str, str | int | float | bool, int]]
    findings: list[tuple[str, str, int, str]]
    again: bool = False


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Body)
_first = msgspec.msgpack.Decoder(_First)
_local = threading.local()  # a compressor must not be used by two threads at once


def pack(batch: Batch) -> bytes:
    """See `packed`."""
    return packed(batch)[0]


def packed(batch: Batch) -> tuple[bytes, int]:
    """The bytes of a batch, compressed, and how many they are otherwise. Raises IndexError where a reading is
    of a message that is not there."""
    r, messages = batch.readings, batch.messages
    if len(r) and not 0 <= int(r.message.min()) <= int(r.message.max()) < len(messages):
        raise IndexError("a reading of a message that is not in its batch")
    kinds: dict[tuple[str, str, str, int], int] = {}
    # Of ordinary messages nothing but their profile differs.
    odd, blocks = (batch.odd, batch.blocks) if batch.blocks else (messages, ())
    told = list(map(_KIND, odd))
    places = {each: kinds.setdefault(_kind(*each), len(kinds)) for each in dict.fromkeys(told)}
    kind = [np.array(list(map(places.__getitem__, told)), "<i4")]
    devices, inner = [m.device for m in odd], [m.message for m in odd]
    topics, payloads = topics_of(inner), payloads_of(inner)
    for block in blocks:
        plain = _kind(block.profile, "", "", Outcome.DECODED, False, False)
        kind.append(np.full(len(block.messages), kinds.setdefault(plain, len(kinds)), "<i4"))
        topics += topics_of(block.messages)
        payloads += payloads_of(block.messages)
        devices += block.senders.devices()
    body = _Body(
        batch.site,
        topics,
        payloads,
        devices,
        _squeezed(batch.times().astype("<i8")),
        list(kinds),
        _squeezed(np.concatenate(kind)),
        _squeezed(r.point.astype("<i4")),
        _squeezed(r.at.astype("<i8")),
        _shuffled(r.value.astype("<f8")),
        r.quality.tobytes(),
        _squeezed(r.message.astype("<i4")),
        dict(r.text),
        [(e.point, e.at, e.event_id, e.code, dict(e.arguments), e.message) for e in batch.events],
        [(a.device, a.name, a.value, a.at) for a in batch.attributes],
        [(f.kind, f.device, f.at, f.detail) for f in batch.findings],
        batch.again,
        *(_came([inner, *(b.messages for b in blocks)]) if len(topics) <= NUMBERED else ()),
    )
    raw = _room()
    _encoder.encode_into(body, raw)
    found, size = _FORMAT + _compressor().compress(raw), len(raw)
    if size > _KEPT:
        raw.clear()
    return found, size


def _came(parts: Sequence[Sequence[Message]]) -> tuple[list[str], bytes, bytes]:
    """The sessions, the one of each message, and the packet ids, 0 = none."""
    names = [name for part in parts for name in sessions_of(part)]
    places = {name: place for place, name in enumerate(dict.fromkeys(names))}
    if not any(places):
        return [], b"", b""
    numbers = b"".join([ident[:2] or b"\0\0" for part in parts for ident in idents_of(part)])
    of_each = np.array(list(map(places.__getitem__, names)), "<i4")
    return list(places), _squeezed(of_each), _squeezed(np.frombuffer(numbers, ">u2").astype("<u2"))


def unpack(lane: Lane, received_at: Ms, blob: bytes) -> Batch:
    """The batch of stored bytes. Raises Rejected when they are damaged."""
    try:
        if blob[:1] != _FORMAT:
            return _of_first(lane, received_at, _first.decode(zlib.decompress(blob)))
        body = _decoder.decode(_decompressor().decompress(blob[1:]))
        return _batch(lane, received_at, body)
    except _DAMAGED as err:
        raise Rejected(f"damaged journal row: {err}") from err


def _kind(
    profile: str, reason: str, detail: str, outcome: Outcome, retained: bool, duplicate: bool
) -> tuple[str, str, str, int]:
    return profile, reason, detail, _CODES[outcome] | retained * _RETAINED | duplicate * _DUPLICATE


def _batch(lane: Lane, received_at: Ms, body: _Body) -> Batch:
    kind, received = _released(body.kind, "<i4"), _released(body.received, "<i8")
    count = len(body.topics)
    if not count == len(body.payloads) == len(body.devices) == len(kind) == len(received):
        raise ValueError("columns of different lengths")
    if count and not 0 <= int(kind.min()) <= int(kind.max()) < len(body.kinds):
        raise ValueError("a message of no kind")
    if not all(0 <= flags >> 2 < len(_OUTCOMES) for *_, flags in body.kinds):
        raise ValueError("an outcome that there is not")
    came = _came_by(body, count)
    messages = Records((), count, lambda: _records(body, kind.tolist(), received.tolist(), came))
    senders = Senders(body.devices, np.arange(count, dtype=np.int32))
    readings = Readings(
        _released(body.point, "<i4"),
        _released(body.at, "<i8"),
        _ordered(body.value, "<f8"),
        np.frombuffer(body.quality, np.uint8),
        _released(body.message, "<i4"),
        body.text,
    )
    if len(readings) and not 0 <= int(readings.message.min()) <= int(readings.message.max()) < count:
        raise ValueError("a reading of a message that is not there")
    return replace(_with(lane, received_at, body, messages, readings), received=received, senders=(senders,))


def _came_by(body: _Body, count: int) -> Sequence[tuple[str, bytes]]:
    """The session and the packet id of each message."""
    if not body.sessions:
        return [("", b"")] * count
    session, ident = _released(body.session, "<i4"), _released(body.ident, "<u2")
    if not len(session) == len(ident) == count:
        raise ValueError("columns of different lengths")
    if count and not 0 <= int(session.min()) <= int(session.max()) < len(body.sessions):
        raise ValueError("a message of no session")
    numbers = [number.to_bytes(2, "big") if number else b"" for number in ident.tolist()]
    return list(zip(map(body.sessions.__getitem__, session.tolist()), numbers, strict=True))


def _records(
    body: _Body, kind: list[int], received: list[Ms], came: Sequence[tuple[str, bytes]]
) -> Iterator[MessageRecord]:
    columns = zip(body.topics, body.payloads, body.devices, received, kind, came, strict=True)
    for topic, payload, device, at, number, (session, ident) in columns:
        profile, reason, detail, flags = body.kinds[number]
        again = bool(flags & _DUPLICATE)
        message = Message(topic, payload, at, bool(flags & _RETAINED), again, session, ident)
        yield MessageRecord(message, _OUTCOMES[flags >> 2], device, profile, reason, detail)


def _of_first(lane: Lane, received_at: Ms, body: _First) -> Batch:
    messages = [
        MessageRecord(Message(topic, payload, at, retained, dup), Outcome(out), device, profile, why, more)
        for topic, payload, at, retained, dup, out, device, profile, why, more in body.messages
    ]
    readings = Readings(
        np.frombuffer(body.point, "<i4"),
        np.frombuffer(body.at, "<i8"),
        np.frombuffer(body.value, "<f8"),
        np.frombuffer(body.quality, np.uint8),
        np.frombuffer(body.message, "<i4"),
        body.text,
    )
    return _with(lane, received_at, body, tuple(messages), readings)


def _with(
    lane: Lane, received_at: Ms, body: _Body | _First, messages: Sequence[MessageRecord], readings: Readings
) -> Batch:
    return Batch(
        body.site,
        lane,
        received_at,
        messages,
        readings,
        tuple(Event(*event) for event in body.events),
        tuple(Attribute(*attribute) for attribute in body.attributes),
        tuple(Finding(*finding) for finding in body.findings),
        body.again,
    )


# ---------------------------------------------------------------- numbers


def _squeezed(column: npt.NDArray[Any]) -> bytes:
    """Whole numbers as differences, all their lowest bytes first, then the next ones. What overflows wraps
    around, and back."""
    if not len(column):
        return b""
    steps = np.empty_like(column)
    steps[0] = column[0]
    np.subtract(column[1:], column[:-1], out=steps[1:])
    return _shuffled(steps)


def _released(data: bytes, kind: str) -> npt.NDArray[Any]:
    steps = _ordered(data, kind)
    return np.cumsum(steps, dtype=steps.dtype) if len(steps) else steps


def _shuffled(column: npt.NDArray[Any]) -> bytes:
    return column.view(np.uint8).reshape(-1, column.itemsize).T.tobytes() if len(column) else b""


def _ordered(data: bytes, kind: str) -> npt.NDArray[Any]:
    size = np.dtype(kind).itemsize
    if len(data) % size:
        raise ValueError(f"{len(data)} bytes are no column of {size}")
    return np.ascontiguousarray(np.frombuffer(data, np.uint8).reshape(size, -1).T).view(kind).reshape(-1)


def _room() -> bytearray:
    """A place to write to that is there already: megabytes of fresh memory cost as much as filling them."""
    found: bytearray | None = getattr(_local, "room", None)
    if found is None:
        found = _local.room = bytearray()
    return found


def _compressor() -> zstandard.ZstdCompressor:
    found: zstandard.ZstdCompressor | None = getattr(_local, "compressor", None)
    if found is None:
        found = _local.compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
    return found


def _decompressor() -> zstandard.ZstdDecompressor:
    found: zstandard.ZstdDecompressor | None = getattr(_local, "decompressor", None)
    if found is None:
        found = _local.decompressor = zstandard.ZstdDecompressor()
    return found
