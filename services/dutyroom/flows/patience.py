"""Who was tried in vain is tried again after 1, 2, 4 ... 64 of its messages.

Whether an unknown device may be adopted is asked of every profile of its topic: some tens of milliseconds for
the bytes of an uplink that say nothing of their product. A device that says it in its next message is not kept waiting;
one that never does costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Hashable

LONGEST = 64  # messages
MOST = 10_000  # senders that are remembered


class Patience:
    """Not thread-safe. Bounded: who was noted longest ago is forgotten, and tried again."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._waits: dict[Hashable, tuple[int, int]] = {}  # messages to leave out, and how many it were

    def rests(self, sender: Hashable) -> bool:
        """Whether a message of this sender is not worth a trial; it counts as one of those left out."""
        left, span = self._waits.get(sender, (0, 0))
        if left:
            self._waits[sender] = left - 1, span
        return left > 0

    def tried(self, sender: Hashable) -> None:
        """In vain."""
        _, span = self._waits.pop(sender, (0, 0))
        span = min(LONGEST, max(1, 2 * span))
        self._waits[sender] = span, span
        if len(self._waits) > self._most:
            del self._waits[next(iter(self._waits))]

    def forget(self) -> None:
        """Other profiles may see it otherwise."""
        self._waits.clear()
