"""Codec `mbus`: M-Bus data records without a radio frame, as LoRaWAN meters send them.

Document: id, manufacturer, version, type, media, access_number, status_byte (where a header says them), product
(the name under which receivers know the model), time (the meter's clock), status and error_words (words), and
what mbus_document.py names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.mbus_document import Entry, Naming, document_of, entries_of, is_now
from dutyroom.profiles.codecs.mbus_link import Frame, application
from dutyroom.profiles.codecs.mbus_options import NAMES, Options, read_options
from dutyroom.profiles.codecs.mbus_records import RecordList, split
from dutyroom.profiles.codecs.mbus_shapes import Shape, Shapes
from dutyroom.profiles.codecs.mbus_values import Value
from dutyroom.profiles.codecs.mbus_words import Words, flag_words, joined, state_entries, status_words
from dutyroom.profiles.codecs.seam import Ask, Codec, CodecKind
from dutyroom.profiles.codecs.wmbus_products import products_of
from dutyroom.profiles.yamlnode import Plain

MAX_PAYLOAD = 4096
OPTIONAL = frozenset({"records"})


def records_codec(given: Mapping[str, Plain]) -> Codec:
    """Settings of a profile -> codec. Raises Rejected for settings that cannot be used."""
    return _codec(read_options(given))


def _codec(options: Options) -> Codec:
    shapes = Shapes(options)

    def decode(payload: bytes, ask: Ask) -> object:
        return _decode(payload, ask, options, shapes)

    return decode


def without_records(given: Mapping[str, Plain], optional: frozenset[str]) -> Codec:
    """The same without the list of records, which takes about as long as all maps."""
    return _codec(replace(read_options(given), listed="records" not in optional))


KIND = CodecKind(records_codec, NAMES, optional=OPTIONAL, without=without_records)


def _decode(payload: bytes, ask: Ask, options: Options, shapes: Shapes) -> dict[str, object]:
    if not options.skip < len(payload) <= MAX_PAYLOAD:
        raise Rejected(f"{len(payload)} bytes: no data records after byte {options.skip}")
    frame = Frame(payload, None, None, 0, 0, options.skip, len(payload))
    if options.start == "ci":
        frame = application(payload, options.skip, len(payload), None)
    shape = None if ask.note is not None else shapes.find(frame.data, frame.start, frame.end)
    if shape is not None and (quick := of_shape(frame, shape, options, ask)) is not None:
        return quick
    records = split(frame.data, frame.start, frame.end)
    found = decoded(frame, records, options, ask)
    shapes.learn(frame.data, frame.start, frame.end, records)
    return found


def _added(more: Sequence[Entry], naming: Naming, options: Options) -> list[Entry]:
    """Values of a maker's own decoder, named beside those of the records."""
    found = []
    for entry in more:
        name, number = naming.named(entry.name)
        unit = options.units.get(name, entry.unit)
        found.append(Entry(name, entry.quantity, unit, entry.value, entry.text, entry.register, number))
    return found


def of_shape(
    frame: Frame,
    shape: Shape,
    options: Options,
    ask: Ask,
    more: Sequence[Entry] = (),
    more_words: Sequence[str] | None = None,
) -> dict[str, object] | None:
    """The document of a telegram whose shape is known, the same as `decoded` gives. None: read it anew."""
    found = shape.read(frame.data, frame.start, options.listed)
    if found is None:
        return None
    flags = found.flags
    if more:
        own = _added(more, Naming(options.names, options.vifs, found.history.counts.copy()), options)
        for entry in own:
            found.maps.add(entry)
        found.worded.extend(own)
        told = flag_words(own, options.flags)
        flags = flags if told is None else [*(flags or []), *told]
    if more_words is not None:
        flags = [*(flags or []), *more_words]
    if found.worded:
        for entry in _worded(found.worded, options.words) + state_entries(found.worded, options.states):
            found.maps.add(entry)
    document = _document(frame, options, found.time, found.maps.document(found.records), flags)
    ask.report.unread = 0
    if shape.unread is not None:
        unread = frame.data[frame.start + shape.unread : frame.end]
        ask.report.unread = len(unread)
        document["unread"] = unread.hex()
    elif shape.manufacturer is not None:
        document["manufacturer_data"] = frame.data[frame.start + shape.manufacturer : frame.end].hex()
    return document


def decoded(
    frame: Frame,
    records: RecordList,
    options: Options,
    ask: Ask,
    more: Sequence[Entry] = (),
    more_words: Sequence[str] | None = None,
) -> dict[str, object]:
    """The document of a telegram. more: values that a maker's own decoder found; more_words: its status words."""
    naming = Naming(options.names, options.vifs)
    entries = entries_of(records.records, naming, ask.note, options.monthly)
    if options.units:
        entries = [e._replace(unit=options.units.get(e.name, e.unit)) for e in entries]
    entries += _added(more, naming, options)
    flags = flag_words(entries, options.flags)
    if more_words is not None:
        flags = [*(flags or []), *more_words]
    if options.words or options.states:
        entries += _worded(entries, options.words) + state_entries(entries, options.states)
    document = _document(frame, options, _clock(entries), document_of(entries, options.listed), flags)
    ask.report.unread = len(records.unread)
    if records.manufacturer is not None:
        document["manufacturer_data"] = records.manufacturer.hex()
    if records.unread:
        document["unread"] = records.unread.hex()
    return document


def _document(
    frame: Frame, options: Options, time: Value, found: dict[str, object], flags: list[str] | None
) -> dict[str, object]:
    names = (options.product,) if options.product else products_of(frame.device) or products_of(frame.link)
    return {
        **header_of(frame),
        "product": names[0] if names else None,
        "product_too": names[1] if len(names) > 1 else None,
        "time": time,
        **found,
        **_status(frame, flags, options.status_bits),
    }


def _worded(entries: Sequence[Entry], words: Mapping[str, Words]) -> list[Entry]:
    """The numbers that a profile wants as words, as texts: `name_words`."""
    return [
        Entry(
            f"{e.name}_words", e.quantity, "", " ".join(sorted(words[e.name].of(e.value, e.name))), text=True
        )
        for e in entries
        if e.name in words and isinstance(e.value, int)
    ]


def _status(frame: Frame, flags: list[str] | None, maker_bits: Words) -> dict[str, object]:
    """status: all words, null when nothing tells; error_words: of the bit fields alone."""
    if frame.status is None and flags is None:
        return {"status": None}
    found: dict[str, object] = {"status": joined([*status_words(frame.status, maker_bits), *(flags or [])])}
    if flags is not None:
        found["error_words"] = joined(flags)
    return found


def header_of(frame: Frame) -> dict[str, object]:
    """Who sends, where the payload says it."""
    device = frame.device
    if device is None:
        return {}
    return {
        "id": device.id, "manufacturer": device.manufacturer, "version": device.version, "type": device.type,
        "media": device.media, "access_number": frame.access, "status_byte": frame.status, "ci": frame.ci,
    }  # fmt: skip


def _clock(entries: Sequence[Entry]) -> Value:
    """The meter's own clock: date and time now."""
    return next(
        (e.value for e in entries if e.quantity == "datetime" and e.raw is not None and is_now(e.raw)), None
    )
