"""Between a client and a broker: passes everything on, until told to be slow, silent, or to end or spoil it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time


class Proxy:
    """Listens on `port`, passes on to `target`. slow: bytes a second from the broker, 0 = as they come.
    silent: nothing passes, the connections stay open (a half-open line). spoil: sent to the client next."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self.slow, self.silent, self.spoil = 0, False, b""
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._ending = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while not self._ending:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            try:
                broker = socket.create_connection(("127.0.0.1", self._target), timeout=5)
            except OSError:
                client.close()
                continue
            broker.settimeout(None)
            self._pairs.append((client, broker))
            threading.Thread(target=self._pass, args=(client, broker, False), daemon=True).start()
            threading.Thread(target=self._pass, args=(broker, client, True), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, to_client: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(4096 if self.slow else 65_536):
                while self.silent:
                    time.sleep(0.02)
                if to_client and self.spoil:
                    data, self.spoil = self.spoil, b""
                if self.slow:
                    time.sleep(len(data) / self.slow)
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
                end.close()

    def cut(self) -> None:
        """Ends all connections in the middle of whatever passes."""
        for pair in self._pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._ending = True
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.silent = False
        self.cut()
        time.sleep(0.1)
        for pair in self._pairs:
            for end in pair:
                end.close()
