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
from dutyroom.model.duty import Alarm, Arguments, Condition, Device, Spans
from dutyroom.rules.spec import Rule
from dutyroom.timebase import Ms

GUESS = "inferred"  # argument of an alarm that was inferred: in which utility its device is dead
SINCE = "inferred_at"  # since when, the first time
WAS = "was_inferred"  # the utility, of one that told of a dead device before
EARLIER = "inferred_before"  # and from when to when: begin-end, with blanks between
SUPPLIED = "supplied_at"  # argument of a silent instrument's alarm: when the cut inferred there was over
_MOST = 20  # earlier ones that are kept

Cut: TypeAlias = tuple[str, str]  # utility, device


def words(utility: str, device: Device | None, rules: Mapping[str, Rule]) -> tuple[str, ...]:
    """The rules that would say of a device of this class that it is dead in this utility; of one that is gone, all."""
    return tuple(
        rule.id
        for rule in rules.values()
        if rule.root and rule.utility == utility
        if device is None or device.device_class in rule.select.classes
    )


def cut_of(alarm: Alarm) -> str:
    """The utility in which the device of an alarm is or was inferred to be dead, "" = never."""
    return str(alarm.arguments.get(GUESS) or alarm.arguments.get(WAS) or "")


def supplied(alarm: Alarm) -> Ms | None:
    """Since when there is power again where an instrument stays silent; None = no cut was inferred there, or it lasts."""
    at = alarm.arguments.get(SUPPLIED)
    return at if isinstance(at, int) and GUESS not in alarm.arguments else None


def over(alarm: Alarm) -> Ms | None:
    """Since when its condition no longer holds."""
    return alarm.cleared_at if alarm.cleared_at is not None else alarm.ended_at


def restored(alarm: Alarm) -> Ms | None:
    """Since when there is supply again: its condition is over, or the cut that was inferred beside a silent instrument."""
    return supplied(alarm) if (ended := over(alarm)) is None else ended


def cuts(alarm: Alarm) -> Spans:
    """From when to when an alarm stands for a device that is inferred to be dead, as it was known."""
    if alarm.disproved:
        return ()
    listed = [span.split("-") for span in str(alarm.arguments.get(EARLIER, "")).split()]
    found: list[tuple[Ms, Ms | None]] = [(int(begin), int(end)) for begin, end in listed]
    if GUESS in alarm.arguments:
        since = alarm.arguments.get(SINCE)
        first = since if isinstance(since, int) else alarm.raised_at
        found += [(begin, _over(alarm, end)) for begin, end in spans_of(alarm) if begin >= first]
    return tuple(found)


def _over(alarm: Alarm, end: Ms | None) -> Ms | None:
    return alarm.ended_at if end is None else end


def kept(alarm: Alarm, now: Ms) -> Arguments:
    """What an alarm keeps of its cuts when from now on it tells of something else."""
    spans = cuts(alarm)[-_MOST:]
    if not spans:
        return {}
    return {WAS: cut_of(alarm), EARLIER: " ".join(f"{a}-{now if b is None else b}" for a, b in spans)}


@dataclass(slots=True)
class Told:
    """What is known to those who follow a rule: of each cut since when, and which alarm (its episode) stands for it."""

    known: dict[Cut, tuple[Ms, str]] = field(default_factory=dict)

    @staticmethod
    def load(data: bytes) -> Told:
        """data: what `dump` gave."""
        return Told({(utility, object): (at, episode) for utility, object, at, episode in orjson.loads(data)})

    def dump(self) -> bytes:
        return orjson.dumps([[*cut, at, episode] for cut, (at, episode) in sorted(self.known.items())])

    def look(
        self, alarms: Iterable[Alarm], rules: Mapping[str, Rule], devices: Mapping[str, Device], now: Ms
    ) -> list[Condition]:
        """What they are to be told: of cuts that have begun, and of those that are over. alarms: those that have
        changed, or all."""
        found: list[Condition] = []
        mine = [alarm for alarm in alarms if cut_of(alarm)]
        for alarm in sorted(mine, key=lambda a: _stands(a) is not None):  # one may go on where another ends
            cut, begin = (cut_of(alarm), alarm.object), _stands(alarm)
            before = self.known.get(cut)
            if before is not None and before[1] == alarm.episode and before[0] != begin:
                ended = max(dict(cuts(alarm)).get(before[0]) or now, before[0])
                found += _said(cut, False, ended, rules, devices)
                del self.known[cut]
            if begin is not None and cut not in self.known:
                found += _said(cut, True, begin, rules, devices)
                self.known[cut] = begin, alarm.episode
        return found

    def standing(self, rules: Mapping[str, Rule], devices: Mapping[str, Device]) -> list[Condition]:
        """What they were told and holds."""
        return [c for cut, (at, _) in self.known.items() for c in _said(cut, True, at, rules, devices)]

    def missing(
        self, alarms: Sequence[Alarm], rules: Mapping[str, Rule], devices: Mapping[str, Device], now: Ms
    ) -> list[Condition]:
        """After a start, of all open alarms and those that have ended lately: also of cuts of which no alarm is left."""
        found = self.look(alarms, rules, devices, now)
        left = {alarm.episode for alarm in alarms}
        for cut in [cut for cut, (_, episode) in self.known.items() if episode not in left]:
            found += _said(cut, False, now, rules, devices)
            del self.known[cut]
        return found


def _stands(alarm: Alarm) -> Ms | None:
    """Since when its cut holds; None = it is over."""
    spans = cuts(alarm)
    return spans[-1][0] if spans and spans[-1][1] is None else None


def _said(
    cut: Cut, active: bool, at: Ms, rules: Mapping[str, Rule], devices: Mapping[str, Device]
) -> list[Condition]:
    utility, object = cut
    return [Condition(rule, object, active, at) for rule in words(utility, devices.get(object), rules)]
