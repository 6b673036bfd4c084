"""Watteco's compressed batch reports: several series of samples as differences in Huffman codes.

Source: "Batch reports" of the maker (support.nke-watteco.com) and what its published decoder does. A report is
a stream of bits, each byte's least significant bit first. It begins with flags and, for every series, its label,
the time and the value of its first sample; then come the samples that were compressed, times and values as
differences to the one before, and last the time at which the report was made. Times are seconds of the device's
own clock, so a sample's age is what counts. Which label is what (type, resolution, divisor) only the product knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.exact import (
    decimal_setting,
    exact,
    float32,
    known_settings,
    map_setting,
    whole_setting,
)
from dutyroom.profiles.codecs.seam import Ask, Codec, CodecKind
from dutyroom.profiles.yamlnode import Plain

# For each of three codings: the code of 0 (no difference), of differences of 1 to 14 bits, and of a whole value.
_CODES = (
    "00 01 11 101 1001 10001 100001 1000001 10000001 1000000000"
    " 10000000010 10000000011 10000000100 10000000101 10000000110 10000000111",
    "1101111 11010 1100 011 111 10 00 010 110110 110111011"
    " 110111001 1101110101 1101110100 1101110000 11011100011 11011100010",
    "1001 101 00 01 11 10001 100001 1000001 10000001 1000000000"
    " 10000000010 10000000011 10000000100 10000000101 10000000110 10000000111",
)  # fmt: skip
HUFFMAN = tuple({code: size for size, code in enumerate(line.split())} for line in _CODES)
WHOLE = 15  # not a difference: the value itself follows
LONGEST = 11  # bits of a code
TIMES = 1  # the coding of times between series
TYPES = {"bool": 1, "u4": 4, "i4": 4, "u8": 8, "i8": 8, "u16": 16, "i16": 16, "u24": 24, "i24": 24, "u32": 32, "i32": 32, "float": 32}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Series:
    """What a label means. resolution: of a difference, in raw units. divide: raw -> value."""

    name: str
    kind: str
    resolution: Decimal
    divide: Decimal


@dataclass(frozen=True, slots=True)
class Sample:
    """at: seconds of the device's clock. raw: None for a float that is no number."""

    at: int
    raw: Decimal | None


@dataclass(slots=True)
class Track:
    """A series while its samples are read. direction: 0 both ways, 1 rising, 2 falling."""

    series: Series
    samples: list[Sample]
    direction: int = 0
    coding: int = 0


@dataclass(slots=True)
class Bits:
    """The stream. at: the next bit."""

    data: bytes
    at: int = 0

    def take(self, count: int) -> int:
        """An unsigned number: its bytes most significant first, the bits of each least significant first."""
        value, left = 0, count
        while left:
            part = left % 8 or 8
            piece = 0
            for place in range(part):
                piece |= self._bit() << place
            value = value << 8 | piece
            left -= part
        return value

    def code(self, coding: int) -> int:
        """How many bits the difference has; WHOLE: a value follows. Raises Rejected for no code."""
        if coding >= len(HUFFMAN):
            raise Rejected(f"coding {coding} at bit {self.at} is unknown")
        table, start, text = HUFFMAN[coding], self.at, ""
        while len(text) < LONGEST:
            text += str(self._bit())
            if text in table:
                return table[text]
        raise Rejected(f"no code of a difference at bit {start}")

    def _bit(self) -> int:
        if self.at >= len(self.data) * 8:
            raise Rejected(f"batch report cut at byte {len(self.data)}")
        bit = self.data[self.at >> 3] >> (self.at & 7) & 1
        self.at += 1
        return bit

    def raw(self, kind: str) -> Decimal | None:
        """A whole sample."""
        value = self.take(TYPES[kind])
        if kind == "float":
            found = float32(value.to_bytes(4, "big"))
            return None if found is None else Decimal(repr(found))
        if kind[0] == "i" and value >> TYPES[kind] - 1:
            value -= 1 << TYPES[kind]
        return Decimal(value)

    def later(self, before: int, coding: int) -> int:
        """A time as a difference to the one before."""
        size = self.code(coding)
        if size == WHOLE:
            return self.take(32)
        return before + self.take(size) + (1 << size) - 1 if size else before

    def clock(self, before: int) -> int:
        """A time; the first one is there as it is."""
        return self.later(before, TIMES) if before else self.take(32)

    def value(self, track: Track) -> tuple[int, Decimal | None]:
        """(bits of the difference, the next sample of a series)."""
        size, before = self.code(track.coding), track.samples[-1].raw
        if size == WHOLE:
            return size, self.raw(track.series.kind)
        step = self._step(size, track.direction) if size else 0
        return size, None if before is None else before + step * track.series.resolution

    def _step(self, size: int, direction: int) -> int:
        number, full = self.take(size), (1 << size) - 1
        if direction == 1:
            return number + full
        if direction == 2:
            return -number - full
        if direction:
            raise Rejected(f"a difference of kind {direction} at bit {self.at} is unknown")
        return number if number >> size - 1 else number - full


@dataclass(slots=True)
class Report:
    """A report while it is read."""

    bits: Bits
    labels: Mapping[int, Series]
    label_bits: int
    tracks: dict[int, Track] = field(default_factory=dict)
    last: int = 0

    def label(self) -> int:
        found = self.bits.take(self.label_bits)
        if found not in self.labels:
            raise Rejected(f"series {found} at bit {self.bits.at} is none of this product")
        return found

    def started(self) -> Track:
        at, label = self.bits.at, self.label()
        track = self.tracks.get(label)
        if track is None:
            raise Rejected(f"series {label} at bit {at} has no first sample")
        return track

    def heads(self, count: int, more: bool) -> None:
        for _ in range(count):
            series = self.labels[label := self.label()]
            self.last = self.bits.clock(self.last)
            track = Track(series, [Sample(self.last, self.bits.raw(series.kind))])
            if more:
                track.direction, track.coding = self.bits.take(2), self.bits.take(2)
            self.tracks[label] = track

    def common(self, count: int) -> None:
        """All series have the same times; a series may leave some out."""
        first = next(iter(self.tracks.values())).samples[0].at
        times: list[int] = []
        number, coding = self.bits.take(8), self.bits.take(2)
        for _ in range(number):
            times.append(self.bits.later(times[-1] if times else first, coding))
        self.last = times[-1] if times else self.last
        for _ in range(count):
            self._at(times)

    def _at(self, times: list[int]) -> None:
        track, repeated = self.started(), False
        for at in times:
            if not self.bits.take(1):
                continue
            size, raw = self.bits.value(track)
            if size or repeated:
                track.samples.append(Sample(at, raw))
            else:  # the first sample, which the head has already
                repeated = True

    def separate(self, count: int) -> None:
        """Every series has its own times."""
        for _ in range(count):
            track = self.started()
            number = self.bits.take(8)
            coding = self.bits.take(2) if number else 0
            for _ in range(number):
                at = self.bits.later(track.samples[-1].at, coding)
                self.last = max(self.last, at)
                track.samples.append(Sample(at, self.bits.value(track)[1]))


def _decode(payload: bytes, ask: Ask, labels: Mapping[int, Series], label_bits: int) -> object:
    """{counter, requested, samples: {name: [{value, age}]}}; age: seconds before the report was made, value:
    exact, null for a float that is no number. Raises Rejected for what is cut or not of this product."""
    bits = Bits(payload)
    flags = bits.take(8)
    if flags & 1:
        raise Rejected("a standard report, not a batch, at byte 0")
    counter, _ = bits.take(3), bits.take(1)
    report, count = Report(bits, labels, label_bits), flags >> 4
    if not count:
        raise Rejected("a batch report without a series")
    report.heads(count, not flags & 4)
    if not flags & 4:
        (report.common if flags & 2 else report.separate)(count)
    made = bits.clock(report.last)
    ask.report.unread = len(payload) - (bits.at + 7 >> 3)
    found = {t.series.name: [_shown(s, t.series, made) for s in t.samples] for t in report.tracks.values()}
    if ask.note is not None:
        for name, samples in found.items():
            ask.note(name, 0, bits.at, samples)
    return {"counter": counter, "requested": bool(flags & 8), "samples": found}


def _shown(sample: Sample, series: Series, made: int) -> dict[str, object]:
    value = None if sample.raw is None else exact(sample.raw / series.divide)
    return {"value": value, "age": made - sample.at}


def _series(label: str, given: Plain) -> Series:
    where = f"series.{label}"
    own = map_setting(given, where)
    known_settings(own, ("name", "type", "resolution", "divide"), f"{where}.")
    name, kind = own.get("name"), own.get("type")
    if not isinstance(name, str) or not name:
        raise Rejected(f"{where}.name: is missing")
    if kind not in TYPES:
        raise Rejected(f"{where}.type: one of {', '.join(TYPES)} is needed")
    divide = decimal_setting(own, "divide", Decimal(1), f"{where}.")
    if not divide:
        raise Rejected(f"{where}.divide: must not be 0")
    return Series(name, str(kind), decimal_setting(own, "resolution", Decimal(1), f"{where}."), divide)


def _make(options: Mapping[str, Plain]) -> Codec:
    """Raises Rejected, naming the setting."""
    label_bits = whole_setting(options, "label_bits", None, 1, 8, "")
    labels = {
        whole_setting({"label": label}, "label", None, 0, (1 << label_bits) - 1, f"series.{label}: "): _series(label, given)
        for label, given in map_setting(options.get("series"), "series").items()
    }  # fmt: skip
    if not labels:
        raise Rejected("series: is missing: which label is what?")

    def decode(payload: bytes, ask: Ask) -> object:
        return _decode(payload, ask, labels, label_bits)

    return decode


KIND = CodecKind(_make, ("label_bits", "series"))
