"""Who could read a message on a topic that no profile reads: a trial of the profiles of other topics.

Only those count that leave little doubt. Of bytes: every byte understood, and a codec with framing or a
checksum of its own. Of JSON: two named points at least, nothing odd. Or the message names the product.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import orjson

from dutyroom.model.telemetry import Message
from dutyroom.profiles.attempt import NOBODY, Candidate, Sight, attempt
from dutyroom.profiles.binary.model import BinaryRule, Check, Group, Step
from dutyroom.profiles.checksums import CHECKSUMS
from dutyroom.profiles.memory import Memory
from dutyroom.profiles.paths import Key
from dutyroom.profiles.places import DEVICE, Place, place_of
from dutyroom.profiles.profile import CodecRule, DecoderRule, Layout, PointRule, Profile
from dutyroom.profiles.program import LayoutProgram
from dutyroom.profiles.result import Decoded, Trial

Compile: TypeAlias = Callable[[Profile, Layout], LayoutProgram]

BUDGET_S = 1.0  # of one question; what has been compiled is kept for the next
MAX_PAYLOAD = 16 * 1024  # bytes: the message becomes an example in a file
_FRAMED = frozenset({"dlt645", "cjt188", "gb26875", "sia_dc09", "wmbus", "dsmr"})
_POINTS = 2  # that a JSON message must give at least
_MAX_KEYS = 5_000  # of a document that are looked at
_HERE = "here"  # stands for the topic filter


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A profile that could read the message if it listened there. place: where, and what of its topic
    says whose the message is."""

    trial: Trial
    place: Place


class Wanderer:
    """Tries profiles on topics that are not theirs. Compiles what it needs once, and keeps it."""

    def __init__(self, profiles: Sequence[Profile], compile_: Compile) -> None:
        self._profiles, self._compile = profiles, compile_
        self._programs: dict[tuple[str, int], LayoutProgram] = {}

    def find(
        self,
        message: Message,
        memory: Memory,
        limit: int,
        budget_s: float = BUDGET_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> tuple[list[Elsewhere], bool]:
        """The best first, and whether all were tried within the time. Raises nothing."""
        if not 0 < len(message.payload) <= MAX_PAYLOAD:
            return [], True
        until, sight = clock() + budget_s, _Sighting(message, memory)
        if sight.place is None:
            return [], True
        found: list[_Ranked] = []
        for profile, numbers in self._promising(sight):
            if clock() > until:
                return _sorted(found, limit), False
            self._try(profile, numbers, sight, found)
        return _sorted(found, limit), True

    def _promising(self, sight: _Sighting) -> Iterator[tuple[Profile, list[int]]]:
        """Profiles with the numbers of their layouts that are worth compiling."""
        for profile in self._profiles:
            named = sight.names(profile) == 2
            if profile.envelope == "lorawan" and not named:
                continue  # that the bytes of an uplink happen to fit proves nothing
            numbers = [n for n, lay in enumerate(profile.layouts) if named or sight.promises(lay)]
            if numbers:
                yield profile, numbers

    def _try(self, profile: Profile, numbers: list[int], sight: _Sighting, found: list[_Ranked]) -> None:
        candidate = Candidate(profile, self._program, [(n, _HERE) for n in numbers])
        outcome = attempt(candidate, sight, NOBODY, True)
        if not isinstance(outcome, Decoded) or not outcome.addresses or sight.read is None:
            return
        layout = sight.read[0].layout
        hint = sight.names(profile)
        if not (outcome.readings or outcome.events) or not (hint == 2 or _proven(layout, outcome, sight)):
            return
        place = sight.best_place(layout.identity, outcome.addresses)
        doubt = 2 if outcome.findings else 1 if outcome.unread else 0
        count = len(outcome.readings) + len(outcome.events) + len(outcome.attributes)
        key = (-hint, profile.fallback, doubt, -count, profile.rank[1], profile.id)
        found.append((key, Elsewhere(Trial(profile.id, outcome, hint == 2), place)))

    def _program(self, profile: Profile, number: int) -> LayoutProgram:
        program = self._programs.get((profile.id, number))
        if program is None:
            layout = profile.layouts[number]
            known = {name for f in layout.filters for name in f.names}
            own = tuple(text for text in layout.identity if not _uses(text, known))
            if own != layout.identity:
                layout = replace(layout, identity=(*own, DEVICE))
            program = self._programs[profile.id, number] = self._compile(profile, layout)
        return program


_Ranked: TypeAlias = tuple[tuple[object, ...], Elsewhere]


def _sorted(found: list[_Ranked], limit: int) -> list[Elsewhere]:
    return [elsewhere for _, elsewhere in sorted(found, key=lambda f: f[0])[:limit]]


class _Sighting(Sight):
    """A message seen by profiles of other topics: of its topic they know the one level that may be an id."""

    def __init__(self, message: Message, memory: Memory) -> None:
        self.place = place_of(message.topic)
        captures = {} if self.place is None else {"device": self.place.device}
        super().__init__(message, {_HERE: captures}, memory)
        try:
            self._json: object = orjson.loads(message.payload)
        except orjson.JSONDecodeError:
            self._json = None
        if isinstance(self._json, dict):
            self._documents["json"] = self._json  # the product may be named in it
        self._keys = _keys(self._json)

    def promises(self, layout: Layout) -> bool:
        """Whether it may come to readings that count: cheap, before anything is compiled."""
        if layout.ignore is not None or layout.reject is not None:
            return False
        if any(stage.kind in ("under", "uplink") for stage in layout.unwrap):
            return False
        if isinstance(layout.decoder, CodecRule | BinaryRule):
            return _framed(layout.decoder)
        if layout.decoder is not None or self._json is None:
            return layout.decoder is not None
        return sum(self._knows(rule) for rule in layout.points) >= _POINTS

    def _knows(self, rule: PointRule) -> bool:
        leaves = [[s.name for s in path.steps if isinstance(s, Key)][-1:] for path in rule.paths]
        return rule.value is not None or any(not leaf or leaf[0] in self._keys for leaf in leaves)

    def best_place(self, identity: Sequence[str], addresses: Sequence[str]) -> Place:
        assert self.place is not None
        if identity[-1:] == (DEVICE,) and tuple(addresses) == (self.place.device,):
            return replace(self.place, identity=tuple(identity))
        found = place_of(self.message.topic, addresses)
        return found or self.place


def _keys(document: object) -> frozenset[str]:
    """Every key of a document, at any depth."""
    found: set[str] = set()
    waiting = [document]
    while waiting and len(found) < _MAX_KEYS:
        item = waiting.pop()
        if isinstance(item, dict):
            found.update(item)
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item[:_MAX_KEYS])
    return frozenset(found)


def _uses(template: str, names: set[str]) -> bool:
    return any(f"{{{name}{end}" in template for name in names for end in "}|")


# ---------------------------------------------------------------- evidence


def _proven(layout: Layout, outcome: Decoded, sight: Sight) -> bool:
    if isinstance(layout.decoder, CodecRule | BinaryRule):
        return not outcome.unread and bool(outcome.readings)
    named = {reading.spec.name for reading in outcome.readings} & {r.spec.name for r in layout.points}
    return len(named) >= _POINTS and not outcome.findings


def _framed(decoder: DecoderRule) -> bool:
    """True when a wrong byte would be noticed."""
    if isinstance(decoder, CodecRule):
        options = orjson.loads(decoder.options) if decoder.options else {}
        return decoder.name in _FRAMED or (decoder.name == "modbus" and options.get("framing") == "rtu")
    return isinstance(decoder, BinaryRule) and _sums(decoder.steps)


def _sums(steps: Sequence[Step]) -> bool:
    return any(
        (isinstance(step, Check) and step.kind in CHECKSUMS and step.kind != "equal")
        or (isinstance(step, Group) and step.when is None and _sums(step.steps))
        for step in steps
    )
