"""`dutyroom api`: pages and API of sites whose messages another process reads.

It follows the journal and the records, and writes only into the records.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from dutyroom.backends.clock import SystemClock
from dutyroom.backends.datafolder import DataFolder
from dutyroom.backends.journal_followed import FollowedJournal
from dutyroom.backends.passwords import Passwords
from dutyroom.errors import Unavailable
from dutyroom.flows.canary import CanaryState
from dutyroom.flows.devices import DeviceDesk, estate_of, fed
from dutyroom.flows.follower import Follower
from dutyroom.flows.following import DISCARD, Following, last_change
from dutyroom.flows.intake import Elsewhere, Intake
from dutyroom.flows.live import Live
from dutyroom.flows.loops import Loop
from dutyroom.flows.notours import NotOurs
from dutyroom.flows.registry import Registry
from dutyroom.flows.run import SiteRuntime
from dutyroom.flows.shelf import LOOK_S
from dutyroom.flows.spool import READERS
from dutyroom.interfaces import ReadingStore, Records
from dutyroom.model.lease import Owners
from dutyroom.settings import Settings
from dutyroom.site import Site
from dutyroom.timebase import Clock
from dutyroom.wiring.health import health_of
from dutyroom.wiring.instance import first_administrator, log_to, make_instance, open_door
from dutyroom.wiring.lastgood import ReadSite, keep, read_sites
from dutyroom.wiring.memory import remember, remember_estate
from dutyroom.wiring.seeding import Profiles, profiles_of, seed, shelf_of
from dutyroom.wiring.stores import followed_store_of, records_of

_OWNERS_S = 1.0
_CANARY_S = 2.0


@dataclass(slots=True)
class ShownSite:
    """A site's runtime for pages, with what keeps it up to date."""

    runtime: SiteRuntime
    journal: FollowedJournal
    loops: list[Loop] = field(default_factory=list)
    broker: None = None

    def start(self) -> None:
        for loop in self.loops:
            loop.start()

    def stop(self) -> None:
        for loop in self.loops:
            loop.stop.set()
            loop.woken.set()
        for loop in self.loops:
            loop.end()
        self.runtime.store.close()
        self.journal.close()


class Ownership:
    """Who reads the messages of which site, and how that goes: asked each second."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._owners: Owners = records.leases.owners()
        self._away = ""

    def look(self) -> float:
        try:
            self._owners, self._away = self._records.leases.owners(), ""
        except Unavailable as err:
            self._away = str(err)
            raise
        return _OWNERS_S

    def broker_ok(self, site: str) -> bool:
        owner = self._owners.owner(site)
        return not self._away and owner is not None and bool(owner.said.get("broker"))

    def canary(self, site: str) -> CanaryState | None:
        """As its owner tells of it."""
        owner = self._owners.owner(site)
        said = owner.said.get("canary") if owner is not None else None
        return CanaryState(**said) if isinstance(said, dict) else None

    def troubles(self, site: str) -> dict[str, str]:
        if self._away:
            return {"records": self._away}
        owner = self._owners.owner(site)
        if owner is None:
            return {"owner": ""}
        return {str(k): str(v) for k, v in dict(owner.said.get("troubles", {})).items()}


def run_api(settings: Settings, folders: Sequence[Path], say: Callable[[str], None]) -> None:
    """Runs until SIGINT or SIGTERM. Raises Invalid or Rejected before anything is started."""
    read = read_sites(settings.data, folders)
    with ExitStack() as stack:
        folder = stack.enter_context(DataFolder(settings.data, shared=True))
        log_to(settings.data / "dutyroom-api.log", settings.log_level)
        read.tell()
        door, taken = open_door(settings)
        stack.callback(door.close)
        if taken:
            say(taken)
        clock = SystemClock()
        records = records_of(settings)
        ownership = Ownership(records)
        asking = Loop("owners", ownership.look)
        stack.callback(asking.end)
        shown = [_shown(settings, folder, one, records, clock, ownership) for one in read.sites]
        instance = make_instance(settings, folder, records, shown, clock, door, notify=False)
        stack.callback(instance.stop)
        for site in (one.site for one in read.sites):
            first = first_administrator(records, site.id, Passwords(), site.language)
            if first:
                say(f"Site {site.id}: log in as {first[0]} with the one-time password {first[1]}")
        asking.start()
        instance.start()
        for one in read.sites:
            keep(settings.data, one)

        def answering() -> None:
            instance.announce()
            say(f"Dutyroom is running at {instance.url}")

        instance.serve(answering)


def _shown(
    settings: Settings,
    folder: DataFolder,
    one: ReadSite,
    records: Records,
    clock: Clock,
    ownership: Ownership,
) -> ShownSite:
    site = one.site
    shown = open_shown(
        site,
        settings.data / "sites" / site.id,
        records,
        followed_store_of(settings, site.id),
        profiles_of(site, one.source, folder),
        clock,
        ownership,
        settings.spool_bytes,
    )
    one.show(shown.runtime)
    return shown


def open_shown(
    site: Site,
    folder: Path,
    records: Records,
    store: ReadingStore,
    profiles: Profiles,
    clock: Clock,
    ownership: Ownership,
    spool: int = 0,
) -> ShownSite:
    """What pages see of a site. `folder` may lie on a disk of another machine: then there is no journal."""
    since = last_change(records)
    remember(site, folder)
    library = profiles.library
    devices, table = seed(site, records, library, store)
    topology, feeds = fed(site, devices)
    site = replace(site, topology=topology, drawn=site.drawn if site.drawn is not None else site.topology)
    remember_estate(estate_of(site, library), profiles.own, folder)

    def wish(rows: Sequence[int]) -> None:
        with records.write() as tx:
            tx.change(site.id, clock.now(), DISCARD, ",".join(map(str, rows)))

    journal = FollowedJournal(folder / "journal.sqlite", wish, spool, READERS)
    runtime = SiteRuntime(site, table, Live(), journal, store, records, clock, started_at=clock.now())
    reader = Elsewhere(NotOurs(site.id, records))
    registry = Registry(devices)
    intake = Intake(site.id, library, registry, table, records, reader, reader, store.latest)
    shelf = shelf_of(profiles, intake, clock)
    desk = DeviceDesk(
        site, lambda: intake.library, records, table, store.latest, clock, intake.register, feeds
    )
    runtime.intake, runtime.shelf, runtime.devices = intake, shelf, desk
    runtime.apart = True
    runtime.broker_ok = lambda: ownership.broker_ok(site.id)
    following = Following(site.id, records, table, desk, intake, since)
    follower = Follower(journal, lambda: journal.there, store, table, runtime.live, following.learn)

    def canary() -> float:
        runtime.health.canary = ownership.canary(site.id)
        return _CANARY_S

    loops = [
        Loop("changes", following.step),
        Loop("canary", canary),
        health_of(runtime, registry, ours=False),
        Loop("live", follower.step),
        Loop("profiles", lambda: (shelf.look(), LOOK_S)[1]),
    ]
    shown = ShownSite(runtime, journal, loops)
    runtime.troubles = lambda: _troubles(shown, follower, ownership)
    return shown


def _troubles(shown: ShownSite, follower: Follower, ownership: Ownership) -> dict[str, str]:
    found = ownership.troubles(shown.runtime.site.id)
    if follower.from_store:
        found["journal"] = ""
    return found | {loop.name: loop.trouble for loop in shown.loops if loop.trouble}
