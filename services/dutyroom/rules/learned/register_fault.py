"""A register that went back, or leapt farther than anything can flow. Needs no learning.

The alarm stands until a day has passed without a further one: corrupted readings come in groups, and
an exchanged meter is one event however often it is read.
"""

from __future__ import annotations

import struct
from typing import Any

from dutyroom.rules.learned.meter import Meter
from dutyroom.rules.learned.packed import parts, whole
from dutyroom.rules.learned.register import SIZE, Register
from dutyroom.timebase import DAY, Ms

HOME_HOURS = 1.0  # m3/h for more than an hour: a burst pipe, a pool that is filled
HOME_WATER = 3.2  # m3/h: the overload flow of the usual meter of a home (Q3 2.5, EN ISO 4064-1)
MAIN_WATER = 1000.0  # m3/h: DN 350 at 3 m/s
HOME_POWER = 20.0  # kW: three phases of 32 A
PLANT_POWER = 2000.0  # kW: a transformer
OWN_TIMES = 15.0  # of its own largest rate, where that is more
HOME_GAS = 6.0  # m3/h: the most that the usual meter of a home measures (Q_max of a G4, EN 1359)
MAIN_GAS = 1600.0  # m3/h: Q_max of a G1000, as behind the pressure regulator of an estate
HOME_HEAT = 35.0  # kW: a flat that heats its tap water by heat exchanger; rooms alone take 3 to 15
MAIN_HEAT = 10_000.0  # kW: a substation on DN 150, 150 m3/h at 57 K
# What passes for an hour, of what is nominal: the overload of a gas meter (1.2 Q_max, directive 2014/32/EU, annex IV),
# the highest flow of a heat meter (q_s = 2 q_p, EN 1434-1).
OVERLOAD = {"gas_meter": 1.2, "heat_meter": 2.0}
# A gas or heat meter that is larger than a home's, and of which nothing is said, is known by what it passed: burners
# and heat exchangers go up by steps of half and double, not by digits.
STEPS_UP = 2.5
_KEPT = struct.Struct("<?Bqdd")
_CAUSES = ("meter_rollback", "meter_jump")


def trusted(meter: Meter) -> Register:
    """The register of a meter, with what its class can do."""
    unit = meter.role == "unit"
    if meter.klass == "water_meter":
        if unit:
            return Register(HOME_WATER, 0.0, meter.resolution, HOME_HOURS)
        return Register(MAIN_WATER, 0.0, meter.resolution)
    if meter.klass in OVERLOAD:
        return _metered(meter, unit)
    return Register(HOME_POWER if unit else PLANT_POWER, OWN_TIMES, meter.resolution)


def _metered(meter: Meter, unit: bool) -> Register:
    """Of gas (m3) or heat (kWh), by what is nominal: the meter's parameter `rated`, else what is usual."""
    home, main = (HOME_GAS, MAIN_GAS) if meter.klass == "gas_meter" else (HOME_HEAT, MAIN_HEAT)
    nominal = meter.rated or (home if unit else main)
    times = 0.0 if meter.rated else STEPS_UP
    return Register(OVERLOAD[meter.klass] * nominal, times, meter.resolution, nominal)


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

    def pack(self) -> bytes:
        before, after = self.level
        own = _KEPT.pack(self.active, _CAUSES.index(self.cause), self.last, before, after)
        return self.register.dump() + own

    def unpack(self, state: bytes) -> None:
        self.register.look(state)
        self.active, cause, self.last, *self.level = _KEPT.unpack_from(state, SIZE)
        self.cause = _CAUSES[cause]

    def dump(self) -> list[Any]:
        return [self.pack()]

    def load(self, data: list[Any]) -> None:
        if whole(data, self):
            return
        register, self.active, self.cause, self.last, self.level = parts(data, 5)
        self.register.load(register)
