"""The fields of one mapping that a person wrote, taken out one by one and checked.

Every mistake is noted with its line and checking goes on, so that all of them are told at once.
A field that is missing or wrong gives its default or an empty value; the caller looks at
`mistakes` in the end.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Final, TypeVar

from dutyroom.errors import Mistake, Rejected
from dutyroom.timebase import Ms, duration
from dutyroom.yamltext import Document, Key, Path

E = TypeVar("E", bound=Enum)


class _Required(Enum):
    REQUIRED = 0


REQUIRED: Final = _Required.REQUIRED


def nearest(word: str, known: Iterable[str]) -> str:
    """'; did you mean "x"?' for the known word that looks most like it, else ""."""
    folded = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(word.casefold(), folded, 1, 0.6)
    return f"; did you mean {folded[close[0]]!r}?" if close else ""


class Fields:
    """One mapping at `path` of a document. Call `finish()` last: it reports unknown keys."""

    def __init__(self, document: Document, path: Path, data: object, mistakes: list[Mistake]) -> None:
        self.document, self.path, self.mistakes = document, path, mistakes
        self.data: Mapping[Key, object] = {}
        self._asked: set[str] = set()
        if isinstance(data, dict):
            self.data = data
        elif data is not None:
            self.wrong("", f"must be a mapping (key: value), not {_kind(data)}")

    @classmethod
    def of(cls, document: Document, mistakes: list[Mistake]) -> Fields:
        """The whole document as a mapping."""
        return cls(document, (), document.data, mistakes)

    @property
    def asked(self) -> Set[str]:
        """The fields that are known: they were asked for so far."""
        return self._asked

    def at(self, *names: Key) -> Path:
        return (*self.path, *names)

    def line(self, name: str = "") -> int:
        return self.document.line(self.at(name) if name else self.path)

    def wrong(self, name: Key, message: str) -> None:
        """Notes a mistake at a field of this mapping ("" = the mapping itself)."""
        path = self.at(name) if name != "" else self.path
        self.mistakes.append(self.document.mistake(path, message))

    def has(self, name: str) -> bool:
        return self.data.get(name) is not None

    def raw(self, name: str) -> object:
        """The value as it stands; None = not there. Marks the field as known."""
        self._asked.add(name)
        return self.data.get(name)

    def _take(self, name: str, default: object) -> object:
        value = self.raw(name)
        if value is None and default is REQUIRED:
            self.wrong(
                name if name in self.data else "",
                f"{name} is missing" if name not in self.data else "is empty",
            )
        return value

    def text(self, name: str, default: str | _Required = REQUIRED) -> str:
        """A text; a number is taken as it is written in digits. Never blank when required."""
        value = self._take(name, default)
        if value is None:
            return "" if isinstance(default, _Required) else default
        if isinstance(value, str):
            if not value.strip() and default is REQUIRED:
                self.wrong(name, "is empty")
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        self.wrong(name, f"must be a text, not {_kind(value)}; put it in quotes")
        return ""

    def choice(self, name: str, known: Collection[str], default: str | _Required = REQUIRED) -> str:
        """One of the known words."""
        value = self.text(name, default)
        if value and value not in known:
            self.wrong(name, f"{value!r} is not known{nearest(value, known)} (known: {', '.join(known)})")
        return value

    def member(self, name: str, kind: type[E], default: E) -> E:
        """A member of a text enumeration by its value; the default also after a mistake."""
        known = [str(m.value) for m in kind]
        value = self.choice(name, known, str(default.value))
        return kind(value) if value in known else default

    def integer(
        self, name: str, default: int | _Required = REQUIRED, low: int | None = None, high: int | None = None
    ) -> int:
        value = self._take(name, default)
        if value is None:
            return 0 if isinstance(default, _Required) else default
        if isinstance(value, bool) or not isinstance(value, int):
            self.wrong(name, f"must be a whole number, not {_kind(value)}")
            return low or 0
        return int(self._within(name, value, low, high))

    def number(
        self,
        name: str,
        default: float | _Required = REQUIRED,
        low: float | None = None,
        high: float | None = None,
    ) -> float:
        value = self._take(name, default)
        if value is None:
            return 0.0 if isinstance(default, _Required) else default
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.wrong(name, f"must be a number, not {_kind(value)}")
            return 0.0
        return float(self._within(name, value, low, high))

    def decimal(self, name: str, default: Decimal | _Required | None = REQUIRED) -> Decimal | None:
        """An exact number, in quotes or not; None when it is not there or wrong."""
        value = self._take(name, default)
        if value is None:
            return None if isinstance(default, _Required) else default
        try:
            if isinstance(value, str | int | float) and not isinstance(value, bool):
                exact = Decimal(str(value).strip())
                if exact.is_finite():
                    return exact
        except InvalidOperation:
            pass
        self.wrong(name, f"must be a decimal number such as 89.60, not {_kind(value)}")
        return None

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.raw(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.wrong(name, f"must be true or false, not {_kind(value)}")
            return default
        return value

    def duration(self, name: str, default: Ms | _Required = REQUIRED, low: Ms = 0) -> Ms:
        """Milliseconds of "10min", "4h", or a number of seconds; never less than `low`, which is noted."""
        value = self._take(name, default)
        if value is None:
            return 0 if isinstance(default, _Required) else default
        try:
            if isinstance(value, str | int | float):
                return self._long_enough(name, duration(value), low)
            self.wrong(name, f"must be a duration such as 10min, not {_kind(value)}")
        except Rejected as err:
            self.wrong(name, err.reason)
        return 0

    def texts(self, name: str, default: Sequence[str] = ()) -> tuple[str, ...]:
        """A list of texts; one text alone is a list of one."""
        value = self.raw(name)
        if value is None:
            return tuple(default)
        listed = value if isinstance(value, list) else [value]
        taken = []
        for index, item in enumerate(listed):
            if isinstance(item, str) or (isinstance(item, int) and not isinstance(item, bool)):
                taken.append(str(item))
            else:
                path = self.at(name, index) if isinstance(value, list) else self.at(name)
                self.mistakes.append(self.document.mistake(path, f"must be a text, not {_kind(item)}"))
        return tuple(taken)

    def words(self, name: str, default: Mapping[str, str] | _Required = REQUIRED) -> dict[str, str]:
        """Words per language, {zh-CN: ..., en: ...}; one text alone serves both."""
        value = self._take(name, default)
        if value is None:
            return {} if isinstance(default, _Required) else dict(default)
        if not isinstance(value, dict):
            text = self.text(name)
            return {"zh-CN": text, "en": text}
        inner = Fields(self.document, self.at(name), value, self.mistakes)
        zh, en = inner.text("zh-CN", ""), inner.text("en", "")
        inner.finish()
        if not zh and not en:
            self.wrong(name, "needs a text in zh-CN or en")
        return {"zh-CN": zh or en, "en": en or zh}

    def child(self, name: str) -> Fields | None:
        """The mapping below a field, None when it is not there."""
        value = self.raw(name)
        return None if value is None else Fields(self.document, self.at(name), value, self.mistakes)

    def children(self, name: str) -> list[Fields]:
        """The mappings in a list below a field; none when it is not there."""
        value = self.raw(name)
        if value is None:
            return []
        if not isinstance(value, list):
            self.wrong(name, f"must be a list (- ...), not {_kind(value)}")
            return []
        return rows(self.document, self.at(name), value, self.mistakes)

    def finish(self) -> None:
        """Reports every key that nobody asked for."""
        for key in self.data:
            if key not in self._asked:
                self.wrong(key, f"unknown field{nearest(str(key), self._asked)}")

    def _long_enough(self, name: str, value: Ms, low: Ms) -> Ms:
        if value < 0:
            self.wrong(name, "must not be negative")
        elif value < low:
            self.wrong(name, f"must be at least {low / 1000:g} s")
        return max(value, low)

    def _within(self, name: str, value: float, low: float | None, high: float | None) -> float:
        if low is not None and value < low:
            self.wrong(name, f"must be at least {low:g}")
            return low
        if high is not None and value > high:
            self.wrong(name, f"must be at most {high:g}")
            return high
        return value


def rows(document: Document, path: Path, data: object, mistakes: list[Mistake]) -> list[Fields]:
    """The mappings of a list at a path; None is an empty list, what is no mapping is a mistake."""
    if data is None:
        return []
    if not isinstance(data, list):
        mistakes.append(document.mistake(path, f"must be a list (- ...), not {_kind(data)}"))
        return []
    found = []
    for index, item in enumerate(data):
        if isinstance(item, dict):
            found.append(Fields(document, (*path, index), item, mistakes))
        else:
            mistakes.append(
                document.mistake((*path, index), f"must be a mapping (key: value), not {_kind(item)}")
            )
    return found


def _kind(value: object) -> str:
    """A value as a sentence needs it."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case str():
            return repr(value if len(value) <= 40 else value[:40] + "…")
        case _:
            return str(value)
