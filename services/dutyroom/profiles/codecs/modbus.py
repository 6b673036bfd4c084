"""A block of Modbus registers: bare, as an answer on a serial line (RTU) or on TCP, or a JSON array.

Sources: "MODBUS Application Protocol Specification V1.1b3" and "MODBUS over Serial Line V1.02" of the
Modbus Organization. Which register means what is the profile's: `registers`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import orjson

from dutyroom.errors import Rejected
from dutyroom.profiles.checksums import CHECKSUMS
from dutyroom.profiles.codecs.exact import choice_setting, known_settings, map_setting, whole_setting
from dutyroom.profiles.codecs.modbus_registers import COIL, Block, Register, read_registers, register
from dutyroom.profiles.codecs.seam import Ask, Codec, CodecKind
from dutyroom.profiles.yamlnode import Plain

Document: TypeAlias = dict[str, object]

OPTIONS = ("registers", "start", "count", "framing", "values")
FRAMINGS = ("auto", "none", "rtu", "tcp", "json")
COILS, INPUTS, HOLDING, INPUT_REGISTERS = 1, 2, 3, 4
EXCEPTIONS: Mapping[int, str] = {
    1: "illegal_function", 2: "illegal_address", 3: "illegal_value", 4: "device_failure", 5: "acknowledge",
    6: "device_busy", 8: "memory_parity_error", 10: "gateway_path_unavailable", 11: "gateway_target_failed",
}  # fmt: skip
MAX_BLOCK = 131_072  # bytes: every register there can be
MAX_TEXT = 1_000_000  # characters of hex or JSON


@dataclass(frozen=True, slots=True)
class Answer:
    """What a frame says besides its data. at: first byte of the data. exception: 0 = none."""

    data: bytes
    at: int = 0
    unit: int | None = None
    function: int | None = None
    exception: int = 0

    def head(self) -> Document:
        found: Document = {}
        if self.unit is not None:
            found |= {"unit": self.unit, "function": self.function}
        if self.exception:
            name = EXCEPTIONS.get(self.exception, "unknown")
            found |= {"exception": self.exception, "exception_name": name}
        return found


@dataclass(frozen=True, slots=True)
class Setup:
    """start: address of the block's first register; `port` or `topic` say where it is told. count: how
    many registers there must be, 0 = any. values: key of the array in JSON."""

    registers: tuple[Register, ...]
    start: int | str
    count: int
    values: str

    @property
    def bits(self) -> bool:
        return self.registers[0].kind == COIL


def make(settings: Mapping[str, Plain]) -> Codec:
    """registers: {name: {at, as, ...}} (see `modbus_registers.register`). start: address of the first
    register of the block; `port`: told by `bytes.port`; `topic`: the topic's last level (before `/block`). count: how many
    registers there must be. framing: auto | none | rtu | tcp | json. values: of JSON, the key of the
    array beside which `start` may stand; the payload may also be the array alone.
    """
    known_settings(settings, OPTIONS, "")
    named = map_setting(settings.get("registers"), "registers")
    if not named:
        raise Rejected("registers: at least one register is needed")
    registers = tuple(register(name, value) for name, value in named.items())
    _fit_together(registers)
    told = settings.get("start", 0)
    start = str(told) if told in ("port", "topic") else whole_setting(settings, "start", 0, 0, 65535, "")
    count = whole_setting(settings, "count", 0, 0, 65536, "")
    values = settings.get("values", "registers")
    if not isinstance(values, str) or not values:
        raise Rejected("values: a key is needed")
    setup = Setup(registers, start, count, values)
    framing = choice_setting(settings, "framing", "none", FRAMINGS, "")
    if framing in ("auto", "json"):
        return functools.partial(_auto if framing == "auto" else _from_json, setup)
    return functools.partial(_from_bytes, setup, UNFRAME[framing])


def _fit_together(registers: Sequence[Register]) -> None:
    names = {r.name for r in registers}
    for r in registers:
        if r.exponent and r.exponent not in names:
            raise Rejected(f"registers.{r.name}.exponent: there is no register {r.exponent!r}")
    if len({r.kind == COIL for r in registers}) > 1:
        raise Rejected("registers: coils and registers come in different blocks: use one layout for each")


def _auto(setup: Setup, payload: bytes, ask: Ask) -> object:
    """JSON, or a frame in bytes or hex text, which proves itself. A block alone could as well be a frame that was
    cut: it is read, as hex text, where the topic ends with `/block`."""
    text = payload.strip()
    if text[:1] in (b"[", b"{") and not _is_frame(payload):
        return _from_json(setup, payload, ask)
    if len(text) > MAX_TEXT:
        raise Rejected(f"{len(text)} bytes: at most {MAX_TEXT} are read")
    data = _unhexed(text)
    if ask.topic.endswith("/block"):
        if data is None:
            raise Rejected("a block in hex text expected")
        return _from_bytes(setup, _bare, data, ask)
    if data is None:
        data = payload
    return _from_bytes(setup, _tcp if _is_tcp(data) else _rtu, data, ask)


def _is_tcp(data: bytes) -> bool:
    return len(data) > 8 and data[2:4] == b"\0\0" and int.from_bytes(data[4:6], "big") == len(data) - 6


def _is_frame(data: bytes) -> bool:
    """Of a unit whose address is the code of a bracket: no JSON has such a second byte."""
    return _is_tcp(data) or data[1:2] <= b"\4" or data[1:2] >= b"\x80"


def _unhexed(text: bytes) -> bytes | None:
    """None for what is no hex text. A frame in bytes is none: its function is 1 to 4, or above 80."""
    try:
        return bytes.fromhex(text.decode("ascii").removeprefix("0x"))
    except ValueError:
        return None


def _from_bytes(setup: Setup, unframe: Callable[[bytes], Answer], payload: bytes, ask: Ask) -> object:
    """{name: value, ...}, with unit and function of a frame; exception (and no values) of a refusal."""
    if len(payload) > MAX_BLOCK:
        raise Rejected(f"{len(payload)} bytes: a block has at most {MAX_BLOCK}")
    answer = unframe(payload)
    if answer.exception:
        return answer.head()
    if answer.function is not None and setup.bits != (answer.function in (COILS, INPUTS)):
        raise Rejected(f"function {answer.function} at byte {answer.at - 2}: not what the profile reads")
    block = Block(answer.data, _start(setup.start, ask), answer.at, setup.bits)
    _complete(block, setup.count)
    return answer.head() | read_registers(block, setup.registers, ask.note)


def _from_json(setup: Setup, payload: bytes, ask: Ask) -> object:
    """The values, beside whatever else stands in the JSON object."""
    if len(payload) > MAX_TEXT:
        raise Rejected(f"{len(payload)} bytes: at most {MAX_TEXT} are read")
    try:
        document = orjson.loads(payload)
    except orjson.JSONDecodeError as err:
        raise Rejected(f"not JSON: {err}") from err
    outer: Document = {}
    start, values = setup.start, document
    if isinstance(document, dict):
        outer = {key: value for key, value in document.items() if key != setup.values}
        values = document.get(setup.values)
        if "start" in outer:
            start = whole_setting(outer, "start", None, 0, 65535, "")
    block = Block(_packed(values, setup.values, setup.bits), _start(start, ask), 0, setup.bits)
    _complete(block, setup.count)
    return outer | read_registers(block, setup.registers, None)


def _packed(values: object, key: str, bits: bool) -> bytes:
    if not isinstance(values, list) or not 0 < len(values) <= 65536:
        raise Rejected(f"{key}: an array of 1 to 65536 numbers expected")
    high = 1 if bits else 65535
    for number, value in enumerate(values):
        if (
            not isinstance(value, int)
            or not -32768 <= value <= high
            or (isinstance(value, bool) and not bits)
        ):
            shown = type(value).__name__ if isinstance(value, list | dict) else str(value)[:40]
            raise Rejected(f"{key}[{number}]: {shown!r} is no register")
    if bits:
        whole = sum(1 << n for n, value in enumerate(values) if value)
        return whole.to_bytes((len(values) + 7) // 8, "little")
    return b"".join((value & 0xFFFF).to_bytes(2, "big") for value in values)


def _start(start: int | str, ask: Ask) -> int:
    if isinstance(start, int):
        return start
    if start == "topic":
        level = ask.topic.removesuffix("/block").rpartition("/")[2]
        return whole_setting({"start": level}, "start", None, 0, 65535, "topic: ")
    if ask.port is None or not 0 <= ask.port <= 65535:
        raise Rejected("the first register's address is not known: bytes.port must lead to it")
    return ask.port


def _complete(block: Block, count: int) -> None:
    if not block.bits and len(block.data) % 2:
        raise Rejected(f"{len(block.data)} bytes are no whole registers")
    expected = (count + 7) // 8 if block.bits else count * 2
    if count and len(block.data) != expected:
        raise Rejected(f"{len(block.data)} bytes at byte {block.offset}: {expected} expected")


# ---------------------------------------------------------------- frames


def _bare(payload: bytes) -> Answer:
    return Answer(payload)


def _rtu(payload: bytes) -> Answer:
    """unit, function, byte count, data, CRC-16 (least significant byte first)."""
    if len(payload) < 5:
        raise Rejected(f"RTU frame cut at byte {len(payload)}: at least 5 bytes expected")
    sent, right = int.from_bytes(payload[-2:], "little"), CHECKSUMS["crc16_modbus"](payload[:-2])
    if sent != right:
        raise Rejected(f"CRC at byte {len(payload) - 2}: {sent:04x}, {right:04x} expected")
    return _answer(payload[1:-2], payload[0], 1)


def _tcp(payload: bytes) -> Answer:
    """transaction, protocol 0, length of what follows, unit, function, byte count, data."""
    if len(payload) < 9:
        raise Rejected(f"TCP frame cut at byte {len(payload)}: at least 9 bytes expected")
    protocol, length = int.from_bytes(payload[2:4], "big"), int.from_bytes(payload[4:6], "big")
    if protocol:
        raise Rejected(f"protocol {protocol} at byte 2: 0 expected")
    if length != len(payload) - 6:
        raise Rejected(f"length {length} at byte 4: {len(payload) - 6} bytes follow")
    return _answer(payload[7:], payload[6], 7)


def _answer(body: bytes, unit: int, at: int) -> Answer:
    """body: function, byte count, data; or function + 128, exception code."""
    function = body[0]
    if function >= 0x80:
        if len(body) != 2:
            raise Rejected(f"exception at byte {at}: {len(body) - 1} bytes, 1 expected")
        return Answer(b"", unit=unit, function=function - 0x80, exception=body[1])
    if function not in (COILS, INPUTS, HOLDING, INPUT_REGISTERS):
        raise Rejected(f"function {function} at byte {at}: an answer to a read (1 to 4) expected")
    if body[1] != len(body) - 2:
        raise Rejected(f"byte count {body[1]} at byte {at + 1}: {len(body) - 2} bytes follow")
    return Answer(body[2:], at + 2, unit, function)


UNFRAME: Mapping[str, Callable[[bytes], Answer]] = {"none": _bare, "rtu": _rtu, "tcp": _tcp}
KIND = CodecKind(make, OPTIONS)
