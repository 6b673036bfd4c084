"""The demo's past: two months of readings made by the simulators, brought in by the service's own
import while the demo runs, and the bills of the months that ended."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import structlog

from dutyroom.backends.history import import_history
from dutyroom.errors import DutyroomError, Unavailable
from dutyroom.flows.billing import bill_period, take_period_reads
from dutyroom.flows.run import SiteRuntime
from dutyroom.model.duty import SYSTEM
from dutyroom.timebase import DAY, MINUTE, day_start, local_date, to_iso, zone
from dutyroom.wiring.estate import run_to_its_end, simulators

log = structlog.get_logger(__name__)

HISTORY_DAYS = 62


class Past(threading.Thread):
    """Two months of past readings, then the period reads and bills of the months that ended."""

    def __init__(self, data: Path, runtime: SiteRuntime, estate: Sequence[str]) -> None:
        """data: the demo's folder; estate: the arguments that its simulators agree on."""
        super().__init__(name="history", daemon=True)
        self._data, self._runtime, self._estate = data, runtime, estate
        self._ending = threading.Event()
        self._maker: subprocess.Popen[str] | None = None

    def end(self) -> None:
        """What is half done is begun anew by the next start."""
        self._ending.set()
        if self._maker is not None and self._maker.poll() is None:
            self._maker.terminate()
        self.join(1.0)

    def run(self) -> None:
        progress = self._runtime.progress
        progress["history"] = "0 %"
        try:
            self._import()
            progress.pop("history", None)
        except Exception as err:
            if self._ending.is_set():
                return  # what it worked on may be closed by now
            if not isinstance(err, DutyroomError):
                raise
            log.error("history.failed", reason=str(err))
            progress["history"] = str(err)

    def _import(self) -> None:
        runtime, data = self._runtime, self._data
        folder, now = data / "history", runtime.started_at
        shutil.rmtree(folder, ignore_errors=True)
        span = ["--from", to_iso(now - HISTORY_DAYS * DAY), "--to", to_iso(now)]
        made = [*span, "--format", "npz", "--out", str(folder), "--guard", *self._estate]
        run_to_its_end(simulators("history", *made), self._made_by)
        done = import_history(folder, runtime.table, runtime.store, self._progress)
        log.info("history.imported", readings=done.readings, unknown=len(done.unknown))
        _bill_ended_months(runtime)
        (data / "history.done").write_text(to_iso(now), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)

    def _made_by(self, maker: subprocess.Popen[str]) -> None:
        self._maker = maker
        if self._ending.is_set():
            maker.terminate()

    def _progress(self, share: float) -> None:
        if self._ending.is_set():
            raise Unavailable("the demo ends")
        self._runtime.progress["history"] = f"{share:.0%}"


def _bill_ended_months(runtime: SiteRuntime) -> None:
    """Cut-offs inside the history, and the bills between them."""
    site, tz = runtime.site, zone(runtime.site.time_zone)
    now = runtime.clock.now()
    first = local_date(now - HISTORY_DAYS * DAY, tz)
    months = [
        d for d in _month_starts(first.year, first.month) if day_start(d, tz) > now - HISTORY_DAYS * DAY
    ]
    ended = [d for d in months if day_start(d, tz) + 5 * MINUTE < now]
    for day in ended:
        take_period_reads(
            site, runtime.table, runtime.store, runtime.records, day_start(day, tz), now, SYSTEM
        )
    for day in ended[:-1]:
        bill_period(site, runtime.table, runtime.records, f"{day:%Y-%m}", now, SYSTEM)


def _month_starts(year: int, month: int) -> list[date]:
    """The first days of a month and the three after it."""
    return [date(year + (month - 1 + n) // 12, (month - 1 + n) % 12 + 1, 1) for n in range(4)]
