"""From an MQTT message to readings: which profile reads it, and what it gives.

`Library.decode` never raises: whatever comes in, the answer is Decoded, Ignored or Refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

from dutyroom.errors import Invalid
from dutyroom.model.telemetry import Message
from dutyroom.profiles.attempt import NOBODY, Candidate, Outcome, Sight, attempt, told
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
MAX_TRIED = 12  # profiles of one group for a message of an unknown device
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
        outcome = _first(groups, sight, known)
        if not adopt:
            return outcome
        if isinstance(outcome, Decoded) and outcome.unknown:
            chosen = [c for g in groups for c in g.candidates if c.profile.id == outcome.profile]
        elif isinstance(outcome, Refused) and outcome.candidates:
            named = [c for g in groups for c in g.candidates if sight.names(c.profile) == 2]
            if named:  # what its own profiles refuse is no message of another product
                return _adopted(named, sight, known)
            # That the bytes of an uplink happen to fit is no reason to take it for some product.
            chosen = [
                c
                for c, _ in _ranked(groups, sight)
                if c.profile.envelope != "lorawan" or sight.names(c.profile)
            ][:1]
        else:
            return outcome
        return attempt(chosen[0], sight, known, True) if chosen else outcome

    def trial(self, message: Message, limit: int = 10) -> list[Trial]:
        """What the profiles of this topic would make of the message, the best first. Raises nothing."""
        if len(message.payload) > MAX_PAYLOAD or not message.payload:
            return []
        groups, captures = self.for_topic(message.topic)
        ranked = _ranked(groups, Sight(message, captures, self.memory.aside()))
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


def _first(groups: Sequence[Group], sight: Sight, known: Known) -> Outcome:
    """The first candidate that decodes; of a group that shares its addresses, the one registered."""
    outcomes: list[Outcome] = []
    own: list[Refused] = []  # what the profile of a registered device says against it
    unread: list[Group] = []  # none of them can say whose it is
    strangers: list[tuple[Group, tuple[str, ...]]] = []
    for group in groups:
        found = group.candidates
        if group.shares:
            told = group.told(sight, known)
            if told is None:
                unread.append(group)
                continue
            addresses, found = told
            if not found:
                strangers.append((group, addresses))
        for candidate in found:
            outcome = attempt(candidate, sight, known, False)
            if isinstance(outcome, Decoded):
                return _completed(outcome, groups, sight, known) if outcome.unknown else outcome
            if isinstance(outcome, Ignored) and outcome.address:
                return outcome
            if group.shares and isinstance(outcome, Refused) and outcome.reason != "unknown_device":
                own.append(outcome)
            outcomes.append(outcome)
    if own:  # a known device that sends nonsense is no stranger
        return own[0]
    for group, addresses in strangers:
        outcomes += _of_strangers(group, addresses, sight, known)
    return _best([*outcomes, *(group.refusal(sight, known) for group in unread)])


def _completed(first: Decoded, groups: Sequence[Group], sight: Sight, known: Known) -> Decoded:
    """A message of several devices, of which some are registered under other profiles: meters of two
    kinds behind one gateway."""
    left = {address for _, address in first.unknown}
    for candidate in (c for g in groups for c in g.candidates if c.profile.id != first.profile):
        if not left:
            break
        if not any(candidate.profile.id in known.profiles(address) for address in left):
            continue
        other = attempt(candidate, sight, known, False)
        if isinstance(other, Decoded) and (more := left & set(other.addresses)):
            first = _joined(first, other, more)
            left -= more
    return first


def _joined(first: Decoded, other: Decoded, addresses: set[str]) -> Decoded:
    """What both say; of the other only what concerns these addresses."""
    return replace(
        first,
        readings=[*first.readings, *(r for r in other.readings if r.address in addresses)],
        events=[*first.events, *(e for e in other.events if e.address in addresses)],
        attributes=[*first.attributes, *(a for a in other.attributes if a[0] in addresses)],
        findings=[*first.findings, *(f for f in other.findings if f[1] in addresses)],
        unknown=tuple(u for u in first.unknown if u[1] not in addresses),
        addresses=(*first.addresses, *(a for a in other.addresses if a in addresses)),
        owners={**first.owners, **dict.fromkeys(addresses, other.profile)},
    )


def _of_strangers(group: Group, addresses: Sequence[str], sight: Sight, known: Known) -> list[Outcome]:
    """Of devices that the registry does not have: who could read it."""
    if len(group.candidates) > MAX_TRIED and addresses:  # a trial finds it, when somebody looks
        return [Refused("unknown_device", ", ".join(addresses[:10]), tuple(("", a) for a in addresses))]
    return [attempt(candidate, sight, known, False) for candidate in group.candidates]


def _ranked(groups: Sequence[Group], sight: Sight) -> list[tuple[Candidate, Trial]]:
    """Every candidate that decodes: the product that the message names, then the most particular, the
    ones that understand every byte, and those that give most."""
    found: list[tuple[tuple[object, ...], Candidate, Trial]] = []
    for place, candidate in enumerate(c for g in groups for c in g.candidates):
        outcome = attempt(candidate, sight, NOBODY, True)
        if isinstance(outcome, Decoded) and outcome.addresses:
            hint = sight.names(candidate.profile)
            doubt = 2 if outcome.findings else 1 if outcome.unread else 0
            count = len(outcome.readings) + len(outcome.events) + len(outcome.attributes)
            rank = candidate.profile.rank
            key = (-hint, candidate.profile.fallback, doubt, *rank, -count, place)
            found.append(
                (
                    key,
                    candidate,
                    Trial(candidate.profile.id, outcome, hint == 2, hint == 0 and bool(sight.product)),
                )
            )
    return [(candidate, trial) for _, candidate, trial in sorted(found, key=lambda f: f[0])]


def _adopted(candidates: Sequence[Candidate], sight: Sight, known: Known) -> Outcome:
    """The first of these that decodes, else why they do not."""
    outcomes = [attempt(c, sight, known, True) for c in candidates]
    return next((o for o in outcomes if isinstance(o, Decoded)), None) or _best(outcomes)


_REFUSALS = ("rejected", "encoding", "malformed", "no_layout", "unknown_device")


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
