"""Reads how a layout turns bytes into a document: `codec`, `binary`, `tlv` or `text`, and `bytes`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import orjson

from dutyroom.errors import Rejected
from dutyroom.profiles.binary.form import Reader, read_order
from dutyroom.profiles.binary.model import BinaryRule
from dutyroom.profiles.binary.program import binary_codec
from dutyroom.profiles.codecs import CODECS
from dutyroom.profiles.codecs.seam import Codec
from dutyroom.profiles.form import Form, join
from dutyroom.profiles.paths import parse
from dutyroom.profiles.pointforms import read_paths
from dutyroom.profiles.profile import ByteSource, CodecRule, DecoderRule, TextRule
from dutyroom.profiles.textform import ENCODINGS, compiled, text_codec
from dutyroom.profiles.yamlnode import Node

DECODERS = ("codec", "binary", "tlv", "text")


def read_decoder(
    form: Form, fields: Mapping[str, Node], own: Mapping[str, Node], top: Mapping[str, Node], place: Callable[[str], str]
) -> DecoderRule | None:  # fmt: skip
    """The layout's own decoder, else the profile's. fields: of both. place: names a field for people."""
    named = [n for n in DECODERS if n in own] or [n for n in DECODERS if n in fields]
    if not named:
        return None
    kind = named[0]
    node, where = fields[kind], place(kind)
    if len(named) > 1:
        form.note(node, where, f"{' and '.join(named)} stand together: one of them reads the bytes")
    if kind == "codec":
        return _codec(form, node, where)
    if kind == "text":
        return _text(form, node, where)
    order = read_order(form, fields["order"], place("order")) if "order" in fields else "big"
    groups = form.mapping(top["groups"], "groups") if "groups" in top else {}
    parameters = top["parameters"].value if "parameters" in top else {}
    known = frozenset(parameters) if isinstance(parameters, dict) else frozenset()
    reader = Reader(form, order, groups, known)
    return reader.table(node, where) if kind == "tlv" else reader.program(node, where)


def _codec(form: Form, node: Node, where: str) -> CodecRule | None:
    """A name, or {name: ..., setting: ...}."""
    if not isinstance(node.value, dict):
        name = form.choice(node, where, CODECS)
        return None if name is None else _tried(form, CodecRule(name), node, where)
    if "name" not in node.value:
        form.note(node, join(where, "name"), f"is missing; known: {', '.join(CODECS)}")
        return None
    name = form.choice(node.value["name"], join(where, "name"), CODECS)
    if name is None:
        return None
    own = form.fields(node, where, ("name", *CODECS[name].options))
    options = {k: n.plain() for k, n in own.items() if k != "name"}
    return _tried(form, CodecRule(name, orjson.dumps(options).decode() if options else ""), node, where)


def _tried(form: Form, rule: CodecRule, node: Node, where: str) -> CodecRule | None:
    try:
        codec_of(rule)
    except Rejected as err:
        form.note(node, where, err.reason)
        return None
    return rule


def _text(form: Form, node: Node, where: str) -> TextRule | None:
    """A regular expression, a list of them, or {pattern, lines, encoding}."""
    if not isinstance(node.value, dict):
        return TextRule(_patterns(form, node, where))
    own = form.fields(node, where, ("pattern", "lines", "encoding"))
    if "pattern" not in own:
        form.note(node, join(where, "pattern"), "is missing")
        return None
    encoding = form.choice(own["encoding"], join(where, "encoding"), ENCODINGS) if "encoding" in own else None
    lines = "lines" in own and form.boolean(own["lines"], join(where, "lines"))
    return TextRule(_patterns(form, own["pattern"], join(where, "pattern")), lines, encoding or "utf-8")


def _patterns(form: Form, node: Node, where: str) -> tuple[str, ...]:
    for child in form.items(node, where):
        form.parsed(child, where, compiled)
    return form.texts(node, where)


def read_source(form: Form, node: Node, where: str) -> ByteSource | None:
    """{from, encoding, port, each}"""
    own = form.fields(node, where, ("from", "encoding", "port", "each"))
    if "from" not in own:
        form.note(node, join(where, "from"), "is missing: where are the bytes?")
        return None
    encoding = (
        form.choice(own["encoding"], join(where, "encoding"), ("base64", "hex"))
        if "encoding" in own
        else "hex"
    )
    return ByteSource(
        read_paths(form, own["from"], join(where, "from")),
        encoding or "hex",
        read_paths(form, own["port"], join(where, "port")) if "port" in own else (),
        form.parsed(own["each"], join(where, "each"), parse) if "each" in own else None,
    )


def codec_of(rule: DecoderRule) -> Codec:
    """The rule compiled. Raises Rejected when a codec cannot use its settings."""
    if isinstance(rule, BinaryRule):
        return binary_codec(rule)
    if isinstance(rule, TextRule):
        return text_codec(rule)
    return CODECS[rule.name].make(orjson.loads(rule.options) if rule.options else {})
