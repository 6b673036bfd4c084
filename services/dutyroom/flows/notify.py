"""Messages to people: a row in the outbox first, then sent, tried again, or given up where all see it.

A row is claimed before it is sent, so that two runners never send it both; a runner that dies
after the claim leaves a row that falls due again.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from enum import StrEnum
from typing import TypeAlias
from urllib.parse import parse_qsl, unquote

import structlog

from dutyroom.errors import DutyroomError, Rejected, Unavailable
from dutyroom.interfaces import Channel, Records
from dutyroom.model.duty import Arguments, OutboxRow, OutboxState, Person
from dutyroom.timebase import HOUR, MINUTE, SECOND, Clock, Ms

log = structlog.get_logger(__name__)

# (site, key, arguments, language; "" = the site's) -> (title, body)
Render: TypeAlias = Callable[[str, str, Arguments, str], tuple[str, str]]

MAX_ATTEMPTS = 8
_FIRST_WAIT: Ms = 30 * SECOND
_LONGEST_WAIT: Ms = 30 * MINUTE
_CLAIM: Ms = 3 * MINUTE  # longer than any channel takes to answer or give up
MAX_AGE: Ms = 12 * HOUR  # nobody wants a night's alarms in the morning, one by one
_SECRET = 4  # characters of an address that may be one
_RUNNERS = 8  # one server that hangs must not keep the other messages waiting


class Reason(StrEnum):
    """Why a row is to be sent now."""

    FIRST = "first"
    AGAIN = "again"


def messages_to(
    people: Iterable[Person], cause: str, what: str, key: str, arguments: Arguments, now: Ms
) -> list[OutboxRow]:
    """One row for each contact of each person; the same person, cause and what give the same row."""
    rows = []
    for person in people:
        for number, url in enumerate(person.contacts):
            dedupe = f"{person.login}|{cause}|{what}" + (f"|{number}" if number else "")
            rows.append(
                OutboxRow(
                    id=0,
                    site=person.site,
                    dedupe=dedupe,
                    person=person.login,
                    url=url,
                    key=key,
                    arguments=arguments,
                    state=OutboxState.PENDING,
                    created_at=now,
                    next_at=now,
                )
            )
    return rows


def due(row: OutboxRow, now: Ms) -> Reason | None:
    """Why to send now, None = not now or never again."""
    if row.state is not OutboxState.PENDING or row.next_at > now:
        return None
    return Reason.AGAIN if row.attempts else Reason.FIRST


def after_success(row: OutboxRow, now: Ms) -> OutboxRow:
    return replace(row, state=OutboxState.SENT, attempts=row.attempts + 1, sent_at=now, last_error="")


def after_failure(row: OutboxRow, error: DutyroomError, now: Ms) -> OutboxRow:
    """Tried again after a doubling wait, or given up: refused for good, or MAX_ATTEMPTS reached."""
    attempts = row.attempts + 1
    failed = replace(row, attempts=attempts, last_error=_without_address(str(error), row.url))
    if isinstance(error, Rejected) or attempts >= MAX_ATTEMPTS:
        return replace(failed, state=OutboxState.FAILED)
    return replace(failed, next_at=now + _wait(row))


def _wait(row: OutboxRow) -> Ms:
    """30 s, 1 min, 2 min ... 30 min, each a quarter more or less: rows that failed together part."""
    base = min(_FIRST_WAIT << row.attempts, _LONGEST_WAIT)
    return round(base * random.Random(f"{row.site}|{row.dedupe}|{row.attempts}").uniform(0.75, 1.25))


def _without_address(text: str, url: str) -> str:
    """An address holds passwords and tokens: no part of it is ever shown in an error."""
    _, _, rest = url.partition("://")
    place, _, query = rest.partition("?")
    said = {url, rest, place, *re.split(r"[/:@,;]+", place), *(v for _, v in parse_qsl(query))}
    for part in sorted(said | {unquote(part) for part in said}, key=len, reverse=True):
        if len(part) >= _SECRET:
            text = text.replace(part, "…")
    return text[:500]


class Notifier:
    """Sends what is due. Any number of them may run on the same records.

    sites: whose messages this one sends; None = all. What it cannot put into words, because another
    process serves that site, it leaves alone.
    """

    def __init__(
        self,
        records: Records,
        channel: Channel,
        clock: Clock,
        render: Render,
        sites: Collection[str] | None = None,
    ) -> None:
        self._records, self._channel, self._clock, self._render = records, channel, clock, render
        self._sites = sites

    def run_due(self, now: Ms) -> int:
        """Sends the rows that are due; returns how many were sent."""
        with self._records.read() as tx:
            rows = [row for row in tx.outbox.due(now, sites=self._sites) if due(row, now)]
        if not rows:
            return 0
        with ThreadPoolExecutor(min(_RUNNERS, len(rows)), thread_name_prefix="notify") as pool:
            sent = list(pool.map(lambda row: self._deliver(row, now), rows))
        return sent.count(True)

    def test(self, url: str, site: str = "", language: str = "") -> None:
        """Sends a test message now. Raises Rejected for a wrong address, Unavailable for no answer."""
        title, body = self._render(site, "message.test", {"by": ""}, language)
        self._channel.send(url, title, body)

    def _deliver(self, row: OutboxRow, now: Ms) -> bool:
        person = self._claim(row)
        if person is None:
            return False
        try:
            self._send(row, person, now)
            result = after_success(row, self._clock.now())
        except (Rejected, Unavailable) as err:
            result = after_failure(row, err, self._clock.now())
            log.warning("message.failed", row=row.id, person=row.person, error=result.last_error)
        except Exception as err:  # a bug with one message is not tried for ever, and stops no other
            log.exception("message.error", row=row.id)
            result = after_failure(row, Unavailable(type(err).__name__), self._clock.now())
        with self._records.write() as tx:
            tx.outbox.update(result)
            tx.change(row.site, self._clock.now(), "outbox", str(row.id))
        return result.state is OutboxState.SENT

    def _claim(self, row: OutboxRow) -> Person | str | None:
        """The person, "" = not known by that login, None = another runner has the row."""
        with self._records.write() as tx:
            # From now on, not from when the rows were listed: the ones before may have taken minutes.
            if not tx.outbox.claim(row, self._clock.now() + _CLAIM):
                return None
            return next((p for p in tx.people.all(row.site) if p.login == row.person), "")

    def _send(self, row: OutboxRow, person: Person | str, now: Ms) -> None:
        if now - row.created_at > MAX_AGE:
            raise Rejected("not sent in time; it would say what is long past")
        if isinstance(person, Person) and not person.active:
            raise Rejected("this person is no longer active")
        language = person.language if isinstance(person, Person) else ""
        title, body = self._render(row.site, row.key, row.arguments, language)
        self._channel.send(row.url, title, body)
