"""Whose message it is: which of the profiles of a topic reads it, and what is said where none does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from msgspec.structs import replace as with_others

from dutyroom.profiles.attempt import NOBODY, Candidate, Outcome, Sight, attempt
from dutyroom.profiles.binary.cursor import Skipped
from dutyroom.profiles.groups import Group
from dutyroom.profiles.job import Known
from dutyroom.profiles.result import Decoded, Ignored, Refused, Trial
from dutyroom.profiles.unwrap import Unreadable

MAX_TRIED = 12  # profiles of one group for a message of an unknown device


def decided(groups: Sequence[Group], sight: Sight, known: Known) -> Outcome:
    """The first candidate that decodes; of a group that shares its addresses, the one registered."""
    outcomes: list[Outcome] = []
    own: list[Refused] = []  # what the profile of a registered device says against it
    against: dict[str, Refused] = {}  # what other profiles say against it
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
            if isinstance(outcome, Refused) and outcome.reason != "unknown_device":
                if group.shares:
                    own.append(outcome)
                elif outcome.reason != "no_layout":
                    against[candidate.profile.id] = outcome
            outcomes.append(outcome)
    if own:  # a known device that sends nonsense is no stranger
        return own[0]
    for group, addresses in strangers:
        outcomes += _of_strangers(group, addresses, sight, known)
    if against:
        outcomes = [_of_others(outcome, against, known) for outcome in outcomes]
    return _best([*outcomes, *(group.refusal(sight, known) for group in unread)])


def sender(groups: Sequence[Group], sight: Sight, known: Known, whole: bool) -> tuple[str, str] | None:
    """(profile, address) of the registered device whose message this is though nothing of it can be read. None where
    it does not tell. whole: its payload may be looked at."""
    for group in groups if whole else ():
        if group.shares and (told := _told_alone(group, sight, known)) is not None:
            return told
    for group in groups:
        for program, where in group.candidates[0].layouts:  # the others find their devices in the same way
            captures = sight.captures[where]
            document = sight.document(program, captures) if whole else None
            address = program.sender(None if isinstance(document, Unreadable) else document, captures)
            if address and (found := group.registered((address,), known)):
                return found[0].profile.id, address
    return None


def _told_alone(group: Group, sight: Sight, known: Known) -> tuple[str, str] | None:
    """As the head of a frame tells it whose rest cannot be read."""
    try:
        told = group.told(sight, known)
    except Skipped:
        return None
    return (told[1][0].profile.id, told[0][0]) if told is not None and told[1] and len(told[0]) == 1 else None


def _of_others(outcome: Outcome, against: Mapping[str, Refused], known: Known) -> Outcome:
    """Without the devices whose own profiles refuse the message: however another profile finds them, they are no strangers.
    against: by profile."""
    if not isinstance(outcome, Refused) or not outcome.candidates:
        return outcome
    own = {
        c: next((against[p] for p in known.profiles(c[1]) if p in against), None) for c in outcome.candidates
    }
    left = tuple(c for c, refused in own.items() if refused is None)
    if len(left) == len(own):
        return outcome
    if not left:
        return next(refused for refused in own.values() if refused is not None)
    return replace(
        outcome, detail=", ".join(dict.fromkeys(address for _, address in left[:10])), candidates=left
    )


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
    return with_others(
        first,
        readings=[*first.readings, *(r for r in other.readings if r.address in addresses)],
        events=[*first.events, *(e for e in other.events if e.address in addresses)],
        attributes=[*first.attributes, *(a for a in other.attributes if a[0] in addresses)],
        findings=[*first.findings, *(f for f in other.findings if f[1] in addresses)],
        unknown=tuple(u for u in first.unknown if u[1] not in addresses),
        addresses=(*first.addresses, *(a for a in other.addresses if a in addresses)),
        owners={**first.owners, **dict.fromkeys(addresses, other.profile)},
        quiet=(*first.quiet, *(a for a in other.quiet if a in addresses)),
        renamed=(*first.renamed, *(a for a in other.renamed if a in addresses)),
    )


def _of_strangers(group: Group, addresses: Sequence[str], sight: Sight, known: Known) -> list[Outcome]:
    """Of devices that the registry does not have: who could read it."""
    if len(group.candidates) > MAX_TRIED and addresses:  # a trial finds it, when somebody looks
        return [Refused("unknown_device", ", ".join(addresses[:10]), tuple(("", a) for a in addresses))]
    return [attempt(candidate, sight, known, False) for candidate in group.candidates]


def ranked_trials(groups: Sequence[Group], sight: Sight) -> list[tuple[Candidate, Trial]]:
    """Every candidate that decodes: the product that the message names, then the most particular, the
    ones that understand every byte, and those that give most."""
    found: list[tuple[tuple[object, ...], Candidate, Decoded, int]] = []
    asked = [c for g in groups for c in g.candidates]
    for place, candidate in enumerate(asked):
        outcome = attempt(candidate, sight, NOBODY, True)
        if isinstance(outcome, Decoded) and outcome.addresses:
            hint = sight.names(candidate.profile)
            doubt = 2 if outcome.findings else 1 if outcome.unread else 0
            count = len(outcome.readings) + len(outcome.events) + len(outcome.attributes)
            rank = candidate.profile.rank
            key = (-hint, candidate.profile.fallback, doubt, *rank, -count, place)
            found.append((key, candidate, outcome, hint))
    # What a product's own profiles refuse is no message of another one, not even of the same vendor.
    needed = 2 if found and any(sight.names(c.profile) == 2 for c in asked) else 1 if sight.product else 0
    found.sort(key=lambda f: f[0])
    return [(c, Trial(c.profile.id, o, hint == 2, hint < needed)) for _, c, o, hint in found]


def adopted(candidates: Sequence[Candidate], sight: Sight, known: Known) -> Outcome:
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
    # Who finds a frame and what is wrong with it says more than who finds none: several protocols share a topic.
    return min(refused, key=lambda o: (_REFUSALS.index(o.reason), "no frame" in o.detail))
