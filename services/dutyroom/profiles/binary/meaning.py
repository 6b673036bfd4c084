"""What a raw value of the cursor language means, and names that hold other fields."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from dutyroom.profiles.binary.cursor import Cursor
from dutyroom.profiles.binary.model import Meaning
from dutyroom.profiles.paths import NUMBERS, as_text

Means: TypeAlias = Callable[[object], object]
Name: TypeAlias = Callable[[Cursor], str]


def meant(meaning: Meaning) -> Means | None:
    """raw -> value, None = no value; None in place of a function when nothing changes."""
    if meaning.plain:
        return None
    if meaning.mapping:
        return _mapped(meaning)
    none, scaled = meaning.none, _scaled(meaning)
    if not none:
        return scaled
    return lambda raw: None if as_text(raw) in none else scaled(raw)


def _mapped(meaning: Meaning) -> Means:
    none, mapping, otherwise = meaning.none, meaning.mapping, meaning.otherwise

    def look_up(raw: object) -> object:
        text = as_text(raw)
        if text is None or text in none:
            return None
        found = mapping.get(text, mapping)
        if found is mapping:  # a code that it does not name
            return raw if otherwise is None else otherwise
        return found

    return look_up


def _scaled(meaning: Meaning) -> Means:
    scale, offset = meaning.scale, meaning.offset
    if scale == 1 and offset == 0:
        return lambda raw: raw
    if scale.denominator == 1 and offset.denominator == 1:
        a, b = scale.numerator, offset.numerator
        return lambda raw: raw * a + b if isinstance(raw, NUMBERS) else raw
    # One division of whole numbers gives the nearest float there is: 25 at scale 0.01 is 0.25.
    below = scale.denominator * offset.denominator
    top, shift = scale.numerator * offset.denominator, offset.numerator * scale.denominator
    return lambda raw: (raw * top + shift) / below if isinstance(raw, NUMBERS) else raw


def named(name: str) -> Name:
    """A field's name; "{channel}" in it stands for another field's value."""
    if "{" not in name:
        return lambda cursor: name
    pieces = re.split(r"\{([A-Za-z_][A-Za-z0-9_]*)\}", name)

    def render(cursor: Cursor) -> str:
        parts = [
            piece if number % 2 == 0 else as_text(cursor.get(piece)) or ""
            for number, piece in enumerate(pieces)
        ]
        return "".join(parts)[:120]

    return render
