"""What a fire panel sends to its printer (GST / Gulf Security GST9000 and panels that print alike), read over a serial bridge.

A record is printed in lines, with ESC and one character between them that choose the type size:

    08/12/02  17:21        date and time
      006-007              loop and device
    火警                    what happened; 首次火警 is the first since the last reset, 火警后续 one after it
    中心机房               the place, as the panel was programmed
    感烟探测器              kind of device

The document is {"records": [{loop, device, address, event, first, place, device_type, printed, key, ...}]}:

    event           the printed word without 首次 and 后续, `key` in English: fire, fault, fault_restored, shielded, ...
    alarm, fault    1 or 0 where the word says so: a fire is 1, only a reset of the panel is 0
    prealarm        the same of 预警: a detector is near its threshold, which is no fire yet
    printed         date and time as they stand; `time` (ISO) only when the setting `date` says their order,
                    since panels print it in several (`ymd`, `dmy`, `mdy`)

Records without an address (reset, self-test, main power) are read too. Text is GB18030; a byte that the line
spoiled becomes U+FFFD. Any other text between records is left out; a payload without a record is rejected.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, TypeAlias

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.seam import Ask, Codec, CodecKind
from dutyroom.profiles.values import shortened
from dutyroom.profiles.yamlnode import Plain

Item: TypeAlias = dict[str, object]

MAX_SIZE = 65536  # bytes
MAX_RECORDS = 500
MAX_LINE = 120  # characters of a line that is read

_ORDERS: Final[Mapping[str, str]] = {"ymd": "%y/%m/%d", "dmy": "%d/%m/%y", "mdy": "%m/%d/%y"}
_STAMP = re.compile(r"(?P<date>[0-9]{2}/[0-9]{2}/[0-9]{2}) {1,8}(?P<clock>[0-9]{2}:[0-9]{2}(?::[0-9]{2})?)\Z")
_ADDRESS = re.compile(r"(?P<loop>[0-9]{1,3})-(?P<device>[0-9]{1,3})\Z")
_CONTROL = re.compile(r"\x1b[^\n]|[\x00-\x09\x0b-\x1a\x1c-\x1f]")

# Words of the panel: what they contain -> key, and what follows for the panel's states. The first that fits.
_WORDS: Final[tuple[tuple[str, str, Item], ...]] = (
    ("消音", "silenced", {}),
    ("故障恢复", "fault_restored", {"fault": 0}),
    ("故障消除", "fault_restored", {"fault": 0}),
    ("屏蔽解除", "unshielded", {}),
    ("解除屏蔽", "unshielded", {}),
    ("复位", "reset", {"alarm": 0, "prealarm": 0}),
    ("预警", "prealarm", {"prealarm": 1}),  # before the fire: 火灾预警 is none yet
    ("火警", "fire", {"alarm": 1}),
    ("火灾", "fire", {"alarm": 1}),
    ("手动报警", "fire", {"alarm": 1}),
    ("故障", "fault", {"fault": 1}),
    ("屏蔽", "shielded", {}),
    ("监管", "supervised", {}),
    ("反馈", "feedback", {}),
    ("启动", "started", {}),
    ("停动", "stopped", {}),
    ("停止", "stopped", {}),
    ("自检", "self_test", {}),
)


def _meaning(word: str) -> Item:
    for part, key, states in _WORDS:
        if part in word:
            return {"key": key, **states}
    return {"key": "other"}


def _time(date: str, clock: str, order: str) -> Item:
    """{time: ...} where the order of the date is known and the date exists."""
    if not order:
        return {}
    form = f"{_ORDERS[order]} %H:%M" + (":%S" if clock.count(":") == 2 else "")
    try:
        moment = datetime.strptime(f"{date} {clock}", form).replace(tzinfo=UTC)
    except ValueError:
        return {}
    return {"time": f"{moment:%Y-%m-%dT%H:%M:%S}"}


def _record(lines: list[str], order: str) -> Item | None:
    """The record of a block that begins with its date; None when nothing happened in it."""
    stamp = _STAMP.search(lines[0])
    assert stamp is not None
    found: Item = {"printed": stamp[0], **_time(stamp["date"], stamp["clock"], order)}
    rest = lines[1:]
    address = _ADDRESS.match(rest[0]) if rest else None
    if address is not None:
        found |= {"loop": address["loop"], "device": address["device"], "address": address[0]}
        rest = rest[1:]
    word = rest[0] if rest else ""
    if not any(letter.isalpha() for letter in word):  # cut off, or only noise
        return None
    plain = word.removeprefix("首次").removesuffix("后续")
    found |= {"event": plain or word, "first": word.startswith("首次"), **_meaning(word)}
    found |= dict(zip(("place", "device_type"), rest[1:3], strict=False))
    return found


def _lines(payload: bytes) -> list[str]:
    text = _CONTROL.sub("", payload.decode("gb18030", "replace").replace("\r", "\n"))
    return [line[:MAX_LINE] for part in text.split("\n") if (line := part.strip(" \x1b\u3000"))]


def _decode(payload: bytes, order: str) -> Item:
    if len(payload) > MAX_SIZE:
        raise Rejected(f"{len(payload)} bytes are more than {MAX_SIZE}")
    lines = _lines(payload)
    starts = [n for n, line in enumerate(lines) if _STAMP.search(line)]
    if len(starts) > MAX_RECORDS:
        raise Rejected(f"{len(starts)} records are more than {MAX_RECORDS}")
    blocks = [lines[a:b] for a, b in zip(starts, (*starts[1:], len(lines)), strict=False)]
    records = [record for block in blocks if (record := _record(block, order)) is not None]
    if not records:
        shown = shortened(" | ".join(lines), 60)
        raise Rejected(f"no record (date and time, address, event) in {len(payload)} bytes: {shown!r}")
    return {"records": records}


def make(options: Mapping[str, Plain]) -> Codec:
    """date: the order of the printed date, `ymd`, `dmy` or `mdy`; without it times are only text."""
    order = options.get("date", "")
    if not isinstance(order, str) or (order and order not in _ORDERS):
        raise Rejected(f"date: {order!r} is none of {', '.join(_ORDERS)}")

    def codec(payload: bytes, ask: Ask) -> object:
        return _decode(payload, order)

    return codec


KIND: Final = CodecKind(make, ("date",))
