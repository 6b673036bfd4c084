"""Texts among the numbers: each wording stands once in the table `word`, and a reading has its number.

Word n stands in the column of values as FIRST - n, where no counter and no measured value lies: so texts are
in log, chunks and latest like all that is constant for long, a byte or two each, whatever kind of point the
profile calls theirs today. To those who ask, the value of a text is 0.0.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b

import numpy as np

from dutyroom.backends.readings_embedded.columns import Columns
from dutyroom.backends.readings_embedded.file import WORDS, StoreFile, has_table
from dutyroom.model.telemetry import Floats, Reading, Readings

FIRST = -(2**52)
_LAST = -(2**53)
_HELD = 20_000  # wordings in memory, either way


class Words:
    """Texts may be read from any thread; one writes."""

    def __init__(self, file: StoreFile) -> None:
        self._file = file
        self._numbers: dict[str, int] = {}
        self._texts: dict[int, str] = {}
        self._any = False  # there are some

    # ------------------------------------------------------------ writing

    def coded(self, readings: Readings) -> Readings:
        """With the numbers of its texts among the values; they are committed before it returns. The row of
        an empty text stays as it is. Raises Unavailable."""
        texts = {
            row: text for row, text in readings.text.items() if text and np.isfinite(readings.value[row])
        }
        if not texts:
            return readings
        numbers = self._numbered(dict.fromkeys(texts.values()))
        value = readings.value.astype(np.float64)  # a copy
        value[list(texts)] = [FIRST - numbers[text] for text in texts.values()]
        return replace(readings, value=value)

    def _numbered(self, texts: Mapping[str, object]) -> Mapping[str, int]:
        fresh = [text for text in texts if text not in self._numbers]
        if not fresh:
            return self._numbers
        with self._file.writing() as db:
            found = {text: _found(db, text) or _added(db, text) for text in fresh}
        if len(self._numbers) + len(found) > _HELD:
            found |= {text: self._numbers[text] for text in texts if text in self._numbers}
            self._numbers = {}
        self._numbers |= found
        return self._numbers

    # ------------------------------------------------------------ reading

    def _in(self, db: sqlite3.Connection) -> bool:
        """Whether this picture of the file may have some."""
        if not self._any and has_table(db, WORDS):  # an older file that is only read has none
            self._any = db.execute(f"SELECT 1 FROM {WORDS} LIMIT 1").fetchone() is not None  # noqa: S608
        return self._any

    def _text(self, db: sqlite3.Connection, value: float) -> str | None:
        """None = the value is a number after all."""
        number = int(FIRST - value)
        if number not in self._texts:
            found = db.execute(f"SELECT text FROM {WORDS} WHERE id = ?", (number,)).fetchone()  # noqa: S608
            if found is None:
                return None
            if len(self._texts) >= _HELD:
                self._texts = {}
            self._texts[number] = found[0]
            return str(found[0])
        return self._texts.get(number)

    def apart(self, db: sqlite3.Connection, c: Columns) -> tuple[Floats, dict[int, str]]:
        """Values, and texts by row."""
        if not self._in(db):
            return c.value, {}
        rows = np.flatnonzero((c.value < FIRST) & (c.value >= _LAST))
        if not len(rows):
            return c.value, {}
        values = c.value.copy()
        meant = {value: self._text(db, value) for value in np.unique(c.value[rows]).tolist()}
        texts = {}
        for row, value in zip(rows.tolist(), c.value[rows].tolist(), strict=True):
            if (text := meant[value]) is not None:
                texts[row], values[row] = text, 0.0
        return values, texts

    def plain(self, db: sqlite3.Connection, c: Columns) -> Columns:
        """With 0.0 for texts."""
        values, texts = self.apart(db, c)
        return replace(c, value=values) if texts else c

    def spelled(self, db: sqlite3.Connection, found: Mapping[int, Reading]) -> Mapping[int, Reading]:
        """Readings with their texts."""
        if not self._in(db):
            return found
        worded: dict[int, Reading] = {}
        for point, reading in found.items():
            if reading.value < FIRST and (text := self._meant(db, reading.value)) is not None:
                worded[point] = replace(reading, value=0.0, text=text)
        return {**found, **worded} if worded else found

    def _meant(self, db: sqlite3.Connection, value: float) -> str | None:
        return self._text(db, value) if value >= _LAST and value.is_integer() else None


def _hash(text: str) -> int:
    """Of 64 bits: an index over the wordings themselves would hold each of them twice."""
    return int.from_bytes(
        blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big", signed=True
    )


def _found(db: sqlite3.Connection, text: str) -> int:
    """0 = is not there."""
    rows = db.execute(f"SELECT id, text FROM {WORDS} WHERE hash = ?", (_hash(text),)).fetchall()  # noqa: S608
    return next((number for number, there in rows if there == text), 0)


def _added(db: sqlite3.Connection, text: str) -> int:
    number = db.execute(f"INSERT INTO {WORDS} (hash, text) VALUES (?,?)", (_hash(text), text)).lastrowid  # noqa: S608
    assert number is not None
    return number
