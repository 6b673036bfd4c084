"""A service that ends itself, as by `kill -9`, inside a commit of one of its loops.

From some moment on, one of the next commits of the loop's thread into any of its files begins the end, which
comes at a random moment of the time that such a commit takes here, or soon after it. A line in a file says into
which file it was, and whether the commit was still under way.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import sqlite3.dbapi2
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

_MOST = 6  # of the commits from then on, which one it is
_FIRST_S = 0.002  # what a commit takes, before one was measured


class End:
    """loop: name of the thread; after: of `time.monotonic`."""

    def __init__(self, loop: str, after: float, seed: int, notes: Path) -> None:
        self._loop, self._after, self._dice = loop, after, random.Random(seed)
        self._left = self._dice.randrange(_MOST)
        self._took: deque[float] = deque([_FIRST_S], maxlen=20)
        self._notes = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._under_way = False

    def begins(self, file: str) -> float:
        """When a commit into a file began, 0 = of another thread."""
        if threading.current_thread().name != self._loop:
            return 0.0
        now = time.monotonic()
        self._under_way = True
        if now >= self._after:
            self._left -= 1
            if self._left == -1:
                usual = sorted(self._took)[len(self._took) // 2]
                wait = self._dice.uniform(0.0, usual)
                threading.Thread(target=self._kill, args=(file, wait), daemon=True).start()
        return now

    def ended(self, began: float) -> None:
        if began:
            self._under_way = False
            self._took.append(time.monotonic() - began)

    def _kill(self, file: str, wait: float) -> None:
        time.sleep(wait)
        word = "inside" if self._under_way else "after"
        os.write(self._notes, f"{self._loop} {word} {file}\n".encode())
        os.kill(os.getpid(), signal.SIGKILL)


def mortal(end: End) -> type[sqlite3.Connection]:
    """Connections whose commits `end` hears of."""

    class Mortal(sqlite3.Connection):
        def __init__(self, database: Any, *args: Any, **kwargs: Any) -> None:
            super().__init__(database, *args, **kwargs)
            self._file = Path(str(database).partition("?")[0]).name

        def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
            began = end.begins(self._file) if sql == "COMMIT" else 0.0
            try:
                return super().execute(sql, *args)
            finally:
                end.ended(began)

        def commit(self) -> None:
            began = end.begins(self._file)
            try:
                super().commit()
            finally:
                end.ended(began)

    return Mortal


def befall(loop: str, after_s: float, seed: int, notes: str) -> None:
    """From now on in this process. after_s: from now."""
    kind = mortal(End(loop, time.monotonic() + after_s, seed, Path(notes)))
    connect = sqlite3.connect

    def connected(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        kwargs.setdefault("factory", kind)
        made: sqlite3.Connection = connect(*args, **kwargs)
        return made

    sqlite3.connect = sqlite3.dbapi2.connect = connected  # type: ignore[assignment]
