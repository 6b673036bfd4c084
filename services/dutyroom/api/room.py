"""What every request shares: the sites, the records, the words. One per application."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from anyio import to_thread

from dutyroom.api.ports import DeviceFiles, Passwords, StatementFiles
from dutyroom.api.words import LANGUAGES, Catalogue, Words
from dutyroom.flows.desk import Desk
from dutyroom.flows.run import SiteRuntime
from dutyroom.interfaces import Records
from dutyroom.model.duty import Device
from dutyroom.timebase import SECOND, Clock, Ms, zone

P = ParamSpec("P")
T = TypeVar("T")
REGISTRY_AGE: Ms = 5 * SECOND


@dataclass(slots=True)
class Room:
    """The application's parts, made once by `create_app`."""

    sites: Mapping[str, SiteRuntime]
    records: Records
    clock: Clock
    passwords: Passwords
    catalogue: Catalogue
    rights: Mapping[str, str]  # route name -> least right
    files: StatementFiles | None = None
    secure_cookies: bool = False
    version: str = ""
    speed: float = 1.0  # how many times as fast as the machine's the clock runs
    device_files: DeviceFiles | None = None
    desks: dict[str, Desk] = field(default_factory=dict)
    _registry: dict[str, tuple[Ms, dict[str, Device]]] = field(default_factory=dict)

    def words(self, site: SiteRuntime, language: str = "") -> Words:
        """In this language if it is one of ours, else in the site's."""
        chosen = language if language in LANGUAGES else site.site.language
        return Words(chosen if chosen in LANGUAGES else "en", self.catalogue, zone(site.site.time_zone))

    def devices(self, site: SiteRuntime) -> dict[str, Device]:
        """Registry rows by id, read again after a few seconds."""
        name, now = site.site.id, self.clock.now()
        kept = self._registry.get(name)
        if kept is not None and 0 <= now - kept[0] < REGISTRY_AGE:
            return kept[1]
        with self.records.read() as tx:
            fresh = {device.id: device for device in tx.devices.all(name)}
        self._registry[name] = (now, fresh)
        return fresh

    def forget_devices(self, site: str) -> None:
        """The registry changed: read it again at the next question."""
        self._registry.pop(site, None)

    async def in_thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Databases block: never on the event loop."""
        return await to_thread.run_sync(lambda: function(*args, **kwargs))
