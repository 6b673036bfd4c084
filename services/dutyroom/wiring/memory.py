"""What a site leaves in its data folder for commands that come without its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from dutyroom.backends.datafolder import write_whole
from dutyroom.errors import Rejected
from dutyroom.profiles.profile import Profile
from dutyroom.site import Site
from dutyroom.site.roll import Estate
from dutyroom.topology import Topology

_FILE = "registry.json"
_RULES = "rules.json"


def remember_estate(estate: Estate, own: Path | None, folder: Path) -> None:
    """own: the folder of the site's own profiles."""
    facts = {
        "spaces": sorted(estate.spaces),
        "parameters": sorted(estate.parameters),
        "topology": {utility: dict(feeds) for utility, feeds in estate.drawn.feeds.items()},
        "profiles": str(own.absolute()) if own is not None else "",
    }
    write_whole(folder / _FILE, json.dumps(facts, ensure_ascii=False))


def own_profiles(folder: Path) -> list[Path]:
    """The folder of the site's own profiles, if it has one that is there."""
    named = str(_facts(folder).get("profiles") or "")
    return [Path(named)] if named and Path(named).is_dir() else []


def profiles_beside(folder: Path) -> list[Path]:
    """The same, for what works without them: [] also where nothing is remembered or it cannot be read."""
    try:
        return [own for own in own_profiles(folder) if any(own.glob("*/*.yaml"))]
    except Rejected:
        return []


def remembered_estate(site: str, folder: Path, profiles: Mapping[str, Profile]) -> Estate:
    """Raises Rejected where the site has not run on this folder since this was remembered."""
    facts = _facts(folder)
    try:
        feeds = {
            utility: {device: tuple(found) for device, found in rows.items()}
            for utility, rows in facts["topology"].items()
        }
        spaces, parameters = frozenset(facts["spaces"]), frozenset(facts["parameters"])
    except (KeyError, TypeError, AttributeError) as err:
        raise Rejected(f"{folder / _FILE} cannot be read: {err}") from err
    return Estate(site, profiles, spaces, parameters, Topology(feeds))


def _facts(folder: Path) -> dict[str, dict[str, dict[str, list[str]]]]:
    file = folder / _FILE
    if not file.exists():
        raise Rejected(f"{file} is not there: start the service once, so that it says what the site has")
    try:
        found: dict[str, dict[str, dict[str, list[str]]]] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise Rejected(f"{file} cannot be read: {err}") from err
    return found


def remember(site: Site, folder: Path) -> None:
    """Leaves in the data folder what commands need to know of a site without its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = {
        "id": site.id,
        "name": dict(site.name),
        "time_zone": site.time_zone,
        "currency": site.currency,
        "language": site.language,
    }
    write_whole(folder / "site.json", json.dumps(facts, ensure_ascii=False))
    names = {rule.id: dict(rule.name) for rule in site.rules if rule.name}
    write_whole(folder / _RULES, json.dumps(names, ensure_ascii=False))


def remembered_rules(folder: Path) -> dict[str, dict[str, str]]:
    """The names of a site's rules, by language; {} where none are remembered or they cannot be read."""
    try:
        found = json.loads((folder / _RULES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def remembered_sites(data: Path) -> list[Site]:
    """The sites that ran on this data folder, with their names and zones only."""
    found = []
    for file in sorted(data.glob("sites/*/site.json")):
        try:
            found.append(Site(**json.loads(file.read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError) as err:
            raise Rejected(f"{file} cannot be read: {err}") from err
    return found
