"""How long rules that learn still lack history: told where people look at the device, by whatever process shows it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from dutyroom.interfaces import Tx
from dutyroom.rules.engine import Engine
from dutyroom.timebase import MINUTE, Ms

_BLOB = "watch.learning"
AGAIN: Ms = 10 * MINUTE  # it takes two weeks: nobody waits for it by the minute


class Learning:
    """Keeps beside the rules' state from when on each will judge; for the thread that watches."""

    def __init__(self, site: str) -> None:
        self._site = site
        self._at: Ms | None = None
        self._kept = b""

    def changed(self) -> None:
        """Other rules or devices: what has changed begins to learn anew."""
        self._at = None

    def keep(self, tx: Tx, engine: Engine, now: Ms) -> None:
        """Writes what there is to say, where it is another than before."""
        if self._at is not None and abs(now - self._at) < AGAIN:
            return
        self._at, data = now, msgspec.msgpack.encode(learning(engine, now), order="sorted")
        if data != self._kept:
            tx.put_blob(self._site, _BLOB, data)
            self._kept = data


def learning(engine: Engine, now: Ms) -> dict[str, dict[str, Ms]]:
    """Device -> rule -> from when on it judges, of those that have begun to learn and have not done yet."""
    found: dict[str, dict[str, Ms]] = {}
    for (rule, device), ready in engine.learning(now):
        found.setdefault(device, {})[rule] = ready
    return found


def learning_of(tx: Tx, site: str, device: str, now: Ms) -> Mapping[str, Ms]:
    """Rule -> from when on it judges this device; {} = nothing learns, or nothing is known of it."""
    data = tx.blob(site, _BLOB)
    if not data:
        return {}
    kept = msgspec.msgpack.decode(data, type=dict[str, dict[str, Ms]])
    return {rule: ready for rule, ready in kept.get(device, {}).items() if ready > now}
