"""Keys of maps, which are compared with what a message says as text.

A number in a message is its shortest text (1.0 is 1), true and false are themselves, a text is as it stands. So `01`
fits the text "01" and no number, `0x1F` is 31, and 1 is not true. Two keys that are one number or one truth
written in two ways are refused where they mean different things: only one of them would be what its writer thinks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from dutyroom.errors import Mistake
from dutyroom.profiles.form import code_text, join
from dutyroom.profiles.yamlnode import Node

_MAPS = ("map", "codes")
_NUMBER = re.compile(r"[+-]?[0-9]{1,20}(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?\Z")


def doubled_codes(profile: Node) -> list[Mistake]:
    """The keys of a profile's maps that another key of the same map says already."""
    return [mistake for where, node in _maps(profile, "") for mistake in _doubled(node, where)]


def _doubled(node: Node, where: str) -> Iterator[Mistake]:
    first: dict[tuple[str, str], tuple[str, Node]] = {}
    for key, child in node.named.items():
        meant = _meant(key)
        if meant is None:
            continue
        (what, form), (other, said) = meant, first.setdefault(meant, (key, child))
        if other != key and (said.plain() != child.plain() or code_text(other) == code_text(key)):
            yield child.mistake(
                join(where, key),
                f"{other!r} and {key!r} are the same {what} and mean {said.raw!r} and {child.raw!r}; "
                f"a {what} in a message fits the key {form} only",
            )


def _meant(key: str) -> tuple[str, str] | None:
    """The number or truth that a key writes, as a message's is compared; None of other texts."""
    if key.casefold() in ("true", "false"):
        return "truth", key.casefold()
    text = code_text(key)
    return ("number", f"{Decimal(text).normalize() + 0:f}") if _NUMBER.match(text) else None


def _maps(node: Node, where: str) -> Iterator[tuple[str, Node]]:
    if isinstance(node.value, list):
        for number, child in enumerate(node.value):
            yield from _maps(child, f"{where}[{number}]")
    for key, child in node.named.items():
        inner = join(where, key)
        if key in _MAPS:
            yield inner, child
        if inner != "examples":
            yield from _maps(child, inner)
