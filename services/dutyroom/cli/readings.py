"""Commands about readings and messages. Each is described in docs/commands.md."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Annotated

import typer

from dutyroom.cli.frame import Data, plain_errors, say, settings_with


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
