"""What a broker hands over. See `dutyroom.interfaces`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from dutyroom.model.telemetry import Message


class Inbound(Protocol):
    """A broker session: hands over what came, acknowledges what is durable, in order."""

    def take(self, timeout_s: float, limit: int) -> Sequence[tuple[object, Message]]:
        """(token, Message) pairs that came within the coalescing time; may be empty."""
        ...

    def acknowledge(self, tokens: Sequence[object]) -> None:
        """Called after the batch is committed; tokens in the order they were taken."""
        ...
