"""The loop that looks at how well a site's data is: its journal's size, its devices' clocks, who floods, what is not
read any more."""

from __future__ import annotations

from collections.abc import Container

import structlog

from dutyroom.errors import Unavailable
from dutyroom.flows.floods import Floods
from dutyroom.flows.loops import Loop
from dutyroom.flows.points import names_made
from dutyroom.flows.registry import Registry
from dutyroom.flows.run import SiteRuntime
from dutyroom.flows.silent_points import SilentPoints
from dutyroom.flows.silent_words import KIND as SILENT
from dutyroom.flows.skew import Skews
from dutyroom.flows.spool import SpoolWarning
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import Finding
from dutyroom.timebase import HOUR, Ms

log = structlog.get_logger(__name__)

_EVERY_S = 10.0
_CLOCKS = "clocks"  # name of the record of clocks that are off
_KNOWN = 10_000  # findings that are looked through after a start


class Timed:
    """Whether a device says when its readings are: by the layouts of its profile."""

    def __init__(self, runtime: SiteRuntime, registry: Registry) -> None:
        self._runtime, self._registry = runtime, registry
        self._known: dict[str, bool] = {}
        self._library: object = None

    def __call__(self, device: str) -> bool:
        row, intake = self._registry.by_id.get(device), self._runtime.intake
        if row is None or intake is None:
            return False
        if intake.library is not self._library:
            self._library, self._known = intake.library, {}
        if row.profile not in self._known:
            profile = intake.library.profiles.get(row.profile)
            self._known[row.profile] = profile is not None and any(
                layout.time is not None or any(point.time is not None for point in layout.points)
                for layout in profile.layouts
            )
        return self._known[row.profile]


class Made:
    """Whether a device's profile still has a point of that name."""

    def __init__(self, runtime: SiteRuntime) -> None:
        self._runtime = runtime
        self._known: dict[str, Container[str]] = {}
        self._library: object = None

    def __call__(self, device: Device, name: str) -> bool:
        intake = self._runtime.intake
        if intake is None:
            return False
        if intake.library is not self._library:
            self._library, self._known = intake.library, {}
        if device.profile not in self._known:
            self._known[device.profile] = names_made(device, intake.library)
        return name in self._known[device.profile]


class _Owed:
    """Found, and not noted yet."""

    def __init__(self, runtime: SiteRuntime, registry: Registry) -> None:
        r = self._runtime = runtime
        self._silent = SilentPoints(r.table, r.live, r.store, registry, Made(r))
        self._adopted = False
        self.findings: list[Finding] = []
        self._over: set[tuple[str, str]] = set()

    def look(self, now: Ms) -> None:
        """At points that are not read any more. Where the store is away, later."""
        if not self._adopted:
            self._silent.adopt(self._runtime.journal.findings(0, _KNOWN))
            self._adopted = True
        if not self._silent.due(now):
            return
        try:
            told = self._silent.look(now)
        except Unavailable as err:
            log.info("health.store_away", site=self._runtime.site.id, reason=str(err))
            return
        self.findings = [f for f in self.findings if f.kind != SILENT or f.device not in told.over]
        self.findings += told.findings
        self._over |= {(SILENT, device) for device in told.over}

    def note(self) -> None:
        self._runtime.journal.note(self.findings, {}, over=sorted(self._over))
        self.findings, self._over = [], set()


def health_of(runtime: SiteRuntime, registry: Registry, ours: bool = True) -> Loop:
    """ours: the journal is written in this process; else nothing is noted."""
    r = runtime
    skews, warning = Skews(r.table, Timed(r, registry)), SpoolWarning()
    floods = Floods(r.table)
    r.health.skews = skews
    seen = [0]
    owed = _Owed(r, registry)
    kept: list[bytes] = []  # of the clocks that are off, as the records have it

    def restore() -> None:
        with r.records.read() as tx:
            found = tx.blob(r.site.id, _CLOCKS)
        kept.append(found or b"")
        skews.restore(found)

    def keep() -> None:
        packed = skews.packed()
        if packed != kept[0]:
            with r.records.write() as tx:
                tx.put_blob(r.site.id, _CLOCKS, packed)
            kept[0] = packed

    def owner(point: int) -> str | None:
        found = r.table.get(point)
        return None if found is None else found.device

    def look() -> float:
        now = r.clock.now()
        if not kept:
            restore()
        seen[0], values = r.live.newest_since(seen[0], owner)
        owed.findings += skews.take(values, now)
        r.health.spool = r.journal.spool()
        if (filling := warning.look(r.health.spool.share, now)) is not None:
            log.warning("journal.filling", site=r.site.id, share=filling.detail)
            owed.findings.append(filling)
        if not ours:
            owed.findings.clear()
            return _EVERY_S
        if floods.due(now):
            owed.findings += floods.look(r.journal.ledger(now // HOUR * HOUR), now)
        owed.note()
        keep()
        owed.look(now)  # last: whatever the store says holds up nothing else
        owed.note()
        return _EVERY_S

    return Loop("health", look)
