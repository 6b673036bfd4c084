"""Trying a site's brokers: by `dutyroom broker check`, and in the background after a start."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import structlog

from dutyroom.backends.mqtt.selftest import in_words, self_test
from dutyroom.checks import crossed
from dutyroom.errors import Rejected
from dutyroom.flows.loops import Loop
from dutyroom.site import BrokerAddress, load_site
from dutyroom.wiring.shipped import shipped

log = structlog.get_logger(__name__)

_AFTER_S = 5.0  # what waited for us comes first
_AGAIN_S = 3600.0  # whether somebody has changed it by now


def check_brokers(folder: Path) -> Iterator[tuple[bool, str]]:
    """Sentences about each broker of a site, and whether something should be changed or could not be tried."""
    site = load_site(folder)
    if not site.brokers:
        raise Rejected(f"{folder / 'site.yaml'}: broker: is missing; there is nothing to try")
    for sentence in crossed(folder, shipped("device_profiles"), site.brokers):
        yield True, sentence
    for address in site.brokers:
        verdict = self_test(address)
        for line in in_words(verdict):
            yield bool(verdict.changes or verdict.untried), line


def trial(
    brokers: Sequence[BrokerAddress], connected: Callable[[], bool], advice: list[str] | None = None
) -> Loop:
    """Tries them once, some seconds after they let us in, and again now and then as long as something should be
    changed: that is in the log, and in `advice` for the pages. What could not be tried is in the log alone."""
    waited: list[float] = []
    shown = advice if advice is not None else []
    logged: set[str] = set()
    changes: dict[BrokerAddress, tuple[str, ...]] = {}

    def work() -> float:
        if not connected():
            waited.clear()
            return 1.0
        if not waited:
            waited.append(_AFTER_S)
            return _AFTER_S
        try:
            verdicts = [self_test(address) for address in brokers]
        except Rejected as err:  # files that are being renewed just now; the sessions go on
            log.warning("broker.selftest", advice=str(err))
            return _AGAIN_S
        for verdict in verdicts:
            lines = in_words(verdict) if verdict.changes or verdict.untried else ()
            for line in lines:
                if line not in logged:
                    log.warning("broker.selftest", advice=line)
            logged.update(lines)
        for address, verdict in zip(brokers, verdicts, strict=True):
            if not verdict.untried:  # what was found before holds until it is tried again
                changes[address] = verdict.changes
        shown[:] = [line for lines in changes.values() for line in lines]
        if not shown:
            loop.stop.set()
        return _AGAIN_S

    loop = Loop("broker", work)
    return loop
