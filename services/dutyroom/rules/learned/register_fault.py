"""A register that went back, or leapt farther than anything can flow. Needs no learning.

The alarm stands until a day has passed without a further one: corrupted readings come in groups, and
an exchanged meter is one event however often it is read.
"""

from __future__ import annotations

from typing import Any

from dutyroom.rules.learned.meter import Meter
from dutyroom.rules.learned.packed import parts
from dutyroom.rules.learned.register import Register
from dutyroom.timebase import DAY, Ms

HOME_HOURS = 1.0  # m3/h for more than an hour: a burst pipe, a pool that is filled
HOME_WATER = 3.2  # m3/h: the overload flow of the usual meter of a home (Q3 2.5, EN ISO 4064-1)
MAIN_WATER = 1000.0  # m3/h: DN 350 at 3 m/s
HOME_POWER = 20.0  # kW: three phases of 32 A
PLANT_POWER = 2000.0  # kW: a transformer
OWN_TIMES = 15.0  # of its own largest rate, where that is more


def trusted(meter: Meter) -> Register:
    """The register of a meter, with what its class can do."""
    unit = meter.role == "unit"
    if meter.klass == "water_meter":
        if unit:
            return Register(HOME_WATER, 0.0, meter.resolution, HOME_HOURS)
        return Register(MAIN_WATER, 0.0, meter.resolution)
    return Register(HOME_POWER if unit else PLANT_POWER, OWN_TIMES, meter.resolution)


class RegisterFault:
    """On any register."""

    __slots__ = ("active", "cause", "jumps_only", "last", "level", "register")

    def __init__(self, meter: Meter, jumps_only: bool = False) -> None:
        """jumps_only: another rule tells of registers that went back."""
        self.jumps_only = jumps_only
        self.register = trusted(meter)
        self.active, self.cause = False, "meter_rollback"
        self.last: Ms = 0  # of the newest suspicious reading
        self.level = [0.0, 0.0]  # before and after

    def arguments(self) -> dict[str, float]:
        """before, after: register levels."""
        return {"before": self.level[0], "after": self.level[1]}

    def tick(self, now: Ms) -> None:
        if self.active and now - self.last >= DAY:
            self.active = False

    def read(self, at: Ms, value: float) -> None:
        before = self.register.value
        self.register.read(at, value)
        fault = self.register.fault
        if not fault or (self.jumps_only and fault != "meter_jump"):
            return
        self.last = at
        if not self.active:
            self.active, self.cause, self.level = True, fault, [before, value]

    def dump(self) -> list[Any]:
        return [self.register.dump(), self.active, self.cause, self.last, list(self.level)]

    def load(self, data: list[Any]) -> None:
        register, self.active, self.cause, self.last, self.level = parts(data, 5)
        self.register.load(register)
