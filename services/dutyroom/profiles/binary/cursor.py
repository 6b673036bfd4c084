"""The place in the bytes while a program reads them, and the record that it fills."""

from __future__ import annotations

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.seam import Ask

MAX_RECORDS = 10_000  # of all lists of one message
MAX_DEPTH = 16
# Bytes that checksums and texts of one message may go over. Each byte of a frame belongs to some of them; a program
# that jumps back in every record would go over the whole message ten thousand times.
AGAIN = 4
SPARE = 64 * 1024


class Skipped(Exception):
    """The program says: not telemetry."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Cursor:
    """bit: next to read. end: first byte that may not be read. records: innermost last."""

    __slots__ = ("ask", "bit", "data", "end", "fields", "left", "outer", "work")

    def __init__(self, data: bytes, ask: Ask) -> None:
        self.data, self.ask = data, ask
        self.bit, self.end = 0, len(data)
        self.fields: dict[str, object] = {}
        self.outer: list[dict[str, object]] = []
        self.left = MAX_RECORDS
        self.work = SPARE + AGAIN * len(data)

    def get(self, name: str) -> object:
        """A field of this record or one around it, a parameter, port or length: what expressions see."""
        found = self.fields.get(name)
        if found is not None:
            return found
        for record in reversed(self.outer):
            found = record.get(name)
            if found is not None:
                return found
        if name == "index":  # of the record in its list
            return next((r["_index"] for r in (self.fields, *reversed(self.outer)) if "_index" in r), None)
        if name == "port":
            return self.ask.port
        if name == "length":
            return self.end
        if name == "left":
            return self.end - (self.bit + 7 >> 3)
        if name == "position":
            return self.bit >> 3
        if name.startswith("previous_"):
            return self._previous(name.removeprefix("previous_"))
        return self.ask.parameters.get(name)

    def _previous(self, name: str) -> object:
        """A field of the record before this one in its list."""
        lists = (r["_previous"] for r in (self.fields, *reversed(self.outer)) if "_previous" in r)
        before = next(lists, None)
        return before.get(name) if isinstance(before, dict) else None

    def take_bits(self, name: str, count: int) -> int:
        """The next bits, most significant first."""
        first, last = self.bit, self.bit + count
        if last > self.end * 8:
            raise self.short(name, (count + 7) // 8)
        stop = (last + 7) >> 3
        value = int.from_bytes(self.data[first >> 3 : stop], "big") >> (stop * 8 - last)
        self.bit = last
        return value & (1 << count) - 1

    def take_bytes(self, name: str, count: int) -> bytes:
        """The next whole bytes."""
        if self.bit & 7:
            return self.take_bits(name, count * 8).to_bytes(count, "big")
        start = self.bit >> 3
        if start + count > self.end:
            raise self.short(name, count)
        self.bit += count * 8
        return self.data[start : start + count]

    def spend(self, name: str, count: int) -> None:
        """Before `count` bytes are gone over, be it again. Raises Rejected when it is too much."""
        self.work -= count
        if self.work < 0:
            most = SPARE + AGAIN * len(self.data)
            raise Rejected(
                f"{name} at byte {self.bit >> 3}: checksums and texts go over more than {most} bytes"
            )

    def short(self, name: str, count: int) -> Rejected:
        at = self.bit >> 3
        return Rejected(f"{name}: {count} bytes wanted at byte {at}, {max(0, self.end - at)} left")

    def open(self, record: dict[str, object]) -> None:
        """Fields go into `record` until it is closed."""
        if len(self.outer) >= MAX_DEPTH:
            raise Rejected("records are nested too deeply")
        self.left -= 1
        if self.left < 0:
            raise Rejected(f"more than {MAX_RECORDS} records")
        self.outer.append(self.fields)
        self.fields = record

    def close(self) -> None:
        self.fields = self.outer.pop()
