"""The loop that looks at how well a site's data is: its journal's size, its devices' clocks, who floods."""

from __future__ import annotations

import structlog

from dutyroom.flows.floods import Floods
from dutyroom.flows.loops import Loop
from dutyroom.flows.registry import Registry
from dutyroom.flows.run import SiteRuntime
from dutyroom.flows.skew import Skews
from dutyroom.flows.spool import SpoolWarning
from dutyroom.model.telemetry import Finding
from dutyroom.timebase import HOUR

log = structlog.get_logger(__name__)

_EVERY_S = 10.0
_CLOCKS = "clocks"  # name of the record of clocks that are off


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


def health_of(runtime: SiteRuntime, registry: Registry, ours: bool = True) -> Loop:
    """ours: the journal is written in this process; else nothing is noted."""
    r = runtime
    skews, warning = Skews(r.table, Timed(r, registry)), SpoolWarning()
    floods = Floods(r.table)
    r.health.skews = skews
    seen = [0]
    owed: list[Finding] = []  # found, and not noted yet
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
        owed.extend(skews.take(values, now))
        r.health.spool = r.journal.spool()
        if (filling := warning.look(r.health.spool.share, now)) is not None:
            log.warning("journal.filling", site=r.site.id, share=filling.detail)
            owed.append(filling)
        if ours:
            if floods.due(now):
                owed.extend(floods.look(r.journal.ledger(now // HOUR * HOUR), now))
            r.journal.note(owed, {})
        owed.clear()
        if ours:
            keep()
        return _EVERY_S

    return Loop("health", look)
