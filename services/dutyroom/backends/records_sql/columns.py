"""Column types: what the model's values look like in both databases.

Text and whole numbers only, so a row reads the same in SQLite and PostgreSQL.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Dialect, Integer, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

# SQLite gives rising ids only to a column that is declared INTEGER.
IDENTITY: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")


def storable(text: str) -> str:
    """The text without what a database refuses: NUL (PostgreSQL) and lone surrogates (both)."""
    if text.isascii():
        return text.replace("\x00", "\ufffd") if "\x00" in text else text
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


class Words(TypeDecorator[str]):
    """Any text. Devices send what they like, so it is made storable first."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else storable(value)


class Code(TypeDecorator[Any]):
    """A member of a StrEnum by its value."""

    impl = Text
    cache_ok = True

    def __init__(self, members: type[Enum]) -> None:
        super().__init__()
        self.members = members

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else str(self.members(value).value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else self.members(value)


class Grade(TypeDecorator[Any]):
    """A member of an IntEnum by its number."""

    impl = Integer
    cache_ok = True

    def __init__(self, members: type[Enum]) -> None:
        super().__init__()
        self.members = members

    def process_bind_param(self, value: Any, dialect: Dialect) -> int | None:
        return None if value is None else int(self.members(value).value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else self.members(value)


class Json(TypeDecorator[Any]):
    """Plain data: arguments, parameters, an attribute's value."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:
        plain = dict(value) if isinstance(value, Mapping) else value
        return storable(json.dumps(plain, ensure_ascii=False, separators=(",", ":"), sort_keys=True))

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


class Labels(TypeDecorator[Any]):
    """State labels: {code: message key, or words by language}."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:
        return storable(json.dumps({str(k): v for k, v in value.items()}, ensure_ascii=False, sort_keys=True))

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return {int(k): v for k, v in json.loads(value).items()}


class Names(TypeDecorator[Any]):
    """A tuple of texts."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:
        return storable(json.dumps(list(value), ensure_ascii=False))

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return tuple(json.loads(value))


class Exact(TypeDecorator[Decimal]):
    """A Decimal as it was written, digits and all."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:
        return None if value is None else str(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value)


class Parts(TypeDecorator[Any]):
    """A tuple of model dataclasses as one JSON text."""

    impl = Text
    cache_ok = True

    def __init__(self, kind: type) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:
        return storable(msgspec.json.encode(value).decode())

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return msgspec.json.decode(value, type=tuple[self.kind, ...])  # type: ignore[name-defined]


class Stretches(TypeDecorator[Any]):
    """A tuple of (from, to) in ms UTC; to may be None."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:
        return json.dumps([list(stretch) for stretch in value], separators=(",", ":"))

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return tuple((since, until) for since, until in json.loads(value))
