"""Thousands of devices that come back at once: `python -m tests.contract.storm --devices 5000`.

Each has its connection, keeps a session, and publishes one reading when it is let in; the broker is killed
and started again under them, and all come back within the same second, our session among them.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.contract.mqtt_streams import packet, publish, text
from tests.servers.mosquitto import Mosquitto

from dutyroom.backends.clock import SystemClock
from dutyroom.backends.mqtt import MqttSession
from dutyroom.backends.mqtt.link import Link
from dutyroom.model.telemetry import Message
from dutyroom.site import BrokerAddress


@dataclass(frozen=True, slots=True)
class Storm:
    """seconds: until our session has what all devices said after the restart."""

    devices: int
    seconds: float
    connections: int  # of our session, the first among them
    first: int  # readings that came before the restart
    again: int  # different ones that came after it


class Device:
    """One connection, told what to say."""

    def __init__(self, number: int, port: int) -> None:
        self._number, self._port = number, port

    async def live(self, word: bytes, until: asyncio.Event) -> None:
        """Connects, tries again like a simple device does (after 0.1 s), says its word, stays."""
        while not until.is_set():
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                await asyncio.sleep(0.1)
                continue
            try:
                writer.write(packet(0x10, text(b"MQTT") + b"\4\0\0\x3c" + text(b"device-%d" % self._number)))
                if (await reader.readexactly(4))[3]:
                    raise ConnectionError
                writer.write(publish(b"meter/%d" % self._number, word, 1, 1))
                await reader.readexactly(4)
                await until.wait()
            except (OSError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.1)
            finally:
                writer.close()


def room_for(connections: int) -> None:
    """Raises OSError or ValueError where this process may not have so many."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * connections + 200
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, most) if most > 0 else wanted, most))


async def _phase(devices: Sequence[Device], word: bytes, seen: set[str], seconds: float) -> float:
    until, began = asyncio.Event(), time.monotonic()
    living = [asyncio.create_task(device.live(word, until)) for device in devices]
    while len(seen) < len(devices) and time.monotonic() - began < seconds:
        await asyncio.sleep(0.02)
    took = time.monotonic() - began
    until.set()
    await asyncio.gather(*living, return_exceptions=True)
    return took


def run(broker: Mosquitto, count: int, seconds: float = 60) -> Storm:
    """The broker is running. Ours reads on throughout, acknowledging as an ingest does."""
    room_for(count)
    session = MqttSession(BrokerAddress("127.0.0.1", broker.port), "dutyroom-estate", SystemClock())
    links: set[Link] = set()
    heard: dict[bytes, set[str]] = {b"before": set(), b"after": set()}

    def take() -> None:
        taken = session.take(0.05, 4096)
        for _, message in taken:
            note(message)
        session.acknowledge([token for token, _ in taken])
        if session.connected:
            links.add(session._client.link)

    def note(message: Message) -> None:
        heard[message.payload].add(message.topic)

    async def storm() -> float:
        loop, ending = asyncio.get_running_loop(), asyncio.Event()

        async def reading() -> None:
            while not ending.is_set():
                await loop.run_in_executor(None, take)

        ours = asyncio.create_task(reading())
        devices = [Device(number, broker.port) for number in range(count)]
        await _phase(devices, b"before", heard[b"before"], seconds)
        back = asyncio.create_task(_phase(devices, b"after", heard[b"after"], seconds))
        await loop.run_in_executor(None, broker.restart)
        took = await back
        ending.set()
        await ours
        return took

    session.start()
    try:
        while not session.subscriptions.settled:
            time.sleep(0.02)
        took = asyncio.run(storm())
        return Storm(count, took, len(links), len(heard[b"before"]), len(heard[b"after"]))
    finally:
        session.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--devices", type=int, default=5000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        room_for(given.devices)  # the broker inherits it
        broker = Mosquitto(Path(folder))
        broker.start()
        try:
            print(run(broker, given.devices, 120))
        finally:
            broker.stop()


if __name__ == "__main__":
    main()
