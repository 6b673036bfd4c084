"""What a broker does with what we do not take at once, found out by trying, in a few seconds.

A session of its own leaves, 2,000 small messages are published for it, and it comes back: how many come, how
many between two acknowledgements, and is a retained message kept? The topic begins with `$`, so that no other
subscriber hears of it, `#` or not, and no queue but this session's grows. Everything is taken away again.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass

from dutyroom.backends.mqtt.probe import NotAllowed, OneSession, Probe
from dutyroom.backends.mqtt.security import name_of
from dutyroom.errors import Unavailable
from dutyroom.site import BrokerAddress

ROOT = "$dutyroom/selftest"
MESSAGES = 2_000
_FEW = 100  # messages on their way; fewer slow an ingest down that acknowledges whole batches
# 0 means no limit, and makes Mosquitto 2.0.11 end the connection of whoever publishes at QoS 1 what its ACL refuses.
_QUEUE = "max_queued_messages 10000000"
_ROUND_S = 0.012  # from a batch's first message to its acknowledgement: 10 ms together, and a commit


@dataclass(frozen=True, slots=True)
class Found:
    """What was seen. came: of MESSAGES that waited; ahead: the most of them between two acknowledgements."""

    software: str  # as the broker calls itself, "" = it does not say
    kept_session: bool
    quality: int  # QoS that the subscription was granted
    came: int
    ahead: int
    retained: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """broker: its name. changes: what to change, a sentence each. untried: why it could not be tried."""

    broker: str
    changes: tuple[str, ...] = ()
    untried: str = ""
    found: Found | None = None


def self_test(address: BrokerAddress, messages: int = MESSAGES) -> Verdict:
    """Tries a broker; takes a few seconds, and a minute at most. Raises nothing but Rejected, for a password or
    certificate that cannot be read."""
    name = name_of(address)
    try:
        found = _try(address, messages)
    except OneSession:
        return Verdict(name, (one_session(name),))
    except NotAllowed as err:
        return Verdict(name, untried=f"{name} could not be tried: {err}")
    except Unavailable as err:
        return Verdict(name, untried=f"{name} could not be tried: {err}")
    return Verdict(name, changes_for(name, found, messages), "", found)


def changes_for(name: str, found: Found, messages: int = MESSAGES) -> tuple[str, ...]:
    """What the broker's keeper should change, the gravest first."""
    mosquitto = "mosquitto" in found.software.lower()
    who = f"{name} (Mosquitto)" if mosquitto else name
    said = []
    if not found.kept_session:
        said.append(
            f"{who} does not keep our session while we are away, so that what devices send meanwhile is lost: "
            "allow persistent sessions"
        )
    elif found.quality < 1:
        said.append(
            f"{who} grants QoS 0 only, so that what comes while we are away is lost: allow QoS 1"
            + (" (max_qos)" if mosquitto else "")
        )
    elif found.came < messages:
        said.append(
            f"{who} drops what it queues beyond {found.came:,} messages for a session that is away or slow: "
            + _more_queue(mosquitto)
        )
    if found.came > found.ahead and found.ahead < _FEW:
        most = round(found.ahead / _ROUND_S, -2)
        said.append(
            f"{who} sends {found.ahead} messages ahead of our acknowledgements, which allows about "
            f"{most:,.0f} a second: {_more_ahead(mosquitto)}"
        )
    if not found.retained:
        said.append(
            f"{who} keeps no retained messages, so that the state of a gateway is unknown until it speaks: "
            "allow them where gateways retain their state"
        )
    return tuple(said)


def one_session(name: str) -> str:
    """Of a broker that takes all connections of a user for one client."""
    return (
        f"{name} takes all connections of a user for one client, so that ours throw each other out and lose what waits "
        "for them: let it go by client ids (Mosquitto: use_username_as_clientid false)"
    )


def _more_queue(mosquitto: bool) -> str:
    if mosquitto:
        return (
            f"set {_QUEUE} (not 0: with an ACL that may end devices' connections), and max_queued_bytes to what "
            "the machine can hold"
        )
    return (
        "raise that limit (EMQX: mqtt.max_mqueue_len, HiveMQ: queued-messages.max-queue-size, Mosquitto: "
        f"{_QUEUE})"
    )


def _more_ahead(mosquitto: bool) -> str:
    if mosquitto:
        return "set max_inflight_messages 1000"
    return "raise that limit to 1,000 (EMQX: mqtt.max_inflight, Mosquitto: max_inflight_messages)"


def _try(address: BrokerAddress, messages: int) -> Found:
    word = secrets.token_hex(8)
    topic, client = f"{ROOT}/{word}", f"dutyroom-selftest-{word}"
    writer = Probe(address, f"{client}-w", lasting=False)
    reader = Probe(address, client, lasting=True)
    forget = reader.forget
    try:
        if reader.connect():  # by a name that nobody ever had
            forget = reader.leave  # it is the service's, with all that waits in it
            raise OneSession
        quality = reader.subscribe(f"{topic}/queue")
        software = reader.software()
        if quality < 1:  # the gravest that can be said, and such a broker takes no message at QoS 1 either
            return Found(software, True, quality, 0, 0, True)
        alone = not reader.thrown_out
        writer.connect()
        writer.publish([(f"{topic}/queue", b"do you hear me?")])
        if alone and reader.thrown_out:
            forget = reader.leave
            raise OneSession
        if not reader.take_all(1):
            raise NotAllowed(
                f"it passes on nothing under {ROOT}; let this user publish and read there (Mosquitto's "
                f"acl_file: topic readwrite {ROOT}/#), or leave it untried"
            )
        reader.leave()
        writer.publish([(f"{topic}/queue", b"%d" % number) for number in range(messages)])
        kept = reader.connect()
        came = reader.take_all(messages)
        retained = _retains(reader, writer, f"{topic}/retained")
        return Found(software, kept, quality, came, reader.ahead, retained)
    finally:
        writer.leave()
        forget()


def _retains(reader: Probe, writer: Probe, topic: str) -> bool:
    try:
        writer.publish([(topic, b"kept")], retain=True)
        reader.subscribe(topic)
        deadline = time.monotonic() + 2
        while not reader.had_retained and time.monotonic() < deadline:
            time.sleep(0.02)
        writer.publish([(topic, b"")], retain=True)  # takes it away again
    except Unavailable:  # MQTT 5: a broker that keeps none ends the connection
        return False
    return reader.had_retained


def in_words(verdict: Verdict) -> Sequence[str]:
    """For a person, a line each."""
    if verdict.untried:
        return (verdict.untried,)
    if verdict.changes:
        return verdict.changes
    return (
        f"{verdict.broker} keeps what we do not take at once: {MESSAGES:,} of {MESSAGES:,} messages came",
    )
