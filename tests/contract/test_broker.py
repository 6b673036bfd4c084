"""The broker session on a real Mosquitto and on the embedded broker: what both do, and where they differ.

The differences are asserted too: whoever relies on the embedded broker must know what it cannot do.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.busy import alone
from tests.servers.certificates import Authority
from tests.servers.child import free_port
from tests.servers.mosquitto import Mosquitto

from dutyroom.backends.broker import EmbeddedBroker
from dutyroom.backends.clock import SystemClock
from dutyroom.backends.mqtt import MqttPublisher, MqttSession
from dutyroom.backends.mqtt.link import Link
from dutyroom.backends.mqtt.waiting import Waiting
from dutyroom.errors import Rejected, Unavailable
from dutyroom.flows.loops import IngestWork
from dutyroom.model.telemetry import Message
from dutyroom.site import BrokerAddress

pytestmark = pytest.mark.servers

Broker = Mosquitto | EmbeddedBroker
NewMosquitto = Callable[[str], Mosquitto]


@pytest.fixture(params=["mosquitto", "embedded"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    if request.param == "mosquitto":
        yield request.getfixturevalue("new_mosquitto")("")
    else:
        with EmbeddedBroker(tmp_path / "embedded") as embedded:
            yield embedded


def is_embedded(broker: Broker) -> bool:
    return isinstance(broker, EmbeddedBroker)


def until(true: Callable[[], Any], what: str, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.01)


class Room:
    """Sessions and a publisher of one broker; all are ended."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.sessions: list[MqttSession] = []
        self.devices = MqttPublisher(broker.host, broker.port)

    def session(self, client_id: str = "dutyroom-estate", **address: Any) -> MqttSession:
        """A session that is connected and has subscribed."""
        session = MqttSession(
            BrokerAddress(self.broker.host, self.broker.port, **address), client_id, SystemClock()
        )
        subscribed = threading.Event()
        inner = session._client.on_subscribe

        def on_subscribe(*args: Any) -> None:
            inner(*args)  # type: ignore[misc]
            subscribed.set()

        session._client.on_subscribe = on_subscribe
        self.sessions.append(session)
        session.start()
        assert subscribed.wait(10), session.refused
        return session

    def publish(self, *payloads: object, topic: str = "meter/1", retain: bool = False) -> None:
        for payload in payloads:
            data = payload if isinstance(payload, bytes) else str(payload).encode()
            self.devices.publish(topic, data, retain=retain)


@pytest.fixture
def room(broker: Broker) -> Iterator[Room]:
    made = Room(broker)
    yield made
    made.devices.close()
    for session in made.sessions:
        session.stop()


Taken = list[tuple[object, Message]]


def take(session: MqttSession, count: int, seconds: float = 10.0) -> Taken:
    """At least `count` messages, or what came in that time."""
    taken: Taken = []
    deadline = time.monotonic() + seconds
    while len(taken) < count and time.monotonic() < deadline:
        taken += session.take(0.05, 4096)
    return taken


def nothing_comes(session: MqttSession) -> bool:
    return take(session, 1, 0.4) == []


def payloads(taken: Sequence[tuple[object, Message]]) -> list[str]:
    return [message.payload.decode() for _, message in taken]


def acknowledge(session: MqttSession, taken: Sequence[tuple[object, Message]]) -> None:
    session.acknowledge([token for token, _ in taken])


# ------------------------------------------------------------ what both do


def test_everything_comes_once_and_in_order(room: Room) -> None:
    session = room.session()
    threading.Thread(target=lambda: room.publish(*range(1000))).start()
    seen: list[str] = []
    deadline = time.monotonic() + 20
    while len(seen) < 1000 and time.monotonic() < deadline:
        taken = session.take(0.25, 64)
        seen += payloads(taken)
        acknowledge(session, taken)
    assert seen == [str(number) for number in range(1000)]
    assert nothing_comes(session)


def test_a_message_says_what_it_is_and_when_it_came(room: Room) -> None:
    session = room.session()
    before = SystemClock().now()
    room.publish("1.5", topic="A 栋/水表/1")
    ((_, message),) = take(session, 1)
    assert (message.topic, message.payload) == ("A 栋/水表/1", b"1.5")
    assert before <= message.received_at <= SystemClock().now()
    assert not message.retained
    assert not message.duplicate


def test_what_was_not_acknowledged_comes_again_and_the_rest_does_not(room: Room) -> None:
    session = room.session()
    room.publish(*range(5))
    acknowledge(session, take(session, 5)[:2])
    time.sleep(0.2)
    session.stop()
    room.publish(5, 6)  # while nobody is there
    again = take(room.session(), 5)
    assert payloads(again) == ["2", "3", "4", "5", "6"]
    # Mosquitto marks what it delivered before; the embedded broker does not.
    marked = [message.duplicate for _, message in again]
    assert marked == ([False] * 5 if is_embedded(room.broker) else [True] * 3 + [False] * 2)


DYING = """
import os, sys
from dutyroom.backends.clock import SystemClock
from dutyroom.backends.mqtt import MqttSession
from dutyroom.site import BrokerAddress
session = MqttSession(BrokerAddress("127.0.0.1", int(sys.argv[1])), "dutyroom-estate", SystemClock())
session.start()
print("started", flush=True)
taken = []
while len(taken) < 3:
    taken += session.take(0.1, 4096)
os._exit(9)
"""


def test_a_process_that_is_killed_before_it_commits_loses_nothing(room: Room) -> None:
    session = room.session()  # makes the persistent session
    session.stop()
    room.publish("a", "b", "c")
    path = [str(Path(__file__).parents[2] / "services")]
    code = f"import sys; sys.path[:0] = {path}\n{DYING}"
    died = subprocess.run([sys.executable, "-c", code, str(room.broker.port)], timeout=30, check=False)
    assert died.returncode == 9
    assert payloads(take(room.session(), 3)) == ["a", "b", "c"]


def test_nothing_is_acknowledged_before_it_is_committed(room: Room) -> None:
    session = room.session()
    committed: list[str] = []
    full = [True]

    def handle(messages: Sequence[Message]) -> int:
        if full:
            raise Unavailable("disk full")
        committed.extend(message.payload.decode() for message in messages)
        return len(messages)

    room.publish("a", "b")
    work = IngestWork(session, SimpleNamespace(handle=handle), lambda: None)  # type: ignore[arg-type]
    for _ in range(3):
        with pytest.raises(Unavailable):
            work()
    session.stop()
    session = room.session()
    work = IngestWork(session, SimpleNamespace(handle=handle), lambda: None)  # type: ignore[arg-type]
    full.clear()
    until(lambda: work() or len(committed) >= 2, "both are committed")
    time.sleep(0.2)
    session.stop()
    assert committed == ["a", "b"]
    assert nothing_comes(room.session())


def test_a_retained_message_is_marked_when_it_is_an_old_one(room: Room) -> None:
    session = room.session()
    room.publish("online", topic="gateway/1/status", retain=True)
    ((token, live),) = take(session, 1)
    assert not live.retained
    session.acknowledge([token])
    ((_, old),) = take(room.session("dutyroom-other"), 1)
    assert (old.payload, old.retained) == (b"online", True)


def test_a_megabyte_passes_and_holds_up_nothing(room: Room) -> None:
    session = room.session()
    big = bytes(range(256)) * 4096
    room.publish("before", big, "after")
    taken = take(session, 3)
    assert [message.payload for _, message in taken] == [b"before", big, b"after"]
    acknowledge(session, taken)
    room.publish("still here")
    assert payloads(take(session, 1)) == ["still here"]


def test_all_topics_but_the_brokers_own(room: Room) -> None:
    session = room.session(topics=("#",))
    for topic in ("a", "a/b/c", "/leading", "trailing/"):
        room.publish(topic, topic=topic)
    taken = take(session, 4)
    assert [message.topic for _, message in taken] == ["a", "a/b/c", "/leading", "trailing/"]
    acknowledge(session, taken)
    assert nothing_comes(session)


def test_only_the_topics_of_the_site(room: Room) -> None:
    session = room.session(topics=("site/+/state", "meters/#"))
    for topic in ("site/1/state", "site/1/other", "meters/7/read", "elsewhere"):
        room.publish("x", topic=topic)
    taken = take(session, 2)
    acknowledge(session, taken)
    assert [message.topic for _, message in taken] == ["site/1/state", "meters/7/read"]
    assert nothing_comes(session)


def test_sites_have_sessions_of_their_own(room: Room) -> None:
    north, south = room.session("dutyroom-north"), room.session("dutyroom-south")
    room.publish(*range(20))
    acknowledge(north, take(north, 20))
    time.sleep(0.2)
    for session in (north, south):
        session.stop()
    assert nothing_comes(room.session("dutyroom-north"))
    assert payloads(take(room.session("dutyroom-south"), 20)) == [str(n) for n in range(20)]


def test_the_acknowledgement_of_an_earlier_connection_is_none(room: Room) -> None:
    session = room.session()
    room.publish("a", "b")
    old = take(session, 2)
    connection = session._client.link
    session._client._sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
    until(lambda: session._client.link is not connection and session.connected, "connected again")
    acknowledge(session, old)
    session.stop()
    assert payloads(take(room.session(), 2)) == ["a", "b"]


def test_it_ends_at_once_while_messages_pour_in(room: Room) -> None:
    session = room.session()
    session.waiting.most = 5
    room.publish(*range(20))
    until(lambda: session.waiting.full, "full")
    began = time.monotonic()
    session.stop()
    assert alone(time.monotonic() - began) < 1
    assert payloads(take(room.session(), 20)) == [str(n) for n in range(20)]


# ------------------------------------------------------------ a broker that restarts


def test_mosquitto_keeps_sessions_over_a_restart(new_mosquitto: NewMosquitto) -> None:
    room = Room(new_mosquitto(""))
    session = room.session()
    room.publish("a", "b")
    acknowledge(session, take(session, 2)[:1])
    time.sleep(0.2)
    room.broker.restart()  # type: ignore[union-attr]
    assert payloads(take(session, 1, 15)) == ["b"]
    until(room.devices._client.is_connected, "the device is back")
    room.publish("c")
    assert "c" in payloads(take(session, 1, 15))
    room.devices.close()
    session.stop()


def test_mosquitto_keeps_sessions_over_a_crash(new_mosquitto: NewMosquitto) -> None:
    mosquitto = new_mosquitto("")
    room = Room(mosquitto)
    room.session().stop()
    room.publish("a", "b")
    time.sleep(2.5)  # an autosave each second
    mosquitto.kill()
    mosquitto.start()
    session = room.session()
    assert payloads(take(session, 2)) == ["a", "b"]
    room.devices.close()
    session.stop()


def test_the_embedded_broker_forgets_all_when_it_ends(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path / "broker")
    broker.start()
    room = Room(broker)
    session = room.session()
    room.publish("never acknowledged")
    room.publish("state", topic="kept", retain=True)
    take(session, 2)
    broker.stop()
    until(lambda: not session.connected, "the end is seen")
    room.devices.close()
    with EmbeddedBroker(tmp_path / "again", broker.port) as again:
        until(lambda: session.connected, "connected again by itself")
        time.sleep(0.3)
        assert nothing_comes(session)
        devices = MqttPublisher(again.host, again.port)
        devices.publish("meter/1", b"new")  # subscribed again by itself
        assert payloads(take(session, 1)) == ["new"]
        devices.close()
        session.stop()


def test_the_embedded_broker_ends_a_connection_that_acknowledges_twice(
    embedded_broker: EmbeddedBroker,
) -> None:
    """And forgets what was not acknowledged in it: whoever reads from it acknowledges once, in order."""
    room = Room(embedded_broker)
    session = room.session()
    room.publish("a", "b")
    taken = take(session, 2)
    before = session._client.link
    acknowledge(session, taken[:1])
    acknowledge(session, taken[:1])
    until(lambda: session._client.link is not before and session.connected, "connected again")
    assert nothing_comes(session)
    room.publish("c")
    assert payloads(take(session, 1)) == ["c"]
    room.devices.close()
    session.stop()


def test_an_embedded_broker_that_stops_working_is_started_again(embedded_broker: EmbeddedBroker) -> None:
    """A topic whose first sign is not ASCII ends its router; its process goes on and does nothing."""
    room = Room(embedded_broker)
    session = room.session()
    visitor = MqttPublisher(embedded_broker.host, embedded_broker.port)
    with pytest.raises(Unavailable):
        visitor.publish("水表/1", b"1", timeout_s=0.5)
    visitor.close()
    until(lambda: embedded_broker.restarts == 1, "started again")
    until(lambda: session.connected and room.devices._client.is_connected(), "both are back", 20)
    time.sleep(0.3)
    room.publish("on we go")
    assert payloads(take(session, 1)) == ["on we go"]
    room.devices.close()
    session.stop()


def test_an_embedded_broker_that_died_is_started_again_and_then_ends(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path)
    broker.start()
    broker._broker._process.kill()
    until(lambda: broker.restarts == 1 and broker.running, "started again")
    began = time.monotonic()
    broker.stop()
    assert alone(time.monotonic() - began) < 1.5
    assert not broker.running
    time.sleep(1.5)
    assert not broker.running


def test_the_embedded_broker_is_on_the_loopback_only(embedded_broker: EmbeddedBroker) -> None:
    with socket.create_server(("0.0.0.0", 0)) as free:  # what listens everywhere is seen here
        assert listens_beyond_the_loopback(free.getsockname()[1])
    assert not listens_beyond_the_loopback(embedded_broker.port)


def listens_beyond_the_loopback(port: int) -> bool:
    """127.0.0.2 is the loopback too, but nothing that is bound to 127.0.0.1 answers there."""
    try:
        socket.create_connection(("127.0.0.2", port), timeout=2).close()
    except OSError:
        return False
    return True


# ------------------------------------------------------------ who is not let in


@pytest.fixture
def guarded(new_mosquitto: NewMosquitto, tmp_path: Path) -> Mosquitto:
    """Lets in only `dutyroom`, who may read only meters/#."""
    passwords, rights = tmp_path / "passwords", tmp_path / "rights"
    passwords.touch(mode=0o600)
    subprocess.run(["mosquitto_passwd", "-b", str(passwords), "dutyroom", "right"], check=True, timeout=20)
    rights.write_text("user dutyroom\ntopic readwrite meters/#\n")
    rights.chmod(0o600)
    return new_mosquitto(f"allow_anonymous false\npassword_file {passwords}\nacl_file {rights}\n")


def refusal(port: int, seconds: float = 10, **address: Any) -> str:
    session = MqttSession(BrokerAddress("127.0.0.1", port, **address), "dutyroom-estate", SystemClock())
    session.start()
    try:
        until(lambda: session.refused, "a reason", seconds)
        return session.refused
    finally:
        session.stop()


def test_a_wrong_password_is_said(guarded: Mosquitto, tmp_path: Path) -> None:
    file = tmp_path / "broker.password"
    file.write_text("guessed\n")
    said = refusal(guarded.port, username="dutyroom", password_file=str(file))
    assert said == (
        f"broker 127.0.0.1:{guarded.port} does not let us in: Not authorized "
        f"(user name 'dutyroom' with the password of {file})"
    )
    assert "guessed" not in said


def test_no_user_name_is_said(guarded: Mosquitto) -> None:
    assert "(the site names no username and password_file)" in refusal(guarded.port)


def test_the_right_password_lets_in_and_what_rights_forbid_is_said(
    guarded: Mosquitto, tmp_path: Path
) -> None:
    file = tmp_path / "broker.password"
    file.write_text("right\n")
    given = {"username": "dutyroom", "password_file": str(file)}
    session = MqttSession(
        BrokerAddress("127.0.0.1", guarded.port, topics=("meters/#",), **given), "one", SystemClock()
    )
    session.start()
    until(lambda: session.connected, "connected")
    assert session.refused == ""
    session.stop()


def test_topics_that_the_broker_forbids_are_named() -> None:
    with NoBroker(b"\x20\x02\x00\x00", b"\x90\x04\x00\x01\x01\x80") as forbids:
        said = refusal(forbids.port, topics=("meters/#", "secret/#"))
    assert said == f"broker 127.0.0.1:{forbids.port} does not allow us to read secret/#"


def test_the_embedded_broker_lets_everybody_in(embedded_broker: EmbeddedBroker, tmp_path: Path) -> None:
    """It knows no passwords: so it listens on the loopback only."""
    file = tmp_path / "broker.password"
    file.write_text("whatever\n")
    room = Room(embedded_broker)
    session = room.session(username="anyone", password_file=str(file))
    assert session.connected
    room.devices.close()
    session.stop()


def test_a_broker_that_is_not_there_is_said_and_waited_for(new_mosquitto: NewMosquitto) -> None:
    mosquitto = new_mosquitto("")
    mosquitto.stop()
    session = MqttSession(BrokerAddress("127.0.0.1", mosquitto.port), "dutyroom-estate", SystemClock())
    session._client.reconnect_delay_set(1, 1)
    session.start()
    until(lambda: session.refused, "a reason")
    assert session.refused.startswith(f"broker 127.0.0.1:{mosquitto.port} cannot be reached: ")
    assert "refused" in session.refused
    mosquitto.start()
    until(lambda: session.connected, "connected when it is there")
    assert session.refused == ""
    session.stop()


def test_a_broker_name_that_nobody_knows_is_said() -> None:
    session = MqttSession(BrokerAddress("no-such-broker.invalid"), "dutyroom-estate", SystemClock())
    session.start()
    until(lambda: session.refused, "a reason", 30)
    assert "no-such-broker.invalid:1883 cannot be reached" in session.refused
    session.stop()


# paho leaves the socket of a failed handshake to the garbage collector.
leaves_a_socket = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@leaves_a_socket
def test_a_plain_broker_where_tls_is_wanted_is_said(new_mosquitto: NewMosquitto) -> None:
    assert "(by TLS: does that port speak it?)" in refusal(new_mosquitto("").port, tls=True)


@leaves_a_socket
def test_a_broker_with_tls_where_none_is_named_is_said(new_mosquitto: NewMosquitto, tmp_path: Path) -> None:
    (certificate, key), port = Authority(tmp_path).sign("server"), free_port()
    new_mosquitto(f"listener {port} 127.0.0.1\ncertfile {certificate}\nkeyfile {key}\n")
    assert refusal(port) == (
        f"broker 127.0.0.1:{port} ended the connection before it let us in (does that port want TLS, tls: true?)"
    )


@leaves_a_socket
def test_tls_with_a_certificate_of_ones_own(new_mosquitto: NewMosquitto, tmp_path: Path) -> None:
    ca, key = tmp_path / "ca.pem", tmp_path / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(ca)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    port = free_port()
    new_mosquitto(f"listener {port} 127.0.0.1\ncertfile {ca}\nkeyfile {key}\n")
    assert refusal(port, tls=True) == (
        f"broker 127.0.0.1:{port} shows a certificate that is not trusted: self-signed certificate "
        "(the site names no ca_file, so this machine's authorities count)"
    )
    session = MqttSession(
        BrokerAddress("127.0.0.1", port, tls=True, ca_file=str(ca)), "dutyroom-estate", SystemClock()
    )
    session.start()
    until(lambda: session.connected, "connected by TLS")
    session.stop()


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ({"username": "a", "password_file": "/nowhere/password"}, "password cannot be read from /nowhere"),
        ({"tls": True, "ca_file": "/nowhere/ca.pem"}, "certificates in /nowhere/ca.pem cannot be used"),
        ({"tls": True, "ca_file": __file__}, f"certificates in {__file__} cannot be used"),
    ],
)
def test_files_that_cannot_be_read_are_named_before_anything_starts(
    address: dict[str, Any], says: str
) -> None:
    with pytest.raises(Rejected, match=says):
        MqttSession(BrokerAddress("127.0.0.1", **address), "dutyroom-estate", SystemClock())


class NoBroker:
    """Accepts connections and sends the given pieces, one after each thing it hears; then hangs up."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces, self.connections = pieces, 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                connection.settimeout(2)
                for piece in self.pieces:
                    try:
                        connection.recv(4096)
                        connection.sendall(piece)
                    except OSError:
                        break
                time.sleep(0.05)

    def __enter__(self) -> NoBroker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()


BROKEN_PUBLISH = b"\x32\x01\x00"  # says it carries a topic and ends before it
ACCEPTED = b"\x20\x02\x00\x00"


@pytest.mark.parametrize(
    "pieces", [(b"HTTP/1.1 400 Bad Request\r\n\r\n",), (ACCEPTED, BROKEN_PUBLISH), (b"\x00",)], ids=repr
)
def test_what_speaks_no_mqtt_ends_nothing(pieces: tuple[bytes, ...], new_mosquitto: NewMosquitto) -> None:
    session = MqttSession(BrokerAddress("127.0.0.1", 1), "dutyroom-estate", SystemClock())
    session._client.reconnect_delay_set(1, 1)
    with NoBroker(*pieces) as wrong:
        session._address = BrokerAddress("127.0.0.1", wrong.port)
        session.start()
        until(lambda: wrong.connections >= 2, "it tries again")
    assert not session.connected
    mosquitto = new_mosquitto("")
    session._address = BrokerAddress("127.0.0.1", mosquitto.port)
    session._client._host, session._client._port = "127.0.0.1", mosquitto.port
    until(lambda: session.connected, "connected to a real one by the same thread", 40)
    session.stop()


# ------------------------------------------------------------ between the threads


def put(waiting: Waiting, size: int, link: Link) -> None:
    waiting.put(link, (b"\0\1",), (Message("t", b"x" * size, 0),), size)


def test_the_wait_is_bounded_by_number_and_by_bytes() -> None:
    link = Link(lambda ids: None)
    for waiting, size in ((Waiting(None, 3, 1000), 1), (Waiting(None, 100, 30), 10)):
        put_so_far = []

        def fill(waiting: Waiting = waiting, size: int = size, done: list[int] = put_so_far) -> None:
            for number in range(9):
                waiting.room(None)
                put(waiting, size, link)
                done.append(number)

        thread = threading.Thread(target=fill)
        thread.start()
        until(lambda done=put_so_far: len(done) == 3, "three fit")  # type: ignore[misc]
        time.sleep(0.05)
        assert len(put_so_far) == 3
        assert not waiting.room(0.01)
        with waiting.changed:
            assert len(waiting.pop(2)) == 2
        until(lambda done=put_so_far: len(done) == 5, "two more fit")  # type: ignore[misc]
        waiting.close()
        thread.join(5)


def test_one_message_of_any_size_finds_room() -> None:
    waiting = Waiting(None, 10, 10)
    put(waiting, 1000, Link(lambda ids: None))
    assert not waiting.room(0)
    with waiting.changed:
        waiting.pop(1)
    assert waiting.room(0)
