"""A real InfluxDB 2.7: one that runs already, `influxd` on the path, Docker, or the cached build."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.servers.child import Child, Missing, free_port, wait_until

VERSION = "2.7.12"
TOKEN, ORG = "token-of-the-tests", "tests"


@dataclass(frozen=True, slots=True)
class Influx:
    """A server and what one needs to use it. stop: ends it when we started it; child: its process; engine: where that
    has its data."""

    url: str
    token: str
    org: str
    stop: Callable[[], None] = lambda: None
    child: Child | None = None
    engine: Path | None = None

    def tear(self) -> None:
        """While it does not run: as if it had been killed while it wrote an entry of its log."""
        assert self.engine is not None
        last = max(self.engine.glob("wal/*/*/*/*.wal"), key=lambda file: file.stat().st_mtime)
        with last.open("ab") as log:
            log.write(b"\x01\x00\x00\x40\x00" + bytes(range(100)))  # "16 KB follow"


@dataclass(frozen=True, slots=True)
class Bucket:
    """A fresh bucket of a server, for one test."""

    url: str
    token: str
    org: str
    name: str


def cached_build() -> Path:
    """Where build_influxd.sh puts its result."""
    cache = os.environ.get("DUTYROOM_CACHE") or str(
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dutyroom-servers"
    )
    return Path(cache) / f"influxd-{VERSION}"


def find_influx(folder: Path) -> Influx:
    """A server named by the environment, `influxd` on the path, Docker, or the cached build.

    One that is named must answer. Raises Missing with what is wrong with each of the others.
    """
    if os.environ.get("DUTYROOM_TEST_INFLUX_URL"):
        return _named()
    reasons = []
    for way in (_on_path, _by_docker, _built):
        try:
            return way(folder)
        except Missing as err:
            reasons.append(str(err))
    raise Missing("; ".join(reasons))


def new_influx(folder: Path, tls: tuple[Path, Path] | None = None) -> Influx:
    """A server of the test's own that nobody has set up yet: without token. tls: its certificate and key, for
    https. Raises Missing."""
    program = shutil.which("influxd") or (str(cached_build()) if cached_build().exists() else None)
    if program is None:
        raise Missing("no influxd on the path, and not built yet: run tests/servers/build_influxd.sh once")
    return _own(program, folder, set_up=False, tls=tls)


def _named() -> Influx:
    url = os.environ["DUTYROOM_TEST_INFLUX_URL"].rstrip("/")
    if not _healthy(url):
        raise Missing(f"DUTYROOM_TEST_INFLUX_URL names {url}, which does not answer")
    token = os.environ.get("DUTYROOM_TEST_INFLUX_TOKEN", "")
    return Influx(url, token, os.environ.get("DUTYROOM_TEST_INFLUX_ORG", "dutyroom"))


def _on_path(folder: Path) -> Influx:
    program = shutil.which("influxd")
    if program is None:
        raise Missing("no influxd on the path")
    return _own(program, folder)


def _by_docker(_folder: Path) -> Influx:
    if not shutil.which("docker") or _quiet("docker", "info") is None:
        raise Missing("no Docker that runs")
    return _in_docker()


def _built(folder: Path) -> Influx:
    if not cached_build().exists():
        raise Missing("not built yet: run tests/servers/build_influxd.sh once")
    return _own(str(cached_build()), folder)


def _quiet(*command: str) -> str | None:
    """What a command printed, None = it failed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def _own(program: str, folder: Path, *, set_up: bool = True, tls: tuple[Path, Path] | None = None) -> Influx:
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [program, "--bolt-path", str(folder / "influxd.bolt"), "--engine-path", str(folder / "engine")]
    command += [
        "--sqlite-path",
        str(folder / "influxd.sqlite"),
        "--reporting-disabled",
        "--log-level",
        "error",
    ]
    command += ["--http-bind-address", f"127.0.0.1:{port}"]
    if tls is not None:
        command += ["--tls-cert", str(tls[0]), "--tls-key", str(tls[1])]
    child = Child(command, port, folder / "influxd.log")
    url = f"{'http' if tls is None else 'https'}://127.0.0.1:{port}"
    child.start(lambda: _healthy(url), 60)
    if set_up:
        _set_up(url)
    return Influx(url, TOKEN if set_up else "", ORG, child.stop, child, folder / "engine")


def _in_docker() -> Influx:
    port = free_port()
    container = _quiet("docker", "run", "--rm", "-d", "-p", f"127.0.0.1:{port}:8086", f"influxdb:{VERSION}")
    if container is None:
        raise Missing(f"docker could not run influxdb:{VERSION}")

    def stop() -> None:
        _quiet("docker", "stop", container)

    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _healthy(url), 60, f"influxdb in docker did not answer at {url}")
        _set_up(url)
    except Exception:
        stop()
        raise
    return Influx(url, TOKEN, ORG, stop)


def _healthy(url: str) -> bool:
    try:
        anybody = ssl._create_unverified_context()
        with urllib.request.urlopen(f"{url}/health", timeout=2, context=anybody) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _set_up(url: str) -> None:
    body = {"username": "tests", "password": "only-for-tests", "org": ORG, "bucket": "first", "token": TOKEN}
    request = urllib.request.Request(
        f"{url}/api/v2/setup", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30):
        pass
