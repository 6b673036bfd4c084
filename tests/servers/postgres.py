"""A real PostgreSQL on the loopback, with nothing but what the tests put into it."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
from tests.servers.child import Child, Missing, free_port


@dataclass(frozen=True, slots=True)
class Postgres:
    """url: of a database from which others can be made. stop: ends the server when we started it."""

    url: str
    stop: Callable[[], None] = lambda: None

    def database(self, name: str) -> str:
        """The address of another database of the server."""
        return self.url.rsplit("/", 1)[0] + "/" + name


def find_postgres() -> Postgres:
    """Raises Missing."""
    if url := os.environ.get("DUTYROOM_TEST_POSTGRES_URL"):
        return Postgres(url)
    programs = _programs()
    user = _ordinary_user() if os.geteuid() == 0 else None
    # Not below the folder of the tests: another user could not enter it.
    folder = Path(tempfile.mkdtemp(prefix="dutyroom-postgres-"))
    try:
        if user is not None:
            shutil.chown(folder, user)
        return _own(programs, folder, user)
    except Exception:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _programs() -> Path:
    """The folder of initdb and postgres, the newest version first."""
    found = shutil.which("initdb")
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True
    )
    if found:
        folders.append(Path(found).resolve().parent)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise Missing("initdb is neither on the path nor in /usr/lib/postgresql; install the package postgresql")


def _ordinary_user() -> str:
    """PostgreSQL refuses to run as root."""
    names = {entry.pw_name for entry in pwd.getpwall()}
    for name in ("postgres", "nobody"):
        if name in names:
            return name
    raise Missing("PostgreSQL does not run as root, and there is no user postgres or nobody")


def _own(programs: Path, folder: Path, user: str | None) -> Postgres:
    data = folder / "data"
    made = subprocess.run(
        [
            str(programs / "initdb"),
            "-D",
            str(data),
            "-U",
            "tests",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "-N",
        ],
        capture_output=True,
        text=True,
        user=user,
        group=_group(user),
        extra_groups=None if user is None else [],
        cwd=folder,
        check=False,
    )
    if made.returncode:
        raise Missing(f"initdb: {made.stderr.strip()[-300:]}")
    port = free_port()
    command = [
        str(programs / "postgres"),
        "-D",
        str(data),
        "-p",
        str(port),
        "-c",
        "listen_addresses=127.0.0.1",
    ]
    command += ["-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "max_connections=60"]
    child = Child(command, port, folder / "postgres.log", user)
    child.start(seconds=30)
    url = f"postgresql://tests@127.0.0.1:{port}/postgres"
    _wait_ready(url)

    def stop() -> None:
        child.stop(signal.SIGINT)
        shutil.rmtree(folder, ignore_errors=True)

    return Postgres(url, stop)


def _wait_ready(url: str) -> None:
    """It listens before it lets anyone in."""
    for _ in range(100):
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError as err:
            reason = err
            time.sleep(0.1)
        else:
            return
    raise Missing(f"PostgreSQL lets nobody in: {reason}")


def _group(user: str | None) -> int | None:
    return None if user is None else pwd.getpwnam(user).pw_gid
