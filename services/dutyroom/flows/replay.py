"""Recorded messages against what their sources say they mean.

A sample record is a JSON object: id, family, transport, payload, payload_encoding (json, text, hex),
expected {name: value}, and perhaps units, series, device_id, time, expected_error. Names are the
source's, so a stated value counts when a reading, event, attribute, identity or message time of that
record equals it, units converted. Everything here is pure; who publishes the messages through a
broker hands what was decoded back to `compare`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, TypeAlias
from zoneinfo import ZoneInfo

from dutyroom.model.telemetry import Kind, Message, PointSpec, Scalar
from dutyroom.profiles.attempt import NOBODY
from dutyroom.profiles.decode import Decoded, Library, Refused, pseudonym
from dutyroom.profiles.job import Known
from dutyroom.profiles.times import ReadTime, reader
from dutyroom.quantities import QUANTITIES, quantities_of, to_canonical
from dutyroom.timebase import Ms

Record: TypeAlias = Mapping[str, object]

RELATIVE = 1e-6  # numbers: sources print rounded floats
_TIMES = ("auto", "%m/%d/%Y, %I:%M:%S %p")  # the second: as decoders in JavaScript print a local time


class Happened(Protocol):
    """An event, decoded or stored."""

    @property
    def event_id(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def arguments(self) -> Mapping[str, Scalar]: ...


@dataclass(frozen=True, slots=True)
class Given:
    """One reading in physical units. text: of a text point."""

    point: str
    quantity: str
    unit: str
    value: float
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a record does not count. missing: the stated values that nothing equals."""

    reason: str
    missing: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.reason}: {', '.join(self.missing)}" if self.missing else self.reason


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a replay's report. outcome: decoded | ignored | the reason of a refusal."""

    id: str
    family: str
    ok: bool
    problem: str
    outcome: str
    stated: int = 0
    equal: int = 0

    def as_json(self) -> dict[str, object]:
        return {"id": self.id, "family": self.family, "ok": self.ok, "problem": self.problem}


@dataclass(frozen=True, slots=True)
class FamilyRow:
    """One line of the table by family."""

    family: str
    sent: int
    read: int
    ok: int
    stated: int
    equal: int
    reasons: Mapping[str, int]  # why messages were not read


# ---------------------------------------------------------------- what to publish

_TOPIC = re.compile(
    r"(?:topic:?|per topic:|value:) +(?P<topic>/?[^\s,;:<]*(?:<[^>]*>[^\s,;<]*)*/[^\s,;<]*(?:<[^>]*>[^\s,;<]*)*)"
)
_PLACE = re.compile(r"<([^>]*)>")
# Where a source names no topic: one that its bridge or gateway uses.
_USUAL = {
    "json-uhppoted": "uhppoted/gateway/replies",
    "json-hikvision-acs": "hikvision/terminal/event",
    "json-lift-status": "lifts/station/status",
    "wmbus-telegram": "wmbus/receiver/telegram",
    "frame-gb26875": "gb26875/panel-room/up",
    "frame-j1939": "senquip/quad/room/json",
    "text-sia-dc09": "sia/receiver/event",
    "text-dsmr-p1": "dsmr/reader/telegram",
    "text-panel-printer": "printer/panel-room/text",
}
_LORA = "application/samples/device/{eui}/event/up"
_HEX_TEXT = ("wmbus-telegram",)  # receivers publish these as hex text


def topic_of(record: Record) -> str:
    """The topic that the source names, its placeholders filled; else a usual one of the family."""
    transport, family = str(record.get("transport", "")), str(record.get("family", ""))
    if family.startswith("lora-"):
        return _LORA.format(eui=_eui(record))
    match = _TOPIC.search(transport)
    if match is None:
        return _USUAL.get(family, f"samples/{family}/{record.get('id', '')}")
    device = str(record.get("device_id") or "device-1")
    return _PLACE.sub(lambda found: _filled(found[1], device), match["topic"])


def _filled(name: str, device: str) -> str:
    if re.search(r"device|meter|eui", name, re.IGNORECASE):
        return device
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower() or "x"


def _context(record: Record, name: str) -> object:
    context = record.get("context")
    return context.get(name) if isinstance(context, Mapping) else None


def _eui(record: Record) -> str:
    """Every record is a device of its own: a bare uplink does not say whose it is."""
    return hashlib.blake2b(str(record.get("id")).encode(), digest_size=8).hexdigest()


def message_of(record: Record, received_at: Ms) -> Message:
    """The message to publish. Raises nothing: a payload that is not its encoding goes out as text."""
    text = str(record.get("payload", ""))
    payload = text.encode("utf-8")
    if record.get("payload_encoding") == "hex" and record.get("family") not in _HEX_TEXT:
        try:
            payload = bytes.fromhex(text)
        except ValueError:
            payload = text.encode("utf-8")
    family = str(record.get("family", ""))
    if family.startswith("lora-"):
        payload = _uplink(record, payload)
    if family == "frame-j1939":  # a frame of a bus travels beside others in JSON
        frames = [{"id": _context(record, "can_id"), "data": payload.hex()}]
        payload = json.dumps({"deviceid": "QUAD", "can1": frames}).encode()
    return Message(topic_of(record), payload, received_at)


def _uplink(record: Record, payload: bytes) -> bytes:
    """As a ChirpStack server publishes it; the device's type is what the owner called it there."""
    found: dict[str, object] = {
        "deviceInfo": {
            "devEui": _eui(record),
            "deviceProfileName": f"{record.get('vendor')} {record.get('model')}",
        },
        "data": base64.b64encode(payload).decode(),
    }
    if isinstance(record.get("fport"), int):
        found["fPort"] = record["fport"]
    if time := _context(record, "recv_time"):
        found["time"] = time
    return json.dumps(found).encode()


# ---------------------------------------------------------------- comparison


def given(spec: PointSpec, value: float, text: str | None = None) -> Given:
    """A reading as the comparison takes it. value as stored: steps for a counter."""
    step = spec.step if spec.kind is Kind.COUNTER else None
    physical = float(Decimal(int(value)) * step) if step is not None else value
    return Given(spec.name, spec.quantity, spec.unit, physical, text)


def compare(
    record: Record,
    readings: Iterable[Given],
    events: Iterable[Happened],
    attributes: Iterable[tuple[str, Scalar]],
    identities: Iterable[str],
    times: Iterable[Ms],
    tz: ZoneInfo,
) -> Problem | None:
    """None when every stated value of the record is found. attributes: (name, value)."""
    missing = tuple(_missing(record, _Pool(readings, events, attributes, identities, times, tz)))
    return Problem("not found", missing) if missing else None


def stated(record: Record) -> list[tuple[str, object, str]]:
    """(name, value, unit) of every value that the source states."""
    expected, units = record.get("expected"), record.get("units")
    unit_of = units if isinstance(units, Mapping) else {}
    values = [
        (str(name), value, str(unit_of.get(name) or ""))
        for name, value in (expected.items() if isinstance(expected, Mapping) else ())
        if value not in ([], {})  # an empty list states nothing
    ]
    series = record.get("series")
    for entry in series if isinstance(series, Sequence) and not isinstance(series, str) else ():
        if isinstance(entry, Mapping):
            values.append((str(entry.get("point")), entry.get("value"), str(entry.get("unit") or "")))
    return values


def _missing(record: Record, pool: _Pool) -> Iterator[str]:
    for name, value, unit in stated(record):
        if not pool.has(name, value, unit):
            yield f"{name}={value!r}{' ' + unit if unit else ''}"


class _Pool:
    """All that was decoded of one record, ready to be asked."""

    def __init__(
        self,
        readings: Iterable[Given],
        events: Iterable[Happened],
        attributes: Iterable[tuple[str, Scalar]],
        identities: Iterable[str],
        times: Iterable[Ms],
        tz: ZoneInfo,
    ) -> None:
        listed = list(readings)
        self.readings = [r for r in listed if r.text is None]
        self.names = {r.point for r in self.readings}
        self.scalars: list[Scalar] = []
        for event in events:
            self.scalars += [event.code, event.event_id, *event.arguments.values()]
        self.scalars += [value for _, value in attributes]
        self.texts = {v for v in self.scalars if isinstance(v, str)} | set(identities)
        self.texts |= {r.text for r in listed if r.text is not None}
        self.numbers = [float(v) for v in self.scalars if isinstance(v, int | float)]
        self.times = set(times)
        self._read_times: tuple[ReadTime, ...] = tuple(reader(form, tz) for form in _TIMES)

    def has(self, name: str, value: object, unit: str) -> bool:
        if value is None:  # the source says "no value"
            return name not in self.names
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, bool | int | float):
            return self._number(float(value), unit) or self._text(_as_text(value)) or self._time(value)
        return False

    def _text(self, value: str) -> bool:
        if value in self.texts or pseudonym(value) in self.texts or self._time(value):
            return True
        match = re.fullmatch(r"\s*([-+]?[0-9]+(?:\.[0-9]+)?)\s*([^\s0-9]\S*)?\s*", value)
        return match is not None and self._number(float(match[1]), match[2] or "")

    def _time(self, value: object) -> bool:
        stated = (read(value) for read in self._read_times)
        return any(at is not None and abs(at - t) <= 1 for at in stated for t in self.times)

    def _number(self, value: float, unit: str) -> bool:
        if any(_equal(value, number) for number in self.numbers):
            return True
        if any(_equal(value, r.value) for r in self.readings):
            return True
        if not unit:  # the source names none: the reading may be in any unit of its quantity
            return any(_equal(value, other) for r in self.readings for other in _other_units(r))
        for name in quantities_of(unit):
            converted = float(to_canonical(Decimal(repr(value)), name, unit))
            if any(r.quantity == name and _equal(converted, r.value) for r in self.readings):
                return True
        return False


def _other_units(reading: Given) -> Iterator[float]:
    for unit in QUANTITIES[reading.quantity].units.values():
        if unit.factor != 1 or unit.offset:
            yield (reading.value - float(unit.offset)) / float(unit.factor)


def _as_text(value: float | bool) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else f"{value}"


def _equal(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=RELATIVE, abs_tol=1e-12)


# ---------------------------------------------------------------- without a broker


def replay(
    records: Iterable[Record],
    library: Library,
    received_at: Ms,
    known: Known = NOBODY,
    adopt: bool = True,
) -> list[Row]:
    """Decodes every record directly and compares it."""
    return [_row(record, library, received_at, known, adopt) for record in records]


def _row(
    record: Record,
    library: Library,
    received_at: Ms,
    known: Known,
    adopt: bool,
) -> Row:
    outcome = library.decode(message_of(record, received_at), known, adopt)
    if isinstance(outcome, Decoded):
        values = [given(r.spec, r.value, r.text) for r in outcome.readings]
        times = {at for r in outcome.readings if (at := r.at) is not None}
        times |= {at for e in outcome.events if (at := e.at) is not None}
        attributes = [(name, value) for _, name, value in outcome.attributes]
        problem = compare(record, values, outcome.events, attributes, outcome.addresses, times, library.tz)
        return row_of(record, "decoded", problem)
    if isinstance(outcome, Refused):
        return row_of(record, outcome.reason, Problem(f"{outcome.reason}: {outcome.detail}"))
    return row_of(record, "ignored", Problem(f"ignored: {outcome.reason}"))


def row_of(record: Record, outcome: str, problem: Problem | None) -> Row:
    """The report's row. A record whose source says that it must be refused is right when it was."""
    if record.get("expected_error"):
        if outcome in ("decoded", "ignored"):
            problem = Problem("was read, but its source says it is wrong")
        elif outcome != "unknown_topic":  # where no profile even looked at it, nothing was refused
            problem = None
    count = len(stated(record))
    missing = count if outcome != "decoded" else len(problem.missing) if problem else 0
    return Row(
        str(record.get("id", "")),
        str(record.get("family", "")),
        problem is None,
        str(problem or ""),
        outcome,
        count,
        count - missing,
    )


def table(rows: Iterable[Row]) -> list[FamilyRow]:
    """Sums by family, in the order of names."""
    families: dict[str, list[Row]] = {}
    for row in rows:
        families.setdefault(row.family, []).append(row)
    return [
        FamilyRow(
            family,
            len(listed),
            sum(r.outcome == "decoded" for r in listed),
            sum(r.ok for r in listed),
            sum(r.stated for r in listed),
            sum(r.equal for r in listed),
            Counter(r.outcome for r in listed if r.outcome != "decoded"),
        )
        for family, listed in sorted(families.items())
    ]
