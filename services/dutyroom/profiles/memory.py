"""What codecs remember from message to message, by codec: Sparkplug B's births, formats of wM-Bus telegrams.

Lives as long as the site: it is stored before a message that changed it is acknowledged.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import MutableMapping

import msgspec

MAX_KEPT = 64 * 1024 * 1024  # bytes stored


class _Kept(dict[str, bytes]):
    """Knows when it must be stored. A key that begins with "." may be lost: it changes with every message."""

    def __init__(self, owner: Memory, data: dict[str, bytes]) -> None:
        super().__init__(data)
        self._owner = owner

    def __setitem__(self, key: str, value: bytes) -> None:
        if not key.startswith(".") and self.get(key) != value:
            self._owner.changed = True
        super().__setitem__(key, value)

    def pop(self, key: str, *default: bytes) -> bytes:  # type: ignore[override]
        if key in self and not key.startswith("."):
            self._owner.changed = True
        return super().pop(key, *default)


class Memory:
    """changed: something must be stored."""

    def __init__(self, data: bytes | None = None) -> None:
        """data: as `packed` gave it; what cannot be read is forgotten: births come again."""
        self.changed = False
        try:
            found = msgspec.msgpack.decode(data, type=dict[str, dict[str, bytes]]) if data else {}
        except msgspec.DecodeError:
            found = {}
        self._codecs = {name: _Kept(self, kept) for name, kept in found.items()}

    def of(self, codec: str) -> MutableMapping[str, bytes]:
        kept = self._codecs.get(codec)
        if kept is None:
            kept = self._codecs[codec] = _Kept(self, {})
        return kept

    def aside(self) -> Aside:
        """The same for a trial: what it would remember is forgotten."""
        return Aside(self)

    def packed(self) -> bytes:
        data = msgspec.msgpack.encode(self._codecs)
        return data if len(data) <= MAX_KEPT else msgspec.msgpack.encode({})


class Aside(Memory):
    """Reads another memory and writes to nowhere."""

    def __init__(self, other: Memory) -> None:
        super().__init__()
        self._other = other

    def of(self, codec: str) -> MutableMapping[str, bytes]:
        return ChainMap({}, self._other.of(codec))
