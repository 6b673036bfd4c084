"""Addresses that are heard and are not ours: the neighbours' radio meters. Their messages are ignored."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace as with_others

from dutyroom.errors import Rejected, Unavailable
from dutyroom.interfaces import Records, Tx
from dutyroom.profiles.attempt import Outcome
from dutyroom.profiles.result import Decoded, Ignored, Refused
from dutyroom.timebase import Ms

REASON = "not_ours"
MOST = 20_000  # addresses
_BLOB = "not_ours"
_BACK = "not_ours_back"  # addresses taken back whose messages are still to be looked for


@dataclass(frozen=True, slots=True)
class Mark:
    """Who said it of an address, and when."""

    address: str
    at: Ms
    actor: str


class NotOurs:
    """The marked addresses of a site, kept with its records. Used from any thread."""

    def __init__(self, site: str, records: Records) -> None:
        self._site, self._records = site, records
        with records.read() as tx:
            self._marks = self._read(tx)
        self._news = True  # there may be addresses that were taken back

    @property
    def addresses(self) -> Collection[str]:
        return self._marks.keys()

    @property
    def marks(self) -> list[Mark]:
        """The newest first."""
        return sorted(self._marks.values(), key=lambda m: (-m.at, m.address))

    def mark(self, address: str, actor: str, now: Ms) -> None:
        """Raises Rejected when there are too many, Unavailable when it cannot be stored."""

        def add(marks: dict[str, Mark]) -> None:
            if len(marks) >= MOST:
                raise Rejected("error.too_many_not_ours", {"count": str(MOST)})
            marks[address] = Mark(address, now, actor)

        if address not in self._marks:
            self._change(add, "device.not_ours", address, actor, now)

    def take_back(self, address: str, actor: str, now: Ms) -> None:
        """Raises Rejected when the address is not marked."""

        def remove(marks: dict[str, Mark]) -> None:
            if marks.pop(address, None) is None:
                raise Rejected("error.not_marked", {"address": address})

        self._change(remove, "device.not_ours_back", address, actor, now)

    def returned(self) -> Collection[str]:
        """Addresses taken back whose messages are still to be looked for, also before we were here. Raises Unavailable."""
        if not self._news:
            return ()
        self._news = False  # first: more may be taken back meanwhile
        try:
            with self._records.read() as tx:
                return self._back(tx)
        except Unavailable:
            self._news = True
            raise

    def recalled(self, addresses: Collection[str]) -> None:
        """Their messages have been found."""
        with self._records.write() as tx:
            left = [address for address in self._back(tx) if address not in addresses]
            tx.put_blob(self._site, _BACK, msgspec.json.encode(left))
        self._news = bool(left)

    def reread(self) -> bool:
        """Takes what another process has marked; returns whether that is something else than was known."""
        with self._records.read() as tx:
            before, self._marks = self._marks, self._read(tx)
        self._news = True
        return before.keys() != self._marks.keys()

    def _change(
        self, how: Callable[[dict[str, Mark]], None], action: str, address: str, actor: str, now: Ms
    ) -> None:
        with self._records.write() as tx:
            marks = self._read(tx)
            before = frozenset(marks)
            how(marks)
            back = [*self._back(tx), *sorted(before - marks.keys())]
            tx.put_blob(self._site, _BACK, msgspec.json.encode([a for a in back if a not in marks]))
            tx.put_blob(self._site, _BLOB, msgspec.json.encode(list(marks.values())))
            tx.audit(self._site, now, actor, action, address)
            tx.change(self._site, now, "device", "")
        self._marks, self._news = marks, True

    def _back(self, tx: Tx) -> list[str]:
        data = tx.blob(self._site, _BACK)
        return msgspec.json.decode(data, type=list[str]) if data else []

    def _read(self, tx: Tx) -> dict[str, Mark]:
        data = tx.blob(self._site, _BLOB)
        marks = msgspec.json.decode(data, type=list[Mark]) if data else []
        return {mark.address: mark for mark in marks}


def without(outcome: Outcome, foreign: Collection[str]) -> Outcome:
    """What is left of a message when nothing is said of these addresses, as far as nobody registered them."""
    if not foreign or isinstance(outcome, Ignored):
        return outcome
    if isinstance(outcome, Decoded):
        if not outcome.unknown:
            return outcome
        left_out = tuple(address for _, address in outcome.unknown if address in foreign)
        kept = tuple(u for u in outcome.unknown if u[1] not in foreign)
        return with_others(outcome, unknown=kept, foreign=left_out) if left_out else outcome
    left = tuple(c for c in outcome.candidates if c[1] not in foreign)
    if len(left) == len(outcome.candidates):
        return outcome
    if not left:
        return Ignored(outcome.candidates[0][0], REASON)
    names = dict.fromkeys(address for _, address in left)
    return Refused(outcome.reason, ", ".join(list(names)[:10]), left)
