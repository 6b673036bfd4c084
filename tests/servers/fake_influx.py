"""A small HTTP server that answers as InfluxDB does, or as it is told to: for answers that the real one does
not give on demand."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Answer:
    """status, headers and the message of an answer in InfluxDB's form; or a body as it is. cut: the connection
    ends after so many bytes of the body, -1 = before the status line, None = it is whole."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    message: str = ""
    body: bytes | None = None
    cut: int | None = None

    @property
    def bytes(self) -> bytes:
        return json.dumps({"code": "x", "message": self.message}).encode() if self.body is None else self.body


class FakeInflux(ThreadingHTTPServer):
    """answers: what it says to the next writes; then 204. queried: what queries are answered with, None = as if
    nothing was stored."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.answers: list[Answer] = []
        self.refuses: Callable[[list[str]], tuple[int, str] | None] = lambda _lines: None
        self.queried: Answer | bytes | None = None
        self.writes = 0
        self.stored: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answers(BaseHTTPRequestHandler):
    server: FakeInflux

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        server = self.server
        if self.path.startswith("/query"):
            statements = body.count("%3B") + 1
            empty = json.dumps({"results": [{"statement_id": n} for n in range(statements)]}).encode()
            given = empty if server.queried is None else server.queried
            self.reply(given if isinstance(given, Answer) else Answer(200, body=given))
            return
        server.writes += 1
        lines = body.splitlines()
        if server.answers:
            self.reply(server.answers.pop(0))
        elif refused := server.refuses(lines):
            self.reply(Answer(refused[0], message=refused[1]))
        else:
            server.stored += lines
            self.reply(Answer(204, body=b""))

    def reply(self, answer: Answer) -> None:
        self.close_connection = answer.cut is not None
        if answer.cut == -1:
            return
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        body = answer.bytes
        if answer.status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: answer.cut])

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def fake_influx() -> Iterator[FakeInflux]:
    with FakeInflux() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
