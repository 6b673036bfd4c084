"""The command line. Every command is described in docs/commands.md."""

from __future__ import annotations

import csv
import gc
import logging
import sys
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer

from dutyroom import __version__
from dutyroom.errors import DutyroomError, Invalid
from dutyroom.settings import Settings

app = typer.Typer(
    name="dutyroom",
    help="Reads a property's meters and plant over MQTT, decides, shows and bills.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

Data = Annotated[Path | None, typer.Option("--data", help="Data folder [default: see docs/settings.md].")]


def say(line: str) -> None:
    """To the person, at once."""
    typer.echo(line)
    sys.stdout.flush()


@contextmanager
def plain_errors() -> Iterator[None]:
    """Errors that the product raises on purpose are sentences, not tracebacks. Exit code 1."""
    try:
        yield
    except Invalid as err:
        for mistake in err.mistakes:
            typer.echo(str(mistake), err=True)
        raise typer.Exit(1) from err
    except DutyroomError as err:
        typer.echo(f"dutyroom: {err}", err=True)
        raise typer.Exit(1) from err


def settings_with(**given: Any) -> Settings:
    """Settings from the environment, with what the command line says over them."""
    return Settings(**{name: value for name, value in given.items() if value is not None})


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    # Commands print what they are for; a service sets its own log up.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    if version:
        say(__version__)
        raise typer.Exit


@app.command()
def demo(
    data: Data = None,
    port: Annotated[int | None, typer.Option(help="Port of the pages; if taken, the next free one.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget earlier runs.")] = False,
    lan: Annotated[bool, typer.Option("--lan", help="Let other machines see the pages.")] = False,
    speed: Annotated[float, typer.Option(help="Run the estate's clock this many times as fast.")] = 1.0,
    empty: Annotated[
        bool, typer.Option("--empty", help="No simulated estate: publish your own devices.")
    ] = False,
    units: Annotated[int | None, typer.Option(help="Units of a new estate [default: 480].")] = None,
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


@app.command()
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


Sites = Annotated[list[Path], typer.Option("--site", help="Site folder; may be given several times.")]
Readings = Annotated[str | None, typer.Option("--readings", help="embedded or influx.")]
RecordsAt = Annotated[
    str | None, typer.Option("--records", help="postgresql://... ; default: SQLite in the data folder.")
]


@app.command()
def ingest(site: Sites, data: Data = None, readings: Readings = None, records: RecordsAt = None) -> None:
    """Read the messages of sites, keep readings and raise alarms; without pages. Several share the sites."""
    from dutyroom.wiring.ingesting import run_ingest

    with plain_errors():
        run_ingest(settings_with(data=data, readings=readings, records=records), site, say)


@app.command()
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


@app.command()
def scheduler(site: Sites, data: Data = None, readings: Readings = None, records: RecordsAt = None) -> None:
    """See to the plans of sites: what falls due, what was done, what is late."""
    from dutyroom.wiring.waking import run_scheduler

    with plain_errors():
        run_scheduler(settings_with(data=data, readings=readings, records=records), site, say)


@app.command()
def notify(site: Sites, data: Data = None, records: RecordsAt = None) -> None:
    """Send the messages to people."""
    from dutyroom.wiring.waking import run_notify

    with plain_errors():
        run_notify(settings_with(data=data, records=records), site, say)


@app.command()
def check(
    site: Annotated[Path | None, typer.Option("--site", help="Site folder to check.")] = None,
    profiles: Annotated[
        Path | None, typer.Option("--profiles", help="Folder of device profiles to check.")
    ] = None,
) -> None:
    """Read every file of a site and every profile with its examples; name every mistake; touch no network."""
    from dutyroom.api.words import read_catalogue
    from dutyroom.checks import check_site
    from dutyroom.profiles.checking import check_profiles
    from dutyroom.wiring.shipped import shipped

    with plain_errors():
        folder, mistakes, keys = profiles or shipped("device_profiles"), [], read_catalogue()
        if profiles or site is None:
            mistakes += check_profiles(folder, shipped("device_profiles"), keys=keys)
        if site is not None:
            mistakes += check_site(site, folder, keys)
        if mistakes:
            raise Invalid(mistakes)
        say("No mistakes found.")


broker = typer.Typer(help="The brokers of a site.", no_args_is_help=True)
app.add_typer(broker, name="broker")


@broker.command(name="check")
def check_broker(
    site: Annotated[Path, typer.Option("--site", help="Site folder.")],
) -> None:
    """Try what the site's brokers do with messages that are not taken at once; say what to change."""
    from dutyroom.wiring.brokers import check_brokers

    with plain_errors():
        wrong = False
        for problem, line in check_brokers(site):
            wrong |= problem
            say(line)
        if wrong:
            raise typer.Exit(1)


profile = typer.Typer(
    help="Device profiles: try one on a message, complete them in an editor.", no_args_is_help=True
)
app.add_typer(profile, name="profile")


@profile.command(name="try")
def try_one(
    name: Annotated[
        str, typer.Argument(metavar="PROFILE", help="An id such as milesight/em300-th, or a file.")
    ],
    payload: Annotated[str, typer.Argument(help="JSON, hex or text; @FILE; - reads standard input.")],
    topic: Annotated[str, typer.Option(help="Default: one that the profile reads.")] = "",
    port: Annotated[int | None, typer.Option(min=0, max=255, help="LoRaWAN port.")] = None,
    received: Annotated[str, typer.Option(help="Receive time, ISO; default: now.")] = "",
    parameter: Annotated[list[str] | None, typer.Option(help="name=value of the device.")] = None,
    zone: Annotated[str, typer.Option(help="Of times without one.")] = "Asia/Shanghai",
) -> None:
    """Show what a profile makes of a message: which bytes became which field, and which field which point."""
    from dutyroom.wiring.profiles import try_profile

    with plain_errors():
        for line in try_profile(
            name, payload, topic=topic, port=port, received=received, parameters=parameter or [], tz=zone
        ):
            say(line)


@profile.command()
def reload(
    site: Annotated[
        str, typer.Option("--site", help="Site id; needed when the data folder has several.")
    ] = "",
    data: Data = None,
) -> None:
    """Let the running service read the profiles of its site folder again, now."""
    from dutyroom.wiring.newcomers import reload_profiles

    with plain_errors():
        for line in reload_profiles(settings_with(data=data), site):
            say(line)


@profile.command()
def request(
    protocol: Annotated[str, typer.Argument(help="dlt645 or cjt188.")],
    address: Annotated[str, typer.Argument(help="As printed on the meter; '' = the only one on the bus.")],
    identifier: Annotated[
        str, typer.Argument(help="00010000, 901F ..., or `address` to ask for the address.")
    ],
    preamble: Annotated[int, typer.Option(help="Leading FE bytes.")] = 4,
    order: Annotated[str, typer.Option(help="CJ/T 188: 1F90 (2018) or 901F (2004).")] = "1F90",
    kind: Annotated[str, typer.Option(help="CJ/T 188: 10 water, 20 heat, 30 gas.")] = "10",
    serial: Annotated[int, typer.Option(help="CJ/T 188: SER; DL/T 645: part of a long block.")] = 0,
) -> None:
    """Print the frame that asks a meter for a register, in hex, for a DTU that forwards bytes."""
    from dutyroom.errors import Rejected
    from dutyroom.profiles.requests import read_request

    with plain_errors():
        if not kind.isdigit():
            raise Rejected(f"kind: two digits such as 10, not {kind!r}")
        frame = read_request(
            protocol, address, identifier, preamble=preamble, order=order, kind=int(kind, 16), serial=serial
        )
        say(frame.hex(" ").upper())


@profile.command()
def schema() -> None:
    """Print the JSON Schema of a profile file, for editors."""
    import json

    from dutyroom.profiles.schema import profile_schema

    say(json.dumps(profile_schema(), indent=1))


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="A folder that does not exist yet, or is empty.")],
) -> None:
    """Write a commented example site."""
    from dutyroom.wiring.serve import write_example

    with plain_errors():
        write_example(folder)
        say(f"Wrote an example site to {folder}. Check it with: dutyroom check --site {folder}")


@app.command()
def simulate(
    scenario: Annotated[str, typer.Option("--scenario", help="Name, or `list`.")],
    option: Annotated[list[str] | None, typer.Option("--option", help="key=value for the scenario.")] = None,
    data: Data = None,
) -> None:
    """Play a scenario in the running demo."""
    from dutyroom.wiring.commands import inject

    with plain_errors():
        say(inject(settings_with(data=data), scenario, option or []))


@app.command()
def publish(
    topic: Annotated[str, typer.Argument(help="Where the device would publish it.")],
    payload: Annotated[str, typer.Argument(help="Text; @FILE; - reads standard input.")],
    as_bytes: Annotated[bool, typer.Option("--hex", help="The payload is bytes, given in hex.")] = False,
    broker: Annotated[str, typer.Option(help="host:port; default: the running service's own.")] = "",
    data: Data = None,
) -> None:
    """Publish one message as a device would, to see what becomes of it."""
    from dutyroom.wiring.publish import publish as send

    with plain_errors():
        say(send(settings_with(data=data), topic, payload, as_bytes=as_bytes, broker=broker))


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="Recorded messages, one JSON object a line.")],
    broker: Annotated[str, typer.Option(help="host:port; default: an embedded broker.")] = "",
    report: Annotated[Path | None, typer.Option(help="Write a JSON list, one object a record.")] = None,
    family: Annotated[
        list[str] | None, typer.Option(help="Only this family; may be given several times.")
    ] = None,
) -> None:
    """Publish recorded messages through a broker and compare what is read with what is stated."""
    from dutyroom.wiring.replay import run_replay

    with plain_errors():
        run_replay(file, broker, report, family or [], say)


@app.command(name="import")
def import_readings(
    source: Annotated[Path, typer.Argument(help="CSV (plain or .gz) or a folder of .npz chunks.")],
    site: Annotated[
        str, typer.Option("--site", help="Site id; needed when the data folder has several.")
    ] = "",
    data: Data = None,
) -> None:
    """Bring past readings into the store in bulk."""
    from dutyroom.wiring.commands import import_into

    with plain_errors():
        say(import_into(settings_with(data=data), source, site))


@app.command()
def readings(
    at: Annotated[str, typer.Option("--at", help="The cut-off, for example 2026-11-01T00:00+08:00.")],
    site: Annotated[
        str, typer.Option("--site", help="Site id; needed when the data folder has several.")
    ] = "",
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV.")] = False,
    data: Data = None,
) -> None:
    """Every meter's register at a moment."""
    from dutyroom.backends.export import harmless
    from dutyroom.wiring.commands import registers

    with plain_errors():
        rows = registers(settings_with(data=data), at, site)
        if as_csv:
            csv.writer(sys.stdout).writerows([harmless(cell) for cell in row] for row in rows)
        else:
            widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
            for row in rows:
                say(
                    "  ".join(
                        str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)
                    ).rstrip()
                )


@app.command()
def quarantine(
    site: Annotated[
        str, typer.Option("--site", help="Site id; needed when the data folder has several.")
    ] = "",
    discard: Annotated[
        list[int] | None,
        typer.Option(min=1, max=2**63 - 1, help="Discard this one; may be given several times."),
    ] = None,
    export: Annotated[
        Path | None, typer.Option(help="Write all of them to this file, one JSON object a line.")
    ] = None,
    reprocess: Annotated[bool, typer.Option("--reprocess", help="Read them again, now.")] = False,
    data: Data = None,
) -> None:
    """List messages that could not be read, with topic, payload and reason."""
    from dutyroom.wiring.commands import export_quarantine, quarantined, reprocess_quarantine

    with plain_errors():
        if export is not None:
            say(export_quarantine(settings_with(data=data), site, export))
            return
        if reprocess:
            say(reprocess_quarantine(settings_with(data=data), site))
            return
        for line in quarantined(settings_with(data=data), site, discard or []):
            say(line)


@app.command()
def ledger(
    site: Annotated[
        str, typer.Option("--site", help="Site id; needed when the data folder has several.")
    ] = "",
    since: Annotated[str, typer.Option(help="A time, or a span such as 24h or 7d.")] = "24h",
    device: Annotated[str, typer.Option(help="Of this device alone.")] = "",
    by: Annotated[str, typer.Option(help="device, hour or day.")] = "hour",
    data: Data = None,
) -> None:
    """Show what became of every message and reading; exit code 1 where something does not balance."""
    from dutyroom.wiring.ledger import show_ledger

    with plain_errors():
        wrong = False
        for fault, line in show_ledger(settings_with(data=data), site, since, device, by):
            wrong |= fault
            say(line)
        if wrong:
            raise typer.Exit(1)


@app.command()
def password(
    login: Annotated[str, typer.Argument(help="What the person logs in with.")], data: Data = None
) -> None:
    """Set a new one-time password for a person."""
    from dutyroom.wiring.commands import new_password

    with plain_errors():
        say(new_password(settings_with(data=data), login))


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="A .zip file or a folder that is not there yet.")],
    data: Data = None,
) -> None:
    """Copy a data folder, also of a running service, into one checked archive."""
    from dutyroom.backends.backup import backup as make_backup
    from dutyroom.wiring.commands import data_folder

    with plain_errors():
        settings = data_folder(settings_with(data=data))
        say(f"Wrote {make_backup(settings.data, target)}.")
        if not (settings.data / "records.sqlite").exists():
            say(
                "The records live in PostgreSQL and are not in it: take their pg_dump just before this backup."
            )
        if settings.readings == "influx":
            say("The readings live in InfluxDB and are not in it: take them with `influx backup`.")


@app.command()
def restore(
    archive: Annotated[Path, typer.Argument(help="What `dutyroom backup` wrote.")], data: Data = None
) -> None:
    """Lay a backup out into an empty data folder, every file checked by its hash."""
    from dutyroom.backends.backup import restore as lay_out

    with plain_errors():
        folder = settings_with(data=data).data
        lay_out(archive, folder)
        say(f"Restored into {folder}.")


devices = typer.Typer(help="The devices of a site as a file.", no_args_is_help=True)
app.add_typer(devices, name="devices")


@devices.command(name="import")
def import_devices(
    file: Annotated[Path, typer.Argument(help="A table: .csv (UTF-8 or GB18030) or .xlsx.")],
    only_check: Annotated[
        bool, typer.Option("--check", help="Say what it would do and what is wrong; change nothing.")
    ] = False,
    withdraw_missing: Annotated[
        bool, typer.Option("--withdraw-missing", help="Withdraw every device that is not in the file.")
    ] = False,
    site: Annotated[
        str, typer.Option("--site", help="Site id; needed when the data folder has several.")
    ] = "",
    data: Data = None,
) -> None:
    """Add and change devices: all rows of the file, or none and every mistake by row and column."""
    from dutyroom.wiring import devices as wired

    with plain_errors():
        for line in wired.import_devices(settings_with(data=data), file, site, only_check, withdraw_missing):
            say(line)


@devices.command(name="unknown")
def unknown_devices(
    site: Annotated[
        str, typer.Option("--site", help="Site id; needed when the data folder has several.")
    ] = "",
    data: Data = None,
) -> None:
    """List devices that publish and are not in the registry, with the profiles that read their messages."""
    from dutyroom.wiring.newcomers import unknown

    with plain_errors():
        for line in unknown(settings_with(data=data), site):
            say(line)


@devices.command(name="adopt")
def adopt_device(
    address: Annotated[str, typer.Argument(help="As `dutyroom devices unknown` shows it.")],
    profile: Annotated[str, typer.Option(help="Default: the one that clearly reads it best.")] = "",
    device_id: Annotated[str, typer.Option("--id", help="Its id; default: vendor and address.")] = "",
    name: Annotated[str, typer.Option(help="What people call it.")] = "",
    space: Annotated[str, typer.Option(help="Where it is: a path of spaces.yaml.")] = "",
    topic: Annotated[
        str, typer.Option(help="A filter that no profile reads so far: --profile is extended to it.")
    ] = "",
    site: Annotated[
        str, typer.Option("--site", help="Site id; needed when the data folder has several.")
    ] = "",
    data: Data = None,
) -> None:
    """Take an unknown device into the registry; what it has sent is read again."""
    from dutyroom.wiring.newcomers import adopt

    wish = {"address": address, "profile": profile, "id": device_id, "name": name, "space": space}
    with plain_errors():
        say(adopt(settings_with(data=data), site, wish | {"topic": topic}))


@devices.command(name="ignore")
def ignore_device(
    address: Annotated[str, typer.Argument(help="As `dutyroom devices unknown` shows it.")],
    take_back: Annotated[bool, typer.Option("--take-back", help="Listen to it again.")] = False,
    site: Annotated[
        str, typer.Option("--site", help="Site id; needed when the data folder has several.")
    ] = "",
    data: Data = None,
) -> None:
    """Ignore an unknown address that is not ours, such as a neighbour's meter."""
    from dutyroom.wiring.newcomers import disown

    with plain_errors():
        say(disown(settings_with(data=data), site, address, take_back))


@devices.command(name="export")
def export_devices(
    file: Annotated[Path, typer.Argument(help="The file to write: .csv or .xlsx.")],
    language: Annotated[str, typer.Option(help="en or zh-CN: of the column names.")] = "en",
    site: Annotated[
        str, typer.Option("--site", help="Site id; needed when the data folder has several.")
    ] = "",
    data: Data = None,
) -> None:
    """Write every device that is not withdrawn; importing the file again changes nothing."""
    from dutyroom.wiring import devices as wired

    with plain_errors():
        say(wired.export_devices(settings_with(data=data), file, site, language))


influx = typer.Typer(help="InfluxDB as the store of readings.", no_args_is_help=True)
app.add_typer(influx, name="influx")


@influx.command(name="setup")
def setup_influx(
    tokens: Annotated[Path, typer.Option(help="Folder for the files of tokens; made where it is not there.")],
    url: Annotated[str | None, typer.Option(help="Address of InfluxDB 2.x.")] = None,
    ca_file: Annotated[
        Path | None, typer.Option(help="Certificates that are trusted where that address is https.")
    ] = None,
    certificate_file: Annotated[
        Path | None, typer.Option(help="Client certificate, where the server wants one.")
    ] = None,
    key_file: Annotated[Path | None, typer.Option(help="Its key, where that is another file.")] = None,
    org: Annotated[str | None, typer.Option(help="Organisation.")] = None,
    bucket: Annotated[str | None, typer.Option(help="Bucket; BUCKET_5m and BUCKET_1h belong to it.")] = None,
    operator_token: Annotated[
        Path | None, typer.Option(help="File of a token that may do everything, of a server set up before.")
    ] = None,
    user: Annotated[str, typer.Option(help="First user of a new server.")] = "dutyroom",
    password_file: Annotated[
        Path | None, typer.Option(help="File with that user's password; default: one is made.")
    ] = None,
    days: Annotated[int | None, typer.Option(help="Days that every reading is kept; 0 = for ever.")] = None,
    days_of_minutes: Annotated[int | None, typer.Option(help="The same of 5 minutes.")] = None,
    days_of_hours: Annotated[int | None, typer.Option(help="The same of an hour.")] = None,
    shorten: Annotated[
        bool, typer.Option("--shorten", help="Let buckets that keep longer keep as long as said.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be made; change nothing.")
    ] = False,
) -> None:
    """Make buckets, retention, downsampling and tokens with least rights; again: say what is there."""
    from dutyroom.wiring.influx import SetupOptions
    from dutyroom.wiring.influx import setup_influx as set_up

    with plain_errors():
        settings = settings_with(
            influx_url=url,
            influx_ca_file=ca_file,
            influx_certificate_file=certificate_file,
            influx_key_file=key_file,
            influx_org=org,
            influx_bucket=bucket,
            influx_days=days,
            influx_days_of_minutes=days_of_minutes,
            influx_days_of_hours=days_of_hours,
        )
        set_up(settings, SetupOptions(tokens, operator_token, user, password_file, shorten, dry_run), say)


store = typer.Typer(help="Where readings live.", no_args_is_help=True)
app.add_typer(store, name="store")


@store.command(name="copy")
def copy_readings(
    source: Annotated[str, typer.Option("--from", help="embedded or influx.")],
    target: Annotated[str, typer.Option("--to", help="The other one.")],
    until: Annotated[
        str,
        typer.Option(help="Only what lies before this time; default: all, or now while the service runs."),
    ] = "",
    site: Annotated[
        str, typer.Option("--site", help="Site id; needed when the data folder has several.")
    ] = "",
    data: Data = None,
) -> None:
    """Copy a site's readings into the other store and compare both; exit code 1 where they differ."""
    from dutyroom.wiring.copying import copy_store

    with plain_errors():
        if not copy_store(settings_with(data=data), source, target, site, until, say):
            raise typer.Exit(1)


grafana = typer.Typer(help="Grafana dashboards.", no_args_is_help=True)
app.add_typer(grafana, name="grafana")


@grafana.command()
def push(
    url: Annotated[str, typer.Option(help="Address of Grafana.")],
    token_file: Annotated[Path, typer.Option(help="File with a service account token.")],
    language: Annotated[str, typer.Option(help="zh-CN or en.")] = "zh-CN",
    data: Data = None,
) -> None:
    """Create or update data source, folder and dashboards."""
    from dutyroom.wiring.commands import push_dashboards

    with plain_errors():
        say(push_dashboards(settings_with(data=data), url, token_file, language, say))


def main() -> None:
    """Entry point of the console script."""
    try:
        app()
    finally:
        # Or the interpreter would look through half a million objects before it ends: a second after Ctrl-C.
        gc.freeze()


if __name__ == "__main__":
    main()
