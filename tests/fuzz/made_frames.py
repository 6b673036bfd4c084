"""Frames at random by the rules of the protocols of meters, fire panels and alarm lines, with checksums that are right.
Ids and values are invented."""

from __future__ import annotations

from random import Random
from typing import Final

from tests.fuzz import frames


def _bcd(rng: Random, size: int, bad: float = 0.04) -> bytes:
    """Packed decimal digits, now and then with a digit that is none."""
    data = bytes(rng.randrange(10) << 4 | rng.randrange(10) for _ in range(size))
    if rng.random() < bad:
        at = rng.randrange(size)
        data = data[:at] + bytes((rng.choice((0xA0, 0x0A, 0xFF, 0xF1, 0x1F, 0xEE)),)) + data[at + 1 :]
    return data


_DLT: Final = {
    "00010000": 4, "0001FF00": 20, "00020000": 4, "0000FF00": 20, "02010100": 2, "0201FF00": 6, "0202FF00": 9,
    "0203FF00": 12, "0206FF00": 8, "02800002": 2, "01010000": 8, "0101FF00": 40, "04000101": 4, "0400010C": 7,
    "04000401": 6, "05060001": 5, "05060101": 20, "00900200": 4, "02800001": 3, "040005FF": 14, "0001FF01": 20,
    "04000403": 32,
}  # fmt: skip


def dlt645(rng: Random) -> bytes:
    name, size = rng.choice(list(_DLT.items()))
    control = rng.choice((0x91, 0x91, 0x91, 0x91, 0xB1, 0xD1, 0x11, 0x93, 0x92))
    data = bytes.fromhex(name)[::-1] + _bcd(rng, size)
    frame = frames.dlt645(_bcd(rng, 6, 0.02).hex(), control, data)
    return b"\xfe" * rng.randrange(5) + frame


_UNITS: Final = (0x2C, 0x29, 0x05, 0x08, 0x0A, 0x11, 0x13, 0x17, 0x14, 0x35, 0x32)


def cjt188(rng: Random) -> bytes:
    kind = rng.choice((0x10, 0x10, 0x11, 0x19, 0x20, 0x21, 0x30, 0x40))
    named = rng.choice((b"\x90\x1f", b"\x1f\x90"))
    if kind >> 4 == 2:
        units = [rng.choice((5, 8, 0x11)), 5, rng.choice((0x17, 0x14)), rng.choice((0x35, 0x32)), 0x2C]
        tail = _bcd(rng, 9)
    else:
        units, tail = [rng.choice((0x2C, 0x2C, 0x29, rng.choice(_UNITS))), 0x2C], b""
    data = b"".join(_bcd(rng, 4) + bytes((unit,)) for unit in units) + tail
    clock = rng.choice((bytes(7), bytes.fromhex("59541619082017"), _bcd(rng, 7)))
    body = named + bytes((rng.randrange(256),)) + data + clock + rng.randbytes(2)
    if rng.random() < 0.15:
        named = rng.choice((b"\x20\xd1", b"\xd1\x2b"))
        body = named + b"\0" + _bcd(rng, 4) + b"\x2c"
    return frames.cjt188(
        kind, _bcd(rng, 7, 0.02).hex(), rng.choice((0x81, 0x81, 0x81, 0xC1, 0x01, 0x83, 0x84)), body
    )


_TIME: Final = bytes((15, 30, 8, 1, 11, 26))


def _gb_object(rng: Random, code: int) -> bytes:
    system, part = rng.randbytes(2), rng.randbytes(7)
    text = "3层东走廊".encode("gb18030").ljust(31, b"\0") if rng.random() < 0.8 else rng.randbytes(31)
    match code:
        case 1:
            return system + rng.randbytes(2) + _TIME
        case 2:
            return part + rng.randbytes(2) + text + _TIME
        case 3:
            return part + rng.randbytes(3) + _TIME
        case 4:
            return system + rng.randbytes(2) + _TIME
        case 21:
            return rng.randbytes(1) + _TIME
        case 6:
            return system + bytes((5,)) + b"ABCDE"
        case 26:
            return bytes((3,)) + b"abc"
    return rng.randbytes(rng.randrange(12))


def gb26875(rng: Random) -> bytes:
    code, count = rng.choice((1, 2, 2, 2, 3, 4, 6, 21, 26, 28, 128, 62)), rng.choice((1, 1, 2, 3))
    unit = bytes((code, count)) + b"".join(_gb_object(rng, code) for _ in range(count))
    return (
        unit
        if rng.random() < 0.2
        else frames.gb26875(unit, rng.choice((2, 2, 2, 3, 1)), rng.randrange(65536))
    )


def sia(rng: Random) -> bytes:
    account = f"{rng.randrange(4096):04X}"
    blocks = (
        f"#{account}|Nri{rng.randrange(9)}/FA{rng.randrange(999):03}", f"#{account}|Nri1/BA002^HALL^/YT",
        f"#{account}|NCL{rng.randrange(99)}*'WORDS'NM", "#00A7|Oti08:30/OP001/CL2|A words",
    )  # fmt: skip
    stamp = rng.choice(("", "_08:30:00,11-01-2026"))
    more = rng.choice(("", "[M0026B9E4268B]", "[X010E52.1234][Y48N12.0000]"))
    lines = (
        f'"SIA-DCS"{rng.randrange(9999):04}R0L1#{account}[{rng.choice(blocks)}]{more}{stamp}',
        f'"ADM-CID"0042L0#{account}[#{account}|{rng.choice("136")}{rng.choice((110, 130, 301, 401, 999))} 01 015]{stamp}',
        f'"NULL"0000R0L0#{account}[]{stamp}',
        f'"ACK"0042R0L0#{account}[]',
    )
    return b"".join(frames.sia(rng.choice(lines).encode()) for _ in range(rng.choice((1, 1, 2, 3))))


_P1: Final = (
    "1-3:0.2.8(50)", "0-0:1.0.0(261101083000W)", "0-0:96.1.1(4530303030303030303031323334353637)",
    "1-0:1.8.1(001234.567*kWh)", "1-0:1.8.2(000765.433*kWh)", "1-0:2.8.1(000001.000*kWh)", "0-0:96.14.0(0002)",
    "1-0:1.7.0(00.421*kW)", "1-0:32.7.0(231.0*V)",
    "1-0:99.97.0(2)(0-0:96.7.19)(260710221500S)(0000000240*s)(261020031500S)(0000003600*s)", "0-0:96.13.0()",
    "0-1:24.1.0(003)", "0-1:96.1.0(4730303132333435363738)", "0-1:24.2.1(261101080000W)(00981.443*m3)",
    "0-2:24.1.0(004)", "0-2:96.1.0(00)", "0-2:24.2.1(261101081500W)(12.345*GJ)", "1-0:21.7.0(00.001*kW)",
    "0-0:98.1.0(2)(1-0:1.6.0)(1-0:1.6.0)(261001000000S)(260915103000S)(02.900*kW)(261101000000W)(261010101500W)(03.100*kW)",
)  # fmt: skip


def dsmr(rng: Random) -> bytes:
    lines = tuple(line for line in _P1 if rng.random() < 0.85)
    payload = frames.p1(lines)
    return frames.repaired_p1(payload.replace(b"\r", b"")) if rng.random() < 0.1 else payload


_RECORDS: Final = (
    "0C13{4}", "046D{4}", "0413{4}", "0A2D{2}", "426C{2}", "4C13{4}", "0B3B{3}", "02FD17{2}", "0C78{4}", "0E03{6}",
    "01FD08{1}", "0AA618{2}", "8C1014{4}", "CC8010{0}06{4}", "0D78{0}05{5}", "0D13{0}C4{4}", "0D13{0}D4{4}",
    "0D13{0}E4{4}", "053E{4}", "0259{2}", "025D{2}", "02FD28{2}", "0F{3}", "2F", "84087C{0}03414243{4}", "0974{1}",
    "8D0493{0}3E1E00{4}", "0CFD0E{4}", "0CFD17{4}", "0AFD17{2}", "0EFD3A{6}", "046E{4}", "B40013{4}", "0B6E{3}",
    "8D04933E0A0C05{8}", "0DFF5F35{53}", "4D93130A3CFE{8}", "4C13{4}4D93130A7C01{8}", "0D93130A3A01{8}",
)  # fmt: skip


def records(rng: Random) -> bytes:
    out = b""
    for _ in range(rng.randint(1, 8)):
        for piece in rng.choice(_RECORDS).replace("}", "{").split("{"):
            if (
                piece.isdecimal()
                and len(piece) <= 2
                and piece in ("0", "1", "2", "3", "4", "5", "6", "8", "53")
            ):
                size = int(piece)
                out += _bcd(rng, size, 0.1) if size and rng.random() < 0.7 else rng.randbytes(size)
            else:
                out += bytes.fromhex(piece)
    return out


def telegram(rng: Random) -> bytes:
    """Wireless, without CRC; also with an extended link layer."""
    maker = rng.choice(
        (b"\x2d\x2c", b"\x01\x06", b"\x68\x50", b"\x93\x15", b"\x2e\x19", b"\xa5\x11", b"\x42\x04")
    )
    who = (
        maker
        + _bcd(rng, 4, 0.1)
        + rng.randbytes(1)
        + bytes((rng.choice((4, 6, 7, 8, 2, 3, 0x16, 0x1B, 0x62, 0x72, 0x80)),))
    )
    body_records = records(rng)
    header = rng.choice(
        (
            b"\x7a\x2a\0\0\0",
            b"\x78",
            b"\x72" + _bcd(rng, 4) + maker + b"\x01\x07\x2a\0\0\0",
            b"\x7a\1\0\0\x05",
        )
    )
    app = header + body_records
    chance = rng.random()
    if chance < 0.1:
        app = b"\x8c\x20\x01" + app
    elif chance < 0.2:
        app = (
            b"\x8d\x20\x01"
            + rng.choice((bytes(4), b"\0\0\0\x20"))
            + frames.crc_13757(app).to_bytes(2, "little")
            + app
        )
    elif chance < 0.3:
        app = bytes((rng.choice((0xA0, 0xA2, 0x79, 0x7B, 0xB6, 0x8F)),)) + rng.randbytes(rng.randint(8, 60))
    body = rng.choice((b"\x44", b"\x44", b"\x46")) + who + app
    return bytes((min(len(body), 255),)) + body[:255]


def wmbus(rng: Random) -> bytes:
    plain, chance = telegram(rng), rng.random()
    if chance < 0.25:
        return frames.crc_a(plain)
    if chance < 0.35 and len(plain) < 126:
        return frames.crc_b(plain)
    if chance < 0.6:
        return frames.long_frame(
            (b"\x08\x05\x72" + _bcd(rng, 4) + b"\x2d\x2c\x01\x07\x2a\0\0\0" + records(rng))[:252]
        )
    return plain
