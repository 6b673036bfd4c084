"""decrease: a register that went down and did not merely pass its last digit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import nan
from typing import Any, ClassVar

import numpy as np

from dutyroom.fields import Fields
from dutyroom.model.duty import Condition
from dutyroom.model.telemetry import Floats, Longs, Point
from dutyroom.rules.columns import NEVER, Bools, Field, Keep, Slots, Stepped
from dutyroom.rules.kind import ANY, Bounds, Instance, Place, counters
from dutyroom.rules.spec import Rule
from dutyroom.timebase import DAY, HOUR, Ms

DOC = (
    "A register lower than before. Passing the last digit is none: what it moved, modulo its span, "
    "is then no more than `max_rate` (unit per hour) allows, and than a quarter of the span. Counters "
    "that reset by design are left out, and so is a reset that the device tells of itself. Clears when the old level returns, "
    "when an exchange of the meter is on record, or with the next reading where it only went back to where it was "
    "before it rose most within the last two days: that had been wrong."
)

_SLACK_STEPS = 2  # rounding by a gateway
LATELY: Ms = 2 * DAY + HOUR  # a meter that is read each day has had its next turn by then


def parameters(fields: Fields) -> dict[str, object]:
    return {"max_rate": fields.number("max_rate", 200.0, low=0.0)}


class Levels(Stepped):
    """Of each register its newest reading, and by how much it had risen most within two days, from where, and when; in the point's
    unit."""

    FIELDS: ClassVar = {
        "at": Field(np.int64, NEVER),
        "level": Field(np.float64, nan),
        "base": Field(np.float64, nan),
        "rise": Field(np.float64, 0.0),
        "rose": Field(np.int64, NEVER),
    }
    at: Longs
    level: Floats
    base: Floats  # the level before it
    rise: Floats
    rose: Longs

    def look(self, slots: Slots, at: Longs, value: Floats) -> tuple[Bools, Keep]:
        def keep(which: Bools) -> None:
            self.put(slots[which], at[which], value[which])

        return ~(value < self.level[slots]), keep  # there is no level before the first

    def put(self, slots: Slots, at: Longs, value: Floats) -> None:
        """The newest readings of registers, one each."""
        rise = value - self.level[slots]
        most = (rise > 0) & ((rise >= self.rise[slots]) | (self.rose[slots] < at - LATELY))
        rows = slots[most]
        self.base[rows], self.rise[rows], self.rose[rows] = self.level[rows], rise[most], at[most]
        self.at[slots], self.level[slots] = at, value


class DecreaseInstance(Instance):
    """Over all counters of the device."""

    __slots__ = ("columns", "max_rate", "old", "resets", "rows", "specs")
    columns: Levels

    def __init__(
        self, rule: Rule, device: str, points: Sequence[Point], max_rate: float, levels: Levels
    ) -> None:
        ids = tuple(p.id for p in points)
        super().__init__(rule, device, ids, tuple(levels.add() for _ in ids))
        self.columns, self.max_rate = levels, max_rate
        self.rows = dict(zip(ids, self.slots, strict=True))
        self.specs = {p.id: p.spec for p in points}
        self.old: dict[
            int, tuple[float, Ms]
        ] = {}  # the level before the decrease that is reported, and when that was
        self.resets: dict[int, Ms] = {}  # when the device last said that it began again at 0

    def take(self, point: int, at: Ms, value: float, retained: bool, received: Ms) -> Condition | None:
        if retained:
            return None
        slot, levels = self.rows[point], self.columns
        before = (levels.at.item(slot), levels.level.item(slot))
        levels.put(np.array([slot]), np.array([at]), np.array([value]))
        if before[0] == NEVER:
            return None
        if point in self.old:
            said = self._returned(point, at, value)
            if point in self.old and self._undone(slot, at, value):
                self.old[point] = value, self.old[point][1]
            return said
        if before[0] < self.resets.get(point, 0) <= at:
            return None
        if value >= before[1] - self._slack(point) or self._rolled(point, before, at, value):
            return None
        self.old[point] = before[1], at
        said = self._change(point, at, value, True)
        if self._undone(slot, at, value):
            self.old[point] = value, at  # it goes on from there
        return said

    @property
    def foresees(self) -> bool:
        return self.rest and self.spoke == NEVER

    def calm(self, point: int, value: float) -> Bounds | None:
        return None if point in self.old else ANY

    def reset(self, point: int, at: Ms) -> Condition | None:
        """Not a thing to send somebody for: the reading after it is the new level, and billing holds
        the use over it back. A decrease that is reported already is explained by it."""
        self.resets[point] = max(at, self.resets.get(point, 0))
        if point not in self.old:
            return None
        del self.old[point]
        level = self.columns.level.item(self.rows[point])
        return self._change(point, at, level, False) if not self.old else None

    def accept(self, explained: Callable[[Ms], bool]) -> Condition | None:
        """Else it would see no decrease of a register that was exchanged for one lower until that has passed the old level."""
        known = {point: at for point, (_, at) in self.old.items() if explained(at)}
        if self.old and not known:
            return None
        for point in known:
            del self.old[point]
        if not self.old and not self._active:
            return None
        holding = bool(self.old)
        begun = {point: at for point, (_, at) in self.old.items()} or known
        if not begun:  # the alarm table said that it holds
            self._active = False
            return None
        point = min(begun, key=lambda p: begun[p])
        return self._change(point, begun[point], self.columns.level.item(self.rows[point]), holding)

    def adopt(self, active: bool) -> None:
        """Where the table knows of none, what was reported is explained."""
        super().adopt(active)
        if not active:
            self.old.clear()

    def decided(self, at: Ms) -> None:
        super().decided(at)
        # A state of an older version did not say when.
        self.old = {p: (v, at if began == NEVER else began) for p, (v, began) in self.old.items()}

    def _undone(self, slot: int, at: Ms, value: float) -> bool:
        """Whether a register is back where it was before it rose most within two days, but for what may have moved since."""
        levels = self.columns
        base, rise, rose = levels.base.item(slot), levels.rise.item(slot), levels.rose.item(slot)
        moved = self.max_rate * max(at - rose, HOUR) / HOUR
        return rose >= at - LATELY and 0 <= value - base <= min(moved, rise / 2)

    def _slack(self, point: int) -> float:
        step = self.specs[point].step
        return 0.0 if step is None else float(step) * _SLACK_STEPS

    def _rolled(self, point: int, before: tuple[Ms, float], at: Ms, value: float) -> bool:
        spec = self.specs[point]
        if spec.modulus is None or spec.step is None:
            return False
        span = float(spec.step * spec.modulus)
        moved = (value - before[1]) % span
        # A short counter moves its whole span in an hour at that rate: then every decrease would fit.
        return moved <= min(self.max_rate * max(at - before[0], HOUR) / HOUR, span / 4)

    def _returned(self, point: int, at: Ms, value: float) -> Condition | None:
        old, _ = self.old[point]
        if not old - self._slack(point) <= value <= old + self.max_rate * 24:
            return None
        del self.old[point]
        return self._change(point, at, value, False) if not self.old else None

    def _change(self, point: int, at: Ms, value: float, active: bool) -> Condition:
        self._active = active
        spec = self.specs[point]
        return Condition(
            self.rule.id,
            self.device,
            active,
            at,
            spec.name,
            value,
            None,
            spec.unit,
            {"before": round(self.old.get(point, (value, at))[0], 3), "after": round(value, 3)},
        )

    @property
    def rest(self) -> bool:
        return not (self.active or self.old or self.resets)

    def dump(self) -> list[Any]:
        levels = self.columns
        columns = (levels.at, levels.level, levels.base, levels.rise, levels.rose)
        newest = [
            (point, tuple(column.item(slot) for column in columns))
            for point, slot in self.rows.items()
            if levels.at.item(slot) != NEVER
        ]
        # By point: two engines that know the same say the same.
        old = sorted((point, *row) for point, row in self.old.items())
        return [self.active, sorted(newest), old, sorted(self.resets.items())]

    def load(self, data: Sequence[Any]) -> None:
        self._active = data[0]
        levels, mine = self.columns, list(self.slots)
        levels.at[mine], levels.level[mine], levels.base[mine] = NEVER, nan, nan
        levels.rise[mine], levels.rose[mine] = 0.0, NEVER
        for point, (at, level, *rise) in data[1]:
            if (slot := self.rows.get(int(point))) is not None:
                levels.at[slot], levels.level[slot] = int(at), float(level)
                if rise:  # an older snapshot has none
                    levels.base[slot], levels.rise[slot] = float(rise[0]), float(rise[1])
                    levels.rose[slot] = int(rise[2])
        # An older snapshot does not say when.
        self.old = {int(p): (float(v), int(*at or (NEVER,))) for p, v, *at in data[2] if p in self.specs}
        resets = data[3] if len(data) > 3 else ()  # an older snapshot has none
        self.resets = {int(p): int(at) for p, at in resets if p in self.specs}


def build(rule: Rule, place: Place) -> DecreaseInstance | None:
    points = [p for p in counters(place, rule.point) if not p.spec.resets]
    rate = rule.parameters.get("max_rate")
    if not points:
        return None
    return DecreaseInstance(
        rule, place.device.id, points, rate if isinstance(rate, float) else 0.0, place.shelf.of(Levels)
    )
