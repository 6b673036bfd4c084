"""A device's own register in place of its profile's: other digits, another size of the last digit.

What a device row says of its meter reaches the decoder as one more parameter, whose name no row can
hold, so that every register of its quantity is read in the steps and up to the roll-over of that
very meter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from dutyroom.model.telemetry import DeviceClass, Kind, PointSpec, Scalar

PARAMETER = "@meter"  # among a device's parameters, as the decoder gets them

_QUANTITY = {
    DeviceClass.WATER_METER: "volume",
    DeviceClass.GAS_METER: "volume",
    DeviceClass.ELECTRICITY_METER: "energy",
    DeviceClass.FEEDER: "energy",
    DeviceClass.HEAT_METER: "energy",
}


@dataclass(frozen=True, slots=True)
class Meter:
    """What a device row says of the dial. quantity "" = of its volume and of its energy alike."""

    quantity: str = ""
    digits: int | None = None  # all that turn, decimals included: it rolls over at 10**digits steps
    resolution: Decimal | None = None  # size of the last digit, in the point's canonical unit

    def spec(self, spec: PointSpec) -> PointSpec:
        """A profile's point as this meter has it; what is no register of the quantity stays."""
        mine = (self.quantity,) if self.quantity else ("volume", "energy")
        if spec.kind is not Kind.COUNTER or spec.quantity not in mine or spec.resets:
            return spec
        step = self.resolution if self.resolution is not None else spec.step
        return replace(
            spec,
            step=step,
            digits=self.digits if self.digits is not None else spec.digits,
            wrap=spec.in_steps_of(step) if self.digits is None else None,
        )

    def parameter(self) -> str:
        return f"{self.quantity} {self.digits or ''} {self.resolution or ''}"


def register_of(device_class: str) -> str:
    """The quantity that meters of a class count; "" = a class that counts none."""
    return _QUANTITY.get(DeviceClass(device_class), "")


def meter_of(device_class: str, digits: int | None, resolution: Decimal | None) -> Meter | None:
    """What a row says of its meter; None = nothing, its profile knows."""
    if digits is None and resolution is None:
        return None
    return Meter(register_of(device_class), digits, resolution)


def read_parameter(text: Scalar) -> Meter:
    """The opposite of `Meter.parameter`."""
    quantity, digits, resolution = str(text).split(" ")
    return Meter(quantity, int(digits) if digits else None, Decimal(resolution) if resolution else None)
