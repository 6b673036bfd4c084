"""`dutyroom devices unknown` and `adopt`, `dutyroom profile reload`: asked of the running service."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping
from typing import Any

from dutyroom.backends.instance_api import InstanceApi
from dutyroom.errors import Rejected
from dutyroom.settings import Settings
from dutyroom.site import Site
from dutyroom.timebase import to_iso, zone
from dutyroom.wiring.commands import choose_site, data_folder, printable, running_api

_LIMIT = 200
_FOREIGN = 20  # addresses in a line
_PATIENCE_S = 60  # a profile may have to be written and all of them read
_VALUES = 8  # of one profile, in a line
_TOPIC = 200  # characters
_PAYLOAD = 400
_FILE = 3_000  # characters of a file that are shown


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
    return [
        *(lines or ["No unknown device publishes."]),
        *_foreign(api.ask("GET", f"sites/{site.id}/unknown/not-ours")),
    ]


def _foreign(marks: list[dict[str, Any]]) -> list[str]:
    if not marks:
        return []
    shown = ", ".join(printable(mark["address"]) for mark in marks[:_FOREIGN])
    more = f" and {len(marks) - _FOREIGN} more" if len(marks) > _FOREIGN else ""
    return [f"Not ours, ignored: {shown}{more}"]


def _lines(row: dict[str, Any], site: Site) -> list[str]:
    tz = zone(site.time_zone)
    kept = f", the newest {row['kept']} kept" if row["kept"] < row["count"] else ""
    more = f" and {len(row['topics']) - 1} more" if len(row["topics"]) > 1 else ""
    lines = [
        printable(row["address"] or "(no profile tells whose)"),
        f"  topic    {printable(row['topic'])[:_TOPIC]}{more}",
        f"  messages {row['count']}{kept}, {to_iso(row['first_at'], tz)} to {to_iso(row['last_at'], tz)}",
        f"  last     {printable(' '.join(row['payload'].split()))[:_PAYLOAD]}",
    ]
    for candidate in row["candidates"]:
        doubt = " (the message names another product)" if candidate.get("foreign") else ""
        lines.append(f"  profile  {candidate['profile']}{doubt}: {_values(candidate)}")
    for number, offer in enumerate(row["offers"]):
        lines += _offer(offer, number == 0)
    if not row["tried"]:
        lines.append("  not every profile has been tried yet; ask again")
    elif not row["candidates"] and not row["offers"]:
        lines += _unread(row)
    return lines


def _unread(row: dict[str, Any]) -> list[str]:
    """Why no profile reads the last message: by the profiles of its topic, where they are few."""
    if row["refusals"]:
        return [f"  refused  {r['profile']}: {printable(r['detail'])}" for r in row["refusals"]]
    unknown = row["reason"] == "unknown_device"  # its detail is the address
    return ["  no profile reads it" + ("" if unknown else f": {printable(row['detail'] or row['reason'])}")]


def _values(candidate: dict[str, Any]) -> str:
    count = Counter(r["point"] for r in candidate["readings"])
    once = {r["point"]: r for r in reversed(candidate["readings"])}  # of a series the first
    shown = [
        f"{printable(name)} {printable(_plain(once[name]['text']))} {once[name]['unit']}".rstrip()
        + (f" ({number} readings)" if number > 1 else "")
        for name, number in count.items()
    ]
    more = f", and {len(shown) - _VALUES} more" if len(shown) > _VALUES else ""
    events = f", {candidate['events']} events" if candidate["events"] else ""
    return (", ".join(shown[:_VALUES]) or "no values") + more + events


def _plain(number: str) -> str:
    """A terminal has no thin space between thousands."""
    return number.replace("\u2009", "")


def _offer(offer: dict[str, Any], first: bool) -> list[str]:
    """A profile that could read the topic, and the command for it; of the first its file as well."""
    words = [offer["addresses"][0], "--profile", offer["profile"], "--topic", offer["topic"]]
    lines = [
        f"  could    {offer['profile']}: {_values(offer)}",
        f"           dutyroom devices adopt {shlex.join(printable(word) for word in words)}",
    ]
    if first and len(offer["text"]) <= _FILE:
        lines.append(f"           or put this into the site's folder as {offer['file']}:")
        lines += [f"             {printable(line)}" for line in offer["text"].splitlines()]
    return lines


def adopt(settings: Settings, wanted: str, wish: Mapping[str, str]) -> str:
    """Takes an unknown device in. wish: address, and as far as they are given profile, topic, id, name,
    space. Raises Rejected with what is wrong."""
    api, site = _running(settings, wanted)
    done = api.ask("POST", f"sites/{site.id}/unknown/adopt", dict(wish), _PATIENCE_S)
    others = f", which reads it better than {', '.join(done['others'])}" if done["others"] else ""
    waiting = f"; {done['waiting']} messages are read again" if done["waiting"] else ""
    return f"Adopted {done['device']} with profile {done['profile']}{others}{waiting}."


def disown(settings: Settings, wanted: str, address: str, take_back: bool) -> str:
    """What an unknown address sends is ignored, or heard again. Raises Rejected with what is wrong."""
    api, site = _running(settings, wanted)
    path = f"sites/{site.id}/unknown/not-ours"
    api.ask("POST", f"{path}/take-back" if take_back else path, {"address": address})
    return (
        f"{printable(address)} is heard again."
        if take_back
        else f"{printable(address)} is ignored: not ours."
    )


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
