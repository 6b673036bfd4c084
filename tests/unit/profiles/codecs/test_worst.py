"""The most expensive payload of each kind that its maker could think of: every one is answered at once.

Each is as large as its codec reads, or as a message may be (256 KiB). The limit is four times what fuzzing allows,
in processor time, since the machine may be busy.
"""

import time
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson
import pytest
from tests.fuzz import frames
from tests.fuzz.trials import CODEC_LIMIT

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs import CODECS
from dutyroom.profiles.codecs.protobuf import put_bytes, put_fixed, put_number
from dutyroom.profiles.codecs.seam import Ask

LIMIT: Final = 256 * 1024
NOW: Final = 1793491200000
ONE: Final[dict[str, Any]] = {"a": {"at": 0, "as": "u16"}}


def packed(body: bytes) -> bytes:
    return put_number(1, NOW) + put_bytes(4, b"SPBV1.0_COMPRESSED") + put_bytes(5, zlib.compress(body))


def metric(number: int) -> bytes:
    body = (
        put_bytes(1, b"%d" % number)
        + put_number(3, NOW + number)
        + put_number(4, 10)
        + put_fixed(13, bytes(8))
    )
    return put_bytes(2, body)


def p1(body: bytes) -> bytes:
    return frames.repaired_p1(b"/XYZ5\\2EXAMPLE\r\n\r\n" + body + b"\r\n!0000\r\n")


def sia(text: str) -> bytes:
    return frames.sia(f'"SIA-DCS"0001R0L1#1234{text}'.encode())


def dm1(count: int, faults: int) -> bytes:
    return orjson.dumps([{"id": 0x18FECA00, "data": "04ff" + "01020304" * faults}] * count)


MORE: Final = frames.dlt645("000000000042", 0xB1, bytes.fromhex("00000100"))
NEXT: Final = frames.dlt645("000000000042", 0xB2, bytes.fromhex("0000010001"))
WATER: Final = bytes.fromhex("901F00" + "000000002C" * 2 + "00" * 9)
PART: Final = bytes(9) + b"\xff" * 31 + bytes(6)
STAMP: Final = b"26/11/01  08:30\n"

WORST: Final[Mapping[str, tuple[str, Callable[[], bytes], dict[str, Any]]]] = {
    "lpp of zeros": ("cayenne", lambda: bytes((1, 0, 1)) * (LIMIT // 3), {}),
    "replies": ("cjt188", lambda: frames.cjt188(0x10, "00000000000042", 0x81, WATER) * 400, {}),
    "starts": ("cjt188", lambda: b"\x68\x10" * 8000, {}),
    "replies with more to come": ("dlt645", lambda: MORE * 1000, {}),
    "and what follows of one": ("dlt645", lambda: MORE + NEXT * 1000, {}),
    "starts of frames": ("dlt645", lambda: b"\x68" * 16384, {}),
    "starts of telegrams": ("dsmr", lambda: b"/abcd\n" * 10_000, {}),
    "a telegram of brackets": ("dsmr", lambda: p1(b"1-0:1.8.1" + b"(1)" * 20_000), {}),
    "a telegram of blanks": ("dsmr", lambda: p1(b"1-0:1.8.1(1*kWh)" + b"\r\n\t " * 15_000 + b"x"), {}),
    "a log": ("dsmr", lambda: p1(b"1-0:99.97.0(900)(0-0:96.7.19)" + b"\r\n(260710221500S)(1*s)" * 900), {}),
    "probes": ("elsys", lambda: bytes.fromhex("190123") * (LIMIT // 3), {}),
    "objects": ("gb26875", lambda: frames.gb26875(bytes((2, 20)) + PART * 20) * 250, {}),
    "starts of fire frames": ("gb26875", lambda: b"@" * LIMIT, {}),
    "many faults": ("j1939", lambda: dm1(4096, 1), {"frames": ""}),
    "long lists of faults": ("j1939", lambda: dm1(70, 445), {"frames": ""}),
    "records": ("mbus", lambda: bytes.fromhex("0C1300000000") * 499, {}),
    "profiles": ("mbus", lambda: bytes.fromhex("8D0493BE1E023100") * 480, {}),
    "long profiles": ("mbus", lambda: (bytes.fromhex("0D93BE1EBF3100") + bytes(189)) * 20, {}),
    "extensions": ("mbus", lambda: (b"\x01" + b"\xff" * 10 + b"\x01\x00") * 300, {}),
    "an array": ("modbus", lambda: orjson.dumps([1] * 65536), {"framing": "json", "registers": ONE}),
    "a nested array": ("modbus", lambda: b"[" * 1000 + b"]" * 1000, {"framing": "json", "registers": ONE}),
    "hex": ("modbus", lambda: b"00" * (LIMIT // 2), {"framing": "auto", "registers": ONE}),
    "records of a printer": ("panel_printer", lambda: (STAMP + "火警\n".encode("gb18030") + b"x" * 90) * 500, {}),
    "half dates": ("panel_printer", lambda: (b"26/11/01" + b" " * 100 + b"x\n") * 590, {}),
    "codes": ("sia_dc09", lambda: sia("[#1234|N" + "FA01/" * 50 + "]") * 200, {}),
    "modifiers": ("sia_dc09", lambda: sia("[#1234|N" + "ri1" * 1300 + "FA01]") * 60, {}),
    "extended data": ("sia_dc09", lambda: sia("[#1234|NFA01]" + "[M0]" * 900) * 60, {}),
    "quotes": ("sia_dc09", lambda: (b'"' * 4090 + b"\r") * 60, {}),
    "metrics": ("sparkplug", lambda: b"".join(map(metric, range(LIMIT // 27))), {}),
    "packed metrics": ("sparkplug", lambda: packed(b"".join(map(metric, range(100_000)))), {}),
    "packed numbers": ("sparkplug", lambda: packed(b"\x18\x01" * 2_000_000), {}),
    "blanks": ("wmbus", lambda: b" " * 4000 + b"x", {}),
    "hex of bars": ("wmbus", lambda: b"telegram=" + b"|_" * 2000 + b"x", {}),
}  # fmt: skip


@pytest.mark.parametrize("what", WORST)
def test_the_worst_is_answered_at_once(what: str) -> None:
    name, made, options = WORST[what]
    payload, codec = made(), CODECS[name].make(options)
    told: list[str] = []
    ask = Ask(None, {}, NOW, "spBv1.0/plant/NBIRTH/node-1", lambda name, *where: told.append(name), memory={})
    reason, start = "", time.process_time()
    try:
        codec(payload, ask)
    except Rejected as err:
        reason = err.reason
    assert len(reason) < 1000
    assert time.process_time() - start < 4 * CODEC_LIMIT
