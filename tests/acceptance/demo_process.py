"""A whole Dutyroom as a child process, and what people and programs do with it from outside.

Nothing here looks into the process: it is started as a person starts it, seen by its lines, its
pages, its API and its stream, and ended by signals.
"""

from __future__ import annotations

import http.cookiejar
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.busy import alone
from tests.shipped_profiles import as_after_a_first_start

ADDRESS = r"Dutyroom is running at (http://\S+)"
PASSWORD = r"one-time password (\S+)"


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "dutyroom.cli", *map(str, arguments)]


# As an installation has it: compiled modules are kept, but not in the checkout.
BYTECODE = Path.home() / ".cache" / "dutyroom-bytecode"


def environment(given: Mapping[str, str] | None = None) -> dict[str, str]:
    left_out = ("DUTYROOM_", "PYTHONDONTWRITEBYTECODE")
    own = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return {**own, "PYTHONUNBUFFERED": "1", "PYTHONPYCACHEPREFIX": str(BYTECODE), **(given or {})}


def run(*arguments: str | Path, seconds: float = 60, ok: bool = True) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself. Fails with its words when it should succeed and does not."""
    done = subprocess.run(
        command(*arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        env=environment(),
    )
    assert not ok or done.returncode == 0, f"exit code {done.returncode}: {done.stdout}{done.stderr}"
    return done


def wait_for(true: Callable[[], Any], seconds: float, what: str, pause: float = 0.1) -> Any:
    """The first true answer. Fails with `what` when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (answer := true()):
        assert time.monotonic() < deadline, f"{what} did not come true within {seconds:g} s"
        time.sleep(pause)
    return answer


# ---------------------------------------------------------------- the process


def _stat(pid: int) -> list[str]:
    """State, parent, group ... of a process; empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def is_alive(pid: int) -> bool:
    """A process that ended and that nobody has asked after yet counts as gone."""
    stat = _stat(pid)
    return bool(stat) and stat[0] not in ("Z", "X")


def tree(pid: int) -> set[int]:
    """A process with all its descendants."""
    parents = {int(entry.name): _stat(int(entry.name)) for entry in Path("/proc").glob("[0-9]*")}
    found = {pid}
    while more := {p for p, stat in parents.items() if stat and int(stat[1]) in found} - found:
        found |= more
    return found


class Program:
    """One `dutyroom ...` that runs until it is told to end. Context manager: kills what is left.

    first: it reads all profiles as at a first start on this machine, some seconds.
    """

    def __init__(
        self, *arguments: str | Path, more: Mapping[str, str] | None = None, first: bool = False
    ) -> None:
        if "--data" in arguments and not first:
            as_after_a_first_start(Path(arguments[arguments.index("--data") + 1]))
        self.lines: list[str] = []
        self.started = time.monotonic()
        self._process = subprocess.Popen(
            command(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(more),
            start_new_session=True,  # a terminal's Ctrl-C reaches its group only
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def expect(self, pattern: str, seconds: float = 60) -> re.Match[str]:
        """The first match in what it printed. Fails when it ends or takes too long."""

        def match() -> re.Match[str] | None:
            ended = self._process.poll() is not None
            if ended:
                self._reader.join(2)
            found = re.search(pattern, self.text)
            assert found or not ended, f"ended with {self._process.returncode}: {self.text}"
            return found

        found: re.Match[str] = wait_for(match, seconds, f"{pattern!r} in the output", 0.05)
        return found

    def url(self, seconds: float = 60) -> str:
        """Its address, once it answers there."""
        address = self.expect(ADDRESS, seconds)[1]
        wait_for(lambda: answers(f"{address}/login"), seconds, f"an answer at {address}", 0.05)
        return address

    def tree(self) -> set[int]:
        return tree(self.pid)

    def interrupt(self, by: signal.Signals = signal.SIGINT) -> float:
        """Ctrl-C as a terminal sends it, or what a service manager sends: to the whole group; seconds
        until every process was gone, as of a machine with nothing else to do."""
        everybody, began = self.tree(), time.monotonic()
        os.killpg(self.pid, by)
        self.returncode(30)
        wait_for(lambda: not any(map(is_alive, everybody)), 30, "the end of the process tree", 0.02)
        return alone(time.monotonic() - began)

    def kill(self) -> None:
        """As a crash does: this process only, no warning."""
        self._process.kill()
        self._process.wait(10)

    def terminate(self, seconds: float = 30) -> int:
        self._process.terminate()
        return self.returncode(seconds)

    def returncode(self, seconds: float = 60) -> int:
        """Waits for its end."""
        code = self._process.wait(seconds)
        self._reader.join(5)
        return code

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None
    ) -> None:
        left = self.tree() if self.running else set()
        if self.running:
            self.kill()
        for pid in left:  # each by its own number, and only ours
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
        self._reader.join(5)
        if self._process.stdout is not None:
            self._process.stdout.close()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


# ---------------------------------------------------------------- a person with a browser


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One server-sent event. at: monotonic seconds when it came."""

    at: float
    name: str
    data: dict[str, Any]


class Stream:
    """A page's server-sent stream, read in the background. Context manager."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self.events: list[StreamEvent] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        name = ""
        try:
            for raw in self._answer:
                line = raw.decode().rstrip("\r\n")
                if line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: "):
                    self.events.append(StreamEvent(time.monotonic(), name, json.loads(line[6:])))
        except (OSError, ValueError, AttributeError):
            return  # closed by us or by the server

    def wait(self, true: Callable[[StreamEvent], bool], seconds: float, what: str) -> StreamEvent:
        """The first event that fits, also one that came before."""
        found: StreamEvent = wait_for(
            lambda: next((e for e in list(self.events) if true(e)), None), seconds, what, 0.01
        )
        return found

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        sock = getattr(getattr(self._answer.fp, "raw", None), "_sock", None)
        if sock is not None:
            sock.shutdown(2)  # wakes the reading thread
        self._thread.join(5)
        self._answer.close()


class Refused(Exception):
    """An answer that is not 2xx."""

    def __init__(self, code: int, body: bytes) -> None:
        super().__init__(f"{code}: {body[:300]!r}")
        self.code, self.body = code, body


class Visitor:
    """A browser's cookies and form fields, no more. Every method may raise Refused."""

    def __init__(self, url: str, site: str = "lakeside") -> None:
        self.url, self.site, self.csrf = url, site, ""
        self.cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def _open(self, asked: str | urllib.request.Request, body: bytes | None = None) -> Any:
        try:
            return self._opener.open(asked, body, timeout=60)
        except urllib.error.HTTPError as err:
            with err:
                raise Refused(err.code, err.read()) from None

    def page(self, path: str, form: Mapping[str, str] | None = None) -> str:
        """A page's HTML."""
        body = urllib.parse.urlencode(form).encode() if form is not None else None
        with self._open(f"{self.url}{path}", body) as answer:
            return str(answer.read().decode())

    def log_in(self, password: str, login: str = "admin") -> Visitor:
        """By the form, as a person does; keeps the token that later actions need."""
        form = self.page("/login?next=/")
        fields = {m[1]: m[2] for m in re.finditer(r'type="hidden" name="(\w+)" value="([^"]*)"', form)}
        shown = self.page("/login", {**fields, "login": login, "password": password})
        facts = re.search(r'id="page-facts">(.*?)</script>', shown, re.S)
        assert facts, "no page of a site after the log-in"
        read = json.loads(facts[1])
        self.csrf, self.site = read["csrf"], read["site"]
        return self

    def health(self) -> dict[str, Any]:
        """What /healthz says, well or not."""
        try:
            return dict(json.loads(self.page("/healthz")))
        except Refused as err:
            if err.code != 503:
                raise
            return dict(json.loads(err.body))

    def get(self, path: str, **query: object) -> Any:
        """JSON of a path below the site's API."""
        asked = f"?{urllib.parse.urlencode(query)}" if query else ""
        with self._open(f"{self.url}/api/v1/sites/{self.site}{path}{asked}") as answer:
            return json.loads(answer.read())

    def post(self, path: str, body: Mapping[str, object]) -> Any:
        request = urllib.request.Request(
            f"{self.url}/api/v1/sites/{self.site}{path}",
            json.dumps(body).encode(),
            {"content-type": "application/json", "x-csrf-token": self.csrf},
        )
        with self._open(request) as answer:
            return json.loads(answer.read())

    def stream(self) -> Stream:
        return Stream(self._open(f"{self.url}/sites/{self.site}/stream?lang=en"))

    # -------------------------------------------------------- what tests ask for often

    def points(self, device: str) -> dict[str, dict[str, Any]]:
        """A device's points with their newest values, by name."""
        return {row["name"]: row for row in self.get("/points", device=device)}

    def alarms(self) -> list[dict[str, Any]]:
        """All alarms, open and ended, each with its rule and its root."""
        rows = {row["id"]: row for row in [*self.get("/alarms"), *self.get("/alarms", ended="true")]}
        return [self.get(f"/alarms/{number}") for number in rows]

    def tickets(self) -> list[dict[str, Any]]:
        """Those that alarms opened, in any state; work orders of plans are not among them."""
        return [t for t in self.get("/tickets", open_only="false") if t["kind"] == "alarm"]


def broker_of(data: Path) -> tuple[str, int]:
    """Address of the running demo's embedded broker."""
    host, _, port = json.loads((data / "instance.json").read_text())["broker"].rpartition(":")
    return host, int(port)
