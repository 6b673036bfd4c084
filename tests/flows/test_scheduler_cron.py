"""The cron wakes at real seconds and at instants of a fast clock, and survives a failing wake."""

from __future__ import annotations

import threading
import time

from dutyroom.backends.clock import ScaledClock, read_machine_time
from dutyroom.backends.cron import Cron
from dutyroom.errors import Unavailable
from dutyroom.timebase import DAY, HOUR, Ms


def wait_for(done: threading.Event) -> bool:
    return done.wait(10)


def test_it_wakes_again_and_again_whatever_happens():
    calls, done = [], threading.Event()

    def wake() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise Unavailable("the records do not answer")
        if len(calls) == 3:
            done.set()

    cron = Cron(ScaledClock(0, read_machine_time(), 1.0))
    cron.every(0.1, wake, "plans")
    cron.start()
    try:
        assert wait_for(done)
    finally:
        cron.stop()


def test_it_wakes_at_the_instant_of_a_fast_clock():
    """An hour of the site's clock is a third of a second here."""
    speed = 3 * 3600.0
    clock = ScaledClock(DAY, read_machine_time(), speed)
    # Two seconds apart: a busy machine once took longer to start the thread than both instants were away.
    due: list[Ms] = [DAY + 6 * HOUR, DAY + 12 * HOUR]
    woken: list[Ms] = []
    done = threading.Event()

    def wake() -> None:
        woken.append(clock.now())
        if woken[-1] >= due[-1]:
            done.set()

    cron = Cron(clock)
    cron.at(lambda now: next((d for d in due if d > now), None), wake, "plans")
    cron.start()
    try:
        assert wait_for(done)
    finally:
        cron.stop()
    assert woken[0] < due[0], "once at the start"
    for instant in due:
        assert min(now for now in woken if now >= instant) - instant < 3 * HOUR  # a second


def test_an_instant_that_cannot_be_had_does_not_end_it():
    asked, done = [], threading.Event()

    def next_instant(now: Ms) -> Ms | None:
        asked.append(now)
        done.set()
        raise Unavailable("the records do not answer")

    cron = Cron(ScaledClock(0, read_machine_time(), 1.0))
    cron.at(next_instant, lambda: None, "plans")
    cron.start()
    try:
        assert wait_for(done)
        time.sleep(0.05)
        assert len(asked) == 1, "it waits before it asks again"
    finally:
        cron.stop()


def test_stopping_what_never_ran():
    Cron(ScaledClock(0, 0, 1.0)).stop()
