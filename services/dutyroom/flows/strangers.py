"""Devices that publish and that nobody listed: who they may be, by a trial of what they said last."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from dutyroom.errors import Rejected
from dutyroom.flows.offers import Offer, offers
from dutyroom.interfaces import Journal, QuarantineRow, StrangerRow
from dutyroom.model.telemetry import Kind, Message
from dutyroom.profiles.decode import Library
from dutyroom.profiles.elsewhere import BUDGET_S
from dutyroom.profiles.profile import Profile
from dutyroom.profiles.proposal import Build
from dutyroom.profiles.result import Decoded, DecodedReading, Trial
from dutyroom.site.pairs import parts
from dutyroom.site.ratios import lacking
from dutyroom.timebase import Ms

SENDERS = 300  # looked at, the newest
CANDIDATES = 5  # profiles of one device
_READINGS = 40  # shown of one trial


@dataclass(frozen=True, slots=True)
class Candidate:
    """A profile that reads the last message, and what it makes of it. named: the message names the
    product. readings: of this device; value in the point's unit. standing: less is better; of two that
    are equal only the order of their names says which comes first. foreign: the message names another
    product, and bytes of that happen to fit."""

    profile: str
    name: Mapping[str, str]
    device_class: str
    named: bool
    readings: tuple[tuple[DecodedReading, float], ...]
    events: int
    findings: tuple[tuple[str, str], ...]  # (kind, detail)
    standing: tuple[int, ...] = ()
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class Stranger:
    """One device, or one topic where nothing tells whose messages it carries (address "").

    newest: its last message, or of the last few the newest that some profile reads. before: those before it.
    count: its messages since it was first heard; kept: those that can be read again. offers: of a topic
    that no profile reads, who could read it; tried: whether there was time to ask all of them.
    refusals: (profile, why) where no profile reads the last message.
    """

    address: str
    newest: QuarantineRow
    before: tuple[QuarantineRow, ...]
    topics: tuple[str, ...]
    count: int
    kept: int
    first_at: Ms
    last_at: Ms
    candidates: tuple[Candidate, ...] = ()
    offers: tuple[Offer, ...] = ()
    tried: bool = True
    refusals: tuple[tuple[str, str], ...] = ()

    @property
    def reason(self) -> str:
        return self.newest.reason


class Strangers:
    """The unknown devices of a site. Trials are remembered until the profiles change.

    build: makes a profile of its text; without it nothing is offered for topics that no profile reads.
    """

    def __init__(self, journal: Journal, build: Build | None = None) -> None:
        self._journal, self._build = journal, build
        self._library: Library | None = None
        self._tried: dict[tuple[int, str], Stranger] = {}

    def all(
        self,
        library: Library,
        known: Callable[[str, str], object],
        limit: int = 100,
        foreign: Container[str] = (),
        budget_s: float = BUDGET_S,
    ) -> list[Stranger]:
        """Each with the profiles that can read its last message, the best first; of devices that are
        registered by now the messages are about to be read again, and they are left out.

        foreign: addresses that are not ours. budget_s: for topics that no profile reads, all together.
        """
        if library is not self._library:
            self._library, self._tried = library, {}
        until = time.monotonic() + budget_s
        found = [s for s in merged(self._journal.strangers(SENDERS)) if s.address not in foreign][:limit]
        made = [self._looked(library, s, until) for s in found]
        # By the message that was the last one, whichever was read in its place.
        pairs = zip(found, made, strict=True)
        self._tried = {(last.newest.id, s.address): s for last, s in pairs if s.tried}
        return [s for s in made if not any(known(c.profile, s.address) for c in s.candidates)]

    def find(self, library: Library, address: str) -> Stranger | None:
        found = next((s for s in merged(self._journal.strangers(SENDERS)) if s.address == address), None)
        return None if found is None else _with_candidates(library, found)

    def silent(self) -> list[Stranger]:
        """The topics that no profile reads."""
        return [s for s in merged(self._journal.strangers(SENDERS)) if _unread(s)]

    def offered(self, library: Library, topic: str, profile: str) -> tuple[Stranger, Offer]:
        """What is offered for a topic. Raises Rejected when it is nothing of this profile."""
        found = next((s for s in self.silent() if s.newest.topic == topic), None)
        if found is None:
            raise Rejected("error.topic_silent", {"topic": topic})
        made = self._looked(library, found, time.monotonic() + BUDGET_S)
        offer = next((o for o in made.offers if o.trial.profile == profile), None)
        if offer is None:
            raise Rejected("error.topic_unread", {"topic": topic, "profile": profile})
        return made, offer

    def _looked(self, library: Library, stranger: Stranger, until: float) -> Stranger:
        """until: the moment, by `time.monotonic`, at which other topics' profiles are no longer tried."""
        known = self._tried.get((stranger.newest.id, stranger.address))
        if known is not None and library is self._library:
            return replace(
                stranger,
                newest=known.newest,
                candidates=known.candidates,
                offers=known.offers,
                refusals=known.refusals,
            )
        if self._build is not None and _unread(stranger):
            made, tried = offers(library, self._build, stranger.newest, until - time.monotonic())
            return replace(stranger, offers=made, tried=tried)
        found = _with_candidates(library, stranger)
        return found if found.candidates else replace(found, refusals=_refusals(library, stranger))


def _refusals(library: Library, stranger: Stranger) -> tuple[tuple[str, str], ...]:
    row = stranger.newest
    return tuple(library.refusals(Message(row.topic, row.payload, row.received_at, row.retained)))


def _unread(stranger: Stranger) -> bool:
    return not stranger.address and stranger.reason == "unknown_topic"


def merged(rows: Iterable[StrangerRow]) -> list[Stranger]:
    """One entry a device: whatever it publishes on, and whichever messages it shares with others.
    Those that a profile tells apart come first, the newest of them before all."""
    found: dict[tuple[str, str], Stranger] = {}
    for row in rows:
        topic = row.newest.topic
        for address in row.newest.addresses or ("",):
            key = (address, "" if address else topic)
            new = Stranger(
                address, row.newest, row.before, (topic,), row.count, row.kept, row.first_at, row.last_at
            )
            old = found.get(key)
            found[key] = new if old is None else _both(old, new)
    return sorted(found.values(), key=lambda s: (not s.address, -s.last_at))


def _both(one: Stranger, other: Stranger) -> Stranger:
    newer, older = (one, other) if one.last_at >= other.last_at else (other, one)
    return replace(
        one,
        newest=newer.newest,
        before=(*newer.before, older.newest, *older.before),
        topics=tuple(dict.fromkeys([*one.topics, *other.topics])),
        count=one.count + other.count,
        kept=one.kept + other.kept,
        first_at=min(one.first_at, other.first_at),
        last_at=max(one.last_at, other.last_at),
    )


def _with_candidates(library: Library, stranger: Stranger) -> Stranger:
    """The profiles that read its last message; where that one is damaged, the one before it. What the
    profile of the named product reads goes before what only fits the bytes of others."""
    first: Stranger | None = None
    for row in (stranger.newest, *stranger.before):
        looked = replace(stranger, newest=row)
        looked = replace(looked, candidates=candidates(library, looked))
        giving = [c for c in looked.candidates if not _silent(c)]
        if giving and (giving[0].named or not _doubtful(library, giving[0])):
            return looked
        if first is None or (giving and all(map(_silent, first.candidates))):
            first = looked
    return first or stranger


def _doubtful(library: Library, candidate: Candidate) -> bool:
    return candidate.foreign or library.profiles[candidate.profile].fallback


def candidates(library: Library, stranger: Stranger) -> tuple[Candidate, ...]:
    """The profiles that read the newest message of this device, the best first."""
    row = stranger.newest
    trials = library.trial(Message(row.topic, row.payload, row.received_at, row.retained), 2 * CANDIDATES)
    mine = [t for t in trials if stranger.address in t.outcome.addresses]
    return tuple(candidate(library, trial, stranger.address) for trial in mine[:CANDIDATES])


def candidate(library: Library, trial: Trial, address: str) -> Candidate:
    profile, outcome = library.profiles[trial.profile], trial.outcome
    return Candidate(
        profile.id,
        profile.name,
        profile.device_class.value,
        trial.named,
        tuple(_given(outcome, address)),
        sum(event.address == address for event in outcome.events),
        tuple((kind, detail) for kind, whose, detail in outcome.findings if whose in ("", address)),
        _standing(profile, trial),
        trial.foreign and profile.envelope == "lorawan",
    )


def _standing(profile: Profile, trial: Trial) -> tuple[int, ...]:
    """As trials are ranked. That the bytes of an uplink fit says little of whose they are, and so does
    how many values come of them, unless the message names the product."""
    outcome = trial.outcome
    doubt = 2 if outcome.findings else 1 if outcome.unread else 0
    first = (not trial.named, profile.fallback, doubt)
    if profile.envelope == "lorawan" and not trial.named:
        return (*first, 0, 0, 0)
    _, tests, literal = profile.rank
    return (*first, tests, literal, -len(outcome.readings) - len(outcome.events) - len(outcome.attributes))


def _given(outcome: Decoded, address: str) -> list[tuple[DecodedReading, float]]:
    mine = [reading for reading in outcome.readings if reading.address == address]
    return [(reading, _physical(reading)) for reading in mine[:_READINGS]]


def _physical(reading: DecodedReading) -> float:
    step = reading.spec.step
    return (
        reading.value
        if step is None or reading.spec.kind is not Kind.COUNTER
        else reading.value * float(step)
    )


# ---------------------------------------------------------------- taking one in


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person says of a device to be adopted; "" = as it is offered."""

    address: str
    profile: str = ""
    id: str = ""
    name: str = ""
    space: str = ""
    parameters: str = ""  # as in a table: ct=40;pt=10


def adoption(wish: Wish, stranger: Stranger | None, library: Library, taken: Iterable[str]) -> dict[str, str]:
    """The row of the registry for a device, by the columns of a table of devices.

    taken: ids in use. Raises Rejected where no profile is known, the wish names none and several read the
    device equally well or the message names a product of somebody else, the id is another's, or the profile
    needs a parameter that the wish does not give.
    """
    profile = wish.profile or _best(wish, stranger)
    if profile not in library.profiles:
        raise Rejected("error.no_profile", {"profile": profile})
    used = frozenset(taken)
    if wish.id in used:  # a row of its id would change that device
        raise Rejected("error.id_taken", {"id": wish.id})
    found = library.profiles[profile]
    check_parameters(wish, found)
    return {
        "id": wish.id or offered_id(profile, wish.address, used),
        "name": wish.name,
        "class": found.device_class.value,
        "profile": profile,
        "address": wish.address,
        "space": wish.space,
        "parameters": wish.parameters,
    }


def check_parameters(wish: Wish, profile: Profile) -> None:
    """Raises Rejected where only the device can say what the profile must know, and the wish does not."""
    given = {name for _, name, value in parts(wish.parameters) if value is not None}
    if missing := lacking(profile, given):
        example = ";".join(f"{name}=…" for name in missing)
        raise Rejected("error.parameters_needed", {"profile": profile.id, "names": example})


def _best(wish: Wish, stranger: Stranger | None) -> str:
    if stranger is None:
        raise Rejected("error.no_stranger", {"address": wish.address})
    if not stranger.candidates:
        raise Rejected("error.no_candidate", {"address": wish.address})
    best, equal = stranger.candidates[0], _equals(stranger.candidates)
    if _silent(best):
        raise Rejected("error.no_value_read", {"address": wish.address, "profile": best.profile})
    if equal:
        names = ", ".join([best.profile, *equal])
        raise Rejected("error.several_profiles", {"address": wish.address, "profiles": names})
    if best.foreign:
        raise Rejected("error.other_product", {"address": wish.address, "profile": best.profile})
    return best.profile


def _equals(candidates: Sequence[Candidate]) -> list[str]:
    """The profiles that stand as well as the first."""
    best, *others = candidates
    return [other.profile for other in others if other.standing <= best.standing]


def clear_choice(stranger: Stranger) -> str:
    """The profile of a device that nobody need be asked for, "" = a person has to say which."""
    found = stranger.candidates
    clear = bool(found) and not found[0].foreign and not _silent(found[0]) and not _equals(found)
    return found[0].profile if clear else ""


def _silent(candidate: Candidate) -> bool:
    """Whether a profile makes nothing of the message, as of an empty uplink: whose it is that does not say."""
    return not candidate.readings and not candidate.events


def offered_id(profile: str, address: str, taken: Iterable[str]) -> str:
    """<vendor>-<address>, in the letters that an id may have; numbered where that is another's."""
    plain = re.sub(r"[^\w.:-]+", "-", f"{profile.partition('/')[0]}-{address}").strip("-")[:90]
    used = set(taken)
    found, number = plain, 2
    while found in used:
        found, number = f"{plain}-{number}", number + 1
    return found


def sheet_rows(row: Mapping[str, str]) -> Sequence[Sequence[str]]:
    """Header and one row of a table of devices; what is not said has no column."""
    given = {name: value for name, value in row.items() if value or name == "space"}
    return [list(given), list(given.values())]
