"""When everybody comes back at once: devices by the hundred, sessions of ours by the dozen, and who waits how long."""

from __future__ import annotations

import random
import resource
import socket
import time
from collections.abc import Callable

import pytest
from tests.contract.mqtt_streams import packet, publish
from tests.contract.storm import run
from tests.contract.test_broker import acknowledge, payloads, take, until
from tests.servers.mosquitto import Mosquitto

from dutyroom.backends.clock import SystemClock
from dutyroom.backends.mqtt import MqttPublisher, MqttSession
from dutyroom.backends.mqtt import bulk as bulk_reader
from dutyroom.backends.mqtt.backoff import HELD_S, MOST_S, Backoff, pause
from dutyroom.site import BrokerAddress

pytestmark = pytest.mark.servers

NewMosquitto = Callable[[str], Mosquitto]


@pytest.mark.slow
def test_hundreds_of_devices_come_back_at_once(new_mosquitto: NewMosquitto) -> None:
    """5,000: `python -m tests.contract.storm`."""
    storm = run(new_mosquitto(""), 300)
    assert (storm.first, storm.again) == (300, 300)
    assert storm.connections == 2  # once before, once after: nothing throws us out
    assert storm.seconds < 20


def test_dozens_of_sessions_do_not_knock_together(new_mosquitto: NewMosquitto) -> None:
    broker = new_mosquitto("")
    sessions = [
        MqttSession(BrokerAddress("127.0.0.1", broker.port), f"dutyroom-{n}", SystemClock())
        for n in range(40)
    ]
    back: list[float] = []
    for session in sessions:
        session.start()
    until(lambda: all(session.connected for session in sessions), "all are connected")
    broker.restart()
    began = time.monotonic()
    seen: set[str] = set()
    while len(seen) < 40 and time.monotonic() - began < 15:
        for session in sessions:
            if session.connected and session.name not in seen:
                seen.add(session.name)
                back.append(time.monotonic() - began)
        time.sleep(0.005)
    for session in sessions:
        session.stop()
    assert len(seen) == 40
    assert max(back) - min(back) > 0.2


def test_pauses_grow_and_are_never_the_same() -> None:
    assert [pause(n, 0.0) for n in (0, 1, 2, 5, 50)] == [0.5, 1.0, 2.0, MOST_S / 2, MOST_S / 2]
    assert [pause(n, 1.0) for n in (0, 1, 2, 5, 50)] == [1.0, 2.0, 4.0, MOST_S, MOST_S]
    random.seed(1)
    assert len({Backoff().lost(0.0) for _ in range(50)}) == 50


def test_a_good_connection_begins_anew_and_a_short_one_does_not() -> None:
    backoff = Backoff()
    for _ in range(4):
        backoff.lost(0.0)
    assert (backoff.failures, backoff.short) == (4, 0)
    backoff.connected(0.0)
    backoff.lost(1.0)
    backoff.connected(2.0)
    backoff.lost(3.0)
    assert (backoff.failures, backoff.short) == (6, 2)
    backoff.connected(4.0)
    assert backoff.lost(4.0 + HELD_S) <= 1.0
    assert (backoff.failures, backoff.short) == (0, 0)


def test_it_connects_where_a_thousand_files_are_open(new_mosquitto: NewMosquitto) -> None:
    """paho's own select knows no file numbers beyond 1023."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 1400:
        pytest.skip("this machine allows no 1,400 open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1400), hard))
    broker = new_mosquitto("")
    held = [socket.socket() for _ in range(1050)]
    try:
        session = MqttSession(BrokerAddress("127.0.0.1", broker.port), "dutyroom-estate", SystemClock())
        session.start()
        until(lambda: session.subscriptions.settled, "subscribed")
        assert session._client._sock.fileno() > 1023  # type: ignore[union-attr]
        with socket.create_connection(("127.0.0.1", broker.port)) as device:
            device.sendall(packet(0x10, b"\0\4MQTT\4\2\0\x3c\0\1d") + publish(b"meter/1", b"heard", 0))
            assert payloads(take(session, 1)) == ["heard"]
        session.stop()
    finally:
        for one in held:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_what_nobody_takes_stays_in_the_socket_and_the_connection_stays_too(
    new_mosquitto: NewMosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than the keep-alive: the broker hears our pings, though we do not read its answers."""
    monkeypatch.setattr("dutyroom.backends.mqtt.session.KEEPALIVE_S", 1)
    monkeypatch.setattr(bulk_reader, "READ", 2000)
    broker = new_mosquitto("max_inflight_messages 0\n")
    session = MqttSession(BrokerAddress("127.0.0.1", broker.port), "dutyroom-estate", SystemClock())
    session.waiting.most = 10
    session.start()
    until(lambda: session.subscriptions.settled, "subscribed")
    devices = MqttPublisher("127.0.0.1", broker.port)
    for number in range(200):
        devices.publish("meter/1", b"%d" % number + b"." * 90)
    until(lambda: session.waiting.full, "full")
    link = session._client.link
    time.sleep(4)  # a broker ends a silent connection after 1.5 s
    assert session.connected
    assert session._client.link is link
    assert session.waiting.count < 60
    seen: list[str] = []
    while len(seen) < 200:
        taken = session.take(5, 7)
        assert taken
        seen += [text.rstrip(".") for text in payloads(taken)]
        acknowledge(session, taken)
    assert seen == [str(number) for number in range(200)]
    devices.close()
    session.stop()
