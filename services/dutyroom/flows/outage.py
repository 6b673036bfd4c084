"""Our own outage: one alarm, whatever of us fails, so that nobody takes silent devices for dead ones.

Broker, store, journal and canary are looked at with each tick of the watch. A short break is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf

from dutyroom.model.duty import Condition, Priority
from dutyroom.rules.spec import Rule, Select, TicketPolicy
from dutyroom.timebase import MINUTE, Ms

OBJECT = "Dutyroom"
RULE = Rule(
    "system.outage",
    "system",
    Select(),
    Priority.HIGH,
    TicketPolicy(5 * MINUTE),
    {},
    waits=False,
    respond_within=10 * MINUTE,
    shipped=True,
)
# Seconds that each may fail before it counts. The canary tells after its three minutes by itself.
PATIENCE_S: Mapping[str, float] = {
    "broker": 60.0,
    "ingest": 60.0,
    "watch": 60.0,
    "keep": 300.0,
    "canary": 0.0,
}


class Outage:
    """For the thread that watches. failing: names of PATIENCE_S that fail now. seconds: real ones."""

    def __init__(self, failing: Callable[[], set[str]], seconds: Callable[[], float]) -> None:
        self._failing, self._seconds = failing, seconds
        self._since: dict[str, float] = {}
        self.active = self._stood = False

    def adopt(self, active: bool) -> None:
        """What the records say after a start. What fails at the first look then has failed all the while."""
        self.active = self._stood = active

    def look(self, now: Ms) -> Condition | None:
        """The change at `now`, if there is one."""
        at = self._seconds()
        failing = self._failing() & PATIENCE_S.keys()
        began, self._stood = -inf if self._stood else at, False
        self._since = {name: self._since.get(name, began) for name in failing}
        out = sorted(name for name, since in self._since.items() if at - since >= PATIENCE_S[name])
        if bool(out) == self.active:
            return None
        self.active = bool(out)
        return Condition(RULE.id, OBJECT, self.active, now)
