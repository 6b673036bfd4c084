"""`dutyroom scheduler` and `dutyroom notify`: what is left to do apart from messages and pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from dutyroom.api.messages import renderer
from dutyroom.api.rights import RIGHTS
from dutyroom.api.room import Room
from dutyroom.api.words import read_catalogue
from dutyroom.backends.channels.apprise_channel import AppriseChannel
from dutyroom.backends.clock import SystemClock
from dutyroom.backends.cron import Cron
from dutyroom.backends.datafolder import DataFolder
from dutyroom.backends.journal_followed import FollowedJournal
from dutyroom.backends.memory import MemoryReadingStore
from dutyroom.backends.passwords import Passwords
from dutyroom.flows.following import PointsFollowed
from dutyroom.flows.live import Live
from dutyroom.flows.loops import Loop
from dutyroom.flows.notify import Notifier
from dutyroom.flows.run import SiteRuntime
from dutyroom.flows.scheduler import Scheduler
from dutyroom.interfaces import Records
from dutyroom.model.telemetry import PointTable
from dutyroom.settings import Settings
from dutyroom.site import Site
from dutyroom.wiring.alive import beating
from dutyroom.wiring.ingesting import told_to_end
from dutyroom.wiring.instance import log_to
from dutyroom.wiring.lastgood import read_sites
from dutyroom.wiring.running import PLANS_S
from dutyroom.wiring.stores import followed_store_of, records_of

_PLANS_REST_S = 600.0  # cron wakes long before
_MESSAGES_S = 2.0
_POINTS_S = 5.0


@dataclass(frozen=True, slots=True)
class _Room:
    """What these processes have in common."""

    settings: Settings
    sites: Sequence[Site]
    records: Records
    clock: SystemClock
    stack: ExitStack


@contextmanager
def _opened(settings: Settings, folders: Sequence[Path], role: str) -> Iterator[_Room]:
    read = read_sites(settings.data, folders)
    sites = [one.site for one in read.sites]
    with ExitStack() as stack:
        stack.enter_context(DataFolder(settings.data, shared=True))
        log_to(settings.data / f"dutyroom-{role}.log", settings.log_level)
        read.tell()
        records = records_of(settings)
        stack.callback(records.close)
        yield _Room(settings, sites, records, SystemClock(), stack)


def _run(room: _Room, role: str, loops: list[Loop], say: Callable[[str], None]) -> None:
    """Until SIGINT or SIGTERM."""

    def trouble() -> str:
        return "; ".join(f"{loop.name}: {loop.trouble}" for loop in loops if loop.trouble)

    every = [*loops, Loop("alive", beating(room.settings.data, role, trouble))]
    with told_to_end() as ending:
        for loop in every:
            loop.start()
        say(f"Dutyroom {role} is at work for {', '.join(site.id for site in room.sites)}")
        ending.wait()
    say("Stopping.")
    for loop in every:
        loop.stop.set()
        loop.woken.set()
    for loop in every:
        loop.end(10.0)


def run_scheduler(settings: Settings, folders: Sequence[Path], say: Callable[[str], None]) -> None:
    """The plans of the sites. Several may run: an occurrence is inserted once."""
    with _opened(settings, folders, "scheduler") as room:
        cron = Cron(room.clock)
        loops = []
        for site in room.sites:
            with room.records.read() as tx:
                table = PointTable(tx.devices.points(site.id))
            store = followed_store_of(settings, site.id)
            room.stack.callback(store.close)
            points = PointsFollowed(site.id, room.records, table)
            loops.append(
                _planned(cron, points, Scheduler(site, table, store, room.records, room.clock), site.id)
            )
        cron.start()
        room.stack.callback(cron.stop)
        _run(room, "scheduler", loops, say)


def _planned(cron: Cron, points: PointsFollowed, scheduler: Scheduler, site: str) -> Loop:
    def wake() -> float:
        points.step()
        scheduler.wake()
        return _PLANS_REST_S

    loop = Loop(f"plans of {site}", wake)
    cron.every(PLANS_S, loop.wake, loop.name)
    cron.at(scheduler.next_instant, loop.wake, loop.name)
    return loop


def run_notify(settings: Settings, folders: Sequence[Path], say: Callable[[str], None]) -> None:
    """The messages to people. Several may run: a message is claimed before it is sent."""
    with _opened(settings, folders, "notify") as room:
        tables: dict[str, PointTable] = {}
        for site in room.sites:
            with room.records.read() as tx:
                tables[site.id] = PointTable(tx.devices.points(site.id))
        followed = [PointsFollowed(site, room.records, table) for site, table in tables.items()]

        def points() -> float:
            for one in followed:
                one.step()
            return _POINTS_S

        notifier = Notifier(
            room.records, AppriseChannel(), room.clock, renderer(_words(room, tables)), set(tables)
        )

        def messages() -> float:
            notifier.run_due(room.clock.now())
            return _MESSAGES_S

        _run(room, "notify", [Loop("messages", messages), Loop("points", points)], say)


def _words(room: _Room, tables: dict[str, PointTable]) -> Room:
    """What puts messages into words: names of sites, devices and points, and nothing that was measured."""
    runtimes = {
        site.id: SiteRuntime(
            site,
            tables[site.id],
            Live(),
            FollowedJournal(room.settings.data / "sites" / site.id / "journal.sqlite", lambda rows: None),
            MemoryReadingStore(),
            room.records,
            room.clock,
        )
        for site in room.sites
    }
    return Room(runtimes, room.records, room.clock, Passwords(), read_catalogue(), RIGHTS)
