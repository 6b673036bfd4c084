"""Reads the examples of a profile: a recorded message and what it must give."""

from __future__ import annotations

import orjson

from dutyroom.errors import Rejected
from dutyroom.model.telemetry import Scalar
from dutyroom.profiles.form import Form, join
from dutyroom.profiles.profile import Example
from dutyroom.profiles.yamlnode import Node, Plain

FIELDS = (
    "title", "topic", "payload", "hex", "received", "parameters", "expect", "attributes", "events", "time",
    "findings", "ignored", "refused",
)  # fmt: skip


def read_examples(form: Form, node: Node) -> tuple[Example, ...]:
    if not isinstance(node.value, list):
        form.note(node, "examples", "must be a list")
        return ()
    return tuple(_example(form, child, f"examples[{n}]") for n, child in enumerate(node.value))


def _example(form: Form, node: Node, where: str) -> Example:
    own = form.fields(node, where, FIELDS)
    for needed in ("topic", "payload"):
        if needed not in own and not (needed == "payload" and "hex" in own):
            form.note(node, join(where, needed), "is missing")

    def text(name: str) -> str:
        return form.text(own[name], join(where, name)) if name in own else ""

    events = form.items(own["events"], join(where, "events")) if "events" in own else []
    parameters = form.mapping(own["parameters"], join(where, "parameters")) if "parameters" in own else {}
    return Example(
        title=text("title"),
        topic=text("topic"),
        payload=_payload(form, own, where),
        line=node.line,
        received=text("received"),
        parameters={k: v for k, n in parameters.items() if (v := _scalar(n)) is not None},
        expect=_by_address(form, own, "expect", where),
        attributes=_by_address(form, own, "attributes", where),
        events=tuple(_plain_map(e) for e in events),
        time=text("time"),
        findings=form.texts(own["findings"], join(where, "findings")) if "findings" in own else (),
        ignored=text("ignored"),
        refused=text("refused"),
    )


def _payload(form: Form, own: dict[str, Node], where: str) -> bytes:
    """A mapping or list is sent as JSON; a text as it is; `hex` are bytes that are no text."""
    if "hex" in own:
        return form.parsed(own["hex"], join(where, "hex"), _bytes) or b""
    if "payload" not in own:
        return b""
    node = own["payload"]
    if isinstance(node.value, dict | list):
        return orjson.dumps(node.plain())
    return node.raw.encode("utf-8")


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as err:
        raise Rejected(f"not hex: {err}") from err


def _scalar(node: Node) -> Scalar | None:
    return node.value if isinstance(node.value, str | int | float) else None


def _by_address(form: Form, own: dict[str, Node], name: str, where: str) -> dict[str, dict[str, Plain]]:
    if name not in own:
        return {}
    found = form.mapping(own[name], join(where, name))
    return {address: _plain_map(node) for address, node in found.items()}


def _plain_map(node: Node) -> dict[str, Plain]:
    value = node.plain()
    return value if isinstance(value, dict) else {}
