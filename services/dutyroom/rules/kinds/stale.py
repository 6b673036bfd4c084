"""stale: a device that says nothing any more, by receive time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dutyroom.fields import Fields
from dutyroom.model.duty import Condition
from dutyroom.rules.columns import NEVER, instant
from dutyroom.rules.hearing import Silences
from dutyroom.rules.kind import GAPS, Instance, Place
from dutyroom.rules.spec import Rule
from dutyroom.timebase import HOUR, MINUTE, SECOND, Ms

DOC = (
    "No message of the device for `after`, or for three of its expected intervals where that is "
    "longer. A device of which no interval is known speaks when it likes: it is not judged, but with "
    "`unscheduled`. After a start nothing is stale before one full allowance has passed."
)


def parameters(fields: Fields) -> dict[str, object]:
    after = fields.duration("after")
    if fields.has("after") and after < SECOND:
        fields.wrong("after", "must be at least one second")
    return {"after": after, "unscheduled": fields.flag("unscheduled")}


class StaleInstance(Instance):
    __slots__ = ("allowance", "columns", "slot")
    hears = True
    again = False  # by receive time: what comes late was not heard
    columns: Silences

    def __init__(self, rule: Rule, device: str, allowance: Ms, silences: Silences) -> None:
        self.columns, self.slot, self.allowance = silences, silences.open(allowance), allowance
        super().__init__(rule, device, slots=(self.slot,))

    @property
    def active(self) -> bool:
        return self.columns.silent.item(self.slot)

    def adopt(self, active: bool) -> None:
        self.columns.silent[self.slot] = active

    def hear(self, received: Ms) -> Condition | None:
        return self._change(False, received) if self.active else None

    def tick(self, now: Ms) -> Condition | None:
        return self._change(True, self.columns.heard.item(self.slot) + self.allowance)

    @property
    def waiting(self) -> bool:
        return not self.active

    @property
    def rest(self) -> bool:
        return True  # all of it is in its row

    def _change(self, active: bool, at: Ms) -> Condition:
        self.columns.silent[self.slot] = active
        return Condition(
            self.rule.id,
            self.device,
            active,
            at,
            arguments={"minutes": self.allowance // MINUTE, "hours": self.allowance // HOUR},
        )

    def dump(self) -> list[Any]:
        return [self.active, instant(self.columns.heard.item(self.slot))]

    def load(self, data: Sequence[Any]) -> None:
        active, heard = data
        self.columns.silent[self.slot] = bool(active)
        self.columns.heard[self.slot] = NEVER if heard is None else int(heard)


def build(rule: Rule, place: Place) -> StaleInstance | None:
    device = place.device
    intervals = [p.spec.interval_s for p in place.table.of_device(device.id) if p.spec.interval_s]
    interval = device.interval_s or (min(intervals) if intervals else 0)
    if not interval and not rule.parameters.get("unscheduled"):
        return None
    after = rule.parameters.get("after")
    base = after if isinstance(after, int) else 0
    return StaleInstance(rule, device.id, max(base, GAPS * interval * SECOND), place.shelf.of(Silences))
