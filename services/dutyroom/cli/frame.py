"""What all commands have in common."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
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

Data = Annotated[Path | None, typer.Option("--data", help="Data folder; default: see docs/settings.md.")]
Sites = Annotated[list[Path], typer.Option("--site", help="Site folder; may be given several times.")]
Readings = Annotated[str | None, typer.Option("--readings", help="embedded or influx.")]
RecordsAt = Annotated[
    str | None, typer.Option("--records", help="postgresql://... ; default: SQLite in the data folder.")
]


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
