"""The embedded MQTT broker: rumqttd as the wheel `iotcore` carries it, on the loopback only.

Its queues live in memory and die with it, so it is for the demo and trials: a real site has its
own broker.
"""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from types import TracebackType

from dutyroom.errors import Unavailable

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


def free_port(host: str = "127.0.0.1", wanted: int = 0) -> int:
    """`wanted` if it is free, else the next free one (0: any). Raises Unavailable after 50 tries."""
    for port in range(wanted, wanted + 50) if wanted else (0,):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return int(probe.getsockname()[1])
    raise Unavailable(f"no free port from {wanted} to {wanted + 49} on {host}")


class EmbeddedBroker:
    """A child process that ends with us. Context manager."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        from iotcore import Broker

        self.host = "127.0.0.1"
        self.port = port or free_port()
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "embedded-broker.toml"
        config.write_text(_CONFIG.format(port=self.port), encoding="utf-8")
        self._broker = Broker(config_path=str(config))

    def start(self) -> None:
        """Raises Unavailable when it does not come up."""
        try:
            self._broker.start()
        except (OSError, RuntimeError) as err:
            raise Unavailable(f"embedded broker on 127.0.0.1:{self.port}: {err}") from err

    def stop(self) -> None:
        self._broker.stop(timeout=1.0)

    @property
    def running(self) -> bool:
        return bool(self._broker.is_running)

    def __enter__(self) -> EmbeddedBroker:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.stop()
