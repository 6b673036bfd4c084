"""The rows of the ledger, and how it is asked. See `dutyroom.interfaces`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dutyroom.model.telemetry import Longs
from dutyroom.timebase import Ms


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One device ("" = unknown ones) and receive hour; messages and readings by outcome."""

    hour: Ms
    device: str
    received: int
    decoded: int
    ignored: int
    quarantined: int
    readings: int
    stored: int
    duplicate: int
    conflict: int
    refused: int = 0  # readings that the store can never take, each with a finding
    gaps: int = 0  # messages that never came, where the device counts them


@dataclass(frozen=True, slots=True)
class Tally:
    """How many of one kind, in columns of equal length: start of the hour, device, count. What stands in it
    twice is added up."""

    hours: Longs
    devices: Sequence[str]
    counts: Longs

    @staticmethod
    def of(counts: Mapping[tuple[Ms, str], int]) -> Tally:
        """counts: by hour and device."""
        hours = np.array([hour for hour, _ in counts], np.int64)
        return Tally(hours, [device for _, device in counts], np.array(list(counts.values()), np.int64))


@dataclass(frozen=True, slots=True)
class LedgerQuestion:
    """Which sums of the ledger are wanted, by receive time.

    by: row (hour and device) | device | hour | day. days: starts of local days, for `day`. device: of this
    one alone. wrong: only what does not balance.
    """

    since: Ms
    until: Ms | None = None
    by: Literal["row", "device", "hour", "day"] = "row"
    days: Sequence[Ms] = ()
    device: str | None = None
    wrong: bool = False
    limit: int = 1000
    offset: int = 0


@dataclass(frozen=True, slots=True)
class LedgerSum:
    """A line of the ledger. at: start of its hour or day, None = of all. device: None = all of them."""

    at: Ms | None
    device: str | None
    received: int
    decoded: int
    ignored: int
    quarantined: int
    readings: int
    stored: int
    duplicate: int
    conflict: int
    refused: int
    gaps: int
    waiting: int  # readings in batches that the store's reader has not passed

    @property
    def unread(self) -> int:
        """Messages without an outcome."""
        return self.received - self.decoded - self.ignored - self.quarantined

    @property
    def pending(self) -> int:
        """Readings without an outcome."""
        return self.readings - self.stored - self.duplicate - self.conflict - self.refused

    @property
    def balances(self) -> bool:
        """Every message has an outcome, and every reading has one or is in the journal for its reader."""
        return self.unread == 0 and self.pending == self.waiting


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """rows: those asked for, of `count`. totals: of all. oldest: when the oldest batch came that the store's
    reader has not passed. exact: False = too many wait to be counted, then `waiting` is too small."""

    rows: Sequence[LedgerSum]
    count: int
    totals: LedgerSum
    oldest: Ms | None = None
    exact: bool = True
