"""The command line. Every command is described in docs/commands.md."""

from __future__ import annotations

import gc

from dutyroom.cli import (
    announcing,
    checking,
    devices,
    keeping,
    profile,
    quality,
    readings,
    servers,
    service,
    trying,
)
from dutyroom.cli.frame import app

__all__ = ["app", "main"]

# In the order in which help lists them.
app.command()(service.demo)
app.command()(service.serve)
app.command()(service.ingest)
app.command()(service.api)
app.command()(service.scheduler)
app.command()(service.notify)
app.command()(checking.check)
app.add_typer(checking.broker, name="broker")
app.add_typer(profile.profile, name="profile")
app.command()(trying.init)
app.command()(trying.simulate)
app.command()(trying.publish)
app.command()(trying.replay)
app.command(name="import")(readings.import_readings)
app.command()(readings.readings)
app.command()(readings.quarantine)
app.command()(readings.ledger)
app.command()(quality.backtest)
app.add_typer(quality.alarms, name="alarms")
app.add_typer(announcing.announce, name="announce")
app.command()(keeping.password)
app.command()(keeping.backup)
app.command()(keeping.restore)
app.add_typer(devices.devices, name="devices")
app.add_typer(servers.influx, name="influx")
app.add_typer(servers.store, name="store")
app.add_typer(servers.grafana, name="grafana")


def main() -> None:
    """Entry point of the console script."""
    try:
        app()
    finally:
        # Or the interpreter would look through half a million objects before it ends: a second after Ctrl-C.
        gc.freeze()
