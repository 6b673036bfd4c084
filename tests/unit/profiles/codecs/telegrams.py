"""Telegrams made for tests: link layers around records, with ids that no meter has."""

from dutyroom.profiles.codecs.mbus_crc import crc16


def maker(letters: str) -> bytes:
    code = sum((ord(c) - 64) << shift for c, shift in zip(letters, (10, 5, 0), strict=True))
    return code.to_bytes(2, "little")


def address(letters: str, number: str, version: int, kind: int) -> bytes:
    """Manufacturer, id, version, type as the link layer sends them."""
    return maker(letters) + bytes.fromhex(number)[::-1] + bytes((version, kind))


def radio(letters: str, number: str, version: int, kind: int, content: str | bytes) -> bytes:
    """A wireless telegram from the CI on, without CRC."""
    body = b"\x44" + address(letters, number, version, kind) + _bytes(content)
    return bytes((len(body),)) + body


def short(content: str | bytes, status: int = 0, access: int = 0x2A, config: int = 0) -> bytes:
    """CI 7A, access number, status, configuration."""
    return bytes((0x7A, access, status)) + config.to_bytes(2, "little") + _bytes(content)


def wired(content: bytes) -> bytes:
    """A long frame: content from the C field on."""
    head = bytes((0x68, len(content), len(content), 0x68))
    return head + content + bytes((sum(content) & 0xFF, 0x16))


def with_crc(telegram: bytes) -> bytes:
    """The same telegram as the air carries it in frame format A: a CRC behind 10, then every 16 bytes."""
    blocks = [telegram[:10], *(telegram[at : at + 16] for at in range(10, len(telegram), 16))]
    return b"".join(block + crc16(block).to_bytes(2, "big") for block in blocks)


def with_crc_b(telegram: bytes) -> bytes:
    """Format B: one CRC at the end (up to 128 bytes), counted by the length byte."""
    body = bytes((telegram[0] + 2,)) + telegram[1:]
    return body + crc16(body).to_bytes(2, "big")


def _bytes(content: str | bytes) -> bytes:
    return bytes.fromhex(content) if isinstance(content, str) else content
