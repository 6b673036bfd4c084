"""The loop that writes figures for dashboards, where readings are in InfluxDB: who has no InfluxDB has no Grafana."""

from __future__ import annotations

from dutyroom.errors import Rejected
from dutyroom.flows.devices import fed
from dutyroom.flows.figures import Figures
from dutyroom.flows.health_figures import completeness_fields, health_fields
from dutyroom.flows.loops import Loop
from dutyroom.flows.run import SiteRuntime
from dutyroom.settings import Settings
from dutyroom.timebase import DAY
from dutyroom.topology import Topology
from dutyroom.wiring.stores import influx_door


def figure_loops(settings: Settings, runtime: SiteRuntime) -> list[Loop]:
    """For the process that owns the site; none for an embedded store."""
    if settings.readings != "influx":
        return []
    from dutyroom.backends.influx_figures import InfluxFigures  # the client library takes part of a start

    store = InfluxFigures(
        influx_door(settings), settings.influx_token_value, settings.influx_org, settings.influx_bucket
    )

    def topology() -> Topology:
        with runtime.records.read() as tx:
            devices = tx.devices.all(runtime.site.id)
        try:
            return fed(runtime.site, devices)[0]
        except Rejected:  # a row contradicts topology.yaml: as it was at the start
            return runtime.site.topology

    def health() -> dict[str, int | float]:
        r = runtime
        known = health_fields(r.health)
        if r.intake is not None:
            devices = list(r.intake.registry.by_id.values())
            now = r.clock.now()
            with r.records.read() as tx:
                added = tx.devices_added(r.site.id, now - 2 * DAY)
            known |= completeness_fields(r.journal, devices, r.table, r.site.time_zone, now, added)
        return known

    figures = Figures(
        runtime.site.id, runtime.records, runtime.journal, store, runtime.clock, topology, health
    )
    return [Loop("figures", figures.step)]
