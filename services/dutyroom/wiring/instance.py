"""One process: its data folder, records, sites and web server; starts, serves, stops within 2 s."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Protocol

import structlog
import uvicorn
from fastapi import FastAPI

from dutyroom import __version__
from dutyroom.api.app import create_app
from dutyroom.api.messages import renderer
from dutyroom.api.server import PageServer
from dutyroom.backends.broker import EmbeddedBroker, listen
from dutyroom.backends.channels.apprise_channel import AppriseChannel
from dutyroom.backends.datafolder import DataFolder
from dutyroom.backends.device_files import DeviceFiles
from dutyroom.backends.export import StatementFiles
from dutyroom.backends.passwords import Passwords
from dutyroom.errors import Unavailable
from dutyroom.flows.loops import Loop
from dutyroom.flows.notify import Notifier
from dutyroom.flows.run import SiteRuntime
from dutyroom.interfaces import Records
from dutyroom.model.duty import Person, Role
from dutyroom.settings import Settings
from dutyroom.timebase import Clock

log = structlog.get_logger(__name__)


def log_to(file: Path, level: str) -> None:
    """Structured lines into a file; warnings also on stderr."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(file, encoding="utf-8")
    errors = logging.StreamHandler(sys.stderr)
    errors.setLevel(logging.ERROR)
    logging.basicConfig(level=level.upper(), handlers=[handler, errors], format="%(message)s", force=True)
    for noisy in ("apscheduler", "httpx", "urllib3", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def first_administrator(
    records: Records, site: str, passwords: Passwords, language: str
) -> tuple[str, str] | None:
    """Makes an administrator when nobody can log in to the site yet; returns login and one-time password.

    `admin`, or `admin-<site>` where another site has that login.
    """
    with records.write() as tx:
        if any(person.password_hash for person in tx.people.all(site)):
            return None
        password = passwords.one_time_password()
        taken = tx.people.by_login("admin")
        login = "admin" if taken is None or taken.site == site else f"admin-{site}"
        tx.people.upsert(
            Person(0, site, login, login, Role.ADMINISTRATOR, language, passwords.hash(password))
        )
    return login, password


class Served(Protocol):
    """A site with pages: one that runs here, or is shown here and runs in another process."""

    @property
    def runtime(self) -> SiteRuntime: ...

    @property
    def broker(self) -> EmbeddedBroker | None: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...


@dataclass(slots=True)
class Instance:
    """What is running in this process, with its pages."""

    settings: Settings
    folder: DataFolder
    records: Records
    sites: list[Served]
    clock: Clock
    app: FastAPI
    notifying: Loop | None  # None: another process sends the messages
    door: socket.socket  # listens already; closed by `stop`
    before_closing: Callable[[], None] = lambda: None  # when no site runs any more, before the records close
    ending: str = ""  # why it ended by itself
    _server: _Server | None = None

    @property
    def url(self) -> str:
        host, port = self.settings.host, self.door.getsockname()[1]
        if host in ("0.0.0.0", "::"):  # noqa: S104
            host = "127.0.0.1"
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def _commands(self) -> str:
        """The name of the token that commands on this machine use; of this data folder only."""
        return f"commands-{self.folder.secret('name')[:8]}"

    def start(self) -> None:
        for site in self.sites:
            site.start()
        if self.notifying is not None:
            self.notifying.start()

    def announce(self, broker: str = "") -> None:
        """Lets commands on this machine find the instance and speak with it."""
        passwords = Passwords()
        token = passwords.new_token()
        with self.records.write() as tx:
            tx.people.revoke_token("*", self._commands)  # of a process that was killed
            tx.people.new_token(
                passwords.digest(token), "*", self._commands, "api:administrator", self.clock.now()
            )
        self.folder.announce(self.url, broker, token)

    def serve(self, ready: Callable[[], None]) -> None:
        """Serves pages until SIGINT or SIGTERM; then returns, so that all is closed in order."""
        config = uvicorn.Config(
            self.app,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
            timeout_keep_alive=30,
        )
        # Once it has shut down, uvicorn raises the signal again: it must not end us before the rest.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        self._server = _Server(config, ready, self._leave)
        if self.ending:
            return
        with contextlib.suppress(KeyboardInterrupt):
            self._server.run([self.door])

    def end(self, reason: str) -> None:
        """Ends `serve`, from any thread."""
        self.ending = reason
        if self._server is not None:
            self._leave()
            self._server.should_exit = True

    def _leave(self) -> None:
        for site in self.sites:
            if site.broker is not None:
                site.broker.leave()

    def stop(self) -> None:
        with contextlib.suppress(Unavailable), self.records.write() as tx:
            tx.people.revoke_token("*", self._commands)
        if self.notifying is not None:
            self.notifying.end(1.0)
        for site in self.sites:
            site.stop()
        self.before_closing()
        self.records.close()
        self.door.close()


class _Server(PageServer):
    """Tells when it listens, and when it is told to end."""

    def __init__(
        self, config: uvicorn.Config, ready: Callable[[], None], leaving: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._ready, self._leaving = ready, leaving

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._leaving()
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


def open_door(settings: Settings) -> tuple[socket.socket, str]:
    """Listens at the wanted port, or at the next free one with a sentence that says so. It is held from
    now on: what takes seconds to start must not find its port taken in the end."""
    door = listen(settings.host, settings.port)
    port = door.getsockname()[1]
    if settings.port in (0, port):  # 0: any free one was asked for
        return door, ""
    return door, f"Port {settings.port} is taken; using {port}."


def make_instance(
    settings: Settings,
    folder: DataFolder,
    records: Records,
    sites: Sequence[Served],
    clock: Clock,
    door: socket.socket,
    speed: float = 1.0,
    notify: bool = True,
) -> Instance:
    """The web application over the sites, and the notifier unless another process is one."""
    passwords = Passwords()
    channel = AppriseChannel()
    app = create_app(
        {s.runtime.site.id: s.runtime for s in sites},
        records,
        clock,
        passwords=passwords,
        files=StatementFiles({s.runtime.site.id: s.runtime.site.time_zone for s in sites}),
        secure_cookies=settings.https,
        version=__version__,
        speed=speed,
        device_files=DeviceFiles(),
    )
    served = {s.runtime.site.id for s in sites}
    notifier = Notifier(records, channel, clock, renderer(app.state.room), served)

    def notifying() -> float:
        notifier.run_due(clock.now())
        return 2.0

    return Instance(
        settings,
        folder,
        records,
        list(sites),
        clock,
        app,
        Loop("notify", notifying) if notify else None,
        door,
    )


@contextlib.contextmanager
def ignoring_interrupts() -> Iterator[None]:
    """Children started inside do not see Ctrl-C: we end them ourselves, in order."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
