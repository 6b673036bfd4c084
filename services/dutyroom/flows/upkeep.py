"""What the plans of a site say of its machines, as rules ask it: when they are to run, and when they were serviced."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from dutyroom.errors import Unavailable
from dutyroom.interfaces import Records
from dutyroom.model.duty import Device
from dutyroom.plans import Plan, dues
from dutyroom.rules.spec import matches
from dutyroom.timebase import DAY, MINUTE, Ms, zone

_LOOK: Ms = MINUTE  # between two looks at the records
_BACK: Ms = 400 * DAY  # a yearly work, and a month
_COOLS: Ms = 15 * MINUTE  # a set runs on without load after a test
# Elevators are serviced every 15 days (TSG T5002); a daily check or a weekly round is none.
_SERVICE = 10
_NONE: Mapping[str, Ms] = MappingProxyType({})


class Upkeep:
    """Of one site. `look` reads the records; the others answer from memory."""

    def __init__(
        self,
        site: str,
        plans: Sequence[Plan],
        time_zone: str,
        records: Records,
        devices: Mapping[str, Device],
    ) -> None:
        """devices: may grow."""
        self._site, self._zone, self._records, self._devices = site, zone(time_zone), records, devices
        often = (plan for plan in plans if 0 < (plan.schedule.every_days or 0) < _SERVICE)
        self.rounds = frozenset(plan.id for plan in often)
        self._proven = [plan for plan in plans if plan.proof is not None and plan.select is not None]
        self._done: Mapping[str, Mapping[str, Ms]] = {}
        self._looked: Ms | None = None

    def look(self, now: Ms) -> None:
        """Reads which work was done, once a minute at most. While the records are away it knows what it knew."""
        if self._looked is not None and 0 <= now - self._looked < _LOOK:
            return
        try:
            with self._records.read() as tx:
                found = tx.occurrences.last_done(self._site, since=now - _BACK, until=now + _BACK)
        except Unavailable:
            return
        done: defaultdict[str, dict[str, Ms]] = defaultdict(dict)
        for (plan, device), at in found.items():
            if device:
                done[device][plan] = at
        self._done, self._looked = done, now

    def serviced(self, device: str) -> Mapping[str, Ms]:
        """By plan: when its work on the device was done last."""
        return self._done.get(device, _NONE)

    def planned(self, device: str, at: Ms) -> bool | None:
        """Whether a plan wants a run of the device, proven by telemetry, at that moment; None = no plan ever does.
        What has been run already is wanted no more, once it has cooled down."""
        known = self._devices.get(device)
        mine = [p for p in self._proven if known is not None and p.select and matches(p.select, known)]
        return any(self._wants(plan, device, at) for plan in mine) if mine else None

    def _wants(self, plan: Plan, device: str, at: Ms) -> bool:
        done = self.serviced(device).get(plan.id)
        return any(
            done is None or not due - plan.ahead <= done < at - _COOLS
            for due in dues(plan.schedule, self._zone, at - plan.grace, at + max(plan.ahead, 0) + 1)
        )
