"""Alarms that topology has inferred come in; out goes what those who follow a rule are to be told of them.

A cut behind an instrument that says nothing is a cut: the generator is expected to start, though no rule on that feed
says a word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import orjson

from dutyroom.alarms import spans_of
from dutyroom.model.duty import Alarm, Condition, Device, Spans
from dutyroom.rules.spec import Rule
from dutyroom.timebase import Ms

GUESS = "inferred"  # argument of an alarm that was inferred: in which utility its device is dead
SINCE = "inferred_at"  # since when, the first time
WAS = "was_inferred"  # the utility, of one that stands on for another reason
UNTIL = "inferred_until"  # and until when

Cut: TypeAlias = tuple[str, str]  # utility, device


def words(utility: str, device: Device | None, rules: Mapping[str, Rule]) -> tuple[str, ...]:
    """The rules that would say of a device of this class that it is dead in this utility."""
    return tuple(
        rule.id
        for rule in rules.values()
        if rule.root and rule.utility == utility and device is not None
        if device.device_class in rule.select.classes
    )


def cut_of(alarm: Alarm) -> str:
    """The utility in which the device of an alarm is or was inferred to be dead, "" = never."""
    return str(alarm.arguments.get(GUESS) or alarm.arguments.get(WAS) or "")


def cuts(alarm: Alarm) -> Spans:
    """From when to when an alarm stands for a device that is inferred to be dead, as it was known."""
    since, until = alarm.arguments.get(SINCE), alarm.arguments.get(UNTIL)
    if not cut_of(alarm) or alarm.disproved:
        return ()
    first = since if isinstance(since, int) else alarm.raised_at
    found = [span for span in spans_of(alarm) if span[0] >= first]
    if isinstance(until, int):
        found = [(begin, until if end is None else min(end, until)) for begin, end in found if begin <= until]
    return tuple(found)


@dataclass(slots=True)
class Told:
    """What is known to those who follow a rule: of each cut since when, and which alarm stands for it."""

    known: dict[Cut, tuple[Ms, str]] = field(default_factory=dict)

    @staticmethod
    def load(data: bytes) -> Told:
        """data: what `dump` gave."""
        return Told({(utility, object): (at, rule) for utility, object, at, rule in orjson.loads(data)})

    def dump(self) -> bytes:
        return orjson.dumps([[*cut, at, rule] for cut, (at, rule) in sorted(self.known.items())])

    def look(
        self, alarms: Iterable[Alarm], rules: Mapping[str, Rule], devices: Mapping[str, Device], now: Ms
    ) -> list[Condition]:
        """What they are to be told: of cuts that have begun, and of those that are over. alarms: those that have
        changed, or all."""
        found: list[Condition] = []
        for alarm in alarms:
            utility = cut_of(alarm)
            if not utility:
                continue
            spans, cut = cuts(alarm), (utility, alarm.object)
            begin, end = spans[-1] if spans else (now, now)
            if alarm.ended_at is not None and end is None:
                end = alarm.ended_at
            before = self.known.get(cut)
            if before is not None and (end is not None or before[0] != begin):
                if before[1] != alarm.rule:
                    continue  # another alarm stands for it
                found += _said(cut, False, begin if end is None else max(end, before[0]), rules, devices)
                del self.known[cut]
                before = None
            if before is None and end is None:
                found += _said(cut, True, begin, rules, devices)
                self.known[cut] = begin, alarm.rule
        return found

    def missing(
        self, alarms: Sequence[Alarm], rules: Mapping[str, Rule], devices: Mapping[str, Device], now: Ms
    ) -> list[Condition]:
        """After a start, of all open alarms and those that have ended lately: also of cuts of which no alarm is left."""
        found = self.look(alarms, rules, devices, now)
        left = {(cut_of(alarm), alarm.object) for alarm in alarms}
        for cut in [cut for cut in self.known if cut not in left]:
            found += _said(cut, False, now, rules, devices)
            del self.known[cut]
        return found


def _said(
    cut: Cut, active: bool, at: Ms, rules: Mapping[str, Rule], devices: Mapping[str, Device]
) -> list[Condition]:
    utility, object = cut
    return [Condition(rule, object, active, at) for rule in words(utility, devices.get(object), rules)]
