"""The embedded MQTT broker: rumqttd as the wheel `iotcore` carries it, on the loopback only.

Its queues live in memory and die with it, so it is for the demo and trials: a real site has its
own broker. It knows no passwords, and a published topic whose first sign is not ASCII ends its
router, though not its process. So it is watched by a connection of our own and started again.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
from pathlib import Path
from types import TracebackType

import structlog

from dutyroom.errors import Unavailable

log = structlog.get_logger(__name__)

_WATCH_S = 2.0  # seconds between two questions, and for an answer
_REST_S = (1.0, 2.0, 5.0, 10.0)  # between two starts: whoever ends it may do so again at once
_CONNECT = b"\x10\x1b\x00\x04MQTT\x04\x02\x00\x3c\x00\x0fembedded-broker"
_PING = b"\xc0\x00"

_CONFIG = """id = 0
[router]
id = 0
max_connections = 2000
max_outgoing_packet_count = 200
max_segment_size = 4194304
max_segment_count = 6
[v4.1]
name = "v4-1"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1
    [v4.1.connections]
    connection_timeout_ms = 60000
    max_payload_size = 4194304
    max_inflight_count = 100
    dynamic_filters = true
"""


def own_address() -> str:
    """Where other machines of the network find this one; its name where that cannot be told."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: only asks which of our addresses is meant
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()


def listen(host: str = "127.0.0.1", wanted: int = 0) -> socket.socket:
    """A socket that listens at `wanted` if that is free, else at the next free port (0: any); it keeps the
    port, and who connects before somebody serves waits. Raises Unavailable after 50 tries, or at once for an
    address that is none of this machine's."""
    ports = range(wanted, min(wanted + 50, 65536)) if wanted else range(1)
    reason = ""
    for port in ports:
        try:
            return _listen(host, port)
        except OSError as err:
            reason = err.strerror or str(err)
            if err.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise Unavailable(f"cannot listen on {host}: {reason}") from err
    raise Unavailable(f"no free port from {ports[0]} to {ports[-1]} on {host}: {reason}")


def _listen(host: str, port: int) -> socket.socket:
    held = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        if os.name != "nt":  # there it would let us have a port that somebody else listens on
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((host, port))
        held.listen(128)  # one that is only bound may be bound by others too
    except OSError:
        held.close()
        raise
    return held


def free_port() -> int:
    """A port of the loopback that was free a moment ago, for a child that binds it itself."""
    with listen() as held:
        return int(held.getsockname()[1])


class EmbeddedBroker:
    """A child process that ends with us, started again when it stops working. Context manager."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        from iotcore import Broker

        self.host = "127.0.0.1"
        self.port = port or free_port()
        self.restarts = 0
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "embedded-broker.toml"
        config.write_text(_CONFIG.format(port=self.port), encoding="utf-8")
        self._broker = Broker(config_path=str(config))
        self._ending = threading.Event()
        self._leaving = False
        self._turn = threading.Lock()  # one starts or stops the child at a time
        self._watching: threading.Thread | None = None

    def start(self) -> None:
        """Raises Unavailable when it does not come up."""
        self._begin()
        self._leaving = False
        self._ending.clear()
        self._watching = threading.Thread(target=self._watch, name="embedded-broker", daemon=True)
        self._watching.start()

    def _begin(self) -> None:
        try:
            self._broker.start()
        except (OSError, RuntimeError) as err:
            raise Unavailable(f"embedded broker on 127.0.0.1:{self.port}: {err}") from err

    def stop(self) -> None:
        self._ending.set()
        with self._turn:
            self._broker.stop(timeout=1.0)
        if self._watching is not None:
            self._watching.join(2 * _WATCH_S)
            self._watching = None

    def leave(self) -> None:
        """We are told to end, and perhaps the child was told too: it is not started again. Safe in a
        signal handler."""
        self._leaving = True

    @property
    def running(self) -> bool:
        return bool(self._broker.is_running)

    def _watch(self) -> None:
        """Starts it again, at ever longer intervals while that does not help, until we end."""
        failures = 0
        while not self._ending.is_set():
            failures = 0 if self._answered_a_while() else failures + 1
            if self._ending.wait(_REST_S[min(failures, len(_REST_S) - 1)]):
                return
            if self._leaving:
                continue
            log.error("embedded_broker.restarted", port=self.port, lost="what it held")
            self.restarts += 1
            with self._turn, contextlib.suppress(Unavailable):  # the next turn tries again
                if not self._ending.is_set():
                    self._broker.stop(timeout=1.0)
                    self._begin()

    def _answered_a_while(self) -> bool:
        """Returns when it answers no more: whether it did at all."""
        answers = 0
        try:
            with socket.create_connection((self.host, self.port), _WATCH_S) as connection:
                connection.settimeout(_WATCH_S)
                connection.sendall(_CONNECT)
                while connection.recv(4) and not self._ending.wait(_WATCH_S):
                    answers += 1
                    connection.sendall(_PING)
        except OSError:
            pass
        return answers > 1

    def __enter__(self) -> EmbeddedBroker:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.stop()
