"""A profile proves itself: every example must give what it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from dutyroom.errors import Mistake, Rejected
from dutyroom.model.telemetry import Kind, Message, Scalar
from dutyroom.profiles.attempt import Outcome
from dutyroom.profiles.decode import Decoded, DecodedEvent, DecodedReading, Ignored, Library
from dutyroom.profiles.job import Anybody
from dutyroom.profiles.labels import Keys, wrong_labels
from dutyroom.profiles.loading import load_profiles
from dutyroom.profiles.profile import Example, Profile
from dutyroom.profiles.yamlnode import Plain
from dutyroom.timebase import Ms, from_iso, to_iso

RECEIVED = "2026-11-01T00:00:10Z"  # when an example says nothing
LATER = "2036-11-01T00:30:10Z"  # ... and its clock is ahead of that: a clock may be ten years behind
_TZ = ZoneInfo("Asia/Shanghai")  # of times without a zone


def check_profiles(
    folder: Path, base: Path | None = None, tz: ZoneInfo = _TZ, keys: Keys | None = None
) -> list[Mistake]:
    """Every mistake of every file, and every example that gives something else.

    base: profiles that those of `folder` may extend; they are not checked themselves. keys: what
    labels may be, by language.
    """
    profiles, mistakes = load_profiles(*([base] if base is not None else []), folder)
    mistakes = [m for m in mistakes if base is None or Path(m.file).is_relative_to(folder)]
    for profile in profiles:
        if base is None or Path(profile.file).is_relative_to(folder):
            mistakes += check_profile(profile, tz)
    for file in sorted(folder.glob("*/*.yaml")):
        mistakes += wrong_labels(file, keys or {})
    return mistakes


def check_profile(profile: Profile, tz: ZoneInfo = _TZ) -> list[Mistake]:
    """Runs the examples of one profile, alone."""
    if not profile.examples:
        return [
            Mistake(profile.file, 0, "examples", "is missing: a profile needs a recorded message at least")
        ]
    library = Library([profile], tz)
    found: list[Mistake] = []
    for number, example in enumerate(profile.examples):
        name = f"examples[{number}]"
        try:
            problems = list(_problems(library, profile, example, tz))
        except Rejected as err:
            problems = [("", err.reason)]
        found += [Mistake(profile.file, example.line, f"{name}{where}", text) for where, text in problems]
    return found


def _problems(
    library: Library, profile: Profile, example: Example, tz: ZoneInfo
) -> Iterator[tuple[str, str]]:
    outcome = _decoded(library, profile, example, example.received or RECEIVED, tz)
    if not example.received and not example.findings and _wrong_clock(outcome):
        outcome = _decoded(library, profile, example, LATER, tz)
    if not isinstance(outcome, Decoded):
        if outcome.reason == "unknown_topic" and example.refused != "unknown_topic":
            filters = dict.fromkeys(f.text for layout in profile.layouts for f in layout.filters)
            said = f"{example.topic!r} fits none of the topics of the profile: {', '.join(filters)}"
            yield ".topic", said
            return
        wanted = example.ignored if isinstance(outcome, Ignored) else example.refused
        if outcome.reason != wanted:
            detail = "" if isinstance(outcome, Ignored) else outcome.detail
            yield "", f"gives no readings: {outcome.reason} {detail}".rstrip()
        return
    if example.ignored or example.refused:
        yield "", f"was to be {'ignored' if example.ignored else 'refused'}, but was decoded"
    yield from _values(example.expect, outcome.readings)
    yield from _attributes(example.attributes, outcome.attributes)
    yield from _events(example, outcome)
    if example.time:
        yield from _times(from_iso(example.time, tz), outcome)
    kinds = {kind for kind, _, _ in outcome.findings}
    for kind in sorted(kinds ^ set(example.findings)):
        details = [d for k, _, d in outcome.findings if k == kind]
        yield ".findings", f"{kind} {'found: ' + details[0] if kind in kinds else 'not found'}"


def _decoded(library: Library, profile: Profile, example: Example, received: str, tz: ZoneInfo) -> Outcome:
    message = Message(example.topic, example.payload, from_iso(received, tz))
    return library.decode(message, Anybody(profile.id, example.parameters))


def _wrong_clock(outcome: Outcome) -> bool:
    return isinstance(outcome, Decoded) and any(kind == "clock_wrong" for kind, _, _ in outcome.findings)


def _values(
    expect: Mapping[str, Mapping[str, Plain]], readings: list[DecodedReading]
) -> Iterator[tuple[str, str]]:
    for address, points in expect.items():
        given = {r.spec.name: r for r in readings if r.address == address}
        for name, wanted in points.items():
            where = f".expect.{address}.{name}"
            reading = given.get(name)
            if wanted is None:
                if reading is not None:
                    yield where, f"no reading expected, {_shown(reading)} given"
            elif reading is None:
                names = ", ".join(sorted({r.address for r in readings})) or "no device"
                have = f"{address} has {', '.join(given)}" if given else f"readings are of {names}"
                yield where, f"{wanted} expected, no reading; {have}"
            elif not _same(wanted, reading):
                yield where, f"{wanted} expected, {_shown(reading)} given"


def physical(reading: DecodedReading) -> float:
    """In the point's canonical unit."""
    step = reading.spec.step
    return float(Decimal(int(reading.value)) * step) if step is not None else reading.value


def _shown(reading: DecodedReading) -> str:
    return repr(reading.text) if reading.spec.kind is Kind.TEXT else f"{physical(reading)!r}"


def _same(wanted: Plain, reading: DecodedReading) -> bool:
    if reading.spec.kind is Kind.TEXT:
        return str(wanted) == reading.text
    if isinstance(wanted, int | float):
        return close(float(wanted), physical(reading))
    return False


def close(a: float, b: float) -> bool:
    """Equal but for the last digits that a float or a unit's conversion changes."""
    return abs(a - b) <= 1e-9 + 1e-6 * max(abs(a), abs(b))


def _attributes(
    expect: Mapping[str, Mapping[str, Plain]], given: list[tuple[str, str, Scalar]]
) -> Iterator[tuple[str, str]]:
    have = {(address, name): value for address, name, value in given}
    for address, names in expect.items():
        for name, wanted in names.items():
            if have.get((address, name)) != wanted:
                yield (
                    f".attributes.{address}.{name}",
                    f"{wanted!r} expected, {have.get((address, name))!r} given",
                )


def _events(example: Example, outcome: Decoded) -> Iterator[tuple[str, str]]:
    left = list(outcome.events)
    for number, wanted in enumerate(example.events):
        for event in left:
            have = _event(event)
            if all(have.get(k) == v for k, v in wanted.items()):
                left.remove(event)
                break
        else:
            yield (
                f".events[{number}]",
                f"{_words(wanted)} expected; given: {'; '.join(_words(_event(e)) for e in outcome.events) or 'none'}",
            )
    if example.events and left:
        yield ".events", f"{len(left)} more given than expected"


def _event(event: DecodedEvent) -> dict[str, object]:
    """As an example names it; what an argument of the same name says as text counts."""
    own = {"address": event.address, "point": event.spec.name, "code": event.code, "id": event.event_id}
    return {**event.arguments, **own, **{k: v for k, v in event.arguments.items() if isinstance(v, str)}}


def _words(event: Mapping[str, object]) -> str:
    return "{" + ", ".join(f"{name}: {value}" for name, value in event.items()) + "}"


def _times(wanted: Ms, outcome: Decoded) -> Iterator[tuple[str, str]]:
    times = {r.at for r in outcome.readings} | {e.at for e in outcome.events}
    if wanted not in times:
        given = [to_iso(t) for t in sorted(t for t in times if t is not None)]
        yield ".time", f"{to_iso(wanted)} expected, {', '.join(given) or 'the receive time'} given"
