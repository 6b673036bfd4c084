"""The estate on a broker: publishes by the estate's clock, and listens for scenarios to play."""

from __future__ import annotations

import contextlib
import json
import queue
import threading

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from dutyroom_simulators.clock import ScaledClock
from dutyroom_simulators.estate import INJECT_TOPIC, SimDevice
from dutyroom_simulators.scenarios import BY_ITSELF, LATER, MINUTE
from dutyroom_simulators.world import World, status_of

_TURN_S = 0.2
_EVERY = 25 * MINUTE  # between the scenarios that play later


class Gateway:
    """A gateway's own session: a birth message, and a last will that the broker speaks."""

    def __init__(self, host: str, port: int, device: SimDevice) -> None:
        self._host, self._port, self._device = host, port, device
        self._client: paho.Client | None = None
        self._dying: threading.Thread | None = None

    def follow(self, alive: bool) -> None:
        """Connects when it lives; when it dies, its socket just closes."""
        if alive and self._client is None:
            self._connect()
        elif not alive and self._client is not None:
            client, self._client = self._client, None
            # Its loop takes up to a second to end: nine gateways that die of one power cut must
            # not hold up what the feeders say for nine.
            self._dying = threading.Thread(target=_die, args=(client,), daemon=True)
            self._dying.start()

    def _connect(self) -> None:
        if self._dying is not None:
            self._dying.join()  # its last will comes before its birth
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"sim-{self._device.id}")
        topic, will = status_of(self._device, False)
        client.will_set(topic, will, qos=1, retain=True)
        birth = status_of(self._device, True)

        def connected(c: paho.Client, *_: object) -> None:
            c.publish(*birth, qos=1, retain=True)

        client.on_connect = connected
        client.reconnect_delay_set(1, 5)
        client.connect_async(self._host, self._port, keepalive=10)
        client.loop_start()
        self._client = client

    def leave(self) -> None:
        """An orderly end: no last will."""
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()


def _die(client: paho.Client) -> None:
    client.loop_stop()
    sock = client.socket()
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.close()


class Runner:
    """Runs until `stop` is set. Survives a broker that goes away and comes back."""

    def __init__(self, world: World, host: str, port: int, clock: ScaledClock, by_itself: bool) -> None:
        self._world, self._clock, self._by_itself = world, clock, by_itself
        self._wanted: queue.Queue[bytes] = queue.Queue()
        self.stop = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="sim-estate")
        self._client.max_inflight_messages_set(200)
        self._client.reconnect_delay_set(1, 5)
        self._client.on_connect = lambda c, *_: c.subscribe(INJECT_TOPIC, 1)
        self._client.on_message = lambda _c, _d, message: self._wanted.put(bytes(message.payload))
        self._client.connect_async(host, port, keepalive=20)
        self._gateways = [(d, Gateway(host, port, d)) for d, _ in world.gateways(clock.now())]

    def run(self) -> None:
        self._client.loop_start()
        started = self._clock.now()
        plan = [(started + s * 1000, name) for s, name in BY_ITSELF] if self._by_itself else []
        played = 0
        while not self.stop.is_set():
            now = self._clock.now()
            while plan and plan[0][0] <= now:
                self._by_plan(plan.pop(0)[1], now)
            if self._by_itself and not plan and (now - started) // _EVERY > played:
                self._by_plan(LATER[played % len(LATER)], now)
                played += 1
            self._asked(now)
            self._publish(now)
            self.stop.wait(_TURN_S)
        for _, gateway in self._gateways:
            gateway.leave()
        self._client.disconnect()
        self._client.loop_stop()

    def _publish(self, now: int) -> None:
        for device, gateway in self._gateways:
            gateway.follow(self._world.alive(device, now))
        for p in self._world.step(now):
            self._client.publish(p.topic, p.payload, qos=1, retain=p.retain)

    def _by_plan(self, scenario: str, now: int) -> None:
        """What a person is playing already is left to them."""
        with contextlib.suppress(ValueError):
            self._world.inject(scenario, now)

    def _asked(self, now: int) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._play(self._wanted.get_nowait(), now)

    def _play(self, body: bytes, now: int) -> None:
        """{"scenario": name, "options": {name: value}}; what cannot be played is said why."""
        try:
            asked = json.loads(body)
            if not isinstance(asked, dict) or not isinstance(asked.get("scenario"), str):
                raise ValueError('expected {"scenario": name, "options": {...}}')
            options = asked.get("options") or {}
            if not isinstance(options, dict):
                raise ValueError("options: expected names and values")
            self._world.inject(asked["scenario"], now, {str(k): str(v) for k, v in options.items()})
        except ValueError as err:
            print(f"cannot play that: {err}", flush=True)
