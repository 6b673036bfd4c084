"""What `load` stored before days of rest were told from working days, and before that: read once, after an update.

Logarithms were kept in thousandths, so that a home goes on with what it knew to a hundredth. Which of its days were
days of rest was not kept: they count as working days until they are forgotten, three weeks later.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from math import nan
from typing import TYPE_CHECKING, Any

from dutyroom.errors import Rejected
from dutyroom.rules.learned.blocks import FINE, Day
from dutyroom.rules.learned.packed import Floats, Shorts, floats, half, parts, single, unpack, unpack_shorts
from dutyroom.rules.learned.register import SIZE

if TYPE_CHECKING:
    from dutyroom.rules.learned.load import Load

_FINE = 1000.0
_NAMES = (
    "active", "begun", "opened", "hour", "amount", "count", "total", "least", "sum", "calm", "empty",
    "with_them", "of_them", "pending", "z",
)  # fmt: skip
_SINGLE = ("sum", "with_them", "of_them", "z")
_KEPT = struct.Struct("<?qqBdddq")
_JUDGED = struct.Struct("<qIIdddd2f4f9B")
_BLOCK = struct.Struct("<3f")
_BASE = struct.Struct("<?h")
_TIMES = 4


def load_older(load: Load, data: Sequence[Any]) -> None:
    """Takes [state] or [state, what it said last], or the five parts of before. Raises Rejected for anything else."""
    if len(data) == 5:
        _parts(load, data)
        return
    try:
        _packed(load, data[0])
    except (struct.error, IndexError, TypeError, ValueError, AttributeError) as err:
        raise Rejected(f"a stored detector: {err}, {data!r:.40} found") from err
    load.say(data[1] if len(data) == 2 else [0, 0.0, 0, 0.0])


def _packed(load: Load, state: bytes) -> None:
    kept, place = _KEPT.unpack_from(state, SIZE), SIZE + _KEPT.size
    judged, place = _JUDGED.unpack_from(state, place), place + _JUDGED.size
    opened, calm, empty, *sums = judged[:7]
    active, begun, hour, count, amount, total, least, pending = kept
    days, *sizes = judged[13:]
    peaks, place = place, place + load.peaks.size
    blocks, place = place, place + _BLOCK.size * days
    if len(state) != place + sum(sizes):
        raise ValueError("another length")
    load.register.load(state[:SIZE])
    sum_, with_them, of_them, z = sums
    _take(
        load,
        (
            active,
            begun,
            opened,
            hour,
            amount,
            count,
            total,
            least,
            sum_,
            calm,
            empty,
            with_them,
            of_them,
            pending,
            z,
        ),
    )
    load.evidence, load.daily = floats(judged[7:9]), floats(judged[9:13])
    load.peaks.look(state, peaks)
    _day(load, array("f", state[blocks : blocks + _BLOCK.size * days]))
    rows = []
    for size in sizes:
        rows.append(_thousandths(state[place : place + size]))
        place += size
    _keep(load, rows)


def _parts(load: Load, data: Sequence[Any]) -> None:
    register, peaks, names, kept, few = parts(data, 5)
    load.register.load(register)
    load.peaks.load(peaks)
    _take(load, parts(names, len(_NAMES)))
    _keep(load, [unpack_shorts(row, 2) for row in parts(kept, 2 * _TIMES)])
    daily, day, evidence, said = parts(few, 4)
    load.daily, load.evidence = unpack(daily, _TIMES), unpack(evidence, 2)
    _day(load, unpack(day))
    load.say(said)


def _take(load: Load, values: Sequence[Any]) -> None:
    load.state = None
    for name, value in zip(_NAMES, values, strict=True):
        setattr(load, name, nan if value is None else single(value) if name in _SINGLE else value)
    load.active = bool(load.active)
    load.calm, load.empty = min(load.calm, 255), min(load.empty, 255)


def _day(load: Load, blocks: Floats) -> None:
    load.day = [
        (int(block), half(mean), half(least))
        for block, mean, least in zip(blocks[::3], blocks[1::3], blocks[2::3], strict=True)
    ]


def _keep(load: Load, rows: Sequence[Shorts]) -> None:
    for blocks, row in zip((*load.past, *load.recent), rows, strict=True):
        steps = [round(value * FINE / _FINE) for value in row]
        blocks.put(Day(mean, least, False) for mean, least in zip(steps[::2], steps[1::2], strict=True))


def _thousandths(packed: bytes) -> Shorts:
    """Two in three bytes where they lie within 4,096 of each other."""
    if not packed:
        return array("h")
    wide, base = _BASE.unpack_from(packed)
    if wide:
        return array("h", packed[_BASE.size :])
    count = (len(packed) - _BASE.size) * 2 // 3
    low, high = packed[_BASE.size : _BASE.size + count], packed[_BASE.size + count :]
    upper = [bits for both in high for bits in ((both & 15) << 8, both >> 4 << 8)]
    return array("h", [base + a + b for a, b in zip(low, upper, strict=True)])
