"""The broker session of a site by paho: messages out, acknowledgements in, nothing decided.

Persistent session (clean_session False), QoS 1, manual acknowledgement: paho's thread only queues;
the ingest flow takes, commits and then acknowledges. This is the seam for a faster reader.
"""

from __future__ import annotations

import contextlib
import queue
import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import paho.mqtt.client as paho
import structlog
from paho.mqtt.enums import CallbackAPIVersion

from dutyroom.errors import Unavailable
from dutyroom.model.telemetry import Message
from dutyroom.site import BrokerAddress
from dutyroom.timebase import Clock

log = structlog.get_logger(__name__)

_QUEUE = 20_000  # beyond it paho's thread waits, so the socket and then the broker hold the rest


@dataclass(frozen=True, slots=True)
class Token:
    """What acknowledges one message: valid only in the connection it came in."""

    mid: int
    qos: int
    connection: int


class MqttSession:
    """One persistent session of a site. See `interfaces.Inbound`."""

    def __init__(self, address: BrokerAddress, client_id: str, clock: Clock) -> None:
        self._address, self._clock = address, clock
        self._queue: queue.Queue[tuple[Token, Message]] = queue.Queue(_QUEUE)
        self._connection = 0
        self._connected = threading.Event()
        self.refused = ""  # why the broker did not let us in
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=False, manual_ack=True
        )
        self._client.max_inflight_messages_set(0)
        # Jitter: many sites restarted together must not knock at once.
        self._client.reconnect_delay_set(random.randint(1, 3), 30)
        self._secure(address)
        self._client.on_connect = self._connected_now
        self._client.on_disconnect = self._disconnected_now
        self._client.on_message = self._arrived

    def _secure(self, address: BrokerAddress) -> None:
        if address.username:
            password = None
            if address.password_file:
                with open(address.password_file, encoding="utf-8") as file:  # noqa: PTH123 - a plain read
                    password = file.read().strip()
            self._client.username_pw_set(address.username, password)
        if address.tls:
            self._client.tls_set(ca_certs=address.ca_file or None)

    def start(self) -> None:
        """Connects in the background and goes on trying; never blocks."""
        try:
            self._client.connect_async(self._address.host, self._address.port, keepalive=30)
            self._client.loop_start()
        except (OSError, ValueError) as err:
            raise Unavailable(f"broker {self._address.host}:{self._address.port}: {err}") from err

    def stop(self) -> None:
        """Leaves without ending the persistent session; the broker keeps what comes."""
        with contextlib.suppress(OSError):
            self._client.disconnect()
        self._drain()
        self._client.loop_stop()

    def _drain(self) -> None:
        """Unacknowledged messages are the broker's again; paho's thread must not block on us."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._queue.get_nowait()

    @property
    def connected(self) -> bool:
        return self._connected.is_set()

    def _connected_now(
        self, client: paho.Client, _data: object, _flags: object, code: object, _p: object
    ) -> None:
        if getattr(code, "is_failure", False):
            self.refused = str(code)
            log.warning("broker.refused", broker=self._address.host, reason=self.refused)
            return
        self.refused = ""
        self._connection += 1
        client.subscribe([(topic, 1) for topic in self._address.topics])
        self._connected.set()
        log.info("broker.connected", broker=f"{self._address.host}:{self._address.port}")

    def _disconnected_now(self, _c: object, _data: object, _flags: object, code: object, _p: object) -> None:
        self._connected.clear()
        log.info("broker.disconnected", reason=str(code))

    def _arrived(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        token = Token(message.mid, message.qos, self._connection)
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = bytes(message._topic).decode("utf-8", "backslashreplace")
        self._queue.put(
            (token, Message(topic, bytes(message.payload), self._clock.now(), message.retain, message.dup))
        )

    def take(self, timeout_s: float, limit: int) -> Sequence[tuple[object, Message]]:
        try:
            taken = [self._queue.get(timeout=timeout_s)]
        except queue.Empty:
            return []
        with contextlib.suppress(queue.Empty):
            while len(taken) < limit:
                taken.append(self._queue.get(timeout=0.01) if len(taken) < 2 else self._queue.get_nowait())
        return taken

    def acknowledge(self, tokens: Sequence[object]) -> None:
        # A token of an earlier connection means nothing to the broker now: it will deliver again.
        for token in tokens:
            if isinstance(token, Token) and token.qos and token.connection == self._connection:
                self._client.ack(token.mid, token.qos)


class MqttPublisher:
    """Publishes and waits for the broker's acknowledgement: replay, injections, self-tests."""

    def __init__(self, host: str, port: int, client_id: str = "") -> None:
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id)
        self._client.max_inflight_messages_set(100)
        try:
            self._client.connect(host, port, keepalive=30)
        except OSError as err:
            raise Unavailable(f"broker {host}:{port}: {err}") from err
        self._client.loop_start()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False, timeout_s: float = 10) -> None:
        """QoS 1. Raises Unavailable when the broker does not confirm in time."""
        try:
            info = self._client.publish(topic, payload, qos=1, retain=retain)
            info.wait_for_publish(timeout_s)
        except (ValueError, RuntimeError) as err:
            raise Unavailable(f"could not publish on {topic}: {err}") from err
        if not info.is_published():
            raise Unavailable(f"the broker did not confirm {topic} within {timeout_s} s")

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
