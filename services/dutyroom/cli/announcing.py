"""Commands about what people announce beforehand. Each is described in docs/commands.md."""

from __future__ import annotations

from typing import Annotated

import typer

from dutyroom.cli.frame import Data, plain_errors, say, settings_with

announce = typer.Typer(help="Planned outages, maintenance and fire tests.", no_args_is_help=True)

SiteId = Annotated[str, typer.Option("--site", help="Site id; needed when the data folder has several.")]


@announce.command(name="add")
def add(
    kind: Annotated[str, typer.Argument(help="outage (maintenance too) or fire-test.")],
    ends: Annotated[str, typer.Option(help="Local time, an instant, or for how long: 2h.")],
    reason: Annotated[str, typer.Option(help="Why: people read it beside the alarms.")],
    begins: Annotated[str, typer.Option(help="Local time or an instant; default: now.")] = "",
    utility: Annotated[str, typer.Option(help="power, water or network: also what the devices feed.")] = "",
    device: Annotated[list[str] | None, typer.Option(help="A device; may be given several times.")] = None,
    space: Annotated[list[str] | None, typer.Option(help="A place; may be given several times.")] = None,
    site: SiteId = "",
    data: Data = None,
) -> None:
    """Announce a planned outage or maintenance, or start a fire test."""
    from dutyroom.wiring import announcing

    with plain_errors():
        asked = announcing.Asked(kind, ends, reason, begins, utility, device or (), space or ())
        say(announcing.announce(settings_with(data=data), site, asked))


@announce.command(name="list")
def list_announced(
    every: Annotated[bool, typer.Option("--all", help="With those that are over.")] = False,
    site: SiteId = "",
    data: Data = None,
) -> None:
    """List what is announced."""
    from dutyroom.wiring import announcing

    with plain_errors():
        for line in announcing.listed(settings_with(data=data), site, every):
            say(line)


@announce.command(name="end")
def end(
    number: Annotated[int, typer.Argument(help="As `dutyroom announce list` shows it.")],
    reason: Annotated[str, typer.Option(help="Why.")],
    site: SiteId = "",
    data: Data = None,
) -> None:
    """End an announcement now; what it covered and still stands is told."""
    from dutyroom.wiring import announcing

    with plain_errors():
        say(announcing.end(settings_with(data=data), site, number, reason))
