"""What came and was not taken yet: between the thread of a broker session and the ingest flow."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from dutyroom.backends.mqtt.link import Link, Tokens
from dutyroom.interfaces import Parcel
from dutyroom.model.messages import Messages
from dutyroom.model.telemetry import Message

# Beyond either nothing is read, so the socket and then the broker hold the rest.
MESSAGES = 20_000
BYTES = 64 * 1024 * 1024


@dataclass(slots=True)
class _Run:
    """Messages that came together in one connection, with their packet ids (b"" = QoS 0)."""

    link: Link
    ids: Sequence[bytes]
    messages: Sequence[Message]
    size: int  # bytes
    taken: int = 0


class Waiting:
    """Runs of messages in the order they came. Bounded by number and by bytes as far as whoever puts asks
    for room first: what was read from the socket at once is always taken in.

    changed: shared by the sessions that one flow takes from. urgent: what comes by this one.
    pause_s: how long whoever puts may gather before the next time.
    """

    def __init__(
        self,
        changed: threading.Condition | None = None,
        messages: int = MESSAGES,
        size: int = BYTES,
        urgent: bool = False,
    ) -> None:
        self.changed = changed if changed is not None else threading.Condition()
        self.urgent, self.pause_s = urgent, 0.0
        self.most, self.most_bytes = messages, size
        self.count = self.bytes = 0
        self._runs: deque[_Run] = deque()
        self._closed = False

    @property
    def full(self) -> bool:
        return self.count >= self.most or (self.bytes >= self.most_bytes and self.count > 0)

    def room(self, timeout_s: float | None) -> bool:
        """Waits until it is not full; False = it still is. None = as long as it takes."""
        if not self.full or self._closed:
            return True
        with self.changed:
            return self.changed.wait_for(lambda: self._closed or not self.full, timeout_s)

    def put(self, link: Link, ids: Sequence[bytes], messages: Sequence[Message], size: int) -> None:
        """size: bytes that they take. Never waits."""
        with self.changed:
            if not self._closed:
                self._runs.append(_Run(link, ids, messages, size))
                self.count += len(messages)
                self.bytes += size
                self.changed.notify_all()

    def pop(self, limit: int) -> Parcel:
        """At most `limit`, the oldest; call it with `changed` held."""
        tokens: list[tuple[Link, Sequence[bytes]]] = []
        parts: list[Sequence[Message]] = []
        while self._runs and limit > 0:
            run = self._runs[0]
            begin, end = run.taken, min(run.taken + limit, len(run.messages))
            tokens.append((run.link, run.ids[begin:end]))
            parts.append(run.messages[begin:end])
            self.count -= end - begin
            limit -= end - begin
            run.taken = end
            if end == len(run.messages):
                self._runs.popleft()
                self.bytes -= run.size
        if not parts:
            return Parcel()
        self.changed.notify_all()
        return Parcel(Tokens(tokens), Messages.joined(parts))

    def close(self) -> None:
        """What waits is the broker's again, who delivers it once more; nobody is held up any longer."""
        with self.changed:
            self._closed = True
            self._runs.clear()
            self.count = self.bytes = 0
            self.changed.notify_all()
