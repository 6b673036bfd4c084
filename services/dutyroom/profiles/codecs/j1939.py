"""SAE J1939: CAN frames of engines and generator sets, bare or as arrays of {id, data} in JSON.

J1939-71: the highest raw values of a parameter mean "error" and "not available": null, and why stands
under `reasons`. J1939-73: active faults (DM1) and past ones (DM2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import orjson

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.exact import (
    ONE,
    ZERO,
    decimal_setting,
    flag_setting,
    known_settings,
    map_setting,
    whole_setting,
)
from dutyroom.profiles.codecs.j1939_fields import Collected, Groups, Values, field_of
from dutyroom.profiles.codecs.j1939_frames import (
    MAX_DATA,
    Frame,
    assembled,
    frame,
    listed_frames,
    read_id,
)
from dutyroom.profiles.codecs.j1939_narrow import Narrow
from dutyroom.profiles.codecs.j1939_table import GROUPS, Parameter
from dutyroom.profiles.codecs.seam import Ask, Codec, CodecKind, Wanted
from dutyroom.profiles.yamlnode import Plain

OPTIONS = ("frames", "id", "source", "spns")
SPN_OPTIONS = ("pgn", "byte", "bit", "bits", "scale", "offset", "signed", "special")


# ---------------------------------------------------------------- the codec


def make(settings: Mapping[str, Plain]) -> Codec:
    """frames: key or keys of the JSON payload that hold arrays of {id, data} ("" = the payload is one);
    without it the payload is the data of one frame. id: of that frame: `port` (the default: `bytes.port`,
    or the device parameter can_id), `topic` (its last level), or a number. source: address or addresses of
    control units that count. spns: {name: {pgn, byte, bit, bits, scale, offset, signed, special}}.
    """
    known_settings(settings, OPTIONS, "")
    groups = _groups(map_setting(settings.get("spns"), "spns"))
    sources = _sources(settings.get("source"))
    if "frames" in settings:

        def together(value: object, where: str) -> Values:
            return _together(listed_frames(value, where), groups, sources)

        return _in_json(_keys(settings["frames"]), together)
    own = settings.get("id", "port")
    fixed = own if own in ("port", "topic") else read_id(own, "id")
    return _bare(fixed, groups, sources)


def _keys(value: Plain) -> tuple[str, ...]:
    names = value if isinstance(value, list) else [value]
    found = tuple(name for name in names if isinstance(name, str))
    if len(found) != len(names) or not found:
        raise Rejected("frames: a key or a list of keys is needed")
    return found


def _sources(value: Plain) -> frozenset[int] | None:
    if value is None:
        return None
    listed = value if isinstance(value, list) else [value]
    return frozenset(whole_setting({"source": n}, "source", None, 0, 255, "") for n in listed)


def _groups(own: Mapping[str, Plain]) -> Groups:
    groups = {pgn: group.parameters for pgn, group in GROUPS.items()}
    for name, value in own.items():
        where = f"spns.{name}."
        found = map_setting(value, where[:-1])
        known_settings(found, SPN_OPTIONS, where)
        pgn = whole_setting(found, "pgn", None, 0, 0x3FFFF, where)
        others = tuple(p for p in groups.get(pgn, ()) if p.name != name)
        groups[pgn] = (*others, _parameter(name, found, where))
    return {pgn: tuple(field_of(p) for p in listed) for pgn, listed in groups.items()}


def _parameter(name: str, own: Mapping[str, Plain], where: str) -> Parameter:
    byte = whole_setting(own, "byte", None, 1, MAX_DATA, where)
    bit = whole_setting(own, "bit", 1, 1, 8, where)
    minus = flag_setting(own, "signed", False, where)
    return Parameter(
        name=name,
        spn=0,
        start=(byte - 1) * 8 + bit - 1,
        bits=whole_setting(own, "bits", 8, 1, 64, where),
        scale=decimal_setting(own, "scale", ONE, where),
        offset=decimal_setting(own, "offset", ZERO, where),
        minus=minus,
        special=flag_setting(own, "special", not minus, where),
    )


def _bare(identifier: object, groups: Groups, sources: frozenset[int] | None) -> Codec:
    def decode(payload: bytes, ask: Ask) -> object:
        """{pgn, source, priority, engine: {engine_speed: "1498.75", ..., reasons: {name: why there is no
        value}, unknown: {group: hex}}}"""
        if len(payload) > MAX_DATA:
            raise Rejected(f"{len(payload)} bytes: a frame has at most 8, a long message {MAX_DATA}")
        found = frame(_identifier(identifier, ask), payload)
        collected = Collected()
        if sources is None or found.source in sources:
            collected.add(found, groups, ask.note)
        head: Values = {"pgn": found.pgn, "source": found.source, "priority": found.priority}
        if found.pgn in GROUPS:
            head["group"] = GROUPS[found.pgn].label
        return head | collected.document()

    return decode


def _identifier(identifier: object, ask: Ask) -> int:
    if identifier == "topic":
        return read_id(ask.topic.rpartition("/")[2], f"topic {ask.topic!r}")
    if identifier != "port":
        return read_id(identifier, "id")
    found = ask.port if ask.port is not None else ask.parameters.get("can_id")
    if found is None:
        raise Rejected("the CAN id of the frame is not known: give bytes.port, id or the parameter can_id")
    return read_id(found, "CAN id")


def narrow(settings: Mapping[str, Plain], wanted: Wanted) -> Codec | None:
    """Of frames in JSON, where no profile reads what is not known."""
    if "frames" not in settings or "unknown" in wanted.names:
        return None
    keys = _keys(settings["frames"])
    if not all(wanted.free(key) for key in keys):
        return None
    groups, sources = _groups(map_setting(settings.get("spns"), "spns")), _sources(settings.get("source"))
    short = Narrow(groups, sources, wanted)

    def together(value: object, where: str) -> Values:
        found = short.read(value)
        return _together(listed_frames(value, where), groups, sources) if found is None else found

    return _in_json(keys, together)


def _in_json(keys: Sequence[str], together: Callable[[object, str], Values]) -> Codec:
    def decode(payload: bytes, ask: Ask) -> object:
        """The JSON document with each array of frames replaced by {engine: what is in them together}."""
        try:
            document = orjson.loads(payload)
        except orjson.JSONDecodeError as err:
            raise Rejected(f"not JSON: {err}") from err
        if keys == ("",):
            return together(document, "frames")
        if not isinstance(document, dict):
            raise Rejected("a JSON object expected")
        for key in keys:
            if document.get(key) is not None:
                document[key] = together(document[key], key)
        return document

    return decode


def _together(frames: Sequence[Frame], groups: Groups, sources: frozenset[int] | None) -> Values:
    collected = Collected()
    for found in assembled([f for f in frames if sources is None or f.source in sources]):
        collected.add(found, groups)
    return collected.document()


KIND = CodecKind(make, OPTIONS, parameters=True, narrow=narrow, finishing=True)
