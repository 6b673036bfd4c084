"""sequence: after another rule's condition, steps that must follow each other in time.

The steps are followed by the devices' own clocks. Only one is awaited at a time; what is not known is
neither late nor done.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dutyroom.fields import Fields
from dutyroom.model.duty import Condition
from dutyroom.rules.backing import backed_in
from dutyroom.rules.behind import Behind
from dutyroom.rules.columns import FOREVER, NEVER
from dutyroom.rules.kind import Instance, Place, gap_of
from dutyroom.rules.spec import Rule
from dutyroom.rules.steps import POWER_CUT, Seen, Step, above, devices_of, read_step
from dutyroom.timebase import MINUTE, SECOND, Ms

DOC = (
    "After the condition of rule `after`, on those that the device's parameter `backs` names, else on those whose supply "
    "meets its own at a switch below it, else on any device, the `steps` must follow each other, each within its time of the one before; without `steps` those of a power cut: "
    "running, transferred, back, off. A step is a code of a point of the device, or of the devices of a class that "
    "belong to it, or (`ended`) the end of the condition. Stands while the step `late` is awaited for longer than "
    "`within`; without `late`, any step that says `within`."
)
RESUME: Ms = MINUTE  # after a time in which nobody listened: what waits in the broker comes first


def parameters(fields: Fields) -> dict[str, object]:
    after = fields.text("after")
    steps = tuple(read_step(row) for row in fields.children("steps")) if fields.has("steps") else POWER_CUT
    late, within = fields.text("late", ""), fields.duration("within", 0)
    names = [step.name for step in steps]
    if not names or len(set(names)) < len(names):
        fields.wrong("steps", "must be a list of steps with names of their own")
    if late and late not in names:
        fields.wrong("late", f"there is no step {late!r}; there is {', '.join(names)}")
    elif within:
        steps = tuple(replace(s, within=within) if s.name == late else s for s in steps)
    if not any(s.within for s in steps if s.name == late or not late):
        fields.wrong("within", "needs a time within which the step must be done")
    return {"after": after, "steps": steps, "late": late}


def elsewhere(rule: Rule) -> frozenset[str]:
    """The classes of other devices that a rule of this kind looks at."""
    steps = rule.parameters.get("steps")
    return frozenset(s.on for s in steps if s.on) if isinstance(steps, tuple) else frozenset()


class SequenceInstance(Instance):
    """Begins with the first condition and is over with the last step, or when all that it awaits is done."""

    def __init__(
        self,
        rule: Rule,
        device: str,
        after: str,
        steps: tuple[Step, ...],
        seen: Mapping[str, tuple[Seen, ...]],
        backs: frozenset[str],
    ) -> None:
        """seen: by step."""
        super().__init__(
            rule, device, tuple(dict.fromkeys(s.point.id for many in seen.values() for s in many))
        )
        self.follows, self.steps, self.seen, self.backs = after, steps, seen, backs
        self.late = str(rule.parameters.get("late", ""))
        self.causes: dict[str, Ms] = {}  # object -> since when its condition stands
        self.began: Ms | None = None  # event time of the first one; None = nothing is followed
        self.stage = 0  # the step that is awaited
        self.since: Ms = 0  # from when on
        self.held: dict[int, tuple[float, Ms]] = {}  # point -> its newest code
        self.doubted: dict[int, tuple[float, Ms]] = {}  # what was known when nobody listened for a while
        self.seen_open: set[str] = set()  # steps that were seen undone: done is news
        self.hold: Ms = 0  # time alone says nothing before
        self.changed: Ms = NEVER  # event time of the last thing that counted
        self.said = ""  # the step that the standing condition names
        self.behind = Behind()  # who is late with it, where it is a step of other devices

    def adopt(self, active: bool) -> None:
        self._active = active
        if active and not self.said:
            self.said = self.late or self.steps[self.stage].name

    # ------------------------------------------------------------ what comes

    def follow(self, condition: Condition, received: Ms) -> Condition | None:
        if self.backs and condition.object not in self.backs:
            return None
        self.changed = max(self.changed, condition.at)
        if not condition.active:
            self.causes.pop(condition.object, None)
        elif condition.object in self.causes:
            return self._done_before(condition.at)
        else:
            self.causes[condition.object] = condition.at
            if self.began is None or any(step.ended for step in self.steps[: self.stage]):
                self._begin(condition.at)
        return self._go(condition.at) or (self._done_before(condition.at) if condition.active else None)

    def _done_before(self, at: Ms) -> Condition | None:
        """Our step was done when another condition, or another who says the same, began to wait for it."""
        mine = next((step for step in self.steps[: self.stage] if step.name == self.late), None)
        if mine is None or mine.ended or self.began is None or self._blind(mine):
            return None
        return self._say(False, at, self.late)

    def _begin(self, at: Ms) -> None:
        self.began, self.stage, self.since = at, 0, at
        # What has said nothing else until now stands as it did: a switch may not turn for months.
        self.held, self.doubted = self.doubted | self.held, {}
        self.seen_open = {s.name for s in self.steps if self._known(s, at) and not self._done(s, at)}

    def take(self, point: int, at: Ms, value: float, retained: bool, received: Ms) -> Condition | None:
        if retained:
            if self.doubted.get(point, (value, at))[0] != value:
                del self.doubted[point]  # it has turned, nobody knows when
            return None
        if self.held.get(point, (None, at))[0] != value:
            self.changed = max(self.changed, at)
        self.held[point] = (value, at)
        mine = [s for s in self.steps if any(seen.point.id == point for seen in self.seen[s.name])]
        undone = [s for s in mine if value not in s.equals]
        self.seen_open.update(s.name for s in undone)
        awaited = self._awaited
        said = self._go(at)
        if said is not None or self._awaited is None:
            return said
        self._undo(undone, at)
        if awaited in undone and awaited is self._awaited and at >= self._deadline:
            return self._raise()
        return self._clear(at) or self._of_others(at)

    def _of_others(self, at: Ms) -> Condition | None:
        """Says it again when others of several are late."""
        step = self._awaited
        if not self.active or step is None or not step.on or step.name != self.said:
            return None
        if not self.behind.look(self._relevant(step), self.held, step.equals, at):
            return None
        return self._say(True, self._deadline, step.name)

    def _undo(self, undone: Iterable[Step], at: Ms) -> None:
        """A step that was done and no longer is, before the end of the condition, is awaited again."""
        for step in undone:
            number = self.steps.index(step)
            ended = any(s.ended for s in self.steps[: self.stage])
            if number < self.stage and at > self.since and not (ended or self._blind(step)):
                # Nor does what stays as it was behind it prove it: a switch stays with a generator that stopped.
                self.seen_open -= {s.name for s in self.steps[number + 1 : self.stage]}
                self.stage, self.since = number, at

    # ------------------------------------------------------------ the steps

    @property
    def _awaited(self) -> Step | None:
        return None if self.began is None else self.steps[self.stage]

    def _go(self, at: Ms) -> Condition | None:
        """As far as what is known allows. Says once that our step is done, whether it was late or not."""
        done = False
        while (step := self._awaited) is not None:
            found = (self.stage, self.since) if self._blind(step) else self._next(at)
            if found is None:
                break
            number, reached = found
            last, passed = self.steps[number], self.steps[self.stage : number]
            # What was passed over on the way to the end was not needed any more; else it came unseen.
            done |= last.name == self.late and not self._blind(last)
            done |= not last.ended and any(s.name == self.late for s in passed)
            self.stage, self.since = number + 1, max(self.since, min(reached, at))
            if self.stage == len(self.steps):
                self.began, self.stage = None, 0
        if done:
            return self._say(False, self.since, self.late)
        return self._clear(self.since if self.began is not None else at)

    def _next(self, at: Ms) -> tuple[int, Ms] | None:
        """The number of the step that is done, the awaited one or one behind it, and when it was. A code that
        has always been there proves none but the awaited one."""
        for number, step in enumerate(self.steps[self.stage :], self.stage):
            if step.ended and not self.causes:
                return number, at
            awaited = number == self.stage and not step.ended
            if self._done(step, at) and (awaited or step.name in self.seen_open):
                return number, max(self.held[s.point.id][1] for s in self._relevant(step))
            if step.ended:
                break
        return None

    def _relevant(self, step: Step) -> list[Seen]:
        """The points of a step that the causes concern."""
        return [s for s in self.seen[step.name] if not s.feeds or not s.feeds.isdisjoint(self.causes)]

    def _blind(self, step: Step) -> bool:
        """Whether nobody can see it here."""
        return not step.ended and not self._relevant(step)

    def _known(self, step: Step, at: Ms) -> bool:
        """Whether all of its points were read lately."""
        held = [(self.held.get(s.point.id), s.gap) for s in self._relevant(step)]
        return bool(held) and all(h is not None and (gap is None or at - h[1] <= gap) for h, gap in held)

    def _done(self, step: Step, at: Ms) -> bool:
        points = [s.point.id for s in self._relevant(step)]
        return self._known(step, at) and all(self.held[p][0] in step.equals for p in points)

    # ------------------------------------------------------------ what is late

    @property
    def _deadline(self) -> Ms:
        """Of the awaited step, where it is ours to say that it is late; FOREVER = none."""
        step = self._awaited
        ours = step is not None and self.late in ("", step.name)
        return self.since + step.within if step is not None and ours and step.within else FOREVER

    def _by_time(self, step: Step) -> bool:
        """Whether time alone says that it is late: its points speak when they change, or the condition stands."""
        return step.ended or (
            all(s.gap is None for s in self._relevant(step)) and self._known(step, self.since)
        )

    def reach(self, point: int, at: Ms, received: Ms) -> Condition | None:
        return self.tick(min(at, received))

    def tick(self, now: Ms) -> Condition | None:
        step = self._awaited
        if step is None or now < max(self._deadline, self.hold):
            return None
        if self.doubted:  # what the broker had kept has come by now: the others stand as they did
            self.held, self.doubted = self.doubted | self.held, {}
        return self._raise() if self._by_time(step) else None

    def deferred(self, now: Ms) -> None:
        self.hold = now + RESUME

    def paused(self, now: Ms) -> None:
        self.deferred(now)
        silent = {s.point.id for many in self.seen.values() for s in many if s.gap is None}
        self.doubted |= {point: held for point, held in self.held.items() if point in silent}
        self.held = {point: held for point, held in self.held.items() if point not in silent}

    @property
    def turned(self) -> Ms:
        return max(self.spoke, self.changed)

    @property
    def waiting(self) -> bool:
        return not self.active and self._deadline < FOREVER

    @property
    def due(self) -> tuple[Ms, Ms]:
        return max(self._deadline, self.hold), FOREVER

    # ------------------------------------------------------------ what is said

    def _raise(self) -> Condition | None:
        if self.active:
            return None
        self.changed = max(self.changed, self._deadline)
        step, self.behind = self.steps[self.stage], Behind()
        self.behind.look(self._relevant(step), self.held, step.equals, self._deadline)
        return self._say(True, self._deadline, step.name)

    def _clear(self, at: Ms) -> Condition | None:
        """What was late is no longer awaited."""
        step = self._awaited
        if not self.active or (step is not None and step.name == self.said):
            return None
        return self._say(False, at, "")

    def _say(self, active: bool, at: Ms, step: str) -> Condition:
        """step: the one that is late, or done; "" = it is no longer wanted."""
        self._active, named = active, step or self.said
        self.said = step if active else ""
        found = next((s for s in self.steps if s.name == named), None)
        arguments: dict[str, str | int] = {"device": min(self.causes, default=""), "step": named}
        if found is not None and found.within:
            arguments |= {"seconds": found.within // SECOND, "minutes": found.within // MINUTE}
        if step and not active:
            arguments["done"] = at
        if active and found is not None and found.on:
            arguments |= self.behind.arguments()
        point = found.point if found else ""
        return Condition(self.rule.id, self.device, active, at, point, arguments=arguments)

    # ------------------------------------------------------------ state

    def dump(self) -> list[Any]:
        named = {s.point.id: s.point for many in self.seen.values() for s in many}
        held = [[named[p].device, named[p].spec.name, value, at] for p, (value, at) in self.held.items()]
        awaited = self.steps[self.stage].name
        run = [self.began, awaited, self.since, sorted(self.seen_open), self.hold, self.changed]
        causes = dict(self.causes)  # what is set aside must not change with them
        doubted = [
            [named[p].device, named[p].spec.name, value, at] for p, (value, at) in self.doubted.items()
        ]
        return [self.active, self.said, causes, held, *run, dict(self.behind.devices), doubted]

    def load(self, data: Sequence[Any]) -> None:
        self._active, self.said, causes, held, self.began, awaited, self.since, undone, self.hold = data[:9]
        self.changed = data[9] if len(data) > 9 else NEVER
        self.behind = Behind()
        self.behind.devices = dict(data[10]) if len(data) > 10 else {}
        self.causes, self.seen_open = dict(causes), set(undone)
        self.stage = next((n for n, step in enumerate(self.steps) if step.name == awaited), 0)
        ids = {(s.point.device, s.point.spec.name): s.point.id for many in self.seen.values() for s in many}
        doubted = data[11] if len(data) > 11 else []
        self.held = {ids[d, p]: (value, at) for d, p, value, at in held if (d, p) in ids}
        self.doubted = {ids[d, p]: (value, at) for d, p, value, at in doubted if (d, p) in ids}


def build(rule: Rule, place: Place) -> SequenceInstance | None:
    steps, after = rule.parameters.get("steps"), rule.parameters.get("after")
    if not isinstance(steps, tuple):
        return None
    seen: dict[str, tuple[Seen, ...]] = {}
    for step in steps:
        devices = devices_of(step.on, place) if step.on else [place.device]
        found = [(d, place.table.find(d.id, step.point)) for d in devices]
        seen[step.name] = tuple(
            Seen(point, gap_of(rule, point), above(d.id, place) if step.on else frozenset())
            for d, point in found
            if point is not None
        )
    if not any(seen.values()):
        return None
    backs = backed_in(place)
    return SequenceInstance(rule, place.device.id, str(after), steps, seen, backs)
