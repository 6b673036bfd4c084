"""Planned outages and fire tests as people announce them: each action one transaction with its audit row.

A refusal is a Conflict whose reason is a message key, as of the desk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dutyroom import tickets
from dutyroom.errors import Conflict, Rejected
from dutyroom.interfaces import Records, Tx
from dutyroom.model.announced import Announced, Announcement
from dutyroom.model.duty import Priority, TicketKind
from dutyroom.timebase import DAY, HOUR, Clock, Ms

UTILITIES = ("power", "water", "network")
LONGEST: dict[Announced, Ms] = {Announced.OUTAGE: 14 * DAY, Announced.FIRE_TEST: 12 * HOUR}


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks for. begins: None = now."""

    kind: Announced
    ends: Ms
    reason: str
    begins: Ms | None = None
    utility: str = ""
    devices: Sequence[str] = ()
    spaces: Sequence[str] = ()


class AnnouncingDesk:
    """The announcements of one installation. Thread-safe. Every action raises Conflict for what cannot be,
    Rejected for what does not exist, Unavailable when nothing was decided."""

    def __init__(self, records: Records, clock: Clock) -> None:
        self._records, self._clock = records, clock

    def announce(self, site: str, actor: str, wish: Wish) -> Announcement:
        """A planned outage, or a fire test that begins now; a test has a ticket from its begin."""
        with self._records.write() as tx:
            now = self._clock.now()
            begins = check(tx, site, wish, now)
            stored = tx.announcements.insert(
                Announcement(
                    0, site, wish.kind, begins, wish.ends, wish.reason.strip(), actor, now,
                    wish.utility, tuple(wish.devices), tuple(wish.spaces),
                )
            )  # fmt: skip
            if wish.kind is Announced.FIRE_TEST:
                stored = _with_ticket(tx, stored, now, actor)
            _log(tx, stored, now, actor, str(wish.kind), stored.reason)
            return stored

    def move_end(self, site: str, announcement: int, actor: str, ends: Ms, reason: str) -> Announcement:
        """Prolonged or cut short; `ends` must lie ahead."""
        with self._records.write() as tx:
            now, found = self._clock.now(), _running(tx, site, announcement, self._clock.now())
            if not reason.strip():
                raise Conflict("conflict.reason")
            if not max(now, found.begins) < ends <= max(now, found.begins) + LONGEST[found.kind]:
                raise Conflict("conflict.announced_end")
            return _change(tx, replace(found, ends=ends), now, actor, "moved", reason)

    def cancel(self, site: str, announcement: int, actor: str, reason: str) -> Announcement:
        """Over now; what it covered and still stands is told at once."""
        with self._records.write() as tx:
            now, found = self._clock.now(), _running(tx, site, announcement, self._clock.now())
            if not reason.strip():
                raise Conflict("conflict.reason")
            after = replace(found, cancelled_at=now, cancelled_by=actor)
            return _change(tx, after, now, actor, "cancelled", reason)


def check(tx: Tx, site: str, wish: Wish, now: Ms) -> Ms:
    """When it would begin. Raises Conflict or Rejected (a message key) where it cannot be announced."""
    begins = now if wish.begins is None or wish.kind is Announced.FIRE_TEST else wish.begins
    _check(wish, begins, now)
    _known(tx, site, wish)
    return begins


def _check(wish: Wish, begins: Ms, now: Ms) -> None:
    if not wish.reason.strip():
        raise Conflict("conflict.reason")
    if wish.utility not in ("", *UTILITIES):
        raise Rejected("error.no_utility", {"utility": wish.utility})
    if not max(now, begins) < wish.ends <= begins + LONGEST[wish.kind]:
        raise Conflict("conflict.announced_end")
    anywhere = not wish.devices and not wish.spaces
    if wish.kind is Announced.OUTAGE and anywhere and not wish.utility:
        raise Conflict("conflict.announced_place")  # all alarms of a whole site are no outage


def _known(tx: Tx, site: str, wish: Wish) -> None:
    devices = {device.id: device for device in tx.devices.all(site)}
    for name in wish.devices:
        if name not in devices:
            raise Rejected("error.no_device", {"device": name})
    for space in wish.spaces:
        if not any(d.space == space or d.space.startswith(f"{space}/") for d in devices.values()):
            raise Rejected("error.no_space", {"space": space})


def _with_ticket(tx: Tx, announcement: Announcement, now: Ms, actor: str) -> Announcement:
    ticket = tx.tickets.insert(
        tickets.fresh(
            announcement.site,
            TicketKind.ALARM,
            Priority.LOW,
            "ticket.fire_test",
            {"reason": announcement.reason},
            f"test|{announcement.id}",
            now,
            object=announcement.devices[0] if len(announcement.devices) == 1 else "",
            space=announcement.spaces[0] if len(announcement.spaces) == 1 else "",
        )
    )
    tx.tickets.log(tickets.opening(ticket, now, actor, announcement.reason))
    tx.change(announcement.site, now, "ticket", str(ticket.id))
    after = replace(announcement, ticket=ticket.id)
    tx.announcements.update(after)
    return after


def _running(tx: Tx, site: str, announcement: int, now: Ms) -> Announcement:
    found = tx.announcements.get(site, announcement)
    if found is None:
        raise Rejected("error.no_announcement")
    if found.over(now):
        raise Conflict("conflict.announced_over")
    return found


def _change(tx: Tx, after: Announcement, now: Ms, actor: str, what: str, reason: str) -> Announcement:
    tx.announcements.update(after)
    _log(tx, after, now, actor, what, reason)
    return after


def _log(tx: Tx, announcement: Announcement, now: Ms, actor: str, what: str, reason: str) -> None:
    tx.audit(announcement.site, now, actor, f"announcement.{what}", str(announcement.id), reason)
    tx.change(announcement.site, now, "announcement", str(announcement.id))
