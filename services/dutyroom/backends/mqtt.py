"""The broker session of a site by paho: messages out, acknowledgements in, nothing decided.

Persistent session (clean_session False), QoS 1, manual acknowledgement: paho's thread only queues;
the ingest flow takes, commits and then acknowledges. This is the seam for a faster reader.

What brokers differ in: Mosquitto marks a message delivered again as a duplicate and keeps sessions
on disk; the embedded one marks nothing, holds sessions in memory only, and ends a connection whose
acknowledgements come twice or out of order, with what was not acknowledged in it.
"""

from __future__ import annotations

import contextlib
import random
import ssl
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as paho
import structlog
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from dutyroom.errors import Rejected, Unavailable
from dutyroom.model.telemetry import Message
from dutyroom.site import BrokerAddress
from dutyroom.timebase import Clock

log = structlog.get_logger(__name__)

# Beyond either paho's thread waits, so the socket and then the broker hold the rest.
_QUEUE = 20_000  # messages
_QUEUE_BYTES = 64 * 1024 * 1024
_TOGETHER_S = 0.01  # what comes this soon after the first is taken with it
_REFUSED = 0x80  # a SUBACK code of this or more


@dataclass(frozen=True, slots=True)
class Token:
    """What acknowledges one message: valid only in the connection it came in."""

    mid: int
    qos: int
    connection: int


class _Waiting:
    """Messages between paho's thread and the flow, bounded by number and by bytes."""

    def __init__(self, messages: int = _QUEUE, size: int = _QUEUE_BYTES) -> None:
        self._most, self._most_bytes = messages, size
        self._items: deque[tuple[Token, Message]] = deque()
        self._bytes = 0
        self._closed = False
        self._changed = threading.Condition()

    def put(self, token: Token, message: Message) -> None:
        """Waits while it is full. One message of any size always finds room in an empty one."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._full())
            if not self._closed:
                self._items.append((token, message))
                self._bytes += len(message.payload)
                self._changed.notify_all()

    def _full(self) -> bool:
        return len(self._items) >= self._most or (self._bytes >= self._most_bytes and bool(self._items))

    def take(self, timeout_s: float, limit: int) -> list[tuple[Token, Message]]:
        with self._changed:
            if not self._changed.wait_for(lambda: bool(self._items), timeout_s):
                return []
        if len(self._items) < limit:
            time.sleep(_TOGETHER_S)
        with self._changed:
            taken = [self._items.popleft() for _ in range(min(limit, len(self._items)))]
            self._bytes -= sum(len(message.payload) for _, message in taken)
            self._changed.notify_all()
        return taken

    def close(self) -> None:
        """What waits is the broker's again, who delivers it once more; nobody is held up any longer."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._bytes = 0
            self._changed.notify_all()


class _Client(paho.Client):
    """paho, whose thread outlives what a packet that is none raises in it."""

    on_broken: Callable[[Exception], bool]  # False = end

    def loop_forever(self, timeout: float = 1.0, retry_first_connection: bool = False) -> MQTTErrorCode:
        while True:
            try:
                return super().loop_forever(timeout, retry_first_connection)
            except Exception as err:
                if not self.on_broken(err):
                    return MQTTErrorCode.MQTT_ERR_PROTOCOL


class MqttSession:
    """One persistent session of a site. See `interfaces.Inbound`.

    Raises Rejected when the password or the certificates cannot be read.
    """

    def __init__(self, address: BrokerAddress, client_id: str, clock: Clock) -> None:
        self._address, self._clock = address, clock
        self._topics = address.topics
        self._asked: dict[int, tuple[str, ...]] = {}  # subscriptions not answered yet, by their number
        self._asking = threading.Lock()  # the answer may come before the number is written down
        self._name = f"broker {address.host}:{address.port}"
        self._waiting = _Waiting()
        self._connection = 0
        self._turn = threading.Lock()  # between an acknowledgement and the end of its connection
        self._connected = threading.Event()
        self._stopping = threading.Event()
        self.refused = ""  # why we are not let in, or not to all topics; "" = fine
        self._client = _Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=False, manual_ack=True
        )
        self._client.max_inflight_messages_set(0)
        # Jitter: many sites restarted together must not knock at once.
        self._client.reconnect_delay_set(random.randint(1, 3), 30)
        self._secure(address)
        self._client.on_connect = self._connected_now
        self._client.on_connect_fail = self._not_reached
        self._client.on_subscribe = self._subscribed
        self._client.on_disconnect = self._disconnected_now
        self._client.on_message = self._arrived
        self._client.on_broken = self._broken

    def _secure(self, address: BrokerAddress) -> None:
        if address.username:
            self._client.username_pw_set(address.username, self._password(address.password_file))
        if address.tls:
            try:
                self._client.tls_set(ca_certs=address.ca_file or None)
            except (OSError, ValueError) as err:
                raise Rejected(
                    f"{self._name}: the certificates in {address.ca_file} cannot be used: {err}"
                ) from err

    def _password(self, file: str) -> str | None:
        if not file:
            return None
        try:
            return Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as err:
            raise Rejected(f"{self._name}: the password cannot be read from {file}: {err}") from err

    def start(self) -> None:
        """Connects in the background and goes on trying; never blocks."""
        try:
            self._client.connect_async(self._address.host, self._address.port, keepalive=30)
            self._client.loop_start()
        except (OSError, ValueError) as err:
            raise Unavailable(f"{self._name}: {err}") from err

    def stop(self) -> None:
        """Leaves without ending the persistent session; the broker keeps what comes."""
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._client.disconnect()
        self._waiting.close()
        self._client.loop_stop()
        self._connected.clear()

    def extend(self, topics: Iterable[str]) -> tuple[str, ...]:
        """Subscribes to these as well, in the session at hand; returns those that were not covered.

        What another filter covers is left out: a broker would deliver it twice.
        """
        with self._turn:
            known = list(self._topics)
            for topic in sorted(set(topics), key=lambda t: (t.count("/"), t)):
                if not any(covers(one, topic) for one in known):
                    known.append(topic)
            fresh = tuple(known[len(self._topics) :])
            self._topics = tuple(known)
        if fresh and self._connected.is_set():
            self._subscribe(self._client, fresh)
        return fresh

    def _subscribe(self, client: paho.Client, topics: tuple[str, ...]) -> None:
        with self._asking:
            _, number = client.subscribe([(topic, 1) for topic in topics])
            if number is not None:
                self._asked[number] = topics

    @property
    def connected(self) -> bool:
        return self._connected.is_set()

    # ------------------------------------------------------------ in paho's thread

    def _connected_now(
        self, client: paho.Client, _data: object, _flags: object, code: ReasonCode, _p: object
    ) -> None:
        if code.is_failure:
            self._say_refused(f"does not let us in: {code}{self._hint(str(code))}")
            return
        self._say_refused("")
        self._asked.clear()
        self._connected.set()  # first: what `extend` adds from now on is asked for by itself
        self._subscribe(client, self._topics)
        log.info("broker.connected", broker=self._name)

    def _hint(self, code: str) -> str:
        if code not in ("Not authorized", "Bad user name or password"):
            return ""
        if not self._address.username:
            return " (the site names no username and password_file)"
        return f" (user name {self._address.username!r} with the password of {self._address.password_file})"

    def _not_reached(self, _client: object, _data: object) -> None:
        # paho calls this while it handles the error and does not hand it over.
        err = sys.exc_info()[1]
        if isinstance(err, ssl.SSLCertVerificationError):
            self._say_refused(f"shows a certificate that is not trusted: {err.verify_message}")
        else:
            hint = " (by TLS: does that port speak it?)" if self._address.tls else ""
            self._say_refused(f"cannot be reached: {err}{hint}")

    def _subscribed(
        self, _client: object, _data: object, number: int, codes: list[ReasonCode], _p: object
    ) -> None:
        with self._asking:
            topics = self._asked.pop(number, self._topics)
        refused = [topic for topic, code in zip(topics, codes, strict=False) if code.value >= _REFUSED]
        if refused:
            self._say_refused(f"does not allow us to read {', '.join(refused)}")

    def _disconnected_now(
        self, _client: object, _data: object, _flags: object, code: object, _p: object
    ) -> None:
        self._ended()
        log.info("broker.disconnected", broker=self._name, reason=str(code))

    def _broken(self, err: Exception) -> bool:
        """Something that is no MQTT came: the connection is made anew, after a pause."""
        self._ended()
        self._say_refused(f"sends what is no MQTT: {err!r}")
        if self._stopping.wait(random.uniform(1, 3)):
            return False
        self._client.connect_async(self._address.host, self._address.port, keepalive=30)
        return True

    def _ended(self) -> None:
        self._connected.clear()
        with self._turn:
            self._connection += 1

    def _say_refused(self, reason: str) -> None:
        """Once for each change, not once a try."""
        said = f"{self._name} {reason}" if reason else ""
        if said and said != self.refused:
            log.error("broker.refused", reason=said)
        self.refused = said

    def _arrived(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        token = Token(message.mid, message.qos, self._connection)
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = bytes(message._topic).decode("utf-8", "backslashreplace")
        payload = bytes(message.payload)
        self._waiting.put(token, Message(topic, payload, self._clock.now(), message.retain, message.dup))

    # ------------------------------------------------------------ in the flow's thread

    def take(self, timeout_s: float, limit: int) -> Sequence[tuple[object, Message]]:
        return self._waiting.take(timeout_s, limit)

    def acknowledge(self, tokens: Sequence[object]) -> None:
        # A token of an earlier connection means nothing to the broker now: it will deliver again.
        with self._turn:
            for token in tokens:
                if isinstance(token, Token) and token.qos and token.connection == self._connection:
                    self._client.ack(token.mid, token.qos)


def covers(wide: str, narrow: str) -> bool:
    """Whether a filter matches every topic that another one matches."""
    own, other = wide.split("/"), narrow.split("/")
    if own[0] in ("#", "+") and other[0].startswith("$"):
        return False
    for place, level in enumerate(own):
        if level == "#":
            return True
        if place >= len(other) or other[place] == "#" or (level != "+" and level != other[place]):
            return False
    return len(own) == len(other)


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
