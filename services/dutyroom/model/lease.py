"""Who owns a site at present, and which processes there are. Times are the database's, not a process's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dutyroom.timebase import Ms


@dataclass(frozen=True, slots=True)
class Lease:
    """One process owns a site until `expires_at`, unless it renews.

    token: rises with every owner; a commit with an older one is refused. said: how the owner is (JSON).
    """

    site: str
    owner: str
    token: int
    taken_at: Ms
    expires_at: Ms
    said: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Process:
    """A process that is alive until `expires_at`, unless it says so again. sites: those that it may own."""

    name: str
    role: str  # ingest | serve
    sites: tuple[str, ...]
    since: Ms
    expires_at: Ms


@dataclass(frozen=True, slots=True)
class Owners:
    """What the database says at one moment, by its own clock."""

    now: Ms
    leases: Mapping[str, Lease]  # by site, also those that have expired
    processes: tuple[Process, ...]  # that are alive

    def owner(self, site: str) -> Lease | None:
        """The lease that holds, None = nobody owns the site."""
        found = self.leases.get(site)
        return found if found is not None and found.expires_at > self.now else None
