"""Publishes as a device would: replay, injections, self-tests."""

from __future__ import annotations

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from dutyroom.errors import Unavailable


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
