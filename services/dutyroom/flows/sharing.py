"""Which of the sites a process should own, among others like it. Decides; does nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from dutyroom.model.lease import Owners
from dutyroom.timebase import SECOND, Ms

ROLE = "ingest"
PATIENCE_S = 10.0  # a site that nobody has taken for so long is anybody's, whatever its share
SETTLED: Ms = 15 * SECOND  # a process that has been there for so long is given sites of others


@dataclass(frozen=True, slots=True)
class Share:
    """What to do next: at most one site each."""

    take: str = ""
    release: str = ""


def share(
    sites: Sequence[str], held: Collection[str], owners: Owners, me: str, unowned_s: Mapping[str, float]
) -> Share:
    """Each process takes up to ceil(sites / processes), its own part of the list first, and then what
    stays unowned; what it has beyond its share it gives to one that has joined.

    sites: all that this process may own. unowned_s: for how long each of them has been nobody's.
    """
    peers = sorted({p.name for p in owners.processes if p.role == ROLE and set(sites) & set(p.sites)} | {me})
    free = [s for s in sites if s not in held and owners.owner(s) is None]
    if free:
        part = frozenset(sites[peers.index(me) :: len(peers)])
        free.sort(key=lambda s: s not in part)
        if len(held) < _fair(sites, len(peers)):
            return Share(take=free[0])
        return Share(take=next((s for s in free if unowned_s.get(s, 0.0) >= PATIENCE_S), ""))
    settled = [p for p in owners.processes if p.name in peers and owners.now - p.since >= SETTLED]
    if len(held) > _fair(sites, len({p.name for p in settled} | {me})):
        return Share(release=next(s for s in reversed(sites) if s in held))
    return Share()


def _fair(sites: Sequence[str], processes: int) -> int:
    return -(-len(sites) // processes)
