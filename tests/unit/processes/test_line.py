"""A line that was cut takes and acknowledges nothing; put up again it is made of new sessions."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

import pytest

from dutyroom.errors import Rejected
from dutyroom.flows.line import Line
from dutyroom.model.telemetry import Message


class Session:
    def __init__(self, number: int) -> None:
        self.number, self.state, self.topics = number, "new", list[str]()
        self.waiting = [(object(), Message("a", b"1", 1))]
        self.acknowledged: list[object] = []
        self.slow = threading.Event()
        self.slow.set()
        self.connected, self.refused = True, "no" if number else ""

    def start(self) -> None:
        self.state = "started"

    def stop(self) -> None:
        self.slow.wait(5)
        self.state = "stopped"

    def extend(self, topics: Iterable[str]) -> tuple[str, ...]:
        self.topics += topics
        return tuple(self.topics)

    def take(self, timeout_s: float, limit: int) -> Sequence[tuple[object, Message]]:
        return self.waiting

    def acknowledge(self, tokens: Sequence[object]) -> None:
        self.acknowledged += tokens


class Made:
    def __init__(self) -> None:
        self.sessions: list[Session] = []

    def __call__(self) -> Session:
        self.sessions.append(Session(len(self.sessions)))
        return self.sessions[-1]


@pytest.fixture
def made() -> Made:
    return Made()


def test_it_takes_and_acknowledges_while_it_stands(made: Made) -> None:
    line = Line(made)
    line.extend(["early/#"])
    assert not line.connected
    assert line.take(0.0, 10) == []
    line.start()
    line.start()
    (session,) = made.sessions
    assert (session.state, session.topics, line.connected) == ("started", ["early/#"], True)
    taken = line.take(0.0, 10)
    line.acknowledge([token for token, _ in taken])
    assert session.acknowledged == [taken[0][0]]
    line.stop()
    assert session.state == "stopped"


def test_after_a_cut_nothing_is_taken_or_acknowledged(made: Made) -> None:
    line = Line(made)
    line.start()
    (old,) = made.sessions
    old.slow.clear()
    taken = line.take(0.0, 10)
    line.cut()  # does not wait
    assert old.state == "started"
    line.acknowledge([token for token, _ in taken])
    assert old.acknowledged == []
    assert line.take(0.0, 10) == []
    assert not line.connected
    old.slow.set()


def test_put_up_again_it_is_another_session_with_all_topics(made: Made) -> None:
    line = Line(made)
    line.start()
    line.extend(["water/#"])
    taken = line.take(0.0, 10)
    line.cut()
    line.start()
    _, new = made.sessions
    assert new.topics == ["water/#"]
    line.acknowledge([token for token, _ in taken])
    assert new.acknowledged == []  # a number of the old session would mean another message here
    assert line.take(0.0, 10)
    line.acknowledge([new.waiting[0][0]])
    assert len(new.acknowledged) == 1
    line.stop()
    line.start()  # stopped for good
    assert len(made.sessions) == 2
    assert new.state == "stopped"


def test_what_was_taken_while_it_was_cut_is_not_handed_on(made: Made) -> None:
    line = Line(made)
    line.start()
    (session,) = made.sessions
    take = session.take

    def cut_meanwhile(timeout_s: float, limit: int) -> Sequence[tuple[object, Message]]:
        line.cut()
        return take(timeout_s, limit)

    session.take = cut_meanwhile  # type: ignore[method-assign]
    assert line.take(0.0, 10) == []


def test_what_cannot_be_made_is_refused_at_the_start() -> None:
    def refuse() -> Session:
        raise Rejected("the password cannot be read")

    with pytest.raises(Rejected, match="password"):
        Line(refuse)
