"""Commands to try things out. Each is described in docs/commands.md."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dutyroom.cli.frame import Data, plain_errors, say, settings_with


def init(
    folder: Annotated[Path, typer.Argument(help="A folder that does not exist yet, or is empty.")],
) -> None:
    """Write a commented example site."""
    from dutyroom.wiring.serve import write_example

    with plain_errors():
        write_example(folder)
        say(f"Wrote an example site to {folder}. Check it with: dutyroom check --site {folder}")


def simulate(
    scenario: Annotated[str, typer.Option("--scenario", help="Name, or `list`.")],
    option: Annotated[list[str] | None, typer.Option("--option", help="key=value for the scenario.")] = None,
    data: Data = None,
) -> None:
    """Play a scenario in the running demo."""
    from dutyroom.wiring.commands import inject

    with plain_errors():
        say(inject(settings_with(data=data), scenario, option or []))


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
