"""The ways out: messages to people, a loop that is woken. See `dutyroom.interfaces`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Channel(Protocol):
    """A way to tell a person something."""

    def send(self, url: str, title: str, body: str) -> None:
        """Raises Unavailable (try again) or Rejected (a wrong URL)."""
        ...


Wake = Callable[[], None]
