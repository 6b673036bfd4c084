"""Commands that run the service, whole or in parts. Each is described in docs/commands.md."""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from dutyroom.cli.frame import Data, Readings, RecordsAt, Sites, plain_errors, say, settings_with
from dutyroom.settings import Settings


def demo(
    data: Data = None,
    port: Annotated[int | None, typer.Option(help="Port of the pages; if taken, the next free one.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget earlier runs.")] = False,
    lan: Annotated[bool, typer.Option("--lan", help="Let other machines see the pages.")] = False,
    speed: Annotated[float, typer.Option(help="Run the estate's clock this many times as fast.")] = 1.0,
    empty: Annotated[
        bool, typer.Option("--empty", help="No simulated estate: publish your own devices.")
    ] = False,
    units: Annotated[int | None, typer.Option(help="Units of a new estate; default: 480.")] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open a browser.")] = False,
    no_scenarios: Annotated[
        bool, typer.Option("--no-scenarios", help="Nothing goes wrong by itself.")
    ] = False,
    no_history: Annotated[
        bool, typer.Option("--no-history", help="Start without two months of past readings.")
    ] = False,
) -> None:
    """Start everything on this machine with a simulated estate."""
    from dutyroom.wiring.demo import DemoOptions, run_demo

    with plain_errors():
        settings = settings_with(
            data=data or Settings().data / "demo",
            port=port,
            host="0.0.0.0" if lan else None,  # noqa: S104
        )
        options = DemoOptions(
            fresh, speed, empty, history=not no_history, scenarios=not no_scenarios, units=units
        )
        run_demo(settings, options, say, _opener(no_browser))


def _opener(no_browser: bool) -> Callable[[str], None]:
    def ready(url: str) -> None:
        if not no_browser and sys.stdout.isatty():
            webbrowser.open(url)

    return ready


def serve(
    site: Annotated[list[Path], typer.Option("--site", help="Site folder; may be given several times.")],
    data: Data = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port of the pages.")] = None,
    readings: Annotated[str | None, typer.Option(help="embedded or influx.")] = None,
    records: Annotated[
        str | None, typer.Option(help="postgresql://... ; default: SQLite in the data folder.")
    ] = None,
    embedded_broker: Annotated[
        bool, typer.Option("--embedded-broker", help="For trials without a broker: its queue dies with it.")
    ] = False,
) -> None:
    """Run one or more real sites."""
    from dutyroom.wiring.serve import run_serve

    with plain_errors():
        settings = settings_with(data=data, host=host, port=port, readings=readings, records=records)
        run_serve(settings, site, embedded_broker, say)


def ingest(site: Sites, data: Data = None, readings: Readings = None, records: RecordsAt = None) -> None:
    """Read the messages of sites, keep readings and raise alarms; without pages. Several share the sites."""
    from dutyroom.wiring.ingesting import run_ingest

    with plain_errors():
        run_ingest(settings_with(data=data, readings=readings, records=records), site, say)


def api(
    site: Sites,
    data: Data = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port of the pages.")] = None,
    readings: Readings = None,
    records: RecordsAt = None,
) -> None:
    """Serve pages and API of sites whose messages `dutyroom ingest` reads."""
    from dutyroom.wiring.showing import run_api

    with plain_errors():
        settings = settings_with(data=data, host=host, port=port, readings=readings, records=records)
        run_api(settings, site, say)


def scheduler(site: Sites, data: Data = None, readings: Readings = None, records: RecordsAt = None) -> None:
    """See to the plans of sites: what falls due, what was done, what is late."""
    from dutyroom.wiring.waking import run_scheduler

    with plain_errors():
        run_scheduler(settings_with(data=data, readings=readings, records=records), site, say)


def notify(site: Sites, data: Data = None, records: RecordsAt = None) -> None:
    """Send the messages to people."""
    from dutyroom.wiring.waking import run_notify

    with plain_errors():
        run_notify(settings_with(data=data, records=records), site, say)
