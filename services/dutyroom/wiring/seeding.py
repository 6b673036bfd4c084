"""What a process needs of a site before it can begin: its profiles, and the rows that its folder seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from dutyroom.backends.datafolder import DataFolder
from dutyroom.errors import Invalid, Mistake, Rejected, Unavailable
from dutyroom.flows.intake import Intake
from dutyroom.flows.points import Latest, missing_points, with_steps_kept
from dutyroom.flows.shelf import Shelf
from dutyroom.interfaces import ReadingStore, Records, Tx
from dutyroom.model.duty import Device, DeviceStatus, Person
from dutyroom.model.telemetry import Point, PointTable, Reading
from dutyroom.profiles.decode import Library, load_library
from dutyroom.profiles.loading import load_profiles
from dutyroom.site import Site
from dutyroom.site.addresses import spelled
from dutyroom.site.ratios import lacking, other_multiplier, with_multiplier
from dutyroom.timebase import Clock, zone
from dutyroom.wiring.shipped import shipped

log = structlog.get_logger(__name__)


def seed(
    site: Site, records: Records, library: Library, store: ReadingStore
) -> tuple[list[Device], PointTable]:
    """Devices and people of the folder that the database does not have yet; points of all devices.

    What is in the database already is the database's: files only seed it.
    """
    with records.write() as tx:
        known = {device.id: device for device in tx.devices.all(site.id)}
        if respelled := as_messages_call(list(known.values()), library):
            tx.devices.upsert(respelled)
            known |= {device.id: device for device in respelled}
        unknown = [multiplied(device, library) for device in site.devices if device.id not in known]
        fresh = as_spelled(unknown, known.values(), library)
        if fresh:
            tx.devices.upsert(fresh)
        people = {person.login for person in tx.people.all(site.id)}
        for person in site.people:
            if person.login not in people:
                _let_in(tx, person)
        devices = list(tx.devices.all(site.id))
        _tell_multipliers(devices, library)
        _tell_lacking(devices, library)
        table = PointTable(tx.devices.points(site.id))
        wanted, _ = with_steps_kept(missing_points(devices, table, library), table, _latest(store))
        if wanted:
            for point in tx.devices.add_points(site.id, wanted):
                table.add(point)
    return devices, table


def multiplied(device: Device, library: Library) -> Device:
    """With the multiplier of its bill, where the row has the ratios of its transformers alone."""
    profile = library.profiles.get(device.profile)
    return device if profile is None else with_multiplier(device, None, profile)


def _tell_multipliers(devices: Sequence[Device], library: Library) -> None:
    """Rows of older days may bill by another figure than their readings are multiplied by. Nobody but a person knows
    which one is right, and what was billed stays as it was."""
    for device in devices:
        profile = library.profiles.get(device.profile)
        other = other_multiplier(profile, device.parameters) if profile is not None else None
        if other is not None and device.status is not DeviceStatus.WITHDRAWN:
            log.warning("device.multiplier", device=device.id, multiplier=other[0], ratios=other[1])


def _tell_lacking(devices: Sequence[Device], library: Library) -> None:
    """Rows of older days, or of a profile that changed since, may lack what only they can say: points without a value."""
    for device in devices:
        profile = library.profiles.get(device.profile)
        missing = lacking(profile, device.parameters) if profile is not None else []
        if missing and device.status is not DeviceStatus.WITHDRAWN:
            log.warning(
                "device.parameters", device=device.id, profile=device.profile, missing=", ".join(missing)
            )


def as_spelled(fresh: Sequence[Device], known: Iterable[Device], library: Library) -> list[Device]:
    """Addresses in the letters that messages give them, where no other device has that address."""
    taken = {(d.profile, d.address) for d in (*known, *fresh)}
    found = []
    for device in fresh:
        made = spelled(device, None, library.profiles)
        place = (made.profile, made.address)
        found.append(device if place in taken else made)
        taken.add(place)
    return found


def as_messages_call(known: Sequence[Device], library: Library) -> list[Device]:
    """Those of the database whose address no message has as it was once written (a DevEUI in capitals), with
    the address that messages have; not where that is another device's already."""
    standing = [d for d in known if d.status is not DeviceStatus.WITHDRAWN]
    made = as_spelled(standing, [d for d in known if d.status is DeviceStatus.WITHDRAWN], library)
    return [new for new, old in zip(made, standing, strict=True) if new is not old and new != old]


def _latest(store: ReadingStore) -> Latest:
    """The newest readings; where the store is away every point may have some."""

    def latest(points: Sequence[Point]) -> Mapping[int, Reading]:
        try:
            return store.latest(points)
        except Unavailable:
            return {point.id: Reading(point.id, 0, 0.0) for point in points}

    return latest


def _let_in(tx: Tx, person: Person) -> None:
    """Raises Rejected when another site has the login: it alone says who comes in."""
    other = tx.people.by_login(person.login)
    if other is not None:
        raise Rejected(
            f"people.yaml of site {person.site}: the login {person.login!r} belongs to site "
            f"{other.site or '(all)'}; give this person another one"
        )
    tx.people.upsert(person)


@dataclass(frozen=True, slots=True)
class Profiles:
    """The profiles of a site and where they come from. own: a folder that need not be there."""

    library: Library
    own: Path | None
    privacy_key: bytes
    mistakes: tuple[Mistake, ...] = ()  # of own files, which are not in the library then


def profiles_of(site: Site, source: Path | None, folder: DataFolder) -> Profiles:
    """The shipped profiles and those of the site folder; personal values are hidden by a key that
    stays in the data folder.

    A site's own profile with mistakes keeps no service from starting: what it should read waits in
    quarantine until it is mended. Raises Invalid with the mistakes of shipped ones.
    """
    own = None if source is None else source / "device_profiles"
    key = folder.secret("privacy").encode()
    there = [own] if own is not None and any(own.glob("*/*.yaml")) else []
    cache = cache_of(folder.path, site.id, there)
    tz = zone(site.time_zone)
    try:
        return Profiles(load_library(shipped("device_profiles"), tz, key, there, cache), own, key)
    except Invalid as err:
        if own is None or not all(Path(m.file).is_relative_to(own) for m in err.mistakes):
            raise
    found, mistakes = load_profiles(shipped("device_profiles"), *there)
    return Profiles(Library(found, tz, key), own, key, tuple(mistakes))


def cache_of(data: Path, site: str, own: Sequence[Path]) -> Path:
    """Where it is kept what was read of profiles. Sites without some of their own share it: to read them all
    takes seconds."""
    alone = any(any(folder.glob("*/*.yaml")) for folder in own)
    return data / "cache" / f"profiles-{site if alone else '(shipped)'}.bin"


def shelf_of(
    profiles: Profiles,
    intake: Intake,
    clock: Clock,
    extend: Callable[[Sequence[str]], object] = lambda filters: None,
) -> Shelf:
    """The site's own profiles, watched. extend: subscribes to what they read, whatever else the site reads."""

    def take(library: Library) -> list[Mistake]:
        notes = intake.renew(library)
        extend(shelf.filters(library))
        return notes

    own = [profiles.own] if profiles.own is not None else []
    shelf = Shelf(
        shipped("device_profiles"),
        own,
        profiles.library,
        profiles.privacy_key,
        take,
        clock.now,
        profiles.mistakes,
    )
    extend(shelf.filters(profiles.library))
    return shelf
