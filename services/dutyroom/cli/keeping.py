"""Commands that keep an instance: passwords, backups. Each is described in docs/commands.md."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dutyroom.cli.frame import Data, plain_errors, say, settings_with


def password(
    login: Annotated[str, typer.Argument(help="What the person logs in with.")], data: Data = None
) -> None:
    """Set a new one-time password for a person."""
    from dutyroom.wiring.commands import new_password

    with plain_errors():
        say(new_password(settings_with(data=data), login))


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


def restore(
    archive: Annotated[Path, typer.Argument(help="What `dutyroom backup` wrote.")], data: Data = None
) -> None:
    """Lay a backup out into an empty data folder, every file checked by its hash."""
    from dutyroom.backends.backup import restore as lay_out

    with plain_errors():
        folder = settings_with(data=data).data
        lay_out(archive, folder)
        say(f"Restored into {folder}.")
