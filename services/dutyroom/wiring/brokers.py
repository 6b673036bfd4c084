"""Trying a site's brokers: by `dutyroom broker check`, and once in the background after a start."""

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


def trial(brokers: Sequence[BrokerAddress], connected: Callable[[], bool]) -> Loop:
    """Tries them once, some seconds after they let us in; what should be changed is in the log."""
    waited: list[float] = []

    def work() -> float:
        if not connected():
            waited.clear()
            return 1.0
        if not waited:
            waited.append(_AFTER_S)
            return _AFTER_S
        loop.stop.set()
        for address in brokers:
            verdict = self_test(address)
            if verdict.changes or verdict.untried:
                for line in in_words(verdict):
                    log.warning("broker.selftest", advice=line)
        return 0.0

    loop = Loop("broker", work)
    return loop
