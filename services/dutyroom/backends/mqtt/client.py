"""paho as we use it: its thread outlives what is no MQTT, and each connection is a `Link` of its own.

It keeps connecting, TLS, reconnecting and keep-alive. Here it also reads, by its own callbacks, with nothing
but its public interface; `bulk.py` reads in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from dutyroom.backends.mqtt.delivered import Delivered
from dutyroom.backends.mqtt.link import Link
from dutyroom.backends.mqtt.properties import Aliases
from dutyroom.backends.mqtt.splitter import topic_text
from dutyroom.backends.mqtt.waiting import Waiting
from dutyroom.model.telemetry import Message
from dutyroom.timebase import Clock

TWICE = b"\x02"  # behind the packet id of a message that came with QoS 2


class StockClient(paho.Client):
    """Reads as paho does: a callback for each message. five: MQTT 5 in place of 3.1.1. session: its name,
    for the messages."""

    on_broken: Callable[[Exception], bool]  # something that is no MQTT came; False = end

    def __init__(self, client_id: str, five: bool, waiting: Waiting, clock: Clock, session: str = "") -> None:
        version = MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=None if five else False,
            protocol=version,
            manual_ack=True,
        )
        self.waiting, self.clock, self.session = waiting, clock, session
        self.aliases = Aliases()
        self._delivered = Delivered()
        self.reason = ""  # why reading ended, where paho does not say
        self.link = Link(self.acknowledge)
        self.on_message = self._arrived

    def reconnect(self) -> MQTTErrorCode:
        """Whatever belonged to the connection before is over."""
        self.link.end()
        self.aliases.clear()
        self.link, self.reason = Link(self.acknowledge), ""
        return super().reconnect()

    def close(self) -> None:
        """For good, after its thread has ended: paho leaves its sockets to the garbage collector."""
        close = getattr(self, "_reset_sockets", None)
        if close is not None:
            close()

    def loop_forever(self, timeout: float = 1.0, retry_first_connection: bool = False) -> MQTTErrorCode:
        while True:
            try:
                return super().loop_forever(timeout, retry_first_connection)
            except Exception as err:
                if not self.on_broken(err):
                    return MQTTErrorCode.MQTT_ERR_PROTOCOL

    def _arrived(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = topic_text(bytes(message._topic))
        alias = getattr(message.properties, "TopicAlias", 0)
        if alias:
            topic = self.aliases.resolve(topic, alias)
        ident = message.mid.to_bytes(2, "big") if message.qos else b""
        if message.qos == 2:
            ident += TWICE
        payload = bytes(message.payload)
        self.make_room()
        came = Message(topic, payload, self.clock.now(), message.retain, message.dup, self.session, ident)
        self.put((ident,), (came,), len(payload))

    def put(self, ids: Sequence[bytes], messages: Sequence[Message], size: int) -> None:
        """For the flow to take, with the packet ids of this connection. size: bytes of all."""
        self.waiting.put(self.link, ids, self._delivered.told(ids, messages, size), size)

    def make_room(self) -> None:
        """Waits while too much waits to be taken: the socket, and then the broker, hold the rest."""
        self.waiting.room(None)

    def acknowledge(self, ids: Sequence[bytes]) -> None:
        for ident in ids:
            self.ack(int.from_bytes(ident[:2], "big"), 1 if len(ident) == 2 else 2)
