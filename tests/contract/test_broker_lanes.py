"""A site's sessions as one: the priority lane, several brokers, and what a session had before, on real Mosquittos."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.contract.test_broker import payloads, until
from tests.servers.mosquitto import Mosquitto

from dutyroom.backends.clock import SystemClock
from dutyroom.backends.mqtt import MqttInbound, MqttPublisher
from dutyroom.backends.mqtt.link import Link
from dutyroom.errors import Rejected
from dutyroom.model.telemetry import Message
from dutyroom.rules.lines import line_of
from dutyroom.site import BrokerAddress

pytestmark = pytest.mark.servers

NewMosquitto = Callable[[str], Mosquitto]
LANES = {"topics": ("meter/#",), "priority": ("fire/#", "lift/+/alarm")}


@pytest.fixture
def opened() -> Iterator[Callable[..., MqttInbound]]:
    made: list[MqttInbound] = []

    def start(*brokers: BrokerAddress, memory: Path | None = None, **given: Any) -> MqttInbound:
        inbound = MqttInbound("estate", brokers, SystemClock(), memory=memory, **given)
        made.append(inbound)
        inbound.start()
        until(lambda: all(s.subscriptions.settled for s in inbound.sessions), "subscribed")
        return inbound

    yield start
    for inbound in made:
        inbound.stop()


Opened = Callable[..., MqttInbound]


def at(broker: Mosquitto, **given: Any) -> BrokerAddress:
    return BrokerAddress("127.0.0.1", broker.port, **given)


def publish(broker: Mosquitto, *messages: tuple[str, bytes]) -> None:
    devices = MqttPublisher("127.0.0.1", broker.port)
    for topic, payload in messages:
        devices.publish(topic, payload)
    devices.close()


def drained(inbound: MqttInbound, count: int, seconds: float = 10) -> list[Message]:
    found: list[Message] = []
    deadline = time.monotonic() + seconds
    while len(found) < count and time.monotonic() < deadline:
        taken = inbound.take(0.1, 4096)
        found += [message for _, message in taken]
        inbound.acknowledge([token for token, _ in taken])
    return found


def test_each_lane_has_a_session_and_each_message_comes_once(
    new_mosquitto: NewMosquitto, opened: Opened
) -> None:
    broker = new_mosquitto("")
    inbound = opened(at(broker, **LANES))
    assert [session.name.partition("@")[0] for session in inbound.sessions] == [
        "dutyroom-estate.priority",
        "dutyroom-estate",
    ]
    publish(broker, ("meter/1", b"1"), ("fire/1", b"2"), ("lift/3/alarm", b"3"), ("lift/3/state", b"-"))
    assert sorted(m.payload for m in drained(inbound, 4, 1)) == [b"1", b"2", b"3"]
    assert inbound.connected
    assert inbound.refused == ""


def test_without_priority_all_goes_by_one_session(new_mosquitto: NewMosquitto, opened: Opened) -> None:
    broker = new_mosquitto("")
    inbound = opened(at(broker))
    assert len(inbound.sessions) == 1
    publish(broker, ("meter/1", b"1"), ("fire/1", b"2"))
    assert [m.payload for m in drained(inbound, 2)] == [b"1", b"2"]


def test_fire_does_not_wait_behind_meters(new_mosquitto: NewMosquitto, opened: Opened) -> None:
    broker = new_mosquitto("max_inflight_messages 0\n")
    opened(at(broker, **LANES)).stop()
    publish(broker, *(("meter/1", b"%d" % n) for n in range(5000)), ("fire/1", b"fire"))
    inbound = opened(at(broker, **LANES))
    until(lambda: inbound._urgent[0].waiting.count and inbound._others[0].waiting.count > 500, "all wait")
    first = inbound.take(1, 500)
    assert payloads(first) == ["fire"]
    inbound.acknowledge([token for token, _ in first])
    assert len(drained(inbound, 5000)) == 5000


def test_two_brokers_are_read_side_by_side(new_mosquitto: NewMosquitto, opened: Opened) -> None:
    north, south = new_mosquitto(""), new_mosquitto("")
    inbound = opened(at(north), at(south, topics=("gate/#",)))
    publish(north, ("meter/1", b"north"))
    publish(south, ("gate/1", b"south"), ("meter/1", b"nobody's"))
    assert sorted(m.payload for m in drained(inbound, 3, 1)) == [b"north", b"south"]
    south.stop()
    until(lambda: not inbound.connected, "one of them is away")
    publish(north, ("meter/1", b"still"))
    (still,) = drained(inbound, 1)
    assert still.payload == b"still"
    assert (line_of(still.session), inbound.away) == (
        at(north).host + f":{north.port}",
        {f"{at(south).host}:{south.port}"},
    )
    until(lambda: f":{south.port} cannot be reached" in inbound.refused, "it is said")


def test_a_restart_of_both_brokers_loses_nothing(new_mosquitto: NewMosquitto, opened: Opened) -> None:
    broker = new_mosquitto("")
    inbound = opened(at(broker, **LANES))
    publish(broker, ("meter/1", b"a"), ("fire/1", b"b"))
    until(lambda: sum(s.waiting.count for s in inbound.sessions) == 2, "both wait")
    broker.restart()
    until(lambda: inbound.connected, "connected again")
    publish(broker, ("meter/1", b"c"))
    seen = {m.payload for m in drained(inbound, 5, 3)}
    assert seen == {
        b"a",
        b"b",
        b"c",
    }  # a and b twice: their acknowledgements belonged to the connection before


# ------------------------------------------------------------ topics that meet


@pytest.mark.parametrize(
    ("topics", "says"),
    [
        (("#",), "'#' also matches what the priority filter 'fire/#' matches, so that each such message"),
        (("fire/1/state",), "leave 'fire/1/state' out of topics: the priority session reads it"),
        (("+/1/#",), "name in topics the branches of '+/1/#' beside 'fire/#' one by one"),
    ],
)
def test_topics_that_meet_the_priority_ones_are_refused(topics: tuple[str, ...], says: str) -> None:
    address = BrokerAddress("127.0.0.1", topics=topics, priority=("fire/#",))
    with pytest.raises(Rejected) as caught:
        MqttInbound("estate", [address], SystemClock())
    assert says in str(caught.value)


def test_topics_of_profiles_that_the_priority_session_reads_are_not_asked_for_again() -> None:
    inbound = MqttInbound("estate", [BrokerAddress("127.0.0.1", **LANES)], SystemClock())
    assert inbound.extend(["fire/+/state", "gate/#", "meter/1"]) == ("gate/#",)
    assert inbound._others[0].subscriptions.topics == ("meter/#", "gate/#")


def test_what_one_broker_reads_with_priority_is_still_asked_for_at_another() -> None:
    """The devices of a profile may publish to a broker that has no such session."""
    lanes = BrokerAddress("one", **LANES), BrokerAddress("two", topics=("meter/#",))
    inbound = MqttInbound("estate", lanes, SystemClock())
    assert inbound.extend(["fire/+/state"]) == ("fire/+/state",)
    topics = [session.subscriptions.topics for session in inbound._others]
    assert topics == [("meter/#",), ("meter/#", "fire/+/state")]
    assert inbound.away == {"one:1883", "two:1883"}


def test_what_a_shared_subscription_reads_with_priority_is_not_asked_for_again() -> None:
    shared = BrokerAddress("one", topics=("meter/#",), priority=("$share/duty/fire/#",))
    assert MqttInbound("estate", [shared], SystemClock()).extend(["fire/+/state"]) == ()


# ------------------------------------------------------------ what a session had before


def test_a_session_that_read_all_drops_it_when_the_lanes_have_their_own(
    new_mosquitto: NewMosquitto, opened: Opened, tmp_path: Path
) -> None:
    broker, memory = new_mosquitto(""), tmp_path / "subscriptions.json"
    opened(at(broker), memory=memory).stop()
    publish(broker, ("fire/1", b"while we are away"))
    inbound = opened(at(broker, **LANES), memory=memory)
    assert [m.payload for m in drained(inbound, 1)] == [b"while we are away"]
    time.sleep(0.3)
    publish(broker, ("fire/1", b"once"), ("meter/1", b"m"), ("other", b"-"))
    assert sorted(m.payload for m in drained(inbound, 3, 1)) == [b"m", b"once"]


def test_the_priority_session_is_emptied_when_the_site_names_none_any_more(
    new_mosquitto: NewMosquitto, opened: Opened, tmp_path: Path
) -> None:
    broker, memory = new_mosquitto(""), tmp_path / "subscriptions.json"
    opened(at(broker, **LANES), memory=memory).stop()
    publish(broker, ("fire/1", b"while we are away"))
    inbound = opened(at(broker), memory=memory)
    assert [m.payload for m in drained(inbound, 1)] == [b"while we are away"]
    time.sleep(0.3)
    publish(broker, ("fire/1", b"once"))
    assert [m.payload for m in drained(inbound, 2, 1)] == [b"once"]


def test_a_memory_that_cannot_be_read_is_none(
    new_mosquitto: NewMosquitto, opened: Opened, tmp_path: Path
) -> None:
    memory = tmp_path / "subscriptions.json"
    memory.write_text("[1, 2")
    broker = new_mosquitto("")
    opened(at(broker, topics=("a/#",)), memory=memory)
    assert "dutyroom-estate" in memory.read_text()


# ------------------------------------------------------------ whose turn it is


class Lanes:
    """An inbound whose sessions are never started: messages are put by hand."""

    def __init__(self, brokers: int, priority: bool) -> None:
        given = {"topics": ("m/#",), "priority": ("p/#",)} if priority else {}
        addresses = [BrokerAddress(f"b{n}", **given) for n in range(brokers)]  # type: ignore[arg-type]
        self.inbound = MqttInbound("estate", addresses, SystemClock())
        self.link = Link(lambda ids: None)

    def put(self, urgent: bool, broker: int, count: int) -> None:
        sessions = self.inbound._urgent if urgent else self.inbound._others
        session = next(s for s in sessions if s.name.endswith(f"@b{broker}:1883"))
        name = ("p" if urgent else "m") + str(broker)
        session.waiting.put(
            self.link, [b"\0\1"] * count, [Message(name, b"", 0) for _ in range(count)], count
        )

    def take(self, limit: int) -> dict[str, int]:
        counted: dict[str, int] = {}
        for _, message in self.inbound.take(0, limit):
            counted[message.topic] = counted.get(message.topic, 0) + 1
        return counted


def test_what_is_urgent_comes_first_and_alone_but_not_for_ever() -> None:
    lanes = Lanes(1, True)
    lanes.put(False, 0, 1000)
    lanes.put(True, 0, 1000)
    turns = [lanes.take(100) for _ in range(6)]
    assert turns == [{"p0": 100}, {"m0": 100}] * 3
    lanes.take(5000)
    lanes.take(5000)
    assert lanes.take(10) == {}
    lanes.put(True, 0, 30)
    assert [lanes.take(10), lanes.take(10), lanes.take(10)] == [{"p0": 10}] * 3  # nobody else waits


def test_what_is_urgent_can_be_taken_alone() -> None:
    lanes = Lanes(2, True)
    lanes.put(False, 0, 10)
    assert lanes.inbound.take_urgent(0, 10) == []
    lanes.put(True, 0, 3)
    lanes.put(True, 1, 3)
    assert sorted(m.topic for _, m in lanes.inbound.take_urgent(0, 10)) == ["p0"] * 3 + ["p1"] * 3
    assert (lanes.take(10), lanes.inbound.urgent) == ({"m0": 10}, False)
    lanes.put(True, 1, 1)
    assert (lanes.take(10), lanes.inbound.urgent) == ({"p1": 1}, True)
    assert Lanes(1, False).inbound.take_urgent(0, 10) == []


def test_each_broker_has_its_share_and_the_rest_goes_to_who_has_more() -> None:
    lanes = Lanes(3, False)
    for broker, count in enumerate((1000, 10, 1000)):
        lanes.put(False, broker, count)
    first = lanes.take(90)
    assert sum(first.values()) == 90
    assert first["m1"] == 10
    assert first["m2"] >= 30
    assert first["m0"] >= 30
    rounds = [lanes.take(90) for _ in range(4)]
    assert all(len(one) == 2 for one in rounds)


def test_a_single_message_of_each_is_not_left_behind() -> None:
    lanes = Lanes(3, False)
    for broker in range(3):
        lanes.put(False, broker, 5)
    seen = [lanes.take(1) for _ in range(3)]
    assert {name for one in seen for name in one} == {"m0", "m1", "m2"}


def test_who_takes_is_woken_by_any_session() -> None:
    lanes = Lanes(2, True)
    for urgent, broker in ((True, 1), (False, 0)):
        timer = threading.Timer(0.1, lanes.put, (urgent, broker, 1))
        timer.start()
        assert len(lanes.inbound.take(5, 10)) == 1
        timer.join()


def test_a_broker_that_has_forgotten_us_is_told_also_when_we_were_away(
    new_mosquitto: NewMosquitto, opened: Opened, tmp_path: Path
) -> None:
    broker, memory, lost = new_mosquitto(""), tmp_path / "subscriptions.json", list[str]()
    inbound = opened(at(broker, **LANES), memory=memory, lost=lost.append)
    broker.restart()
    until(lambda: not inbound.connected, "away")
    until(lambda: inbound.connected, "connected again")
    assert lost == []  # it has its sessions, and had none of a new site
    inbound.stop()
    broker.forget()
    opened(at(broker, **LANES), memory=memory, lost=lost.append)
    assert lost == [f"broker 127.0.0.1:{broker.port}"] * 2  # each lane's
