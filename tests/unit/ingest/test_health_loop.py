"""What the health loop has found is noted once the journal takes it: it is found once and never again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from dutyroom.errors import Unavailable
from dutyroom.flows.health import Health
from dutyroom.flows.live import Live
from dutyroom.flows.registry import Registry
from dutyroom.flows.run import SiteRuntime
from dutyroom.interfaces import FindingRow, LedgerRow, Spool
from dutyroom.model.telemetry import Finding, PointTable
from dutyroom.wiring.health import health_of

T = 1_795_000_000_000


class Journal:
    """On a disk that is full for a while."""

    def __init__(self) -> None:
        self.noted: list[str] = []
        self.away = {"note", "ledger"}

    def spool(self) -> Spool:
        return Spool(100, 95, 95, 0.95)

    def ledger(self, since: int) -> list[LedgerRow]:
        self._ask("ledger")
        return []

    def findings(self, since: int, limit: int) -> list[FindingRow]:
        return []

    def note(self, findings: list[Finding], outcomes: object, over: object) -> None:
        self._ask("note")
        self.noted += [f.kind for f in findings]

    def _ask(self, what: str) -> None:
        if what in self.away:
            raise Unavailable("disk full")


def test_that_the_journal_filled_up_is_told_when_it_can_be_written_again() -> None:
    journal, records = Journal(), _Records()
    runtime: Any = SimpleNamespace(
        site=SimpleNamespace(id="s"), table=PointTable(), health=Health(), live=Live(), records=records,
        journal=journal, store=None, clock=SimpleNamespace(now=lambda: T), intake=None,
    )  # fmt: skip
    loop = health_of(cast(SiteRuntime, runtime), Registry([]))
    for gone in ("ledger", "note"):
        try:
            loop.work()
        except Unavailable:
            journal.away.discard(gone)
    loop.work()
    loop.work()
    assert journal.noted == ["spool_filling"]


class _Records:
    """Has nothing, and keeps nothing."""

    def read(self) -> _Records:
        return self

    write = read

    def __enter__(self) -> _Records:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def blob(self, *_: object) -> bytes | None:
        return None

    def put_blob(self, *_: object) -> None:
        return None
