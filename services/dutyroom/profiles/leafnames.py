"""What `rest` would call the fields that points and attributes read, and what a name says of its unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from dutyroom.profiles.paths import Getter, Index, Key, Path, Where, getter
from dutyroom.profiles.profile import Layout, RestRule

# Of one point: (path, leaf's name), the first counts.
Alternatives: TypeAlias = tuple[tuple[Getter, str], ...]

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

# Two words that are one unit: of the last alone wind_avg_m_s would be a duration, and pm10_ug_m3 a volume.
_PAIRS: Mapping[str, tuple[str, str]] = {
    "m_s": ("velocity", "m/s"), "km_h": ("velocity", "km/h"), "mi_h": ("velocity", "mph"), "mm_s": ("velocity", "mm/s"),
    "ug_m3": ("mass_concentration", "ug/m3"), "mg_m3": ("mass_concentration", "mg/m3"), "g_m3": ("mass_concentration", "g/m3"),
    "ug_l": ("mass_concentration", "ug/L"), "mg_l": ("mass_concentration", "mg/L"), "g_l": ("mass_concentration", "g/L"),
    "m3_h": ("flow", "m3/h"), "m3_min": ("flow", "m3/min"), "m3_s": ("flow", "m3/s"),
    "l_h": ("flow", "L/h"), "l_min": ("flow", "L/min"), "l_s": ("flow", "L/s"),
}  # fmt: skip
_PER_TIME = (
    "m",
    "km",
    "mi",
    "mm",
    "cm",
    "in",
    "ft",
    "gal",
    "ft3",
)  # something of it in a time: a unit that nobody knows
_TIMES = ("h", "min", "s", "y")


def suffix_unit(name: str) -> tuple[str, str, str] | None:
    """(quantity, unit, name without it) of a name that ends with its unit; None where it tells none."""
    words = name.rsplit("_", 2)
    if len(words) == 3:
        before, last = words[1].lower(), words[2].lower()
        pair = _PAIRS.get(f"{before}_{last}")
        if pair is not None and words[0]:
            return *pair, words[0]
        if before == "per" or (before in _PER_TIME and last in _TIMES):
            return None
    base, _, last = name.rpartition("_")
    found = SUFFIXES.get(last.lower())
    return (*found, base) if found is not None and base else None


def taken_names(layout: Layout, rule: RestRule) -> tuple[frozenset[str], tuple[Alternatives, ...]]:
    """Names of the leaves that points and attributes read, as `rest` would name them; and those of several paths, of which
    only the one used is taken. The first of several is used wherever it stands, so it is among the former, too."""
    listed = [point.paths for point in layout.points] + list(layout.attributes.values())
    source = rule.source
    certain = (paths[0] for paths in listed if len(paths) == 1 or (paths and paths[0].single))
    names = {name for path in certain for name in _leaf_names(path, source)}
    several = tuple(
        tuple((getter([path]), name) for path in paths for name in _leaf_names(path, source))
        for paths in listed
        if len(paths) > 1
    )
    return frozenset(names), several


def _leaf_names(path: Path, source: Path | None) -> Sequence[str]:
    named = [s for s in path.steps if isinstance(s, Where)]
    if named:
        return [s.text for s in named]
    steps = list(path.steps)
    if source is not None:
        if path.whole != source.whole or tuple(steps[: len(source.steps)]) != source.steps:
            return []
        steps = steps[len(source.steps) :]
    elif path.whole:
        return []
    text = ""
    for step in steps:
        if isinstance(step, Key):
            text = f"{text}.{step.name}" if text else step.name
        elif isinstance(step, Index):
            text += f"[{step.at}]"
    return [text]
