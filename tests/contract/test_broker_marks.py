"""What a real Mosquitto marks as delivered again: a message of before is known, one that never came is new."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from tests.chaos.proxy import Proxy
from tests.contract.test_broker import until
from tests.servers.mosquitto import Mosquitto

from dutyroom.backends.clock import SystemClock
from dutyroom.backends.mqtt import MqttPublisher
from dutyroom.backends.mqtt.session import MqttSession
from dutyroom.flows.receipts import Receipts
from dutyroom.model.telemetry import Message
from dutyroom.site import BrokerAddress

pytestmark = pytest.mark.servers

NewMosquitto = Callable[[str], Mosquitto]
Taken = list[tuple[object, Message]]


@pytest.fixture(params=["bulk 3.1.1", "bulk 5", "stock 3.1.1"])
def panel(request: pytest.FixtureRequest, new_mosquitto: NewMosquitto) -> Iterator[Panel]:
    reader, _, version = request.param.partition(" ")
    panel = Panel(new_mosquitto(""), reader, version)
    yield panel
    panel.close()


class Panel:
    """A fire panel without a clock, and we who hear it over a line that may die."""

    def __init__(self, broker: Mosquitto, reader: str, version: str) -> None:
        self.broker = broker
        self.line = Proxy(broker.port)
        address = BrokerAddress("127.0.0.1", self.line.port, topics=("fire/#",), version=version)
        self.address, self.reader = address, reader
        self.start()

    def start(self) -> None:
        self.session = MqttSession(self.address, "dutyroom-marks", SystemClock(), reader=self.reader)
        self.session.start()
        until(lambda: self.session.subscriptions.settled, "subscribed")

    def says(self, *payloads: bytes) -> None:
        panel = MqttPublisher("127.0.0.1", self.broker.port)
        for payload in payloads:
            panel.publish("fire/1", payload)
        panel.close()

    def take(self, count: int) -> Taken:
        taken: Taken = []
        deadline = time.monotonic() + 10
        while len(taken) < count and time.monotonic() < deadline:
            taken += self.session.take(0.2, 100)
        return taken

    def hears(self, count: int) -> list[Message]:
        taken = self.take(count)
        self.session.acknowledge([token for token, _ in taken])
        time.sleep(0.1)  # the broker has the acknowledgements
        return [message for _, message in taken]

    def line_dies(self, *payloads: bytes) -> None:
        """What is said then goes into a line that nobody knows to be dead."""
        self.line.silent = True
        self.says(*payloads)
        time.sleep(0.3)
        self.line.cut()
        self.line.silent = False
        until(lambda: not self.session.connected, "cut")
        until(lambda: self.session.connected, "connected again")

    def close(self) -> None:
        self.session.stop()
        self.line.close()


def test_an_alarm_that_went_into_a_dead_line_is_not_the_one_before(panel: Panel) -> None:
    receipts = Receipts([])
    panel.says(b"alarm", b"normal")
    first = receipts.of(panel.hears(2))
    receipts.commit()
    panel.line_dies(b"alarm")
    second = receipts.of(panel.hears(1))
    assert [message.payload for message in second] == [b"alarm"]
    assert (
        second[0].received_at > first[-1].received_at
    )  # it was at the instant of the first, and so no alarm
    assert not second[0].duplicate


def test_what_came_and_was_not_acknowledged_is_still_the_one_before(panel: Panel) -> None:
    receipts = Receipts([])
    panel.says(b"normal")
    panel.hears(1)
    panel.says(b"alarm")
    first = receipts.of([message for _, message in panel.take(1)])
    receipts.commit()
    panel.line_dies(b"alarm")
    again = receipts.of(panel.hears(2))
    assert [message.duplicate for message in again] == [True, False]
    assert again[0].received_at == first[0].received_at < again[1].received_at


def test_an_alarm_in_the_dead_line_of_a_process_that_was_killed_is_not_the_one_before(panel: Panel) -> None:
    panel.says(b"alarm", b"normal")
    journal = panel.hears(2)
    panel.line.silent = True
    panel.says(b"alarm")
    time.sleep(0.3)
    panel.line.cut()
    panel.session.stop()
    panel.line.silent = False
    panel.start()
    receipts = Receipts(journal)
    (alarm,) = receipts.of(panel.hears(1))
    assert alarm.received_at > journal[-1].received_at
    receipts.commit()
    panel.line_dies(b"normal")
    (normal,) = receipts.of(panel.hears(1))
    assert normal.received_at > alarm.received_at


def test_an_alarm_that_waited_to_be_taken_when_the_line_was_cut_is_not_the_one_before(panel: Panel) -> None:
    """For want of the lease: the process goes on, with new sessions."""
    receipts = Receipts([])
    panel.says(b"alarm", b"normal")
    first = receipts.of(panel.hears(2))
    receipts.commit()
    panel.says(b"alarm")
    until(lambda: panel.session.waiting.count, "read from the socket")
    panel.session.stop()
    panel.start()
    (alarm,) = receipts.of(panel.hears(1))
    assert (alarm.payload, alarm.duplicate) == (b"alarm", False)
    assert alarm.received_at > first[-1].received_at


def test_a_broker_that_was_restarted_goes_on_with_its_numbers(panel: Panel) -> None:
    panel.says(b"normal", b"alarm")
    first = panel.take(2)
    panel.broker.restart()
    until(lambda: panel.session.connected, "connected again")
    assert [message.duplicate for _, message in first] == [False, False]
    assert [message.duplicate for message in panel.hears(2)] == [True, True]
