"""What every channel must do, against real servers on the loopback."""

from __future__ import annotations

import email
import email.policy
import json
import logging
import socket
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast

import pytest

from dutyroom.backends.channels.apprise_channel import AppriseChannel
from dutyroom.errors import Rejected, Unavailable
from dutyroom.interfaces import Channel

TITLE, BODY = "紧急：爆管 WO-000001", "立管 A 流量 4.8 m³/h\n位置：A 栋 <b>& 'B'"


@dataclass
class Inbox:
    """What a server got, and how it answers."""

    got: list[bytes] = field(default_factory=list)
    status: int = 200  # of the web server
    refuse: bool = False  # the mail server: no to every recipient


class MailHandler(socketserver.StreamRequestHandler):
    """Enough SMTP for one message a connection."""

    def handle(self) -> None:
        inbox = cast(Inbox, self.server.inbox)  # type: ignore[attr-defined]
        self._say("220 test")
        while line := self.rfile.readline().decode("ascii", "replace").strip():
            verb = line.split(" ")[0].split(":")[0].upper()
            if verb == "RCPT" and inbox.refuse:
                self._say("550 nobody of that name")
            elif verb == "DATA":
                self._say("354 go on")
                inbox.got.append(self._message())
                self._say("250 taken")
            elif verb == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 fine")

    def _message(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        return b"".join(lines)

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


class HookHandler(BaseHTTPRequestHandler):
    """A webhook that keeps what was posted."""

    def do_POST(self) -> None:
        inbox = cast(Inbox, self.server.inbox)  # type: ignore[attr-defined]
        inbox.got.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(inbox.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


class MailServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def _serve(server: socketserver.TCPServer) -> Iterator[tuple[int, Inbox]]:
    inbox = Inbox()
    server.inbox = inbox  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server.server_address[1], inbox  # type: ignore[misc]
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def mail() -> Iterator[tuple[int, Inbox]]:
    yield from _serve(MailServer(("127.0.0.1", 0), MailHandler))


@pytest.fixture
def hook() -> Iterator[tuple[int, Inbox]]:
    yield from _serve(ThreadingHTTPServer(("127.0.0.1", 0), HookHandler))


@pytest.fixture(params=[AppriseChannel])
def channel(request: pytest.FixtureRequest) -> Channel:
    made: Channel = request.param()
    return made


def mail_to(port: int) -> str:
    return f"mailto://127.0.0.1:{port}?from=duty@example.org&to=wang@example.org&format=text"


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_an_e_mail_arrives_with_title_and_body(channel: Channel, mail: tuple[int, Inbox]) -> None:
    port, inbox = mail
    channel.send(mail_to(port), TITLE, BODY)
    (raw,) = inbox.got
    message = cast(EmailMessage, email.message_from_bytes(raw, policy=email.policy.default))
    assert message["Subject"] == TITLE
    assert "wang@example.org" in message["To"]
    part = message.get_body(("plain",))
    assert part is not None
    assert part.get_content().replace("\r\n", "\n").strip() == BODY


def test_a_webhook_gets_title_and_body(channel: Channel, hook: tuple[int, Inbox]) -> None:
    port, inbox = hook
    channel.send(f"json://127.0.0.1:{port}/duty", TITLE, BODY)
    (raw,) = inbox.got
    said = json.loads(raw)
    assert (said["title"], said["message"]) == (TITLE, BODY)


def test_every_call_sends(channel: Channel, hook: tuple[int, Inbox]) -> None:
    port, inbox = hook
    for number in range(3):
        channel.send(f"json://127.0.0.1:{port}/", TITLE, str(number))
    assert [json.loads(raw)["message"] for raw in inbox.got] == ["0", "1", "2"]


def test_several_threads_send_at_once(channel: Channel, hook: tuple[int, Inbox]) -> None:
    port, inbox = hook
    threads = [
        threading.Thread(target=channel.send, args=(f"json://127.0.0.1:{port}/", TITLE, str(n)))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(json.loads(raw)["message"] for raw in inbox.got) == [str(n) for n in range(8)]


@pytest.mark.parametrize("status", [404, 500, 503])
def test_a_server_that_says_no_is_tried_again(channel: Channel, hook: tuple[int, Inbox], status: int) -> None:
    port, inbox = hook
    inbox.status = status
    with pytest.raises(Unavailable, match=str(status)):
        channel.send(f"json://127.0.0.1:{port}/", TITLE, BODY)


def test_a_mail_server_that_refuses_is_tried_again(channel: Channel, mail: tuple[int, Inbox]) -> None:
    port, inbox = mail
    inbox.refuse = True
    with pytest.raises(Unavailable):
        channel.send(mail_to(port), TITLE, BODY)


@pytest.mark.parametrize("kind", ["json", "mailto"])
def test_nobody_there_is_tried_again_and_the_secret_stays_secret(
    channel: Channel, closed_port: int, kind: str
) -> None:
    url = f"{kind}://user:geheim@127.0.0.1:{closed_port}/x?from=a@b.org&to=c@d.org"
    with pytest.raises(Unavailable) as failed:
        channel.send(url, TITLE, BODY)
    assert "geheim" not in str(failed.value)


@pytest.mark.parametrize("url", ["", "nonsense", "nosuch://host/geheim", "mailto://", "json://"])
def test_a_wrong_address_is_refused(channel: Channel, url: str) -> None:
    with pytest.raises(Rejected, match="not an address") as refused:
        channel.send(url, TITLE, BODY)
    assert "geheim" not in str(refused.value)


class Log(logging.Handler):
    """What the service would write into its log."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += record.getMessage()


@pytest.mark.parametrize(
    "url", ["nosuch://host/geheim", "json://user:geheim@127.0.0.1:9/geheim", "tgram://geheim/"]
)
def test_nothing_of_an_address_reaches_the_log(channel: Channel, url: str) -> None:
    log, root = Log(), logging.getLogger()
    root.addHandler(log)
    try:
        with pytest.raises((Rejected, Unavailable)):
            channel.send(url, TITLE, BODY)
    finally:
        root.removeHandler(log)
    assert "geheim" not in log.text
