"""What a session is subscribed to at its broker, and what it still is from an earlier life.

A persistent session keeps its filters: one that the site names no more would go on delivering, twice over where
another session reads it now. So they are written down, and dropped once every session of the site has its own.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import paho.mqtt.client as paho
import structlog
from paho.mqtt.reasoncodes import ReasonCode

from dutyroom.site.filters import covers, overlap

log = structlog.get_logger(__name__)

_REFUSED = 0x80  # a SUBACK code of this or more
_SESSIONS = 40  # that are remembered
_UNKNOWN = ("#",)  # what a session may have had, of which nothing is written down


class Standing:
    """A file of the sessions of a site and their filters. path: None = nothing is remembered."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._known: dict[str, list[str]] = {}
        if path is not None:
            with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
                read = json.loads(path.read_text(encoding="utf-8"))
                self._known = {str(name): [str(t) for t in topics] for name, topics in read.items()}

    def of(self, session: str) -> tuple[str, ...]:
        """What it may be subscribed to."""
        return tuple(self._known.get(session, _UNKNOWN))

    @property
    def sessions(self) -> Mapping[str, Sequence[str]]:
        return dict(self._known)

    def put(self, session: str, topics: Iterable[str]) -> None:
        listed = sorted(set(topics))
        with self._lock:
            if self._known.get(session) == listed:
                return
            self._known.pop(session, None)
            self._known[session] = listed
            for oldest in list(self._known)[:-_SESSIONS]:
                del self._known[oldest]
            self._write()

    def _write(self) -> None:
        if self._path is None:
            return
        beside = self._path.with_suffix(".new")
        try:
            beside.write_text(json.dumps(self._known, ensure_ascii=False, indent=1), encoding="utf-8")
            beside.replace(self._path)
        except OSError as err:  # a full disk: the next start drops a filter less
            log.warning("broker.standing", reason=str(err))


class Subscriptions:
    """Of one session, by its name in `standing`."""

    def __init__(self, session: str, topics: Sequence[str], standing: Standing) -> None:
        self._session, self._standing = session, standing
        self.standing = tuple(standing.sessions)  # those that were remembered
        self.topics = tuple(topics)
        for place, topic in enumerate(self.topics):
            _warn(topic, [one for one in self.topics[:place] if overlap(one, topic)])
        self.asked: dict[int, tuple[str, ...]] = {}  # not answered yet, by the number of the request
        self._asking = threading.Lock()  # the answer may come before the number is written down
        self._turn = threading.Lock()  # of whoever adds topics
        self._former: tuple[str, ...] = ()
        self.settled = False  # the broker has answered for all of them

    def add(self, topics: Iterable[str]) -> tuple[str, ...]:
        """Those that no other filter covers: a broker would deliver it twice. What one of them covers is dropped
        when the broker has answered."""
        with self._turn:
            known = list(self.topics)
            for topic in sorted(set(topics), key=lambda t: (t.count("/"), t)):
                if not any(covers(one, topic) for one in known):
                    narrow = tuple(one for one in known if covers(topic, one) and one in self.topics)
                    self.settled = self.settled and not narrow  # first: nothing of it is dropped before
                    self._former += narrow
                    known = [one for one in known if not covers(topic, one)]
                    _warn(topic, [one for one in known if overlap(one, topic)])
                    known.append(topic)
            fresh = tuple(topic for topic in known if topic not in self.topics)
            self.topics = tuple(known)
        return fresh

    def begin(self, client: paho.Client, present: bool) -> None:
        """Of a new connection. present: the broker had the session."""
        self.asked.clear()
        self.settled = not self.topics
        former = self._standing.of(self._session) if present else ()
        self._former = tuple(topic for topic in former if topic not in self.topics)
        if self.topics:
            self.ask(client, self.topics)

    def ask(self, client: paho.Client, topics: tuple[str, ...]) -> None:
        self._standing.put(self._session, (*self.topics, *self._former))
        with self._asking:
            _, number = client.subscribe([(topic, 1) for topic in topics])
            if number is not None:
                self.asked[number] = topics

    def answered(self, number: int, codes: Sequence[ReasonCode]) -> tuple[list[str], list[str]]:
        """The topics that were refused, and those that come with QoS 0 only."""
        with self._asking:
            topics = self.asked.pop(number, self.topics)
        given = list(zip(topics, codes, strict=False))
        refused = [topic for topic, code in given if code.value >= _REFUSED]
        self.settled = not self.asked and not refused
        return refused, [topic for topic, code in given if code.value == 0]

    def drop_former(self, client: paho.Client) -> None:
        """Once all that is wanted is subscribed to, by whichever session."""
        with self._turn:
            if not self.settled:
                return  # again with the answer to what was added meanwhile
            former, self._former = [topic for topic in self._former if topic not in self.topics], ()
        if former:
            log.info("broker.filters_dropped", session=self._session, topics=former)
            client.unsubscribe(former)
            self._standing.put(self._session, self.topics)


def _warn(topic: str, others: Iterable[str]) -> None:
    """Heard twice is better than not heard, and readings of one instant are one."""
    for other in others:
        log.warning("broker.topics_meet", topic=topic, other=other, effect="some messages may come twice")
