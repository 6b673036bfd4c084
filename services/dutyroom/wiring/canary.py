"""A site's canary: its messages over a connection beside the sessions, looked for in the site's own store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dutyroom.backends.clock import read_machine_time
from dutyroom.backends.mqtt.aside import MqttAside
from dutyroom.flows.canary import Canary, admit, topic_of
from dutyroom.flows.loops import Loop
from dutyroom.flows.registry import Registry
from dutyroom.flows.run import SiteRuntime
from dutyroom.model.telemetry import Finding
from dutyroom.site import BrokerAddress


@dataclass(frozen=True, slots=True)
class Perch:
    """A canary with its loop and what is to be closed after it."""

    canary: Canary
    loop: Loop
    close: Callable[[], None]


def canary_of(
    runtime: SiteRuntime,
    broker: BrokerAddress,
    registry: Registry,
    listen: Callable[[Iterable[str]], object],
) -> Perch:
    """listen: subscribes to topics that no filter of the site covers. Several brokers: it sings at the first."""
    site = runtime.site.id
    aside = MqttAside(broker, f"dutyroom-{site}.canary")
    point = admit(site, registry, runtime.table)
    listen([topic_of(site)])

    def stored() -> float | None:
        found = runtime.store.latest([point]).get(point.id)
        return found.value if found is not None else None

    def heard() -> float | None:
        found = runtime.live.get(point.id)
        return found.value if found is not None else None

    canary = Canary(
        lambda payload: aside.publish(topic_of(site), payload),
        stored,
        heard,
        read_machine_time,
        time.monotonic,
        runtime.clock.now,
    )

    def step() -> float:
        before = canary.state.silent
        wait = canary.step()
        runtime.health.canary = canary.state
        if canary.state.silent and not before:
            runtime.journal.note([Finding("canary_silent", "", runtime.clock.now(), "")], {})
        return wait

    return Perch(canary, Loop("canary", step), aside.close)
