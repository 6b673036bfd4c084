"""The devices of a site in memory: by profile and address for the decoder, by id for everybody."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from dutyroom.model.changes import Changes
from dutyroom.model.duty import Device, DeviceStatus
from dutyroom.model.telemetry import Scalar
from dutyroom.profiles.meter import PARAMETER, meter_of


class Registry:
    """The devices of a site by profile and address, with what the decoder asks of them."""

    def __init__(self, devices: Sequence[Device]) -> None:
        self._by_address: dict[tuple[str, str], Device] = {}
        self._parameters: dict[tuple[str, str], Mapping[str, Scalar]] = {}
        self._profiles: dict[str, tuple[str, ...]] = {}
        self.by_id: dict[str, Device] = {}
        self.changes = Changes()  # devices
        for device in devices:
            self.add(device)

    def add(self, device: Device) -> None:
        """A new device, or another version of one: its former address is free again."""
        old = self.by_id.get(device.id)
        self.by_id[device.id] = device
        self.changes.tell(device.id)
        speaks = device.status is not DeviceStatus.WITHDRAWN
        if speaks:
            self._parameters[_key(device)] = _parameters(device)
            self._by_address[_key(device)] = device
            known = self._profiles.get(device.address, ())
            if device.profile not in known:
                self._profiles[device.address] = (*known, device.profile)
        if old is not None and not (speaks and _key(old) == _key(device)):
            found = self._by_address.get(_key(old))
            if found is not None and found.id == device.id:
                del self._by_address[_key(old)]
                self._profiles[old.address] = tuple(
                    p for p in self._profiles.get(old.address, ()) if p != old.profile
                )

    def admit(self, device: Device) -> None:
        """Reads the messages of one that is on no list and that no rule sees."""
        self._parameters[_key(device)] = device.parameters
        self._by_address[_key(device)] = device
        self._profiles[device.address] = (*self._profiles.get(device.address, ()), device.profile)

    def find(self, profile: str, address: str) -> Device | None:
        return self._by_address.get((profile, address))

    def parameters(self, profile: str, address: str) -> Mapping[str, Scalar] | None:
        """What `Library.decode` wants to know; None = not registered."""
        key = (profile, address)
        return self._parameters[key] if key in self._by_address else None

    def profiles(self, address: str) -> Collection[str]:
        """Under which profiles a device with this address is registered."""
        return self._profiles.get(address, ())


def _key(device: Device) -> tuple[str, str]:
    return device.profile, device.address


def _parameters(device: Device) -> Mapping[str, Scalar]:
    """The row's own, and what it says of its meter."""
    meter = meter_of(device.device_class, device.digits, device.resolution)
    return device.parameters if meter is None else {**device.parameters, PARAMETER: meter.parameter()}
