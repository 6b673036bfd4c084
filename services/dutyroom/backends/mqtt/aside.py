"""A connection beside a site's sessions, for messages of our own: what is not let through is not kept."""

from __future__ import annotations

import contextlib
import threading

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from dutyroom.backends.mqtt.security import name_of, read_again, secret, tls_context
from dutyroom.errors import Rejected, Unavailable
from dutyroom.site import BrokerAddress

_KEEPALIVE_S = 30
_LONGEST_PAUSE_S = 10  # between two tries to connect; the library's own are up to two minutes
_TAKEN_S = 5.0  # within which the broker must say that it has a message


class MqttAside:
    """Connects with the first message and stays. Raises Rejected for a password or certificate that cannot be
    read. publish raises Unavailable."""

    def __init__(self, address: BrokerAddress, client_id: str) -> None:
        self._address, self._name = address, name_of(address)
        version = MQTTProtocolVersion.MQTTv5 if address.version == "5" else MQTTProtocolVersion.MQTTv311
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=version)
        self._client.reconnect_delay_set(1, _LONGEST_PAUSE_S)
        if address.username:
            self._client.username_pw_set(address.username, secret(address.password_file, self._name))
        self._tls = tls_context(address)
        if self._tls is not None:
            self._client.tls_set_context(self._tls)
        self._client.on_connect_fail = self._client.on_disconnect = self._read_again
        self._lock, self._started = threading.Lock(), False

    def publish(self, topic: str, payload: bytes) -> None:
        """QoS 1."""
        try:
            self._start()
            if not self._client.is_connected():
                raise Unavailable(f"{self._name} is not connected")
            info = self._client.publish(topic, payload, qos=1)
            info.wait_for_publish(_TAKEN_S)
        except (OSError, ValueError, RuntimeError) as err:
            raise Unavailable(f"{self._name}: {err}") from err
        if not info.is_published():
            raise Unavailable(f"{self._name} did not take {topic} within {_TAKEN_S:g} s")

    def _start(self) -> None:
        with self._lock:
            if not self._started:
                self._read_again()
                self._client.connect(self._address.host, self._address.port, keepalive=_KEEPALIVE_S)
                self._client.loop_start()
                self._started = True
                for _ in range(50):
                    if self._client.is_connected():
                        return
                    threading.Event().wait(0.1)

    def _read_again(self, *_: object) -> None:
        """Also when the broker has refused us. What cannot be read now is said by the site's sessions."""
        with contextlib.suppress(Rejected):
            read_again(self._client, self._address, self._tls)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._client.disconnect()
        if self._started:
            self._client.loop_stop()
