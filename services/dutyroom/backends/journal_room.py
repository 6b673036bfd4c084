"""How much room a journal may take: what all its readers have passed makes room, what they have not is never
dropped. Where nothing can make room, nothing is taken: the broker keeps what is not acknowledged.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from dutyroom.backends.ledger_sums import cursor_of
from dutyroom.errors import Unavailable
from dutyroom.interfaces import Spool
from dutyroom.model.telemetry import Lane

RESERVE = 0.05  # of the limit, beyond it: for what is urgent
AT_ONCE = 64  # passed batches that make room for an append; it adds one or two
NEWEST = 200  # batches that stay, up to half of the limit: a broker may deliver their messages again
_ALL = 1 << 62  # also the newest, where nothing else can make room
_FULL = 0.95  # of the limit, taken by what waits: the rest are ledger, quarantine, indexes


class Room:
    """most: bytes of a journal's file, 0 = no limit. readers: all of them must have passed what goes."""

    def __init__(self, most: int, readers: Sequence[str]) -> None:
        self._most, self._readers = most, tuple(readers)
        self.full = False  # the last append found no room

    def make(self, db: sqlite3.Connection, size: int, urgent: bool = False) -> None:
        """Inside the transaction of an append. size: bytes of its batches. urgent: all of them, for which there
        is a reserve. Raises Unavailable."""
        if not self._most:
            return
        over = used(db) + size - self._most
        room = over <= 0 or self._trim(db, self._last_to_go(db)) > 0 or self._trim(db, _ALL) > 0
        if urgent and (room or over <= RESERVE * self._most):
            return  # which says nothing of the others
        self.full = not room
        if self.full:
            raise Unavailable(f"the journal is full ({self._most >> 20} MB): {self._why(db)}")

    def _why(self, db: sqlite3.Connection) -> str:
        """What takes the room, and who can make some."""
        waiting = self._waiting(db)
        beside = max(0, used(db) - waiting)
        if waiting >= beside:
            return "its readers have not passed what is in it"
        return (
            f"quarantine, ledger and findings take {beside / (1 << 20):.1f} MB of it; "
            "give it more room with DUTYROOM_SPOOL_GB"
        )

    def _trim(self, db: sqlite3.Connection, last: int) -> int:
        """The oldest batches up to that one that all readers have passed; returns how many."""
        gone = 0
        for lane in reversed(Lane):
            passed = min(last, self.passed(db, lane))
            gone += db.execute(
                "DELETE FROM batch WHERE seq IN (SELECT seq FROM batch WHERE lane=? AND seq<=? ORDER BY seq LIMIT ?)",
                (int(lane), passed, AT_ONCE),
            ).rowcount
        return gone

    def _last_to_go(self, db: sqlite3.Connection) -> int:
        """The sequence before the newest batches."""
        kept = 0
        for seq, size in db.execute(
            "SELECT seq, length(body) FROM batch ORDER BY seq DESC LIMIT ?", (NEWEST,)
        ):
            kept += size
            if kept > self._most // 2:
                return int(seq)
        return int(db.execute("SELECT coalesce(max(seq), 0) FROM batch").fetchone()[0]) - NEWEST

    def passed(self, db: sqlite3.Connection, lane: Lane) -> int:
        """The sequence that the slowest reader has passed."""
        return min((cursor_of(db, reader, lane) for reader in self._readers), default=0)

    def _waiting(self, db: sqlite3.Connection) -> int:
        """Bytes of what some reader has not passed."""
        waiting = 0
        for lane in Lane:
            waiting += db.execute(
                "SELECT coalesce(sum(length(body)), 0) FROM batch WHERE lane=? AND seq>?",
                (int(lane), self.passed(db, lane)),
            ).fetchone()[0]
        return waiting

    def state(self, db: sqlite3.Connection) -> Spool:
        waiting = self._waiting(db)
        share = min(1.0, waiting / (_FULL * self._most)) if self._most else 0.0
        return Spool(self._most, used(db), waiting, 1.0 if self.full else share)


def used(db: sqlite3.Connection) -> int:
    """Bytes of a file that hold something; what was deleted is used again."""
    pages, free, size = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)
