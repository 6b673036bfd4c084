"""How many names of fields that no point names all layouts may remember together: the names come from devices, and a
site has hundreds of layouts.
"""

from __future__ import annotations

from typing import Final, Protocol
from weakref import WeakSet

MAX_TOGETHER: Final = 50_000  # of all layouts, a kilobyte each


class Holder(Protocol):
    """One that remembers names."""

    @property
    def remembered(self) -> int:
        """How many."""
        ...

    def forget(self) -> None:
        """All of them; those in use come again."""
        ...


class Together:
    """Has all holders forget when they remember too much together."""

    def __init__(self, most: int = MAX_TOGETHER) -> None:
        self._most, self._fresh = most, 0
        self._holders: WeakSet[Holder] = WeakSet()

    def join(self, holder: Holder) -> None:
        self._holders.add(holder)

    def one_more(self) -> None:
        """To be told of each name that a holder remembers anew."""
        self._fresh += 1
        if self._fresh > self._most:  # since it was counted last, some have been forgotten
            self._fresh = sum(holder.remembered for holder in self._holders)
            if self._fresh > self._most:
                for holder in list(self._holders):
                    holder.forget()
                self._fresh = 0


ALL: Final = Together()
