"""One connection of a session, as long as it lasts: what an acknowledgement must belong to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import cast

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


_link_of = attrgetter("link")


def acknowledge(tokens: Sequence[object]) -> None:
    """Each connection's in one piece and in order; those of an ended one are dropped."""
    ours = cast("Sequence[Token]", tokens)
    for link, group in groupby(ours, _link_of):
        link.acknowledge([token.ident for token in group if token.ident])
