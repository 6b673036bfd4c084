"""Frames of the protocols that have checksums, written from the standards and not with the product's own code:
what makes them, what puts a mutated one right again, and the sums that the oracles count."""

from __future__ import annotations

from collections.abc import Iterator

ARC, MODBUS = (0xA001, 0), (0xA001, 0xFFFF)  # (polynomial, start) of CRC-16 that go by the lowest bit


def _table(polynomial: int) -> list[int]:
    table = []
    for crc in range(256):
        for _ in range(8):
            crc = crc >> 1 ^ polynomial if crc & 1 else crc >> 1
        table.append(crc)
    return table


_REFLECTED = _table(0xA001)


def crc_reflected(data: bytes, kind: tuple[int, int]) -> int:
    crc = kind[1]
    for byte in data:
        crc = crc >> 8 ^ _REFLECTED[(crc ^ byte) & 0xFF]
    return crc


def _forward() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x3D65 if crc & 0x8000 else crc << 1) & 0xFFFF
        table.append(crc)
    return table


_FORWARD = _forward()


def crc_13757(data: bytes) -> int:
    """EN 13757-4: polynomial 3D65, highest bit first, complement."""
    crc = 0
    for byte in data:
        crc = (crc << 8 & 0xFFFF) ^ _FORWARD[crc >> 8 ^ byte]
    return crc ^ 0xFFFF


# ---------------------------------------------------------------- meters on a line: 68 .. L data CS 16


def dlt645(address: str, control: int, data: bytes) -> bytes:
    """data: without the 33 that the line adds."""
    head = b"\x68" + bytes.fromhex(address)[::-1] + bytes((0x68, control, len(data)))
    body = head + bytes((b + 0x33) & 0xFF for b in data)
    return body + bytes((sum(body) & 0xFF, 0x16))


def cjt188(kind: int, address: str, control: int, data: bytes) -> bytes:
    body = bytes((0x68, kind)) + bytes.fromhex(address)[::-1] + bytes((control, len(data))) + data
    return body + bytes((sum(body) & 0xFF, 0x16))


def line_frame(payload: bytes, place: int, length_at: int) -> range | None:
    """The bytes of a frame of this length at `place`, when its sum and its end are right."""
    if place < 0 or place + length_at >= len(payload) or payload[place] != 0x68:
        return None
    end = place + length_at + 1 + payload[place + length_at]
    if end + 2 > len(payload) or payload[end + 1] != 0x16:
        return None
    return range(place, end + 2) if sum(payload[place:end]) % 256 == payload[end] else None


def repaired_line(payload: bytes, length_at: int) -> bytes:
    """Every frame that its length lets end inside the payload gets its sum and its 16; the last one its length too."""
    data, place = bytearray(payload), payload.find(0x68)
    while place >= 0 and place + length_at + 2 < len(data):
        if length_at == 9 and data[place + 7] != 0x68:
            place = data.find(0x68, place + 1)
            continue
        end = place + length_at + 1 + data[place + length_at]
        if end + 2 > len(data):
            end = len(data) - 2
            if end - place - length_at - 1 > 255:
                return bytes(data)
            data[place + length_at] = end - place - length_at - 1
        data[end : end + 2] = bytes((sum(data[place:end]) & 0xFF, 0x16))
        place = data.find(0x68, end + 2)
    return bytes(data)


# ---------------------------------------------------------------- fire panels


def gb26875(unit: bytes, command: int = 2, serial: int = 7) -> bytes:
    head = (
        serial.to_bytes(2, "little")
        + bytes((1, 0, 0, 30, 8, 1, 11, 26))
        + bytes((5, 0, 0, 1, 0, 0))
        + bytes(6)
    )
    body = head + len(unit).to_bytes(2, "little") + bytes((command,)) + unit
    return b"@@" + body + bytes((sum(body) & 0xFF,)) + b"##"


def gb_frame(payload: bytes, place: int) -> bool:
    if payload[place : place + 2] != b"@@" or place + 30 > len(payload):
        return False
    end = place + 27 + int.from_bytes(payload[place + 24 : place + 26], "little")
    return payload[end + 1 : end + 3] == b"##" and sum(payload[place + 2 : end]) % 256 == payload[end]


def repaired_gb(payload: bytes) -> bytes:
    data, place = bytearray(payload), payload.find(b"@@")
    while place >= 0 and place + 30 <= len(data):
        end = place + 27 + int.from_bytes(data[place + 24 : place + 26], "little")
        if end + 3 > len(data):
            end = len(data) - 3
            data[place + 24 : place + 26] = ((end - place - 27) & 0xFFFF).to_bytes(2, "little")
        data[end : end + 3] = bytes((sum(data[place + 2 : end]) & 0xFF,)) + b"##"
        place = data.find(b"@@", end + 3)
    return bytes(data)


# ---------------------------------------------------------------- alarm lines and P1


def sia(body: bytes) -> bytes:
    return b"\n%04X%04X%s\r" % (crc_reflected(body, ARC), len(body), body)


def sia_lines(payload: bytes) -> Iterator[tuple[bytes, bool]]:
    """(line, whether the CRC before its first quote is right)."""
    for line in payload.replace(b"\n", b"\r").replace(b"\0", b"\r").split(b"\r"):
        text = line.strip().removeprefix(b"<x0A>").removesuffix(b"<x0D>")
        head, quote, rest = text.partition(b'"')
        try:
            right = bool(quote) and len(head) == 8 and int(head[:4], 16) == crc_reflected(quote + rest, ARC)
        except ValueError:
            right = False
        yield line, right


def repaired_sia(payload: bytes) -> bytes:
    lines = []
    for line, _ in sia_lines(payload):
        quote = line.find(b'"')
        lines.append(sia(line[quote:].strip()) if quote >= 0 else line)
    return b"\n".join(lines)


def p1(lines: tuple[str, ...], head: str = "/XYZ5\\2EXAMPLE-METER") -> bytes:
    return _crc_behind("\r\n".join([head, "", *lines, "!"]).encode("latin-1")) + b"\r\n"


def _crc_behind(body: bytes) -> bytes:
    return body + b"%04X" % crc_reflected(body, ARC)


def repaired_p1(payload: bytes) -> bytes:
    """Every part from / to ! gets the CRC that it should have."""
    out, at = b"", 0
    while (end := payload.find(b"!", at)) >= 0 and len(out) < 300_000:
        first = max(payload.rfind(b"/", at, end), at)
        stop = min((p for c in b"\r\n" if (p := payload.find(c, end)) >= 0), default=len(payload))
        out += payload[at:first] + _crc_behind(payload[first : end + 1])
        at = stop if stop - end < 10 else end + 1
    return out + payload[at:]


def p1_right(payload: bytes, place: int) -> bool | None:
    """Whether the CRC of the telegram around this byte is right; None when it has none."""
    first, end = payload.rfind(b"/", 0, place), payload.find(b"!", place)
    stop = min((p for c in b"\r\n" if (p := payload.find(c, end)) >= 0), default=len(payload))
    told, body = payload[end + 1 : stop].strip(), payload[first : end + 1]
    if not told:
        return None
    try:
        stated = int(told, 16) if len(told) == 4 else -1
    except ValueError:
        return False
    return stated in (crc_reflected(body, ARC), crc_reflected(body.replace(b"\n", b"\r\n"), ARC))


# ---------------------------------------------------------------- Modbus


def rtu(body: bytes) -> bytes:
    return body + crc_reflected(body, MODBUS).to_bytes(2, "little")


def tcp(body: bytes) -> bytes:
    return b"\0\1\0\0" + len(body).to_bytes(2, "big") + body


# ---------------------------------------------------------------- M-Bus


def long_frame(content: bytes) -> bytes:
    """content: from the C field on."""
    size = len(content) & 0xFF
    return bytes((0x68, size, size, 0x68)) + content + bytes((sum(content) & 0xFF, 0x16))


def long_right(payload: bytes) -> bool:
    end = 4 + payload[1]
    return len(payload) >= end + 2 and payload[end] == sum(payload[4:end]) % 256 and payload[end + 1] == 0x16


def crc_a(telegram: bytes) -> bytes:
    """Frame format A: a CRC behind 10 bytes, then behind every 16."""
    blocks = [telegram[:10], *(telegram[at : at + 16] for at in range(10, len(telegram), 16))]
    return b"".join(block + crc_13757(block).to_bytes(2, "big") for block in blocks)


def crc_b(telegram: bytes) -> bytes:
    """Frame format B of one block: the length counts the CRC."""
    body = bytes(((telegram[0] + 2) & 0xFF,)) + telegram[1:]
    return body + crc_13757(body).to_bytes(2, "big")


def blocks_a(payload: bytes) -> list[bool]:
    """Of each block that format A would have here, whether its CRC is right; [] when the bytes do not suffice."""
    left, at, size, found = payload[0] + 1, 0, 10, []
    while left > 0:
        size = min(size, left)
        if at + size + 2 > len(payload):
            return []
        found.append(
            crc_13757(payload[at : at + size]) == int.from_bytes(payload[at + size : at + size + 2], "big")
        )
        at, left, size = at + size + 2, left - size, 16
    return found
