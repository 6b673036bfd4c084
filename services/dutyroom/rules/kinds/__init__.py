"""The rule kinds: one module each, found by its name."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Collection
from functools import cache
from importlib import import_module
from typing import cast

from dutyroom.rules.kind import KindModule
from dutyroom.rules.spec import Rule


@cache
def known() -> tuple[str, ...]:
    """The names of all kinds."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


@cache
def kind(name: str) -> KindModule:
    """The module of a kind that is `known`."""
    return cast(KindModule, import_module(f"{__name__}.{name}"))


@cache
def elsewhere(name: str) -> Callable[[Rule], Collection[str]] | None:
    """Of a kind that looks at any devices of some classes: those classes, by rule."""
    return getattr(kind(name), "elsewhere", None)
