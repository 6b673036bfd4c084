"""`dutyroom devices unknown` and `adopt`, `dutyroom profile reload`: asked of the running service."""

from __future__ import annotations

from typing import Any

from dutyroom.backends.instance_api import InstanceApi
from dutyroom.errors import Rejected
from dutyroom.settings import Settings
from dutyroom.site import Site
from dutyroom.timebase import to_iso, zone
from dutyroom.wiring.commands import choose_site, data_folder, printable, running_api

_LIMIT = 200
_VALUES = 8  # of one profile, in a line
_PAYLOAD = 400  # characters


def _running(settings: Settings, wanted: str) -> tuple[InstanceApi, Site]:
    settings = data_folder(settings)
    site = choose_site(settings, wanted)
    api = running_api(settings.data)
    if api is None:
        raise Rejected(
            f"no service is running on {settings.data}: it knows which devices it hears; start it first"
        )
    return api, site


def unknown(settings: Settings, wanted: str) -> list[str]:
    """Some lines for each device that publishes and is not in the registry, the newest first."""
    api, site = _running(settings, wanted)
    rows = api.ask("GET", f"sites/{site.id}/unknown")
    lines: list[str] = []
    for row in rows:
        lines += _lines(row, site)
    return lines or ["No unknown device publishes."]


def _lines(row: dict[str, Any], site: Site) -> list[str]:
    tz = zone(site.time_zone)
    kept = f", the newest {row['kept']} kept" if row["kept"] < row["count"] else ""
    more = f" and {len(row['topics']) - 1} more" if len(row["topics"]) > 1 else ""
    lines = [
        printable(row["address"] or "(no profile tells whose)"),
        f"  topic    {printable(row['topic'])}{more}",
        f"  messages {row['count']}{kept}, {to_iso(row['first_at'], tz)} to {to_iso(row['last_at'], tz)}",
        f"  last     {printable(' '.join(row['payload'].split()))[:_PAYLOAD]}",
    ]
    for candidate in row["candidates"]:
        lines.append(f"  profile  {candidate['profile']}: {_values(candidate)}")
    if not row["candidates"]:
        lines.append(f"  no profile reads it: {printable(row['detail'] or row['reason'])}")
    return lines


def _values(candidate: dict[str, Any]) -> str:
    shown = [
        f"{printable(r['point'])} {printable(_plain(r['text']))} {r['unit']}".rstrip()
        for r in candidate["readings"]
    ]
    more = f", and {len(shown) - _VALUES} more" if len(shown) > _VALUES else ""
    events = f", {candidate['events']} events" if candidate["events"] else ""
    return (", ".join(shown[:_VALUES]) or "no values") + more + events


def _plain(number: str) -> str:
    """A terminal has no thin space between thousands."""
    return number.replace("\u2009", "")


def adopt(
    settings: Settings, wanted: str, address: str, profile: str, device_id: str, name: str, space: str
) -> str:
    """Takes an unknown device in. Raises Rejected with what is wrong."""
    api, site = _running(settings, wanted)
    body = {"address": address, "profile": profile, "id": device_id, "name": name, "space": space}
    done = api.ask("POST", f"sites/{site.id}/unknown/adopt", body)
    waiting = f"; {done['waiting']} messages are read again" if done["waiting"] else ""
    return f"Adopted {done['device']} with profile {done['profile']}{waiting}."


def reload_profiles(settings: Settings, wanted: str) -> list[str]:
    """Reads the profiles of the site folder again. Raises Rejected with every mistake; the profiles
    without one are in use then."""
    api, site = _running(settings, wanted)
    done = api.ask("POST", f"sites/{site.id}/profiles/reload")
    said = f"Profiles of the site's own in use: {len(done['own'])}"
    kept = f"; still as they were before: {', '.join(done['kept'])}" if done["kept"] else ""
    if done["mistakes"]:
        mistakes = "\n".join(_place(m) for m in done["mistakes"])
        raise Rejected(f"{said}{kept}. What is wrong:\n{mistakes}")
    return [f"{said}."]


def _place(mistake: dict[str, Any]) -> str:
    place = f"{mistake['file']}:{mistake['line']}" if mistake["line"] else mistake["file"]
    return (
        f"{place}: {mistake['field']}: {mistake['message']}"
        if mistake["field"]
        else f"{place}: {mistake['message']}"
    )
