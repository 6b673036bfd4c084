"""What a broker does with what is not taken at once: tried on a real Mosquitto, set well and badly."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.publish import single
from tests.contract.test_broker import NoBroker, payloads, take, until
from tests.servers.mosquitto import Mosquitto
from typer.testing import CliRunner

from dutyroom.backends.clock import SystemClock
from dutyroom.backends.mqtt import MqttPublisher, MqttSession
from dutyroom.backends.mqtt.selftest import Found, Verdict, changes_for, in_words, self_test
from dutyroom.cli import app
from dutyroom.site import BrokerAddress
from dutyroom.wiring import brokers

pytestmark = pytest.mark.servers

NewMosquitto = Callable[[str], Mosquitto]


def at(broker: Mosquitto, **given: str) -> BrokerAddress:
    return BrokerAddress("127.0.0.1", broker.port, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_a_broker_that_keeps_all(new_mosquitto: NewMosquitto, version: str) -> None:
    broker = new_mosquitto("")
    verdict = self_test(at(broker, version=version))
    assert (verdict.changes, verdict.untried) == ((), "")
    assert in_words(verdict) == (
        f"broker 127.0.0.1:{broker.port} keeps what we do not take at once: 2,000 of 2,000 messages came",
    )


@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_a_mosquitto_as_it_comes_drops_and_says_so(new_mosquitto: NewMosquitto, version: str) -> None:
    broker = new_mosquitto("max_queued_messages 1000\n")
    assert self_test(at(broker, version=version)).changes == (
        f"broker 127.0.0.1:{broker.port} (Mosquitto) drops what it queues beyond 1,000 messages for a session that "
        "is away or slow: set max_queued_messages 10000000 (not 0: with an ACL that may end devices' connections), "
        "and max_queued_bytes to what the machine can hold",
    )


@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_a_broker_that_retains_nothing(new_mosquitto: NewMosquitto, version: str) -> None:
    (said,) = self_test(at(new_mosquitto("retain_available false\n"), version=version)).changes
    assert "keeps no retained messages" in said


@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_a_broker_without_qos_1_is_named(new_mosquitto: NewMosquitto, version: str) -> None:
    """It ends the connection of who publishes so: the try-out could not be done, and said nothing of the cause."""
    (said,) = self_test(at(new_mosquitto("max_qos 0\n"), version=version)).changes
    assert said.endswith(
        "grants QoS 0 only, so that what comes while we are away is lost: allow QoS 1 (max_qos)"
    )


def test_it_harms_nothing(new_mosquitto: NewMosquitto) -> None:
    """Not even who reads everything, is away, and has a short queue."""
    broker = new_mosquitto("max_queued_messages 10\n")
    session = MqttSession(at(broker), "dutyroom-estate", SystemClock())
    session.start()
    until(lambda: session.subscriptions.settled, "subscribed")
    session.stop()
    devices = MqttPublisher("127.0.0.1", broker.port)
    devices.publish("meter/1", b"before")
    self_test(at(broker))
    devices.publish("meter/1", b"after")
    again = MqttSession(at(broker), "dutyroom-estate", SystemClock())
    again.start()
    assert payloads(take(again, 2)) == ["before", "after"]
    again.stop()
    everything = MqttSession(at(broker, topics=("$dutyroom/#",)), "onlooker", SystemClock())  # type: ignore[arg-type]
    everything.start()
    assert take(everything, 1, 0.5) == []  # nothing retained is left
    everything.stop()
    devices.close()


def test_who_may_not_publish_there_is_told_so(new_mosquitto: NewMosquitto, tmp_path: Path) -> None:
    passwords, rights, word = (tmp_path / name for name in ("passwords", "rights", "word"))
    passwords.touch(mode=0o600)
    subprocess.run(["mosquitto_passwd", "-b", str(passwords), "dutyroom", "right"], check=True, timeout=20)
    rights.write_text("user dutyroom\ntopic readwrite #\n")
    rights.chmod(0o600)
    word.write_text("right\n")
    broker = new_mosquitto(f"allow_anonymous false\npassword_file {passwords}\nacl_file {rights}\n")
    for version in ("3.1.1", "5"):
        verdict = self_test(at(broker, username="dutyroom", password_file=str(word), version=version))
        assert verdict.changes == ()
        assert "topic readwrite $dutyroom/selftest/#" in verdict.untried
    verdict = self_test(at(broker))
    assert verdict.untried.endswith("could not be tried: it does not let us in: Not authorized")


def test_a_mosquitto_as_advised_keeps_all_and_lets_a_device_that_may_not_publish_stay(
    new_mosquitto: NewMosquitto, tmp_path: Path
) -> None:
    rights = tmp_path / "rights"
    rights.write_text("topic readwrite $dutyroom/selftest/#\ntopic readwrite meter/#\n")
    rights.chmod(0o600)
    broker = new_mosquitto(f"acl_file {rights}\nmax_queued_messages 10000000\nmax_queued_bytes 268435456\n")
    assert self_test(at(broker)).changes == ()
    ends: list[object] = []
    device = paho.Client(CallbackAPIVersion.VERSION2, client_id="device")
    device.on_disconnect = lambda *what: ends.append(what)
    device.connect("127.0.0.1", broker.port)
    device.loop_start()
    until(device.is_connected, "connected")
    for topic in ("other/1", "meter/1", "other/2"):
        device.publish(topic, b"x", qos=1).wait_for_publish(5)
    assert device.is_connected()
    assert ends == []
    device.disconnect()
    device.loop_stop()


@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_a_broker_that_takes_a_user_for_one_client_is_named_and_what_waits_there_stays(
    new_mosquitto: NewMosquitto, tmp_path: Path, version: str
) -> None:
    """Mosquitto with `use_username_as_clientid`: a session of ours is the service's, and was ended with what waited."""
    word = tmp_path / "word"
    word.write_text("any\n")
    broker = new_mosquitto("use_username_as_clientid true\n")
    address = at(broker, username="dutyroom", password_file=str(word), version=version)
    (said,) = self_test(address).changes  # nobody else is there
    assert said.endswith("let it go by client ids (Mosquitto: use_username_as_clientid false)")
    service = MqttSession(address, "dutyroom-site", SystemClock())
    service.start()
    until(lambda: service.subscriptions.settled, "subscribed")
    service.stop()
    single("meter/1", b"waits", 1, hostname="127.0.0.1", port=broker.port, auth={"username": "device"})
    assert self_test(address).changes == (said,)
    service = MqttSession(address, "dutyroom-site", SystemClock())
    service.start()
    try:
        assert payloads(take(service, 1)) == ["waits"]
    finally:
        service.stop()


def test_a_broker_that_is_away_or_none(new_mosquitto: NewMosquitto) -> None:
    broker = new_mosquitto("")
    broker.stop()
    assert "it cannot be reached: " in self_test(at(broker)).untried
    with NoBroker(b"HTTP/1.1 400 Bad Request\r\n\r\n") as wrong:
        assert self_test(BrokerAddress("127.0.0.1", wrong.port)).untried


def test_what_other_brokers_should_change_is_said_in_their_words() -> None:
    def said(**given: object) -> str:
        found = {
            "software": "",
            "kept_session": True,
            "quality": 1,
            "came": 2000,
            "ahead": 2000,
            "retained": True,
        }
        return "\n".join(changes_for("broker b:1883", Found(**(found | given))))  # type: ignore[arg-type]

    assert said() == ""
    assert "EMQX: mqtt.max_mqueue_len" in said(came=1000)
    assert "allow persistent sessions" in said(kept_session=False, came=0)
    assert "grants QoS 0 only" in said(quality=0, came=0, ahead=0)
    assert said(ahead=20) == (
        "broker b:1883 sends 20 messages ahead of our acknowledgements, which allows about 1,700 a second: raise "
        "that limit to 1,000 (EMQX: mqtt.max_inflight, Mosquitto: max_inflight_messages)"
    )
    assert "set max_inflight_messages 1000" in said(ahead=20, software="mosquitto version 2.0.20")


def test_the_command_says_it_and_exits_with_1(new_mosquitto: NewMosquitto, tmp_path: Path) -> None:
    good, bad = new_mosquitto(""), new_mosquitto("max_queued_messages 1000\n")
    head = "id: estate\nname: Estate\ntime_zone: Asia/Shanghai\n"
    site = tmp_path / "site.yaml"

    def run() -> tuple[int, str]:
        done = CliRunner().invoke(app, ["broker", "check", "--site", str(tmp_path)])
        return done.exit_code, done.output

    site.write_text(f"{head}broker: {{host: 127.0.0.1, port: {good.port}}}\n")
    code, said = run()
    assert (code, "keeps what we do not take" in said) == (0, True)
    site.write_text(
        f"{head}broker:\n" + "".join(f"- {{host: 127.0.0.1, port: {b.port}}}\n" for b in (good, bad))
    )
    code, said = run()
    assert code == 1
    assert [line.partition(" (")[0].partition(" keeps")[0] for line in said.splitlines()] == [
        f"broker 127.0.0.1:{good.port}",
        f"broker 127.0.0.1:{bad.port}",
    ]
    site.write_text(head)
    code, said = run()
    assert (code, "there is nothing to try" in said) == (1, True)


def test_a_service_tries_it_after_it_is_connected(
    new_mosquitto: NewMosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = new_mosquitto("max_queued_messages 1000\n")
    monkeypatch.setattr(brokers, "_AFTER_S", 0.05)
    told: list[str] = []
    monkeypatch.setattr(brokers.log, "warning", lambda _event, advice: told.append(advice))
    connected: list[bool] = []
    advice: list[str] = []
    loop = brokers.trial([at(broker)], lambda: bool(connected), advice)
    loop.start()
    assert told == []
    connected.append(True)
    loop.wake()
    until(lambda: advice, "it is tried")
    loop.end()
    assert advice == told
    assert "drops what it queues beyond 1,000" in told[0]


def test_a_service_tries_it_again_until_it_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brokers, "_AFTER_S", 0.0)
    monkeypatch.setattr(brokers, "_AGAIN_S", 0.0)
    told: list[str] = []
    monkeypatch.setattr(brokers.log, "warning", lambda _event, advice: told.append(advice))
    found = [
        Verdict("b", ("it drops",)),
        Verdict("b", ("it drops",)),
        Verdict("b", untried="away"),
        Verdict("b"),
    ]
    advice: list[str] = []
    shown: list[list[str]] = []

    def tried(_: BrokerAddress) -> Verdict:
        shown.append(list(advice))
        return found.pop(0)

    monkeypatch.setattr(brokers, "self_test", tried)
    loop = brokers.trial([BrokerAddress("b")], lambda: True, advice)
    loop.start()
    until(lambda: loop.thread is not None and not loop.thread.is_alive(), "it ends")
    assert shown == [
        [],
        ["it drops"],
        ["it drops"],
        ["it drops"],
    ]  # what could not be tried takes nothing back
    assert (advice, found) == ([], [])
    assert told == ["it drops", "away"]  # not with each try


def test_files_that_cannot_be_read_when_it_is_tried_are_no_outage_of_our_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate that is being renewed just then: the session lives, and `broker` names an outage."""
    monkeypatch.setattr(brokers, "_AFTER_S", 0.0)
    told: list[str] = []
    monkeypatch.setattr(brokers.log, "warning", lambda _event, advice: told.append(advice))
    loop = brokers.trial(
        [BrokerAddress("127.0.0.1", 1, username="u", password_file=str(tmp_path / "word"))], lambda: True
    )
    loop.start()
    until(lambda: told, "it is tried")
    assert "the password cannot be read from" in told[0]
    time.sleep(0.1)
    assert loop.trouble == ""
    loop.end()
