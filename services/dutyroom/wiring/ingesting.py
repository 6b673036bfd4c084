"""`dutyroom ingest`: reads the messages of those sites that it owns, keeps the readings, watches the rules.

Any number of these processes may be given the same sites; each owns some of them by lease. They share
the data folder, so that the next owner of a site goes on in the journal of the last one.
"""

from __future__ import annotations

import contextlib
import gc
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import structlog

from dutyroom.backends.clock import SystemClock
from dutyroom.backends.datafolder import DataFolder
from dutyroom.errors import DutyroomError, Unavailable
from dutyroom.flows.loops import Loop
from dutyroom.flows.sharing import PATIENCE_S, ROLE, Share, share
from dutyroom.interfaces import Records
from dutyroom.model.lease import Owners
from dutyroom.settings import Settings
from dutyroom.wiring.alive import beating
from dutyroom.wiring.figures import figure_loops
from dutyroom.wiring.instance import log_to
from dutyroom.wiring.lastgood import ReadSite, keep, read_sites
from dutyroom.wiring.leasing import Leasing, this_process, token_in
from dutyroom.wiring.running import Owned, RunningSite, limits_of, open_site
from dutyroom.wiring.seeding import profiles_of
from dutyroom.wiring.stores import awaited_store_of, records_of

log = structlog.get_logger(__name__)

_NO_BROKER = "is missing; name the broker that the devices publish to"
_LOOK_S = 1.5
_AFTER_FAILURE_S = 15.0  # before a site that could not be opened is tried again
_AFTER_TAKING_BACK_S = 600.0  # nobody wanted what we gave away: keep it for some time


def run_ingest(settings: Settings, folders: Sequence[Path], say: Callable[[str], None]) -> None:
    """Runs until SIGINT or SIGTERM. Raises Invalid or Rejected before anything is started."""
    read = read_sites(settings.data, folders, lambda site: "" if site.brokers else _NO_BROKER)
    with ExitStack() as stack:
        folder = stack.enter_context(DataFolder(settings.data, shared=True))
        log_to(settings.data / "dutyroom-ingest.log", settings.log_level)
        read.tell()
        records = records_of(settings)
        stack.callback(records.close)
        ids = tuple(one.site.id for one in read.sites)
        leasing = Leasing(records, this_process(ROLE), ROLE, ids)
        stack.callback(leasing.end)
        ingesting = Ingesting(settings, folder, read.sites, records, leasing, say)
        stack.callback(ingesting.stop)
        with told_to_end() as ending:
            leasing.start()
            ingesting.start()
            say(f"Dutyroom ingests as {leasing.keeper.owner}")
            ending.wait()
        say("Stopping.")


@contextlib.contextmanager
def told_to_end() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set."""
    ending = threading.Event()
    kept = {
        number: signal.signal(number, lambda *_: ending.set()) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield ending
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


class Ingesting:
    """The sites of this process: opened when it owns them, closed when it does not."""

    def __init__(
        self,
        settings: Settings,
        folder: DataFolder,
        sites: Sequence[ReadSite],
        records: Records,
        leasing: Leasing,
        say: Callable[[str], None],
    ) -> None:
        self._settings, self._folder, self._records, self._say = settings, folder, records, say
        self._sites = {one.site.id: one for one in sites}
        self._leasing, self._keeper = leasing, leasing.keeper
        self._clock = SystemClock()
        self._running: dict[str, RunningSite] = {}
        self._lost: set[str] = set()
        self._free_since: dict[str, float] = {}
        self._not_before: dict[str, float] = {}
        self._generous_from = 0.0
        self._loop = Loop("sites", self.step)
        self._beat = Loop("alive", beating(settings.data, ROLE, self.trouble))

    def start(self) -> None:
        self._loop.start()
        self._beat.start()

    def stop(self) -> None:
        self._beat.end()
        self._loop.end(30.0)
        self._close_all(list(self._running))

    def trouble(self) -> str:
        """What an operator should see to, "" = nothing. Raises Unavailable when the records do not answer."""
        owners = self._records.leases.owners()
        for loop in self._leasing.loops:
            if loop.trouble:
                return loop.trouble
        for name, running in list(self._running.items()):
            if not running.runtime.broker_ok():
                return f"site {name}: {running.session.refused or 'its broker is not connected'}"
        nobodys = [s for s in self._sites if owners.owner(s) is None and self._free_for(s) > 3 * PATIENCE_S]
        return f"nobody reads the messages of {', '.join(nobodys)}" if nobodys else ""

    # ------------------------------------------------------------ which sites

    def step(self) -> float:
        """Closes what is lost, then takes or gives away at most one site."""
        while self._lost:
            self._close_all([self._lost.pop()])
        owners = self._records.leases.owners()
        self._note_free(owners)
        wish = self._wish(owners)
        if wish.take:
            late = self._free_for(wish.take) >= PATIENCE_S
            if self._take(wish.take) and late:
                self._generous_from = time.monotonic() + _AFTER_TAKING_BACK_S
            return 0.0
        if wish.release and time.monotonic() >= self._generous_from:
            self._close_all([wish.release])
        return _LOOK_S

    def _wish(self, owners: Owners) -> Share:
        now = time.monotonic()
        able = [s for s in self._sites if self._not_before.get(s, 0.0) <= now or s in self._running]
        unowned = {s: self._free_for(s) for s in able}
        return share(able, self._keeper.held, owners, self._keeper.owner, unowned)

    def _note_free(self, owners: Owners) -> None:
        now = time.monotonic()
        for site in self._sites:
            if owners.owner(site) is None:
                self._free_since.setdefault(site, now)
            else:
                self._free_since.pop(site, None)

    def _free_for(self, site: str) -> float:
        since = self._free_since.get(site)
        return 0.0 if since is None else time.monotonic() - since

    # ------------------------------------------------------------ one site

    def _take(self, name: str) -> bool:
        lease = self._keeper.take(name, token_in(self._journal(name)))
        if lease is None:
            return False
        running: RunningSite | None = None
        try:
            running = self._open(name, lease.token)
            self._keeper.check(name)
            running.start()
            self._running[name] = running
            lost = self._losing(name)
            self._keeper.attach(name, running.session.cut, running.session.start, lost, running.said)
        except Exception as err:  # whatever it is: the other sites are opened, and this one is tried again
            ours = isinstance(err, DutyroomError)
            log.error("site.not_opened", site=name, reason=str(err) if ours else repr(err), exc_info=not ours)
            self._say(f"Site {name}: cannot be opened: {err}")
            if running is not None:
                self._running[name] = running
            self._close_all([name])
            self._not_before[name] = time.monotonic() + _AFTER_FAILURE_S
            return False
        keep(self._settings.data, self._sites[name])
        self._say(f"Site {name}: ours")
        return True

    def _journal(self, name: str) -> Path:
        return self._settings.data / "sites" / name / "journal.sqlite"

    def _losing(self, name: str) -> Callable[[], None]:
        def lost() -> None:
            self._lost.add(name)
            self._loop.wake()

        return lost

    def _open(self, name: str, token: int) -> RunningSite:
        one = self._sites[name]
        site = one.site
        settings = self._settings
        profiles = profiles_of(site, one.source, self._folder)
        for mistake in profiles.mistakes:
            self._say(str(mistake))
        running = open_site(
            site,
            settings.data / "sites" / name,
            self._records,
            awaited_store_of(settings, name),
            profiles,
            self._clock,
            site.brokers,
            limits_of(settings),
            reader=settings.mqtt_reader,
            owned=Owned(token, lambda: self._keeper.check(name), apart=True),
        )
        one.show(running.runtime)
        running.loops += figure_loops(settings, running.runtime)
        return running

    def _close_all(self, names: Sequence[str]) -> None:
        """Ends their loops, side by side, then frees their leases."""
        closing = [(name, self._running.pop(name, None)) for name in names]
        threads = [threading.Thread(target=running.stop) for _, running in closing if running is not None]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        gc.unfreeze()  # a site that starts freezes what there is: of one that has ended nothing need stay
        for name, running in closing:
            with contextlib.suppress(Unavailable):
                self._keeper.release(name)
            if running is not None:
                self._say(f"Site {name}: no longer ours")
