"""Records what a Mosquitto sends, for `test_reader.py`: `python -m tests.contract.record_streams`."""

from __future__ import annotations

import socket
import tempfile
import time
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from tests.contract.mqtt_streams import packet, text
from tests.servers.mosquitto import Mosquitto

from dutyroom.backends.mqtt.splitter import Packet, packet_at

TARGET = Path(__file__).parents[1] / "data" / "mqtt"


def publish_all(port: int) -> None:
    """A dozen messages of all kinds, with properties."""
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.connect("127.0.0.1", port)
    client.loop_start()
    for number in range(12):
        properties = Properties(PacketTypes.PUBLISH)
        if number % 3 == 1:
            properties.MessageExpiryInterval = 3600
            properties.UserProperty = ("unit", "m3")
        if number % 3 == 2:
            properties.ContentType = "application/json"
            properties.ResponseTopic = "answers/1"
            properties.CorrelationData = b"\x00\x01"
        payload = b'{"id":%d,"v":%d}' % (number, number * 7) + b"." * (number * 30)
        topic = ("meter/1", "A 栋/水表/2", "gate/3")[number % 3]
        client.publish(topic, payload, number % 3, number == 11, properties).wait_for_publish(5)
    client.disconnect()
    client.loop_stop()


def listen(port: int, version: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    five = version == 5
    body = (
        text(b"MQTT") + bytes([version, 2, 0, 60]) + (b"\0" if five else b"") + text(b"recorder%d" % version)
    )
    connection.sendall(packet(0x10, body))
    topic = text(b"#") + b"\2"
    connection.sendall(packet(0x82, b"\0\1" + (b"\x02\x0b\x07" if five else b"") + topic) + b"\xc0\0")
    return connection


def record(connection: socket.socket) -> bytes:
    """All until nothing comes for half a second; QoS 2 is answered, for else nothing comes after it."""
    connection.settimeout(0.5)
    stream, pos = b"", 0
    while True:
        try:
            piece = connection.recv(65536)
        except TimeoutError:
            return stream
        if not piece:
            raise ConnectionError("the broker hung up")
        stream += piece
        while isinstance(found := packet_at(stream, pos), Packet):
            body = stream[found.start : found.stop]
            if found.command & 0xF6 == 0x34:
                place = 2 + int.from_bytes(body[:2], "big")
                connection.sendall(packet(0x50, body[place : place + 2]))
            elif found.command == 0x62:
                connection.sendall(packet(0x70, body[:2]))
            pos = found.stop


def main() -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for version, name in ((4, "3.1.1"), (5, "5")):
            broker = Mosquitto(Path(folder) / name)
            broker.start()
            retained = paho.Client(CallbackAPIVersion.VERSION2)
            retained.connect("127.0.0.1", broker.port)
            retained.loop_start()
            retained.publish("gateway/1/status", b"online", 1, True).wait_for_publish(5)
            retained.disconnect()
            retained.loop_stop()
            connection = listen(broker.port, version)
            time.sleep(0.3)
            publish_all(broker.port)
            stream = record(connection)
            connection.close()
            broker.stop()
            (TARGET / f"mosquitto-{name}.bin").write_bytes(stream)
            print(name, len(stream), "bytes")


if __name__ == "__main__":
    main()
