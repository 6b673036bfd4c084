"""What a broker hands over. See `dutyroom.interfaces`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, overload

from dutyroom.model.telemetry import Message


class Parcel(Sequence[tuple[object, Message]]):
    """Messages that were taken at once and their tokens: pairs for whoever wants pairs, two columns for those who
    handle thousands."""

    __slots__ = ("messages", "tokens")

    def __init__(self, tokens: Sequence[object] = (), messages: Sequence[Message] = ()) -> None:
        self.tokens, self.messages = tokens, messages

    @staticmethod
    def of(taken: Sequence[tuple[object, Message]]) -> Parcel:
        """The same."""
        if isinstance(taken, Parcel):
            return taken
        return Parcel([token for token, _ in taken], [message for _, message in taken])

    def __len__(self) -> int:
        return len(self.messages)

    @overload
    def __getitem__(self, place: int) -> tuple[object, Message]: ...

    @overload
    def __getitem__(self, place: slice) -> Parcel: ...

    def __getitem__(self, place: int | slice) -> tuple[object, Message] | Parcel:
        if isinstance(place, slice):
            return Parcel(self.tokens[place], self.messages[place])
        return self.tokens[place], self.messages[place]

    def __iter__(self) -> Iterator[tuple[object, Message]]:
        return zip(self.tokens, self.messages, strict=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


class Inbound(Protocol):
    """A broker session: hands over what came, acknowledges what is durable, in order."""

    def take(self, timeout_s: float, limit: int) -> Sequence[tuple[object, Message]]:
        """(token, Message) pairs that came within the coalescing time; may be empty."""
        ...

    def acknowledge(self, tokens: Sequence[object]) -> None:
        """Called after the batch is committed; tokens in the order they were taken."""
        ...
