"""A batch as the bytes of one row of the journal, and back."""

from __future__ import annotations

import zlib

import msgspec
import numpy as np

from dutyroom.errors import Rejected
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
)
from dutyroom.timebase import Ms


class _Body(msgspec.Struct, array_like=True):
    """The stored form of a batch; columns as raw little-endian bytes."""

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


def pack(batch: Batch) -> bytes:
    """The bytes of a batch, compressed."""
    r = batch.readings
    body = _Body(
        batch.site,
        [
            (
                m.message.topic,
                m.message.payload,
                m.message.received_at,
                m.message.retained,
                m.message.duplicate,
                m.outcome.value,
                m.device,
                m.profile,
                m.reason,
                m.detail,
            )
            for m in batch.messages
        ],
        r.point.astype("<i4").tobytes(),
        r.at.astype("<i8").tobytes(),
        r.value.astype("<f8").tobytes(),
        r.quality.tobytes(),
        r.message.astype("<i4").tobytes(),
        dict(r.text),
        [(e.point, e.at, e.event_id, e.code, dict(e.arguments), e.message) for e in batch.events],
        [(a.device, a.name, a.value, a.at) for a in batch.attributes],
        [(f.kind, f.device, f.at, f.detail) for f in batch.findings],
        batch.again,
    )
    return zlib.compress(_encoder.encode(body), 1)


def unpack(lane: Lane, received_at: Ms, blob: bytes) -> Batch:
    """The batch of stored bytes. Raises Rejected when they are damaged."""
    try:
        body = _decoder.decode(zlib.decompress(blob))
    except (zlib.error, msgspec.DecodeError) as err:
        raise Rejected(f"damaged journal row: {err}") from err
    readings = Readings(
        np.frombuffer(body.point, "<i4"),
        np.frombuffer(body.at, "<i8"),
        np.frombuffer(body.value, "<f8"),
        np.frombuffer(body.quality, np.uint8),
        np.frombuffer(body.message, "<i4"),
        body.text,
    )
    return Batch(
        body.site,
        lane,
        received_at,
        tuple(
            MessageRecord(
                Message(topic, payload, at, retained, dup), Outcome(out), device, profile, why, more
            )
            for topic, payload, at, retained, dup, out, device, profile, why, more in body.messages
        ),
        readings,
        tuple(Event(*event) for event in body.events),
        tuple(Attribute(*attribute) for attribute in body.attributes),
        tuple(Finding(*finding) for finding in body.findings),
        body.again,
    )
