"""A topic that no profile reads, as a topic filter: which of its levels may be the device's id."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

DEVICE = "{device}"
_MAX_TOPIC = 500
_LONG = 6  # characters of a name with a digit in it that is no version or floor
# Last levels that say what a message is, not whose.
_WORDS = frozenset(
    ("data", "raw", "up", "uplink", "down", "rx", "tx", "event", "events", "state", "status", "telemetry", "tele",
     "json", "value", "values", "message", "msg", "payload", "report", "reports", "reading", "readings",
     "measurement", "measurements", "sensor", "attributes", "properties", "info", "live", "push", "post", "upload")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """filter: for `match.topics`. device: the level that may be the id. identity: templates, where the message
    does not say itself whose it is."""

    filter: str
    device: str
    identity: tuple[str, ...] = ()


def place_of(topic: str, addresses: Sequence[str] = ()) -> Place | None:
    """addresses: what the message itself calls its devices; then no other level becomes a name.

    None when the topic cannot stand in a filter.
    """
    levels = topic.split("/")
    if not topic.isprintable() or len(topic) > _MAX_TOPIC or re.search(r"[{}+#]", topic):
        return None
    if addresses:
        own = {_plain(address) for address in addresses}
        at = next((n for n, level in enumerate(levels) if _plain(level) in own), None)
        at = _like_an_id(levels) if at is None else at
        if at is None:
            return Place(topic, levels[-1])
    else:
        at = _like_an_id(levels)
        at = _last(levels) if at is None else at
    if not any(level for n, level in enumerate(levels) if n != at):
        return None if not addresses else Place(topic, levels[at])  # a filter for everything is none
    return Place("/".join([*levels[:at], DEVICE, *levels[at + 1 :]]), levels[at])


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower()) or text


def _like_an_id(levels: Sequence[str]) -> int | None:
    """The level with most digits; of equal ones the last."""
    found = [(sum(c.isdigit() for c in level), n) for n, level in enumerate(levels) if _is_like(level)]
    return max(found)[1] if found else None


def _is_like(level: str) -> bool:
    digits = sum(c.isdigit() for c in level)
    return digits >= 2 or (digits == 1 and len(level) >= _LONG)


def _last(levels: Sequence[str]) -> int:
    named = [n for n, level in enumerate(levels) if level and level.lower() not in _WORDS]
    return named[-1] if named else len(levels) - 1
