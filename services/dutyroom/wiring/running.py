"""One site, running: its stores, its loops, and what the pages see of it."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import structlog

from dutyroom.backends.broker import EmbeddedBroker
from dutyroom.backends.cron import Cron
from dutyroom.backends.journal import SqliteJournal
from dutyroom.backends.mqtt import MqttInbound
from dutyroom.errors import DutyroomError, Fenced, Unavailable
from dutyroom.flows.devices import DeviceDesk, estate_of, fed
from dutyroom.flows.following import Following, last_change
from dutyroom.flows.ground import ground_of
from dutyroom.flows.ingest import Ingest
from dutyroom.flows.intake import Intake
from dutyroom.flows.keep import Keep
from dutyroom.flows.late import StoredPast
from dutyroom.flows.lease import FencedRecords
from dutyroom.flows.line import Line
from dutyroom.flows.live import Live
from dutyroom.flows.loops import INGEST_PATIENCE, IngestWork, Loop
from dutyroom.flows.outage import Outage
from dutyroom.flows.recheck import Recheck
from dutyroom.flows.registry import Registry
from dutyroom.flows.rereading import Rereading
from dutyroom.flows.run import SiteRuntime
from dutyroom.flows.scheduler import DOWN, Scheduler
from dutyroom.flows.shelf import LOOK_S
from dutyroom.flows.spool import READERS, held_by_watch
from dutyroom.flows.upkeep import Upkeep
from dutyroom.flows.watch import Watch
from dutyroom.interfaces import ReadingStore, Records, Restarts, Tended
from dutyroom.model.telemetry import Finding
from dutyroom.rules.engine import Engine
from dutyroom.settings import Settings
from dutyroom.site import BrokerAddress, Site
from dutyroom.site.brokers import crossings
from dutyroom.timebase import Clock, Ms
from dutyroom.wiring.brokers import trial
from dutyroom.wiring.canary import Perch, canary_of
from dutyroom.wiring.health import health_of
from dutyroom.wiring.memory import remember, remember_estate
from dutyroom.wiring.seeding import Profiles, seed, shelf_of

log = structlog.get_logger(__name__)

_ON_ITS_WAY: Ms = 2000  # of the machine's clock, from a device of a demo to the rules on a busy machine
_BREATH_S = 0.02  # between two pieces of a store's upkeep: others of this process come first
_REST_S = (
    0.4  # between two turns of the store's reader: a larger block costs less, and pages do not wait for it
)
_WATCH_REST_S = 0.1  # between two turns of the watch: each asks the records what is due
_TICK_S = 1.0  # real seconds between two ticks of the watch
PLANS_S = 15.0  # between two wakes of the plans, beside the instants at which something is due
_TRIM_S = 600.0


@dataclass(slots=True)
class RunningSite:
    """A site's runtime with its threads."""

    runtime: SiteRuntime
    session: Line
    journal: SqliteJournal
    cron: Cron
    loops: list[Loop] = field(default_factory=list)
    broker: EmbeddedBroker | None = None  # our own, where the site has none
    perch: Perch | None = None  # None: no message of our own is published
    advice: list[str] = field(default_factory=list)  # what the trial of the brokers found

    def start(self) -> None:
        spare_garbage()
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
        if self.perch is not None:
            self.perch.close()
        self.runtime.store.close()
        self.journal.close()

    def said(self) -> dict[str, Any]:
        """What other processes show of it."""
        r = self.runtime
        return {
            "broker": bool(r.broker_ok()),
            "lossless": r.broker_lossless,
            "troubles": dict(r.troubles()),
            "started_at": r.started_at,
            "canary": asdict(r.health.canary) if r.health.canary is not None else None,
        }


@dataclass(frozen=True, slots=True)
class Owned:
    """A site is this process's by a lease. check: raises Fenced as soon as it is not. apart: its pages and
    plans are other processes' work, which write their wishes into the records."""

    token: int
    check: Callable[[], None]
    apart: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """Of the settings. raw_days: that raw messages stay in the journal; spool: its bytes; canary: whether to
    publish a message of our own."""

    raw_days: float
    spool: int
    canary: bool = False


def spare_garbage() -> None:
    """What a start has made lives as long as the site: collections of garbage need not go over it again and
    again. That is a third of what a message costs, with 5,000 devices; and that they come when a batch has
    been made, not a few hundred times while it is, another tenth."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def limits_of(settings: Settings) -> Limits:
    return Limits(settings.raw_days, settings.spool_bytes, settings.canary)


def open_site(
    site: Site,
    folder: Path,
    records: Records,
    store: ReadingStore,
    profiles: Profiles,
    clock: Clock,
    brokers: Sequence[BrokerAddress],
    limits: Limits,
    lossless: bool = True,
    speed: float = 1.0,
    reader: str = "bulk",
    owned: Owned | None = None,
) -> RunningSite:
    """Opens the journal in `folder`, seeds the records, and prepares the loops without starting them.

    speed: how many times as fast as the machine's the site's clock runs. reader: of MQTT, bulk or stock.
    owned: None = nobody else may want the site. What was opened is closed when it raises.
    """
    with ExitStack() as stack:
        stack.callback(store.close)
        if owned is not None:
            records = FencedRecords(records, site.id, owned.token)
        token = owned.token if owned is not None else None
        journal = SqliteJournal(folder / "journal.sqlite", False, token, limits.spool, READERS)
        stack.callback(journal.close)
        memory = folder / "subscriptions.json" if lossless else None  # a broker of our own forgets as well
        lost = _noting_losses(journal, clock) if lossless else lambda broker: None
        line = Line(lambda: MqttInbound(site.id, brokers, clock, reader, memory, lost))
        running = _put_together(
            site, folder, records, store, profiles, clock, brokers, journal, line, limits, speed, owned
        )
        running.runtime.broker_lossless = lossless
        if lossless:
            running.loops.append(trial(brokers, lambda: line.connected, running.advice))
        stack.pop_all()
    return running


def _noting_losses(journal: SqliteJournal, clock: Clock) -> Callable[[str], None]:
    """For a broker that has forgotten our session: nobody would see it in a log."""

    def lost(broker: str) -> None:
        with contextlib.suppress(DutyroomError):  # it stands in the log in any case
            journal.note([Finding("session_lost", "", clock.now(), broker)], {})

    return lost


def _put_together(
    site: Site,
    folder: Path,
    records: Records,
    store: ReadingStore,
    profiles: Profiles,
    clock: Clock,
    brokers: Sequence[BrokerAddress],
    journal: SqliteJournal,
    session: Line,
    limits: Limits,
    speed: float,
    owned: Owned | None,
) -> RunningSite:
    since = last_change(records)
    remember(site, folder)
    library = profiles.library
    devices, table = seed(site, records, library, store)
    topology, feeds = fed(site, devices)
    site = replace(site, topology=topology, drawn=site.drawn if site.drawn is not None else site.topology)
    remember_estate(estate_of(site, library), profiles.own, folder)
    live = Live()
    registry = Registry(devices)
    runtime = SiteRuntime(site, table, live, journal, store, records, clock, started_at=clock.now())
    perch = canary_of(runtime, brokers, registry, session.extend) if limits.canary and brokers else None
    filling = _filling(runtime)
    ingest = Ingest(site.id, library, registry, table, journal, records, live, site.adopt_unknown)
    rereading = Rereading(journal, ingest)
    rereading.ask()  # profiles or the registry may have changed while we were away
    runtime.intake = Intake(site.id, library, registry, table, records, ingest, rereading, store.latest)
    intake = runtime.intake
    runtime.shelf = shelf_of(profiles, intake, clock, session.extend)
    runtime.devices = DeviceDesk(
        site, lambda: intake.library, records, table, store.latest, clock, intake.register, feeds
    )
    runtime.broker_ok = lambda: session.connected
    running = RunningSite(runtime, session, journal, Cron(clock), perch=perch)
    running.loops = _loops(running, ingest, rereading, registry, limits, speed, owned)
    running.loops += [filling] if filling is not None else []
    running.loops += perch.loops if perch is not None else ()
    if owned is not None and owned.apart:
        running.loops.append(_following(runtime, since))
    else:
        running.loops.append(_plans(running, speed))
    runtime.troubles = lambda: _troubles(running, owned, brokers)
    return running


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


def _troubles(running: RunningSite, owned: Owned | None, brokers: Sequence[BrokerAddress]) -> dict[str, str]:
    found = {loop.name: loop.trouble for loop in running.loops if loop.trouble}
    try:
        if owned is not None:
            owned.check()
    except Fenced as err:
        found["lease"] = str(err)
    found |= _listed("selftest", running.advice)
    shelf = running.runtime.shelf
    if shelf is not None:
        found |= _listed("profiles", list(map(str, shelf.shelved.mistakes)))
        found |= _listed("topics", list(crossings(brokers, shelf.read(shelf.library))))
    return {"broker": running.session.refused, **found} if running.session.refused else found


def _listed(name: str, said: Sequence[str]) -> dict[str, str]:
    """The first of them, and how many more there are."""
    more = f" (+{len(said) - 1})" if len(said) > 1 else ""
    return {name: f"{said[0]}{more}"} if said else {}


def _loops(
    running: RunningSite,
    ingest: Ingest,
    rereading: Rereading,
    registry: Registry,
    limits: Limits,
    speed: float,
    owned: Owned | None,
) -> list[Loop]:
    r, site = running.runtime, running.runtime.site
    check = owned.check if owned is not None else lambda: None
    recheck = _recheck(r)
    keep = Keep(
        site.id, r.table, r.journal, r.store, r.records, wrote=recheck.wrote if recheck is not None else None
    )
    upkeep = Upkeep(site.id, site.plans, site.time_zone, r.records, registry.by_id)
    ground = ground_of(site.topology, site.time_zone, site.calendar, upkeep)
    engine = Engine(site.rules, r.table, registry.by_id, ground=ground)
    lag = round(_ON_ITS_WAY * max(0.0, speed - 1))
    canary = running.perch.canary if running.perch is not None else None

    def hears() -> bool:
        return r.broker_ok() and not (canary is not None and canary.deaf)

    def away() -> frozenset[str] | None:
        found = running.session.away
        deaf = canary.deaf_at if canary is not None else frozenset()
        return None if found is None else found | {name.removeprefix("broker ") for name in deaf}

    def failing() -> set[str]:
        names = {loop.name for loop in running.loops if loop.trouble}
        names |= set() if r.broker_ok() else {"broker"}
        return names | ({"canary"} if canary is not None and canary.state.silent else set())

    outage = Outage(failing, time.monotonic)
    watch = Watch(
        site,
        r.table,
        r.records,
        r.journal,
        engine,
        r.clock,
        hears,
        lag,
        outage,
        StoredPast(r.store, r.journal),
        lambda: held_by_watch(running.journal),
        away if len(site.brokers) > 1 else None,
    )

    def keep_up() -> float:
        check()  # a store knows no tokens: who has lost the site begins nothing there
        if recheck is not None:
            recheck.look()
        keep.drain()
        more = (isinstance(r.store, Tended) and r.store.tidy()) or (recheck is not None and recheck.step())
        return _BREATH_S if more else _TICK_S

    def watching() -> float:
        upkeep.look(r.clock.now())
        if r.devices is not None:
            r.devices.tell(lambda changed: watch.reload(site.rules, registry.by_id, changed))
        watch.drain()
        watch.tick(r.clock.now())
        return _TICK_S

    def trimming() -> float:
        running.journal.trim(r.clock.now(), limits.raw_days, running.journal.passed())
        return _TRIM_S

    keeping, watched = Loop("keep", keep_up, rest_s=_REST_S), Loop("watch", watching, rest_s=_WATCH_REST_S)

    def wake_readers() -> None:
        keeping.wake()
        watched.wake()

    r.wake = watched.wake
    line = running.session
    taking = IngestWork(line, ingest, wake_readers, between=rereading.step, urgent=line)
    ingesting = Loop("ingest", taking, patience=INGEST_PATIENCE)
    looking = [Loop("profiles", _forever(r.shelf.look, LOOK_S))] if r.shelf is not None else []
    return [ingesting, keeping, watched, Loop("trim", trimming), health_of(r, registry), *looking]


def _recheck(r: SiteRuntime) -> Recheck | None:
    if not isinstance(r.store, Restarts):
        return None
    return Recheck(
        r.site.id,
        r.table,
        r.journal,
        r.store,
        r.records,
        r.clock,
        lambda: round(time.monotonic() * 1000),  # also in a demo whose days are minutes: the server's are not
    )


def _plans(running: RunningSite, speed: float) -> Loop:
    r, deciders = running.runtime, running.runtime.wake
    scheduler = Scheduler(r.site, r.table, r.store, r.records, r.clock, round(DOWN * max(1.0, speed)))
    planned = Loop("plans", _forever(scheduler.wake, _TRIM_S))
    running.cron.every(PLANS_S, planned.wake, "plans")
    running.cron.at(scheduler.next_instant, planned.wake, "plans")

    def wake_deciders() -> None:
        deciders()
        planned.wake()

    r.wake = wake_deciders
    return planned


def _following(runtime: SiteRuntime, since: int) -> Loop:
    """What pages of another process change is taken over from the records."""
    r = runtime
    assert r.devices is not None
    assert r.intake is not None
    following = Following(
        r.site.id,
        r.records,
        r.table,
        r.devices,
        r.intake,
        since,
        r.shelf.reload if r.shelf is not None else lambda: None,
        lambda rows: r.journal.settle(rows, "discarded"),
    )
    return Loop("changes", following.step)


def _forever(work: Callable[[], object], wait_s: float) -> Callable[[], float]:
    def turn() -> float:
        work()
        return wait_s

    return turn
