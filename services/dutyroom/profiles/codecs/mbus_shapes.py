"""Telegrams of a shape that was seen before: a model sends the same DIF and VIF each time, only values differ.

From a telegram that was read record by record a Shape is made: which bytes have to be the same (all but the
values and what follows DIF 0F), how the values are taken out of the others, and all names. The next telegram
whose fixed bytes are these gives the same document without its records being looked for.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from dutyroom.profiles.codecs.mbus_document import (
    MAIN,
    Entry,
    Form,
    Maps,
    Naming,
    following,
    form_of,
    group_of,
    is_now,
    letters_of,
    shown,
)
from dutyroom.profiles.codecs.mbus_fields import Read, field_of
from dutyroom.profiles.codecs.mbus_history import dates_of, is_profile
from dutyroom.profiles.codecs.mbus_options import Options
from dutyroom.profiles.codecs.mbus_records import RawRecord, RecordList
from dutyroom.profiles.codecs.mbus_values import IDENTIFIERS, Value, is_text
from dutyroom.profiles.codecs.mbus_vif import meaning
from dutyroom.profiles.codecs.mbus_words import Words, flag_of, words_of

MAX_SHAPES = 1000  # of one codec
MAX_ALIKE = 8  # with the same length and beginning
MAX_LENGTH = 512
MAX_HISTORIES = 100  # of one shape

Places: TypeAlias = tuple[tuple[str, int], ...]  # (name, number of the record)
Groups: TypeAlias = tuple[tuple[str, Places], ...]


class History(NamedTuple):
    """dates: of stored values that no record gives. counts: of the names given so far."""

    dates: dict[str, Value]
    counts: dict[str, int]


class Known(NamedTuple):
    """What a telegram of a known shape says. records None: nobody reads them. worded: entries that a profile wants as words or bits."""

    maps: Maps
    records: list[dict[str, object]] | None
    flags: list[str] | None
    time: Value
    worded: list[Entry]
    history: History


@dataclass(frozen=True, slots=True)
class Shape:
    """fixed: bits that all telegrams of the shape have in common; beginning: what they are. fields: cuts the
    values out. flags: (record, words, name). worded: records whose numbers a profile wants as words or bits. time:
    the record of the meter's clock. dated: the records on which the dates of stored values depend; histories: what
    followed from them. manufacturer, unread: where they begin, counted as the records."""

    fixed: int
    beginning: int
    fields: struct.Struct
    reads: tuple[Read, ...]
    values: Places
    units: dict[str, str]
    texts: tuple[tuple[str, int, bool], ...]  # (name, record, whether it may be letters too)
    register: Groups
    gauge: Groups
    shown: tuple[dict[str, object], ...]
    flags: tuple[tuple[int, Words, str], ...]
    worded: tuple[int, ...]
    time: int | None
    dated: tuple[int, ...]
    histories: dict[tuple[object, ...], History]
    manufacturer: int | None
    unread: int | None
    sample: tuple[RawRecord, ...]
    entries: tuple[Entry, ...]

    def read(self, data: bytes, start: int, listed: bool = True) -> Known | None:
        """None when the dates of its stored values are not known yet. Raises Rejected as value_of does."""
        raws = self.fields.unpack_from(data, start)
        history = self.histories.get(tuple([raws[n] for n in self.dated]))
        if history is None:
            return None
        found = [read(raw, start) for read, raw in zip(self.reads, raws, strict=True)]
        texts: dict[str, Value] = {}
        for name, number, may_be_letters in self.texts:
            texts[name] = found[number]
            if may_be_letters and (text := letters_of(raws[number])):
                texts[f"{name}_text"] = text
        if history.dates:
            texts.update(history.dates)
        records = None
        if listed:
            records = [one | {"value": value} for one, value in zip(self.shown, found, strict=True)]
        maps = Maps(
            {name: found[n] for name, n in self.values},
            self.units.copy(),
            texts,
            {group: {name: found[n] for name, n in own} for group, own in self.register},
            {group: {name: found[n] for name, n in own} for group, own in self.gauge},
        )
        flags = words_of(((words, found[n], name) for n, words, name in self.flags)) if self.flags else None
        worded = [self.entries[n]._replace(value=found[n]) for n in self.worded]
        return Known(maps, records, flags, None if self.time is None else found[self.time], worded, history)


class Shapes:
    """The shapes that one codec has seen."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._known: dict[tuple[int, bytes], list[Shape]] = {}
        self._count = 0

    def find(self, data: bytes, start: int, end: int) -> Shape | None:
        alike = self._known.get((end - start, data[start : start + 2]))
        if alike is not None:
            whole = int.from_bytes(data[start:end], "big")
            for shape in alike:
                if whole & shape.fixed == shape.beginning:
                    return shape
        return None

    def learn(self, data: bytes, start: int, end: int, records: RecordList) -> None:
        """Remembers the shape of a telegram that was read. Compact profiles, whose values are many, have none."""
        listed = records.records
        shape = self.find(data, start, end)
        if shape is not None:
            _dated(shape, listed, data, start, self._options)
        if shape is not None or not listed or end - start > MAX_LENGTH or self._count >= MAX_SHAPES:
            return
        alike = self._known.setdefault((end - start, data[start : start + 2]), [])
        forms = [form_of(record, self._options.vifs) for record in listed]
        compact = any(is_profile(r, form.what) for r, form in zip(listed, forms, strict=True))
        if len(alike) < MAX_ALIKE and not compact:
            shape = _shape(data, start, end, records, forms, self._options)
            _dated(shape, listed, data, start, self._options)
            alike.append(shape)
            self._count += 1


_HISTORY = frozenset({"storage_interval", "date", "datetime"})


def _dated(shape: Shape, listed: Sequence[RawRecord], data: bytes, start: int, options: Options) -> None:
    """Remembers the dates of stored values of a telegram."""
    if len(shape.histories) >= MAX_HISTORIES:
        shape.histories.clear()
    raws = shape.fields.unpack_from(data, start)
    naming = Naming(options.names, options.vifs)
    for record in listed:
        naming.named(form_of(record, options.vifs).built)
    dates = {e.name: e.value for e in following(dates_of(listed, options.monthly), listed, naming)}
    shape.histories[tuple([raws[n] for n in shape.dated])] = History(dates, naming.counts)


def _shape(
    data: bytes, start: int, end: int, records: RecordList, forms: Sequence[Form], options: Options
) -> Shape:
    listed = records.records
    naming = Naming(options.names, options.vifs)
    entries = [_named(record, form, naming, options) for record, form in zip(listed, forms, strict=True)]
    manufacturer = None if records.manufacturer is None else records.manufacturer_at - start
    unread = end - len(records.unread) - start if records.unread else None
    fixed = bytearray(b"\xff" * (end - start))
    for record in listed:
        at = record.data_at - start
        fixed[at : at + len(record.data)] = bytes(len(record.data))
    free = manufacturer if manufacturer is not None else unread + 1 if unread is not None else end - start
    fixed[free:] = bytes(end - start - free)
    mask = int.from_bytes(fixed, "big")
    fields, reads = _fields(listed, forms, start)
    numbers = [(n, entry) for n, entry in enumerate(entries) if not entry.text]
    wanted = {*options.words, *options.states}
    return Shape(
        mask,
        int.from_bytes(data[start:end], "big") & mask,
        fields,
        reads,
        tuple((entry.name, n) for n, entry in numbers),
        {entry.name: entry.unit for _, entry in numbers},
        tuple((e.name, n, _may_be_letters(e)) for n, e in enumerate(entries) if e.text),
        _groups([(n, e) for n, e in numbers if e.register]),
        _groups([(n, e) for n, e in numbers if not e.register]),
        tuple(shown(entry, record) for entry, record in zip(entries, listed, strict=True)),
        _flags(entries, options.flags),
        tuple(n for n, entry in enumerate(entries) if entry.name in wanted),
        next((n for n, e in enumerate(entries) if e.quantity == "datetime" and is_now(listed[n])), None),
        _history(listed, options),
        {},
        manufacturer,
        unread,
        listed,
        tuple(entries),
    )


def _history(listed: Sequence[RawRecord], options: Options) -> tuple[int, ...]:
    """The records that say how old stored values are; () where none follows from them."""
    words = [meaning(record.vif).word for record in listed]
    if options.monthly is None and "storage_interval" not in words:
        return ()
    return tuple(n for n, word in enumerate(words) if word in _HISTORY)


def _named(record: RawRecord, form: Form, naming: Naming, options: Options) -> Entry:
    """The entry of a record, without its value."""
    name, number = naming.named(form.built)
    text = form.text if record.lvar is None else is_text(record, form.what)
    unit = options.units.get(name, form.unit)
    return Entry(name, form.what.word, unit, None, text, form.register, number, record)


def _fields(
    listed: Sequence[RawRecord], forms: Sequence[Form], start: int
) -> tuple[struct.Struct, tuple[Read, ...]]:
    pattern, reads, at = "<", [], start
    for record, form in zip(listed, forms, strict=True):
        code, read = field_of(record, form.what, record.data_at - start)
        pattern += f"{record.data_at - at}x{code}"
        at = record.data_at + len(record.data)
        reads.append(read)
    return struct.Struct(pattern), tuple(reads)


def _may_be_letters(entry: Entry) -> bool:
    raw = entry.raw
    return entry.quantity in IDENTIFIERS and raw is not None and len(raw.data) > 1 and raw.lvar is None


def _groups(entries: Sequence[tuple[int, Entry]]) -> Groups:
    found: dict[str, list[tuple[str, int]]] = {}
    for number, entry in entries:
        if entry.name not in MAIN:
            found.setdefault(group_of(entry), []).append((entry.name, number))
    return tuple((group, tuple(own)) for group, own in found.items())


def _flags(entries: Sequence[Entry], flags: Mapping[str, Words]) -> tuple[tuple[int, Words, str], ...]:
    listed = ((number, flag_of(entry, flags), entry.name) for number, entry in enumerate(entries))
    return tuple((number, words, name) for number, words, name in listed if words is not None)
