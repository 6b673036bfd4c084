"""A running site: the parts that its flows and pages share. Made by `wiring`, used by `api`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dutyroom.flows.devices import DeviceDesk
from dutyroom.flows.health import Health
from dutyroom.flows.intake import Intake
from dutyroom.flows.live import Live
from dutyroom.flows.shelf import Shelf
from dutyroom.interfaces import Journal, ReadingStore, Records, Wake
from dutyroom.model.telemetry import PointTable
from dutyroom.site import Site
from dutyroom.timebase import Clock


def _nothing() -> None:
    return None


@dataclass(slots=True)
class SiteRuntime:
    """Everything about one site at run time."""

    site: Site
    table: PointTable
    live: Live
    journal: Journal
    store: ReadingStore
    records: Records
    clock: Clock
    started_at: int = 0
    wake: Wake = _nothing  # tells the flows that records changed by a page
    broker_ok: Callable[[], bool] = lambda: True
    apart: bool = False  # another process reads the messages; its broker is not ours to be well by
    broker_lossless: bool = True  # False: embedded broker, its queue dies with it
    troubles: Callable[[], Mapping[str, str]] = dict  # what is waiting for something, and why; {} = nothing
    health: Health = field(default_factory=Health)
    intake: Intake | None = None  # None: nothing is ingested in this process
    shelf: Shelf | None = None
    devices: DeviceDesk | None = None  # None: the registry is not changed in this process
    inject: Callable[[str, dict[str, str]], None] | None = None  # demo: start a scenario
    scenarios: tuple[str, ...] = ()
    progress: dict[str, str] = field(default_factory=dict)  # e.g. {"history": "62 %"}
