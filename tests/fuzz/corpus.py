"""What is mutated: the examples of every shipped profile, the bytes inside them and the message around; and the codecs
with every kind of settings."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import orjson
from tests.fuzz.made_fields import NOW

from dutyroom.errors import Rejected
from dutyroom.model.telemetry import Message, Scalar
from dutyroom.profiles.codecs import CODECS
from dutyroom.profiles.codecs.seam import Codec
from dutyroom.profiles.decode import Library
from dutyroom.profiles.decoders import codec_of
from dutyroom.profiles.profile import CodecRule, Example, Profile, TextRule
from dutyroom.profiles.program import LayoutProgram
from dutyroom.profiles.unwrap import from_text
from dutyroom.timebase import from_iso

# ---------------------------------------------------------------- examples of profiles


@dataclass(frozen=True, slots=True)
class Placed:
    """An example whose bytes can be exchanged. inner: the bytes that its layout decodes (without a decoder the whole
    payload). path: of the text that holds them in JSON, () = the payload itself. family: a codec's name, binary,
    text, json or harsh."""

    family: str
    profile: str
    topic: str
    payload: bytes
    inner: bytes
    codec: Codec | None
    parameters: Mapping[str, Scalar]
    received_at: int
    port: int | None = None
    path: tuple[str | int, ...] = ()
    encoding: str = ""  # base64 | hex | "" = as they are

    def around(self, inner: bytes) -> bytes:
        """The message with other bytes in it."""
        if not self.encoding:
            return inner
        text = inner.hex() if self.encoding == "hex" else base64.b64encode(inner).decode()
        return orjson.dumps(_put(orjson.loads(self.payload), self.path, text)) if self.path else text.encode()


def _put(document: object, path: Sequence[str | int], text: str) -> object:
    if not path:
        return text
    if isinstance(document, dict):
        return {**document, path[0]: _put(document[path[0]], path[1:], text)}
    assert isinstance(document, list)
    return [_put(v, path[1:], text) if n == path[0] else v for n, v in enumerate(document)]


def _texts(document: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(document, str):
        yield path, document
    elif isinstance(document, dict):
        for key, value in document.items():
            yield from _texts(value, (*path, key))
    elif isinstance(document, list):
        for number, value in enumerate(document):
            yield from _texts(value, (*path, number))


def _where(payload: bytes, inner: bytes) -> tuple[tuple[str | int, ...], str] | None:
    """(path, encoding) of the bytes in the payload; None when they are not found in it."""
    if payload == inner:
        return (), ""
    try:
        document = orjson.loads(payload) if payload[:1] in (b"{", b"[") else payload.decode()
    except (orjson.JSONDecodeError, UnicodeDecodeError):
        return None
    for path, text in _texts(document):
        for encoding in ("hex", "base64"):
            try:
                if from_text(text, encoding) == inner:
                    return path, encoding
            except ValueError:
                continue
    return None


def placed(library: Library, part: int = 1) -> list[Placed]:
    """Every example of every profile (of every `part`th and the harsh ones), once for the first layout that begins
    to read it."""
    found = []
    for number, profile in enumerate(library.profiles.values()):
        for example in profile.examples if number % part == 0 or profile.id.startswith("harsh/") else ():
            one = _placed(library, profile, example)
            if one is not None and one.payload:
                found.append(one)
    return found


def _placed(library: Library, profile: Profile, example: Example) -> Placed | None:
    received = from_iso(example.received, library.tz) if example.received else NOW
    message = Message(example.topic, example.payload, received)
    seen = library.look(profile.id, message, lambda *told: None)
    if seen is None:
        return None
    candidate, sight = seen
    for program, where in candidate.layouts:
        captures = sight.captures[where]
        document = sight.document(program, captures)
        if program.starts(captures, document):
            return _of(program, document, profile, example, received)
    return None


def _of(
    program: LayoutProgram, document: object, profile: Profile, example: Example, received: int
) -> Placed:
    plain = (profile.id, example.topic, example.payload)
    parameters = {**profile.parameters, **example.parameters}
    rule, inner = program.layout.decoder, program.bytes_of(document)
    spot = _where(example.payload, inner) if rule is not None and inner is not None else None
    if rule is None or inner is None or spot is None:
        return Placed("json", *plain, example.payload, None, parameters, received)
    family = rule.name if isinstance(rule, CodecRule) else "text" if isinstance(rule, TextRule) else "binary"
    if profile.id.startswith("harsh/"):
        family = "harsh"
    head = program._head(document)
    assert isinstance(head, dict)
    port = head["bytes"]["port"]
    return Placed(family, *plain, inner, codec_of(rule), parameters, received, port, *spot)


class Variant(NamedTuple):
    """A codec with some settings."""

    settings: Mapping[str, object]
    codec: Codec


@dataclass(slots=True)
class Corpus:
    """families: codec names, binary, text, json, harsh. codecs: of each named codec all variants."""

    library: Library
    examples: Mapping[str, list[Placed]]
    codecs: Mapping[str, list[Variant]] = field(default_factory=dict)

    @property
    def families(self) -> tuple[str, ...]:
        return (
            *(name for name in CODECS if self.codecs[name]),
            *(f for f in ("binary", "text", "json", "harsh") if f in self.examples),
        )

    def parts(self, family: str) -> list[bytes]:
        """Payloads that are spliced into others."""
        return [p.inner for p in self.examples.get(family, ())] or [b"\x68\x01\x02\x16"]


def corpus(library: Library, part: int = 1) -> Corpus:
    examples: dict[str, list[Placed]] = {}
    for one in placed(library, part):
        examples.setdefault(one.family, []).append(one)
    codecs: dict[str, list[Variant]] = {name: _variants(library, name) for name in CODECS}
    return Corpus(library, examples, codecs)


_EXTRA: Final[Mapping[str, tuple[Mapping[str, object], ...]]] = {
    "cjt188": ({"extra": 8, "status": "mirrored"}, {"address": "hex", "unit": "before"}),
    "dlt645": ({"extra": 8},),
    "dsmr": ({"winter": -5},),
    "gb26875": ({"form": "frame"}, {"form": "frame"}),
    "j1939": ({"frames": "can1"}, {"frames": ["can1", "can2"]}, {"frames": ""}, {"id": 0x18FECA00}),
    "mbus": ({"start": "ci"}, {"skip": 3}),
    "modbus": tuple(
        {"framing": framing, "registers": {"a": {"at": 0, "as": "u16"}, "b": {"at": 1, "as": "f32"}}}
        for framing in ("auto", "none", "rtu", "tcp", "json", "rtu")
    )
    + tuple(
        {"framing": framing, "registers": {"a": {"at": 0, "as": "bcd"}, "b": {"at": 1, "as": "bcd", "words": 2}}}
        for framing in ("rtu", "tcp", "rtu")
    ),
    "panel_printer": ({"date": "ymd"},),
    "watteco_batch": (
        {"label_bits": 1, "series": {"0": {"name": "a", "type": "u16"}, "1": {"name": "b", "type": "float", "divide": 3}}},
        {"label_bits": 2, "series": {"1": {"name": "a", "type": "i32", "resolution": 0.01}, "2": {"name": "b", "type": "u4"}}},
    ),
}  # fmt: skip


def _variants(library: Library, name: str) -> list[Variant]:
    """Without settings (where that is allowed), with those of shipped profiles, with a few more. Those that look at
    no checksum are left to the profiles that say so."""
    rules = {
        layout.decoder.options
        for profile in library.profiles.values()
        for layout in profile.layouts
        if isinstance(layout.decoder, CodecRule) and layout.decoder.name == name
    }
    settings = [orjson.loads(text) for text in sorted(rules) if text] + list(_EXTRA.get(name, ()))
    settings = [s for s in settings if s.get("check", True)]
    found = [Variant(s, CODECS[name].make(s)) for s in settings]
    try:
        bare = Variant({}, CODECS[name].make({}))
    except Rejected:
        return found
    return [bare] * max(1, len(found)) + found
