"""All broker sessions of a site as one: what is urgent first, then the others in turn.

A broker has a session a lane, by the client id of site and lane, so that another process that takes the
site over finds both: `dutyroom-<site>`, and where the site names priority topics `dutyroom-<site>.priority`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from dutyroom.backends.mqtt import link
from dutyroom.backends.mqtt.link import Tokens
from dutyroom.backends.mqtt.session import MqttSession
from dutyroom.backends.mqtt.subscriptions import Standing
from dutyroom.backends.mqtt.waiting import BYTES, MESSAGES, Waiting
from dutyroom.errors import Rejected
from dutyroom.interfaces import Parcel
from dutyroom.model.messages import Messages
from dutyroom.model.telemetry import Message
from dutyroom.site import BrokerAddress
from dutyroom.site.filters import advice, alone, covers, meeting
from dutyroom.timebase import Clock

log = structlog.get_logger(__name__)

# What comes this soon after the first is taken with it. A batch costs as much as a thousand messages before the first
# one, so at 20,000 a second they are taken by the thousand; nobody sees a page earlier than after 250 ms anyway.
TOGETHER_S = 0.125
# But not once nothing more has come for so long: a broker that lets few messages be under way sends no other before
# we answer. Longer by so much than the reader waits between two reads, which it does the longer the more there is.
STEP_S = 0.025
_BEYOND_S = 0.005

Taken = Sequence[tuple[object, Message]]


class MqttInbound:
    """See `interfaces.Inbound`. reader: `bulk` or `stock`. memory: a file that remembers what the sessions are
    subscribed to; a session that the site names no more is emptied: its topics are dropped, what it holds is
    taken. lost: called with a broker's name when it has forgotten a session.

    Raises Rejected when a password or a certificate cannot be read, or when topics of one broker meet its
    priority ones.
    """

    def __init__(
        self,
        site: str,
        brokers: Sequence[BrokerAddress],
        clock: Clock,
        reader: str = "bulk",
        memory: Path | None = None,
        lost: Callable[[str], None] = lambda broker: None,
    ) -> None:
        self._changed = threading.Condition()
        for broker in brokers:
            for topic, first in meeting(broker.topics, broker.priority):
                raise Rejected(f"broker {broker.host}:{broker.port}: topics: {advice(topic, first)}")
        lanes = 2 * len(brokers) or 1
        standing = Standing(memory)
        normal, urgent = f"dutyroom-{site}", f"dutyroom-{site}.priority"

        def session(broker: BrokerAddress, client_id: str) -> MqttSession:
            return MqttSession(
                broker,
                client_id,
                clock,
                waiting=Waiting(self._changed, MESSAGES // lanes, BYTES // lanes, client_id == urgent),
                reader=reader,
                standing=standing,
                settled=self._settled,
                lost=lost,
            )

        self._urgent = [
            session(replace(broker, topics=broker.priority), urgent) for broker in brokers if broker.priority
        ]
        self._others = [session(broker, normal) for broker in brokers]
        self._leaving = [
            session(replace(broker, topics=()), urgent)
            for broker in brokers
            if not broker.priority and f"{urgent}@{broker.host}:{broker.port}" in standing.sessions
        ]
        self._priority = [tuple(alone(topic) for topic in broker.priority) for broker in brokers]
        self._calm = [*self._others, *self._leaving]  # in turn
        self._last_urgent = False

    @property
    def sessions(self) -> tuple[MqttSession, ...]:
        """Those that the site names."""
        return (*self._urgent, *self._others)

    def _settled(self) -> None:
        """What was read by another session before is dropped there when the new one has it, not sooner."""
        if all(session.subscriptions.settled for session in self.sessions):
            for session in (*self.sessions, *self._leaving):
                session.drop_former()

    @property
    def connected(self) -> bool:
        """All of them: where one is away, we cannot say that its devices are silent."""
        return all(session.connected for session in self.sessions)

    @property
    def away(self) -> frozenset[str]:
        """The brokers (`host:port`) of which a session is not there."""
        return frozenset(session.name.partition("@")[2] for session in self.sessions if not session.connected)

    @property
    def refused(self) -> str:
        """Why we are not let in somewhere, or not to all topics; "" = fine."""
        return "; ".join(dict.fromkeys(session.refused for session in self.sessions if session.refused))

    def start(self) -> None:
        for session in (*self.sessions, *self._leaving):
            session.start()

    def stop(self) -> None:
        """Leaves without ending the persistent sessions; the brokers keep what comes."""
        leaving = [threading.Thread(target=session.stop) for session in (*self.sessions, *self._leaving)]
        for thread in leaving:
            thread.start()
        for thread in leaving:
            thread.join()

    def extend(self, topics: Iterable[str]) -> tuple[str, ...]:
        """Subscribes to these as well, at each broker but for what its own priority session reads there; returns those
        that no filter covered."""
        asked = tuple(topics)
        fresh: list[str] = []
        for session, priority in zip(self._others, self._priority, strict=True):
            wanted = [topic for topic in asked if not any(covers(first, topic) for first in priority)]
            for topic, first in meeting(wanted, priority):
                # Heard twice is better than not heard: readings of one instant are one.
                log.warning(
                    "broker.topics_meet", topic=topic, priority=first, effect="some messages come twice"
                )
            fresh += session.extend(wanted)
        return tuple(dict.fromkeys(fresh))

    def take(self, timeout_s: float, limit: int) -> Taken:
        """What is urgent alone and at once, but not twice in a row while others wait; else of the others
        in turn, each its share, together with what comes a little later."""
        with self._changed:
            if not self._changed.wait_for(self._any, timeout_s):
                return []
            if taken := self._take_urgent(limit):
                return taken
        self._gather(limit)
        with self._changed:
            return self._take_others(limit) or self._take_urgent(limit)

    @property
    def urgent(self) -> bool:
        return self._last_urgent

    def take_urgent(self, timeout_s: float, limit: int) -> Taken:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting(self._urgent), timeout_s)
            return _shared(self._urgent, limit)

    def _gather(self, limit: int) -> None:
        """Waits for more while more comes, unless there is enough; what is urgent ends it."""
        until, before = time.monotonic() + TOGETHER_S, 0
        while before < (count := self._calm_count()) < limit and time.monotonic() < until:
            before = count
            step = max(STEP_S, *(session.waiting.pause_s + _BEYOND_S for session in self._calm))
            if not self._urgent:
                time.sleep(step)
                continue
            with self._changed:
                if self._changed.wait_for(lambda: self._waiting(self._urgent), step):
                    return

    def _calm_count(self) -> int:
        return sum(session.waiting.count for session in self._calm)

    def acknowledge(self, tokens: Sequence[object]) -> None:
        link.acknowledge(tokens)

    def _any(self) -> bool:
        return self._waiting(self._urgent) or self._waiting(self._calm)

    @staticmethod
    def _waiting(sessions: Sequence[MqttSession]) -> bool:
        return any(session.waiting.count for session in sessions)

    def _take_urgent(self, limit: int) -> Taken:
        if not self._urgent or (self._last_urgent and self._waiting(self._calm)):
            return []
        taken = _shared(self._urgent, limit)
        self._last_urgent = bool(taken)
        return taken

    def _take_others(self, limit: int) -> Taken:
        self._last_urgent = False
        taken = _shared(self._calm, limit)
        self._calm.append(self._calm.pop(0))  # another one comes first next time
        return taken


def _shared(sessions: Sequence[MqttSession], limit: int) -> Parcel:
    """At most `limit` messages: a share of each, then what is left of it to whoever has more."""
    taken: list[Parcel] = []
    share, left = max(1, limit // max(1, len(sessions))), limit
    for most in (share, limit):
        for session in sessions:
            if found := session.waiting.pop(min(most, left)):
                taken.append(found)
                left -= len(found)
    if len(taken) < 2:
        return taken[0] if taken else Parcel()
    runs = [run for parcel in taken if isinstance(parcel.tokens, Tokens) for run in parcel.tokens.runs]
    return Parcel(Tokens(runs), Messages.joined([parcel.messages for parcel in taken]))
