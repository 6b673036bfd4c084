"""Leaves that a profile does not name: nothing of a generic family is lost.

A number or boolean becomes a point named by its path, a text an attribute (or a text point where it
changes often). The names come from devices, so their number and length are bounded.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from dutyroom.model.telemetry import Kind, PointSpec
from dutyroom.profiles.paths import MISSING, Getter, as_text, getter
from dutyroom.profiles.profile import PointRule, RestRule
from dutyroom.profiles.values import Convert, converter
from dutyroom.quantities import QUANTITIES, quantities_of

MAX_LEAVES = 1000  # of a message
MAX_DEPTH = 32
MAX_NAMES = 20_000  # remembered by a profile
MAX_NAME = 120

# Suffix of a field's name -> (quantity, unit). `h` and others that are words too stay out.
SUFFIXES: Mapping[str, tuple[str, str]] = {
    "m3": ("volume", "m3"), "l": ("volume", "L"), "ft3": ("volume", "ft3"),
    "m3h": ("flow", "m3/h"), "lh": ("flow", "L/h"),
    "kwh": ("energy", "kWh"), "wh": ("energy", "Wh"), "mj": ("energy", "MJ"), "gj": ("energy", "GJ"),
    "kvarh": ("reactive_energy", "kvarh"), "kvah": ("apparent_energy", "kVAh"),
    "kw": ("power", "kW"), "w": ("power", "W"), "kvar": ("reactive_power", "kvar"), "kva": ("apparent_power", "kVA"),
    "v": ("voltage", "V"), "mv": ("voltage", "mV"), "a": ("current", "A"), "ma": ("current", "mA"),
    "hz": ("frequency", "Hz"), "mhz": ("frequency", "MHz"),
    "c": ("temperature", "degC"), "f": ("temperature", "degF"), "k": ("temperature", "K"),
    "bar": ("pressure", "bar"), "kpa": ("pressure", "kPa"), "hpa": ("pressure", "hPa"), "psi": ("pressure", "psi"),
    "rh": ("humidity", "%"), "hca": ("heat_units", "hca"),
    "m": ("level", "m"), "cm": ("level", "cm"), "mm": ("level", "mm"), "kg": ("mass", "kg"),
    "h": ("running_time", "h"), "min": ("duration", "min"), "s": ("duration", "s"), "y": ("duration", "y"),
    "dbm": ("signal", "dBm"), "db": ("signal_to_noise", "dB"), "lux": ("illuminance", "lx"), "ppm": ("concentration", "ppm"),
}  # fmt: skip

_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Leaf:
    """What to do with the leaves of one name."""

    skip: bool
    attribute: bool
    text_point: bool  # a text that changes often is a point, not an attribute
    text: PointSpec
    state: PointSpec
    number: PointSpec
    convert: Convert


Alternatives: TypeAlias = tuple[
    tuple[Getter, str], ...
]  # of one point: (path, leaf's name), the first counts


class Rest:
    """The compiled rule of one layout. taken: names of leaves that points and attributes read; with
    several paths, only the one that is used (`alternatives`)."""

    def __init__(
        self,
        rule: RestRule,
        taken: frozenset[str],
        alternatives: tuple[Alternatives, ...],
        known: frozenset[str],
    ) -> None:
        self._rule = rule
        self._taken = taken
        self._alternatives = alternatives
        self._known = known  # names of the profile's own points
        self._get = getter([rule.source]) if rule.source is not None else None
        self._leaves: dict[str, Leaf] = {}

    def leaves(self, item: object, document: object) -> Iterator[tuple[str, Leaf, object]]:
        """(name, what to do, value) of every unnamed leaf, null and empty containers left out."""
        root = self._get(item, document) if self._get is not None else item
        walk = self._listed(root) if self._rule.list_name else flat(root)
        used = self._used(item, document) if self._alternatives else ()
        left = MAX_LEAVES
        for name, value in walk:
            left -= 1
            if left < 0:
                return
            if value is None:
                continue
            leaf = self._leaves.get(name)
            if leaf is None:
                leaf = self._leaf(name)
                if len(self._leaves) < MAX_NAMES:
                    self._leaves[name] = leaf
            if not leaf.skip and name not in used:
                yield name, leaf, value

    def _used(self, item: object, document: object) -> set[str]:
        used = set()
        for paths in self._alternatives:
            for get, name in paths:
                if get(item, document) not in (MISSING, None):
                    used.add(name)
                    break
        return used

    def _listed(self, root: object) -> Iterator[tuple[str, object]]:
        for element in root if isinstance(root, list) else ():
            if isinstance(element, dict):
                name, value = as_text(element.get(self._rule.list_name)), element.get(self._rule.list_value)
                if name is not None:
                    yield from flat(value, name)

    def _leaf(self, name: str) -> Leaf:
        rule = self._rule
        bad = len(name) > MAX_NAME or not name or _UNSAFE.search(name) is not None
        quantity, unit, own = self._meaning(name)
        if own in self._known:
            own = name if name not in self._known else f"{name}.raw"
        number = PointSpec(own, quantity, QUANTITIES[quantity].unit)
        return Leaf(
            skip=bad or name in self._taken or _any(name, rule.skip),
            attribute=_any(name, rule.attributes),
            text_point=_any(name, rule.texts),
            text=PointSpec(own, kind=Kind.TEXT),
            state=PointSpec(own, kind=Kind.STATE),
            number=number,
            convert=converter(PointRule(number, (), unit)),
        )

    def _meaning(self, name: str) -> tuple[str, str, str]:
        """(quantity, unit of the payload, point name)."""
        for glob, unit in self._rule.units.items():
            if fnmatch.fnmatchcase(name, glob):
                return quantities_of(unit)[0], unit, name
        if self._rule.suffix and "_" in name:
            base, _, suffix = name.rpartition("_")
            found = SUFFIXES.get(suffix.lower())
            if found is not None and base:
                quantity, unit = found
                # Names carry no unit, but flow_c and flow_m3h must not become one point.
                return quantity, unit, base if quantity in base else f"{base}_{quantity}"
        return "number", "", name


def _any(name: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, glob) for glob in globs)


def flat(value: object, name: str = "", depth: int = 0) -> Iterator[tuple[str, object]]:
    """Every leaf with its path: a.b[0].c"""
    if isinstance(value, dict):
        if depth < MAX_DEPTH:
            for key, child in value.items():
                inner = f"{name}.{key}" if name else key
                if type(child) is dict or type(child) is list:
                    yield from flat(child, inner, depth + 1)
                else:
                    yield inner, child
    elif isinstance(value, list):
        if depth < MAX_DEPTH:
            for number, child in enumerate(value):
                yield from flat(child, f"{name}[{number}]", depth + 1)
    elif value is not MISSING:
        yield name, value
