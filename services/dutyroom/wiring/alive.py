"""Whether a process without pages is well, for a health check: `python -m dutyroom.wiring.alive ingest`.

Each writes a small file into the data folder every few seconds as long as its work goes on. Imports
next to nothing: it is run every half minute for as long as the service runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from dutyroom.backends.clock import read_machine_time
from dutyroom.backends.datafolder import write_whole

BEAT_S = 5.0
OLD_MS = 30_000
_FORGOTTEN_MS = 24 * 3_600_000


def beat_file(data: Path, role: str) -> Path:
    """Of this machine's process of that role; of several the one that wrote last."""
    return data / "alive" / f"{role}@{socket.gethostname()}.json"


def beating(data: Path, role: str, trouble: Callable[[], str]) -> Callable[[], float]:
    """A loop's work. trouble: "" = all is well."""
    file = beat_file(data, role)
    for left in file.parent.glob(f"{role}@*.json"):  # of machines and containers that are no more
        with contextlib.suppress(OSError):
            if read_machine_time() - left.stat().st_mtime * 1000 > _FORGOTTEN_MS:
                left.unlink()

    def beat() -> float:
        said = trouble()
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps({"pid": os.getpid(), "at": read_machine_time(), "trouble": said}))
        return BEAT_S

    return beat


def problem(data: Path, role: str) -> str:
    """Why the process is not well, "" = it is."""
    file = beat_file(data, role)
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        age, trouble = read_machine_time() - int(found["at"]), str(found["trouble"])
    except FileNotFoundError:
        return f"{role} has not begun: there is no {file}"
    except (OSError, ValueError, KeyError, TypeError) as err:
        return f"{file}: {err}"
    if not -OLD_MS < age < OLD_MS:
        return f"{role} was last well {age // 1000} s ago"
    return trouble


def main(words: list[str]) -> int:
    if len(words) != 1 or not os.environ.get("DUTYROOM_DATA"):
        print("usage: python -m dutyroom.wiring.alive ROLE, with DUTYROOM_DATA set", file=sys.stderr)
        return 2
    found = problem(Path(os.environ["DUTYROOM_DATA"]).expanduser(), words[0])
    print(found or "well")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
