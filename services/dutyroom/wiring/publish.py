"""`dutyroom publish`: one message, as a device would send it, to see what becomes of it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from dutyroom.backends.datafolder import read_instance
from dutyroom.backends.mqtt import MqttPublisher
from dutyroom.errors import Rejected
from dutyroom.settings import Settings
from dutyroom.wiring.commands import data_folder


def publish(settings: Settings, topic: str, payload: str, *, as_bytes: bool = False, broker: str = "") -> str:
    """payload: text, @file or - for standard input; as_bytes: it is hex of the bytes that are meant.

    broker: host:port; "" = the embedded broker of the running instance. Raises Rejected, Unavailable.
    """
    if not topic or any(c in topic for c in "+#\0"):
        raise Rejected(f"{topic!r}: a message goes to one topic, without + and #")
    sent = given(payload)
    if as_bytes:
        sent = _bytes(sent)
    host, port = address(broker or _own(settings))
    publisher = MqttPublisher(host, port)
    try:
        publisher.publish(topic, sent)
    finally:
        publisher.close()
    return f"Published {len(sent)} bytes on {topic}."


def given(text: str) -> bytes:
    """What stands on the command line, in @file, or on standard input (-). Raises Rejected."""
    if text == "-":
        return sys.stdin.buffer.read()
    if not text.startswith("@"):
        return text.encode()
    try:
        return Path(text[1:]).read_bytes()
    except OSError as err:
        raise Rejected(f"{text[1:]}: {err.strerror}") from err


def address(text: str) -> tuple[str, int]:
    """host:port. Raises Rejected."""
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65_536:
        raise Rejected(f"--broker {text!r}: write host:port")
    return host, int(port)


def _bytes(sent: bytes) -> bytes:
    plain = re.sub(rb"0[xX]|[\s:]", b"", sent)
    try:
        return bytes.fromhex(plain.decode("ascii"))
    except ValueError:
        raise Rejected("--hex: two hex digits for each byte, blanks or colons between") from None


def _own(settings: Settings) -> str:
    settings = data_folder(settings)
    running = read_instance(settings.data)
    if running is None:
        raise Rejected(f"no service is running on {settings.data}: start it, or name a broker with --broker")
    if not running["broker"]:
        raise Rejected("the running service has no broker of its own: name the devices' with --broker")
    return str(running["broker"])
