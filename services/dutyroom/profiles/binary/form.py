"""Reads the cursor language of a profile: `binary`, `tlv`, `groups`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from dutyroom.errors import Rejected
from dutyroom.profiles.binary.model import (
    BinaryRule,
    Bits,
    Check,
    Group,
    Let,
    Meaning,
    Moment,
    Move,
    Outcome,
    Read,
    Repeat,
    Step,
    Switch,
    Tlv,
    names_of,
)
from dutyroom.profiles.binary.types import ORDERS, ValueType, never, parse_type
from dutyroom.profiles.checksums import CHECKSUMS
from dutyroom.profiles.expressions import Expression, parse_expression
from dutyroom.profiles.form import Form, code_text, join
from dutyroom.profiles.yamlnode import Node

MAX_USES = 12  # groups within groups
MEANING_FIELDS = ("none", "map", "otherwise", "scale", "offset")
READ_FIELDS = ("as", "bits", "when", "at", *MEANING_FIELDS)
TLV_FIELDS = ("key", "length", "unknown", "types")
# Names that every expression has besides fields and parameters.
GIVEN = frozenset({"port", "length", "left", "position", "index", "_size"})
STEPS: Mapping[str, tuple[str, ...]] = {
    "skip": (), "skip_bits": (), "seek": (), "align": (),
    "let": ("value", "when", *MEANING_FIELDS),
    "datetime": ("parts", "when"),
    "group": ("name", "when", "length"),
    "repeat": ("times", "read"),
    "append": ("times", "read"),
    "switch": ("cases",),
    "tlv": (),
    "check": ("over", "equals"),
    "reject": ("when",), "ignore": ("when",), "use": (),
}  # fmt: skip
_NAME = re.compile(r"[A-Za-z_](?:[A-Za-z0-9_]|\{[A-Za-z_][A-Za-z0-9_]*\})*\Z|\{.*")
_KEY = re.compile(r"(?:[0-9a-f]{2}|\?\?)+\Z")


@dataclass(slots=True)
class Reader:
    """Reads steps of one layout. groups: named lists of steps. order: of bytes where a type says none."""

    form: Form
    order: str = "big"
    groups: Mapping[str, Node] = field(default_factory=dict)
    parameters: frozenset[str] = frozenset()
    uses: list[str] = field(default_factory=list)
    asked: list[tuple[str, Node, str]] = field(default_factory=list)  # names that expressions read, and where

    def program(self, node: Node, where: str) -> BinaryRule:
        rule = BinaryRule(self.steps(node, where))
        self._check_names(rule)
        return rule

    def table(self, node: Node, where: str) -> BinaryRule:
        """`tlv` as the whole of a layout."""
        rule = BinaryRule(self._tlv(node, where))
        self._check_names(rule)
        return rule

    def _check_names(self, rule: BinaryRule) -> None:
        """A name that nothing makes would be no value for ever: most likely it is misspelt."""
        named = set(names_of(rule.steps))
        if any("{" in name for name in named):  # some names are known when a message comes
            return
        known = named | self.parameters | GIVEN
        for name, node, where in self.asked:
            if name.removeprefix("previous_") not in known:
                close = difflib.get_close_matches(name, known, 1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                self.form.note(node, where, f"there is no field or parameter {name!r}{hint}")

    def steps(self, node: Node, where: str) -> tuple[Step, ...]:
        """A list of steps; one mapping counts as a list of one; a text is a group's name."""
        if isinstance(node.value, str):
            return self._use(node, where)
        if isinstance(node.value, dict) and any(name in STEPS for name in node.value):
            return self._step(node, where)
        if isinstance(node.value, dict):
            return tuple(
                s for name, child in node.value.items() for s in self._named(node, name, child, where)
            )
        if not isinstance(node.value, list):
            self.form.note(node, where, "must be a list of fields")
            return ()
        return tuple(s for n, child in enumerate(node.value) for s in self._step(child, f"{where}[{n}]"))

    def _step(self, node: Node, where: str) -> tuple[Step, ...]:
        if not isinstance(node.value, dict) or not node.value:
            self.form.note(node, where, "must be a field (name: type) or a step such as {skip: 1}")
            return ()
        first = next((name for name in STEPS if name in node.value), None)
        if first is None:
            if len(node.value) != 1:
                self.form.note(node, where, "one field in each entry: name: type, or name: {as: type, ...}")
            return tuple(
                s for name, child in node.value.items() for s in self._named(node, name, child, where)
            )
        own = self.form.fields(node, where, (first, *STEPS[first]))
        return self._special(first, own, node, where) if first in own else ()

    def _named(self, node: Node, name: str, child: Node, where: str) -> tuple[Step, ...]:
        if name in STEPS:
            return self._step(Node({name: child}, node.file, node.line), where)
        place = join(where, name)
        if not _NAME.match(name):
            self.form.note(child, place, "a field's name has letters, digits and _ only")
        if not isinstance(child.value, dict):
            return (Read(name, self._type(child, place)),)
        own = self.form.fields(child, place, READ_FIELDS)
        if "as" not in own:
            self.form.note(child, join(place, "as"), "is missing: which type, for example u8")
            return ()
        kind = self._type(own["as"], join(place, "as"))
        for text in self.form.sentinels(own["none"], join(place, "none")) if "none" in own else ():
            if never(kind, text):
                self.form.note(
                    own["none"],
                    join(place, "none"),
                    f"{own['as'].raw} is never {text}: the number as it is sent, before scale",
                )
        return (
            Read(
                name,
                kind,
                self._meaning(own, place),
                self._bits(own["bits"], join(place, "bits"), kind.bits or 64) if "bits" in own else (),
                self._expression(own, "when", place),
                self._expression(own, "at", place),
            ),
        )

    def _type(self, node: Node, where: str) -> ValueType:
        found = self.form.parsed(node, where, lambda text: parse_type(text, self.order))
        return found or ValueType("u", 8)

    def _meaning(self, own: Mapping[str, Node], where: str) -> Meaning:
        form = self.form
        scale = form.number(own["scale"], join(where, "scale")) if "scale" in own else None
        offset = form.number(own["offset"], join(where, "offset")) if "offset" in own else None
        codes = form.mapping(own["map"], join(where, "map")) if "map" in own else {}
        return Meaning(
            form.sentinels(own["none"], join(where, "none")) if "none" in own else frozenset(),
            {code_text(k): self._value(n, join(where, f"map.{k}")) for k, n in codes.items()},
            self._value(own["otherwise"], join(where, "otherwise")) if "otherwise" in own else None,
            Fraction(1 if scale is None else scale),
            Fraction(0 if offset is None else offset),
        )

    def _value(self, node: Node, where: str) -> str | float | bool | None:
        if isinstance(node.value, list | dict):
            self.form.note(node, where, "must be a single value")
            return None
        return node.value

    def _bits(self, node: Node, where: str, width: int) -> tuple[Bits, ...]:
        found = []
        for key, child in self.form.mapping(node, where).items():
            place = join(where, key)
            match = re.fullmatch(r"([0-9]{1,2})(?:-([0-9]{1,2}))?", key)
            low = int(match[1]) if match else 0
            high = int(match[2] or low) if match else -1
            if not 0 <= low <= high <= 63:
                self.form.note(child, place, "must be a bit (0 = least significant) or a range such as 4-7")
                continue
            if high >= width:
                self.form.note(child, place, f"is no bit of {width} bits: the highest is {width - 1}")
            if not isinstance(child.value, dict):
                found.append(Bits(self.form.text(child, place), low, high))
                continue
            own = self.form.fields(child, place, ("name", "invert", *MEANING_FIELDS))
            name = self.form.text(own["name"], join(place, "name")) if "name" in own else ""
            if not name:
                self.form.note(child, join(place, "name"), "is missing")
            invert = "invert" in own and self.form.boolean(own["invert"], join(place, "invert"))
            found.append(Bits(name, low, high, invert, self._meaning(own, place)))
        return tuple(found)

    def _expression(self, own: Mapping[str, Node], name: str, where: str) -> Expression | None:
        return self._parsed(own[name], join(where, name)) if name in own else None

    def _parsed(self, node: Node, where: str) -> Expression | None:
        found = self.form.parsed(node, where, parse_expression)
        if found is not None:
            self.asked += [(name, node, where) for name in sorted(found.names)]
        return found

    def _needed(self, node: Node, own: Mapping[str, Node], name: str, where: str) -> Expression:
        if name not in own:
            self.form.note(node, join(where, name), "is missing")
        return self._expression(own, name, where) or parse_expression("0")

    def _special(self, kind: str, own: Mapping[str, Node], node: Node, where: str) -> tuple[Step, ...]:
        form = self.form
        place = join(where, kind)
        when = self._expression(own, "when", where)
        match kind:
            case "skip" | "seek":
                return (Move(kind, self._needed(node, own, kind, where)),)
            case "skip_bits":
                return (Move("bits", self._needed(node, own, kind, where)),)
            case "align":
                return (Move("align"),)
            case "let":
                value = self._needed(node, own, "value", where)
                return (Let(form.text(own["let"], place), value, self._meaning(own, where), when),)
            case "datetime":
                return (Moment(form.text(own["datetime"], place), self._parts(node, own, where), when),)
            case "group":
                name = form.text(own["name"], join(where, "name")) if "name" in own else ""
                return (
                    Group(
                        self.steps(own["group"], place), name, when, self._expression(own, "length", where)
                    ),
                )
            case "repeat" | "append":
                return self._list(kind, own, node, where)
            case "switch":
                return self._switch(own, node, where)
            case "tlv":
                return self._tlv(own["tlv"], place)
            case "check":
                return self._check(own, node, where)
            case "use":
                return self._use(own["use"], place)
        return (Outcome(kind, form.text(own[kind], place), when),)

    def _parts(self, node: Node, own: Mapping[str, Node], where: str) -> tuple[Expression, ...]:
        items = self.form.items(own["parts"], join(where, "parts")) if "parts" in own else []
        if not 3 <= len(items) <= 6:
            self.form.note(
                node, join(where, "parts"), "must be year, month, day, and perhaps hour, minute, second"
            )
        found = [self._parsed(n, join(where, "parts")) for n in items]
        return tuple(e for e in found if e is not None)

    def _list(self, kind: str, own: Mapping[str, Node], node: Node, where: str) -> tuple[Step, ...]:
        if "read" not in own:
            self.form.note(node, join(where, "read"), "is missing: which fields has a record?")
            return ()
        times = parse_expression("1") if kind == "append" else None
        if "times" in own:
            times = None if own["times"].value == "end" else self._expression(own, "times", where)
        steps = self.steps(own["read"], join(where, "read"))
        return (Repeat(self.form.text(own[kind], join(where, kind)), steps, times, kind == "append"),)

    def _switch(self, own: Mapping[str, Node], node: Node, where: str) -> tuple[Step, ...]:
        on = self._needed(node, own, "switch", where)
        cases: dict[str, tuple[Step, ...]] = {}
        ranges: list[tuple[float, float, tuple[Step, ...]]] = []
        other: tuple[Step, ...] | None = None
        found = self.form.mapping(own["cases"], join(where, "cases")) if "cases" in own else {}
        if not found:
            self.form.note(node, join(where, "cases"), "is missing: {value: [fields]}")
        for key, child in found.items():
            steps = self.steps(child, join(where, f"cases.{key}"))
            for one in (part.strip() for part in key.split(",")):
                span = re.fullmatch(r"(-?[0-9]+)-(-?[0-9]+)", one)
                if one == "else":
                    other = steps
                elif span and float(span[1]) <= float(span[2]):
                    ranges.append((float(span[1]), float(span[2]), steps))
                elif span or re.fullmatch(r"-?[0-9]+-", one):
                    said = f"{one!r} is no range: write the lower and the higher value, for example 4-7"
                    self.form.note(child, join(where, f"cases.{key}"), said)
                else:
                    cases[code_text(one)] = steps
        return (Switch(on, cases, tuple(ranges), other),)

    def _check(self, own: Mapping[str, Node], node: Node, where: str) -> tuple[Step, ...]:
        kind = self.form.choice(own["check"], join(where, "check"), (*CHECKSUMS, "holds")) or "sum8"
        over = self.form.items(own["over"], join(where, "over")) if "over" in own else []
        if len(over) not in (0, 2):
            self.form.note(own["over"], join(where, "over"), "must be two bytes, for example [0, -1]")
        ends = [self._parsed(n, join(where, "over")) for n in over]
        start, end = ends if len(ends) == 2 else (None, None)
        if start is not None and end is not None and _no_bytes(start, end):
            self.form.note(own["over"], join(where, "over"), "is no byte, which protects nothing")
        return (Check(kind, self._needed(node, own, "equals", where), start, end),)

    def _use(self, node: Node, where: str) -> tuple[Step, ...]:
        name = self.form.choice(node, where, self.groups) if self.groups else None
        if name is None:
            if not self.groups:
                self.form.note(node, where, f"there is no group {node.raw!r}: write it below `groups`")
            return ()
        if name in self.uses or len(self.uses) >= MAX_USES:
            self.form.note(node, where, f"group {name!r} uses itself")
            return ()
        self.uses.append(name)
        steps = self.steps(self.groups[name], f"groups.{name}")
        self.uses.pop()
        return steps

    def _tlv(self, node: Node, where: str) -> tuple[Step, ...]:
        form = self.form
        own = form.fields(node, where, TLV_FIELDS)
        names = self._key_names(own, where)
        length = self._type(own["length"], join(where, "length")) if "length" in own else None
        unknown = (
            form.choice(own["unknown"], join(where, "unknown"), ("stop", "skip", "reject"))
            if "unknown" in own
            else None
        )
        types: dict[str, tuple[Step, ...]] = {}
        found = form.mapping(own["types"], join(where, "types")) if "types" in own else {}
        if not found:
            form.note(node, join(where, "types"), 'is missing: {"01 75": [battery: u8]}')
        for key, child in found.items():
            place, plain = join(where, f"types.{key}"), key.replace(" ", "").lower()
            if not _KEY.match(plain) or len(plain) != 2 * len(names):
                form.note(
                    child,
                    place,
                    f'must be {len(names)} bytes in hex, quoted: "{"01 " * len(names)}"'.replace(' "', '"'),
                )
            else:
                types[plain] = self.steps(child, place) if child.value is not None else ()
        return (Tlv(names, types, length, unknown or "stop"),)

    def _key_names(self, own: Mapping[str, Node], where: str) -> tuple[str, ...]:
        """`key`: how many bytes (channel and type), or a name for each."""
        if "key" not in own:
            return ("channel", "type")
        node = own["key"]
        if isinstance(node.value, list):
            names = self.form.texts(node, join(where, "key"))
            if 1 <= len(names) <= 4:
                return names
        elif node.value in (1, 2, 3):
            return (("type",), ("channel", "type"), ("channel", "type", "subtype"))[int(node.raw) - 1]
        self.form.note(node, join(where, "key"), "must be 1, 2 or 3 bytes, or a list of a name for each byte")
        return ("channel", "type")


def read_order(form: Form, node: Node, where: str) -> str:
    """The byte order of types that say none."""
    return form.choice(node, where, ORDERS[:2]) or "big"


def _no_bytes(start: Expression, end: Expression) -> bool:
    """Whatever the message; -2 is the last byte but one."""
    try:
        ends = [e.compiled()({}) for e in (start, end)]
    except Rejected:
        return False
    first, last = ((at if isinstance(at, int) else None) for at in ends)
    return first is not None and last is not None and (first < 0) == (last < 0) and first >= last
