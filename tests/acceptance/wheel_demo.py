"""Starts an installed `dutyroom demo`, waits until it answers, and stops it by SIGINT within 2 s.

    python wheel_demo.py PATH_OF_DUTYROOM DATA_FOLDER

Standard library only: it runs beside the installation, not in it.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ANSWER_S = 60.0
STOP_S = 2.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, demo: subprocess.Popen[bytes]) -> float:
    """Seconds until the address answered 200. Raises SystemExit when it does not."""
    began = time.monotonic()
    while time.monotonic() - began < ANSWER_S:
        if demo.poll() is not None:
            raise SystemExit(f"the demo ended by itself with exit code {demo.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return time.monotonic() - began
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise SystemExit(f"{url} did not answer within {ANSWER_S:.0f} s")


def stop(demo: subprocess.Popen[bytes]) -> float:
    """Seconds from SIGINT to the end."""
    began = time.monotonic()
    demo.send_signal(signal.SIGINT)
    try:
        demo.wait(timeout=30)
    except subprocess.TimeoutExpired:
        demo.kill()
        raise SystemExit("the demo did not stop within 30 s of SIGINT") from None
    return time.monotonic() - began


def shown(log: Path) -> list[str]:
    """What the demo printed, without the line of its one-time password."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line for line in lines if "password" not in line.lower()][-100:]


def main(program: str, data: str) -> int:
    port = free_port()
    log = Path(data).with_suffix(".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [program, "demo", "--data", data, "--port", str(port), "--no-browser"]
    with log.open("wb") as output:
        demo = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        try:
            answered = wait_for(f"http://127.0.0.1:{port}/healthz", demo)
            stopped = stop(demo)
        except SystemExit:
            print("\n".join(shown(log)))
            raise
        finally:
            if demo.poll() is None:
                demo.kill()
    print(f"answered after {answered:.1f} s, stopped after {stopped:.1f} s, exit code {demo.returncode}")
    if not any(f":{port}" in line for line in shown(log)):
        raise SystemExit("the demo did not print its address")
    if demo.returncode not in (0, 130, -signal.SIGINT):
        raise SystemExit(f"exit code {demo.returncode} after SIGINT")
    return 0 if stopped <= STOP_S else 1


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("usage: wheel_demo.py PATH_OF_DUTYROOM DATA_FOLDER")
    sys.exit(main(sys.argv[1], sys.argv[2]))
