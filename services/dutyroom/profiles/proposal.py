"""A few lines of YAML that let a profile read a topic which is not its own, with the captured message as
its example. What is proposed has proved itself: it is built and its example run before it is shown."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from dutyroom.errors import Mistake
from dutyroom.model.telemetry import Kind, Message
from dutyroom.profiles.checking import check_profile, physical
from dutyroom.profiles.decode import Decoded, DecodedReading, Library
from dutyroom.profiles.places import Place
from dutyroom.profiles.profile import Profile
from dutyroom.timebase import to_iso

# A profile's text under an id -> the profile and what is wrong with it.
Build: TypeAlias = Callable[[str, str], tuple[Profile | None, Sequence[Mistake]]]

_DEVICES, _VALUES = 20, 40  # in the example
_UTC = ZoneInfo("UTC")
_MAX_NAME = 60


@dataclass(frozen=True, slots=True)
class Proposal:
    """id: of the profile to be, <vendor>/<name>; text: its file. addresses: of the captured message."""

    id: str
    base: str
    filter: str
    text: str
    addresses: tuple[str, ...]

    @property
    def file(self) -> str:
        """Below the site's folder."""
        return f"device_profiles/{self.id}.yaml"


def propose(
    base: Profile, place: Place, message: Message, taken: Collection[str], build: Build, tz: ZoneInfo
) -> Proposal | None:
    """None when `base` cannot read the message there by so little."""
    name = proposed_id(base.id, place.filter, taken)
    # To the second, as the example will have it: times that count back from it are then the same.
    message = replace(message, received_at=message.received_at // 1000 * 1000)
    bare = _head(base, place)
    profile = _built(build, name, bare + _example(message, ()))
    if profile is None:
        return None
    trials = Library([profile], tz).trial(message, 1)
    if not trials or not trials[0].outcome.readings:
        return None
    text = bare + _example(message, (trials[0].outcome,))
    profile = _built(build, name, text)
    if profile is None or check_profile(profile, tz):
        return None
    return Proposal(name, base.id, place.filter, text, trials[0].outcome.addresses)


def _built(build: Build, name: str, text: str) -> Profile | None:
    profile, mistakes = build(name, text)
    return None if mistakes else profile


def proposed_id(base: str, filter_text: str, taken: Collection[str]) -> str:
    """The vendor of the base; its model with the words of the topic: cjt188/water-raw."""
    vendor, _, model = base.partition("/")
    fixed = [lv for lv in filter_text.split("/") if "{" not in lv and lv not in ("+", "#")]
    words = [word for level in fixed if (word := re.sub(r"[^A-Za-z0-9]+", "-", level).strip("-"))]
    first = "-".join(dict.fromkeys([model, *(word.lower() for word in words)]))[:_MAX_NAME].strip("-")
    found, number = f"{vendor}/{first}", 2
    while found in taken:
        found, number = f"{vendor}/{first}-{number}", number + 1
    return found


def _head(base: Profile, place: Place) -> str:
    lines = [f"extends: {_quoted(base.id)}"]
    if base.products:
        lines.append(f"products: [{', '.join(_quoted(p) for p in base.products)}]")
    lines.append(f"match: {{topics: [{_quoted(place.filter)}]}}")
    if place.identity:
        texts = [_quoted(text) for text in place.identity]
        lines.append(f"identity: {texts[0] if len(texts) == 1 else '[' + ', '.join(texts) + ']'}")
    return "\n".join(lines) + "\n"


def _example(message: Message, outcomes: Sequence[Decoded]) -> str:
    lines = [
        "examples:",
        "  - title: the captured message",
        f"    topic: {_quoted(message.topic)}",
        f"    received: {to_iso(message.received_at, _UTC)}",
        f"    {_payload(message.payload)}",
    ]
    for outcome in outcomes:
        lines.append("    expect:")
        for address in outcome.addresses[:_DEVICES]:
            values = {r.spec.name: _value(r) for r in outcome.readings if r.address == address}
            shown = ", ".join(f"{_quoted(n)}: {v}" for n, v in list(values.items())[:_VALUES])
            lines.append(f"      {json.dumps(address, ensure_ascii=False)}: {{{shown}}}")
        kinds = sorted({kind for kind, _, _ in outcome.findings})
        if kinds:
            lines.append(f"    findings: [{', '.join(kinds)}]")
    return "\n".join(lines) + "\n"


def _payload(payload: bytes) -> str:
    """As people can read it; as hex where it is no plain text."""
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if text.isprintable():
        return "payload: '" + text.replace("'", "''") + "'"
    if text.translate({9: None, 10: None, 13: None}).isprintable():
        return "payload: " + json.dumps(text, ensure_ascii=False)
    return f"hex: {json.dumps(payload.hex(' '))}"


def _value(reading: DecodedReading) -> str:
    if reading.spec.kind is Kind.TEXT:
        return json.dumps(reading.text or "", ensure_ascii=False)
    value = physical(reading)
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def _quoted(text: str) -> str:
    plain = all(c.isalnum() or c in "_-/." for c in text) and text[:1].isalpha() and text.isascii()
    return (
        text
        if plain and text.lower() not in ("true", "false", "null")
        else json.dumps(text, ensure_ascii=False)
    )
