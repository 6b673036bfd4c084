"""`dutyroom announce`: planned outages, maintenance and fire tests, through the running instance or without one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from dutyroom.api.words import Words, read_catalogue
from dutyroom.backends.clock import SystemClock
from dutyroom.backends.datafolder import DataFolder
from dutyroom.errors import Rejected
from dutyroom.flows.announcing import UTILITIES, AnnouncingDesk, Wish, check
from dutyroom.model.announced import Announced, Announcement
from dutyroom.settings import Settings
from dutyroom.site import Site
from dutyroom.timebase import Ms, duration, from_iso, to_iso, zone
from dutyroom.wiring.commands import choose_site, data_folder, opened_records, running_api

ACTOR = "command line"
KINDS = {"outage": Announced.OUTAGE, "fire-test": Announced.FIRE_TEST}
SHOWN = 200
# Which option a refusal of the desk is about.
_OPTIONS = {
    "conflict.reason": "--reason",
    "conflict.announced_end": "--ends",
    "conflict.announced_place": "--utility, --device or --space",
    "conflict.announced_over": "the number",
    "error.no_announcement": "the number",
    "error.no_device": "--device",
    "error.no_space": "--space",
    "error.no_utility": "--utility",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says. ends: an instant, or a duration from the begin ("2h")."""

    kind: str
    ends: str
    reason: str
    begins: str = ""
    utility: str = ""
    devices: Sequence[str] = ()
    spaces: Sequence[str] = ()


def announce(settings: Settings, wanted: str, asked: Asked) -> str:
    """Announces it; the line for people. Raises Rejected with the option that is wrong."""
    settings = data_folder(settings)
    site = choose_site(settings, wanted)
    tz = zone(site.time_zone)
    wish = wish_of(asked, tz, SystemClock().now())
    api = running_api(settings.data)
    _checked(settings, site, wish)
    if api is None:
        with _desk(settings) as desk:
            number = desk.announce(site.id, ACTOR, wish).id
    else:
        body = {
            "kind": wish.kind.value,
            "ends": to_iso(wish.ends, tz),
            "begins": "" if wish.begins is None else to_iso(wish.begins, tz),
            "reason": wish.reason,
            "utility": wish.utility,
            "devices": list(wish.devices),
            "spaces": list(wish.spaces),
        }
        number = api.ask("POST", f"sites/{site.id}/announcements", body)["id"]
    return f"Announced as number {number}, until {to_iso(wish.ends, tz)}."


def end(settings: Settings, wanted: str, number: int, reason: str) -> str:
    """Ends it now; what it covered and still stands is told. Raises Rejected."""
    if not reason.strip():
        raise Rejected("--reason: please give a reason")
    settings = data_folder(settings)
    site = choose_site(settings, wanted)
    api = running_api(settings.data)
    if api is None:
        with _desk(settings) as desk, _plainly(site):
            desk.cancel(site.id, number, ACTOR, reason)
    else:
        api.ask("POST", f"sites/{site.id}/announcements/{number}/cancel", {"reason": reason})
    return f"Ended number {number}."


def listed(settings: Settings, wanted: str, every: bool) -> Iterator[str]:
    """A line each, the latest first; without `every` only what is not over. Reading needs no instance."""
    settings = data_folder(settings)
    site = choose_site(settings, wanted)
    records, now, tz = opened_records(settings), SystemClock().now(), zone(site.time_zone)
    try:
        with records.read() as tx:
            found = [a for a in tx.announcements.search(site.id, SHOWN) if every or not a.over(now)]
    finally:
        records.close()
    if not found:
        yield "Nothing is announced."
    for announcement in found:
        yield line_of(announcement, now, tz)


def line_of(announcement: Announcement, now: Ms, tz: ZoneInfo) -> str:
    """Number, state, kind, span, where, how many alarms it covered, who and why."""
    a = announcement
    state = "running" if a.running(now) else "over" if a.over(now) else "planned"
    where = ", ".join([*filter(None, [a.utility]), *a.devices, *a.spaces]) or "everywhere"
    kind = next(name for name, known in KINDS.items() if known is a.kind)
    span = f"{to_iso(a.begins, tz)} - {to_iso(a.ends, tz)}"
    said = f"{a.id}  {state}  {kind}  {span}  {where}  {a.affected} alarms  {a.actor}: {a.reason}"
    return said + (f" (ended by {a.cancelled_by})" if a.cancelled_at is not None else "")


def wish_of(asked: Asked, tz: ZoneInfo, now: Ms) -> Wish:
    """Raises Rejected that names the option."""
    kind = KINDS.get(asked.kind)
    if kind is None:
        raise Rejected(f"{asked.kind!r} is not announced: write {' or '.join(KINDS)}")
    if not asked.reason.strip():
        raise Rejected("--reason: please give a reason")
    if asked.utility not in ("", *UTILITIES):
        raise Rejected(f"--utility {asked.utility!r}: write {', '.join(UTILITIES)}")
    if asked.begins and kind is Announced.FIRE_TEST:
        raise Rejected("--begins: a fire test begins now")
    begins = _option("--begins", asked.begins, lambda text: from_iso(text, tz)) if asked.begins else None
    ends = _end(asked.ends, tz, now if begins is None else begins)
    if ends <= now:
        raise Rejected(f"--ends {asked.ends!r}: needs an end that lies ahead")
    return Wish(kind, ends, asked.reason, begins, asked.utility, tuple(asked.devices), tuple(asked.spaces))


def _end(text: str, tz: ZoneInfo, begins: Ms) -> Ms:
    if text[-1:].isalpha() and "T" not in text:
        return begins + _option("--ends", text, duration)
    return _option("--ends", text, lambda given: from_iso(given, tz))


def _option(name: str, text: str, read: Callable[[str], Ms]) -> Ms:
    try:
        return read(text)
    except Rejected as err:
        raise Rejected(f"{name}: {err.reason}") from err


@contextmanager
def _desk(settings: Settings) -> Iterator[AnnouncingDesk]:
    """Without a running instance: this command is the only one that writes."""
    with DataFolder(settings.data):
        records = opened_records(settings)
        try:
            yield AnnouncingDesk(records, SystemClock())
        finally:
            records.close()


def _checked(settings: Settings, site: Site, wish: Wish) -> None:
    """Before a running service is asked: it answers with the sentence alone, not with the option."""
    records = opened_records(settings)
    try:
        with records.read() as tx, _plainly(site):
            check(tx, site.id, wish, SystemClock().now())
    finally:
        records.close()


@contextmanager
def _plainly(site: Site) -> Iterator[None]:
    """A refusal of the desk, which is a key of the catalogue, as a sentence with its option."""
    try:
        yield
    except Rejected as err:
        option = _OPTIONS.get(err.reason)
        if option is None:
            raise
        said = {str(name): value for name, value in err.items.items()}
        named = "".join(f" {value!r}" for value in said.values())
        words = Words("en", read_catalogue(), zone(site.time_zone))
        raise Rejected(f"{option}{named}: {words.t(err.reason, said)}") from err
