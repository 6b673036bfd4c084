"""By which line (a broker) a device is heard, and which lines are away while others are there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np

from dutyroom.model.messages import came_by
from dutyroom.model.telemetry import Batch, Quality
from dutyroom.rules.columns import Bools, Slots
from dutyroom.rules.hearing import Hearing
from dutyroom.timebase import Ms


def line_of(session: str) -> str:
    """A broker's name in that of a session there (`client@host:port`); "" = not known."""
    return session.partition("@")[2]


class Lines:
    """away: names of the lines that are; None = one or more, and it is not known which. One that the site has no more is
    none that is there: whose it was is heard by another one, nobody knows which."""

    def __init__(self, hearing: Hearing) -> None:
        self._hearing, self.names = hearing, list[str]()
        self.wanted = False  # whether anybody will ask: of one broker there is nothing to know
        self.every = frozenset[str]()  # those that the site has; empty = any
        self.away: frozenset[str] | None = None
        self._since: dict[str, Ms] = {}  # from when on one is away

    def learn(self, batch: Batch) -> None:
        """By which line those speak who speak in a batch. What did not keep its session changes nothing; what a broker had
        kept may be of before the device came to another one."""
        if not self.wanted or not (sessions := came_by(batch)):
            return
        numbers = {name: self._number(name) for name in dict.fromkeys(map(line_of, sessions))}
        by_message = np.array([numbers[line_of(session)] for session in sessions], np.int16)
        if by_message.max() < 0:
            return
        points, messages = batch.readings.point, batch.readings.message
        fresh = batch.readings.quality != Quality.RETAINED
        if batch.events:
            points = np.concatenate([points, np.array([e.point for e in batch.events], points.dtype)])
            messages = np.concatenate([messages, np.array([e.message for e in batch.events], messages.dtype)])
            fresh = np.concatenate([fresh, np.ones(len(batch.events), np.bool_)])
        places, column = self._hearing.owners(points), self._hearing.devices.line
        known = (places >= 0) & (messages < len(by_message))
        known &= fresh | (column[places] < 0)
        line = by_message[messages[known]]
        column[places[known][line >= 0]] = line[line >= 0]

    def _number(self, name: str) -> int:
        if not name or (self.every and name not in self.every):
            return -1
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name)

    def restore(self, names: Sequence[str]) -> None:
        """Of a snapshot, whose devices the hearing has taken."""
        self.names = list(names)
        if self.every:
            self._hearing.devices.line[self._of(set(names) - self.every)] = -1

    def turn(self, away: Collection[str] | None, now: Ms, deaf: Ms) -> list[tuple[Slots, Ms]]:
        """Which lines are away from now on; returns of each that is there again the places of its devices, and since
        when it was away. deaf: since when any is."""
        before, self.away = self.away, None if away is None else frozenset(away)
        for name in self.names if self.away is None else self.away:
            self._since.setdefault(name, now)
        if self.away is None:
            return []
        back = sorted((frozenset(self.names) if before is None else before) - self.away)
        return [(self._of((name,)), self._since.pop(name, deaf)) for name in back]

    def all_there(self) -> None:
        self.away = None
        self._since.clear()

    def there(self) -> Bools:
        """By place: whether a device is heard by a line that is there, though another one is away."""
        line = self._hearing.devices.line[: self._hearing.devices.size]
        if not self.away:
            return np.zeros(len(line), np.bool_)
        return (line >= 0) & ~np.isin(line, self._numbers(self.away))

    def _numbers(self, names: Iterable[str]) -> list[int]:
        return [self.names.index(name) for name in names if name in self.names]

    def _of(self, names: Iterable[str]) -> Slots:
        line = self._hearing.devices.line[: self._hearing.devices.size]
        return np.flatnonzero(np.isin(line, self._numbers(names)))

    def reaches(self, places: Collection[int]) -> bool | None:
        """Whether what these devices say comes to us: by lines that are there. None = not known of one of them."""
        if not self.away:
            return None
        numbers = set(self._hearing.devices.line[list(places)].tolist())
        if not numbers.isdisjoint(self._numbers(self.away)):
            return False
        return None if -1 in numbers or not numbers else True
