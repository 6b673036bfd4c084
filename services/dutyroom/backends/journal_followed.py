"""The journal as a process sees it that does not write it: it may not be there yet, or not on this machine.

Then it is empty. What only its owner may do is left to it as a wish.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from dutyroom.backends.journal import SqliteJournal
from dutyroom.errors import Rejected
from dutyroom.interfaces import (
    FindingRow,
    LedgerPage,
    LedgerQuestion,
    LedgerRow,
    LedgerSum,
    PushedOut,
    QuarantineRow,
    Spool,
    StrangerRow,
    Tally,
)
from dutyroom.model.telemetry import Batch, Finding, Lane, Message, MessageRecord
from dutyroom.timebase import Ms


class FollowedJournal:
    """See `interfaces.Journal`. wish: asks the owner to discard rows of the quarantine; what is wished is
    no longer shown as open here. most, readers: as its owner has them. Raises Rejected for everything else
    that writes."""

    def __init__(
        self,
        path: Path,
        wish: Callable[[Sequence[int]], None],
        most: int = 0,
        readers: Sequence[str] = (),
    ) -> None:
        self._path, self._wish, self._most, self._readers = path, wish, most, readers
        self._lock = threading.Lock()
        self._opened: SqliteJournal | None = None
        self._wished: set[int] = set()

    @property
    def there(self) -> bool:
        return self._journal is not None

    @property
    def _journal(self) -> SqliteJournal | None:
        if self._opened is None:
            with self._lock:
                if self._opened is None and self._path.exists():
                    self._opened = SqliteJournal(
                        self._path, read_only=True, most=self._most, readers=self._readers
                    )
        return self._opened

    def read(self, lane: Lane, after: int, limit: int) -> Sequence[tuple[int, Batch]]:
        return self._journal.read(lane, after, limit) if self._journal else []

    def cursor(self, reader: str, lane: Lane) -> int:
        return self._journal.cursor(reader, lane) if self._journal else 0

    def last(self, lane: Lane) -> int:
        return self._journal.last(lane) if self._journal else 0

    def quarantine(self, state: str = "open", limit: int = 200) -> Sequence[QuarantineRow]:
        rows = self._journal.quarantine(state, limit) if self._journal else []
        return [row for row in rows if state != "open" or row.id not in self._wished]

    def quarantine_size(self) -> int:
        if self._journal is None:
            return 0
        if self._wished:
            self._wished &= set(self._open(self._journal, sorted(self._wished)))
        return self._journal.quarantine_size() - len(self._wished)

    def quarantine_after(
        self, row: int, limit: int, reasons: Collection[str] = ()
    ) -> Sequence[QuarantineRow]:
        return self._journal.quarantine_after(row, limit, reasons) if self._journal else []

    def pushed_out(self, limit: int = 200) -> Sequence[PushedOut]:
        return self._journal.pushed_out(limit) if self._journal else []

    def pushed_out_after(
        self, position: int, limit: int, reasons: Collection[str] = ()
    ) -> tuple[Sequence[QuarantineRow], int | None]:
        return self._journal.pushed_out_after(position, limit, reasons) if self._journal else ([], None)

    def strangers(self, limit: int) -> Sequence[StrangerRow]:
        return self._journal.strangers(limit) if self._journal else []

    def settle(self, ids: Sequence[int], state: str) -> int:
        """Asks the owner; returns how many are open at present."""
        if self._journal is None or state != "discarded":
            return 0
        found = [row for row in self._open(self._journal, ids) if row not in self._wished]
        if found:
            self._wish(found)
            self._wished |= set(found)
        return len(found)

    @staticmethod
    def _open(journal: SqliteJournal, ids: Sequence[int]) -> list[int]:
        return [
            n for n in dict.fromkeys(ids) if (rows := journal.quarantine_after(n - 1, 1)) and rows[0].id == n
        ]

    def ledger(self, since: Ms) -> Sequence[LedgerRow]:
        return self._journal.ledger(since) if self._journal else []

    def balance(self, question: LedgerQuestion) -> LedgerPage:
        if self._journal is None:
            return LedgerPage((), 0, LedgerSum(None, None, *[0] * 11))
        return self._journal.balance(question)

    def kept(self, days: Sequence[Ms], device: str | None = None) -> Mapping[tuple[Ms, str], int]:
        return self._journal.kept(days, device) if self._journal else {}

    def kept_since(self) -> Ms | None:
        return self._journal.kept_since() if self._journal else None

    def heard_since(self) -> Ms | None:
        return self._journal.heard_since() if self._journal else None

    def spool(self) -> Spool:
        return self._journal.spool() if self._journal else Spool(self._most, 0, 0, 0.0)

    def findings(self, since: Ms, limit: int = 200, device: str | None = None) -> Sequence[FindingRow]:
        return self._journal.findings(since, limit, device) if self._journal else []

    def counts(self) -> Mapping[str, bytes]:
        return self._journal.counts() if self._journal else {}

    def recent(self, count: int) -> Sequence[Message]:
        return self._journal.recent(count) if self._journal else []

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()

    # ------------------------------------------------------------ the owner's

    def append(self, *batches: Batch) -> int:
        self._refuse()

    def advance(self, reader: str, lane: Lane, seq: int) -> None:
        self._refuse()

    def note(
        self,
        findings: Sequence[Finding],
        outcomes: Mapping[tuple[Ms, str, str], int],
        passed: tuple[str, Lane, int] | None = None,
        kept: Tally | None = None,
        stored: Tally | None = None,
        over: Collection[tuple[str, str]] = (),
    ) -> None:
        self._refuse()

    def restate(self, records: Sequence[MessageRecord]) -> None:
        self._refuse()

    def reopen(self, addresses: Collection[str], foreign: Collection[str] = ()) -> int:
        self._refuse()

    def recall(self, found: Sequence[tuple[int, int, MessageRecord]]) -> int:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise Rejected(f"journal {self._path}: another process writes it")
