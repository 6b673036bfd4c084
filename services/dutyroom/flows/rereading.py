"""Reads the quarantine again when something may have made its messages readable.

In chunks between the messages that come, oldest first; then what newer ones pushed out of it, from the raw
messages: what is pushed out while a pass goes on is met there. Where a pass has come to is not kept: a row
and what was read from it change in one commit, so a pass that begins anew does nothing twice.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import structlog

from dutyroom.errors import Conflict, Unavailable
from dutyroom.flows.ingest import Ingest
from dutyroom.flows.recall import Recall
from dutyroom.interfaces import Journal, QuarantineRow

log = structlog.get_logger(__name__)

CHUNK = 256  # messages: some tens of milliseconds


class Rereading:
    """`ask` from any thread, `step` in the one that ingests."""

    def __init__(self, journal: Journal, ingest: Ingest, chunk: int = CHUNK) -> None:
        self._journal, self._ingest, self._chunk = journal, ingest, chunk
        self._lock = threading.Lock()
        self._recall = Recall(journal, ingest)
        self._asked: frozenset[str] | None = None  # reasons, empty = all; None = nothing to do
        self._reasons: frozenset[str] = frozenset()
        self._after: int | None = None  # last row of the pass at hand, None = all were looked at
        self._position: int | None = None  # the same of what was pushed out
        self.read = 0  # messages read again since the start

    def ask(self, *reasons: str) -> None:
        """Look at every open message again, or at those with one of these reasons."""
        with self._lock:
            more = frozenset(reasons)
            self._asked = more if self._asked is None else _both(self._asked, more)

    @property
    def busy(self) -> bool:
        return self._asked is not None or self._going or self._recall.busy

    @property
    def _going(self) -> bool:
        return self._after is not None or self._position is not None

    def step(self) -> bool:
        """One chunk; True = there is more to do. Raises Unavailable: nothing was done, call again."""
        if self._ingest.learned:
            self._ingest.learned = False
            self.ask("rejected")
        if self._recall.step():
            self.ask("unknown_device")
        with self._lock:
            if self._asked is not None:
                self._reasons = _both(self._asked, self._reasons) if self._going else self._asked
                self._after, self._position, self._asked = 0, None, None
        if self._going:
            try:
                self._chunk_of_rows() if self._after is not None else self._chunk_of_pushed_out()
            except Conflict:  # somebody discarded one of them just now
                return True
        return self.busy

    def _chunk_of_rows(self) -> None:
        assert self._after is not None
        rows = self._journal.quarantine_after(self._after, self._chunk, self._reasons)
        self._again(rows)
        self._after = rows[-1].id if len(rows) == self._chunk else None
        self._position = 0 if self._after is None else None

    def _chunk_of_pushed_out(self) -> None:
        assert self._position is not None
        rows, position = self._journal.pushed_out_after(self._position, self._chunk, self._reasons)
        self._again(rows)
        self._position = position

    def _again(self, rows: Sequence[QuarantineRow]) -> None:
        """All at once; where our own code fails, one by one, so that none stops the others."""
        try:
            self.read += self._ingest.again(rows)
        except (Unavailable, Conflict):
            raise
        except Exception:
            if len(rows) == 1:
                log.exception("quarantine.error", row=rows[0].id, topic=rows[0].topic)
                return
            for row in rows:
                self._again([row])


def _both(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    return one | other if one and other else frozenset()
