"""Services that start at once: a process that has read the whole program, and splits off one service after another.

Reading the program takes most of a start, several seconds where the machine is busy; a kill soon after it would
nearly always meet that. What is split off is a process of its own, and dies like one.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import select
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dutyroom.backends.mqtt import backoff

ROOT = Path(__file__).parents[2]


class Born:
    """A process that a nursery has split off."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._end = os.pidfd_open(pid)

    def ended(self, seconds: float) -> bool:
        """Waits for its end at most so long."""
        return self._end < 0 or bool(select.select([self._end], [], [], seconds)[0])

    def signal(self, number: int) -> None:
        if not self.ended(0):
            os.kill(self.pid, number)

    def close(self) -> None:
        if self._end >= 0:
            os.close(self._end)
            self._end = -1


class Nursery:
    """Close it at last."""

    def __init__(self) -> None:
        path = os.pathsep.join([str(ROOT / "services"), str(ROOT)])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
        )

    def start(
        self, arguments: Sequence[str], environment: Mapping[str, str], log: Path, end: Any = None
    ) -> Born:
        """end: what `inside.End` is made of, for a service that ends by itself."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        wish = {"arguments": list(arguments), "environment": dict(environment), "log": str(log), "end": end}
        self._process.stdin.write(json.dumps(wish) + "\n")
        self._process.stdin.flush()
        return Born(int(self._process.stdout.readline()))

    def close(self) -> None:
        self._process.communicate(timeout=10)


def grow(wish: dict[str, Any]) -> None:
    """In the process that was split off: becomes the service. Does not return."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        out = os.open(wish["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.environ.clear()
        os.environ.update(wish["environment"])
        random.seed()
        if wish["end"] is not None:
            from tests.chaos.inside import befall

            befall(*wish["end"])
        from dutyroom.cli import main as run

        sys.argv = ["dutyroom", *wish["arguments"]]
        run()
        code = 0
    except SystemExit as err:
        code = err.code if isinstance(err.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def main() -> None:
    for module in ("dutyroom.cli", "dutyroom.wiring.ingesting"):
        importlib.import_module(module)
    # A broker that ends every few seconds is left alone for half a minute: it would be killed with nobody connected.
    backoff.MOST_S = 1.0
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody has to ask after them
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            grow(json.loads(line))
        print(pid, flush=True)


if __name__ == "__main__":
    main()
