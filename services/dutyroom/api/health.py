"""How well the data of a site is: completeness, devices' clocks, the journal, our own canary."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query

from dutyroom.api.asked import Ask, Asked, Json
from dutyroom.api.present import Presenter
from dutyroom.errors import Rejected
from dutyroom.flows.completeness import Share, intervals, overall, shares, witness_of
from dutyroom.flows.skew import Skew
from dutyroom.timebase import DAY, Ms, day_starts, zone

router = APIRouter(prefix="/api/v1/sites", tags=["data"])

MOST_DAYS = 60
LOW = 0.95  # of what is expected: below it a device is worth a look
_WORST = 12  # devices on the page


def completeness(ask: Asked, since: Ms, device: str | None = None) -> list[Share]:
    """The worst first, of each local day from the one that holds `since`. Raises Rejected for too many."""
    now = ask.room.clock.now()
    if now - since > MOST_DAYS * DAY:
        raise Rejected("error.too_many_days", {"count": str(MOST_DAYS)})
    starts = day_starts(min(since, now), now + 1, zone(ask.site.site.time_zone))
    first = ask.site.journal.kept_since()
    if first is None:
        return []
    expected = intervals(ask.room.devices(ask.site).values(), ask.site.table)
    if device is not None:
        expected = {name: seconds for name, seconds in expected.items() if name == device}
    days = list(zip(starts, (*starts[1:], starts[-1] + 2 * DAY), strict=True))
    with ask.room.records.read() as tx:
        added = tx.devices_added(ask.site.site.id, starts[0])
    return shares(expected, ask.site.journal.kept(starts, device), days, first, now, added)


def row_of(ask: Asked, share: Share) -> Json:
    """point: by which the device is judged, None = it has none yet."""
    witness = witness_of(ask.site.table.of_device(share.device))
    return {
        "device": share.device,
        "point": witness.spec.name if witness is not None else None,
        "day": share.day,
        "expected": share.expected,
        "received": share.received,
        "share": round(share.share, 4),
    }


@router.get("/{site}/completeness", name="api_completeness")
def get_completeness(
    ask: Ask,
    since: Ms | None = None,
    device: str | None = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Json:
    """Received against expected readings by device and local day, the worst first; by default of yesterday
    and today. Of a meter those of its register, of every other device those of the point with the shortest interval. A
    reading counts on the day of its own time."""
    found = completeness(ask, since if since is not None else ask.room.clock.now() - DAY, device)
    total = overall(found)
    return {
        "rows": [row_of(ask, share) for share in found[offset : offset + limit]],
        "count": len(found),
        "share": None if total is None else round(total, 4),
    }


@router.get("/{site}/health", name="api_health")
def get_health(ask: Ask) -> Json:
    """The journal, our own canary, and devices whose clock is off."""
    health = ask.site.health
    odd = health.skews.odd() if health.skews is not None else {}
    return {
        "journal": asdict(health.spool) if health.spool is not None else None,
        "canary": asdict(health.canary) if health.canary is not None else None,
        "clocks": [{"device": device, **clock_of(skew)} for device, skew in sorted(odd.items())],
    }


def clock_of(skew: Skew | None) -> Json:
    """skew_s: positive = the device's clock is behind; None = not measured. wrong: not plausible at all."""
    if skew is None:
        return {"skew_s": None, "messages": 0, "wrong": False}
    return {
        "skew_s": None if skew.ms is None else round(skew.ms / 1000, 1),
        "messages": skew.messages,
        "wrong": skew.wrong,
    }


def clock_text(shown: Presenter, skew: Skew | None) -> str:
    """ "" = nothing is known."""
    words = shown.words
    if skew is None:
        return ""
    if skew.wrong:
        return words.t("clock.wrong")
    if skew.ms is None:
        return ""
    key = "clock.behind" if skew.ms > 1000 else "clock.ahead" if skew.ms < -1000 else "clock.right"
    return words.t(key, seconds=words.number(abs(skew.ms) // 1000), count=skew.messages)


def _named(ask: Asked, shown: Presenter, share: Share) -> tuple[Share, str]:
    """With the name of the point by which the device is judged, "" = none."""
    witness = witness_of(ask.site.table.of_device(share.device))
    return share, shown.point_name(witness.spec.name, witness.spec) if witness is not None else ""


def health_shown(ask: Asked, shown: Presenter) -> Json:
    """What the data page shows of it: of yesterday, where there was one, else of today."""
    now = ask.room.clock.now()
    starts = day_starts(now - DAY, now + 1, zone(ask.site.site.time_zone))
    found = completeness(ask, starts[0])
    whole = [share for share in found if share.day == starts[0]] or found
    total = overall(whole)
    health = ask.site.health
    odd = health.skews.odd() if health.skews is not None else {}
    return {
        "spool": health.spool,
        "canary": health.canary,
        "canary_late": health.canary is not None
        and not health.canary.proven
        and now - ask.site.started_at > 5 * 60_000,
        "complete": None if total is None else int(total * 1000) / 10,
        "complete_day": whole[0].day if whole else None,
        "incomplete": [_named(ask, shown, share) for share in whole if share.share < LOW][:_WORST],
        "incomplete_count": sum(share.share < LOW for share in whole),
        "expected_count": len(whole),
        "clocks": [(device, clock_text(shown, skew)) for device, skew in sorted(odd.items())][:_WORST],
        "clocks_count": len(odd),
    }
