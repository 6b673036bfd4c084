"""Commands that look back: what the rules would have done, and how the alarms were. See docs/commands.md."""

from __future__ import annotations

from datetime import time
from pathlib import Path
from typing import Annotated

import typer

from dutyroom.cli.frame import Data, plain_errors, say, settings_with
from dutyroom.errors import Rejected

Since = Annotated[str, typer.Option("--from", help="Local date, or an instant.")]
Until = Annotated[str, typer.Option("--to", help="Local date (with that day), or an instant.")]
Shifts = Annotated[str, typer.Option("--shifts", help="When shifts begin.")]


def backtest(
    out: Annotated[Path, typer.Option(help="Folder for alarms.csv and the summary.")],
    site: Annotated[Path | None, typer.Option(help="Site folder.")] = None,
    since: Since = "",
    until: Until = "",
    telemetry: Annotated[
        Path | None, typer.Option(help="CSV of readings, perhaps .gz, in place of the readings store.")
    ] = None,
    devices: Annotated[Path | None, typer.Option(help="CSV of devices, in place of a site folder.")] = None,
    rules: Annotated[Path | None, typer.Option(help="rules.yaml in place of the site's.")] = None,
    compare: Annotated[
        Path | None, typer.Option(help="A changed rules.yaml: what it would add and remove.")
    ] = None,
    events: Annotated[
        Path | None, typer.Option(help="CSV of known events: which are told, and how soon.")
    ] = None,
    learn_days: Annotated[
        int, typer.Option(min=0, max=3660, help="Days of the store before --from that rules learn from.")
    ] = 28,
    shifts: Shifts = "00:00,08:00,16:00",
    data: Data = None,
) -> None:
    """Run the rules over readings of the past: the alarms and tickets that there would have been."""
    from dutyroom.wiring.backtest import Wanted, run_backtest

    with plain_errors():
        wanted = Wanted(
            out, since, until, telemetry, devices, site, rules, compare, events, learn_days, begins(shifts)
        )
        run_backtest(settings_with(data=data), wanted, say)


alarms = typer.Typer(help="The alarms of a duty room.", no_args_is_help=True)


@alarms.command()
def report(
    site: Annotated[
        str, typer.Option("--site", help="Site id; needed when the data folder has several.")
    ] = "",
    since: Since = "",
    until: Until = "",
    shifts: Shifts = "00:00,08:00,16:00",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    data: Data = None,
) -> None:
    """How much rang, by shift and source, against ISA-18.2 and EEMUA 191."""
    from dutyroom.wiring import alarm_report

    with plain_errors():
        for line in alarm_report.report(
            settings_with(data=data), site, since, until, begins(shifts), as_json
        ):
            say(line)


def begins(text: str) -> list[time]:
    """Raises Rejected for what is no list of times of the day."""
    try:
        found = [time.fromisoformat(part.strip()) for part in text.split(",")]
    except ValueError as err:
        raise Rejected(f"--shifts {text!r}: write for example 08:00,20:00") from err
    if any(t.tzinfo is not None for t in found):
        raise Rejected(f"--shifts {text!r}: local times have no offset")
    return sorted(set(found))
