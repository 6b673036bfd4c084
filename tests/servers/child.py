"""A server as a child process of the tests: started, waited for, ended by its own pid."""

from __future__ import annotations

import pwd
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path


class Missing(Exception):
    """A server cannot be had on this machine; the text says why."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def wait_until(true: Callable[[], bool], seconds: float, what: str) -> None:
    """Raises Missing when it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise Missing(f"{what} within {seconds:.0f} s")
        time.sleep(0.02)


class Child:
    """One server process. What it says goes to `log`."""

    def __init__(self, command: Sequence[str], port: int, log: Path, user: str | None = None) -> None:
        """user: whom to run it as, when we are root and it may not be."""
        self._command, self._user = list(command), user
        self.port, self.log = port, log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, ready: Callable[[], bool] | None = None, seconds: float = 30.0) -> None:
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                user=self._user,
                group=None if self._user is None else pwd.getpwnam(self._user).pw_gid,
                extra_groups=None if self._user is None else [],
                start_new_session=True,  # Ctrl-C is for the tests; they end their servers in order
            )

        def up() -> bool:
            process = self._process
            if process is not None and process.poll() is not None:
                tail = self.log.read_text(errors="replace")[-400:].strip()
                raise Missing(f"{self._command[0]} ended with {process.returncode}: {tail}")
            return ready() if ready is not None else listens(self.port)

        try:
            wait_until(up, seconds, f"{self._command[0]} did not answer on port {self.port}")
        except Missing:
            self.kill()
            raise

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """0 = it does not run."""
        return self._process.pid if self._process is not None else 0

    def stop(self, signal: int = 15, seconds: float = 10.0) -> None:
        """Asks it to end; kills it when it does not."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def end(self, signal: int, seconds: float) -> int:
        """Asks it to end; the code with which it does, minus the number of a signal that it did not take. Kills it and
        raises TimeoutExpired when it does not end in time."""
        assert self._process is not None
        self._process.send_signal(signal)
        try:
            return self._process.wait(seconds)
        finally:
            self.kill()

    def kill(self) -> None:
        """As a crash does: no warning, nothing saved."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
