"""How the service and its commands speak with the simulated estate."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from dutyroom.backends.clock import ScaledClock
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


def agreed(data: Path, seed: int, units: int, clock: ScaledClock) -> list[str]:
    """Arguments that every program of one estate must agree on; `data`: the demo's folder."""
    return [
        "--seed",
        str(seed),
        "--units",
        str(units),
        "--data",
        str(data / "estate"),
        "--clock",
        f"{clock.base},{clock.real_base},{clock.speed}",
    ]


def simulators(*arguments: str) -> list[str]:
    """The command line of one of the simulators' programs."""
    return [sys.executable, "-m", "dutyroom_simulators", *arguments]


def run_to_its_end(
    command: list[str], started: Callable[[subprocess.Popen[str]], None] = lambda _: None
) -> None:
    """Runs one of our own programs to its end. Raises Rejected with its last words.

    started: gets the process, so that somebody can end it. It holds our pipe, so it can end with us.
    """
    theirs, ours = os.pipe()
    try:
        # A session of its own: Ctrl-C is for us, we end our children ourselves.
        with subprocess.Popen(
            command,
            stdin=theirs,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as child:
            started(child)
            _, said = child.communicate()
    finally:
        os.close(theirs)
        os.close(ours)
    if child.returncode:
        raise Rejected(f"{' '.join(command[2:4])} failed: {said.strip()[-500:]}")
