"""What the frames of Chinese meter standards share: finding them, their checksum, their decimal digits.

A frame is `68 .. L data CS 16`: 68 begins it, L counts the data, CS is the sum of all bytes from 68
on, modulo 256, and 16 ends it. 68, 16 and the FE that wakes a bus may occur inside, so only the whole
form makes a frame. Other bytes around frames are noise of the line and are skipped; what begins like a
frame and is not one is a damaged frame, and then nothing of the payload is believed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.seam import Ask
from dutyroom.profiles.yamlnode import Plain

START, END, WAKE = 0x68, 0x16, 0xFE
WAKES = bytes([WAKE]) * 16
MAX_PAYLOAD = 16384  # bytes; a serial line at 9600 baud needs 17 s for them
MAX_EXTRA = 64


@dataclass(frozen=True, slots=True)
class Shape:
    """Where a standard keeps the length, and what begins like a frame of it.

    length_at: bytes from 68 to L. begins: (payload, place of a 68, whether a frame may be expected
    there: at the very start, after FE or after another frame) -> does a frame begin here? It is asked only
    where L is inside the payload.
    """

    length_at: int
    begins: Callable[[bytes, int, bool], bool]


class Piece(NamedTuple):
    """Bytes in wire order, and the place of each in the payload. A tuple: thousands are made a second."""

    data: bytes
    at: Sequence[int]

    def part(self, first: int, size: int) -> Piece:
        return Piece(self.data[first : first + size], self.at[first : first + size])

    def bits(self) -> tuple[int, int]:
        """First bit in the payload and the bit after the last one."""
        return (self.at[0] * 8, self.at[-1] * 8 + 8) if self.at else (0, 0)


def checksum(data: bytes) -> int:
    return sum(data) & 0xFF


def found_in(payload: bytes, shape: Shape, ask: Ask) -> list[range]:
    """The same as find_frames, searched once for a message."""
    if ask.kept is None:
        return find_frames(payload, shape)
    key = (shape.length_at, payload)
    found: list[range] | None = ask.kept.get(key)
    if found is None:
        found = ask.kept[key] = find_frames(payload, shape)
    return found


def find_frames(payload: bytes, shape: Shape) -> list[range]:
    """The places of all frames, from 68 to the byte after 16.

    Raises Rejected: a damaged or cut frame (the first one, by its place), no frame at all, or too
    long a payload. What is cut before its L cannot be told from noise.
    """
    if len(payload) > MAX_PAYLOAD:
        raise Rejected(f"{len(payload)} bytes are more than {MAX_PAYLOAD}")
    place = payload.find(START)
    if (one := _alone(payload, place, shape)) is not None:
        return [one]
    found: list[range] = []
    damaged: list[tuple[int, str]] = []
    while 0 <= place < len(payload) - shape.length_at:
        expected = place == 0 or payload[place - 1] == WAKE or bool(found and found[-1].stop == place)
        following = place + 1
        if shape.begins(payload, place, expected):
            frame = range(place, place + shape.length_at + payload[place + shape.length_at] + 3)
            fault = _fault(payload, frame)
            if fault:
                damaged.append((place, fault))
            else:
                # A 68 of the noise may pair with one of the true frame: no frame was damaged then.
                while damaged and damaged[-1][0] + shape.length_at >= place:
                    damaged.pop()
                found.append(frame)
                following = frame.stop
        if damaged and damaged[0][0] + shape.length_at < place:
            break  # nothing that follows can excuse it
        place = payload.find(START, following)
    if damaged:
        raise Rejected(f"frame at byte {damaged[0][0]}: {damaged[0][1]}")
    if not found:
        raise Rejected("no frame (68 .. 16) in the payload")
    return found


def _alone(payload: bytes, place: int, shape: Shape) -> range | None:
    """The frame that the payload is, but for FE in front of it: so most of them are."""
    length_at = place + shape.length_at
    if not 0 <= place < len(payload) - shape.length_at or length_at + payload[length_at] + 3 != len(payload):
        return None
    if payload[:place] != WAKES[:place] or not shape.begins(payload, place, True):
        return None
    frame = range(place, len(payload))
    return None if _fault(payload, frame) else frame


def _fault(payload: bytes, frame: range) -> str:
    """Why it is no whole frame; "" when it is."""
    if frame.stop > len(payload):
        return f"is cut, {frame.stop - len(payload)} bytes are missing"
    if payload[frame.stop - 1] != END:
        return f"byte {frame.stop - 1} should be 16 and is {payload[frame.stop - 1]:02X}"
    stated, computed = payload[frame.stop - 2], checksum(payload[frame.start : frame.stop - 2])
    if stated != computed:
        return f"checksum at byte {frame.stop - 2} is {stated:02X}, the bytes give {computed:02X}"
    return ""


def build(body: bytes, preamble: int) -> bytes:
    """body (from 68 to the last data byte) with checksum, 16 and leading FE."""
    return bytes([WAKE]) * preamble + body + bytes([checksum(body), END])


def digits(piece: Piece, what: str) -> str | None:
    """Packed decimal digits, most significant first; None when all bytes are FF (not there).

    Raises Rejected for a digit above 9.
    """
    text = piece.data[::-1].hex()
    if text.isdecimal():
        return text
    if piece.data == b"\xff" * len(piece.data):
        return None
    for place, byte in zip(piece.at, piece.data, strict=True):
        if byte >> 4 > 9 or byte & 15 > 9:
            raise Rejected(f"{what} at byte {place}: {byte:02X} is not decimal")
    return None


def decimal(piece: Piece, decimals: int, signed: bool, what: str) -> str | None:
    """A number as exact text; signed: the top bit of the last byte is the sign, not a digit."""
    negative = signed and piece.data[-1] & 0x80 and piece.data != b"\xff" * len(piece.data)
    if negative:
        piece = Piece(piece.data[:-1] + bytes([piece.data[-1] & 0x7F]), piece.at)
    text = digits(piece, what)
    if text is None:
        return None
    return fixed(-int(text) if negative else int(text), decimals)


def fixed(value: int, decimals: int) -> str:
    """21494, 2 -> "214.94"."""
    if not decimals:
        return str(value)
    text = str(abs(value)).zfill(decimals + 1)
    return f"{'-' if value < 0 else ''}{text[:-decimals]}.{text[-decimals:]}"


def local_time(text: str | None) -> str | None:
    """YYYYMMDDhhmm[ss] or YYMMDDhhmm (of this century) as ISO local time; None when absent or all zero.

    What is no date (month 13) stays as it is: whoever reads the time finds it wrong and says so.
    """
    if text is None or not text.strip("0"):
        return None
    if len(text) == 10:
        text = f"20{text}"
    seconds = text[12:14] or "00"
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}T{text[8:10]}:{text[10:12]}:{seconds}"


def places(requests: Sequence[bool]) -> list[str]:
    """Where each frame will stand in the document of `apart`: [False, True] -> ["frames[0]", "requests[0]"]."""
    count = {True: 0, False: 0}
    found = []
    for request in requests:
        found.append(f"{'requests' if request else 'frames'}[{count[request]}]")
        count[request] += 1
    return found


def apart(documents: Sequence[dict[str, object]]) -> dict[str, object]:
    """What meters said, and what was asked of them: a silent meter must not look alive by an echo."""
    requests = [d for d in documents if d["kind"] == "request"]
    said = [d for d in documents if d["kind"] != "request"] if requests else list(documents)
    return {"frames": said, "requests": requests}


def whole_option(options: Mapping[str, Plain], name: str, most: int) -> int:
    """A setting that is a whole number from 0 to most. Raises Rejected naming it."""
    value = options.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise Rejected(f"{name}: a whole number from 0 to {most}, not {value!r}")
    return value


def choice_option(options: Mapping[str, Plain], name: str, choices: tuple[str, ...]) -> str:
    """A setting that is one of some words; the first is the default. Raises Rejected naming it."""
    value = options.get(name, choices[0])
    if not isinstance(value, str) or value not in choices:
        raise Rejected(f"{name}: one of {', '.join(choices)}, not {value!r}")
    return value
