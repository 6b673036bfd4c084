"""Commands about InfluxDB and Grafana. Each is described in docs/commands.md."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dutyroom.cli.frame import Data, plain_errors, say, settings_with

influx = typer.Typer(help="InfluxDB as the store of readings.", no_args_is_help=True)


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
