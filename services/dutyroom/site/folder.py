"""Reads a site folder: every file, every mistake at once, no network."""

from __future__ import annotations

from pathlib import Path

from dutyroom.errors import Invalid, Mistake
from dutyroom.metering.tariff import PublicShare, Tariff, parse_tariffs
from dutyroom.plans import parse_plans
from dutyroom.rules.spec import parse_rules
from dutyroom.site.devices import Row, read_devices
from dutyroom.site.feeding import together
from dutyroom.site.flaws import TEXTS
from dutyroom.site.head import read_head
from dutyroom.site.model import Site
from dutyroom.site.names import check_names
from dutyroom.site.parts import read_people, read_spaces, read_topology
from dutyroom.site.source import Source


def load_site(folder: Path, home: Path | None = None) -> Site:
    """The site that a folder describes. Raises Invalid with every mistake of every file. home: as of `Source`."""
    site, source, _ = read_site(folder, home)
    if site is None or source.mistakes:
        raise Invalid(source.mistakes)
    return site


def read_site(folder: Path, home: Path | None = None) -> tuple[Site | None, Source, list[Row]]:
    """(site, its files with all mistakes, devices with their places).

    With mistakes the site holds what could be read, for further checks; it is None when there is no
    site.yaml to begin with.
    """
    source = Source(folder, home)
    if why := _closed(folder):
        source.mistakes.append(Mistake(str(folder), 0, "", why))
        return None, source, []
    if not source.has("site.yaml"):
        source.wrong("site.yaml", "is missing; `dutyroom init FOLDER` writes an example")
        return None, source, []
    source.strangers()
    head = read_head(source)
    rows = read_devices(source, head.id)
    no_prices: tuple[tuple[Tariff, ...], tuple[PublicShare, ...]] = ((), ())
    devices = tuple(row.device for row in rows)
    drawn = read_topology(source, {device.id for device in devices})
    topology, wrong = together(drawn, devices)
    for mismatch in wrong:
        row = next(row for row in rows if row.device.id == mismatch.device)
        row.wrong("fed_by", TEXTS[mismatch.key].format(**mismatch.arguments, hint=""))
    tariffs, shares = source.parsed("tariffs.yaml", parse_tariffs, no_prices)
    site = Site(
        id=head.id,
        name=head.name,
        time_zone=head.time_zone,
        currency=head.currency,
        language=head.language,
        brokers=head.brokers,
        adopt_unknown=head.adopt_unknown,
        cut_off_day=head.cut_off_day,
        calendar=head.calendar,
        spaces=read_spaces(source),
        devices=devices,
        topology=topology,
        drawn=drawn,
        rules=source.parsed("rules.yaml", parse_rules, ()),
        plans=source.parsed("plans.yaml", parse_plans, ()),
        tariffs=tariffs,
        shares=shares,
        people=read_people(source, head.id, head.language),
    )
    check_names(source, site, rows)
    return site, source, rows


def _closed(folder: Path) -> str:
    """Why nothing can be read of a folder, "" = something can: somebody may have changed it in another name."""
    try:
        if not folder.is_dir():
            return "there is no such folder"
        (folder / "site.yaml").exists()
        next(folder.iterdir(), None)
    except OSError as err:
        return f"cannot be read: {err.strerror}"
    return ""
