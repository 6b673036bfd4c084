"""How the service and its commands speak with the simulated estate."""

from __future__ import annotations

from collections.abc import Mapping

from dutyroom.errors import Rejected

INJECT_TOPIC = "dutyroom-sim/inject"


def scenario_names() -> tuple[str, ...]:
    """What the simulated estate can play."""
    from dutyroom_simulators.scenarios import NAMES

    return tuple(NAMES)


def built_units(wanted: int) -> int:
    """How many units an estate gets that is asked for with `wanted`: whole floors."""
    from dutyroom_simulators.estate import make_estate

    return len(make_estate(units=wanted).units)


def check_scenario(name: str, options: Mapping[str, str], units: int) -> None:
    """Raises Rejected with a sentence for what an estate of that many units cannot play."""
    from dutyroom_simulators.estate import make_estate
    from dutyroom_simulators.scenarios import make_injection

    kinds = {device.id: device.kind for device in make_estate(units=units).devices}
    try:
        make_injection(name, 0, options, kinds)
    except ValueError as err:
        raise Rejected(str(err)) from err
