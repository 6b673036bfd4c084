"""From an MQTT message to readings: which profile reads it, and what it gives.

`Library.decode` never raises: whatever comes in, the answer is Decoded, Ignored or Refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

from dutyroom.errors import Invalid
from dutyroom.model.telemetry import Message
from dutyroom.profiles.attempt import Candidate, Outcome, Sight, attempt, told
from dutyroom.profiles.choosing import adopted, decided, ranked_trials, sender
from dutyroom.profiles.codecs.seam import Note
from dutyroom.profiles.elsewhere import BUDGET_S, Elsewhere, Wanderer
from dutyroom.profiles.groups import Group, grouped
from dutyroom.profiles.job import Known
from dutyroom.profiles.loading import load_profiles
from dutyroom.profiles.masking import masked
from dutyroom.profiles.memory import Memory
from dutyroom.profiles.packing import fingerprint, remember, remembered
from dutyroom.profiles.paths import Captures
from dutyroom.profiles.privacy import pseudonym
from dutyroom.profiles.profile import Profile
from dutyroom.profiles.program import LayoutProgram
from dutyroom.profiles.result import Decoded, DecodedEvent, DecodedReading, Ignored, Refused, Trial
from dutyroom.profiles.topics import TopicTrie

__all__ = [
    "Decoded",
    "DecodedEvent",
    "DecodedReading",
    "Ignored",
    "Library",
    "Refused",
    "Trial",
    "load_library",
    "pseudonym",
]

MAX_PAYLOAD = 256 * 1024
MAX_TOPIC = 500
MAX_CACHED = 20_000  # topics


class Library:
    """All profiles of a site, compiled. tz: the site's zone, for device times without one.

    privacy_key: secret of the site, makes pseudonyms of personal values irreversible. memory: what codecs
    remember from message to message.
    """

    def __init__(
        self,
        profiles: Sequence[Profile],
        tz: ZoneInfo,
        privacy_key: bytes = b"",
        memory: Memory | None = None,
    ) -> None:
        self.memory = Memory() if memory is None else memory
        self.profiles = {p.id: p for p in profiles}
        self.tz = tz
        self._key = privacy_key
        self._programs: dict[tuple[str, int], LayoutProgram] = {}
        self._entries: dict[str, list[tuple[Profile, int, str]]] = {}  # by topic filter
        self._topics: TopicTrie[str] = TopicTrie()
        for profile in profiles:
            for number, sketch in enumerate(profile.sketches):
                for topic_filter in sketch.filters:
                    if topic_filter.text not in self._entries:
                        self._topics.add(topic_filter, topic_filter.text)
                    entry = (profile, number, topic_filter.text)
                    self._entries.setdefault(topic_filter.text, []).append(entry)
        self._groups: dict[tuple[str, ...], tuple[Group, ...]] = {}
        self._seen: dict[str, tuple[tuple[Group, ...], Mapping[str, Captures]]] = {}
        self._wanderer = Wanderer(profiles, lambda profile, lay: LayoutProgram(profile, lay, tz, privacy_key))

    @property
    def topics(self) -> tuple[str, ...]:
        """Every filter as a broker understands it, for subscriptions."""
        filters = {f.mqtt for p in self.profiles.values() for sketch in p.sketches for f in sketch.filters}
        return tuple(sorted(filters))

    def decode(self, message: Message, known: Known, adopt: bool = False) -> Outcome:
        """known: the registry. adopt: unknown devices are decoded as well, by the profile that fits best.
        Raises nothing."""
        if len(message.payload) > MAX_PAYLOAD:
            return Refused("too_large", f"{len(message.payload)} bytes, at most {MAX_PAYLOAD} are read")
        groups, captures = self.for_topic(message.topic)
        if not groups:
            return Refused("unknown_topic", "no profile reads this topic")
        if not message.payload:
            return Ignored(groups[0].candidates[0].profile.id, "empty")
        sight = Sight(message, captures, self.memory)
        outcome = decided(groups, sight, known)
        if not adopt:
            return outcome
        if isinstance(outcome, Decoded) and outcome.unknown:
            chosen = [c for g in groups for c in g.candidates if c.profile.id == outcome.profile]
        elif isinstance(outcome, Refused) and outcome.candidates:
            named = [c for g in groups for c in g.candidates if sight.names(c.profile) == 2]
            if named:  # what its own profiles refuse is no message of another product
                return adopted(named, sight, known)
            # That the bytes of an uplink happen to fit is no reason to take it for some product.
            chosen = [
                c
                for c, _ in ranked_trials(groups, sight)
                if c.profile.envelope != "lorawan" or sight.names(c.profile)
            ][:1]
        else:
            return outcome
        return attempt(chosen[0], sight, known, True) if chosen else outcome

    def sender(self, message: Message, known: Known) -> tuple[str, str] | None:
        """(profile, address) of the registered device whose message this is, though nothing of it can be read; None
        where neither its topic nor its document nor the head of its frame tells. Raises nothing."""
        groups, captures = self.for_topic(message.topic)
        whole = 0 < len(message.payload) <= MAX_PAYLOAD
        return sender(groups, Sight(message, captures, self.memory.aside()), known, whole)

    def trial(self, message: Message, limit: int = 10) -> list[Trial]:
        """What the profiles of this topic would make of the message, the best first. Raises nothing."""
        if len(message.payload) > MAX_PAYLOAD or not message.payload:
            return []
        groups, captures = self.for_topic(message.topic)
        ranked = ranked_trials(groups, Sight(message, captures, self.memory.aside()))
        return [trial for _, trial in ranked[:limit]]

    def refusals(self, message: Message) -> list[tuple[str, str]]:
        """(profile, why it does not read the message), as `told` has it."""
        groups, captures = self.for_topic(message.topic)
        return told([c for g in groups for c in g.candidates], Sight(message, captures, self.memory.aside()))

    def elsewhere(
        self, message: Message, limit: int = 5, budget_s: float = BUDGET_S
    ) -> tuple[list[Elsewhere], bool]:
        """Profiles of other topics that could read the message, the best first; and whether all were
        tried in that time. Raises nothing."""
        return self._wanderer.find(message, self.memory.aside(), limit, budget_s)

    def shown(self, topic: str, payload: bytes) -> bytes:
        """A payload as people may see it: without what the profiles of its topic call personal."""
        groups, _ = self.for_topic(topic)
        return masked(payload, (c.profile for group in groups for c in group.candidates))

    def look(self, profile: str, message: Message, note: Note) -> tuple[Candidate, Sight] | None:
        """One profile and a message of a topic, to be watched; None when it does not read the topic."""
        groups, captures = self.for_topic(message.topic)
        found = next((g.by_id[profile] for g in groups if profile in g.by_id), None)
        return None if found is None else (found, Sight(message, captures, self.memory.aside(), note))

    def for_topic(self, topic: str) -> tuple[tuple[Group, ...], Mapping[str, Captures]]:
        """The profiles of a topic, and its named levels by topic filter."""
        found = self._seen.get(topic)
        if found is None:
            captures = dict(self._topics.match(topic)) if len(topic) <= MAX_TOPIC else {}
            found = self._of_filters(tuple(captures)), captures
            if len(self._seen) >= MAX_CACHED:
                self._seen.clear()
            if len(topic) <= MAX_TOPIC:
                self._seen[topic] = found
        return found

    def _of_filters(self, filters: tuple[str, ...]) -> tuple[Group, ...]:
        groups = self._groups.get(filters)
        if groups is None:
            entries = [entry for text in filters for entry in self._entries[text]]
            groups = self._groups[filters] = grouped(entries, self._program)
        return groups

    def _program(self, profile: Profile, number: int) -> LayoutProgram:
        """Compiled when a message needs it: of hundreds of profiles a site uses a few."""
        program = self._programs.get((profile.id, number))
        if program is None:
            program = LayoutProgram(profile, profile.layouts[number], self.tz, self._key)
            self._programs[profile.id, number] = program
        return program


def load_library(
    folder: Path, tz: ZoneInfo, privacy_key: bytes = b"", own: Sequence[Path] = (), cache: Path | None = None
) -> Library:
    """Every profile below `folder`; those of the `own` folders (a site's) add to them or replace them.

    cache: a file that remembers what was read, so that the next start need not. Raises Invalid with all
    mistakes of all files.
    """
    key = fingerprint((folder, *own)) if cache is not None else ""
    found = remembered(cache, key) if cache is not None else None
    if found is not None:
        return Library(found, tz, privacy_key)
    profiles, mistakes = load_profiles(folder, *own)
    if mistakes:
        raise Invalid(mistakes)
    if cache is not None:
        remember(cache, key, profiles)
    return Library(profiles, tz, privacy_key)
