"""Exchanges of meters on record: what of that which the rules say of a register they explain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from dutyroom.flows.corrections import Judged
from dutyroom.model.duty import Condition
from dutyroom.model.metering import Exchange
from dutyroom.rules.engine import Engine
from dutyroom.rules.spec import Rule
from dutyroom.timebase import DAY, Ms

NEAR: Ms = 3 * DAY  # an exchange is put on record some days before or after it
KINDS = ("decrease", "register_fault")
Explained: TypeAlias = Callable[[str, str, Ms], bool]  # what a rule says of an object from an instant on


def explained_by(
    rules: Callable[[], Mapping[str, Rule]], read: Callable[[], Sequence[Exchange]]
) -> Explained:
    """Whether (rule, object, at) is a decrease by an exchange on record. The record is read when
    the first decrease asks, and once: a thousand open ones must not be a thousand queries."""
    book: list[Sequence[Exchange]] = []

    def is_exchange(rule: str, object: str, at: Ms) -> bool:
        known = rules().get(rule)
        if known is None or known.kind not in KINDS:
            return False
        if not book:
            book.append(read())
        return any(e.device == object and abs(e.at - at) <= NEAR for e in book[0])

    return is_exchange


def accept(
    engine: Engine, conditions: Iterable[Condition], is_exchange: Explained, now: Ms
) -> list[Condition]:
    """Tells the rules of those that an exchange explains. Returns what they say of it."""
    keys = {(c.rule, c.object): None for c in conditions if is_exchange(c.rule, c.object, c.at)}
    said = (engine.accept(key, partial(is_exchange, *key), now) for key in keys)
    return [condition for each in said for condition in each]


def left(conditions: Iterable[Condition], is_exchange: Explained) -> list[Condition]:
    """Without decreases of meters whose exchange is on record."""
    return [c for c in conditions if not (c.active and is_exchange(c.rule, c.object, c.at))]


def without(judged: Judged, is_exchange: Explained) -> Judged:
    """What a replay found; decreases of meters whose exchange is on record held for no time, as one that was
    recorded before the exchange was."""
    found = [
        replace(stretch, cleared_at=stretch.raised.at)
        if stretch.raised is not None and is_exchange(judged.rule, judged.object, stretch.raised.at)
        else stretch
        for stretch in judged.found
    ]
    return replace(judged, found=found)
