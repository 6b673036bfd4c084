"""The loop that writes figures for dashboards, where readings are in InfluxDB: who has no InfluxDB has no Grafana."""

from __future__ import annotations

from dutyroom.errors import Rejected
from dutyroom.flows.devices import fed
from dutyroom.flows.figures import Figures
from dutyroom.flows.health import Health
from dutyroom.flows.loops import Loop
from dutyroom.flows.run import SiteRuntime
from dutyroom.settings import Settings
from dutyroom.topology import Topology


def figure_loops(settings: Settings, runtime: SiteRuntime) -> list[Loop]:
    """For the process that owns the site; none for an embedded store."""
    if settings.readings != "influx":
        return []
    from dutyroom.backends.influx_figures import InfluxFigures  # the client library takes part of a start

    store = InfluxFigures(
        settings.influx_url, settings.influx_token_value(), settings.influx_org, settings.influx_bucket
    )

    def topology() -> Topology:
        with runtime.records.read() as tx:
            devices = tx.devices.all(runtime.site.id)
        try:
            return fed(runtime.site, devices)[0]
        except Rejected:  # a row contradicts topology.yaml: as it was at the start
            return runtime.site.topology

    def health() -> dict[str, int | float]:
        return health_fields(runtime.health)

    figures = Figures(
        runtime.site.id, runtime.records, runtime.journal, store, runtime.clock, topology, health
    )
    return [Loop("figures", figures.step)]


def health_fields(health: Health) -> dict[str, int | float]:
    """What is known of it; see `flows.data_figures`."""
    found: dict[str, int | float] = {}
    if (canary := health.canary) is not None and canary.proven:
        found["canary_silent"] = int(canary.silent)
        if canary.delay_s is not None and not canary.silent:
            found["canary_s"] = float(canary.delay_s)
    if health.spool is not None and health.spool.limit:
        found["spool"] = 100.0 * health.spool.share
    return found
