"""What changed rules would add and remove."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dutyroom.flows.backtest import Raised
from dutyroom.timebase import Ms

ADDED, REMOVED, EARLIER, LATER = "added", "removed", "earlier", "later"
CHANGES = (ADDED, REMOVED, EARLIER, LATER)


@dataclass(frozen=True, slots=True)
class Difference:
    """change: what the changed rules do to this alarm. before, after: None = not there."""

    change: str
    before: Raised | None
    after: Raised | None

    @property
    def shown(self) -> Raised:
        """The alarm of the changed rules, or the one that they no longer raise."""
        found = self.after or self.before
        assert found is not None
        return found


def differences(before: Sequence[Raised], after: Sequence[Raised]) -> list[Difference]:
    """In the order of time. The same rule on the same device, at overlapping times, is the same alarm."""
    rest: dict[tuple[str, str], list[Raised]] = {}
    for one in before:
        rest.setdefault((one.rule, one.object), []).append(one)
    found = []
    for new in after:
        mine = rest.get((new.rule, new.object), [])
        old = next((o for o in mine if _overlap(o, new)), None)
        if old is None:
            found.append(Difference(ADDED, None, new))
            continue
        mine.remove(old)
        if old.raised_at != new.raised_at:
            found.append(Difference(EARLIER if new.raised_at < old.raised_at else LATER, old, new))
    found += [Difference(REMOVED, old, None) for left in rest.values() for old in left]
    return sorted(found, key=lambda d: (d.shown.raised_at, d.shown.rule, d.shown.object))


def _overlap(a: Raised, b: Raised) -> bool:
    return a.raised_at <= _end(b) and b.raised_at <= _end(a)


def _end(one: Raised) -> Ms:
    return one.cleared_at if one.cleared_at is not None else 2**62
