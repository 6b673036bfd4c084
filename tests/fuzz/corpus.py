"""What is mutated: the examples of every shipped profile (the bytes inside them and the message around), and frames
made at random by the rules of each protocol. Ids and values are invented."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final, NamedTuple

import orjson
from tests.fuzz import frames

from dutyroom.errors import Rejected
from dutyroom.model.telemetry import Message, Scalar
from dutyroom.profiles.codecs import CODECS
from dutyroom.profiles.codecs.protobuf import put_bytes, put_fixed, put_number
from dutyroom.profiles.codecs.seam import Codec
from dutyroom.profiles.decode import Library
from dutyroom.profiles.decoders import codec_of
from dutyroom.profiles.profile import CodecRule, Example, Profile, TextRule
from dutyroom.profiles.program import LayoutProgram
from dutyroom.profiles.unwrap import from_text
from dutyroom.timebase import from_iso

NOW: Final = from_iso("2026-11-01T00:00:10Z")
SUMMED: Final = ("cjt188", "dlt645", "dsmr", "gb26875", "modbus", "sia_dc09", "wmbus")


# ---------------------------------------------------------------- examples of profiles


@dataclass(frozen=True, slots=True)
class Placed:
    """An example whose bytes can be exchanged. inner: the bytes that its layout decodes (without a decoder the whole
    payload). path: of the text that holds them in JSON, () = the payload itself. family: a codec's name, binary,
    text, json or harsh."""

    family: str
    profile: str
    topic: str
    payload: bytes
    inner: bytes
    codec: Codec | None
    parameters: Mapping[str, Scalar]
    received_at: int
    port: int | None = None
    path: tuple[str | int, ...] = ()
    encoding: str = ""  # base64 | hex | "" = as they are

    def around(self, inner: bytes) -> bytes:
        """The message with other bytes in it."""
        if not self.encoding:
            return inner
        text = inner.hex() if self.encoding == "hex" else base64.b64encode(inner).decode()
        return orjson.dumps(_put(orjson.loads(self.payload), self.path, text)) if self.path else text.encode()


def _put(document: object, path: Sequence[str | int], text: str) -> object:
    if not path:
        return text
    if isinstance(document, dict):
        return {**document, path[0]: _put(document[path[0]], path[1:], text)}
    assert isinstance(document, list)
    return [_put(v, path[1:], text) if n == path[0] else v for n, v in enumerate(document)]


def _texts(document: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(document, str):
        yield path, document
    elif isinstance(document, dict):
        for key, value in document.items():
            yield from _texts(value, (*path, key))
    elif isinstance(document, list):
        for number, value in enumerate(document):
            yield from _texts(value, (*path, number))


def _where(payload: bytes, inner: bytes) -> tuple[tuple[str | int, ...], str] | None:
    """(path, encoding) of the bytes in the payload; None when they are not found in it."""
    if payload == inner:
        return (), ""
    try:
        document = orjson.loads(payload) if payload[:1] in (b"{", b"[") else payload.decode()
    except (orjson.JSONDecodeError, UnicodeDecodeError):
        return None
    for path, text in _texts(document):
        for encoding in ("hex", "base64"):
            try:
                if from_text(text, encoding) == inner:
                    return path, encoding
            except ValueError:
                continue
    return None


def placed(library: Library, part: int = 1) -> list[Placed]:
    """Every example of every profile (of every `part`th and the harsh ones), once for the first layout that begins
    to read it."""
    found = []
    for number, profile in enumerate(library.profiles.values()):
        for example in profile.examples if number % part == 0 or profile.id.startswith("harsh/") else ():
            one = _placed(library, profile, example)
            if one is not None and one.payload:
                found.append(one)
    return found


def _placed(library: Library, profile: Profile, example: Example) -> Placed | None:
    received = from_iso(example.received, library.tz) if example.received else NOW
    message = Message(example.topic, example.payload, received)
    seen = library.look(profile.id, message, lambda *told: None)
    if seen is None:
        return None
    candidate, sight = seen
    for program, where in candidate.layouts:
        captures = sight.captures[where]
        document = sight.document(program, captures)
        if program.starts(captures, document):
            return _of(program, document, profile, example, received)
    return None


def _of(
    program: LayoutProgram, document: object, profile: Profile, example: Example, received: int
) -> Placed:
    plain = (profile.id, example.topic, example.payload)
    parameters = {**profile.parameters, **example.parameters}
    rule, inner = program.layout.decoder, program.bytes_of(document)
    spot = _where(example.payload, inner) if rule is not None and inner is not None else None
    if rule is None or inner is None or spot is None:
        return Placed("json", *plain, example.payload, None, parameters, received)
    family = rule.name if isinstance(rule, CodecRule) else "text" if isinstance(rule, TextRule) else "binary"
    if profile.id.startswith("harsh/"):
        family = "harsh"
    head = program._head(document)
    assert isinstance(head, dict)
    port = head["bytes"]["port"]
    return Placed(family, *plain, inner, codec_of(rule), parameters, received, port, *spot)


# ---------------------------------------------------------------- frames made at random


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


def _dlt645(rng: Random) -> bytes:
    name, size = rng.choice(list(_DLT.items()))
    control = rng.choice((0x91, 0x91, 0x91, 0x91, 0xB1, 0xD1, 0x11, 0x93, 0x92))
    data = bytes.fromhex(name)[::-1] + _bcd(rng, size)
    frame = frames.dlt645(_bcd(rng, 6, 0.02).hex(), control, data)
    return b"\xfe" * rng.randrange(5) + frame


_UNITS: Final = (0x2C, 0x29, 0x05, 0x08, 0x0A, 0x11, 0x13, 0x17, 0x14, 0x35, 0x32)


def _cjt188(rng: Random) -> bytes:
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


def _gb26875(rng: Random) -> bytes:
    code, count = rng.choice((1, 2, 2, 2, 3, 4, 6, 21, 26, 28, 128, 62)), rng.choice((1, 1, 2, 3))
    unit = bytes((code, count)) + b"".join(_gb_object(rng, code) for _ in range(count))
    return (
        unit
        if rng.random() < 0.2
        else frames.gb26875(unit, rng.choice((2, 2, 2, 3, 1)), rng.randrange(65536))
    )


def _sia(rng: Random) -> bytes:
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


def _dsmr(rng: Random) -> bytes:
    lines = tuple(line for line in _P1 if rng.random() < 0.85)
    payload = frames.p1(lines)
    return frames.repaired_p1(payload.replace(b"\r", b"")) if rng.random() < 0.1 else payload


_RECORDS: Final = (
    "0C13{4}", "046D{4}", "0413{4}", "0A2D{2}", "426C{2}", "4C13{4}", "0B3B{3}", "02FD17{2}", "0C78{4}", "0E03{6}",
    "01FD08{1}", "0AA618{2}", "8C1014{4}", "CC8010{0}06{4}", "0D78{0}05{5}", "0D13{0}C4{4}", "0D13{0}D4{4}",
    "0D13{0}E4{4}", "053E{4}", "0259{2}", "025D{2}", "02FD28{2}", "0F{3}", "2F", "84087C{0}03414243{4}", "0974{1}",
    "8D0493{0}3E1E00{4}", "0CFD0E{4}", "0CFD17{4}", "0AFD17{2}", "0EFD3A{6}", "046E{4}", "B40013{4}", "0B6E{3}",
    "8D04933E0A0C05{8}", "0DFF5F35{53}",
)  # fmt: skip


def _records(rng: Random) -> bytes:
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


def _telegram(rng: Random) -> bytes:
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
    records = _records(rng)
    header = rng.choice(
        (
            b"\x7a\x2a\0\0\0",
            b"\x78",
            b"\x72" + _bcd(rng, 4) + maker + b"\x01\x07\x2a\0\0\0",
            b"\x7a\1\0\0\x05",
        )
    )
    app = header + records
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


def _wmbus(rng: Random) -> bytes:
    plain, chance = _telegram(rng), rng.random()
    if chance < 0.25:
        return frames.crc_a(plain)
    if chance < 0.35 and len(plain) < 126:
        return frames.crc_b(plain)
    if chance < 0.6:
        return frames.long_frame(
            (b"\x08\x05\x72" + _bcd(rng, 4) + b"\x2d\x2c\x01\x07\x2a\0\0\0" + _records(rng))[:252]
        )
    return plain


def _modbus(rng: Random) -> bytes:
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


def _printer(rng: Random) -> bytes:
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


def _lpp(rng: Random) -> bytes:
    kinds = [rng.choice(list(_LPP.items())) for _ in range(rng.randint(1, 6))]
    return b"".join(bytes((rng.randrange(8), kind)) + rng.randbytes(size) for kind, size in kinds)


def _elsys(rng: Random) -> bytes:
    kinds = [rng.choice(list(_ELSYS.items())) for _ in range(rng.randint(1, 6))]
    return b"".join(bytes((kind,)) + rng.randbytes(size) for kind, size in kinds)


def _j1939(rng: Random) -> bytes:
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


def _sparkplug(rng: Random) -> bytes:
    metrics = b"".join(put_bytes(2, _metric(rng)) for _ in range(rng.randint(0, 6)))
    return put_number(1, NOW) + metrics + put_number(3, rng.randrange(256))


def _harsh(rng: Random) -> bytes:
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


def _batch(rng: Random) -> bytes:
    return bytes((rng.randint(1, 3) << 4 | rng.choice((0, 2, 4, 8)),)) + rng.choice(
        (bytes(60), rng.randbytes(60))
    )


MADE: Final[Mapping[str, Callable[[Random], bytes]]] = {
    "harsh": _harsh,
    "cayenne": _lpp, "cjt188": _cjt188, "dlt645": _dlt645, "dsmr": _dsmr, "elsys": _elsys, "gb26875": _gb26875,
    "j1939": _j1939, "mbus": _records, "modbus": _modbus, "panel_printer": _printer, "sia_dc09": _sia,
    "sparkplug": _sparkplug, "watteco_batch": _batch, "wmbus": _wmbus,
}  # fmt: skip
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
REPAIRED: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "cjt188": lambda p: frames.repaired_line(p, 10),
    "dlt645": lambda p: frames.repaired_line(p, 9),
    "dsmr": frames.repaired_p1,
    "gb26875": frames.repaired_gb,
    "modbus": lambda p: frames.rtu(p[:-2]),
    "sia_dc09": frames.repaired_sia,
    "wmbus": lambda p: _right_telegram(p),  # noqa: PLW0108 (it is defined below)
}  # fmt: skip


def _right_telegram(payload: bytes) -> bytes:
    if payload[:1] == b"\x68":
        return frames.long_frame(payload[4:-2][:255])
    body = payload[1:256]
    return bytes((len(body),)) + body if len(body) % 3 else frames.crc_a(bytes((len(body),)) + body)


class Variant(NamedTuple):
    """A codec with some settings."""

    settings: Mapping[str, object]
    codec: Codec


@dataclass(slots=True)
class Corpus:
    """families: codec names, binary, text, json, harsh. codecs: of each named codec all variants."""

    library: Library
    examples: Mapping[str, list[Placed]]
    codecs: Mapping[str, list[Variant]] = field(default_factory=dict)

    @property
    def families(self) -> tuple[str, ...]:
        return (
            *(name for name in CODECS if self.codecs[name]),
            *(f for f in ("binary", "text", "json", "harsh") if f in self.examples),
        )

    def parts(self, family: str) -> list[bytes]:
        """Payloads that are spliced into others."""
        return [p.inner for p in self.examples.get(family, ())] or [b"\x68\x01\x02\x16"]


def corpus(library: Library, part: int = 1) -> Corpus:
    examples: dict[str, list[Placed]] = {}
    for one in placed(library, part):
        examples.setdefault(one.family, []).append(one)
    codecs: dict[str, list[Variant]] = {name: _variants(library, name) for name in CODECS}
    return Corpus(library, examples, codecs)


_EXTRA: Final[Mapping[str, tuple[Mapping[str, object], ...]]] = {
    "cjt188": ({"extra": 8, "status": "mirrored"}, {"address": "hex", "unit": "before"}),
    "dlt645": ({"extra": 8},),
    "dsmr": ({"winter": -5},),
    "gb26875": ({"form": "frame"}, {"form": "frame"}),
    "j1939": ({"frames": "can1"}, {"frames": ["can1", "can2"]}, {"frames": ""}, {"id": 0x18FECA00}),
    "mbus": ({"start": "ci"}, {"skip": 3}),
    "modbus": tuple(
        {"framing": framing, "registers": {"a": {"at": 0, "as": "u16"}, "b": {"at": 1, "as": "f32"}}}
        for framing in ("auto", "none", "rtu", "tcp", "json", "rtu")
    ),
    "panel_printer": ({"date": "ymd"},),
    "watteco_batch": (
        {"label_bits": 1, "series": {"0": {"name": "a", "type": "u16"}, "1": {"name": "b", "type": "float", "divide": 3}}},
        {"label_bits": 2, "series": {"1": {"name": "a", "type": "i32", "resolution": 0.01}, "2": {"name": "b", "type": "u4"}}},
    ),
}  # fmt: skip


def _variants(library: Library, name: str) -> list[Variant]:
    """Without settings (where that is allowed), with those of shipped profiles, with a few more. Those that look at
    no checksum are left to the profiles that say so."""
    rules = {
        layout.decoder.options
        for profile in library.profiles.values()
        for layout in profile.layouts
        if isinstance(layout.decoder, CodecRule) and layout.decoder.name == name
    }
    settings = [orjson.loads(text) for text in sorted(rules) if text] + list(_EXTRA.get(name, ()))
    settings = [s for s in settings if s.get("check", True)]
    found = [Variant(s, CODECS[name].make(s)) for s in settings]
    try:
        bare = Variant({}, CODECS[name].make({}))
    except Rejected:
        return found
    return [bare] * max(1, len(found)) + found
