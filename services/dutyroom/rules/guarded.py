"""What no site may take from the shipped rules for fire, entrapment and gas: they stay loud, at once, everywhere."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from dutyroom.errors import Rejected
from dutyroom.fields import Fields
from dutyroom.model.duty import Priority
from dutyroom.timebase import MINUTE, Ms, duration

REALARM_VITAL: Ms = 30 * MINUTE  # within which help has to be there: it sounds again
APART: Ms = 5 * MINUTE  # what comes back after so long is another emergency (`alarms.calls`)

_EXPLAINING = ("utility", "explained_in", "explained_by", "joins")
_NARROWING = ("devices", "spaces", "profiles", "where", "unless", "having")


def vital(below: Mapping[object, object]) -> bool:
    """Whether a shipped rule, as its row says it, is for fire, entrapment or gas (as `Rule.vital`)."""
    urgent = below.get("priority") == Priority.EMERGENCY and below.get("waits") is False
    return urgent or below.get("latched") is True


def guard(row: Fields, below: Mapping[object, object]) -> None:
    """Notes each field with which a site's row would silence, slow or narrow the shipped rule `below`.

    More is allowed: further classes, further codes, a shorter delay, other words. A field that stands there empty
    would mean what it means in a rule of one's own: no latch, medium, and waiting.
    """
    given, fire = row.data, below.get("latched") is True
    what = "fire and entrapment" if fire else "gas alarms"
    if fire and given.get("latched", True) is not True:
        row.wrong("latched", f"{what} latch and need a person's reset; a site cannot change that")
    if given.get("enabled") is False:
        instead = "announce a fire test instead" if fire else "take its detector out of service instead"
        row.wrong("enabled", f"{what} cannot be switched off; {instead}")
    if given.get("waits", False) is not False:
        row.wrong("waits", f"{what} never wait for a cause")
    if given.get("priority", 1) != 1:
        row.wrong("priority", f"{what} are an emergency: 1")
    if given.get("graver"):
        row.wrong("graver", f"{what} are an emergency: nothing is graver, whatever the cause")
    if given.get("fire") is True and below.get("fire") is not True:
        row.wrong("fire", f"{what} are told during a fire test like at any other time")
    if str(given.get("ticket", "now")).strip().startswith(("never", "after")):
        row.wrong("ticket", f"must be now: {what} wait for nothing")
    if _longer(given.get("on_delay"), below.get("on_delay")):
        row.wrong("on_delay", f"{what} wait no longer than they do as shipped")
    _times(row, below, what)
    _places(row, below, what)
    for name in _EXPLAINING:
        if given.get(name):
            row.wrong(name, f"{what} are never explained by anything else")
    for name in ("kind", "point"):
        if name in given and given[name] != below.get(name):
            shipped = f"{given.get('id')} is a shipped rule"
            row.wrong(name, f"{shipped}, and {what} stay what they are; a rule of your own needs another id")
    _narrowed(row, given.get("select"), below.get("select"), what)
    for name in ("equals", "otherwise"):
        _fewer(row, "parameters", name, given.get("parameters"), below.get("parameters"), what)


def _times(row: Fields, below: Mapping[object, object], what: str) -> None:
    """Notes a time to answer, to arrive or to sound again that is none, or longer than the shipped one; and a pause
    after which two emergencies would count as one."""
    shipped = {name: _length(below.get(name)) for name in ("respond_within", "arrive_within")}
    shipped["realarm"] = _length(below.get("realarm")) or REALARM_VITAL
    for name, usual in shipped.items():
        if name not in row.data or usual is None:
            continue
        given = row.data[name]
        empty = given is None and name != "realarm"  # which means there what is usual
        length = 0 if empty or given == "never" else _length(given)
        if length is not None and not 0 < length <= usual:  # one that cannot be read is told elsewhere
            row.wrong(name, f"must be {usual // MINUTE}min or less, and not never: {what} cannot be slowed")
    off = _length(row.data.get("off_delay"))
    if off is not None and off > max(APART, _length(below.get("off_delay")) or 0):
        row.wrong("off_delay", f"must be {APART // MINUTE}min or less: what comes again is told again")


def _places(row: Fields, below: Mapping[object, object], what: str) -> None:
    """Notes where a second detector would no longer be told."""
    if below.get("each_place") is not True:
        return
    if row.data.get("each_place", True) is not True:
        row.wrong("each_place", f"{what} are told of each detector")
    shipped, given = below.get("mentions"), row.data.get("mentions", below.get("mentions"))
    if missing := [name for name in _listed(shipped) if name not in _listed(given)]:
        row.wrong("mentions", f"leaves out {', '.join(map(str, missing))}: {what} are told of each detector")


def _narrowed(row: Fields, given: Any, below: Any, what: str) -> None:
    _fewer(row, "select", "classes", given, below, what)
    for name in _NARROWING:
        if isinstance(given, dict) and given.get(name):
            row.wrong("select", f"{name}: {what} are watched on every device that tells them")


def _fewer(row: Fields, field: str, name: str, given: Any, below: Any, what: str) -> None:
    """Notes values that are as shipped and not in a site's own list."""
    if not (isinstance(given, dict) and isinstance(below, dict) and name in given):
        return
    if missing := [value for value in _listed(below.get(name)) if value not in _listed(given[name])]:
        said = ", ".join(str(value) for value in missing)
        row.wrong(field, f"{name} leaves out {said}: {what} are told wherever they are as shipped")


def _listed(value: Any) -> Collection[object]:
    return value if isinstance(value, list) else () if value is None else (value,)


def _longer(given: object, below: object) -> bool:
    """Whether a delay is longer than the shipped one; one that cannot be read is told elsewhere."""
    return (_length(given) or 0) > (_length(below) or 0)


def _length(value: object) -> Ms | None:
    """None = not said, or cannot be read."""
    try:
        return None if value is None or isinstance(value, bool) else duration(str(value))
    except Rejected:
        return None
