"""Data records as a document with predictable names.

    records   every record: name, function, storage, tariff, subunit, quantity, unit, value, n, vif, dif
    values    name -> value, for paths: volume, volume_storage1, energy_tariff2, power_max, volume_backward
    units     the same names -> unit
    texts     name -> text: dates, names and words
    register  registers that count up, by kind of unit: register.energy.energy_tariff1
    gauge     all other numbers, by kind of unit: gauge.volume.volume_storage1. The MAIN values of a meter, which
              have points of their own, are in neither

A name is quantity, what the VIFE add, function (none for instantaneous), storage, tariff, subunit (none
for 0) and, for the second record of the same name, `_2`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dutyroom.profiles.codecs.mbus_history import dates_of, is_profile, members, places, profile_dates
from dutyroom.profiles.codecs.mbus_records import RawRecord
from dutyroom.profiles.codecs.mbus_values import IDENTIFIERS, Value, is_text, reader_of
from dutyroom.profiles.codecs.mbus_vif import Meaning, meaning
from dutyroom.profiles.codecs.seam import Note

# Unit -> group of `register` and `gauge`; a profile gives each group its quantity.
GROUPS: Mapping[str, str] = {
    "m3": "volume", "ft3": "volume_ft3", "Wh": "energy", "kWh": "energy_kwh", "J": "energy_j", "varh": "reactive_energy",
    "VAh": "apparent_energy", "kg": "mass", "W": "power", "kW": "power_kw", "var": "reactive_power", "VA": "apparent_power",
    "m3/h": "flow", "degC": "temperature", "degF": "temperature_f", "K": "temperature_difference", "bar": "pressure",
    "V": "voltage", "A": "current", "Hz": "frequency", "%": "humidity", "deg": "angle", "dBm": "signal",
    "s": "seconds", "min": "minutes", "h": "hours", "d": "days", "hca": "heat_units",
}  # fmt: skip
MAIN = frozenset(
    {
        "volume", "energy", "mass", "units", "power", "flow", "flow_temperature", "return_temperature",
        "external_temperature", "temperature_difference", "pressure", "voltage", "current", "frequency", "relative_humidity",
    }
)  # fmt: skip
# Where a point's usual name is another word than the quantity's.
_NAMES = {"volume_flow": "flow", "hca": "units"}
_COUNTING = frozenset({"volume", "energy", "reactive_energy", "apparent_energy", "mass", "hca"})
_FUNCTIONS = {"instantaneous": "", "maximum": "max", "minimum": "min", "error": "error"}
_EXCEPT = re.compile(r"[^a-z0-9]+")


class Entry(NamedTuple):
    """One named value. text: it is no number. register: it counts up. raw: its record, None = made by a maker's decoder."""

    name: str
    quantity: str
    unit: str
    value: Value
    text: bool = False
    register: bool = False
    number: int = 1
    raw: RawRecord | None = None


@dataclass(slots=True)
class Naming:
    """names: from a name built by the rule above to one that a profile likes better. vifs: a maker's VIF
    chain -> the standard one that it stands for. counts: names given so far."""

    names: Mapping[str, str] = field(default_factory=dict)
    vifs: Mapping[bytes, bytes] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def named(self, built: str) -> tuple[str, int]:
        number = self.counts.get(built, 0) + 1
        self.counts[built] = number
        full = built if number == 1 else f"{built}_{number}"
        return self.names.get(full, full), number


def entries_of(
    records: Sequence[RawRecord], naming: Naming, note: Note | None = None, monthly: int | None = None
) -> list[Entry]:
    """Every record with its value, members of profiles, dates that follow. Raises Rejected for a bad BCD digit."""
    found: list[Entry] = []
    dates = dates_of(records, monthly)
    for record in records:
        form = form_of(record, naming.vifs)
        if record.lvar is not None and is_profile(record, form.what):
            found += _members(record, form.what, records, dates, naming, note)
        else:
            entry = _entry(record, form, naming)
            found.append(entry)
            if entry.text:
                found += _letters(entry, record)
            if note is not None:
                note(entry.name, 8 * record.data_at, 8 * (record.data_at + len(record.data)), entry.value)
    return found + list(following(dates, records, naming))


def _entry(record: RawRecord, form: Form, naming: Naming) -> Entry:
    what = form.what
    name, number = naming.named(form.built)
    text = form.text if record.lvar is None else is_text(record, what)
    return Entry(name, what.word, form.unit, form.read(record, what), text, form.register, number, record)


class Form(NamedTuple):
    """What all records with one DIF, VIF and label have in common: a model sends the same ones each time."""

    what: Meaning
    built: str
    unit: str
    register: bool
    text: bool
    read: Callable[[RawRecord, Meaning], Value]


MAX_FORMS = 4096
_FORMS: dict[tuple[bytes, bytes, str], Form] = {}


def form_of(record: RawRecord, vifs: Mapping[bytes, bytes]) -> Form:
    vif = vifs.get(record.vif, record.vif) if vifs else record.vif
    key = (record.dif, vif, record.label)
    form = _FORMS.get(key)
    if form is None:
        what = meaning(vif)
        register = what.word in _COUNTING and not record.storage and record.function == "instantaneous"
        unit = "hca" if what.word == "hca" else what.unit
        read = reader_of(record.coding, what)
        form = Form(what, built_name(record, what), unit, register, is_text(record, what), read)
        if len(_FORMS) < MAX_FORMS and len(record.label) < 40:
            _FORMS[key] = form
    return form


def built_name(record: RawRecord, what: Meaning) -> str:
    parts = [_NAMES.get(what.word, what.word), *what.extras, _FUNCTIONS[record.function]]
    for word, number in (("storage", record.storage), ("tariff", record.tariff), ("subunit", record.subunit)):
        if number:
            parts.append(f"{word}{number}")
    if record.label:
        parts.append(_EXCEPT.sub("_", record.label.lower()).strip("_"))
    return "_".join(p for p in parts if p)


def _letters(entry: Entry, record: RawRecord) -> Iterator[Entry]:
    """A version that is written in letters (2B 4C for `+L`), beside its digits."""
    if entry.quantity not in IDENTIFIERS:
        return
    if len(record.data) > 1 and record.lvar is None and (text := letters_of(record.data)):
        yield Entry(f"{entry.name}_text", entry.quantity, "", text, True)


def letters_of(data: bytes) -> str:
    """ "" where one of the bytes is no letter, digit or sign of ASCII."""
    text = data[::-1].decode("latin-1")
    return text if text.isascii() and text.isprintable() and " " not in text else ""


def is_now(raw: RawRecord) -> bool:
    """True for a record of the present: that of the meter's clock is its time."""
    return (
        raw.function == "instantaneous"
        and not (raw.storage or raw.tariff or raw.subunit)
        and len(raw.vif) == 1
    )


_WAYS = {"inverse_profile": "back", "register_profile": "register"}


def _members(
    record: RawRecord,
    what: Meaning,
    records: Sequence[RawRecord],
    dates: Mapping[int, str],
    naming: Naming,
    note: Note | None,
) -> Iterator[Entry]:
    """The values of a compact profile: name_back1, name_back2 ... (or name_after1 ...), and their dates."""
    plain = Meaning(what.word, what.unit, what.factor, what.offset)
    base = next((r for r in records if r is not record and _same_place(r, record)), None)
    stored = [date for storage, date in dates.items() if storage]
    date = dates.get(record.storage) or (stored[0] if len(stored) == 1 else None)
    times = profile_dates(record, date) if date and "register_profile" not in what.extras else []
    built, way = built_name(record, plain), _WAYS.get(what.extras[0], "after")
    values = zip(members(record, what, base), places(record), strict=True)
    for number, (value, (first, last)) in enumerate(values, start=1):
        name, _ = naming.named(f"{built}_{way}{number}")
        if note is not None:
            note(name, 8 * first, 8 * last, value)
        yield Entry(name, what.word, what.unit, value, False, False, number, record)
        if number <= len(times) and times[number - 1]:
            name, _ = naming.named(f"date_storage{record.storage}_{way}{number}")
            yield Entry(name, "date", "", times[number - 1], True)


def _same_place(one: RawRecord, other: RawRecord) -> bool:
    """The base value of a profile has its storage, tariff, subunit and VIF."""
    return (
        one.vif[0] & 0x7F == other.vif[0] & 0x7F
        and one.lvar is None
        and (one.storage, one.tariff, one.subunit) == (other.storage, other.tariff, other.subunit)
    )


def following(dates: Mapping[int, str], records: Sequence[RawRecord], naming: Naming) -> Iterator[Entry]:
    """Dates of stored values that no record gives."""
    given = {r.storage for r in records if meaning(r.vif).word in ("date", "datetime")}
    for storage, date in dates.items():
        if storage not in given:
            name, _ = naming.named(f"date_storage{storage}")
            yield Entry(name, "date", "", date, True)


@dataclass(slots=True)
class Maps:
    """The maps named at the top of this file, while they are filled."""

    values: dict[str, Value] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    texts: dict[str, Value] = field(default_factory=dict)
    register: dict[str, dict[str, Value]] = field(default_factory=dict)
    gauge: dict[str, dict[str, Value]] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        if entry.text:
            self.texts[entry.name] = entry.value
            return
        name, value = entry.name, entry.value
        self.values[name], self.units[name] = value, entry.unit
        if name not in MAIN:
            groups = self.register if entry.register else self.gauge
            groups.setdefault(group_of(entry), {})[name] = value

    def document(self, records: list[dict[str, object]] | None) -> dict[str, object]:
        """records None: it is without them."""
        found: dict[str, object] = {
            "values": self.values, "units": self.units, "texts": self.texts,
            "register": self.register, "gauge": self.gauge,
        }  # fmt: skip
        if records is not None:
            found["records"] = records
        return found


def document_of(entries: Sequence[Entry], listed: bool = True) -> dict[str, object]:
    """The maps and, where it is wanted, the list named at the top of this file. A value without a reading is null in
    `values`."""
    maps = Maps()
    for entry in entries:
        maps.add(entry)
    return maps.document([shown(e, e.raw) for e in entries if e.raw is not None] if listed else None)


def group_of(entry: Entry) -> str:
    """Hours that a device runs count in another quantity than how long something takes or will last."""
    group = GROUPS.get(entry.unit, "number")
    running = entry.quantity in ("on_time", "operating_time", "battery_operating_time")
    return f"running_{group}" if running and entry.unit in ("s", "min", "h", "d") else group


def shown(entry: Entry, raw: RawRecord) -> dict[str, object]:
    return {
        "name": entry.name, "quantity": entry.quantity, "unit": entry.unit, "value": entry.value,
        "function": raw.function, "storage": raw.storage, "tariff": raw.tariff, "subunit": raw.subunit,
        "n": entry.number, "dif": raw.dif.hex(), "vif": raw.vif.hex(),
    }  # fmt: skip
