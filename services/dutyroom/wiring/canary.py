"""A site's canaries, one at each broker: messages over a connection beside the sessions, looked for in the site's own
store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from dutyroom.backends.clock import read_machine_time
from dutyroom.backends.mqtt.aside import MqttAside
from dutyroom.backends.mqtt.security import name_of
from dutyroom.flows import canary as flow
from dutyroom.flows.canary import Canaries, Canary, admit, topic_of
from dutyroom.flows.loops import Loop
from dutyroom.flows.registry import Registry
from dutyroom.flows.run import SiteRuntime
from dutyroom.model.telemetry import Finding
from dutyroom.site import BrokerAddress


@dataclass(frozen=True, slots=True)
class Perch:
    """A site's canaries with their loops and what is to be closed after them."""

    canary: Canaries
    loops: tuple[Loop, ...]
    close: Callable[[], None]


def canary_of(
    runtime: SiteRuntime,
    brokers: Sequence[BrokerAddress],
    registry: Registry,
    listen: Callable[[Iterable[str]], object],
) -> Perch:
    """listen: subscribes, at each broker, to topics that no filter of the site covers."""
    site = runtime.site.id
    point = admit(site, registry, runtime.table)
    listen([topic_of(site)])

    def stored() -> float | None:
        found = runtime.store.latest([point]).get(point.id)
        return found.value if found is not None else None

    def heard() -> float | None:
        found = runtime.live.get(point.id)
        return found.value if found is not None else None

    asides = [MqttAside(broker, f"dutyroom-{site}.canary") for broker in brokers]
    singing = [
        Canary(
            lambda payload, aside=aside: aside.publish(topic_of(site), payload),  # type: ignore[misc]
            stored,
            heard,
            # The remainder says which broker: never the same for two.
            lambda place=place: read_machine_time() // len(brokers) * len(brokers) + place,  # type: ignore[misc]
            time.monotonic,
            runtime.clock.now,
            place * flow.EVERY_S / len(brokers),
        )
        for place, aside in enumerate(asides)
    ]
    canaries = Canaries(singing, [name_of(broker) for broker in brokers])

    def work(canary: Canary) -> Callable[[], float]:
        def step() -> float:
            before = canary.state.silent
            wait = canary.step()
            state = runtime.health.canary = canaries.state
            if canary.state.silent and not before:
                runtime.journal.note([Finding("canary_silent", "", runtime.clock.now(), state.where)], {})
            return wait

        return step

    def close() -> None:
        for aside in asides:
            aside.close()

    return Perch(canaries, tuple(Loop("canary", work(canary)) for canary in singing), close)
