"""What is said of planned work. A daily check of each of many lifts is thousands of rows: nothing here reads more of
them than it shows, and what a limit leaves out is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dutyroom.api.present import Presenter, Row
from dutyroom.flows.scheduler import LOOK_BACK
from dutyroom.interfaces import Tx
from dutyroom.model.duty import Occurrence, OccurrenceGroup, OccurrenceState
from dutyroom.timebase import DAY, Ms

_BEHIND: Ms = 45 * DAY  # what was missed before is of no use to who looks at the plans
_JUST: Ms = DAY  # what was due since then is still the next, until it is done or overdue
_LATE = ((OccurrenceState.OVERDUE, LOOK_BACK), (OccurrenceState.MISSED, _BEHIND))


@dataclass(frozen=True, slots=True)
class Standing:
    """How the plans of a site stand."""

    last: Mapping[str, Ms]  # by plan: when it was done last
    following: Mapping[str, Ms]  # by plan: when it is due next
    late: Mapping[str, int]  # by plan: how many are overdue or missed
    listed: Sequence[Occurrence]  # the newest of those: first what is overdue, then what was missed


def standing(tx: Tx, site: str, plans: Iterable[str], now: Ms, rows: int) -> Standing:
    """rows: how many late ones are listed at most; of each plan one before a second of any, so that the lifts of a
    daily check do not hide the generator's test. Overdue is all that the scheduler still looks at, missed what was
    due within 45 days."""
    book = tx.occurrences
    last: dict[str, Ms] = {}
    for (plan, _), at in book.last_done(site, since=now - _BEHIND).items():
        last[plan] = max(last.get(plan, at), at)
    for plan in plans:
        if plan not in last and (older := book.last_done(site, plan=plan)):
            last[plan] = max(older.values())
    following: dict[str, Ms] = {}
    for group in book.groups(site, states=(OccurrenceState.DUE,), since=now - _JUST):
        following.setdefault(group.first.plan, group.first.due)
    late: Counter[str] = Counter()
    found: list[tuple[int, int, Ms, Occurrence]] = []
    for order, (state, back) in enumerate(_LATE):
        counts = book.counts(site, states=(state,), since=now - back)
        late.update(counts)
        for plan in counts:
            newest = book.search(site, plan=plan, states=(state,), since=now - back, newest=True, limit=rows)
            found += [(rank, order, -row.due, row) for rank, row in enumerate(newest)]
    chosen = sorted(found, key=lambda of: of[:3])[:rows]
    return Standing(last, following, late, [of[3] for of in sorted(chosen, key=lambda of: of[1:3])])


def wanted(tx: Tx, site: str, now: Ms) -> list[OccurrenceGroup]:
    """What is overdue, however long since, and what is due within the week, in order of due."""
    late = tx.occurrences.groups(site, states=(OccurrenceState.OVERDUE,), since=now - LOOK_BACK)
    due = tx.occurrences.groups(site, states=(OccurrenceState.DUE,), since=now - _JUST, until=now + 7 * DAY)
    return [*late, *due]


def nearest(
    tx: Tx, site: str, plan: str | None, since: Ms, middle: Ms, until: Ms | None, limit: int
) -> Sequence[Occurrence]:
    """Of more than `limit` those nearest to `middle`, half of them before it where there are as many; by due."""
    ahead = tx.occurrences.search(site, plan=plan, since=middle, until=until, limit=limit)
    behind = tx.occurrences.search(site, plan=plan, since=since, until=middle, newest=True, limit=limit)
    kept = min(len(behind), max(limit // 2, limit - len(ahead)))
    return [*reversed(behind[:kept]), *ahead[: limit - kept]]


def lines(shown: Presenter, groups: Iterable[OccurrenceGroup]) -> list[Row]:
    """The same plan on many devices at one time is one line with their number."""
    return [shown.occurrence(group.first) | {"count": group.count} for group in groups]
