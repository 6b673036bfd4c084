"""The clock that wakes the scheduler, by APScheduler. It decides nothing: the rows do.

Waking too often, twice at once or too late changes nothing but the time at which something is seen.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, timedelta

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from dutyroom.backends.clock import ScaledClock, read_machine_time
from dutyroom.errors import DutyroomError
from dutyroom.interfaces import Wake
from dutyroom.timebase import Clock, Ms, to_datetime

log = structlog.get_logger(__name__)

_SOONEST_S = 0.05  # never wake more often than this, however fast the clock runs
_LATEST_S = 3600.0  # look again at least hourly: plans may change, machines may sleep


class Cron:
    """Wakes functions every so many real seconds, and at instants of the site's clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._speed = clock.speed if isinstance(clock, ScaledClock) else 1.0
        defaults = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        self._scheduler = BackgroundScheduler(timezone=UTC, job_defaults=defaults, daemon=True)

    def every(self, seconds: float, wake: Wake, name: str) -> None:
        """Wakes at once and then every `seconds` real seconds."""
        first = to_datetime(read_machine_time())
        self._scheduler.add_job(
            _guarded(wake, name), "interval", seconds=seconds, id=f"every/{name}", next_run_time=first
        )

    def at(self, next_instant: Callable[[Ms], Ms | None], wake: Wake, name: str) -> None:
        """Wakes at the instant that `next_instant(now)` names, and asks again afterwards."""
        guarded = _guarded(wake, name)

        def run() -> None:
            guarded()
            self._plan(next_instant, run, name)

        self._plan(next_instant, run, name, ask=False)

    def _plan(
        self, next_instant: Callable[[Ms], Ms | None], run: Wake, name: str, *, ask: bool = True
    ) -> None:
        delay = self._delay(next_instant, name) if ask else 0.0
        moment = to_datetime(read_machine_time()) + timedelta(seconds=delay)
        self._scheduler.add_job(run, "date", run_date=moment, id=f"at/{name}", replace_existing=True)

    def _delay(self, next_instant: Callable[[Ms], Ms | None], name: str) -> float:
        """Real seconds until the next instant."""
        now = self._clock.now()
        try:
            instant = next_instant(now)
        except DutyroomError as err:
            log.warning("cron.no_instant", job=name, error=str(err))
            return 60.0
        if instant is None:
            return _LATEST_S
        return min(_LATEST_S, max(_SOONEST_S, (instant - now) / 1000 / self._speed))

    def start(self) -> None:
        self._scheduler.start()

    def stop(self) -> None:
        """Waits for a wake that is under way."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)


def _guarded(wake: Wake, name: str) -> Wake:
    """A failed wake is written down and tried again at the next one; it never ends the cron."""

    def run() -> None:
        try:
            wake()
        except Exception:
            log.exception("cron.failed", job=name)

    return run
