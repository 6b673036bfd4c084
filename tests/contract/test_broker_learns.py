"""More topics in a session at hand, and what a broker had retained at every connection: on a real Mosquitto
and on the embedded broker."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.contract.test_broker import (
    Room,
    acknowledge,
    broker,
    is_embedded,
    nothing_comes,
    payloads,
    room,
    take,
    until,
)
from tests.flows.intake_rig import Rig, tank

from dutyroom.backends.clock import SystemClock
from dutyroom.backends.mqtt import MqttSession, covers
from dutyroom.backends.mqtt.subscriptions import Standing, Subscriptions
from dutyroom.flows.loops import IngestWork
from dutyroom.site import BrokerAddress

__all__ = ["broker", "room"]  # fixtures

pytestmark = pytest.mark.servers


def test_a_topic_that_is_added_is_heard_in_the_same_session(room: Room) -> None:
    session = room.session(topics=("meter/#",))
    room.publish("unheard", topic="acme/1/up")
    assert session.extend(["acme/+/up", "meter/+", "meter/1"]) == ("acme/+/up",)
    until(lambda: not session.subscriptions.asked, "the broker's answer")
    room.publish("heard", topic="acme/1/up")
    room.publish("as before", topic="meter/1")
    taken = take(session, 2)
    assert payloads(taken) == ["heard", "as before"]
    assert session.refused == ""
    acknowledge(session, taken)
    assert nothing_comes(session)


def test_a_wider_topic_that_is_added_takes_the_place_of_what_it_covers(room: Room) -> None:
    """Else a broker of MQTT 5 delivers each message twice, and one without a clock of its own counts twice."""
    session = room.session(topics=("meter/+/up", "gate/1"))
    assert session.extend(["meter/#"]) == ("meter/#",)
    until(lambda: session.subscriptions.settled, "the broker's answer")
    assert session.subscriptions.topics == ("gate/1", "meter/#")
    room.publish("once", topic="meter/1/up")
    taken = take(session, 1)
    assert payloads(taken) == ["once"]
    acknowledge(session, taken)
    assert nothing_comes(session)


def test_what_is_added_is_not_dropped_before_the_wider_one_is_there() -> None:
    asked: list[str] = []
    client = SimpleNamespace(
        subscribe=lambda topics: (0, asked.append(f"+ {[t for t, _ in topics]}") or len(asked)),
        unsubscribe=lambda topics: asked.append(f"- {topics}"),
    )
    subscriptions = Subscriptions("s", ["meter/1"], Standing(None))
    subscriptions.begin(client, False)  # type: ignore[arg-type]
    subscriptions.answered(1, [SimpleNamespace(value=1)])  # type: ignore[list-item]
    fresh = subscriptions.add(["meter/#"])
    subscriptions.drop_former(client)  # type: ignore[arg-type]
    assert asked == ["+ ['meter/1']"]
    subscriptions.ask(client, fresh)  # type: ignore[arg-type]
    subscriptions.answered(2, [SimpleNamespace(value=1)])  # type: ignore[list-item]
    subscriptions.drop_former(client)  # type: ignore[arg-type]
    assert asked[1:] == ["+ ['meter/#']", "- ['meter/1']"]


def test_a_topic_that_was_added_is_asked_for_at_every_connection() -> None:
    session = MqttSession(BrokerAddress("nowhere", topics=("meter/#",)), "dutyroom-a", SystemClock())
    session.extend(["acme/+/up"])
    asked: list[tuple[str, int]] = []

    def subscribe(topics: list[tuple[str, int]]) -> tuple[int, int]:
        asked.extend(topics)
        return 0, 7

    good = SimpleNamespace(is_failure=False)
    session._connected_now(SimpleNamespace(subscribe=subscribe), None, None, good, None)  # type: ignore[arg-type]
    assert asked == [("meter/#", 1), ("acme/+/up", 1)]
    refused = [SimpleNamespace(value=1), SimpleNamespace(value=0x80)]
    session._subscribed(None, None, 7, refused, None)  # type: ignore[arg-type]
    assert session.refused.endswith("does not allow us to read acme/+/up")


def test_what_is_added_before_the_connection_is_asked_for_with_it(room: Room) -> None:
    room.publish("old", topic="acme/1/up", retain=True)
    session = MqttSession(room.session(topics=("nothing/here",))._address, "dutyroom-early", SystemClock())
    room.sessions.append(session)
    session.extend(["acme/#"])
    session.start()
    ((_, message),) = take(session, 1)
    assert (message.payload, message.retained) == (b"old", True)


def test_what_a_broker_had_retained_is_no_news_at_any_connection(room: Room, tmp_path: Path) -> None:
    rig = Rig(tmp_path / "rig")
    try:
        rig.register(tank())
        session = room.session()
        work = IngestWork(session, rig.ingest, lambda: None, between=rig.rereading.step)

        def heard(count: int) -> None:
            until(lambda: work() or rig.live.messages >= count, f"{count} messages")
            rig.keep.drain()

        room.publish("1.5", topic="probe/p1/level", retain=True)
        room.publish("nobody", topic="nobody/1", retain=True)
        heard(2)
        stored, at = rig.stored("tank-p1", "level"), rig.live.heard("tank-p1")
        for connection in range(3):
            session.stop()
            # A SUBSCRIBE has all that is retained sent again; by the embedded one to a new session only.
            session = room.session(
                f"dutyroom-{connection}" if is_embedded(room.broker) else "dutyroom-estate"
            )
            work._inbound = session
            heard(4 + 2 * connection)
            assert rig.stored("tank-p1", "level") == stored
            assert rig.live.heard("tank-p1") == at
            assert rig.journal.quarantine_size() == 1
        assert [value for _, value in stored] == [1.5]
        rig.ledger()
    finally:
        rig.close()


@pytest.mark.parametrize(
    ("wide", "narrow", "does"),
    [
        ("#", "a/b", True),
        ("#", "a/+/#", True),
        ("#", "$SYS/a", False),
        ("+/a", "$SYS/a", False),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("a/#", "b", False),
        ("a/+", "a/b", True),
        ("a/+", "a/+", True),
        ("a/+", "a/#", False),
        ("a/+", "a/b/c", False),
        ("a/b", "a/+", False),
        ("a/b", "a/b", True),
        ("+/b", "a/b", True),
        ("a/+/c", "a/b/d", False),
        ("a", "a/b", False),
    ],
)
def test_which_filter_covers_which(wide: str, narrow: str, does: bool) -> None:
    assert covers(wide, narrow) is does
