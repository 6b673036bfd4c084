"""paho with another way of reading: all that the socket has at once, PUBLISH packets cut out in one loop.

Everything else goes to paho's own handlers, in order. It stands on private names of paho 2.2, so another
version is read in paho's own way (`client.py`); a contract test holds both to the same messages.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import paho.mqtt
import structlog
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.exception import MalformedPacket

from dutyroom.backends.mqtt.client import StockClient
from dutyroom.backends.mqtt.splitter import Cut, Packet, Splitter, packet_at
from dutyroom.backends.mqtt.waiting import Waiting
from dutyroom.timebase import Clock, Ms

log = structlog.get_logger(__name__)

READ = 256 * 1024  # bytes that are read at once
_RECORD = 16 * 1024  # bytes of a TLS record: more never comes at once
_PACE_S = 0.005  # between two reads, unless there is more than one read takes
_MUCH_PACE_S = 0.02  # after a read of this many bytes
_MUCH = 8 * 1024
_FLOOD_PACE_S = 0.05  # after one of this many, where nothing urgent comes: some 10,000 messages a second
_FLOOD = 32 * 1024
_WAKES = 10_000  # bytes: each is one wish to write
_HOLD_S = 0.1  # at a time, while there is no room
_PUBACK, _PUBCOMP = b"\x40\x02", b"\x70\x02"  # and two bytes of packet id
_MADE_FOR = "2.2."
_NEEDED = (
    *("_loop", "_sock_recv", "_packet_handle", "_packet_queue", "_loop_rc_handle", "_easy_log"),
    *("_msgtime_mutex", "_last_bytes_received", "_in_packet", "_ping_t", "_sock", "_sockpairR"),
)


class BulkClient(StockClient):
    """Reads in bulk. Everything here but `acknowledge` is called by paho's thread."""

    def __init__(self, client_id: str, five: bool, waiting: Waiting, clock: Clock, session: str = "") -> None:
        super().__init__(client_id, five, waiting, clock, session)
        self._splitter = Splitter(five, self.aliases)
        self._tail = bytearray()  # of a packet that has not come whole
        self._need = 0  # bytes of it without which nothing can be done
        self._before = self._read_at = 0.0  # when it read last, and the time before
        self._flood = False  # the last read found more than it could take

    def reconnect(self) -> MQTTErrorCode:
        self._tail, self._need, self._flood = bytearray(), 0, False
        return super().reconnect()

    def _loop(self, timeout: float = 1.0) -> MQTTErrorCode:
        """As paho's, but by poll: its select knows no file numbers beyond 1023, so in a process with a thousand
        open pages and files it would never connect again."""
        sock, waker = self._sock, self._sockpairR
        if sock is None or waker is None or sock.fileno() < 0 or not hasattr(select, "poll"):
            return super()._loop(timeout)
        there, poller = sock.fileno(), select.poll()
        poller.register(there, select.POLLIN | select.POLLOUT if self.want_write() else select.POLLIN)
        poller.register(waker.fileno(), select.POLLIN)
        pending = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
        events = dict(poller.poll(0 if pending else timeout * 1000))
        heard = events.get(there, 0)
        if pending or heard & ~select.POLLOUT:
            rc = self.loop_read()
            if rc or self._sock is None:
                return rc
        if waker.fileno() in events:
            with contextlib.suppress(BlockingIOError):  # `loop_read` may have met it
                waker.recv(_WAKES)
        if waker.fileno() in events or heard & select.POLLOUT:
            rc = self.loop_write()
            if rc or self._sock is None:
                return rc
        return self.loop_misc()

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        sock = self._sock
        if sock is None:
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        if not self.waiting.room(_HOLD_S):
            self._hold()
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        self._pace()
        if self._sock is not sock:
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        try:
            data = self._receive(sock)
        except BlockingIOError:
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        except OSError as err:
            self.reason = str(err)
            return self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_CONN_LOST)
        if not data:
            return self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_CONN_LOST)
        self.waiting.pause_s = self._pause_after(len(data), sock)
        with self._msgtime_mutex:
            self._last_bytes_received = time.monotonic()
        return self._eat(sock, data)

    def make_room(self) -> None:
        """`loop_read` has looked before it read."""

    def _hold(self) -> None:
        """Nothing is read now: the answer to a ping waits unread too, and the connection stays."""
        with self._msgtime_mutex:
            self._last_bytes_received = time.monotonic()
        self._ping_t = 0.0

    def _pace(self) -> None:
        """A little later there is more to read at once; what is to be sent does not wait for it."""
        wait = self._read_at + self.waiting.pause_s - time.monotonic()
        if wait > 0 and not self._flood:
            waker = self._sockpairR
            if waker is None or not hasattr(select, "poll"):
                time.sleep(wait)
            else:
                poller = select.poll()
                poller.register(waker.fileno(), select.POLLIN)
                if poller.poll(wait * 1000):
                    waker.recv(_WAKES)
                    self.loop_write()
        self._before, self._read_at = self._read_at, time.monotonic()

    def _pause_after(self, size: int, sock: Any) -> float:
        """Until the next read; at this pace what comes meanwhile must not fill more than half of what the socket
        holds, or the broker would wait for us."""
        if size < _MUCH:
            return _PACE_S
        if size < _FLOOD or self.waiting.urgent:
            return _MUCH_PACE_S
        room: int = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
        lasted = max(self._read_at - self._before, _PACE_S)
        return min(_FLOOD_PACE_S, max(_MUCH_PACE_S, room * lasted / size))

    def _receive(self, sock: object) -> bytes:
        """What has come, b"" = the end. Raises BlockingIOError: nothing yet."""
        if not isinstance(sock, ssl.SSLSocket):
            data = self._sock_recv(READ)
            self._flood = len(data) == READ
            return data
        pieces = [self._sock_recv(_RECORD)]
        size = len(pieces[0])
        try:
            while pieces[-1] and size < READ:
                pieces.append(self._sock_recv(_RECORD))
                size += len(pieces[-1])
        except OSError:  # nothing more; or the end, which the next read meets again
            pass
        self._flood = size >= READ
        return b"".join(pieces)

    def _eat(self, sock: object, data: bytes) -> MQTTErrorCode:
        if self._tail:
            if len(self._tail) + len(data) < self._need:
                self._tail += data
                return MQTTErrorCode.MQTT_ERR_SUCCESS
            data = b"".join((self._tail, data))
            self._tail = bytearray()
        pos, now = 0, self.clock.now()
        while True:
            pos = self._publishes(data, pos, now)
            found = packet_at(data, pos)
            if not isinstance(found, Packet):
                break
            rc = self._hand_over(data, found)
            if rc > 0:
                return self._loop_rc_handle(rc)
            if self._sock is not sock:  # it ended with that packet
                return MQTTErrorCode.MQTT_ERR_SUCCESS
            pos = found.stop
        if found == 0:
            return self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_PROTOCOL)
        self._tail, self._need = bytearray(data[pos:]), found
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _publishes(self, data: bytes, pos: int, now: Ms) -> int:
        cut, stop = Cut(), pos
        try:
            stop = self._splitter.split(data, pos, cut)
        finally:
            if cut.ids:
                self.put(cut.ids, cut.messages(now, self.session), stop - pos)
        return stop

    def _hand_over(self, data: bytes, packet: Packet) -> MQTTErrorCode:
        """One packet to paho's own handler."""
        length = packet.stop - packet.start
        self._in_packet = {
            "command": packet.command,
            "have_remaining": 1,
            "remaining_count": [],
            "remaining_mult": 1,
            "remaining_length": length,
            "packet": bytearray(data[packet.start : packet.stop]),
            "to_process": 0,
            "pos": 0,
        }
        try:
            return self._packet_handle()
        except MalformedPacket:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        finally:
            self._in_packet["packet"] = bytearray()

    def acknowledge(self, ids: Sequence[bytes]) -> None:
        """All in one piece."""
        packet = _PUBACK + _PUBACK.join(ids)
        if len(packet) != 4 * len(ids):  # one of them came with QoS 2
            packet = b"".join((_PUBACK if len(ident) == 2 else _PUBCOMP) + ident[:2] for ident in ids)
        self._packet_queue(_PUBACK[0], packet, 0, 1)


def unfit(version: str = paho.mqtt.__version__) -> str:
    """Why this paho cannot be read in bulk, "" = it can."""
    if not version.startswith(_MADE_FOR):
        return f"paho-mqtt {version} is not {_MADE_FOR}x"
    probe = StockClient("probe", False, Waiting(), _NoClock())
    missing = [name for name in _NEEDED if not hasattr(probe, name)]
    return f"paho-mqtt {version} has no {', '.join(missing)}" if missing else ""


class _NoClock:
    def now(self) -> Ms:
        return 0


_told = threading.Event()


def client_class(reader: str) -> Callable[[str, bool, Waiting, Clock, str], StockClient]:
    """For `bulk` or `stock` (the setting DUTYROOM_MQTT_READER)."""
    if reader == "stock":
        return StockClient
    why = unfit()
    if not why:
        return BulkClient
    if not _told.is_set():
        _told.set()
        log.warning("broker.reader", reader="stock", reason=why)
    return StockClient
