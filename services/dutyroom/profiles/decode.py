"""From an MQTT message to readings: which profile reads it, and what it gives.

`Library.decode` never raises: whatever comes in, the answer is Decoded, Ignored or Refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from zoneinfo import ZoneInfo

from dutyroom.errors import Invalid, Rejected
from dutyroom.model.telemetry import Message
from dutyroom.profiles.job import Job, Known
from dutyroom.profiles.loading import load_profiles
from dutyroom.profiles.paths import Captures
from dutyroom.profiles.privacy import pseudonym
from dutyroom.profiles.profile import Profile, Stage
from dutyroom.profiles.program import LayoutProgram
from dutyroom.profiles.result import Decoded, DecodedEvent, DecodedReading, Ignored, Refused
from dutyroom.profiles.topics import TopicTrie
from dutyroom.profiles.unwrap import Unreadable

__all__ = [
    "Decoded",
    "DecodedEvent",
    "DecodedReading",
    "Ignored",
    "Library",
    "Refused",
    "load_library",
    "pseudonym",
]

MAX_PAYLOAD = 256 * 1024
MAX_TOPIC = 500
MAX_CACHED = 20_000  # topics

Outcome: TypeAlias = Decoded | Ignored | Refused


@dataclass(slots=True)
class _Candidate:
    """A profile that may read a topic, with the layouts of that topic in order."""

    profile: Profile
    layouts: list[tuple[LayoutProgram, Captures]]


class _Documents:
    """Each way of unwrapping a payload is done once, however many candidates ask."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._done: dict[tuple[Stage, ...], object] = {}

    def get(self, layout: LayoutProgram, captures: Captures) -> object:
        stages = layout.layout.unwrap
        if any(s.template for s in stages):  # depends on the topic's named levels
            return layout.unwrap(self._payload, captures)
        found = self._done.get(stages)
        if found is None:
            found = self._done[stages] = layout.unwrap(self._payload, captures)
        return found


class Library:
    """All profiles of a site, compiled. tz: the site's zone, for device times without one.

    privacy_key: secret of the site, makes pseudonyms of personal values irreversible.
    """

    def __init__(self, profiles: Sequence[Profile], tz: ZoneInfo, privacy_key: bytes = b"") -> None:
        self.profiles = {p.id: p for p in profiles}
        self.tz = tz
        self._topics: TopicTrie[tuple[Profile, int, LayoutProgram]] = TopicTrie()
        for profile in sorted(profiles, key=lambda p: (p.rank, p.id)):
            for number, layout in enumerate(profile.layouts):
                program = LayoutProgram(profile, layout, tz, privacy_key)
                for topic_filter in layout.filters:
                    self._topics.add(topic_filter, (profile, number, program))
        self._candidates: dict[str, tuple[_Candidate, ...]] = {}

    @property
    def topics(self) -> tuple[str, ...]:
        """Every filter as a broker understands it, for subscriptions."""
        filters = {f.mqtt for p in self.profiles.values() for layout in p.layouts for f in layout.filters}
        return tuple(sorted(filters))

    def decode(self, message: Message, known: Known, adopt: bool = False) -> Outcome:
        """known(profile id, address): the device's parameters, None = not in the registry.

        adopt: unknown devices are decoded as well (trial, replay). Raises nothing.
        """
        if len(message.payload) > MAX_PAYLOAD:
            return Refused("too_large", f"{len(message.payload)} bytes, at most {MAX_PAYLOAD} are read")
        candidates = self._for_topic(message.topic)
        if not candidates:
            return Refused("unknown_topic", "no profile reads this topic")
        if not message.payload:
            return Ignored(candidates[0].profile.id, "empty")
        documents = _Documents(message.payload)
        outcome = self._first(candidates, message, documents, known, False)
        if adopt and isinstance(outcome, Decoded) and outcome.unknown:
            candidates = tuple(c for c in candidates if c.profile.id == outcome.profile)
        elif not (adopt and isinstance(outcome, Refused) and outcome.candidates):
            return outcome
        return self._first(candidates, message, documents, known, True)

    def _first(
        self,
        candidates: Sequence[_Candidate],
        message: Message,
        documents: _Documents,
        known: Known,
        adopt: bool,
    ) -> Outcome:
        """The first candidate that decodes: a registered device comes before an adopted one."""
        outcomes: list[Outcome] = []
        for candidate in candidates:
            outcome = self._try(candidate, message, documents, known, adopt)
            if isinstance(outcome, Decoded) or (isinstance(outcome, Ignored) and outcome.address):
                return outcome
            outcomes.append(outcome)
        return _best(outcomes)

    def _for_topic(self, topic: str) -> tuple[_Candidate, ...]:
        found = self._candidates.get(topic)
        if found is None:
            found = _grouped(self._topics.match(topic)) if len(topic) <= MAX_TOPIC else ()
            if len(self._candidates) >= MAX_CACHED:
                self._candidates.clear()
            if len(topic) <= MAX_TOPIC:
                self._candidates[topic] = found
        return found

    def _try(
        self, candidate: _Candidate, message: Message, documents: _Documents, known: Known, adopt: bool
    ) -> Outcome:
        unreadable: Unreadable | None = None
        for layout, captures in candidate.layouts:
            document = documents.get(layout, captures)
            if isinstance(document, Unreadable):
                unreadable = unreadable or document
                continue
            if layout.test is None or layout.test(captures, document, document):
                return _run(
                    candidate.profile, layout, captures, Job(document, message.received_at), known, adopt
                )
        if unreadable is not None:
            return Refused(unreadable.reason, unreadable.detail)
        return Refused("no_layout", f"{candidate.profile.id}: no layout reads this message")


def _run(
    profile: Profile, program: LayoutProgram, captures: Captures, job: Job, known: Known, adopt: bool
) -> Outcome:
    layout = program.layout
    if layout.reject is not None:
        return Refused("rejected", f"{profile.id}: {layout.reject}")
    try:
        if layout.ignore is not None:
            return Ignored(profile.id, layout.ignore, program.registered(job, captures, known))
        program.run(job, captures, known, adopt)
    except Rejected as err:
        return Refused("rejected", f"{profile.id}: {err.reason}")
    except RecursionError:
        return Refused("malformed", "nested too deeply")
    if job.addresses:
        return Decoded(
            profile.id,
            job.readings,
            job.events,
            job.attributes,
            job.findings,
            tuple(dict.fromkeys(job.unknown)),
            tuple(dict.fromkeys(job.addresses)),
        )
    if job.unknown:
        devices = tuple(dict.fromkeys(job.unknown))
        return Refused("unknown_device", ", ".join(address for _, address in devices[:10]), devices)
    if not job.items:
        return Ignored(profile.id, "nothing")
    return Refused("no_layout", f"{profile.id}: the message names no device")


def _grouped(
    matches: Sequence[tuple[tuple[Profile, int, LayoutProgram], Captures]],
) -> tuple[_Candidate, ...]:
    """Profiles by rank, each with its layouts in the order they are written."""
    ordered = sorted(matches, key=lambda m: (m[0][0].rank, m[0][0].id, m[0][1]))
    found: dict[str, _Candidate] = {}
    for (profile, _, program), captures in ordered:
        found.setdefault(profile.id, _Candidate(profile, [])).layouts.append((program, captures))
    return tuple(found.values())


_REFUSALS = ("rejected", "encoding", "malformed", "no_layout")


def _best(outcomes: Sequence[Outcome]) -> Outcome:
    """The answer when no candidate decoded: who could, else who ignores, else the plainest reason."""
    refused = [o for o in outcomes if isinstance(o, Refused)]
    candidates = tuple(dict.fromkeys(c for o in refused for c in o.candidates))
    if candidates:
        detail = next(o.detail for o in refused if o.candidates)
        return Refused("unknown_device", detail, candidates)
    for outcome in outcomes:
        if isinstance(outcome, Ignored):
            return outcome
    return min(refused, key=lambda o: _REFUSALS.index(o.reason))


def load_library(folder: Path, tz: ZoneInfo, privacy_key: bytes = b"", own: Sequence[Path] = ()) -> Library:
    """Every profile below `folder`; those of the `own` folders (a site's) add to them or replace them.

    Raises Invalid with all mistakes of all files.
    """
    profiles, mistakes = load_profiles(folder, *own)
    if mistakes:
        raise Invalid(mistakes)
    return Library(profiles, tz, privacy_key)
