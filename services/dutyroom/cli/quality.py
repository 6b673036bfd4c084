"""Commands that look back: what the rules would have done."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dutyroom.cli.frame import plain_errors, say


def backtest(
    telemetry: Annotated[Path, typer.Option(help="CSV of readings, perhaps .gz.")],
    devices: Annotated[Path, typer.Option(help="CSV of devices.")],
    out: Annotated[Path, typer.Option(help="Folder for alarms.csv.")],
    rules: Annotated[
        Path | None, typer.Option(help="rules.yaml of a site; without it the shipped rules.")
    ] = None,
) -> None:
    """Run the rules over readings of the past."""
    from dutyroom.wiring.backtest import run_files

    with plain_errors():
        run_files(telemetry, devices, rules, out, say)
