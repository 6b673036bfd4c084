"""A client for trying a broker: each step waits for the broker's answer."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.client import MQTT_LOG_ERR, ConnectFlags
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from dutyroom.backends.mqtt.refusals import ended_early, not_reached
from dutyroom.backends.mqtt.security import name_of, secret, tls_context
from dutyroom.errors import Unavailable
from dutyroom.site import BrokerAddress

_ANSWER_S = 10.0
_QUIET_S = 0.5  # nothing more comes by itself
_PAUSE_S = 0.25  # ... before we acknowledge what came
_PAUSES = 3
_LASTS_S = 300  # MQTT 5: the session ends by itself, should we not come to end it
_VERSION = "$SYS/broker/version"


class NotAllowed(Exception):
    """The broker refuses a step; the text says which."""


class OneSession(Exception):
    """The broker takes all connections of a user for one client, whatever they call themselves."""


class Probe:
    """lasting: its session outlives its connection. Raises Rejected as `MqttSession` does."""

    def __init__(self, address: BrokerAddress, client_id: str, lasting: bool) -> None:
        self._address, self._id, self._lasting = address, client_id, lasting
        self._name = name_of(address)
        self._tls = tls_context(address)
        self._password = secret(address.password_file, self._name)
        self._client: paho.Client | None = None
        self._unanswered: list[tuple[int, int]] = []  # packet ids of messages that we have not acknowledged
        self._ended = threading.Event()  # the broker hung up
        self._known = False  # the broker has, or had, a session of ours
        self._software = ""
        self._came = 0
        self.ahead = 0  # the most messages that came before we acknowledged them together
        self.had_retained = False

    def connect(self, clean: bool = False) -> bool:
        """Whether the broker had its session. Raises NotAllowed or Unavailable."""
        five = self._address.version == "5"
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._id,
            clean_session=None if five else (clean or not self._lasting),
            protocol=MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        if self._address.username:
            client.username_pw_set(self._address.username, self._password)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        client.max_inflight_messages_set(100)
        client.on_message = self._arrived
        answers: list[tuple[ConnectFlags, ReasonCode]] = []
        client.on_connect = lambda _c, _d, flags, code, _p: answers.append((flags, code))
        client.on_disconnect = lambda *_: self._ended.set()
        errors: list[str] = []  # paho tells nowhere else why a line ended
        client.on_log = lambda _c, _d, level, text: errors.append(text) if level == MQTT_LOG_ERR else None
        self._unanswered.clear()
        self._ended.clear()
        try:
            client.connect(self._address.host, self._address.port, 30, **self._wishes(five, clean))
        except (OSError, ValueError) as err:
            raise Unavailable(f"it {not_reached(self._address, err)}") from err
        self._client = client
        client.loop_start()
        self._wait(lambda: bool(answers) or self._ended.is_set(), "it did not let us in")
        if not answers:
            reason = " ".join(errors).removeprefix("failed to receive on socket: ")
            raise Unavailable(f"it {ended_early(self._address, reason)}")
        flags, code = answers[0]
        if code.is_failure:
            raise NotAllowed(f"it does not let us in: {code}")
        self._known = True
        return bool(flags.session_present)

    def _wishes(self, five: bool, clean: bool) -> dict[str, Any]:
        if not five:
            return {}
        wishes = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        wishes.SessionExpiryInterval = _LASTS_S if self._lasting and not clean else 0
        return {"clean_start": clean or not self._lasting, "properties": wishes}

    def subscribe(self, topic: str) -> int:
        """The QoS granted. Raises NotAllowed."""
        client = self._own()
        codes: list[ReasonCode] = []
        client.on_subscribe = lambda _c, _d, _n, given, _p: codes.extend(given)
        client.subscribe(topic, 1)
        self._wait(lambda: bool(codes), f"it did not answer our request to read {topic}")
        if codes[0].value >= 0x80:
            raise NotAllowed(f"it does not let us read {topic}")
        return int(codes[0].value)

    def software(self) -> str:
        """What Mosquitto says of itself; "" for others."""
        self._own().on_subscribe = None
        self._own().subscribe(_VERSION, 0)
        deadline = time.monotonic() + _QUIET_S
        while not self._software and time.monotonic() < deadline:
            time.sleep(0.02)
        self._own().unsubscribe(_VERSION)
        return self._software

    def publish(self, messages: Sequence[tuple[str, bytes]], retain: bool = False) -> None:
        """QoS 1. Raises Unavailable unless the broker confirms all."""
        client = self._own()
        left = [client.publish(topic, payload, 1, retain) for topic, payload in messages]
        try:
            self._wait(left[-1].is_published, "it did not confirm what we published")
        except (ValueError, RuntimeError) as err:  # it has ended the connection in the middle of them
            raise Unavailable("it did not confirm what we published") from err

    def take_all(self, most: int) -> int:
        """Acknowledges what has come each hundredth of a second, as an ingest does, until nothing comes any
        more; returns how many came in all. The first times it waits until the broker sends no more without an
        acknowledgement: on a slow machine a hundredth of a second says nothing of the broker's limit. And not
        only once: Mosquitto 2.0 sends 20 to who comes back, and after the first acknowledgement all it has."""
        self._came = self.ahead = 0
        for _ in range(_PAUSES):
            self._wait_for_pause(most - self._came)
            self._answer()
        since = time.monotonic()
        while self._came < most and time.monotonic() - since < 2 * _QUIET_S:
            time.sleep(0.01)
            if self._unanswered:
                since = time.monotonic()
                self._answer()
        return self._came

    def _wait_for_pause(self, most: int) -> None:
        before, since = 0, time.monotonic()
        while before < most and time.monotonic() - since < (_PAUSE_S if before else 2 * _QUIET_S):
            time.sleep(0.01)
            if len(self._unanswered) > before:
                before, since = len(self._unanswered), time.monotonic()

    def _answer(self) -> None:
        together = len(self._unanswered)
        self.ahead = max(self.ahead, together)
        for _ in range(together):
            self._own().ack(*self._unanswered.pop(0))
        self._came += together

    @property
    def thrown_out(self) -> bool:
        """The broker ended the connection."""
        return self._ended.is_set()

    def leave(self) -> None:
        """The session stays where it is a lasting one."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(OSError):
                client.disconnect()
            client.loop_stop()

    def forget(self) -> None:
        """Ends the session at the broker, with all that waits in it."""
        self.leave()
        if self._known:
            with contextlib.suppress(NotAllowed, Unavailable):
                self.connect(clean=True)
            self.leave()

    def _arrived(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        if message.topic == _VERSION:
            self._software = message.payload.decode(errors="replace")[:80]
            return
        if message.topic.endswith("/retained"):
            self.had_retained |= message.retain
            if (
                self._client is not None
            ):  # else it has been left, and what is on its way is the broker's again
                self._client.ack(message.mid, message.qos)
            return
        self._unanswered.append((message.mid, message.qos))

    def _own(self) -> paho.Client:
        if self._client is None:
            raise Unavailable("the connection ended")
        return self._client

    def _wait(self, true: Callable[[], bool], failure: str) -> None:
        deadline = time.monotonic() + _ANSWER_S
        while not true():
            if self._ended.wait(0.01) and not true():
                raise Unavailable(f"{failure}; it ended the connection")
            if time.monotonic() > deadline:
                raise Unavailable(failure)
