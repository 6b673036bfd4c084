"""Python reads this at its start: `time.time` and `time.time_ns` are off by the seconds in a file.

As if the machine's clock was stepped while the program runs; monotonic clocks are not.
"""

import os
import time
from pathlib import Path

_FILE = os.environ.get("CHAOS_CLOCK", "")
_real, _real_ns = time.time, time.time_ns


def _offset() -> int:
    try:
        return int(Path(_FILE).read_text() or 0)
    except (OSError, ValueError):
        return 0


if _FILE:
    time.time = lambda: _real() + _offset()
    time.time_ns = lambda: _real_ns() + _offset() * 10**9
