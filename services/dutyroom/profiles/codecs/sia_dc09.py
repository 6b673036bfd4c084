"""SIA DC-09 lines with SIA DC-03 or Contact ID inside, and the plain heartbeat of serial receivers.

    CRC LLLL "SIA-DCS"8070R0L0#1234[#1234|Nri1/FA001][M0026B9E4268B]_13:49:12,04-13-2021

CRC-16/ARC and length (both hexadecimal) cover what stands from the first quote to the end of the line. The
document is {"events": [...]}, one item for each event code:

    kind        event | supervision (NULL) | answer (ACK, NAK, DUH, RSP)
    account, sequence, receiver, line, protocol, time ("2021-04-13T13:49:12", UTC by the standard)
    code, name  "FA", "Fire Alarm"; of Contact ID also `contact_id` and `qualifier`
    category, action, event     "fire", "alarm", "fire_alarm" (see sia_codes)
    zone, area, user, peripheral, text
    fire, gas, burglary, ...    1 for an alarm of this category, 0 for its restoral; fire_area, fire_zone: where
    fault, mains, battery_fault, armed      1 or 0, where the code says so
    extended    whether the line has extended data; its fields by name (longitude, mac_address, ...)

`check: true` (the default) is for lines as a panel sent them: CRC there and right. The length may be wrong
beside a right CRC, as some panels count differently; `length_ok` tells. `check: false` is for lines that a
receiver has checked, answered and passed on, often with the account shortened for privacy or the head taken
off, so that the old CRC no longer fits: it is not required, and `crc_ok` tells. Everything else of the form is
required either way. Good lines beside a bad one are read, and the bad one becomes a finding. Encrypted lines
are refused: their key belongs to the receiver.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.crc16_arc import crc16_arc
from dutyroom.profiles.codecs.seam import Ask, Codec, CodecKind, Note
from dutyroom.profiles.codecs.sia_blocks import BLOCKS, Item, meaning, readable
from dutyroom.profiles.values import shortened
from dutyroom.profiles.yamlnode import Plain

MAX_LINES = 200
MAX_LINE = 4096  # bytes

_LINE = re.compile(rb"(?:<x0A>)?(?P<head>[0-9A-Fa-f]{8})?(?P<rest>\"[^\r\n]*?)(?:<x0D>)?\Z")
_BODY = re.compile(
    r'"(?P<secret>\*?)(?P<protocol>[A-Z0-9]+(?:-[A-Z0-9]+)?)"(?P<sequence>[0-9]{4})?'
    r"(?:R(?P<receiver>[0-9A-Fa-f]{1,6}))?(?:L(?P<line>[0-9A-Fa-f]{1,6}))?(?:#(?P<account>[0-9A-Fa-f]{3,16}))?"
    r"(?P<rest>.*)\Z",
    re.ASCII,
)
_DATA = re.compile(
    r"\[(?P<data>[^\[\]]*)\](?P<extended>(?:\[[A-Z][^\[\]]*\]){0,50})"
    r"(?:_(?P<time>[0-9]{2}:[0-9]{2}:[0-9]{2},[0-9]{2}-[0-9]{2}-[0-9]{4}))?\Z"
)
_OF = re.compile(r"(?:#(?P<account>[0-9A-Fa-f]{3,16}))?\|?(?P<block>.*)\Z", re.DOTALL)
_HEARTBEAT = re.compile(
    rb"SR(?P<receiver>[0-9A-F]{4})L(?P<line>[0-9A-F]{4}) {1,8}(?P<account>[0-9A-Z]{1,16}) {1,8}\[(?:ID)?[0-9A-F]{0,16}\]\Z"
)
# Extended data by its letter; K (a key) and A, P (hashes) stay out of the document.
EXTENDED: Final[Mapping[str, str]] = {
    "C": "supervision_category", "H": "occurred", "I": "alarm_text", "J": "network_path", "L": "location",
    "M": "mac_address", "N": "network_address", "O": "building", "R": "room", "S": "site_name",
    "T": "alarm_trigger", "V": "verification", "X": "longitude", "Y": "latitude", "Z": "altitude",
}  # fmt: skip
_SECRET: Final = frozenset("AKP")
_ANSWERS: Final = frozenset({"ACK", "NAK", "DUH", "RSP"})


def _time(text: str) -> str:
    """HH:MM:SS,MM-DD-YYYY (the form is known) as ISO text; as it stands where there is no such time. A panel whose clock was never
    set (00-00-0000) tells of a fire all the same: nobody believes the time, and the line counts when it came."""
    hour, minute, second = int(text[:2]), int(text[3:5]), int(text[6:8])
    month, day, year = int(text[9:11]), int(text[12:14]), int(text[15:])
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC).replace(tzinfo=None).isoformat()
    except ValueError:
        return text


def _extended(text: str) -> Item:
    found: Item = {"extended": bool(text)}
    for piece in re.findall(r"\[([A-Z][^\[\]]*)\]", text):
        if piece[0] not in _SECRET:
            found[EXTENDED.get(piece[0], f"extended_{piece[0].lower()}")] = readable(piece[1:])
    return found


def _checked(head: bytes | None, rest: bytes, at: int, check: bool) -> Item:
    """Whether CRC and length fit. Raises Rejected for a CRC that does not, or is missing, under `check`."""
    if head is None:
        if check:
            raise Rejected(f"line at byte {at}: no CRC before the first quote")
        return {}
    told, counted = int(head[:4], 16), crc16_arc(rest)
    if check and told != counted:
        raise Rejected(f"CRC at byte {at}: {told:04X}, {counted:04X} expected")
    return {"crc_ok": told == counted, "length_ok": int(head[4:], 16) == len(rest)}


def _told(match: re.Match[str], at: int, note: Note | None) -> None:
    """Notes every named part that is there. at: byte of the match's text."""
    if note is None:
        return
    for name, value in match.groupdict().items():
        if value and name != "rest":
            note(name, (at + match.start(name)) * 8, (at + match.end(name)) * 8, value)


def _body(text: str, at: int, note: Note | None) -> list[Item]:
    """The items of what stands from the first quote on. text: one character a byte. at: byte of the quote."""
    match = _BODY.match(text)
    if match is None:
        raise Rejected(f"line at byte {at}: no identifier, sequence, receiver, line and account")
    if match["secret"]:
        raise Rejected(
            f"line at byte {at}: encrypted; the receiver that has the key must pass it on in plain"
        )
    head: Item = {k: v for k in ("protocol", "sequence", "receiver", "line", "account") if (v := match[k])}
    protocol, rest = match["protocol"], at + match.start("rest")
    if protocol in _ANSWERS:
        return [{"kind": "answer", "event": protocol.lower(), **head}]
    _told(match, at, note)
    data = _DATA.match(match["rest"])
    if data is None:
        raise Rejected(f"data at byte {rest}: {shortened(match['rest'], 40)!r} is no [data][extended]_time")
    _told(data, rest, note)
    of = _OF.match(data["data"])
    assert of is not None  # all its parts may be empty
    if of["account"]:
        head.setdefault("account", of["account"])
    if data["time"]:
        head["time"] = _time(data["time"])
    head |= _extended(data["extended"])
    if protocol == "NULL":
        return [{"kind": "supervision", "event": "supervision", **head}]
    read = BLOCKS.get(protocol)
    if read is None:
        raise Rejected(f"identifier at byte {at + 1}: {protocol!r} is none of NULL, {', '.join(BLOCKS)}")
    if "account" not in head:
        raise Rejected(f"line at byte {at}: no account")
    return [{"kind": "event", **item, **head} for item in read(of["block"], rest + 1 + of.start("block"))]


def _line(raw: bytes, at: int, check: bool, note: Note | None) -> list[Item]:
    """The items of one line. Raises Rejected with the reason."""
    if len(raw) > MAX_LINE:
        raise Rejected(f"line at byte {at}: {len(raw)} bytes, at most {MAX_LINE}")
    beat = _HEARTBEAT.match(raw)
    if beat is not None and not check:
        head = {k: beat[k].decode("ascii") for k in ("receiver", "line", "account")}
        return [{"kind": "event", "protocol": "OH", **meaning("RP"), **head, "extended": False}]
    match = _LINE.match(raw)
    if match is None:
        raise Rejected(
            f"line at byte {at}: {shortened(readable(raw.decode('latin-1')), 40)!r} is no DC-09 line"
        )
    start = at + match.start("rest")
    checked = _checked(match["head"], match["rest"], at + max(match.start("head"), 0), check)
    return [{**checked, **item} for item in _body(match["rest"].decode("latin-1"), start, note)]


def _decode(payload: bytes, check: bool, ask: Ask) -> Item:
    items: list[Item] = []
    damage: list[str] = []
    for number, found in enumerate(re.finditer(rb"[^\r\n\0]+", payload)):
        if number >= MAX_LINES:
            raise Rejected(f"more than {MAX_LINES} lines")
        raw = found[0].strip()
        if not raw:
            continue
        at = found.start() + found[0].index(raw)
        try:
            items += _line(raw, at, check, ask.note)
        except Rejected as err:
            damage.append(err.reason)
    if not items:
        raise Rejected(damage[0] if damage else "no line in the payload")
    ask.report.findings += [("malformed", reason) for reason in damage]
    return {"events": items}


def make(options: Mapping[str, Plain]) -> Codec:
    """check: false for lines that a receiver has checked and passed on; see above."""
    check = options.get("check", True)
    if not isinstance(check, bool):
        raise Rejected(f"check: {check!r} is neither true nor false")

    def codec(payload: bytes, ask: Ask) -> object:
        return _decode(payload, check, ask)

    return codec


KIND: Final = CodecKind(make, ("check",))
