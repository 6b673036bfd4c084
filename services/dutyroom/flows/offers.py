"""For a topic that no profile reads: profiles that could read it, each with the file that makes it so."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from dutyroom.errors import Rejected
from dutyroom.interfaces import QuarantineRow
from dutyroom.model.telemetry import Message
from dutyroom.profiles.decode import Library
from dutyroom.profiles.elsewhere import BUDGET_S
from dutyroom.profiles.places import DEVICE, Place
from dutyroom.profiles.proposal import Build, Proposal, propose
from dutyroom.profiles.result import Trial
from dutyroom.profiles.topics import TopicTrie, parse_filter

OFFERS = 3  # of one topic
_TRIED = 8


@dataclass(frozen=True, slots=True)
class Offer:
    """What the profile makes of the newest message, and how it would come to read it."""

    trial: Trial
    proposal: Proposal


def offers(
    library: Library, build: Build, row: QuarantineRow, budget_s: float = BUDGET_S
) -> tuple[tuple[Offer, ...], bool]:
    """The best first; and whether every profile was tried within the time."""
    message, until = message_of(row), time.monotonic() + budget_s
    found, done = library.elsewhere(message, _TRIED, budget_s)
    made: list[Offer] = []
    for other in found:
        if len(made) == OFFERS:
            break
        if time.monotonic() > until:
            return tuple(made), False
        base = library.profiles[other.trial.profile]
        proposal = propose(base, other.place, message, library.profiles, build, library.tz)
        if proposal is not None:
            made.append(Offer(other.trial, proposal))
    return tuple(made), done


def message_of(row: QuarantineRow) -> Message:
    return Message(row.topic, row.payload, row.received_at, row.retained)


def by_hand(
    library: Library, build: Build, rows: Iterable[QuarantineRow], profile: str, listen: str, address: str
) -> Proposal:
    """The same for a topic filter that a person writes, and a device that is to be found there.

    rows: the newest messages of topics that nobody reads. Raises Rejected.
    """
    if profile not in library.profiles:
        raise Rejected("error.no_profile", {"profile": profile})
    there = on(listen, rows)
    if not there:
        raise Rejected("error.topic_silent", {"topic": listen})
    heard: list[str] = []
    for row in there:
        for identity in _identities(listen):
            place = Place(listen, "", identity)
            base = library.profiles[profile]
            found = propose(base, place, message_of(row), library.profiles, build, library.tz)
            if found is not None and address in found.addresses:
                return found
            heard += found.addresses if found is not None else ()
    if heard:
        said = ", ".join(dict.fromkeys(heard[:10]))
        raise Rejected("error.topic_of_others", {"topic": listen, "address": address, "heard": said})
    raise Rejected("error.topic_unread", {"topic": listen, "profile": profile})


def on(listen: str, rows: Iterable[QuarantineRow]) -> Sequence[QuarantineRow]:
    """The messages on the topics of a filter. Raises Rejected for a filter that cannot be read."""
    trie: TopicTrie[bool] = TopicTrie()
    trie.add(parse_filter(listen), True)
    return [row for row in rows if trie.match(row.topic)]


def _identities(listen: str) -> Collection[tuple[str, ...]]:
    """What the profile says itself; or the level that is named for it."""
    names = parse_filter(listen).names
    if "device" in names:
        return ((), (DEVICE,))
    return ((), *(("{" + name + "}",) for name in names if len(names) == 1))
