"""What makes a running site read more than before: other devices, other profiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from dutyroom.errors import Mistake, Rejected
from dutyroom.flows.notours import NotOurs
from dutyroom.flows.points import Latest, missing_points, with_steps_kept
from dutyroom.flows.registry import Registry
from dutyroom.interfaces import Records
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import PointSpec, PointTable
from dutyroom.profiles.decode import Library
from dutyroom.timebase import Ms


class Reader(Protocol):
    """Who reads the messages by the profiles, here (`Ingest`) or in another process (`Elsewhere`)."""

    @property
    def not_ours(self) -> NotOurs: ...

    def renew(self, library: Library) -> None: ...


class Again(Protocol):
    """Who reads the quarantine again: `Rereading`, or `Elsewhere`."""

    def ask(self, *reasons: str) -> None: ...


class Elsewhere:
    """Another process reads the messages: it sees in the records what was changed here."""

    def __init__(self, not_ours: NotOurs) -> None:
        self.not_ours = not_ours

    def renew(self, library: Library) -> None:
        return None

    def ask(self, *reasons: str) -> None:
        return None


class Intake:
    """One per site, used from any thread. Raises Unavailable when records or store do not answer."""

    def __init__(
        self,
        site: str,
        library: Library,
        registry: Registry,
        table: PointTable,
        records: Records,
        ingest: Reader,
        rereading: Again,
        latest: Latest,
    ) -> None:
        """latest: the newest stored readings of points."""
        self._latest = latest
        self._site, self.library, self.registry, self._table = site, library, registry, table
        self._records, self._ingest, self.rereading = records, ingest, rereading

    def register(self, devices: Sequence[Device]) -> None:
        """Devices that the records have now, new ones or others than before: they are heard at once,
        and what they said before is read again."""
        self._points(devices, self.library)
        for device in devices:
            self.registry.add(device)
        self.rereading.ask("unknown_device", "nothing_read")

    @property
    def not_ours(self) -> NotOurs:
        return self._ingest.not_ours

    def disown(self, address: str, actor: str, now: Ms) -> None:
        """What an unknown device has sent and will send is ignored. Raises Rejected for one that is ours."""
        if self.registry.profiles(address):
            raise Rejected("error.is_ours", {"address": address})
        self.not_ours.mark(address, actor, now)
        self.rereading.ask("unknown_device")

    def renew(self, library: Library) -> list[Mistake]:
        """Other profiles: their points first, then what comes next is read by them, and so is what
        could not be read. Returns what of them does not count for devices that have readings."""
        kept = self._points(list(self.registry.by_id.values()), library)
        self.library = library
        self._ingest.renew(library)
        self.rereading.ask()
        return [_kept(library, device, spec) for device, spec in kept]

    def _points(self, devices: Sequence[Device], library: Library) -> list[tuple[Device, PointSpec]]:
        wanted, kept = with_steps_kept(
            missing_points(devices, self._table, library), self._table, self._latest
        )
        if wanted:
            with self._records.write() as tx:
                points = tx.devices.add_points(self._site, wanted)
            for point in points:
                self._table.add(point)
        return kept


def _kept(library: Library, device: Device, spec: PointSpec) -> Mistake:
    size = f"steps of {spec.step} {spec.unit}" if spec.step is not None else f"{spec.quantity}, no steps"
    return Mistake(
        library.profiles[device.profile].file,
        0,
        f"points.{spec.name}",
        f"device {device.id} has readings in {size} and keeps them; withdraw it and enter it as a new one",
    )
