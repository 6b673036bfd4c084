"""Commands about the devices of a site. Each is described in docs/commands.md."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dutyroom.cli.frame import Data, plain_errors, say, settings_with

devices = typer.Typer(help="The devices of a site as a file.", no_args_is_help=True)


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
    parameters: Annotated[
        str, typer.Option(help='As in a table: "ct=40;pt=10". Needed where its profile has no default.')
    ] = "",
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

    wish = {
        "address": address,
        "profile": profile,
        "id": device_id,
        "name": name,
        "space": space,
        "parameters": parameters,
    }
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
