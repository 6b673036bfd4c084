"""An event of a layout compiled: one item of a document in, what happened out."""

from __future__ import annotations

import hashlib
import re
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from dutyroom.errors import Rejected
from dutyroom.model.telemetry import Scalar
from dutyroom.profiles.conditions import all_of
from dutyroom.profiles.job import Here, Job, clock
from dutyroom.profiles.paths import MAX_ITEMS, MISSING, Captures, Elements, Key, Path, getter, walker
from dutyroom.profiles.privacy import guard_of
from dutyroom.profiles.profile import EventRule, Profile
from dutyroom.profiles.result import DecodedEvent
from dutyroom.profiles.templates import template
from dutyroom.profiles.values import SCALARS, stored

_NAMED = re.compile(r"\{[^$@]")  # a captured name in a template


class EventProgram:
    """One kind of event of a layout."""

    def __init__(self, rule: EventRule, profile: Profile, tz: ZoneInfo, key: bytes) -> None:
        self._rule = rule
        self._walk = walker(rule.each) if rule.each is not None else None
        self._listed = _keys_of_list(rule.each) if rule.each is not None else None
        self._whole = rule.each is not None and rule.each.whole
        self._test = all_of(rule.when)
        self._clock = clock(rule.time, tz, again=self._walk is not None)
        self._code = template(rule.code)
        self._id = template(rule.id) if rule.id is not None else None
        self._digest = hashlib.blake2b(digest_size=10, key=key[:64])  # copied: the key is digested once
        # The same for all items of a message, but for whose it is and when.
        texts = (rule.code, rule.id or "")
        self._shared = (
            self._whole and not rule.when and rule.time is None and not any(map(_NAMED.search, texts))
        )
        self._arguments = tuple(
            (name, getter(paths), guard_of(profile, (name, *(p.leaf for p in paths)), key))
            for name, paths in rule.arguments.items()
        )

    def run(self, here: Here, job: Job) -> None:
        if self._walk is None:
            self._one(here, here.item, here.captures, job)
            return
        if self._listed is not None:  # most are: in most messages there is none
            found: Any = job.document if self._whole else here.item
            for key in self._listed:
                found = found.get(key) if isinstance(found, dict) else None
            if not isinstance(found, list) or not found:
                return
            if len(found) > MAX_ITEMS:
                raise Rejected(f"more than {MAX_ITEMS} elements in one list")
            if self._shared:
                self._all(here, found, job)
                return
            for item in found:
                self._one(here, item, here.captures, job)
            return
        for captured, item in self._walk(here.item, job.document):
            self._one(here, item, {**here.captures, **captured}, job)

    def _all(self, here: Here, found: list[object], job: Job) -> None:
        known: list[DecodedEvent] | None = job.kept.get(id(self))
        if known is not None:
            job.events += [
                DecodedEvent(here.address, e.spec, here.at, e.event_id, e.code, {**e.arguments})
                for e in known
            ]
            return
        count = len(job.events)
        for item in found:
            self._one(here, item, here.captures, job)
        job.kept[id(self)] = job.events[count:]

    def _one(self, here: Here, item: object, captures: Captures, job: Job) -> None:
        if self._test is not None and not self._test(captures, item, job.document):
            return
        code = self._code(captures, item, job.document)
        if not code:
            return
        at = here.at
        if self._clock is not None:
            at = self._clock(item, job, here.address)[0]
        event_id = self._id(captures, item, job.document) if self._id is not None else None
        if not event_id or len(event_id) > 100 or not event_id.isprintable():
            event_id = job.kept.get(id(item)) or job.kept.setdefault(
                id(item), _digest(item, self._digest.copy())
            )
        code = stored(self._rule.codes.get(code, code), 100)
        given = self._given(item, job.document)
        job.events.append(DecodedEvent(here.address, self._rule.spec, at, event_id, code, given))

    def _given(self, item: object, document: object) -> dict[str, Scalar]:
        given: dict[str, Scalar] = {}
        for name, get, guarded in self._arguments:
            value = get(item, document)
            if value is None or value is MISSING:
                continue
            if type(value) is str and guarded is None:
                given[name] = stored(value)
            elif isinstance(value, SCALARS):
                shown = value if guarded is None else guarded(value)
                if shown is not None:
                    given[name] = shown
        return given


def _keys_of_list(path: Path) -> tuple[str, ...] | None:
    """Of a path to the elements of a list, the keys of that list; None for any other."""
    *before, last = path.steps or (None,)
    keys = tuple(step.name for step in before if isinstance(step, Key))
    return keys if last == Elements() and len(keys) == len(before) else None


def _digest(item: object, own: hashlib.blake2b) -> str:
    """The same record gives the same id; key order does not matter. own: with the site's key, since without it
    the number of a card could be found by trying all of them."""
    try:
        data = orjson.dumps(item, option=orjson.OPT_SORT_KEYS)
    except (TypeError, RecursionError):
        data = repr(item)[:100_000].encode("utf-8", "replace")
    own.update(data)
    return own.hexdigest()
