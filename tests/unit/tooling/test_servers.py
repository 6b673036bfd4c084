"""Which InfluxDB the tests use, and what they say where none can be had."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from tests.servers import influx
from tests.servers.child import Missing

ROOT = Path(__file__).parents[3]


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with nothing: the folder is its whole path."""
    for name in ("DUTYROOM_TEST_INFLUX_URL", "DUTYROOM_TEST_INFLUX_TOKEN", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("DUTYROOM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(influx, "_own", lambda program, _: influx.Influx(f"own:{program}", "", ""))
    monkeypatch.setattr(influx, "_in_docker", lambda: influx.Influx("docker", "", ""))
    return programs


def program(folder: Path, name: str, code: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\nexit {code}\n")
    file.chmod(0o755)
    return file


class Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def running() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Healthy) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_the_order(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, running: str) -> None:
    with pytest.raises(Missing) as caught:
        influx.find_influx(tmp_path)
    assert str(caught.value) == (
        "no influxd on the path; no Docker that runs; not built yet: run tests/servers/build_influxd.sh once"
    )
    built = program(tmp_path / "cache", f"influxd-{influx.VERSION}")
    assert influx.find_influx(tmp_path).url == f"own:{built}"
    program(bare, "docker", code=1)  # there, but its daemon is not
    assert influx.find_influx(tmp_path).url == f"own:{built}"
    program(bare, "docker")
    assert influx.find_influx(tmp_path).url == "docker"
    on_path = program(bare, "influxd")
    assert influx.find_influx(tmp_path).url == f"own:{on_path}"
    monkeypatch.setenv("DUTYROOM_TEST_INFLUX_URL", f"{running}/")
    monkeypatch.setenv("DUTYROOM_TEST_INFLUX_TOKEN", "given")
    found = influx.find_influx(tmp_path)
    assert (found.url, found.token, found.org) == (running, "given", "dutyroom")


def test_one_that_fails_makes_room_for_the_next(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> influx.Influx:
        raise Missing("docker could not run it")

    program(bare, "docker")
    built = program(tmp_path / "cache", f"influxd-{influx.VERSION}")
    monkeypatch.setattr(influx, "_in_docker", broken)
    assert influx.find_influx(tmp_path).url == f"own:{built}"


def test_a_server_that_is_named_must_answer(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(bare, "influxd")
    monkeypatch.setenv("DUTYROOM_TEST_INFLUX_URL", "http://127.0.0.1:9")
    with pytest.raises(Missing, match=r"names http://127\.0\.0\.1:9, which does not answer"):
        influx.find_influx(tmp_path)


def on_a_bare_path(tmp_path: Path, required: bool, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Tests in a run of their own on a path that holds nothing."""
    (tmp_path / "bin").mkdir()
    environment = {
        "PATH": str(tmp_path / "bin"),
        "HOME": str(tmp_path),
        "DUTYROOM_CACHE": str(tmp_path / "cache"),
        "DUTYROOM_REQUIRE_SERVERS": "1" if required else "",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    if "SYSTEMROOT" in os.environ:
        environment["SYSTEMROOT"] = os.environ["SYSTEMROOT"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def said(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stdout.splitlines() if line.startswith("servers: ")]


@pytest.mark.slow
@pytest.mark.parametrize("required", [False, True])
def test_where_none_can_be_had_one_line_says_so(tmp_path: Path, required: bool) -> None:
    done = on_a_bare_path(tmp_path, required, "-k", "empty_store", "tests/contract/test_reading_store.py")
    # Said in the summary; a failure says it where it happens as well.
    assert said(done) == [
        "servers: influxdb: not available (no influxd on the path; no Docker that runs; "
        "not built yet: run tests/servers/build_influxd.sh once)"
    ] * (1 + required)
    assert done.returncode == (1 if required else 0)
    for outcome in ("2 passed", "1 error" if required else "1 skipped"):
        assert outcome in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("required", [False, True])
def test_without_a_browser_the_pages_are_not_taken_for_tested(tmp_path: Path, required: bool) -> None:
    done = on_a_bare_path(tmp_path, required, "-k", "language", "tests/acceptance/test_pages_browser.py")
    assert set(said(done)) == {
        "servers: chromium: not available (no chromium on the path; install the package chromium)"
    }
    assert done.returncode == (1 if required else 0)
    assert ("1 error" if required else "1 skipped") in done.stdout
