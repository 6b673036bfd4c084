"""What single commands do on a data folder, beside a running instance or without one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from zoneinfo import ZoneInfo

from dutyroom.backends.clock import SystemClock
from dutyroom.backends.datafolder import DataFolder, held_alone, in_use, read_instance
from dutyroom.backends.history import import_history
from dutyroom.backends.instance_api import InstanceApi
from dutyroom.backends.journal import SqliteJournal
from dutyroom.backends.passwords import Passwords
from dutyroom.errors import DutyroomError, Rejected, Unavailable
from dutyroom.flows.billing import readings_at
from dutyroom.flows.setaside import quarantine_lines
from dutyroom.interfaces import PushedOut, ReadingStore, Records
from dutyroom.model.telemetry import PointTable
from dutyroom.profiles.decode import Library
from dutyroom.profiles.loading import load_profiles
from dutyroom.profiles.packing import fingerprint, remembered
from dutyroom.settings import Settings, token_in
from dutyroom.site import Site
from dutyroom.timebase import from_iso, to_iso, zone
from dutyroom.wiring.estate import scenario_names
from dutyroom.wiring.memory import profiles_beside, remembered_sites
from dutyroom.wiring.seeding import cache_of
from dutyroom.wiring.shipped import shipped
from dutyroom.wiring.stores import records_of, store_of

LANGUAGES = ("zh-CN", "en")  # of the dashboards
_TOPIC = 200  # characters of a topic that are shown: a stranger's may have 65,535
_DEVICES = 50  # of which is said what was pushed out of the quarantine


@dataclass(frozen=True, slots=True)
class Opened:
    """A site of a data folder, opened for a command."""

    settings: Settings
    site: Site
    table: PointTable
    store: ReadingStore
    records: Records


def data_folder(settings: Settings) -> Settings:
    """The folder meant: the one named, else the demo's when there is no other."""
    demo = settings.data / "demo"
    if not (settings.data / "version.json").exists() and (demo / "version.json").exists():
        return settings.model_copy(update={"data": demo})
    return settings


def running_api(data: Path) -> InstanceApi | None:
    """The instance that runs on a data folder: it alone writes there. None when there is none.

    Raises Unavailable while it is starting, Rejected when its processes run and none of them can be asked.
    """
    running = read_instance(data)
    if running is None and in_use(data):
        if held_alone(data):
            raise Unavailable(
                f"the service on the data folder {data} is starting, or stopping: it cannot be asked yet; try again"
            )
        raise Rejected(
            f"processes use the data folder {data}, and no `dutyroom api` that can be asked is among them "
            "(one that is starting answers in a moment)"
        )
    return None if running is None else InstanceApi(running["url"], running["token"])


def choose_site(settings: Settings, wanted: str) -> Site:
    """The site named, or the only one. Raises Rejected with the names there are."""
    sites = {site.id: site for site in remembered_sites(settings.data)}
    if not sites:
        raise Rejected(f"there is no site in the data folder {settings.data} yet; start the service first")
    if wanted in sites:
        return sites[wanted]
    names = ", ".join(sorted(sites))
    if wanted:
        raise Rejected(f"there is no site {wanted!r} in {settings.data}; there is {names}")
    if len(sites) > 1:
        raise Rejected(f"name one of the sites with --site: {names}")
    return next(iter(sites.values()))


def opened_records(settings: Settings) -> Records:
    """The records that the service wrote: a command makes no empty ones beside the real ones."""
    if not settings.records and not (settings.data / "records.sqlite").exists():
        raise Rejected(
            f"there are no records in {settings.data}; where they live in PostgreSQL, set DUTYROOM_RECORDS"
        )
    return records_of(settings)


def _store(settings: Settings, site: str) -> ReadingStore:
    """The readings that the service wrote, never an empty store beside the real one."""
    if settings.readings == "embedded" and not (settings.data / "sites" / site / "readings.sqlite").exists():
        raise Rejected(
            f"there are no readings of {site} in {settings.data}; where they live in InfluxDB, set DUTYROOM_READINGS=influx"
        )
    return store_of(settings, site)


@contextmanager
def opened(settings: Settings, wanted: str) -> Iterator[Opened]:
    """A site with its registry and store, closed again afterwards."""
    settings = data_folder(settings)
    site = choose_site(settings, wanted)
    records = opened_records(settings)
    try:
        store = _store(settings, site.id)
    except DutyroomError:
        records.close()
        raise
    try:
        with records.read() as tx:
            site = replace(site, devices=tuple(tx.devices.all(site.id)))
            table = PointTable(tx.devices.points(site.id))
        yield Opened(settings, site, table, store, records)
    finally:
        store.close()
        records.close()


def registers(settings: Settings, at: str, wanted: str) -> Sequence[Sequence[str]]:
    """Header and rows: every meter's register at or before `at`; missing is an empty cell."""
    with opened(settings, wanted) as o:
        moment = from_iso(at, zone(o.site.time_zone))
        return readings_at(o.site, o.table, o.store, moment)


def import_into(settings: Settings, source: Path, wanted: str) -> str:
    """Imports past readings; the service must not be running on the folder."""
    settings = data_folder(settings)
    with DataFolder(settings.data), opened(settings, wanted) as o:
        done = import_history(source, o.table, o.store)
    strangers = (
        f"; {len(done.unknown)} unknown points left out, for example {done.unknown[0]}"
        if done.unknown
        else ""
    )
    return f"Imported {done.readings} readings{strangers}."


def export_quarantine(settings: Settings, wanted: str, file: Path) -> str:
    """Writes all open messages, one JSON object a line. Raises Rejected when the file cannot be written."""
    settings = data_folder(settings)
    site = choose_site(settings, wanted)
    read_only = in_use(settings.data)
    journal = SqliteJournal(settings.data / "sites" / site.id / "journal.sqlite", read_only=read_only)
    count = 0
    try:
        with file.open("wb") as out:
            for line in quarantine_lines(journal, "open", _library(settings, site)):
                out.write(line + b"\n")
                count += 1
    except OSError as err:
        raise Rejected(f"{file}: {err.strerror}") from err
    finally:
        journal.close()
    return f"Wrote {count} messages to {file}."


def reprocess_quarantine(settings: Settings, wanted: str) -> str:
    """Lets the running service read every open message again, and what was pushed out. Raises Rejected without one."""
    settings = data_folder(settings)
    site = choose_site(settings, wanted)
    api = running_api(settings.data)
    if api is None:
        raise Rejected(
            f"no service is running on {settings.data}: at its start it reads them again by itself"
        )
    found = api.ask("POST", f"sites/{site.id}/quarantine/reprocess")
    out, gone = found.get("pushed_out", 0), found.get("gone", 0)
    return (
        f"Reading {found['open']} messages again"
        + (f", and {out} that newer ones had pushed out" if out else "")
        + "; those that stay are listed by: dutyroom quarantine"
        + (f". {gone} that were pushed out are no longer among the raw messages." if gone else "")
    )


def quarantined(settings: Settings, wanted: str, discard: Sequence[int]) -> list[str]:
    """A line a message, its personal fields hidden as on the pages; discards those named first. Raises
    Rejected when none of them is there."""
    settings = data_folder(settings)
    site = choose_site(settings, wanted)
    api = running_api(settings.data) if discard else None
    read_only = in_use(settings.data)
    journal = SqliteJournal(settings.data / "sites" / site.id / "journal.sqlite", read_only=read_only)
    try:
        lines = []
        if discard:
            if api is None:
                count = _discard(settings, site.id, journal, discard)
            else:
                body = {"ids": list(discard), "state": "discarded"}
                count = api.ask("POST", f"sites/{site.id}/quarantine/settle", body)["settled"]
            if not count:
                raise Rejected(f"not in quarantine: {', '.join(map(str, discard))}; nothing was discarded")
            wished = len(set(discard))
            rest = f" of {wished}; the others are not in quarantine" if count < wished else ""
            lines = [f"Discarded {count}{rest}."]
        tz = zone(site.time_zone)
        rows = [
            row for row in journal.quarantine() if row.id not in discard
        ]  # its owner may not have got to it
        library = _library(settings, site) if rows else None
        for row in rows:
            payload = library.shown(row.topic, row.payload) if library is not None else b""
            shown = [
                row.topic[:_TOPIC],
                f"{row.reason}: {row.detail}",
                payload[:120].decode("utf-8", "backslashreplace"),
            ]
            lines.append("  ".join([str(row.id), to_iso(row.received_at, tz), *map(printable, shown)]))
        older = journal.quarantine_size() - len(rows)
        if older > 0:
            lines.append(f"... and {older} older ones.")
        lines += [_out(row, tz) for row in journal.pushed_out(_DEVICES)]
        return lines or ["Nothing is in quarantine."]
    finally:
        journal.close()


def _out(row: PushedOut, tz: ZoneInfo) -> str:
    """What newer messages of a device pushed out."""
    first, last = (to_iso(at, tz)[:16].replace("T", " ") for at in (row.first_at, row.last_at))
    return (
        f"{printable(row.device) or '(unknown)'}: newer messages pushed out {row.kept + row.gone} of {first} to {last}; "
        f"{row.kept} are read again with these, {row.gone} are no longer among the raw messages."
    )


def _library(settings: Settings, site: Site) -> Library:
    """The profiles that the service reads by, as far as they are right."""
    folders = [shipped("device_profiles"), *profiles_beside(settings.data / "sites" / site.id)]
    cache = cache_of(settings.data, site.id, folders[1:])
    found = remembered(cache, fingerprint(folders))
    return Library(load_profiles(*folders)[0] if found is None else found, zone(site.time_zone))


def printable(text: str) -> str:
    """One line that does nothing to a terminal: what a stranger sent is shown, never obeyed."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _discard(settings: Settings, site: str, journal: SqliteJournal, ids: Sequence[int]) -> int:
    """Without a running service; on the record like every change."""
    count = journal.settle(ids, "discarded")
    if not count:
        return 0
    records = opened_records(settings)
    try:
        with records.write() as tx:
            said = ",".join(map(str, ids))[:200]
            tx.audit(site, SystemClock().now(), "command line", "quarantine.discarded", said)
    finally:
        records.close()
    return count


def inject(settings: Settings, scenario: str, options: Sequence[str]) -> str:
    """Asks the running demo's estate to play a scenario."""
    names = scenario_names()
    if scenario == "list":
        return "\n".join(names)
    if scenario not in names:
        raise Rejected(f"there is no scenario {scenario!r}; there is {', '.join(names)}")
    settings = data_folder(settings)
    running = read_instance(settings.data)
    if running is None or not running.get("broker"):
        raise Rejected(f"no demo is running on {settings.data}; start it with: dutyroom demo")
    given = {}
    for option in options:
        name, sign, value = option.partition("=")
        if not sign:
            raise Rejected(f"--option {option!r}: write key=value")
        given[name] = value
    api = InstanceApi(running["url"], running["token"])
    # What runs now, not what ever ran on the folder: the demo serves one site.
    (site,) = api.ask("GET", "sites")
    if not api.ask("GET", f"sites/{site['id']}/scenarios"):
        raise Rejected(f"the demo on {settings.data} has no simulated estate: it was started with --empty")
    api.ask("POST", f"sites/{site['id']}/scenarios", {"name": scenario, "arguments": given})
    return f"Playing {scenario}; watch {running['url']}"


def new_password(settings: Settings, login: str) -> str:
    """Sets a one-time password for a person of any site."""
    settings = data_folder(settings)
    passwords = Passwords()
    api = running_api(settings.data)
    if api is not None:
        return _ask_new_password(settings, api, login, passwords.one_time_password())
    records = opened_records(settings)
    try:
        with records.write() as tx:
            person = tx.people.by_login(login)
            if person is None:
                raise Rejected(f"there is no person with the login {login!r}")
            password = passwords.one_time_password()
            tx.people.upsert(replace(person, password_hash=passwords.hash(password), active=True))
            tx.people.end_sessions(person.id)
            tx.audit(person.site, SystemClock().now(), "command line", "person.password", login)
    finally:
        records.close()
    return f"The password of {login} is now {password}"


def _ask_new_password(settings: Settings, api: InstanceApi, login: str, password: str) -> str:
    """The running service is the only one that writes."""
    for site in remembered_sites(settings.data):
        for person in api.ask("GET", f"sites/{site.id}/people"):
            if person["login"] == login:
                body = {key: person[key] for key in ("name", "role", "language", "contacts", "skills")}
                api.ask(
                    "PUT",
                    f"sites/{site.id}/people/{login}",
                    {**body, "active": True, "password": password},
                )
                return f"The password of {login} is now {password}"
    raise Rejected(f"there is no person with the login {login!r}")


def push_dashboards(
    settings: Settings, url: str, token_file: Path, language: str, say: Callable[[str], None]
) -> str:
    """Data source, folder and dashboards in one language; the same again changes nothing."""
    from dutyroom.backends.grafana import influx_datasource, push, read_dashboards

    if language not in LANGUAGES:
        raise Rejected(f"there are no dashboards in {language!r}, only in {' and '.join(LANGUAGES)}")
    token = token_in(token_file, "Grafana")
    source = influx_datasource(settings.influx_url, settings.influx_token_value(), settings.influx_bucket)
    done = push(url, token, read_dashboards(shipped("dashboards") / language), source, say=say)
    return f"Grafana has {done.created} new dashboards, {done.changed} changed, {done.same} as before."
