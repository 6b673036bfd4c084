"""What a message costs between the socket and the ingest flow: `python -m tests.bench.bench_mqtt`.

Three readers in processes of their own, side by side: paho as its manual shows it (a callback, automatic
acknowledgement), our session with paho's own reading, and our session reading in bulk. Each sees the same
messages from a broker that only blasts (so that nothing but the reader counts) and from a real Mosquitto with
a persistent session and QoS 1. Processor time is the reader's own, user and system, of all its threads, from
its first message to its last acknowledgement.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import resource
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import structlog
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from tests.bench.measure import machine, median
from tests.contract.mqtt_streams import packet, publish, text
from tests.servers.mosquitto import Mosquitto

from dutyroom.backends.clock import SystemClock
from dutyroom.backends.mqtt import MqttSession
from dutyroom.site import BrokerAddress

DEVICES = 5_000
READERS = ("paho", "stock", "bulk")
CLIENT = "bench-reader"
SPAWN = multiprocessing.get_context("spawn")


def message(number: int) -> tuple[bytes, bytes]:
    """Topic and a payload of 138 bytes and seven fields."""
    device = number % DEVICES
    body = {
        "device_id": f"meter-{device:05d}",
        "ts": 1_790_000_000 + number // DEVICES,
        "seq": number,
        "volume": round(1234.567 + number / 1000, 3),
        "flow": 0.125,
        "battery": 3.61,
        "leak": 0,
    }
    raw = json.dumps(body, separators=(",", ":")).encode()
    return f"meter/{device:05d}/up".encode(), raw + b" " * (138 - len(raw))


def stream(count: int, qos: int, five: bool) -> bytes:
    parts = []
    for number in range(count):
        topic, payload = message(number)
        mid = number % 65_535 + 1
        parts.append(publish(topic, payload, qos, mid, properties=b"" if five else None))
    return b"".join(parts)


# ------------------------------------------------------------ brokers


def blast(port: Any, count: int, qos: int, five: bool) -> None:
    """A broker of one connection: lets in, blasts, and reads acknowledgements until the other end goes."""
    data = stream(min(count, DEVICES * 4), qos, five)
    rounds = count // min(count, DEVICES * 4)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port.send(server.getsockname()[1])
        connection, _ = server.accept()
        hello = connection.recv(4096)
        connection.sendall(b"\x20\x03\0\0\0" if five else b"\x20\x02\0\0")
        asked = hello[2 + hello[1] :] or connection.recv(4096)
        connection.sendall(packet(0x90, asked[2:4] + (b"\0" if five else b"") + bytes([qos])))
        threading.Thread(target=_drain, args=(connection,), daemon=True).start()
        time.sleep(0.3)
        for _ in range(rounds):
            connection.sendall(data)
        port.recv()  # until the reader is done


def _drain(connection: socket.socket) -> None:
    while connection.recv(1 << 20):
        pass


@contextmanager
def blaster(count: int, qos: int, five: bool) -> Iterator[int]:
    ours, theirs = SPAWN.Pipe()
    child = SPAWN.Process(target=blast, args=(theirs, count, qos, five), daemon=True)
    child.start()
    yield int(ours.recv())
    ours.send(None)
    child.join(10)


def fill(port: int, count: int, rate: float = 0.0) -> None:
    """Publishes `count` messages of QoS 1 by a plain socket; rate: messages a second, 0 = at once."""
    if rate:
        time.sleep(4)  # the reader is there first
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(packet(0x10, text(b"MQTT") + b"\4\2\0\0" + text(b"bench-filler")))
        connection.recv(4)
        acknowledged = [0]

        def count_acks() -> None:
            while got := connection.recv(1 << 16):
                acknowledged[0] += len(got)

        threading.Thread(target=count_acks, daemon=True).start()
        step = 100 if rate else 2_000
        began = time.monotonic()
        for start in range(0, count, step):
            many = range(start, min(count, start + step))
            connection.sendall(b"".join(publish(*message(n), 1, n % 65_535 + 1) for n in many))
            while rate and time.monotonic() - began < start / rate:
                time.sleep(0.001)
        while acknowledged[0] < 4 * count:
            time.sleep(0.01)
        connection.shutdown(socket.SHUT_RDWR)


# ------------------------------------------------------------ readers


def used() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime


def read(result: Any, reader: str, port: int, count: int, five: bool) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    run = read_paho if reader == "paho" else read_session
    result.send(run(reader, port, count, five))


def read_paho(_reader: str, port: int, count: int, five: bool) -> tuple[float, float, int]:
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=CLIENT,
        clean_session=None if five else False,
        protocol=MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
    )
    seen = [0, 0, 0.0, 0.0]

    def on_message(_client: object, _data: object, got: paho.MQTTMessage) -> None:
        if not seen[0]:
            seen[2:] = [used(), time.monotonic()]
        seen[0] += 1
        seen[1] += len(got.payload)
        if seen[0] >= count:
            client.disconnect()

    client.on_message = on_message
    client.connect("127.0.0.1", port, **({"clean_start": False} if five else {}))  # type: ignore[arg-type]
    client.subscribe("#", 1)
    client.loop_forever()
    return used() - seen[2], time.monotonic() - seen[3], int(seen[0])


def read_session(reader: str, port: int, count: int, five: bool) -> tuple[float, float, int]:
    address = BrokerAddress("127.0.0.1", port, version="5" if five else "3.1.1")
    session = MqttSession(address, CLIENT, SystemClock(), reader=reader)
    session.start()
    seen, size = 0, 0
    cpu = began = 0.0
    while seen < count:
        taken = session.take(20, 4096)
        if not taken:
            break
        if not seen:
            cpu, began = used(), time.monotonic()
        seen += len(taken)
        for _, got in taken:
            size += len(got.payload)
        session.acknowledge([token for token, _ in taken])
    time.sleep(0.05)
    out = used() - cpu, time.monotonic() - began, seen
    session.stop()
    return out


def measure(reader: str, port: int, count: int, five: bool) -> tuple[float, float, int]:
    """(CPU us a message, messages a second, messages)."""
    ours, theirs = SPAWN.Pipe()
    child = SPAWN.Process(target=read, args=(theirs, reader, port, count, five))
    child.start()
    cpu, wall, seen = ours.recv()
    child.join()
    return cpu / seen * 1e6, seen / wall, seen


# ------------------------------------------------------------ runs


def by_blaster(reader: str, count: int, qos: int, five: bool) -> tuple[float, float]:
    with blaster(count, qos, five) as port:
        cpu, rate, seen = measure(reader, port, count, five)
    assert seen == count
    return cpu, rate


def register(port: int) -> None:
    """Makes the persistent session."""
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=CLIENT, clean_session=False)
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.subscribe("#", 1)
    time.sleep(0.5)
    client.disconnect()
    client.loop_stop()


def by_mosquitto(reader: str, count: int, five: bool, rate: float = 0.0) -> tuple[float, float]:
    """Drains what Mosquitto holds for the session; with a rate: live, at that pace."""
    with tempfile.TemporaryDirectory() as folder:
        broker = Mosquitto(Path(folder), "max_inflight_messages 0\n")
        broker.start()
        try:
            register(broker.port)
            if rate:
                filler = SPAWN.Process(target=fill, args=(broker.port, count, rate), daemon=True)
                filler.start()
            else:
                fill(broker.port, count)
            cpu, speed, seen = measure(reader, broker.port, count, five)
            assert seen == count
            return cpu, speed
        finally:
            broker.stop()


def table(title: str, runs: int, run: Callable[[str], tuple[float, float]]) -> None:
    print(f"\n| {title} | CPU us a message | messages/s | less than paho |")
    print("| --- | --: | --: | --: |")
    base = 0.0
    for reader in READERS:
        results = [run(reader) for _ in range(runs)]
        cpu, rate = median(r[0] for r in results), median(r[1] for r in results)
        base = base or cpu
        print(f"| {reader} | {cpu:.2f} | {rate:,.0f} | {base / cpu:.1f} x |")
        sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--messages", type=int, default=200_000, help="a run (Mosquitto: half of it)")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default="", help="part of a title: only these tables")
    given = parser.parse_args()
    count, half = given.messages, given.messages // 2
    print(machine())
    tables: list[tuple[str, Callable[[str], tuple[float, float]]]] = [
        ("blasting broker, QoS 0", lambda r: by_blaster(r, count, 0, False)),
        ("blasting broker, QoS 1", lambda r: by_blaster(r, count, 1, False)),
        ("blasting broker, QoS 1, MQTT 5", lambda r: by_blaster(r, count, 1, True)),
        ("Mosquitto, a queue drained, QoS 1", lambda r: by_mosquitto(r, half, False)),
        ("Mosquitto, a queue drained, QoS 1, MQTT 5", lambda r: by_mosquitto(r, half, True)),
        ("Mosquitto, live at 20,000 messages/s, QoS 1", lambda r: by_mosquitto(r, half, False, 20_000)),
    ]
    for title, run in tables:
        if given.only in title:
            table(title, given.runs, run)


if __name__ == "__main__":
    main()
