"""Requests for meters behind a DTU that forwards bytes: the frame that asks a meter for its registers.

A gateway or a timer of the DTU sends them; the replies come back as telemetry and are read by the codecs
`dlt645` and `cjt188`.
"""

from __future__ import annotations

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs import cjt188, dlt645, frames

PROTOCOLS = ("dlt645", "cjt188")
ORDERS = ("1F90", "901F")  # of an identifier's bytes in CJ/T 188: of 2018, of 2004
ADDRESS = "address"  # in place of an identifier: ask for the meter's address
MAX_PREAMBLE = 8


def read_request(
    protocol: str, address: str, identifier: str, *, preamble: int = 4, order: str = "1F90", kind: int = 0x10,
    serial: int = 0,
) -> bytes:  # fmt: skip
    """The frame that asks meter `address` for `identifier`.

    protocol: dlt645 or cjt188. address: decimal digits as printed on the meter, shorter ones are filled with
    leading zeros; "" = any meter (only one may be on the bus). identifier: eight hex digits (dlt645:
    00010000) or four (cjt188: 901F), or "address". preamble: leading FE. order, kind (T of the meter: 10 cold
    water, 20 heat, 30 gas) and serial are for cjt188; for dlt645, serial above 0 asks for the rest of a
    long block, part 1, 2 and so on.

    Raises Rejected naming what cannot be sent.
    """
    if protocol not in PROTOCOLS:
        raise Rejected(f"protocol: one of {', '.join(PROTOCOLS)}, not {protocol!r}")
    if not 0 <= preamble <= MAX_PREAMBLE:
        raise Rejected(f"preamble: 0 to {MAX_PREAMBLE} bytes, not {preamble}")
    if not 0 <= serial <= 0xFF:
        raise Rejected(f"serial: 0 to 255, not {serial}")
    if protocol == "dlt645":
        return frames.build(_dlt645(address, identifier, serial), preamble)
    return frames.build(_cjt188(address, identifier, order, kind, serial), preamble)


def _dlt645(address: str, identifier: str, serial: int) -> bytes:
    function, data = dlt645.READ_ADDRESS, b""
    if identifier != ADDRESS:
        function = dlt645.READ_ON if serial else dlt645.READ
        data = _hex(identifier, 4)[::-1] + (bytes([serial]) if serial else b"")
    sent = bytes((b + dlt645.OFFSET) & 0xFF for b in data)
    head = bytes([frames.START]) + _address(address, 6) + bytes([frames.START, function, len(sent)])
    return head + sent


def _cjt188(address: str, identifier: str, order: str, kind: int, serial: int) -> bytes:
    if order not in ORDERS:
        raise Rejected(f"order: one of {', '.join(ORDERS)}, not {order!r}")
    if kind >> 4 not in cjt188.MEDIA or kind & 15 > 9:
        raise Rejected(f"kind: 10 to 49 (two decimal digits as hex), not {kind:02X}")
    function = cjt188.READ_ADDRESS if identifier == ADDRESS else cjt188.READ
    wanted = _hex("810A" if identifier == ADDRESS else identifier, 2)
    data = (wanted if order == "901F" else wanted[::-1]) + bytes([serial])
    return bytes([frames.START, kind]) + _address(address, 7) + bytes([function, len(data)]) + data


def _address(text: str, size: int) -> bytes:
    """Low byte first; "" = AA.., which every meter answers."""
    if not text:
        return b"\xaa" * size
    if len(text) > 2 * size or not text.isascii() or not text.isdecimal():
        raise Rejected(f"address: up to {2 * size} decimal digits, not {text!r}")
    return bytes.fromhex(text.rjust(2 * size, "0"))[::-1]


def _hex(text: str, size: int) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != size or len(text) != 2 * size:
        raise Rejected(f"identifier: {2 * size} hex digits or {ADDRESS!r}, not {text!r}")
    return found
