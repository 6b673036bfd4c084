"""Properties of an MQTT 5 PUBLISH: passed over, but for the topic alias. MQTT 5.0 sections 2.2.2 and 3.3.2.3."""

from __future__ import annotations

MOST_ALIASES = 1024  # that we let a broker use

_UTF8, _BINARY, _PAIR, _VARIABLE = 3, 4, 5, 6
_FORMAT, _EXPIRY, _SUBSCRIPTION, _ALIAS = 1, 2, 11, 35
_KINDS = {3: _UTF8, 8: _UTF8, 9: _BINARY, 38: _PAIR, _SUBSCRIPTION: _VARIABLE}
_ONCE = frozenset((_FORMAT, _EXPIRY, 3, 8, 9, _ALIAS))


class BrokenStream(Exception):
    """The broker breaks the protocol; the connection cannot go on."""


class Aliases:
    """Topic aliases of one connection, by their number."""

    def __init__(self) -> None:
        self._topics: dict[int, str] = {}

    def resolve(self, topic: str, alias: int) -> str:
        """The topic of a PUBLISH with an alias. Raises BrokenStream for one that was never given."""
        if alias > MOST_ALIASES:
            raise BrokenStream(f"topic alias {alias}; we allow {MOST_ALIASES}")
        if topic:
            self._topics[alias] = topic
            return topic
        try:
            return self._topics[alias]
        except KeyError:
            raise BrokenStream(f"topic alias {alias} was never given a topic") from None

    def clear(self) -> None:
        """A new connection has none."""
        self._topics.clear()


def read_properties(data: bytes, pos: int, stop: int) -> tuple[int, int] | None:
    """Where the payload begins, and the topic alias (0 = none), of properties whose length stands at `pos`.

    None: anything that is not surely right, which is then left to paho.
    """
    length, pos = _variable(data, pos, stop)
    end = pos + length
    if length < 0 or end > stop:
        return None
    alias = 0
    seen: set[int] = set()
    while pos < end:
        kind = data[pos]
        if kind in seen:
            return None
        if kind in _ONCE:
            seen.add(kind)
        behind = _behind(data, kind, pos + 1, end)
        if behind < 0 or behind > end:
            return None
        if kind == _ALIAS:
            alias = data[pos + 1] << 8 | data[pos + 2]
            if not alias:
                return None
        pos = behind
    return end, alias


def _behind(data: bytes, kind: int, pos: int, end: int) -> int:
    """Where the value at `pos` ends, -1 = it is wrong or unknown. May lie beyond `end`."""
    if kind == _EXPIRY:
        return pos + 4
    if kind == _ALIAS:
        return pos + 2
    if kind == _FORMAT:
        return pos + 1 if pos < end and data[pos] < 2 else -1
    match _KINDS.get(kind):
        case 3:
            return _text(data, pos, end)
        case 4:
            return pos + 2 + (data[pos] << 8 | data[pos + 1]) if pos + 2 <= end else -1
        case 5:
            value = _text(data, pos, end)
            return _text(data, value, end) if value >= 0 else -1
        case 6:
            value, behind = _variable(data, pos, end)
            return behind if value > 0 else -1
    return -1


def _text(data: bytes, pos: int, end: int) -> int:
    if pos + 2 > end:
        return -1
    behind = pos + 2 + (data[pos] << 8 | data[pos + 1])
    if behind > end:
        return -1
    try:
        text = data[pos + 2 : behind].decode()
    except UnicodeDecodeError:
        return -1
    return -1 if "\0" in text or "\ufeff" in text else behind


def _variable(data: bytes, pos: int, stop: int) -> tuple[int, int]:
    """A variable byte integer and where it ends; -1 = none stands there."""
    value = 0
    for place in range(4):
        if pos >= stop:
            return -1, pos
        byte = data[pos]
        pos += 1
        value |= (byte & 127) << (7 * place)
        if byte < 128:
            return value, pos
    return -1, pos
