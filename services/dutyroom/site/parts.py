"""spaces.yaml, topology.yaml and people.yaml."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import TypeAlias

from dutyroom.fields import Fields
from dutyroom.model.duty import Person, Role
from dutyroom.site.head import LANGUAGES
from dutyroom.site.model import Space
from dutyroom.site.source import Source
from dutyroom.topology import Topology

UTILITIES = ("power", "water", "gas", "network")
_LOGIN = re.compile(r"[\w.@-]{1,60}")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)

Feeds: TypeAlias = Mapping[str, tuple[str, ...]]


def read_spaces(source: Source) -> dict[str, Space]:
    found: dict[str, Space] = {}
    for entry in source.entries("spaces.yaml", "spaces"):
        space = Space(
            path=entry.text("path"),
            kind=entry.choice("kind", ("building", "zone", "unit")),
            name=entry.words("name", {}),
            area=entry.decimal("area", None),
        )
        entry.finish()
        if space.path.startswith("/") or space.path.endswith("/") or "//" in space.path:
            entry.wrong("path", f"{space.path!r} must be levels with single slashes between: A/12/1204")
        if space.path in found:
            entry.wrong("path", f"the space {space.path!r} is there twice")
        if space.area is not None and space.area <= 0:
            entry.wrong("area", "must be more than 0 m2")
        found[space.path] = space
    return found


def read_topology(source: Source, devices: set[str]) -> Topology:
    fields = Fields.of(source.document("topology.yaml"), source.mistakes)
    utilities: dict[str, Feeds] = {}
    for utility in UTILITIES:
        inner = fields.child(utility)
        if inner is not None:
            utilities[utility] = {
                str(device): _feeds(source, inner, str(device), devices)
                for device in inner.data
                if _known(source, inner, device, str(device), devices)
            }
            _loops(inner, utilities[utility])
    fields.finish()
    return Topology(utilities)


def _feeds(source: Source, fields: Fields, device: str, devices: set[str]) -> tuple[str, ...]:
    feeds = fields.texts(device)
    if not feeds:
        fields.wrong(device, "needs at least one feed")
    for feed in feeds:
        _known(source, fields, device, feed, devices)
    for feed in sorted(feed for feed, times in Counter(feeds).items() if times > 1):
        fields.wrong(device, f"{feed!r} is there twice; a second feed is another device")
    return tuple(dict.fromkeys(feeds))  # twice the same is no dual feed


def _known(source: Source, fields: Fields, place: str | int, device: str, devices: set[str]) -> bool:
    if device not in devices:
        fields.wrong(place, f"there is no device {device!r}{source.hint(device, devices)}")
    return device in devices


def _loops(fields: Fields, feeds: Feeds) -> None:
    """Notes every loop, at one of its devices."""
    left = dict(feeds)
    while True:
        try:
            TopologicalSorter(left).prepare()
            return
        except CycleError as err:
            loop: list[str] = err.args[1]
            fields.wrong(loop[-1], f"feeds itself: {' -> '.join(loop)}")
            del left[loop[-1]]


def read_people(source: Source, site: str, language: str) -> tuple[Person, ...]:
    found: dict[str, Person] = {}
    for entry in source.entries("people.yaml", "people"):
        person = Person(
            id=0,
            site=site,
            login=entry.text("login"),
            name=entry.text("name", ""),
            role=entry.member("role", Role, Role.VIEWER),
            language=entry.choice("language", LANGUAGES, language),
            contacts=entry.texts("contacts"),
            skills=entry.texts("skills"),
        )
        if not entry.has("role"):
            entry.wrong("", f"role is missing (one of {', '.join(Role)})")
        entry.finish()
        if person.login and not _LOGIN.fullmatch(person.login):
            entry.wrong("login", f"{person.login!r} may hold letters, digits and . @ _ - only")
        if person.login.lower() in found:
            entry.wrong("login", f"the login {person.login!r} is there twice")
        for contact in person.contacts:
            if not _URL.fullmatch(contact):
                entry.wrong("contacts", "each must be an Apprise address such as mailtos://user:pass@host")
        found[person.login.lower()] = person
    return tuple(found.values())
