"""What was ignored while an address was not ours is looked for in the journal when it is taken back.

The journal keeps raw messages for some days, those that were passed over among them. What is of an
address that is ours again goes into quarantine, and is read from there like all that waits for a device.
In chunks between the messages that come. A pass that was broken off begins anew: nothing is taken twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from dutyroom.flows.ingest import Ingest
from dutyroom.flows.notours import REASON
from dutyroom.interfaces import Journal
from dutyroom.model.telemetry import Batch, Lane, MessageRecord, Outcome

BATCHES = 16  # looked at in one step
_UNKNOWN = "unknown_device"


class Recall:
    """For the thread that ingests. Raises Unavailable: call again."""

    def __init__(self, journal: Journal, ingest: Ingest, batches: int = BATCHES) -> None:
        self._journal, self._ingest, self._batches = journal, ingest, batches
        self._back: frozenset[str] = frozenset()
        # Lane, looked at up to, last of the pass; None = what is in quarantine comes first.
        self._left: list[tuple[Lane, int, int]] | None = None

    @property
    def busy(self) -> bool:
        return bool(self._back)

    def step(self) -> bool:
        """One chunk; True = what waits is to be looked at again."""
        if not self._back:
            self._back = frozenset(self._ingest.not_ours.returned())
            return False
        if self._left is None:
            foreign = self._ingest.foreign(self._ingest.not_ours.addresses)
            self._journal.reopen(self._back, frozenset(foreign))
            self._left = [(lane, 0, self._journal.last(lane)) for lane in Lane]
            return True  # of what waits for others of its message, too: the list of strangers is to name them
        if self._left:
            return self._chunk(self._left) > 0
        self._ingest.not_ours.recalled(self._back)
        self._back, self._left = frozenset(), None
        return False

    def _chunk(self, left: list[tuple[Lane, int, int]]) -> int:
        lane, after, last = left[0]
        found = [(seq, batch) for seq, batch in self._journal.read(lane, after, self._batches) if seq <= last]
        many = self._journal.recall(list(self._of(found)))
        if len(found) == self._batches:
            left[0] = lane, found[-1][0], last
        else:
            del left[0]
        return many

    def _of(self, batches: Iterable[tuple[int, Batch]]) -> Iterator[tuple[int, int, MessageRecord]]:
        """With where it stands, see `Journal.recall`. What was read again, too: what of a message that waited is not
        ours waits no longer."""
        for seq, batch in batches:
            for place, record in enumerate(batch.messages):
                if record.reason == REASON and (mine := self._mine(record, batch.again)) is not None:
                    yield seq, place, mine

    def _mine(self, record: MessageRecord, again: bool) -> MessageRecord | None:
        named: Collection[str] = self._ingest.named(record.message)
        unread = tuple(sorted(self._back & set(named)))
        if not unread:
            return None
        if again or record.outcome is Outcome.DECODED:  # the rest of it was read
            return MessageRecord(record.message, record.outcome, unread=unread)
        detail = ", ".join(unread[:10])
        return MessageRecord(
            record.message, Outcome.QUARANTINED, reason=_UNKNOWN, detail=detail, unread=unread
        )
