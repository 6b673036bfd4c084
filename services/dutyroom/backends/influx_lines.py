"""Columns of readings as one block of line protocol, without a step of Python for each value.

Names are made once for each point. A batch is then a table of four pieces a value (what comes before its
field, the field's name, the value, what comes after it), filled by numpy and joined at once. Values of
a device at one instant share a line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dutyroom.backends.influx_companions import Companion, Field, Rows, numbers
from dutyroom.backends.influx_even import FEW, alike, pieces_of, shapes, written
from dutyroom.backends.influx_names import (
    FLOAT,
    INTEGER,
    OTHER_NAME,
    QUALITY,
    RECEIVED,
    STEP,
    STRING,
    TYPES,
    series,
    string,
    tag,
    unnameable,
)
from dutyroom.backends.influx_order import Lines, ordered
from dutyroom.backends.influx_slots import AS_FLOAT, AS_INTEGER, AS_STRING, NOT, Slots, Texts
from dutyroom.model.telemetry import Point, PointTable, Readings
from dutyroom.timebase import Ms


class LineMaker:
    """Makes lines of one site's readings; remembers names, and what the server said of types."""

    def __init__(self) -> None:
        self.slots = Slots()
        self._series, self._heads, self._tails = Texts(), Texts(), Texts()
        self._qualities, self._received = Companion(QUALITY), Companion(RECEIVED)
        self._reasons: dict[int, str] = {}
        self._points: dict[int, Point] = {}  # by slot
        self._version: tuple[int, int] = (0, -1)
        # What is the same for all devices of a class (form, head, tail and name of a slot), until a name changes.
        self._named: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        self._last: tuple[
            Any, ...
        ] = ()  # site, device and class of the series that was named last, its number
        self.changes = 0  # how often the name of a field that was in use became another
        self._types: dict[Field, set[str]] = {}  # of all points met, by plain name
        self._floats: set[Field] = set()  # integers that the server has as floats
        self._other: set[tuple[str, str, str]] = set()  # measurement, point, type: under their other name

    # ------------------------------------------------------------ names

    def learn(self, readings: Readings, table: PointTable) -> npt.NDArray[np.int32]:
        """Slots of the rows; names of points that are new or changed."""
        version = (id(table), table.version)
        if version != self._version:
            self.slots.fresh[:] = False
            self._version = version
        slots = self.slots.find(readings.point)
        while not self.slots.fresh[slots].all():  # again, where a type met now moves another's name
            for slot in np.unique(slots[~self.slots.fresh[slots]]).tolist():
                self._name(slot, table.get(int(self.slots.ids[slot])))
        return slots

    def _name(self, slot: int, point: Point | None) -> None:
        s = self.slots
        s.fresh[slot] = True
        reason = "its point is not in the registry" if point is None else unnameable(point)
        if point is None or reason:
            s.form[slot], self._reasons[slot] = NOT, reason
            return
        self._points[slot] = point
        spec = point.spec
        alike = (point.device_class, spec.name, spec.kind, spec.step)
        known = self._named.get(alike)
        if known is None:
            self._name_anew(slot, point)
            self._named[alike] = s.form[slot], s.head[slot], s.tail[slot], s.name[slot]
        else:
            s.form[slot], s.head[slot], s.tail[slot], s.name[slot] = known
        if self._last[:3] != (
            point.site,
            point.device,
            point.device_class,
        ):  # points of a device come together
            number = self._series.number(f"\n{series(point)} ".encode())
            self._last = (point.site, point.device, point.device_class, number)
        s.series[slot] = self._last[3]

    def _name_anew(self, slot: int, point: Point) -> None:
        """All that does not depend on the device."""
        s, plain = self.slots, (point.device_class.value, point.spec.name)
        kinds, mine = self._types.setdefault(plain, set()), TYPES[point.spec.kind]
        if mine not in kinds:
            kinds.add(mine)
            if mine == INTEGER and len(kinds) > 1:
                self._again(plain)
                s.fresh[slot] = True
        field = self.field(point)
        integer = mine == INTEGER and (plain[0], field) not in self._floats
        tail = "i" if integer else ""
        if point.spec.step is not None:
            tail += f",{tag(point.spec.name + STEP)}={float(point.spec.step)!r}"
        s.form[slot] = AS_STRING if mine == STRING else AS_INTEGER if integer else AS_FLOAT
        s.head[slot] = self._heads.number(f"{tag(field)}=".encode())
        s.tail[slot] = self._tails.number(tail.encode())
        s.name[slot] = self._qualities.number(*plain)
        self._received.number(*plain)  # the same

    def field(self, point: Point) -> str:
        """The field that a point is written to."""
        measurement, name, mine = point.device_class.value, point.spec.name, TYPES[point.spec.kind]
        kinds = self._types.get((measurement, name), {mine})
        owner = INTEGER if INTEGER in kinds else FLOAT
        return name if owner == mine and (measurement, name, mine) not in self._other else self.other(point)

    @staticmethod
    def other(point: Point) -> str:
        """The name of a field of another type than the plain one has."""
        return point.spec.name + OTHER_NAME[TYPES[point.spec.kind]]

    def _again(self, plain: Field) -> None:
        """The points of this name get their names anew."""
        self.changes += 1
        self._named.clear()
        for slot, point in self._points.items():
            if (point.device_class.value, point.spec.name) == plain:
                self.slots.fresh[slot] = False

    def conflict(
        self, measurement: str, field: str, rows: Rows, slots: npt.NDArray[np.int32], is_type: str
    ) -> Rows:
        """The server has a field in another type than ours. Returns the rows that it concerns and that stay
        refused; those that can be written in another way are not among them."""
        mine = {s for s in np.unique(slots[rows]).tolist() if self._is(s, measurement, field)}
        for slot in mine.copy():
            point = self._points[slot]
            plain = (measurement, point.spec.name)
            if self.slots.form[slot] == AS_INTEGER and is_type == FLOAT:
                self._floats.add((measurement, field))
            elif field == point.spec.name:
                self._other.add((*plain, TYPES[point.spec.kind]))
            else:
                continue
            self._again(plain)
            mine.discard(slot)
        companions = {s for s in np.unique(slots[rows]).tolist() if self._has(s, measurement, field)}
        return rows[np.isin(slots[rows], list(mine | companions))]

    def _is(self, slot: int, measurement: str, field: str) -> bool:
        point = self._points.get(slot)
        return point is not None and (point.device_class.value, self.field(point)) == (measurement, field)

    def _has(self, slot: int, measurement: str, field: str) -> bool:
        point = self._points.get(slot)
        if point is None or point.device_class.value != measurement:
            return False
        return field in {point.spec.name + companion for companion in (STEP, QUALITY, RECEIVED)}

    def others(self) -> set[Field]:
        """Fields under their other name that this maker knows of: (measurement, field)."""
        mixed = {
            (measurement, name + OTHER_NAME[kind])
            for (measurement, name), kinds in self._types.items()
            if INTEGER in kinds
            for kind in kinds
            if kind == FLOAT
        }
        return mixed | {(measurement, name + OTHER_NAME[kind]) for measurement, name, kind in self._other}

    # ------------------------------------------------------------ lines

    def lines(self, readings: Readings, slots: npt.NDArray[np.int32], rows: Rows) -> Lines:
        """Lines of these rows; of equal (point, at) the last. slots: of all rows, from `learn`."""
        form, value = self.slots.form[slots[rows]], readings.value[rows]
        fits = (form != NOT) & np.isfinite(value)
        fits &= (form != AS_INTEGER) | ((value == np.trunc(value)) & (np.abs(value) < 2.0**63))
        refused: dict[int | str, str] = {}
        if not fits.all():
            refused = {row: self._reason(readings, row, int(slots[row])) for row in rows[~fits].tolist()}
            rows = rows[fits]
        rows, starts = ordered(self.slots.series[slots[rows]], slots[rows], readings.at[rows], rows)
        if not self._bare(readings, slots[rows], rows):
            pieces = self._pieces(readings, slots[rows], rows, starts)
            return Lines(rows, starts, pieces, 4 * starts, refused)
        return self._shaped(readings, slots, rows, starts, refused)

    def _bare(self, readings: Readings, slots: npt.NDArray[np.int32], rows: Rows) -> bool:
        """Whether the lines hold numbers and nothing beside them."""
        return bool(
            len(rows)
            and not _touch(readings.late, int(rows.min()), int(rows.max()))
            and not readings.quality.any()
            and not (self.slots.form[slots] == AS_STRING).any()
            and not (readings.at[rows] <= self.slots.newest[slots]).any()
        )

    def _shaped(
        self,
        readings: Readings,
        slots: npt.NDArray[np.int32],
        rows: Rows,
        starts: Rows,
        refused: dict[int | str, str],
    ) -> Lines:
        """Bare lines, those of one shape together."""
        s, sizes = self.slots, np.diff(starts)
        names: list[npt.NDArray[Any]] = [column[slots[rows]] for column in (s.head, s.tail, s.form)]
        one = bool((sizes == sizes[0]).all()) and alike(names, int(sizes[0]))
        groups = [np.arange(len(sizes))] if one else shapes(names, starts)
        parts, all_rows, all_sizes, all_widths = list[bytes](), [], [], []
        for lines in groups:
            size = sizes[lines]
            if len(groups) > 1:
                begins = np.repeat(starts[lines] - (np.cumsum(size) - size), size)
                mine = rows[begins + np.arange(int(size.sum()))]
            else:
                mine = rows
            begun = np.append(0, np.cumsum(size))
            found = self._even(readings, slots[mine], mine, int(size[0]), len(lines))
            widths = np.full(len(lines), 2 * int(size[0]) + 3) if found else 4 * size
            parts += found or self._pieces(readings, slots[mine], mine, begun)
            all_rows.append(mine)
            all_sizes.append(size)
            all_widths.append(widths)
        begins, places = (np.append(0, np.cumsum(np.concatenate(x))) for x in (all_sizes, all_widths))
        return Lines(np.concatenate(all_rows), begins, parts, places, refused)

    def _even(
        self, readings: Readings, slots: npt.NDArray[np.int32], rows: Rows, width: int, count: int
    ) -> list[bytes]:
        """The pieces of lines of one shape, `width` rows each; [] = they are not, or are few."""
        s = self.slots
        names: list[npt.NDArray[Any]] = [s.head[slots], s.tail[slots], s.form[slots]]
        if count < FEW or len(rows) != count * width or not alike(names, width):
            return []
        first, values = slots[:width], readings.value[rows].reshape(count, width)
        heads, tails = self._heads.take(s.head[first]).tolist(), self._tails.take(s.tail[first]).tolist()
        between = [
            b"".join(x)
            for x in zip([b"", *tails], [b"", *[b","] * (width - 1), b" "], [*heads, b""], strict=True)
        ]
        forms = s.form[first].tolist()
        texts = [
            written(values[:, n].astype(np.int64) if form == AS_INTEGER else values[:, n])
            for n, form in enumerate(forms)
        ]
        series = self._series.take(s.series[slots[::width]]).tolist()
        return pieces_of(series, between, texts, written(readings.at[rows[::width]]))

    def _reason(self, readings: Readings, row: int, slot: int) -> str:
        if self.slots.form[slot] == NOT:
            return self._reasons[slot]
        value = float(readings.value[row])
        if not np.isfinite(value):
            return f"{value} is not a finite number"
        if value.is_integer():
            return f"{value} is more than an integer of InfluxDB can hold"
        return f"{value} is not whole, as a {self._points[slot].spec.kind.value} must be"

    def _pieces(
        self, readings: Readings, slots: npt.NDArray[np.int32], rows: Rows, starts: Rows
    ) -> list[bytes]:
        if not len(rows):
            return []
        s, first, last = self.slots, starts[:-1], starts[1:] - 1
        pieces = np.empty((len(rows), 4), dtype=object)
        pieces[:, 0] = b","
        pieces[first, 0] = self._series.take(s.series[slots[first]])
        pieces[:, 1] = self._heads.take(s.head[slots])
        pieces[:, 2] = _values(readings, s.form[slots], rows)
        pieces[:, 3] = self._tails.take(s.tail[slots])
        self._companions(readings, slots, rows, pieces)
        pieces[last, 3] += b" "
        pieces[last, 3] += numbers(readings.at[rows[last]].tolist())
        return pieces.ravel().tolist()

    def _companions(
        self, readings: Readings, slots: npt.NDArray[np.int32], rows: Rows, pieces: npt.NDArray[Any]
    ) -> None:
        """Quality where it is not GOOD, receive time where it was late. A row that is not newer than what was
        written before may replace another: it has those too that the field ever had, so that none stays."""
        name, again = self.slots.name[slots], readings.at[rows] <= self.slots.newest[slots]
        quality = readings.quality[rows]
        self._qualities.add(pieces, name, quality.astype(np.int64), quality != 0, again)
        received = np.zeros(len(rows), np.int64)
        if readings.late:
            column = np.zeros(len(readings), np.int64)
            column[np.fromiter(readings.late, np.int64)] = np.fromiter(readings.late.values(), np.int64)
            received = column[rows]
        self._received.add(pieces, name, received, received != 0, again)

    def server_has(self, fields: Iterable[Field]) -> None:
        """Fields of the server, of whatever kind: which companions may have to be replaced."""
        for measurement, field in fields:
            for companion in (self._qualities, self._received):
                companion.met(measurement, field)

    def written(self, readings: Readings, slots: npt.NDArray[np.int32], rows: Rows) -> None:
        """These rows have been answered for: the newest instants move on."""
        np.maximum.at(self.slots.newest, slots[rows], readings.at[rows])

    def know(self, newest: Mapping[int, Ms]) -> None:
        """The newest instants that the server has, by point id."""
        if newest:
            slots = self.slots.find(np.fromiter(newest, np.int64, len(newest)))
            np.maximum.at(self.slots.newest, slots, np.fromiter(newest.values(), np.int64, len(newest)))


def _touch(late: Mapping[int, Ms], first: int, last: int) -> bool:
    """Whether any of these rows may be late."""
    return bool(late) and min(late) <= last and max(late) >= first


def _values(readings: Readings, form: npt.NDArray[np.uint8], rows: Rows) -> npt.NDArray[np.object_]:
    """Values as texts: floats with a point, integers without, strings in quotes."""
    value = readings.value[rows]
    whole = form == AS_INTEGER
    if whole.any():
        mixed = value.astype(object)
        mixed[whole] = value[whole].astype(np.int64)
        texts = numbers(mixed.tolist())
    else:
        texts = numbers(value.tolist())
    for place in np.flatnonzero(form == AS_STRING).tolist():
        texts[place] = string(readings.text.get(int(rows[place]), "")).encode()
    return texts
