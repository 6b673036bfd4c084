"""Payloads at random whose fields carry no checksum: sensors, engines, Sparkplug B, and what the harsh profiles read."""

from __future__ import annotations

from random import Random
from typing import Final

import orjson
from tests.fuzz import frames

from dutyroom.profiles.codecs.protobuf import put_bytes, put_fixed, put_number
from dutyroom.timebase import from_iso

NOW: Final = from_iso("2026-11-01T00:00:10Z")


def modbus(rng: Random) -> bytes:
    count = rng.randint(1, 40)
    body = bytes((rng.randrange(1, 248), rng.choice((3, 3, 4, 1, 2)), 2 * count)) + rng.randbytes(2 * count)
    chance = rng.random()
    if chance < 0.4:
        return frames.rtu(body)
    if chance < 0.55:
        return frames.tcp(body)
    if chance < 0.65:
        return frames.rtu(body).hex().encode()
    if chance < 0.8:
        values = [int.from_bytes(body[at : at + 2], "big") for at in range(3, len(body), 2)]
        return orjson.dumps({"start": rng.choice((0, 1, 65535)), "registers": values, "dev": "a"})
    return body[3:] if chance < 0.95 else frames.rtu(bytes((1, 0x83, 2)))


def printer(rng: Random) -> bytes:
    word = rng.choice(("首次火警", "火警后续", "故障", "故障恢复", "系统复位", "反馈", "屏蔽"))
    address = f"  {rng.randrange(999):03}-{rng.randrange(999):03}\n" if rng.random() < 0.8 else ""
    text = f"\x1b626/11/{rng.randint(0, 40):02}  08:30\n{address}\x1b9{word}\n三层东走廊\n感烟探测器\n\n"
    return text.encode("gb18030") * rng.choice((1, 1, 2))


_LPP: Final = {
    0: 1,
    1: 1,
    2: 2,
    3: 2,
    101: 2,
    102: 1,
    103: 2,
    104: 1,
    113: 6,
    115: 2,
    116: 2,
    117: 2,
    120: 1,
    128: 2,
    136: 9,
}
_ELSYS: Final = {
    1: 2,
    2: 1,
    3: 3,
    4: 2,
    5: 1,
    6: 2,
    7: 2,
    8: 2,
    9: 6,
    10: 2,
    11: 4,
    12: 2,
    13: 1,
    16: 4,
    18: 1,
    20: 4,
    21: 2,
}


def lpp(rng: Random) -> bytes:
    kinds = [rng.choice(list(_LPP.items())) for _ in range(rng.randint(1, 6))]
    return b"".join(bytes((rng.randrange(8), kind)) + rng.randbytes(size) for kind, size in kinds)


def elsys(rng: Random) -> bytes:
    kinds = [rng.choice(list(_ELSYS.items())) for _ in range(rng.randint(1, 6))]
    return b"".join(bytes((kind,)) + rng.randbytes(size) for kind, size in kinds)


def j1939(rng: Random) -> bytes:
    if rng.random() < 0.5:
        return rng.randbytes(8)
    pgns = (61444, 65262, 65263, 65271, 65226, 65227, 65253, 65266, 60416, 60160, 65259, 65276)
    listed = [
        {"id": rng.choice(pgns) << 8 | rng.choice((0, 3, 0x18000000)), "data": rng.randbytes(8).hex()}
        for _ in range(rng.randint(1, 6))
    ]
    if rng.random() < 0.3:
        listed += [{"id": 0x18ECFF00, "data": "2010000300cafe00"}]
        listed += [{"id": 0x18EBFF00, "data": f"{n:02x}" + rng.randbytes(7).hex()} for n in (1, 2, 3)]
    return orjson.dumps({"deviceid": "EXAMPLE1", "can1": listed, "can2": []})


def _property(rng: Random) -> bytes:
    unit = put_number(1, 12) + put_bytes(8, rng.choice((b"kWh", b"V", b"bar", b"?", b"\xff")))
    return put_bytes(1, rng.choice((b"engUnit", b"Quality", b"unit"))) + put_bytes(2, unit)


def _metric(rng: Random) -> bytes:
    """Field by field, so that types and values need not fit."""
    body = (
        put_bytes(1, f"m/{rng.randrange(20)}".encode())
        if rng.random() < 0.7
        else put_number(2, rng.randrange(30))
    )
    body += put_number(3, NOW + rng.randrange(9)) + put_number(
        4, rng.choice((1, 2, 3, 4, 7, 8, 9, 10, 11, 12, 13, 16, 22, 99))
    )
    if rng.random() < 0.3:
        body += put_bytes(9, _property(rng))
    return body + rng.choice((
        put_number(10, rng.getrandbits(32)), put_number(11, rng.getrandbits(64)), put_fixed(12, rng.randbytes(4)),
        put_fixed(13, rng.randbytes(8)), put_number(14, 1), put_bytes(15, b"text"), put_number(7, 1), put_bytes(18, b"\x08\x01"),
    ))  # fmt: skip


def sparkplug(rng: Random) -> bytes:
    metrics = b"".join(put_bytes(2, _metric(rng)) for _ in range(rng.randint(0, 6)))
    return put_number(1, NOW) + metrics + put_number(3, rng.randrange(256))


def harsh(rng: Random) -> bytes:
    chance = rng.random()
    if chance < 0.3:
        parts = (
            "x" * rng.randint(1, 60),
            "a" * rng.randint(1, 60),
            "y",
            "= 3.5",
            "volume 12 m3\n",
            "p, 3e400 kW\n",
            "\u6d88",
        )
        return "".join(rng.choice(parts) for _ in range(rng.randint(1, 9))).encode(
            rng.choice(("utf-8", "gb18030"))
        )
    kind = rng.randrange(7)
    if kind == 1:
        words = rng.choice(
            (b"nan", b"1e999", b"-0", b"9" * 200, b"inf", b"ab", b"1_0", b"\xff", rng.randbytes(9))
        )
        numbers = [rng.choice((bytes(8), b"\xff" * 8, b"\x7f" * 8, rng.randbytes(8))) for _ in range(4)]
        return (
            bytes((1, rng.randrange(256)))
            + numbers[0][:4]
            + numbers[1][:4]
            + numbers[2]
            + numbers[3]
            + bytes((len(words),))
            + words
        )
    if kind == 2:
        count = rng.choice((0, 1, 5, 200, 10_001, 2**32 - 1))
        return b"\2" + count.to_bytes(4, "little") + rng.randbytes(rng.choice((0, 5, 30, 250)))
    if kind == 4:
        records = [rng.randbytes(rng.randrange(9)) for _ in range(rng.randint(1, 6))]
        return b"".join(bytes((rng.choice((1, 2, 4, 5, 6)), len(r))) + r for r in records)
    if kind == 5:
        return frames.rtu(b"\x41" + rng.randbytes(20))
    return bytes((kind,)) + rng.randbytes(rng.randint(1, 30))


def batch(rng: Random) -> bytes:
    return bytes((rng.randint(1, 3) << 4 | rng.choice((0, 2, 4, 8)),)) + rng.choice(
        (bytes(60), rng.randbytes(60))
    )
