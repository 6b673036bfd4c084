"""Values of earlier days: compact profiles (EN 13757-3, annex F), and the dates of stored values.

A meter that stores monthly values gives one date and the interval of its storages (VIF FD 28); the dates
of the others follow from it.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.mbus_records import RawRecord
from dutyroom.profiles.codecs.mbus_values import Value, bcd, date_text, integer, number_of, scaled
from dutyroom.profiles.codecs.mbus_vif import Meaning, meaning

INVERSE, FORWARD = "inverse_profile", "profile"
_PROFILES = frozenset(
    {INVERSE, FORWARD, "register_profile"}
)  # the last: one member for each following storage
_SIZES = {1: 1, 2: 2, 3: 3, 4: 4, 6: 6, 7: 8}  # bytes of a member by data field
_BCD_SIZES = {9: 1, 10: 2, 11: 3, 12: 4, 14: 6}


@dataclass(frozen=True, slots=True)
class Step:
    """From one stored value to the next: months, or a fixed time."""

    months: int = 0
    seconds: int = 0


def is_profile(record: RawRecord, what: Meaning) -> bool:
    return record.lvar is not None and not _PROFILES.isdisjoint(what.extras)


def members(record: RawRecord, what: Meaning, base: RawRecord | None) -> list[Value]:
    """The values of a profile in the order they stand. Raises Rejected for increments without a base record (one
    that has no value leaves them without, too), and naming the byte for a BCD digit above 9."""
    mode, _, size, coded = _control(record)
    numbers = [
        _member(record.data[at : at + size], record.data_at + at, coded)
        for at in range(2, len(record.data) - size + 1, size)
    ]
    if mode:
        if base is None:
            raise Rejected(f"profile at byte {record.data_at}: increments without a base value")
        numbers = list(_summed(numbers, number_of(base), mode, INVERSE in what.extras))
    return [None if number is None else scaled(number, what) for number in numbers]


def _control(record: RawRecord) -> tuple[int, Step, int, bool]:
    """(increment mode, step, bytes of a member, BCD) of the two bytes in front of the members."""
    if len(record.data) < 2:
        raise Rejected(f"profile at byte {record.data_at}: it has no spacing")
    control, spacing = record.data[0], record.data[1]
    coding = control & 0x0F
    size = _SIZES.get(coding) or _BCD_SIZES.get(coding)
    if size is None:
        raise Rejected(f"profile at byte {record.data_at}: data field {coding:X} has no place in it")
    return control >> 6, _step(control >> 4 & 3, spacing), size, coding in _BCD_SIZES


def _step(unit: int, spacing: int) -> Step:
    """Spacing in s, min, h or days; with days, 254 means a month."""
    if unit == 3 and spacing == 254:
        return Step(months=1)
    return Step(seconds=spacing * (1, 60, 3600, 86400)[unit]) if 0 < spacing <= 250 else Step()


def _member(data: bytes, at: int, coded: bool) -> Decimal | None:
    if not coded:
        return integer(data)
    number = bcd(data, at)
    return None if number is None else Decimal(number)


def places(record: RawRecord) -> list[tuple[int, int]]:
    """(first byte, byte after the last) of the members in the telegram."""
    _, _, size, _ = _control(record)
    starts = range(record.data_at + 2, record.data_at + len(record.data) - size + 1, size)
    return [(at, at + size) for at in starts]


def _summed(
    numbers: Sequence[Decimal | None], base: Decimal | None, mode: int, inverse: bool
) -> Iterator[Decimal | None]:
    """Mode 1: increments, 2: decrements, 3: signed differences; an inverse profile walks into the past."""
    sign = -1 if mode == 2 else 1
    total = base
    for number in numbers:
        change = None if number is None else (-sign if inverse else sign) * number
        total = None if total is None or change is None else total + change
        yield total


# ---------------------------------------------------------------- dates


def dates_of(records: Sequence[RawRecord], monthly: int | None = None) -> dict[int, str]:
    """Storage -> date of its values: given by a record, or following from the storage interval.

    monthly: the storage that has a date and from which on each is a month older.
    """
    given: dict[int, str] = {}
    interval: dict[int, Step] = {} if monthly is None else {monthly: Step(months=1)}
    for record in records:
        what = meaning(record.vif)
        if what.word == "storage_interval" and what.unit in ("month", "year") and record.data:
            count = int.from_bytes(record.data, "little") * (12 if what.unit == "year" else 1)
            interval.setdefault(record.storage, Step(months=count))
        elif what.word in ("date", "datetime") and not what.extras and record.function == "instantaneous":
            text = date_text(record.data)
            if text:
                given.setdefault(record.storage, text)
    return _filled(given, interval, {r.storage for r in records})


def _filled(given: dict[int, str], interval: Mapping[int, Step], storages: set[int]) -> dict[int, str]:
    for first, step in interval.items():
        base = given.get(first)
        for storage in sorted(s for s in storages if s > first and s not in given) if base else ():
            found = earlier(base or "", step, storage - first)
            if found:
                given[storage] = found
    return given


def profile_dates(record: RawRecord, base: str) -> list[str | None]:
    """The dates of a profile's members, where base is the date of its base value."""
    _, step, size, _ = _control(record)
    inverse = INVERSE in meaning(record.vif).extras
    count = (len(record.data) - 2) // size
    return [earlier(base, step, number if inverse else -number) for number in range(1, count + 1)]


def earlier(base: str, step: Step, count: int) -> str | None:
    """`count` steps before a date. The last day of a month stays the last; None for what is no calendar day."""
    try:
        moment = datetime.fromisoformat(base)
        if step.months:
            return _by_months(moment, -step.months * count).isoformat(" ")[: len(base)]
        return (
            (moment - timedelta(seconds=step.seconds * count)).isoformat(" ")[:16] if step.seconds else None
        )
    except (ValueError, OverflowError):
        return None


def _by_months(moment: datetime, months: int) -> datetime:
    number = moment.year * 12 + moment.month - 1 + months
    year, month = number // 12, number % 12 + 1
    last = calendar.monthrange(year, month)[1]
    ends = moment.day == calendar.monthrange(moment.year, moment.month)[1]
    return moment.replace(year=year, month=month, day=last if ends else min(moment.day, last))
