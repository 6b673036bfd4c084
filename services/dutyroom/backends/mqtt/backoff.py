"""How long to wait before the next try to connect: longer each time, and never all at once."""

from __future__ import annotations

from random import Random

FIRST_S, MOST_S = 1.0, 30.0
HELD_S = 10.0  # a connection that lasted so long was a good one

# Its own: who seeds the common one, as simulations and tests do, must not bring all connections into step.
_chances = Random()


def pause(failures: int, chance: float) -> float:
    """Seconds before the next try after so many failures in a row (0: a good connection ended).

    chance: 0 to 1. The half of the pause that it decides keeps thousands that were cut off together
    from coming back together.
    """
    most: float = min(MOST_S, FIRST_S * 2 ** min(failures, 10))
    return most * (0.5 + 0.5 * chance)


def some_chance() -> float:
    """0 to 1, for `pause`."""
    return _chances.random()


class Backoff:
    """Counts failures in a row. Times in seconds of any steady clock."""

    def __init__(self) -> None:
        self.failures = 0
        self.short = 0  # connections in a row that ended soon after they were good
        self._since: float | None = None

    def connected(self, now: float) -> None:
        self._since = now

    def lost(self, now: float) -> float:
        """Seconds until the next try. A connection that ended at once, as where two have one client id,
        counts as a failure."""
        good = self._since is not None and now - self._since >= HELD_S
        self.failures = 0 if good else self.failures + 1
        self.short = 0 if good or self._since is None else self.short + 1
        self._since = None
        return pause(self.failures, some_chance())
