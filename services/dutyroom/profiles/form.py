"""Reading a form that a person wrote: fields by name and type, every mistake with its place."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeVar

from dutyroom.errors import Mistake, Rejected
from dutyroom.profiles.paths import as_text
from dutyroom.profiles.yamlnode import Node

T = TypeVar("T")


@dataclass(slots=True)
class Form:
    """Collects mistakes; each reader returns None where it noted one."""

    mistakes: list[Mistake] = field(default_factory=list)

    def note(self, node: Node, where: str, message: str) -> None:
        self.mistakes.append(node.mistake(where, message))

    def fields(self, node: Node, where: str, allowed: Iterable[str]) -> dict[str, Node]:
        """The known fields of a mapping; others are mistakes with the name that was meant."""
        if not isinstance(node.value, dict):
            self.note(node, where, "must be a mapping of fields")
            return {}
        known = tuple(allowed)
        for name, child in node.value.items():
            if name not in known:
                close = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known))}"
                self.note(child, join(where, name), f"unknown field; {hint}")
        return {name: child for name, child in node.value.items() if name in known}

    def mapping(self, node: Node, where: str) -> dict[str, Node]:
        """Any mapping."""
        if isinstance(node.value, dict):
            return node.value
        self.note(node, where, "must be a mapping")
        return {}

    def items(self, node: Node, where: str) -> list[Node]:
        """A list; a single value counts as a list of one."""
        if isinstance(node.value, list):
            return node.value
        if isinstance(node.value, dict):
            self.note(node, where, "must be a list")
            return []
        return [node]

    def text(self, node: Node, where: str) -> str:
        """A scalar as written."""
        if isinstance(node.value, list | dict) or node.value is None:
            self.note(node, where, "must be text")
            return ""
        return node.raw

    def texts(self, node: Node, where: str) -> tuple[str, ...]:
        return tuple(self.text(n, where) for n in self.items(node, where))

    def sentinels(self, node: Node, where: str) -> frozenset[str]:
        """Values as a payload's are compared with them: 0x1F is 31, -999.0 is -999."""
        return frozenset(
            as_text(n.value) or "" if isinstance(n.value, float) else code_text(self.text(n, where))
            for n in self.items(node, where)
        )

    def choice(self, node: Node, where: str, allowed: Iterable[str]) -> str | None:
        value, known = self.text(node, where), tuple(allowed)
        if value in known:
            return value
        close = difflib.get_close_matches(value, known, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        # A list of all quantities would hide the hint.
        listed = "known" if close and len(known) > 20 else f"one of {', '.join(known)}"
        self.note(node, where, f"{value!r} is not {listed}{hint}")
        return None

    def boolean(self, node: Node, where: str) -> bool:
        if not isinstance(node.value, bool):
            self.note(node, where, "must be true or false")
            return False
        return node.value

    def integer(self, node: Node, where: str, low: int, high: int) -> int | None:
        if isinstance(node.value, int) and not isinstance(node.value, bool) and low <= node.value <= high:
            return node.value
        self.note(node, where, f"must be a whole number from {low} to {high}")
        return None

    def number(self, node: Node, where: str) -> Decimal | None:
        """A finite number, exactly as written."""
        if isinstance(node.value, int | float) and not isinstance(node.value, bool):
            value = node.decimal()
            if value.is_finite() and abs(value) < Decimal("1e30"):
                return value
        self.note(node, where, "must be a number")
        return None

    def parsed(self, node: Node, where: str, parse: Callable[[str], T]) -> T | None:
        """A text that `parse` reads; its Rejected becomes a mistake."""
        text = self.text(node, where)
        if not text and node.value != "":
            return None
        try:
            return parse(text)
        except Rejected as err:
            self.note(node, where, err.reason)
            return None


def join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def code_text(text: str) -> str:
    """A code as it is compared: 0x1F is 31; anything else as it is written."""
    return str(int(text, 16)) if re.fullmatch(r"-?0[xX][0-9a-fA-F]{1,16}", text) else text
