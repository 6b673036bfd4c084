"""What makes a running site read more than before: other devices, other profiles."""

from __future__ import annotations

from collections.abc import Sequence

from dutyroom.flows.ingest import Ingest
from dutyroom.flows.points import missing_points
from dutyroom.flows.registry import Registry
from dutyroom.flows.rereading import Rereading
from dutyroom.interfaces import Records
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import PointTable
from dutyroom.profiles.decode import Library


class Intake:
    """One per site, used from any thread. Raises Unavailable when the records do not answer."""

    def __init__(
        self,
        site: str,
        library: Library,
        registry: Registry,
        table: PointTable,
        records: Records,
        ingest: Ingest,
        rereading: Rereading,
    ) -> None:
        self._site, self.library, self.registry, self._table = site, library, registry, table
        self._records, self._ingest, self.rereading = records, ingest, rereading

    def register(self, devices: Sequence[Device]) -> None:
        """Devices that the records have now, new ones or others than before: they are heard at once,
        and what they said before is read again."""
        self._points(devices)
        for device in devices:
            self.registry.add(device)
        self.rereading.ask("unknown_device")

    def renew(self, library: Library) -> None:
        """Other profiles: their points first, then what comes next is read by them, and so is what
        could not be read."""
        self.library = library
        self._points(list(self.registry.by_id.values()))
        self._ingest.renew(library)
        self.rereading.ask()

    def _points(self, devices: Sequence[Device]) -> None:
        wanted = missing_points(devices, self._table, self.library)
        if wanted:
            with self._records.write() as tx:
                points = tx.devices.add_points(self._site, wanted)
            for point in points:
                self._table.add(point)
