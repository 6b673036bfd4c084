"""Commands that look at a site and its brokers and change nothing. Each is described in docs/commands.md."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dutyroom.cli.frame import plain_errors, say
from dutyroom.errors import Invalid


def check(
    site: Annotated[Path | None, typer.Option("--site", help="Site folder to check.")] = None,
    profiles: Annotated[
        Path | None, typer.Option("--profiles", help="Folder of device profiles to check.")
    ] = None,
) -> None:
    """Read every file of a site and every profile with its examples; name every mistake; touch no network."""
    from dutyroom.api.words import read_catalogue
    from dutyroom.checks import check_site, doubts_of
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
        for doubt in doubts_of(site, folder) if site is not None else ():
            say(f"Note: {doubt}.")
        say("No mistakes found.")


broker = typer.Typer(help="The brokers of a site.", no_args_is_help=True)


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
