"""One site, running: its stores, its loops, and what the pages see of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog

from dutyroom.backends.broker import EmbeddedBroker
from dutyroom.backends.cron import Cron
from dutyroom.backends.datafolder import DataFolder
from dutyroom.backends.journal import SqliteJournal
from dutyroom.backends.mqtt import MqttInbound
from dutyroom.errors import Invalid, Mistake, Rejected, Unavailable
from dutyroom.flows.devices import DeviceDesk, estate_of, fed
from dutyroom.flows.ingest import Ingest
from dutyroom.flows.intake import Intake
from dutyroom.flows.keep import READER as KEEP
from dutyroom.flows.keep import Keep
from dutyroom.flows.live import Live
from dutyroom.flows.loops import IngestWork, Loop
from dutyroom.flows.points import Latest, missing_points, with_steps_kept
from dutyroom.flows.registry import Registry
from dutyroom.flows.rereading import Rereading
from dutyroom.flows.run import SiteRuntime
from dutyroom.flows.scheduler import DOWN, Scheduler
from dutyroom.flows.shelf import LOOK_S, Shelf
from dutyroom.flows.watch import READER as WATCH
from dutyroom.flows.watch import Watch
from dutyroom.interfaces import ReadingStore, Records, Tx
from dutyroom.model.duty import Device, Person
from dutyroom.model.telemetry import Lane, Point, PointTable, Reading
from dutyroom.profiles.decode import Library, load_library
from dutyroom.profiles.loading import load_profiles
from dutyroom.rules.engine import Engine
from dutyroom.site import BrokerAddress, Site
from dutyroom.timebase import Clock, Ms, zone
from dutyroom.wiring.memory import remember_estate
from dutyroom.wiring.shipped import shipped

log = structlog.get_logger(__name__)

_ON_ITS_WAY: Ms = 2000  # of the machine's clock, from a device of a demo to the rules on a busy machine
_TICK_S = 1.0  # real seconds between two ticks of the watch
_PLANS_S = 15.0  # between two wakes of the plans, beside the instants at which something is due
_TRIM_S = 600.0


@dataclass(slots=True)
class RunningSite:
    """A site's runtime with its threads."""

    runtime: SiteRuntime
    session: MqttInbound
    journal: SqliteJournal
    cron: Cron
    loops: list[Loop] = field(default_factory=list)
    broker: EmbeddedBroker | None = None  # our own, where the site has none

    def start(self) -> None:
        self.session.start()
        for loop in self.loops:
            loop.start()
        self.cron.start()

    def stop(self) -> None:
        """Everything that came in is in the journal; the rest stays with the broker."""
        self.cron.stop()
        for loop in self.loops:
            loop.stop.set()
            loop.woken.set()
        self.session.stop()
        for loop in self.loops:
            loop.end()
        self.runtime.store.close()
        self.journal.close()


def seed(
    site: Site, records: Records, library: Library, store: ReadingStore
) -> tuple[list[Device], PointTable]:
    """Devices and people of the folder that the database does not have yet; points of all devices.

    What is in the database already is the database's: files only seed it.
    """
    with records.write() as tx:
        known = {device.id: device for device in tx.devices.all(site.id)}
        fresh = [device for device in site.devices if device.id not in known]
        if fresh:
            tx.devices.upsert(fresh)
        people = {person.login for person in tx.people.all(site.id)}
        for person in site.people:
            if person.login not in people:
                _let_in(tx, person)
        devices = list(tx.devices.all(site.id))
        table = PointTable(tx.devices.points(site.id))
        wanted, _ = with_steps_kept(missing_points(devices, table, library), table, _latest(store))
        if wanted:
            for point in tx.devices.add_points(site.id, wanted):
                table.add(point)
    return devices, table


def _latest(store: ReadingStore) -> Latest:
    """The newest readings; where the store is away every point may have some."""

    def latest(points: Sequence[Point]) -> Mapping[int, Reading]:
        try:
            return store.latest(points)
        except Unavailable:
            return {point.id: Reading(point.id, 0, 0.0) for point in points}

    return latest


def _let_in(tx: Tx, person: Person) -> None:
    """Raises Rejected when another site has the login: it alone says who comes in."""
    other = tx.people.by_login(person.login)
    if other is not None:
        raise Rejected(
            f"people.yaml of site {person.site}: the login {person.login!r} belongs to site "
            f"{other.site or '(all)'}; give this person another one"
        )
    tx.people.upsert(person)


@dataclass(frozen=True, slots=True)
class Profiles:
    """The profiles of a site and where they come from. own: a folder that need not be there."""

    library: Library
    own: Path | None
    privacy_key: bytes
    mistakes: tuple[Mistake, ...] = ()  # of own files, which are not in the library then


def profiles_of(site: Site, source: Path | None, folder: DataFolder) -> Profiles:
    """The shipped profiles and those of the site folder; personal values are hidden by a key that
    stays in the data folder.

    A site's own profile with mistakes keeps no service from starting: what it should read waits in
    quarantine until it is mended. Raises Invalid with the mistakes of shipped ones.
    """
    own = None if source is None else source / "device_profiles"
    key = folder.secret("privacy").encode()
    there = [own] if own is not None and any(own.glob("*/*.yaml")) else []
    cache = folder.path / "cache" / f"profiles-{site.id}.bin"
    tz = zone(site.time_zone)
    try:
        return Profiles(load_library(shipped("device_profiles"), tz, key, there, cache), own, key)
    except Invalid as err:
        if own is None or not all(Path(m.file).is_relative_to(own) for m in err.mistakes):
            raise
    found, mistakes = load_profiles(shipped("device_profiles"), *there)
    return Profiles(Library(found, tz, key), own, key, tuple(mistakes))


def open_site(
    site: Site,
    folder: Path,
    records: Records,
    store: ReadingStore,
    profiles: Profiles,
    clock: Clock,
    brokers: Sequence[BrokerAddress],
    raw_days: float,
    lossless: bool = True,
    speed: float = 1.0,
    reader: str = "bulk",
) -> RunningSite:
    """Opens the journal in `folder`, seeds the records, and prepares the loops without starting them.

    speed: how many times as fast as the machine's the site's clock runs. reader: of MQTT, bulk or stock.
    """
    remember(site, folder)
    library = profiles.library
    devices, table = seed(site, records, library, store)
    topology, feeds = fed(site, devices)
    site = replace(site, topology=topology, drawn=site.drawn if site.drawn is not None else site.topology)
    remember_estate(estate_of(site, library), profiles.own, folder)
    journal = SqliteJournal(folder / "journal.sqlite")
    live = Live()
    registry = Registry(devices)
    session = MqttInbound(site.id, brokers, clock, reader)
    runtime = SiteRuntime(site, table, live, journal, store, records, clock, started_at=clock.now())
    filling = _filling(runtime)
    ingest = Ingest(site.id, library, registry, table, journal, records, live, site.adopt_unknown)
    rereading = Rereading(journal, ingest)
    rereading.ask()  # profiles or the registry may have changed while we were away
    runtime.intake = Intake(site.id, library, registry, table, records, ingest, rereading, store.latest)
    runtime.shelf = _shelf(profiles, runtime.intake, session, clock)
    intake = runtime.intake
    runtime.devices = DeviceDesk(
        site, lambda: intake.library, records, table, store.latest, clock, intake.register, feeds
    )
    runtime.broker_ok = lambda: session.connected
    runtime.broker_lossless = lossless
    running = RunningSite(runtime, session, journal, Cron(clock))
    running.loops = _loops(running, ingest, registry, site, raw_days, speed)
    if filling is not None:
        running.loops.append(filling)
    runtime.troubles = lambda: _troubles(running)
    return running


def _shelf(profiles: Profiles, intake: Intake, session: MqttInbound, clock: Clock) -> Shelf:
    """The site's own profiles, watched. What they read is subscribed to, whatever else the site reads."""

    def take(library: Library) -> list[Mistake]:
        notes = intake.renew(library)
        session.extend(shelf.filters(library))
        return notes

    own = [profiles.own] if profiles.own is not None else []
    shelf = Shelf(
        shipped("device_profiles"),
        own,
        profiles.library,
        profiles.privacy_key,
        take,
        clock.now,
        profiles.mistakes,
    )
    session.extend(shelf.filters(profiles.library))
    return shelf


def _filling(runtime: SiteRuntime) -> Loop | None:
    """Fills the live values from the store; where it is away, as soon as it is back: messages are
    taken meanwhile. None = done already."""

    def fill() -> float:
        runtime.live.start(runtime.store.latest(list(runtime.table)))
        loop.stop.set()
        return 0.0

    loop = Loop("live", fill)
    try:
        fill()
    except Unavailable as err:
        log.warning("store.away", reason=str(err))
        loop.trouble = str(err)
        return loop
    return None


def _troubles(running: RunningSite) -> dict[str, str]:
    found = {loop.name: loop.trouble for loop in running.loops if loop.trouble}
    shelf = running.runtime.shelf
    if shelf is not None and (mistakes := shelf.shelved.mistakes):
        more = f" (+{len(mistakes) - 1})" if len(mistakes) > 1 else ""
        found["profiles"] = f"{mistakes[0]}{more}"
    return {"broker": running.session.refused, **found} if running.session.refused else found


def _loops(
    running: RunningSite, ingest: Ingest, registry: Registry, site: Site, raw_days: float, speed: float
) -> list[Loop]:
    r = running.runtime
    keep = Keep(site.id, r.table, r.journal, r.store, r.records)
    engine = Engine(site.rules, r.table, registry.by_id)
    lag = round(_ON_ITS_WAY * max(0.0, speed - 1))
    watch = Watch(site, r.table, r.records, r.journal, engine, r.clock, r.broker_ok, lag)
    scheduler = Scheduler(site, r.table, r.store, r.records, r.clock, round(DOWN * max(1.0, speed)))

    def watching() -> float:
        if r.devices is not None:
            r.devices.tell(lambda changed: watch.reload(site.rules, registry.by_id, changed))
        watch.drain()
        watch.tick(r.clock.now())
        return _TICK_S

    keeping = Loop("keep", _forever(keep.drain, _TICK_S))
    watched = Loop("watch", watching)
    planned = Loop("plans", _forever(scheduler.wake, _TRIM_S))
    running.cron.every(_PLANS_S, planned.wake, "plans")
    running.cron.at(scheduler.next_instant, planned.wake, "plans")

    def wake_readers() -> None:
        keeping.wake()
        watched.wake()

    def trimming() -> float:
        passed = {lane: min(r.journal.cursor(KEEP, lane), _watch_cursor(r, lane)) for lane in Lane}
        running.journal.trim(r.clock.now(), raw_days, passed)
        return _TRIM_S

    def wake_deciders() -> None:
        watched.wake()
        planned.wake()

    r.wake = wake_deciders
    between = r.intake.rereading.step if r.intake is not None else lambda: False
    ingesting = Loop("ingest", IngestWork(running.session, ingest, wake_readers, between=between))
    looking = [Loop("profiles", _forever(r.shelf.look, LOOK_S))] if r.shelf is not None else []
    return [ingesting, keeping, watched, planned, Loop("trim", trimming), *looking]


def _watch_cursor(runtime: SiteRuntime, lane: Lane) -> int:
    with runtime.records.read() as tx:
        return tx.cursor(runtime.site.id, WATCH, lane)


def _forever(work: Callable[[], object], wait_s: float) -> Callable[[], float]:
    def turn() -> float:
        work()
        return wait_s

    return turn


def remember(site: Site, folder: Path) -> None:
    """Leaves in the data folder what commands need to know of a site without its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = {
        "id": site.id,
        "name": dict(site.name),
        "time_zone": site.time_zone,
        "currency": site.currency,
        "language": site.language,
    }
    (folder / "site.json").write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")


def remembered_sites(data: Path) -> list[Site]:
    """The sites that ran on this data folder, with their names and zones only."""
    found = []
    for file in sorted(data.glob("sites/*/site.json")):
        try:
            found.append(Site(**json.loads(file.read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError) as err:
            raise Rejected(f"{file} cannot be read: {err}") from err
    return found
