"""A YAML file that a person wrote, read with the place of every field.

Nothing is converted behind the reader's back: a price stays the text that was written, so it can
become a Decimal. Every mistake is collected with file, line and field; `Sheet.finish` raises them
all at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal, InvalidOperation
from typing import TypeVar

import yaml

from dutyroom.errors import Invalid, Mistake, Rejected
from dutyroom.timebase import Ms, duration

T = TypeVar("T")

_TRUE, _FALSE = ("true", "yes", "on"), ("false", "no", "off")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


@dataclass(slots=True)
class Sheet:
    """One file and the mistakes found in it so far."""

    file: str
    mistakes: list[Mistake] = field(default_factory=list)

    def finish(self) -> None:
        """Raises Invalid when anything was wrong."""
        if self.mistakes:
            raise Invalid(self.mistakes)


def read(text: str, file: str) -> Field:
    """The root of a YAML text; an empty file is an empty mapping. Raises Invalid if unreadable."""
    sheet = Sheet(file)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as err:
        line = err.problem_mark.line + 1 if err.problem_mark else 0
        raise Invalid([Mistake(file, line, "", f"not readable as YAML: {err.problem}")]) from err
    except yaml.YAMLError as err:
        raise Invalid([Mistake(file, 0, "", f"not readable as YAML: {err}")]) from err
    return Field(sheet, node, "", 1)


@dataclass(frozen=True, slots=True)
class Field:
    """One value and where it stands. Getters note a mistake and return a harmless value."""

    sheet: Sheet
    node: yaml.Node | None  # None = not written
    path: str
    line: int

    def wrong(self, message: str) -> None:
        self.sheet.mistakes.append(Mistake(self.sheet.file, self.line, self.path, message))

    @property
    def given(self) -> bool:
        """Whether something other than null is written here."""
        return self.node is not None and self.node.tag != "tag:yaml.org,2002:null"

    # ------------------------------------------------------------ mappings and lists

    def pairs(self) -> Iterator[tuple[str, Field]]:
        """The entries of a mapping; a key written twice is a mistake."""
        if not self.given:
            return
        if not isinstance(self.node, yaml.MappingNode):
            self.wrong("a mapping of fields is wanted here")
            return
        seen: set[str] = set()
        for key_node, value in self.node.value:
            key = str(key_node.value)
            child = self._child(key, value, key_node.start_mark.line + 1)
            if key in seen:
                child.wrong("written twice")
                continue
            seen.add(key)
            yield key, child

    def __getitem__(self, key: str) -> Field:
        """A field of a mapping; one that is not written has `given` False and this line."""
        if isinstance(self.node, yaml.MappingNode):
            for key_node, value in self.node.value:
                if key_node.value == key:
                    return self._child(key, value, key_node.start_mark.line + 1)
        return self._child(key, None, self.line)

    def only(self, *known: str) -> None:
        """Every other key is a mistake."""
        for key, child in self.pairs():
            if key not in known:
                child.wrong(f"unknown field; known are {', '.join(known)}")

    def items(self) -> list[Field]:
        """The entries of a list; nothing written = no entries."""
        if not self.given:
            return []
        if not isinstance(self.node, yaml.SequenceNode):
            self.wrong("a list is wanted here")
            return []
        return [
            Field(self.sheet, node, f"{self.path}[{index}]", node.start_mark.line + 1)
            for index, node in enumerate(self.node.value)
        ]

    def _child(self, key: str, node: yaml.Node | None, line: int) -> Field:
        return Field(self.sheet, node, f"{self.path}.{key}" if self.path else key, line)

    # ------------------------------------------------------------ single values

    def _scalar(self, what: str) -> str | None:
        if not self.given:
            self.wrong(f"missing; {what} is wanted")
            return None
        if not isinstance(self.node, yaml.ScalarNode):
            self.wrong(f"{what} is wanted here")
            return None
        return str(self.node.value).strip()

    def _parsed(self, what: str, parse: Callable[[str], T], default: T | None, harmless: T) -> T:
        if default is not None and not self.given:
            return default
        text = self._scalar(what)
        if text is None:
            return harmless
        try:
            return parse(text)
        except (ValueError, KeyError, InvalidOperation, Rejected):
            self.wrong(f"{text!r} is not {what}")
            return harmless

    def text(self, default: str | None = None) -> str:
        def parse(text: str) -> str:
            if not text:
                raise ValueError
            return text

        return self._parsed("a text", parse, default, "")

    def decimal(self, default: Decimal | None = None) -> Decimal:
        """Exactly the number written."""

        def parse(text: str) -> Decimal:
            if not _NUMBER.fullmatch(text):
                raise ValueError
            return Decimal(text)

        return self._parsed("a number such as 0.5050", parse, default, Decimal(0))

    def integer(self, default: int | None = None) -> int:
        return self._parsed("a whole number", int, default, 0)

    def flag(self, default: bool | None = None) -> bool:
        def parse(text: str) -> bool:
            if text.lower() not in _TRUE + _FALSE:
                raise ValueError
            return text.lower() in _TRUE

        return self._parsed("true or false", parse, default, False)

    def date(self, default: date | None = None) -> date:
        return self._parsed("a date such as 2026-10-01", date.fromisoformat, default, date(2000, 1, 1))

    def time(self, default: time | None = None) -> time:
        def parse(text: str) -> time:
            hour, minute = text.split(":")
            return time(int(hour), int(minute))

        return self._parsed("a local time such as 10:00", parse, default, time())

    def duration(self, default: Ms | None = None) -> Ms:
        def parse(text: str) -> Ms:
            span = duration(text)
            if span < 0:
                raise ValueError
            return span

        return self._parsed("a duration such as 90s, 10min, 4h or 15d", parse, default, 0)

    def choice(self, choices: Sequence[str], default: str | None = None) -> str:
        def parse(text: str) -> str:
            if text not in choices:
                raise ValueError
            return text

        return self._parsed(f"one of {', '.join(choices)}", parse, default, choices[0])

    # ------------------------------------------------------------ common shapes

    def strings(self) -> tuple[str, ...]:
        """A list of texts, or one text alone; nothing written = none."""
        if isinstance(self.node, yaml.ScalarNode) and self.given:
            return (self.text(),)
        return tuple(item.text() for item in self.items())

    def words(self) -> Mapping[str, str]:
        """A text per language ({zh-CN: ..., en: ...}), or one text for both. Required."""
        if isinstance(self.node, yaml.MappingNode):
            return {language: text.text() for language, text in self.pairs()}
        text = self.text()
        return {"zh-CN": text, "en": text} if text else {}

    def word_lists(self) -> Mapping[str, Sequence[str]]:
        """A list of texts per language, or one list for both; nothing written = none."""
        if isinstance(self.node, yaml.MappingNode):
            return {language: texts.strings() for language, texts in self.pairs()}
        texts = self.strings()
        return {"zh-CN": texts, "en": texts} if texts else {}
