"""register_fault: a register that leaps."""

from __future__ import annotations

from dutyroom.fields import Fields
from dutyroom.rules.kind import Place
from dutyroom.rules.learned.meter import Meter
from dutyroom.rules.learned.register_fault import RegisterFault
from dutyroom.rules.learner import Learner, learner
from dutyroom.rules.spec import Rule

DOC = "A register that went back, or leapt farther than anything can flow through it; ends a day after the last leap."


_REGISTERS: dict[str, str] = {"gas_meter": "volume", "heat_meter": "energy"}


def parameters(fields: Fields) -> dict[str, object]:
    return {"jumps_only": fields.flag("jumps_only")}


def _jumps(meter: Meter) -> RegisterFault:
    return RegisterFault(meter, jumps_only=True)


def build(rule: Rule, place: Place) -> Learner | None:
    """On the register that the class is billed by, where the rule names none: heat and gas meters have others beside
    it (settlement days, volumes of heating water), and allocators count in units of their own."""
    point = rule.point or _REGISTERS.get(place.device.device_class, "")
    jumps_only = rule.parameters.get("jumps_only") is True
    return learner(rule, place, _jumps if jumps_only else RegisterFault, point)
