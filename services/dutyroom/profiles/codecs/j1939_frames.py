"""CAN frames that carry J1939: what their id says, long messages put together, frames listed in JSON.

J1939-21: the 29-bit id is priority, parameter group and source address; a longer message is announced
and then sent in pieces of seven bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from dutyroom.errors import Rejected

MAX_ID = (1 << 29) - 1
EXTENDED = 1 << 31  # set by SocketCAN beside an id of 29 bits
MAX_DATA = 1785  # bytes, of 255 frames
LONGEST = 3 * MAX_DATA  # characters: two for each byte, and a blank
MAX_FRAMES = 4096  # of a message
CONNECTION, TRANSFER = 60416, 60160
PIECES = frozenset({CONNECTION, TRANSFER})
_hex = bytes.fromhex
_BROADCAST, _REQUEST_TO_SEND = 32, 16


class Frame(NamedTuple):
    """One parameter group as sent. destination: None = to all."""

    pgn: int
    source: int
    priority: int
    data: bytes
    destination: int | None = None


# Made from a tuple of all five in half the time: a message has dozens.
_frame: Callable[[tuple[object, ...]], Frame] = partial(tuple.__new__, Frame)


def frame(can_id: int, data: bytes) -> Frame:
    """Below 240 the third byte of the id is the destination, else it belongs to the group's number."""
    number, source, priority = can_id >> 8 & 0x3FFFF, can_id & 0xFF, can_id >> 26
    if number >> 8 & 0xFF < 240:
        return _frame((number & 0x3FF00, source, priority, data, number & 0xFF))
    return _frame((number, source, priority, data, None))


def can_id(pgn: int, source: int = 0, priority: int = 6, destination: int = 255) -> int:
    """The id that a frame of this group carries."""
    group = pgn | destination if pgn >> 8 & 0xFF < 240 else pgn
    return priority << 26 | group << 8 | source


# ---------------------------------------------------------------- long messages


class Assembly:
    """Puts long messages together, each from its announcement and all its pieces."""

    __slots__ = ("_open",)

    def __init__(self) -> None:
        self._open: dict[tuple[int, int | None], tuple[Frame, dict[int, bytes]]] = {}

    def take(self, found: Frame) -> Frame | None:
        """The message that is complete with this frame; None for any other."""
        key = (found.source, found.destination)
        if found.pgn == CONNECTION and len(found.data) == 8:
            if found.data[0] in (_BROADCAST, _REQUEST_TO_SEND):
                self._open[key] = (found, {})
        elif found.pgn == TRANSFER and len(found.data) == 8 and key in self._open:
            announced, pieces = self._open[key]
            pieces[found.data[0]] = found.data[1:]
            count = announced.data[3]
            if 0 < count <= len(pieces) and all(n in pieces for n in range(1, count + 1)):
                size, pgn = (int.from_bytes(announced.data[a:b], "little") for a, b in ((1, 3), (5, 8)))
                whole = b"".join(pieces[n] for n in range(1, count + 1))
                del self._open[key]
                if size <= len(whole):
                    return Frame(pgn, found.source, announced.priority, whole[:size], found.destination)
        return None


def assembled(frames: Sequence[Frame]) -> Iterator[Frame]:
    """The frames, and after the last piece of each complete long message that message as one."""
    assembly = Assembly()
    for found in frames:
        yield found
        if found.pgn in PIECES and (whole := assembly.take(found)) is not None:
            yield whole


# ---------------------------------------------------------------- where frames stand


def read_id(value: object, where: str) -> int:
    """A number, or text: decimal, or hex (0x18FEEE00, 18FEEE00). Raises Rejected."""
    if isinstance(value, str):
        text = value.strip()
        decimal = text.isdecimal() and len(text) != 8
        try:
            value = int(text, 10 if decimal else 16) if len(text) < 12 else None
        except ValueError:
            value = None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise Rejected(f"{where}: no CAN id")
    if value >> 29 == EXTENDED >> 29:
        value ^= EXTENDED
    if value > MAX_ID:
        raise Rejected(f"{where}: CAN id 0x{value:x} has more than 29 bits")
    return value


def read_data(value: object, where: str) -> bytes:
    """Hex text (blanks allowed), or a list of bytes. Raises Rejected."""
    try:
        if isinstance(value, str) and len(value) <= LONGEST:
            return bytes.fromhex(value.strip().removeprefix("0x"))
        if isinstance(value, list) and len(value) <= MAX_DATA:
            return bytes(value)
    except (ValueError, TypeError):
        pass
    raise Rejected(f"{where}: data is neither hex text nor a list of at most {MAX_DATA} bytes")


def listed_frames(value: object, where: str) -> list[Frame]:
    elements = value if isinstance(value, list) else [value]
    if len(elements) > MAX_FRAMES:
        raise Rejected(f"{where}: more than {MAX_FRAMES} frames")
    found = []
    for number, element in enumerate(elements):
        if not isinstance(element, dict):
            raise Rejected(f"{where}[{number}]: {{id, data}} expected")
        own, data = element.get("id"), element.get("data")
        if type(own) is not int or not 0 <= own <= MAX_ID:
            own = read_id(own, f"{where}[{number}].id")
        try:  # as most write it
            content = _hex(data) if type(data) is str and len(data) == 16 else b""
        except ValueError:
            content = b""
        found.append(frame(own, content or read_data(data, f"{where}[{number}].data")))
    return found
