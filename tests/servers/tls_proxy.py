"""A proxy that ends TLS before a plain server, and asks for a client certificate of an authority."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from pathlib import Path


class TlsProxy:
    """From 127.0.0.1:port by TLS to a port of this machine in plain."""

    def __init__(self, target: int, certificate: tuple[Path, Path], clients: Path) -> None:
        self._target = target
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*certificate)
        self._context.load_verify_locations(clients)
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(plain,), daemon=True).start()

    def _one(self, plain: socket.socket) -> None:
        plain.settimeout(30)
        with (
            contextlib.suppress(OSError),
            self._context.wrap_socket(plain, server_side=True) as client,
            socket.create_connection(("127.0.0.1", self._target)) as server,
        ):
            _pump(client, server)

    def close(self) -> None:
        self._socket.close()


def _pump(client: ssl.SSLSocket, server: socket.socket) -> None:
    """Both ways by one thread: a TLS connection must not be read by one while another writes to it."""
    asking = True
    while True:
        waiting = [client, server] if asking else [server]
        ready = [client] if asking and client.pending() else select.select(waiting, [], [], 30)[0]
        if not ready:
            return
        if client in ready:
            if data := client.recv(65536):
                server.sendall(data)
            else:
                asking = False
                server.shutdown(socket.SHUT_WR)
        if server in ready:
            if not (data := server.recv(65536)):
                return
            client.sendall(data)
