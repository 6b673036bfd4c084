"""By family: what makes a payload, how its frames begin, and what puts a mutated one right again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final

from tests.fuzz import frames
from tests.fuzz import made_fields as fields
from tests.fuzz import made_frames as framed

MADE: Final[Mapping[str, Callable[[Random], bytes]]] = {
    "harsh": fields.harsh,
    "cayenne": fields.lpp,
    "cjt188": framed.cjt188,
    "dlt645": framed.dlt645,
    "dsmr": framed.dsmr,
    "elsys": fields.elsys,
    "gb26875": framed.gb26875,
    "j1939": fields.j1939,
    "mbus": framed.records,
    "modbus": fields.modbus,
    "panel_printer": fields.printer,
    "sia_dc09": framed.sia,
    "sparkplug": fields.sparkplug,
    "watteco_batch": fields.batch,
    "wmbus": framed.wmbus,
}
STARTS: Final[Mapping[str, Sequence[bytes]]] = {
    "harsh": (b"x", b"a", b"x" * 30 + b"z", b"\2\xff\xff\xff\xff", b"\3\0\3", b"\4\0", b"1", b"a 1 "),
    "cjt188": (b"\x68", b"\x68\x10", b"\xfe\x68\x10" + bytes(8)),
    "dlt645": (b"\x68", b"\x68" + bytes(6) + b"\x68\x91", b"\xfe\x68"),
    "dsmr": (b"/", b"!", b"/ABC5\\2X\r\n\r\n", b"1-0:1.8.1(", b"(1)", b"()", b"1-0:1.8.1(1*kWh)\n", b"\r\n "),
    "gb26875": (b"@@", b"@", b"@@" + bytes(22) + b"\xff\x03", b"##"),
    "j1939": (b"[", b'{"id":1},', b'{"can1":['),
    "mbus": (b"\x8d", b"\x0d", b"\x2f", b"\x01\xff", b"\x00\x13", b"\x01\x13\x00"),
    "modbus": (b"[", b"0x", b"00", b"1,", b"\0\1\0\0"),
    "panel_printer": (b"\x1b", b"26/11/01  08:30\n", "火警\n".encode("gb18030"), b"26/11/01 08:30 ", b"\x81"),
    "sia_dc09": (b'"', b"\n", b'"SIA-DCS"', b'"SIA-DCS"0001R0L0#1234[#1234|N', b"FA01", b"[M", b"<x0A>", b"/"),
    "sparkplug": (b"\x12\x00", b"\x12\x80", b"\x08\x01", b"\x12\x04\x0a\x02ab", b"\x4a\x02\x0a\x00"),
    "wmbus": (b"\x68", b"\xff\x44", b"00", b"|", b"_", b"telegram=|", b" "),
}  # fmt: skip


def _right_telegram(payload: bytes) -> bytes:
    if payload[:1] == b"\x68":
        return frames.long_frame(payload[4:-2][:255])
    body = payload[1:256]
    return bytes((len(body),)) + body if len(body) % 3 else frames.crc_a(bytes((len(body),)) + body)


REPAIRED: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "cjt188": lambda p: frames.repaired_line(p, 10),
    "dlt645": lambda p: frames.repaired_line(p, 9),
    "dsmr": frames.repaired_p1,
    "gb26875": frames.repaired_gb,
    "modbus": lambda p: frames.rtu(p[:-2]),
    "sia_dc09": frames.repaired_sia,
    "wmbus": _right_telegram,
}  # fmt: skip
