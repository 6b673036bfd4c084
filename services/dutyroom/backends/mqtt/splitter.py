"""PUBLISH packets of QoS 0 and 1 cut out of what a socket gave, many at a time.

Only what is surely right is taken: whatever is rare, large or odd is left where it stands, for paho's own
handler to read or to refuse. MQTT 3.1.1 section 3.3, MQTT 5.0 section 3.3.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import numpy as np

from dutyroom.backends.mqtt.properties import Aliases, read_properties
from dutyroom.model.messages import DUPLICATE, RETAINED, Messages
from dutyroom.timebase import Ms

_HEAD = 5  # bytes that say how a packet of up to 16 KiB is laid out: type, length, length of its topic
_SHAPES = 10_000
_TOPICS = 50_000
_WORTH = 16  # packets laid out alike that are cut at once
_TRY, _MOST = 64, 1024  # packets that are cut one by one before the next look for some that are alike
_LONG_TOPIC = 256  # bytes; longer ones are not remembered

# offsets from the packet's first byte: topic, behind the topic, behind the packet id, behind the packet; marks
_Shape = tuple[int, int, int, int, int]


class Packet(NamedTuple):
    """Where a packet lies in the data: its first byte, its body from `start` to before `stop`."""

    command: int
    start: int
    stop: int


def packet_at(data: bytes, pos: int) -> Packet | int:
    """The packet that begins at `pos`; else how many bytes from `pos` on are needed to go on, 0 = no
    packet begins like this: its length takes more than four bytes."""
    end = len(data)
    length = 0
    for place in range(5):
        at = pos + 1 + place
        if at >= end:
            return at + 1 - pos
        if place == 4:
            break
        byte = data[at]
        length |= (byte & 127) << (7 * place)
        if byte < 128:
            stop = at + 1 + length
            return Packet(data[pos], at + 1, stop) if stop <= end else stop - pos
    return 0


class Cut:
    """What was cut out, as columns. ids: packet ids, b"" = QoS 0."""

    __slots__ = ("ids", "marks", "payloads", "topics")

    def __init__(self) -> None:
        self.ids: list[bytes] = []
        self.topics: list[str] = []
        self.payloads: list[bytes] = []
        self.marks: dict[int, int] = {}

    def messages(self, now: Ms, session: str) -> Messages:
        """They all came at `now` by this session."""
        received, sessions = np.full(len(self.ids), now, np.int64), [session] * len(self.ids)
        return Messages(self.topics, self.payloads, received, self.marks, sessions, self.ids)


class Splitter:
    """Of one connection after another; `aliases` are the current one's. five: MQTT 5."""

    def __init__(self, five: bool, aliases: Aliases) -> None:
        self._five, self._aliases = five, aliases
        self._shapes: dict[bytes, _Shape] = {}
        self._topics: dict[bytes, str] = {}

    def split(self, data: bytes, pos: int, cut: Cut) -> int:
        """Adds the messages that begin at `pos` to what was cut; returns where something begins that is left:
        another packet, a piece of one, or the end.

        Raises BrokenStream for a topic alias that was never given.
        """
        each, step = self._each_five if self._five else self._each, _TRY
        while True:
            before = len(cut.ids)
            pos = self._alike(data, pos, cut)
            step = _TRY if len(cut.ids) - before > _TRY else min(2 * step, _MOST)
            before = len(cut.ids)
            pos = each(data, pos, cut, step)
            if len(cut.ids) - before < step:
                return pos

    def _alike(self, data: bytes, pos: int, cut: Cut) -> int:
        """Adds the packets that begin at `pos` as far as they are laid out alike, as those of one make of devices
        often are, all at once; returns where they end."""
        head = data[pos : pos + _HEAD]
        shape = self._shapes.get(head) or self._shape(head)
        if shape is None or shape[-1]:
            return pos
        topic, ident, start, stop, _ = shape
        most = (len(data) - pos) // stop
        if most < _WORTH or data[pos + stop : pos + stop + _HEAD] != head:
            return pos
        same = np.ones(most, np.bool_)
        for at, kind in ((0, "<u4"), (4, "u1")):  # the head
            column: Any = np.ndarray((most,), kind, data, pos + at, (stop,))
            same &= column == column[0]
        if self._five:
            same &= np.ndarray((most,), "u1", data, pos + start, (stop,)) == 0  # no properties
        count = most if same.all() else int(same.argmin())
        if count < _WORTH:
            return pos
        form = f"{topic}x{ident - topic}s{start - ident}s{int(self._five)}x{stop - start - self._five}s"
        end = pos + count * stop
        raws, ids, payloads = zip(*struct.iter_unpack(form, memoryview(data)[pos:end]), strict=True)
        topics = self._topics
        cut.topics += [topics.get(raw) or self._topic(raw) for raw in raws]
        cut.payloads += payloads
        cut.ids += ids
        return end

    def _each(self, data: bytes, pos: int, cut: Cut, count: int) -> int:
        """One by one, at most `count`."""
        end = len(data)
        shapes, topics = self._shapes, self._topics
        name, keep, note = cut.topics.append, cut.payloads.append, cut.ids.append
        for _ in range(count):
            head = data[pos : pos + _HEAD]
            shape = shapes.get(head) or self._shape(head)
            if shape is None:
                return pos
            topic, ident, start, stop, marks = shape
            stop += pos
            if stop > end:
                return pos
            if marks:
                cut.marks[len(cut.ids)] = marks
            ident += pos
            raw = data[pos + topic : ident]
            start += pos
            name(topics.get(raw) or self._topic(raw))
            keep(data[start:stop])
            note(data[ident:start])
            pos = stop
        return pos

    def _each_five(self, data: bytes, pos: int, cut: Cut, count: int) -> int:
        end = len(data)
        shapes, topics = self._shapes, self._topics
        named, keep, note = cut.topics.append, cut.payloads.append, cut.ids.append
        for _ in range(count):
            head = data[pos : pos + _HEAD]
            shape = shapes.get(head) or self._shape(head)
            if shape is None:
                return pos
            topic, ident, start, stop, marks = shape
            stop += pos
            if stop > end:
                return pos
            raw = data[pos + topic : pos + ident]
            start += pos
            name = topics.get(raw) or self._topic(raw)
            body = start + 1
            if data[start]:
                found = read_properties(data, start, stop)
                if found is None:
                    return pos
                body, alias = found
                if alias:
                    name = self._aliases.resolve(name, alias)
            if marks:
                cut.marks[len(cut.ids)] = marks
            named(name)
            keep(data[body:stop])
            note(data[pos + ident : start])
            pos = stop
        return pos

    def _shape(self, head: bytes) -> _Shape | None:
        """Of a packet that begins like this; None = left to paho."""
        if len(head) < _HEAD or head[0] & 0xF4 != 0x30:  # no PUBLISH, or QoS 2 or 3
            return None
        if head[1] < 128:
            body, stop = 2, 2 + head[1]
        elif head[2] < 128:
            body, stop = 3, 3 + (head[1] & 127 | head[2] << 7)
        else:
            return None
        ident = body + 2 + (head[body] << 8 | head[body + 1])
        start = ident + (2 if head[0] & 2 else 0)
        if start + self._five > stop or (ident == body + 2 and not self._five):
            return None
        if len(self._shapes) >= _SHAPES:
            self._shapes.clear()
        marks = (RETAINED if head[0] & 1 else 0) | (DUPLICATE if head[0] & 8 else 0)
        shape = (body + 2, ident, start, stop, marks)
        self._shapes[head] = shape
        return shape

    def _topic(self, raw: bytes) -> str:
        name = topic_text(raw)
        if len(raw) <= _LONG_TOPIC:
            if len(self._topics) >= _TOPICS:
                self._topics.clear()
            self._topics[raw] = name
        return name


def topic_text(raw: bytes) -> str:
    """A topic as text; bytes that are not UTF-8 stay readable: \\xff."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("utf-8", "backslashreplace")
