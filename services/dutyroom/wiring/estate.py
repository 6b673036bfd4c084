"""How the service and its commands speak with the simulated estate."""

from __future__ import annotations

INJECT_TOPIC = "dutyroom-sim/inject"


def scenario_names() -> tuple[str, ...]:
    """What the simulated estate can play."""
    from dutyroom_simulators.scenarios import NAMES

    return tuple(NAMES)
