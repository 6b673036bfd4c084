"""What has changed since somebody looked last: names in, the newest of them out."""

from __future__ import annotations

import threading
from collections import deque


class Changes:
    """The names of what changed, the newest `most`. Thread-safe."""

    def __init__(self, most: int = 10_000) -> None:
        self._names: deque[str] = deque(maxlen=most)
        self._lock = threading.Lock()
        self.version = 0

    def tell(self, name: str) -> None:
        with self._lock:
            self._names.append(name)
            self.version += 1

    def since(self, version: int) -> tuple[int, set[str] | None]:
        """The version now, and what changed after `version`; None = more than is remembered."""
        with self._lock:
            count = self.version - version
            if count > len(self._names):
                return self.version, None
            return self.version, set(list(self._names)[len(self._names) - count :]) if count else set()
