"""Who is let in by a real Mosquitto: TLS, client certificates, MQTT 5; and everything that is read by TLS."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from tests.contract.test_broker import NoBroker, acknowledge, leaves_a_socket, payloads, take, until
from tests.servers.certificates import Authority
from tests.servers.child import free_port
from tests.servers.mosquitto import Mosquitto

from dutyroom.backends.clock import SystemClock
from dutyroom.backends.mqtt import MqttPublisher, MqttSession
from dutyroom.backends.mqtt.aside import MqttAside
from dutyroom.backends.mqtt.selftest import self_test
from dutyroom.errors import Rejected, Unavailable
from dutyroom.site import BrokerAddress

pytestmark = [pytest.mark.servers, leaves_a_socket]


class Doors:
    """A Mosquitto with a plain port for devices and one by TLS that wants a client certificate."""

    def __init__(self, folder: Path, start: Callable[[str], Mosquitto]) -> None:
        self.authority = Authority(folder / "certificates")
        certificate, key = self.authority.sign("server")
        self.port = free_port()
        self.mosquitto = start(
            f"listener {self.port} 127.0.0.1\ncafile {self.authority.certificate}\ncertfile {certificate}\n"
            f"keyfile {key}\nrequire_certificate true\n"
        )

    def address(self, **given: Any) -> BrokerAddress:
        return BrokerAddress(
            "127.0.0.1", self.port, tls=True, ca_file=str(self.authority.certificate), **given
        )


@pytest.fixture
def doors(tmp_path: Path, new_mosquitto: Callable[[str], Mosquitto]) -> Doors:
    return Doors(tmp_path, new_mosquitto)


@pytest.fixture
def opened() -> Iterator[Callable[..., MqttSession]]:
    made: list[MqttSession] = []

    def start(address: BrokerAddress, client_id: str = "dutyroom-estate", **given: Any) -> MqttSession:
        session = MqttSession(address, client_id, SystemClock(), **given)
        made.append(session)
        session.start()
        return session

    yield start
    for session in made:
        session.stop()


Opened = Callable[..., MqttSession]


@pytest.mark.parametrize("version", ["3.1.1", "5"])
@pytest.mark.parametrize("password", ["", "a secret"])
def test_a_client_certificate_lets_in(
    doors: Doors, opened: Opened, tmp_path: Path, version: str, password: str
) -> None:
    certificate, key = doors.authority.sign("dutyroom", password)
    given = {"certificate_file": str(certificate), "key_file": str(key), "version": version}
    if password:
        (tmp_path / "word").write_text(f"{password}\n")
        given["key_password_file"] = str(tmp_path / "word")
    session = opened(doors.address(**given))
    until(lambda: session.connected, "connected by its certificate")
    assert session.refused == ""


def test_no_client_certificate_is_said(doors: Doors, opened: Opened) -> None:
    session = opened(doors.address())
    until(lambda: session.refused, "a reason")
    assert session.refused == (
        f"broker 127.0.0.1:{doors.port} wants a client certificate "
        "(the site names no certificate_file and key_file)"
    )


def test_a_strangers_certificate_is_said(doors: Doors, opened: Opened, tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path / "elsewhere", "stranger").sign("stranger-1")
    session = opened(doors.address(certificate_file=str(certificate), key_file=str(key)))
    until(lambda: session.refused, "a reason")
    assert f"does not trust our client certificate {certificate}" in session.refused


def test_a_try_out_says_as_much_of_certificates(doors: Doors, tmp_path: Path) -> None:
    stranger = Authority(tmp_path / "elsewhere", "stranger")
    certificate, key = stranger.sign("stranger-1")

    def untried(**given: str) -> str:
        return self_test(replace(doors.address(), **given)).untried  # type: ignore[arg-type]

    assert "client certificate" in untried()
    assert f"our client certificate {certificate}" in untried(
        certificate_file=str(certificate), key_file=str(key)
    )
    said = untried(ca_file=str(stranger.certificate))
    assert "could not be tried: it shows a certificate that is not trusted: " in said
    assert said.endswith(f"(ca_file names {stranger.certificate}: is it of another authority?)")
    assert "Hostname mismatch, certificate is not valid for 'localhost'" in untried(host="localhost")


def test_a_certificate_that_has_expired_is_said_and_a_new_one_in_its_place_lets_in(
    doors: Doors, opened: Opened
) -> None:
    certificate, key = doors.authority.sign("dutyroom", days=0)
    time.sleep(1.5)
    session = opened(doors.address(certificate_file=str(certificate), key_file=str(key)))
    until(lambda: session.refused, "a reason")
    assert "does not trust our client certificate" in session.refused
    assert "expired" in session.refused
    doors.authority.sign("dutyroom")  # in the same files
    until(lambda: session.connected, "connected without a restart", 30)


def test_a_new_certificate_whose_key_is_another_ones_is_said(doors: Doors, opened: Opened) -> None:
    certificate, key = doors.authority.sign("dutyroom", days=0)
    time.sleep(1.5)
    session = opened(doors.address(certificate_file=str(certificate), key_file=str(key)))
    until(lambda: "does not trust" in session.refused, "a reason")
    old = key.read_bytes()
    doors.authority.sign("dutyroom")
    new = key.read_bytes()
    key.write_bytes(old)
    said = f"broker 127.0.0.1:{doors.port}: the key {key} does not belong to the client certificate {certificate}"
    until(lambda: session.refused.endswith(f"; {said}"), "the files as they are", 30)
    key.write_bytes(new)
    until(lambda: session.connected, "connected without a restart", 40)
    assert session.refused == ""


def test_a_broker_whose_certificate_has_expired_is_named(
    tmp_path: Path, new_mosquitto: Callable[[str], Mosquitto], opened: Opened
) -> None:
    authority, port = Authority(tmp_path / "certificates"), free_port()
    certificate, key = authority.sign("server", days=0)
    broker = new_mosquitto(f"listener {port} 127.0.0.1\ncertfile {certificate}\nkeyfile {key}\n")
    time.sleep(1.5)
    address = BrokerAddress("127.0.0.1", port, tls=True, ca_file=str(authority.certificate))
    session = opened(address)
    until(lambda: session.refused, "a reason")
    assert session.refused == (
        f"broker 127.0.0.1:{port} shows a certificate that is not trusted: certificate has expired"
    )
    authority.sign("server")
    broker.restart()
    until(lambda: session.connected, "connected", 30)


def test_a_password_that_was_changed_in_its_file_lets_in(
    tmp_path: Path, new_mosquitto: Callable[[str], Mosquitto], opened: Opened
) -> None:
    words, word, port = tmp_path / "passwords", tmp_path / "password", free_port()
    subprocess.run(
        ["mosquitto_passwd", "-b", "-c", str(words), "room", "new"], check=True, capture_output=True
    )
    word.write_text("old\n")
    new_mosquitto(f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {words}\n")
    address = BrokerAddress("127.0.0.1", port, username="room", password_file=str(word))
    session = opened(address)
    until(lambda: session.refused, "a reason")
    assert "user name 'room' with the password of" in session.refused
    word.write_text("new\n")
    until(lambda: session.connected, "connected without a restart", 30)


def test_our_own_messages_go_out_again_after_the_password_was_changed(
    tmp_path: Path, new_mosquitto: Callable[[str], Mosquitto]
) -> None:
    words, word, port = tmp_path / "passwords", tmp_path / "password", free_port()

    def allow(password: str, *more: str) -> None:
        command = ["mosquitto_passwd", "-b", *more, str(words), "room", password]
        subprocess.run(command, check=True, capture_output=True)

    allow("old", "-c")
    word.write_text("old\n")
    broker = new_mosquitto(f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {words}\n")
    aside = MqttAside(
        BrokerAddress("127.0.0.1", port, username="room", password_file=str(word)), "dutyroom-estate.canary"
    )

    def published() -> bool:
        with contextlib.suppress(Unavailable):
            aside.publish("beat", b"1")
            return True
        return False

    try:
        assert published()
        allow("new")
        broker.restart()
        until(lambda: not published(), "refused")
        word.write_text("new\n")
        until(published, "let in without a restart", 30)
    finally:
        aside.close()


def test_keys_that_do_not_fit_are_named_before_anything_starts(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.sign("one", "its password")
    _, other = authority.sign("other")
    (tmp_path / "wrong").write_text("a guess\n")

    def refused(**given: str) -> str:
        with pytest.raises(Rejected) as caught:
            MqttSession(BrokerAddress("127.0.0.1", tls=True, **given), "dutyroom-a", SystemClock())  # type: ignore[arg-type]
        return str(caught.value)

    both = {"certificate_file": str(certificate), "key_file": str(key)}
    assert "name the file that holds it: key_password_file" in refused(**both)
    wrong = refused(**both, key_password_file=str(tmp_path / "wrong"))
    assert str(tmp_path / "wrong") in wrong
    assert "a guess" not in wrong
    assert "does not belong to the client certificate" in refused(**both | {"key_file": str(other)})
    assert "cannot be read" in refused(**both | {"key_file": "/nowhere/key.pem"})
    assert "cannot be used" in refused(**both | {"key_file": str(tmp_path / "wrong")})


@pytest.mark.parametrize("reader", ["bulk", "stock"])
def test_everything_comes_by_tls(doors: Doors, opened: Opened, reader: str) -> None:
    certificate, key = doors.authority.sign("dutyroom")
    address = doors.address(certificate_file=str(certificate), key_file=str(key))
    session = opened(address, reader=reader)
    until(lambda: session.connected, "connected")
    devices = MqttPublisher("127.0.0.1", doors.mosquitto.port)
    big = bytes(range(256)) * 4096
    parts: list[bytes] = [b"%d" % number for number in range(1500)] + [big, b"after"]

    def publish() -> None:
        for part in parts:
            devices.publish("meter/1", part)

    publishing = threading.Thread(target=publish)
    publishing.start()
    seen: list[bytes] = []
    while len(seen) < len(parts):
        taken = session.take(10, 512)
        assert taken
        seen += [message.payload for _, message in taken]
        acknowledge(session, taken)
    publishing.join()
    assert seen == parts
    devices.close()


def test_mqtt_5_keeps_its_session(new_mosquitto: Callable[[str], Mosquitto], opened: Opened) -> None:
    mosquitto = new_mosquitto("")
    address = BrokerAddress("127.0.0.1", mosquitto.port, version="5")
    session = opened(address)
    until(lambda: session.connected and not session.subscriptions.asked, "subscribed")
    devices = MqttPublisher("127.0.0.1", mosquitto.port)
    devices.publish("meter/1", b"a")
    taken = take(session, 1)
    assert payloads(taken) == ["a"]
    session.stop()
    devices.publish("meter/1", b"b")
    again = take(opened(address), 2)
    assert payloads(again) == ["a", "b"]
    assert [message.duplicate for _, message in again] == [True, False]
    devices.close()


def test_a_broker_that_speaks_no_mqtt_5_is_said(opened: Opened) -> None:
    with NoBroker(b"\x20\x02\x00\x01") as old:
        session = opened(BrokerAddress("127.0.0.1", old.port, version="5"))
        until(lambda: session.refused, "a reason")
        assert "it speaks no MQTT 5: leave `version` out" in session.refused
        session.stop()


def test_two_with_one_client_id_are_told(new_mosquitto: Callable[[str], Mosquitto], opened: Opened) -> None:
    address = BrokerAddress("127.0.0.1", new_mosquitto("").port)
    first = opened(address)
    until(lambda: first.connected, "connected")
    opened(address)
    until(lambda: "does something else use our client id dutyroom-estate" in first.refused, "it is said", 30)


def test_qos_2_comes_as_qos_1(new_mosquitto: Callable[[str], Mosquitto], opened: Opened) -> None:
    mosquitto = new_mosquitto("")
    session = opened(BrokerAddress("127.0.0.1", mosquitto.port))
    until(lambda: session.connected and not session.subscriptions.asked, "subscribed")
    device = paho.Client(CallbackAPIVersion.VERSION2)
    device.connect("127.0.0.1", mosquitto.port)
    device.loop_start()
    device.publish("meter/1", b"twice", 2).wait_for_publish(5)
    taken = take(session, 1)
    assert payloads(taken) == ["twice"]
    acknowledge(session, taken)
    device.disconnect()
    device.loop_stop()
