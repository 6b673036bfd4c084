"""The list of a ticket in words: what to look at and how it stands now, and the steps that must follow."""

from __future__ import annotations

from collections.abc import Sequence

from dutyroom.api.present import Presenter, Row, natural
from dutyroom.flows.checklist import NAMED, URGENT, known_state
from dutyroom.flows.run import SiteRuntime
from dutyroom.model.duty import Alarm, Check, CheckState
from dutyroom.timebase import Ms


def check_rows(site: SiteRuntime, shown: Presenter, checks: Sequence[Check], alarms: Sequence[Alarm]) -> Row:
    """checks: devices as they stand now, what is not looked at and worst first; steps: in their order. alarms:
    open ones."""
    devices = [_device(site, shown, c, alarms) for c in checks if not c.step]
    devices.sort(key=lambda r: (r["done_at"] is not None, URGENT.index(r["state"]), natural(str(r["name"]))))
    return {
        "checks": devices,
        "checks_left": sum(row["done_at"] is None for row in devices),
        "steps": _steps(shown, [c for c in checks if c.step]),
    }


def _device(site: SiteRuntime, shown: Presenter, check: Check, alarms: Sequence[Alarm]) -> Row:
    now_heard = heard(site, check.object)
    state = known_state(check.object, alarms, shown.rules, now_heard, check.since)
    known = shown.devices.get(check.object)
    return {
        "id": check.id,
        "device": check.object,
        "name": shown.device_name(check.object),
        "place": shown.place(known.space) if known else "",
        "state": state.value,
        "state_text": shown.words.t(f"check.{state}"),
        "heard_at": now_heard,
        "listed": check.state.value,
        "listed_at": check.at,
        "done_at": check.done_at,
        "done_by": check.done_by,
        "note": check.note,
    }


def heard(site: SiteRuntime, device: str) -> Ms | None:
    """Receive time of the newest value of a device."""
    values = (site.live.get(point.id) for point in site.table.of_device(device))
    return max((value.received_at for value in values if value is not None), default=None)


def _steps(shown: Presenter, checks: Sequence[Check]) -> list[Row]:
    """What is not done of a step before one that is done was not needed, or nobody saw it."""
    rows: list[Row] = []
    for number, check in enumerate(checks):
        later = any(c.object == check.object and c.done_at is not None for c in checks[number + 1 :])
        over = check.done_at is None and later
        state = "passed" if over else check.state.value
        rows.append(
            {
                "device": check.object,
                "name": shown.device_name(check.object),
                "step": check.step,
                "text": step_text(shown, check.step),
                "state": state,
                "state_text": shown.words.t(f"check.{state}"),
                "since": check.since,
                "done_at": check.done_at,
            }
        )
    return rows


def step_text(shown: Presenter, step: str) -> str:
    """A step in words; one of a site's own sequence as it is called there."""
    return shown.words.t(f"step.{step}") if shown.words.has(f"step.{step}") else step


def in_message(shown: Presenter, line: str) -> str:
    """What a message says of a list that is written in one line (`in_one_line`): the most urgent by name."""
    pairs = [part.rpartition("=")[::2] for part in line.split()]
    words = [
        shown.words.t(
            "message.check", {"name": shown.device_name(device), "state": shown.words.t(f"check.{state}")}
        )
        for device, state in pairs[:NAMED]
        if state in set(CheckState)
    ]
    more = len(pairs) - len(words)
    said = shown.words.t("message.and").join(words)
    return said + (shown.words.t("message.more", {"count": more}) if more else "")
