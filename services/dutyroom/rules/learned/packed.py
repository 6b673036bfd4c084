"""What detectors keep, as plain data: numbers as packed float32, so that a state is a few hundred bytes.

In memory they are float32 as well: what was dumped and loaded is the same to the last bit, and a
detector that goes on after a restart finds what one without it would have found.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from dutyroom.errors import Rejected

Floats: TypeAlias = "array[float]"
_SIZE = 4


def floats(values: Iterable[float] = ()) -> Floats:
    return array("f", values)


def zeros(count: int) -> Floats:
    return array("f", bytes(_SIZE * count))


def unpack(data: object, count: int | None = None) -> Floats:
    """Raises Rejected for anything but so many packed numbers (any number where count is None)."""
    if not isinstance(data, bytes) or len(data) % _SIZE or (count is not None and len(data) != _SIZE * count):
        raise Rejected(f"a stored detector: {count} packed numbers expected, {data!r:.40} found")
    return array("f", data)


def parts(data: Sequence[Any], count: int) -> Sequence[Any]:
    """Raises Rejected when a stored detector has another number of parts."""
    if not isinstance(data, list | tuple) or len(data) != count:
        raise Rejected(f"a stored detector: {count} parts expected, {data!r:.40} found")
    return data
