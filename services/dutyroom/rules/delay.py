"""On-delay and off-delay, and the instance on one point that has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dutyroom.model.duty import Condition
from dutyroom.model.telemetry import Point
from dutyroom.rules.columns import FOREVER, NEVER
from dutyroom.rules.kind import GAPS, Instance, gap_of
from dutyroom.rules.spec import Rule
from dutyroom.timebase import SECOND, Ms

LATER: Ms = 2 * SECOND  # by so much one reading may be longer on its way than another


@dataclass(slots=True)
class Delay:
    """Turns "is it beyond the limit now" into raise and clear, in event time.

    A breach must be seen for `on` before it counts, its end for `off`. Time is counted between
    readings that follow each other within `gap`, or by the receive time of a value that still holds.
    A retained reading begins a wait only where values come on change, from when it was received.
    """

    on: Ms
    off: Ms
    gap: Ms | None
    active: bool = False
    since: Ms | None = None  # event time of the first reading of the change that waits
    heard: Ms = 0  # receive time of it
    last: Ms | None = None  # event time of the newest reading
    resumed: Ms = 0  # when we began to listen again
    flipped: Ms = NEVER  # event time of the last change

    def pause(self, now: Ms) -> None:
        """Nobody listened until now: the end of what waits may have been said meanwhile."""
        self.resumed = now
        self.defer(now)

    def defer(self, now: Ms) -> None:
        """Its end may be on its way."""
        if self.since is not None:
            self.heard = max(self.heard, now)

    def _unknown(self, since: Ms, at: Ms) -> bool:
        """Whether nothing is known of some time between the reading that waits and the one at `at`."""
        silent = self.gap is not None and at - (self.last or since) > self.gap
        return silent or since < self.resumed <= at

    def take(
        self, breach: bool, at: Ms, received: Ms, retained: bool, one_of_many: bool = False
    ) -> Ms | None:
        """The event time of the change that this reading completes; None = none. one_of_many: readings of other points
        of this instant may follow and speak against it, so that what ends at this instant is left to `tick` and `reach`."""
        delay = self.off if self.active else self.on
        if breach == self.active:
            if not retained:
                self.since, self.last = None, max(at, self.last or at)
            elif self.active:  # it still holds, as far as the broker knows: time alone clears nothing
                self.since = None
            return None
        if retained:
            return self._retained(at, received)
        if self.since is None or self._unknown(self.since, at):
            self.since, self.heard = at, received
        self.last = max(at, self.last or at)
        over = at - self.since > delay if one_of_many else at - self.since >= delay
        return self._flip(self.since + delay) if over else None

    def _end(self) -> Ms | None:
        """When what waits is over if nothing else is said; None = the value does not hold so long."""
        if self.since is None:
            return None
        end = self.since + (self.off if self.active else self.on)
        return None if self.gap is not None and end - (self.last or self.since) > self.gap else end

    def reach(self, at: Ms) -> Ms | None:
        """The event time of the change that the held value had completed before a reading at `at`.

        So a wait that is over ends the same whether its end was noticed by a tick or only when
        the next reading, perhaps of a backlog, came.
        """
        end = self._end()
        if end is None or self.since is None or end >= at or self.since < self.resumed <= at:
            return None
        return self._flip(end)

    def _retained(self, at: Ms, received: Ms) -> Ms | None:
        if self.active:
            return None
        if self.on == 0:
            return self._flip(at)
        if self.gap is None and self.since is None:
            self.since = self.last = self.heard = max(at, received)
        return None

    def tick(self, now: Ms) -> Ms | None:
        """The event time of the change that the held value completes by `now`; None = none."""
        return self._flip(end) if (end := self._held()) is not None and now >= self.due[0] else None

    def _held(self) -> Ms | None:
        """The end of what waits, where time alone may bring it: not if we were away meanwhile for
        longer than the value holds."""
        away = self.gap is not None and self.resumed - (self.last or 0) > self.gap
        return None if away else self._end()

    @property
    def due(self) -> tuple[Ms, Ms]:
        """Between which moments `tick` gives a change, while something waits."""
        if self._held() is None:
            return FOREVER, NEVER
        delay = self.off if self.active else self.on
        # What is read just as the delay ends may be longer on its way than the reading that began it.
        race = delay and self.gap and not GAPS * delay % self.gap
        return self.heard + delay + (LATER if race else 0), FOREVER

    def _flip(self, at: Ms) -> Ms:
        self.active, self.since, self.flipped = not self.active, None, at
        return at

    def dump(self) -> list[Any]:
        flipped = [] if self.flipped == NEVER else [self.flipped]
        if self.since is None:  # the others mean something only while it waits
            return [self.active, None, 0, None, *flipped]
        more = [self.flipped, self.resumed] if self.since < self.resumed else flipped
        return [self.active, self.since, self.heard, self.last, *more]

    def load(self, data: Sequence[Any]) -> None:
        self.active, self.since, self.heard, self.last = data[:4]
        self.flipped = data[4] if len(data) > 4 else NEVER
        self.resumed = max(self.resumed, data[5] if len(data) > 5 else 0)  # a state of before we were away


class Watched(Instance):
    """An instance on one point with a delay: `breach` decides, this does the rest."""

    __slots__ = ("delay", "limit", "point", "value")

    def __init__(
        self, rule: Rule, point: Point, slots: tuple[int, ...] = (), more: tuple[int, ...] = ()
    ) -> None:
        """slots: its row in `columns`; more: other points that it looks at."""
        super().__init__(rule, point.device, (point.id, *more), slots)
        self.point = point
        self.delay = Delay(rule.on_delay, rule.off_delay, gap_of(rule, point))
        self.value: float | None = None
        self.limit: float | None = None

    def breach(self, at: Ms, value: float, retained: bool) -> bool | None:
        """Whether the condition holds with this reading; None = it says nothing."""
        raise NotImplementedError

    def take(self, point: int, at: Ms, value: float, retained: bool, received: Ms) -> Condition | None:
        breach = self.breach(at, value, retained)
        if breach is None:
            return None
        if breach and not retained:
            self.value = value
        changed = self.delay.take(breach, at, received, retained)
        if changed is not None and retained:
            self.value = value
        return None if changed is None else self.condition(changed)

    def reach(self, point: int, at: Ms, received: Ms) -> Condition | None:
        changed = self.delay.reach(at)
        return None if changed is None else self.condition(changed)

    def paused(self, now: Ms) -> None:
        self.delay.pause(now)

    def deferred(self, now: Ms) -> None:
        self.delay.defer(now)

    def tick(self, now: Ms) -> Condition | None:
        changed = self.delay.tick(now)
        return None if changed is None else self.condition(changed)

    @property
    def turned(self) -> Ms:
        since = NEVER if self.delay.since is None else self.delay.since
        return max(since, self.delay.flipped, self.spoke)

    @property
    def waiting(self) -> bool:
        return self.delay.since is not None

    @property
    def due(self) -> tuple[Ms, Ms]:
        return self.delay.due

    @property
    def still(self) -> bool:
        """Neither active nor waiting."""
        return self.delay.since is None and not self.delay.active

    @property
    def rest(self) -> bool:
        return self.still and self.value is None and self.delay.flipped == NEVER

    @property
    def foresees(self) -> bool:
        delay = (
            self.delay
        )  # at rest, and nothing said: in one step, since each of thousands is asked at a start
        quiet = delay.since is None and not delay.active and delay.flipped == NEVER
        return quiet and self.value is None and self.spoke == NEVER

    def wake(self, point: int, at: Ms, value: float) -> None:
        if self.delay.active:
            self.value = value

    @property
    def active(self) -> bool:
        return self.delay.active

    def adopt(self, active: bool) -> None:
        if self.delay.active != active:
            self.delay.active, self.delay.since = active, None

    def decided(self, at: Ms) -> None:
        self.delay.flipped = max(self.delay.flipped, at)

    def condition(self, at: Ms) -> Condition:
        return Condition(
            self.rule.id,
            self.device,
            self.delay.active,
            at,
            self.point.spec.name,
            self.value,
            self.limit,
            self.point.spec.unit,
            self.arguments(),
        )

    def arguments(self) -> dict[str, str | int | float | bool | None]:
        """What the message needs beyond value and limit."""
        return {}

    def dump(self) -> list[Any]:
        return [self.delay.dump(), self.value]

    def load(self, data: Sequence[Any]) -> None:
        self.delay.load(data[0])
        self.value = data[1]
