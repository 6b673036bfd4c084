"""Rules that do not run, named where people look: findings of the data page. The engine goes on without them."""

from __future__ import annotations

from dutyroom.model.telemetry import Finding
from dutyroom.rules.engine import Engine
from dutyroom.timebase import HOUR, MINUTE, Ms

KIND = "rule_idle"
SETTLED: Ms = 10 * MINUTE  # after a start or a change: devices that have just been named have points by then
AGAIN: Ms = 12 * HOUR  # what is shown is what was found within a day
_MOST = 200


class IdleRules:
    """Says each again now and then, as long as it does not run."""

    def __init__(self) -> None:
        self._looked: Ms | None = None

    def changed(self, now: Ms) -> None:
        """Other rules or devices: looks once they have settled."""
        self._looked = now - AGAIN + SETTLED

    def look(self, engine: Engine, now: Ms) -> list[Finding]:
        """What is to be noted now, [] most of the time."""
        if self._looked is None:
            self.changed(now)
        if self._looked is None or now - self._looked < AGAIN:
            return []
        self._looked = now
        return idle(engine, now)[:_MOST]


def idle(engine: Engine, now: Ms) -> list[Finding]:
    """Rules that a device refuses, with the reason; and a site's own that look at a point which none of their
    devices has."""
    found = [Finding(KIND, device, now, f"{rule}: {why}") for (rule, device), why in engine.problems.items()]
    running = {rule for rule, _ in engine.running}
    refused = {rule for rule, _ in engine.problems}
    for rule in engine.rules.values():
        if not rule.shipped and rule.id not in running | refused:
            point = f" {rule.point!r}" if rule.point else ""
            found.append(Finding(KIND, "", now, f"{rule.id}: no device that it selects has the point{point}"))
    return found
