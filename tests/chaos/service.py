"""`dutyroom ingest` as a process that may be killed, and what it has kept, read from outside."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from tests.chaos.nursery import Born, Nursery
from tests.chaos.plant import SITE, Key
from tests.shipped_profiles import as_after_a_first_start

from dutyroom.backends.journal import SqliteJournal
from dutyroom.backends.readings_embedded import EmbeddedReadingStore
from dutyroom.backends.readings_influx import InfluxReadingStore
from dutyroom.backends.records_sql import open_records
from dutyroom.errors import Unavailable
from dutyroom.interfaces import LedgerRow, ReadingStore
from dutyroom.model.telemetry import Point

ROOT = Path(__file__).parents[2]
FAR = 1 << 50


class Own:
    """A process that was started from nothing."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self._child, self.pid = child, child.pid

    def ended(self, seconds: float) -> bool:
        """Waits for its end at most so long."""
        try:
            self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def signal(self, number: int) -> None:
        self._child.send_signal(number)

    def close(self) -> None:
        """Nothing of it is held."""


class Service:
    """influx: (url, token, org, bucket) where readings live there."""

    def __init__(self, site: Path, data: Path, influx: tuple[str, str, str, str] | None = None) -> None:
        self.site, self.data, self.influx = site, data, influx
        self.log = data.parent / f"{data.name}.out"
        self.nursery: Nursery | None = None
        self._process: Own | Born | None = None
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT / "services"), "DUTYROOM_LOG_LEVEL": "info"}
        if influx is not None:
            token = data.parent / f"{data.name}.token"
            token.write_text(influx[1])
            self.environment |= {
                "DUTYROOM_READINGS": "influx", "DUTYROOM_INFLUX_URL": influx[0], "DUTYROOM_INFLUX_ORG": influx[2],
                "DUTYROOM_INFLUX_BUCKET": influx[3], "DUTYROOM_INFLUX_TOKEN_FILE": str(token),
            }  # fmt: skip

    def start(self, end: tuple[str, float, int, str] | None = None) -> None:
        """end: of `inside.befall`, in a service that a nursery splits off. Where one was killed before, its lease
        on the site has run out."""
        as_after_a_first_start(self.data)
        arguments = ["ingest", "--site", str(self.site), "--data", str(self.data)]
        if self.nursery is not None:
            if self._process is not None:
                self._process.close()
                self._let_go()
            self._process = self.nursery.start(arguments, self.environment, self.log, end)
            return
        assert end is None
        with self.log.open("ab") as out:
            child = subprocess.Popen(
                [sys.executable, "-m", "dutyroom.cli", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=self.environment,
                start_new_session=True,
            )
        self._process = Own(child)

    def _let_go(self) -> None:
        """As if the seconds had passed that a lease outlives its process."""
        with contextlib.closing(sqlite3.connect(self.data / "records.sqlite", timeout=10)) as db, db:
            db.execute("UPDATE leases SET expires_at = 0")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and not self._process.ended(0)

    def ended(self, seconds: float) -> bool:
        """Waits for its end at most so long."""
        return self._process is None or self._process.ended(seconds)

    def kill(self) -> None:
        """As a power cut would."""
        if self._process is not None:
            self._process.signal(signal.SIGKILL)
            assert self._process.ended(10)

    def freeze(self, seconds: float) -> None:
        os.kill(self.pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        if self._process is not None:
            self._process.signal(signal.SIGTERM)
            assert self._process.ended(60)

    # ------------------------------------------------------------ what it has kept

    @property
    def folder(self) -> Path:
        return self.data / "sites" / SITE

    def ledger(self) -> list[LedgerRow]:
        journal = SqliteJournal(self.folder / "journal.sqlite", read_only=True)
        try:
            return list(journal.ledger(0))
        finally:
            journal.close()

    def received(self) -> int:
        try:
            return sum(row.received for row in self.ledger())
        except (Unavailable, sqlite3.Error):
            return 0

    def points(self) -> list[Point]:
        records = open_records(f"sqlite:///{self.data}/records.sqlite")
        try:
            with records.read() as tx:
                return list(tx.devices.points(SITE))
        finally:
            records.close()

    def stored(self) -> dict[Key, float]:
        """Every reading in the store."""
        store = self._store()
        try:
            found: dict[Key, float] = {}
            for point in self.points():
                series = store.range(point, -FAR, FAR, 10_000_000)
                for at, value in zip(series.at.tolist(), series.value.tolist(), strict=True):
                    found[point.device, point.spec.name, at] = value
            return found
        finally:
            store.close()

    def _store(self) -> ReadingStore:
        if self.influx is not None:
            return InfluxReadingStore(*self.influx, SITE)
        return EmbeddedReadingStore(self.folder / "readings.sqlite", read_only=True)

    def alarms(self) -> Counter[tuple[str, str, int, int | None]]:
        """(rule, object, raised, cleared) of every alarm that readings have raised."""
        found = self._asked(
            "SELECT rule, object, raised_at, cleared_at FROM alarms WHERE rule LIKE 'plant.%'"
        )
        return Counter(
            (str(a), str(b), int(str(c)), None if d is None else int(str(d))) for a, b, c, d in found
        )

    def tickets(self) -> Counter[str]:
        """Tickets by object."""
        found = self._asked(
            "SELECT a.object FROM tickets t JOIN alarms a ON a.id = t.alarm WHERE a.rule LIKE 'plant.%'"
        )
        return Counter(str(row[0]) for row in found)

    def outages(self) -> list[tuple[object, ...]]:
        """Alarms of our own outage."""
        return self._asked(
            "SELECT rule, object, raised_at, cleared_at FROM alarms WHERE rule NOT LIKE 'plant.%'"
        )

    def _asked(self, query: str) -> list[tuple[object, ...]]:
        with sqlite3.connect(f"file:{self.data}/records.sqlite?mode=ro", uri=True, timeout=10) as db:
            return db.execute(query).fetchall()

    def said(self) -> str:
        """The end of what it printed, for a test that fails."""
        lines = self.log.read_text(errors="replace").splitlines()[-15:]
        return json.dumps(lines, ensure_ascii=False, indent=1)
