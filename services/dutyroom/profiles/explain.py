"""What a profile makes of one message, step by step: which bits became which field, which field which point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from dutyroom.model.telemetry import Message, Scalar
from dutyroom.profiles.attempt import Candidate, Outcome, Sight, attempt
from dutyroom.profiles.decode import Library
from dutyroom.profiles.job import Anybody, Fields
from dutyroom.profiles.paths import MISSING, getter, walker
from dutyroom.profiles.program import LayoutProgram
from dutyroom.profiles.unwrap import Unreadable

MOST: Final = 1000  # items that are looked at for names without a value


@dataclass(frozen=True, slots=True)
class Taken:
    """One step of the cursor: bits first to last (not included) of the payload became `value`."""

    name: str
    first: int
    last: int
    value: object

    @property
    def place(self) -> str:
        """Bytes, and bits where they are no whole bytes: "4-5", "6 bits 0-2"."""
        start, stop = self.first // 8, (self.last + 7) // 8 - 1
        span = f"{start}" if stop <= start else f"{start}-{stop}"
        if self.first % 8 == 0 and self.last % 8 == 0:
            return span
        return f"{span} bits {self.first % 8}-{(self.last - 1) % 8}"


@dataclass(slots=True)
class Explanation:
    """payload: the bytes that were decoded, None = the profile reads no bytes. sources: point -> the
    fields it reads. document: what came of the bytes. lacking: point -> the register that its differences
    start from, where the message has none. nameless: point -> names of its expression that have no value. clock: where the profile itself looks for the time ("" = nowhere, or
    where its envelope says)."""

    outcome: Outcome
    steps: list[Taken] = field(default_factory=list)
    payload: bytes | None = None
    document: object = None
    layout: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    lacking: Mapping[str, str] = field(default_factory=dict)
    nameless: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    clock: str = ""


def explain(
    library: Library, profile: str, message: Message, parameters: Mapping[str, Scalar] | None = None
) -> Explanation | None:
    """The outcome as for a registered device, with everything that led to it; None when the profile does
    not read the topic."""
    steps: list[Taken] = []
    looked = library.look(
        profile, message, lambda name, first, last, value: steps.append(Taken(name, first, last, value))
    )
    if looked is None:
        return None
    candidate, sight = looked
    outcome = attempt(candidate, sight, Anybody(profile, parameters), False)
    found = Explanation(outcome, steps)
    chosen = sight.read or next(_fitting(candidate, sight), None)
    if chosen is not None:
        program, document, found.document = chosen
        found.payload = program.bytes_of(document)
        found.layout = program.layout.name or f"layout {candidate.profile.layouts.index(program.layout) + 1}"
        found.sources = {
            rule.spec.name: rule.value.text if rule.value else ", ".join(p.text for p in rule.paths)
            for rule in program.layout.points
        }
        if program.layout.time is not None and not candidate.profile.envelope:
            found.clock = ", ".join(path.text for path in program.layout.time.paths)
        found.lacking = _lacking(program, found.document, document)
        known = {**candidate.profile.parameters, **(parameters or {})}
        found.nameless = _nameless(program, found.document, document, known)
    return found


def _nameless(
    program: LayoutProgram, content: object, document: object, parameters: Mapping[str, Scalar]
) -> dict[str, tuple[str, ...]]:
    """Of points that are computed, what no item of the message has a value for. Of a series only its elements know."""
    whole = document if content is None else content
    walks = [walker(path) for path in program.layout.each]
    items = [item for walk in walks for _, item in islice(walk(whole, document), MOST)] if walks else [whole]
    found = {}
    for rule in program.layout.points:
        if rule.value is not None and rule.each is None:
            named = {name: getter([path]) for name, path in rule.names.items()}
            fields = [Fields(item, document, parameters, named) for item in items]
            absent = (n for n in sorted(rule.value.names) if all(f.get(n) is None for f in fields))
            found[rule.spec.name] = tuple(absent)
    return {point: names for point, names in found.items() if names}


def _lacking(program: LayoutProgram, content: object, document: object) -> dict[str, str]:
    """Where each item has its own register, those of the whole message alone are looked for."""
    found = {}
    item = document if content is None else content
    for rule in program.layout.points:
        path = rule.sum_from
        if path is not None and (not program.layout.each or path.text.startswith("$")):
            base = getter([path])(item, document)
            if base is MISSING or base is None:
                found[rule.spec.name] = path.text
    return found


def _fitting(candidate: Candidate, sight: Sight) -> Iterator[tuple[LayoutProgram, object, object]]:
    """The layouts that wanted the message, where none of them read it to the end."""
    for program, where in candidate.layouts:
        captures = sight.captures[where]
        document = sight.document(program, captures)
        if not isinstance(document, Unreadable) and program.starts(captures, document):
            yield program, document, None
