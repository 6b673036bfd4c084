"""One connection of a session, as long as it lasts: what an acknowledgement must belong to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, groupby
from operator import attrgetter, itemgetter
from typing import cast, overload

import msgspec


class Link:
    """From the attempt to connect to its end. After that the broker delivers again, and an acknowledgement
    would be of something else."""

    __slots__ = ("_alive", "_send", "_turn")

    def __init__(self, send: Callable[[Sequence[bytes]], None]) -> None:
        """send: hands acknowledgements of these packet ids (two bytes each) to the connection."""
        self._send, self._alive = send, True
        # Between an acknowledgement and the end; whoever sends may find that it has ended.
        self._turn = threading.RLock()

    def acknowledge(self, ids: Sequence[bytes]) -> None:
        """In this order, all at once."""
        with self._turn:
            if self._alive and ids:
                self._send(ids)

    def end(self) -> None:
        with self._turn:
            self._alive = False


class Token(msgspec.Struct, gc=False):
    """A message's connection and its packet id as it came, b"" = QoS 0. Unknown to the search for garbage, which
    would go over tens of thousands of them a second: pairs in tuples cost three times as much."""

    link: Link
    ident: bytes


class Tokens(Sequence[Token]):
    """Of messages that were taken at once: runs of one connection. A `Token` is made where one is asked for."""

    __slots__ = ("runs",)

    def __init__(self, runs: Sequence[tuple[Link, Sequence[bytes]]] = ()) -> None:
        self.runs = runs

    def __len__(self) -> int:
        return sum(len(ids) for _, ids in self.runs)

    def __iter__(self) -> Iterator[Token]:
        return (Token(link, ident) for link, ids in self.runs for ident in ids)

    @overload
    def __getitem__(self, place: int) -> Token: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Token]: ...

    def __getitem__(self, place: int | slice) -> Token | Sequence[Token]:
        if not isinstance(place, slice):
            return list(self)[place]
        start, stop, step = place.indices(len(self))
        if (start, step) == (0, 1) and stop == len(self):
            return self
        return self._cut(start, stop) if step == 1 else list(self)[place]

    def _cut(self, start: int, stop: int) -> Tokens:
        found, before = [], 0
        for link, ids in self.runs:
            part = ids[max(0, start - before) : max(0, stop - before)]
            before += len(ids)
            if part:
                found.append((link, part))
        return Tokens(found)


_link_of = attrgetter("link")


def acknowledge(tokens: Sequence[object]) -> None:
    """Each connection's in one piece and in order; those of an ended one are dropped."""
    if isinstance(tokens, Tokens):
        for link, runs in groupby(tokens.runs, itemgetter(0)):
            link.acknowledge(list(filter(None, chain.from_iterable(ids for _, ids in runs))))
        return
    ours = cast("Sequence[Token]", tokens)
    for link, group in groupby(ours, _link_of):
        link.acknowledge([token.ident for token in group if token.ident])
