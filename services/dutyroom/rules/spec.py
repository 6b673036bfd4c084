"""What a rule says: data, read from YAML, never code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dutyroom.model.duty import Priority
from dutyroom.model.telemetry import Scalar
from dutyroom.timebase import Ms


@dataclass(frozen=True, slots=True)
class Select:
    """Which devices a rule or plan concerns: all given tests must hold; empty = no test."""

    classes: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()  # ids or globs
    spaces: tuple[str, ...] = ()  # path prefixes
    profiles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TicketPolicy:
    """When an alarm opens a ticket: after 0 (now), after a time still active, or never (None)."""

    after: Ms | None = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. Words are per language: {"zh-CN": ..., "en": ...}."""

    id: str
    kind: str  # a module in rules/kinds
    select: Select
    priority: Priority
    ticket: TicketPolicy
    name: Mapping[str, str]
    parameters: Mapping[str, object] = field(default_factory=dict)  # checked by the kind
    point: str = ""  # name of the point it looks at
    on_delay: Ms = 0
    off_delay: Ms = 0
    respond_within: Ms | None = None
    latched: bool = False  # fire, entrapment: needs a person's reset; never shelved or suppressed
    utility: str = ""  # power | water | network: which topology may explain it
    root: bool = False  # its alarm may be the root of others in that utility
    waits: bool = True  # its ticket may wait for a root (never for fire, entrapment, gas)
    advice: Mapping[str, Sequence[str]] = field(default_factory=dict)
    version: int = 1
    options: Mapping[str, Scalar] = field(default_factory=dict)
