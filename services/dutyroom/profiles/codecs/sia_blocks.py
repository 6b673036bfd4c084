"""The data of an alarm line: SIA DC-03 blocks (Nri1/FA001) and Contact ID (1110 00 129) in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.contact_id import CONTACT_ID, RESTORE
from dutyroom.profiles.codecs.sia_codes import SIA, Code
from dutyroom.profiles.values import shortened

Item: TypeAlias = dict[str, object]

MAX_CODES = 50  # of one line

_MODIFIER = re.compile(r"(?P<name>[a-z]{2})(?P<value>[0-9:.\-]*)")
_CODE = re.compile(r"(?P<code>[A-Z]{2})(?P<zone>[0-9]{0,8})")
_TEXT = re.compile(r"\^(?P<caret>[^^]*)\^?|\*[\"'](?P<quoted>[^\"']*)[\"']?|\|?A(?P<plain>.*)", re.DOTALL)
_OTHER = re.compile(r"([^/]+)")
_NEXT = re.compile(r"/|NM|[a-z]{2}[0-9]|[A-Z]{2}[0-9]|\Z")
_CID = re.compile(r"(?P<q>[136])(?P<code>[0-9]{3}) (?P<group>[0-9A-F]{2}) (?P<zone>[0-9A-F]{3})\Z")

_MODIFIERS: Final = {"ri": "area", "id": "user", "pi": "peripheral", "ti": "at", "da": "date"}


def readable(text: str) -> str:
    """Words that were read byte by byte (latin-1) as UTF-8, else as Windows-1252, which the standard names."""
    raw = text.encode("latin-1")
    try:
        return raw.decode("utf-8").strip()
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace").strip()


def _states(code: Code) -> Item:
    match code.action:
        case "alarm":
            return {code.category: 1}
        case "restore":
            return {code.category: 0}
        case "trouble" | "trouble_restore":
            on = int(code.action == "trouble")
            if code.category == "power":
                return {"mains": 1 - on}
            return {"battery_fault" if code.category == "battery" else "fault": on}
        case "bypass" | "unbypass" if code.category == "fire":
            return {"isolated": int(code.action == "bypass")}
        case "open" | "close":
            return {"armed": int(code.action == "close")}
    return {}


def placed(item: Item) -> Item:
    """The item with the place of its fire beside it."""
    if item.get("fire") == 1:
        item |= {f"fire_{name}": item[name] for name in ("area", "zone") if name in item}
    return item


def meaning(letters: str) -> Item:
    """What a DC-03 code says, and the states that follow from it."""
    code = SIA.get(letters)
    if code is None:
        return {"code": letters, "category": "other", "action": "report", "event": f"other_{letters}"}
    found: Item = {"code": letters, "name": code.name, "category": code.category, "action": code.action}
    event = code.category if code.action == code.category else f"{code.category}_{code.action}"
    return {**found, "event": event, **_states(code)}


def _sia(block: str, at: int) -> Iterator[Item]:
    """Codes of a DC-03 block: N or O, modifiers, codes with their zones, text. Raises Rejected."""
    if block[:1] not in ("N", "O"):
        raise Rejected(f"data at byte {at}: {shortened(block, 20)!r} does not begin with N or O")
    common: Item = {"new": block[0] == "N"}
    codes: list[Item] = []
    place = 1
    while place < len(block):
        if block[place] in "/ ":
            place += 1
        elif found := _MODIFIER.match(block, place):
            name = _MODIFIERS.get(found["name"], f"modifier_{found['name']}")
            common[name] = found["value"]
            place = found.end()
        elif found := _CODE.match(block, place):
            zone: Item = {"zone": found["zone"]} if found["zone"] else {}
            codes.append({**meaning(found["code"]), **zone, **common})
            place = found.end()
            if len(codes) > MAX_CODES:
                raise Rejected(f"data at byte {at}: more than {MAX_CODES} codes")
            place = _text(block, place, codes[-1])
        else:
            raise Rejected(f"data at byte {at + place}: {shortened(block[place:], 20)!r} is no event code")
    if not codes:
        raise Rejected(f"data at byte {at}: no event code in {shortened(block, 40)!r}")
    return map(placed, codes)


def _text(block: str, place: int, code: Item) -> int:
    """Reads the words behind a code into it; the place where the next code may begin.

    Panels write words in several ways; what is in none of them counts as words up to the next /.
    """
    words = _TEXT.match(block, place)
    if words is None and not _NEXT.match(block, place):
        words = _OTHER.match(block, place)
    if words is not None:
        text = readable(next((w for w in words.groups() if w), ""))
        if text:
            code["text"] = text
        place = words.end()
    if block.startswith("NM", place):  # says that the words are a name
        place += 2
    return place


def _contact_id(block: str, at: int) -> Iterator[Item]:
    """The event of a Contact ID block "1110 00 129". Raises Rejected."""
    found = _CID.match(block)
    if found is None:
        raise Rejected(f"data at byte {at}: {shortened(block, 20)!r} is no Contact ID (Q EEE GG ZZZ)")
    number, qualifier = int(found["code"]), int(found["q"])
    item: Item = {"contact_id": number, "qualifier": qualifier, "area": found["group"], "zone": found["zone"]}
    known = CONTACT_ID.get(number)
    if known is None:
        return iter([{**item, "category": "other", "action": "report", "event": f"contact_id_{number}"}])
    found_meaning = meaning(known.pair[qualifier == RESTORE])
    return iter([placed({**found_meaning, **item, "contact_id_name": known.name})])


BLOCKS: Final[Mapping[str, Callable[[str, int], Iterator[Item]]]] = {"SIA-DCS": _sia, "ADM-CID": _contact_id}
