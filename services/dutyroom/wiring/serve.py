"""`dutyroom serve`: real sites from their folders; and the example that `dutyroom init` writes."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import structlog

import dutyroom
from dutyroom.backends.broker import EmbeddedBroker
from dutyroom.backends.clock import SystemClock
from dutyroom.backends.datafolder import DataFolder
from dutyroom.backends.passwords import Passwords
from dutyroom.errors import Rejected
from dutyroom.flows.lease import Keeper
from dutyroom.interfaces import Records
from dutyroom.settings import Settings
from dutyroom.site import BrokerAddress
from dutyroom.wiring.figures import figure_loops
from dutyroom.wiring.instance import (
    Instance,
    first_administrator,
    ignoring_interrupts,
    log_to,
    make_instance,
    open_door,
)
from dutyroom.wiring.lastgood import ReadSite, keep, read_sites
from dutyroom.wiring.leasing import Leasing, this_folder
from dutyroom.wiring.running import Owned, RunningSite, limits_of, open_site
from dutyroom.wiring.seeding import profiles_of
from dutyroom.wiring.stores import awaited_store_of, records_of

log = structlog.get_logger(__name__)

_NO_BROKER = (
    "is missing; name the broker that the devices publish to (for a trial without one: --embedded-broker)"
)


def run_serve(
    settings: Settings, folders: Sequence[Path], embedded_broker: bool, say: Callable[[str], None]
) -> None:
    """Runs until SIGINT or SIGTERM. Raises Invalid or Rejected before anything is started."""
    read = read_sites(
        settings.data, folders, lambda site: "" if site.broker or embedded_broker else _NO_BROKER
    )
    names = tuple(one.site.id for one in read.sites)
    for one in read.sites:
        if one.site.broker is not None and embedded_broker:
            say(f"Site {one.site.id}: its site.yaml names a broker; --embedded-broker starts none for it")
    with ExitStack() as stack:
        folder = stack.enter_context(DataFolder(settings.data))
        log_to(settings.data / "dutyroom.log", settings.log_level)
        read.tell()
        door, taken = open_door(settings)
        stack.callback(door.close)
        if taken:
            say(taken)
        clock = SystemClock()
        records = records_of(settings)
        leasing = Leasing(records, this_folder("serve", folder), "serve", names)
        stack.callback(leasing.end)
        leasing.start()
        opened = _open_all(settings, folder, read.sites, records, leasing, clock, stack, say)
        running = list(opened.values())
        instance = make_instance(settings, folder, records, running, clock, door)
        instance.before_closing = leasing.end
        stack.callback(instance.stop)
        for site in (running_site.runtime.site for running_site in running):
            first = first_administrator(records, site.id, Passwords(), site.language)
            if first:
                say(f"Site {site.id}: log in as {first[0]} with the one-time password {first[1]}")
        instance.start()
        for one in read.sites:
            if one.site.id in opened:
                keep(settings.data, one)
        for started in running:
            _attach(leasing.keeper, started, instance)
        own = [site.broker for site in running if site.broker is not None]

        def answering() -> None:
            instance.announce(f"{own[0].host}:{own[0].port}" if len(own) == 1 else "")
            say(f"Dutyroom is running at {instance.url}")

        instance.serve(answering)
        if instance.ending:
            raise Rejected(instance.ending)


def _open_all(
    settings: Settings,
    folder: DataFolder,
    sites: Sequence[ReadSite],
    records: Records,
    leasing: Leasing,
    clock: SystemClock,
    stack: ExitStack,
    say: Callable[[str], None],
) -> dict[str, RunningSite]:
    """By id. What is wrong with one site and no file says (a login that another site has, a certificate that is none) keeps the
    others from nothing. Raises what is wrong where none is left."""
    opened: dict[str, RunningSite] = {}
    wrong: list[Rejected | OSError] = []
    for one in sites:
        try:
            opened[one.site.id] = _open(settings, folder, one, records, leasing, clock, stack, say)
        except (Rejected, OSError) as err:
            if len(sites) == 1:
                raise
            wrong.append(err)
            print(f"Site {one.site.id} is not started: {err}", file=sys.stderr, flush=True)
            log.warning("site.not_started", site=one.site.id, reason=str(err))
    if not opened:
        raise wrong[0]
    return opened


def _attach(keeper: Keeper, running: RunningSite, instance: Instance) -> None:
    """A site whose lease cannot be renewed hears nothing meanwhile. One that another process owns ends
    the service: what it remembers of the site is no longer so."""
    name = running.runtime.site.id

    def lost() -> None:
        instance.end(f"site {name}: another process has taken it while its lease could not be renewed")

    keeper.attach(name, running.session.cut, running.session.start, lost, running.said)


def _open(
    settings: Settings,
    folder: DataFolder,
    one: ReadSite,
    records: Records,
    leasing: Leasing,
    clock: SystemClock,
    stack: ExitStack,
    say: Callable[[str], None],
) -> RunningSite:
    site = one.site
    lease = leasing.insist(site.id, settings.data / "sites" / site.id / "journal.sqlite", say)
    brokers, broker = site.brokers, None
    if not brokers:
        with ignoring_interrupts():
            broker = stack.enter_context(EmbeddedBroker(settings.data / "sites" / site.id))
        brokers = (BrokerAddress(broker.host, broker.port),)
        say(f"Site {site.id}: embedded broker at {broker.host}:{broker.port}; what it holds is lost with it")
    profiles = profiles_of(site, one.source, folder)
    for mistake in profiles.mistakes:
        say(str(mistake))
    if profiles.mistakes:
        say(f"Site {site.id}: messages for these profiles wait in quarantine until they are mended")
    running = open_site(
        site,
        settings.data / "sites" / site.id,
        records,
        awaited_store_of(settings, site.id),
        profiles,
        clock,
        brokers,
        limits_of(settings),
        lossless=broker is None,
        reader=settings.mqtt_reader,
        owned=Owned(lease.token, lambda: leasing.keeper.check(site.id)),
    )
    running.broker = broker
    one.show(running.runtime)
    running.loops += figure_loops(settings, running.runtime)
    return running


def write_example(folder: Path) -> None:
    """Copies the shipped example site. Raises Rejected when the folder has something in it."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Rejected(f"{folder} is there already and not empty")
    source = Path(dutyroom.__file__).parent / "example_site"
    try:
        shutil.copytree(
            source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "*.py")
        )
    except OSError as err:
        raise Rejected(f"cannot write to {folder}: {err.strerror}") from err
