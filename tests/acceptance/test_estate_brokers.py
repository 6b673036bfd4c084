"""The estate at real brokers: gateways that die leave their wills, requests are played, load arrives."""

from __future__ import annotations

import itertools
import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from tests.busy import alone

from dutyroom_simulators.estate import INJECT_TOPIC, make_estate
from dutyroom_simulators.runner import Gateway, Runner
from dutyroom_simulators.scenarios import Record
from dutyroom_simulators.world import World

T0 = 1_795_564_800_000
DTU = "device/lakeside/status/D-dtu-1"
LORA = "eu868/gateway/24e124fffef00001/state/conn"
Heard = tuple[bytes, bool]  # payload, retained

_number = itertools.count()


class Ear:
    """Hears one topic as a new subscriber does: first what the broker has kept."""

    def __init__(self, host: str, port: int, topic: str) -> None:
        self._heard: queue.Queue[Heard] = queue.Queue()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"ear-{next(_number)}")
        self._client.on_connect = lambda c, *_: c.subscribe(topic, 1)
        ready = threading.Event()
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.on_message = lambda _c, _d, m: self._heard.put((bytes(m.payload), bool(m.retain)))
        self._client.connect(host, port)
        self._client.loop_start()
        assert ready.wait(10)

    def next(self, within_s: float = 10) -> Heard:
        return self._heard.get(timeout=within_s)

    def until(self, wanted: bytes) -> Heard:
        """The first that is said now; passes over what was kept from before."""
        while True:
            heard = self.next()
            if wanted in heard[0] and not heard[1]:
                return heard

    def nothing(self, for_s: float) -> bool:
        try:
            return self._heard.get(timeout=for_s) is None
        except queue.Empty:
            return True

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture(params=["embedded_broker", "mosquitto"])
def broker(request: pytest.FixtureRequest) -> tuple[str, int]:
    found: Any = request.getfixturevalue(request.param)
    return found.host, found.port


@pytest.fixture
def ear(broker: tuple[str, int]) -> Iterator[Callable[[str], Ear]]:
    made: list[Ear] = []

    def listen(topic: str) -> Ear:
        made.append(Ear(*broker, topic))
        return made[-1]

    yield listen
    for one in made:
        one.close()


@pytest.mark.parametrize(
    ("name", "topic", "birth", "will"),
    [
        ("D-dtu-1", DTU, b"online", b"offline"),
        (
            "lora-gateway",
            LORA,
            b'{"gatewayId":"24e124fffef00001","state":"ONLINE"}',
            b'{"gatewayId":"24e124fffef00001","state":"OFFLINE"}',
        ),
    ],
)
def test_a_gateway_that_dies_leaves_its_will_with_the_broker(
    name: str, topic: str, birth: bytes, will: bytes, broker: tuple[str, int], ear: Callable[[str], Ear]
) -> None:
    gateway = Gateway(*broker, make_estate(7, 24).device(name))
    watching = ear(topic)
    gateway.follow(True)
    assert watching.until(birth) == (birth, False)
    gateway.follow(False)  # no word of farewell: the socket is gone
    assert watching.until(will) == (will, False)
    assert ear(topic).next() == (will, True)  # whoever comes later is told so too
    gateway.follow(True)
    assert watching.until(birth) == (birth, False)
    gateway.leave()


def test_gateways_that_die_together_hold_up_nobody(broker: tuple[str, int]) -> None:
    """What the feeders say of a power cut waits for no gateway's session to end."""
    devices = make_estate(7, 480).of_kind("dtu")
    gateways = [Gateway(*broker, device) for device in devices]
    for gateway in gateways:
        gateway.follow(True)
    time.sleep(1)
    began = time.monotonic()
    for gateway in gateways:
        gateway.follow(False)
    assert len(gateways) > 1
    assert alone(time.monotonic() - began) < 0.5


def test_an_orderly_end_is_no_death(broker: tuple[str, int], ear: Callable[[str], Ear]) -> None:
    gateway = Gateway(*broker, make_estate(7, 24).device("D-dtu-1"))
    watching = ear(DTU)
    gateway.follow(True)
    watching.until(b"online")
    gateway.leave()
    assert watching.nothing(1.5)
    assert ear(DTU).next() == (b"online", True)


class Hurried:
    """Sixty times as fast as the machine."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    def now(self) -> int:
        return T0 + round((time.monotonic() - self._begun) * 60_000)


def test_a_running_estate_plays_what_it_is_asked_over_the_broker(
    broker: tuple[str, int], ear: Callable[[str], Ear]
) -> None:
    """Its gateway dies for some minutes, and the broker says it; then it is back."""
    world = World(make_estate(7, 24), Record(), T0, wills=False)
    runner = Runner(world, *broker, Hurried(), by_itself=False)
    thread = threading.Thread(target=runner.run)
    thread.start()
    try:
        watching, readings = ear(DTU), ear("neuron/dutyroom/fire/panel-1")
        assert watching.next()[0] in (b"online", b"offline")  # said now, or kept
        assert b'"alarm"' in readings.next()[0]
        asker = paho.Client(CallbackAPIVersion.VERSION2)
        asker.connect(*broker)
        asker.loop_start()
        asker.publish(INJECT_TOPIC, b'{"scenario": "gateway_offline"}', qos=1).wait_for_publish(5)
        asker.disconnect()
        asker.loop_stop()
        assert watching.until(b"offline") == (b"offline", False)
        assert watching.until(b"online") == (b"online", False)
        assert [i.scenario for i in world.record.injections] == ["gateway_offline"]
    finally:
        runner.stop.set()
        thread.join(10)
    assert not thread.is_alive()


def test_load_arrives_whole_and_says_its_rate(broker: tuple[str, int], ear: Callable[[str], Ear]) -> None:
    listening = ear("wmbusmeters/+")
    host, port = broker
    load = ["--devices", "50", "--rate", "400", "--seconds", "0.5"]
    command = [
        sys.executable,
        "-m",
        "dutyroom_simulators",
        "load",
        *load,
        "--host",
        host,
        "--port",
        str(port),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith("200 messages in ")
    bodies = [json.loads(listening.next()[0]) for _ in range(200)]
    assert {body["id"] for body in bodies} == {str(10_000_000 + n) for n in range(50)}
    assert sorted({body["total_m3"] for body in bodies}) == [0.0, 0.001, 0.002, 0.003]
    assert listening.nothing(0.3)
