"""A broker session of a site by paho: messages out, acknowledgements in, nothing decided.

Persistent session, QoS 1, manual acknowledgement: paho's thread only queues; the ingest flow takes, commits
and then acknowledges.

What brokers differ in: Mosquitto marks a message delivered again as a duplicate and keeps sessions
on disk; the embedded one marks nothing, holds sessions in memory only, and ends a connection whose
acknowledgements come twice or out of order, with what was not acknowledged in it.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence

import paho.mqtt.client as paho
import structlog
from paho.mqtt.client import ConnectFlags
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from dutyroom.backends.mqtt import link
from dutyroom.backends.mqtt.backoff import Backoff, pause, some_chance
from dutyroom.backends.mqtt.bulk import client_class
from dutyroom.backends.mqtt.properties import MOST_ALIASES
from dutyroom.backends.mqtt.refusals import ended_early, not_reached, of_our_certificate
from dutyroom.backends.mqtt.security import name_of, read_again, secret, tls_context
from dutyroom.backends.mqtt.subscriptions import Standing, Subscriptions
from dutyroom.backends.mqtt.waiting import Waiting
from dutyroom.errors import Rejected, Unavailable
from dutyroom.model.telemetry import Message
from dutyroom.site import BrokerAddress
from dutyroom.timebase import Clock

log = structlog.get_logger(__name__)

KEEPALIVE_S = 30
TOGETHER_S = 0.01  # what comes this soon after the first is taken with it
_TAKEN_OVER = 0x8E  # MQTT 5: somebody else came with our client id
_SHORT = 3  # short connections in a row are no accident
_UNSAID = 4  # tries by TLS that ended without a reason: none will come
_A_WEEK_S = 7 * 86_400
_FOR_EVER = 0xFFFFFFFF  # MQTT 5: a session without an end, as 3.1.1 has it


class MqttSession:
    """One persistent session of a site. See `interfaces.Inbound`.

    waiting: where messages go that a flow takes from several sessions. reader: `bulk` or `stock`.
    standing: what the site's sessions are subscribed to. settled: called when this one has all its topics;
    alone it then drops what it had before. lost: called with the broker's
    name when it has forgotten the session, and with it what came while we were away.
    Raises Rejected when the password or the certificates cannot be read.
    """

    def __init__(
        self,
        address: BrokerAddress,
        client_id: str,
        clock: Clock,
        *,
        waiting: Waiting | None = None,
        reader: str = "bulk",
        standing: Standing | None = None,
        settled: Callable[[], None] | None = None,
        lost: Callable[[str], None] = lambda broker: None,
    ) -> None:
        self._address, self._client_id = address, client_id
        self._name = name_of(address)
        self.waiting = waiting if waiting is not None else Waiting()
        self.name = f"{client_id}@{address.host}:{address.port}"
        self.subscriptions = Subscriptions(self.name, address.topics, standing or Standing(None))
        self._settled = settled or self.drop_former
        self._connected = threading.Event()
        self._stopping = threading.Event()
        self._backoff = Backoff()
        self._lost = lost
        # The broker has had this session before, perhaps of an earlier process.
        self._known = self.name in self.subscriptions.standing
        self._refused = self._unread = (
            ""  # the broker's reason; why the files to try anew with cannot be used
        )
        five = address.version == "5"
        self._client = client_class(reader)(client_id, five, self.waiting, clock, self.name)
        self._client.max_inflight_messages_set(0)
        self._wait_next(pause(0, some_chance()))
        if address.username:
            self._client.username_pw_set(address.username, secret(address.password_file, self._name))
        self._tls = tls_context(address)
        if self._tls is not None:
            self._client.tls_set_context(self._tls)
        self._client.on_connect = self._connected_now
        self._client.on_connect_fail = self._not_reached
        self._client.on_subscribe = self._subscribed
        self._client.on_disconnect = self._disconnected_now
        self._client.on_broken = self._broken

    def start(self) -> None:
        """Connects in the background and goes on trying; never blocks."""
        try:
            self._connect()
            self._client.loop_start()
        except (OSError, ValueError) as err:
            raise Unavailable(f"{self._name}: {err}") from err

    def _connect(self) -> None:
        host, port = self._address.host, self._address.port
        if self._address.version != "5":
            self._client.connect_async(host, port, keepalive=KEEPALIVE_S)
            return
        wishes = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        wishes.SessionExpiryInterval = _FOR_EVER
        wishes.TopicAliasMaximum = MOST_ALIASES
        self._client.connect_async(host, port, keepalive=KEEPALIVE_S, clean_start=False, properties=wishes)

    def stop(self) -> None:
        """Leaves without ending the persistent session; the broker keeps what comes."""
        self._stopping.set()
        self._client.link.end()
        with contextlib.suppress(OSError):
            self._client.disconnect()
        self.waiting.close()
        self._client.loop_stop()
        self._client.close()
        self._connected.clear()

    def extend(self, topics: Iterable[str]) -> tuple[str, ...]:
        """Subscribes to these as well, in the session at hand; returns those that were not covered."""
        fresh = self.subscriptions.add(topics)
        if fresh and self._connected.is_set():
            self.subscriptions.ask(self._client, fresh)
        return fresh

    def drop_former(self) -> None:
        """What it was subscribed to in an earlier life and is not to be any more."""
        if self._connected.is_set():
            self.subscriptions.drop_former(self._client)

    @property
    def refused(self) -> str:
        """Why we are not let in, or not to all topics; "" = fine."""
        return "; ".join(filter(None, (self._refused, self._unread)))

    @property
    def connected(self) -> bool:
        return self._connected.is_set()

    # ------------------------------------------------------------ in paho's thread

    def _connected_now(
        self,
        client: paho.Client,
        _data: object,
        flags: ConnectFlags,
        code: ReasonCode,
        given: Properties | None,
    ) -> None:
        if code.is_failure:
            self._say_refused(f"does not let us in: {code}{self._hint(str(code))}")
            self._read_again()
            return
        self._say_refused("")
        self._unread = ""
        self._backoff.connected(time.monotonic())
        if self._known and not flags.session_present and self.subscriptions.topics:
            log.warning("broker.session_lost", broker=self._name, lost="what came since we were cut off")
            self._lost(self._name)
        self._known = True
        expiry = getattr(given, "SessionExpiryInterval", _FOR_EVER)
        if expiry < _A_WEEK_S:
            log.warning("broker.session_expires", broker=self._name, after_s=expiry)
        self._connected.set()  # first: what `extend` adds from now on is asked for by itself
        self.subscriptions.begin(client, bool(flags and flags.session_present))
        if self.subscriptions.settled:
            self._settled()
        log.info("broker.connected", broker=self._name)

    def _hint(self, code: str) -> str:
        if code == "Unsupported protocol version" and self._address.version == "5":
            return " (it speaks no MQTT 5: leave `version` out of the site's broker)"
        if code not in ("Not authorized", "Bad user name or password"):
            return ""
        if not self._address.username:
            return " (the site names no username and password_file)"
        return f" (user name {self._address.username!r} with the password of {self._address.password_file})"

    def _not_reached(self, _client: object, _data: object) -> None:
        # paho calls this while it handles the error and does not hand it over.
        self._say_refused(not_reached(self._address, sys.exc_info()[1]))
        self._read_again()
        self._wait_next(self._backoff.lost(time.monotonic()))

    def _read_again(self) -> None:
        try:
            read_again(self._client, self._address, self._tls)
            self._unread = ""
        except Rejected as err:  # a new certificate whose key is not there yet, say
            if str(err) != self._unread:
                log.warning("broker.credentials", reason=str(err))
            self._unread = str(err)

    def _wait_next(self, seconds: float) -> None:
        """Before the next try. Jitter: many sites and lanes that were cut off together must not knock at once."""
        self._client.reconnect_delay_set(seconds, seconds)  # type: ignore[arg-type]

    def _subscribed(
        self, _client: object, _data: object, number: int, codes: list[ReasonCode], _p: object
    ) -> None:
        refused, weak = self.subscriptions.answered(number, codes)
        if refused:
            self._say_refused(f"does not allow us to read {', '.join(refused)}")
        if weak:
            log.warning("broker.weak", broker=self._name, topics=weak, lost="what comes while we are away")
        if self.subscriptions.settled:
            self._settled()

    def _disconnected_now(
        self, _client: object, _data: object, _flags: object, code: ReasonCode, _p: object
    ) -> None:
        let_in, reason = self._connected.is_set(), self._client.reason
        self._ended()
        self._wait_next(self._backoff.lost(time.monotonic()))
        if code.value == _TAKEN_OVER or self._backoff.short >= _SHORT:
            self._say_refused(
                "ends our connection soon after it let us in: does something else use our client id "
                f"{self._client_id}, another instance of this site? Or does the broker take all connections of a user for "
                "one client (Mosquitto: use_username_as_clientid)?"
            )
        certificate = of_our_certificate(self._address, reason)
        if certificate or not (let_in or self._refused or self._stopping.is_set() or self._may_be_said_yet()):
            self._say_refused(certificate or ended_early(self._address, reason))
        if certificate or not let_in:
            self._read_again()
        log.info("broker.disconnected", broker=self._name, reason=reason or str(code))

    def _may_be_said_yet(self) -> bool:
        """By TLS a broker often says why it hangs up, but not at each try."""
        return self._tls is not None and self._backoff.failures < _UNSAID

    def _broken(self, err: Exception) -> bool:
        """Something that is no MQTT came: the connection is made anew, after a pause."""
        self._ended()
        self._say_refused(f"sends what is no MQTT: {err!r}")
        if self._stopping.wait(self._backoff.lost(time.monotonic())):
            return False
        self._connect()
        return True

    def _ended(self) -> None:
        self._connected.clear()
        self._client.link.end()

    def _say_refused(self, reason: str) -> None:
        """Once for each change, not once a try."""
        said = f"{self._name} {reason}" if reason else ""
        if said and said != self._refused:
            log.error("broker.refused", reason=said)
        self._refused = said

    # ------------------------------------------------------------ in the flow's thread

    def take(self, timeout_s: float, limit: int) -> Sequence[tuple[object, Message]]:
        waiting = self.waiting
        with waiting.changed:
            if not waiting.changed.wait_for(lambda: waiting.count, timeout_s):
                return []
        if waiting.count < limit:
            time.sleep(TOGETHER_S)
        with waiting.changed:
            return waiting.pop(limit)

    def acknowledge(self, tokens: Sequence[object]) -> None:
        """A token of an earlier connection means nothing to the broker now: it will deliver again."""
        link.acknowledge(tokens)
