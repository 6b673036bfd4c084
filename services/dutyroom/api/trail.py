"""What machines and the audit trail wrote down, as people read it: reasons, findings, actions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from dutyroom.api.present import Presenter, Row
from dutyroom.errors import Rejected
from dutyroom.flows.silent_words import KIND as SILENT
from dutyroom.flows.silent_words import Silent, silent_in
from dutyroom.interfaces import FindingRow
from dutyroom.model.duty import AuditRow, Device
from dutyroom.model.telemetry import Attribute
from dutyroom.timebase import from_iso

Facts: TypeAlias = list[tuple[str, str]]

# The journal keeps a decoder's own short English. What says more than the reason is told in words;
# what matches nothing here is a profile's own wording and is shown as it stands.
DETAILS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), key)
    for pattern, key in (
        (r"(?P<size>\d+) bytes, at most (?P<most>\d+) are read", "detail.too_large"),
        (r"not UTF-8 at byte (?P<place>\d+)", "detail.encoding"),
        (r"not JSON: (?P<why>.*)", "detail.not_json"),
        (r"JSON text expected", "detail.json_expected"),
        (r"nested too deeply", "detail.nested"),
        (r"nothing at (?P<path>.*)", "detail.nothing_at"),
        (r"(?P<profile>[\w./-]+): no layout reads this message", "detail.no_layout"),
        (r"(?P<profile>[\w./-]+): the message names no device", "detail.no_device"),
        (r"(?P<count>\d+) of its messages had come before", "detail.duplicate"),
        (r"(?P<said>.+) is no (?:finite )?number", "detail.no_number"),
        (r"\w+ where a number is expected|not a single value|not a text", "detail.no_value"),
        (r"(?P<said>.+) is no whole code", "detail.no_code"),
        (r"(?P<said>.+) is more steps than a register holds", "detail.no_register"),
        (r"unit (?P<said>.+) is none of \w+", "detail.no_unit"),
    )
)
# A decoder's reason: what kind of mistake it is, and where, is told in words; names and bytes as they stand.
REASONS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.S), key)
    for pattern, key in (
        (r"unknown type (?P<what>.+) at byte (?P<place>\d+)", "detail.unknown_type"),
        (
            r"(?P<what>.+): (?P<size>\d+) bytes wanted at byte (?P<place>\d+), (?P<left>\d+) left",
            "detail.too_short",
        ),
        (
            r"(?P<what>\w+) of bytes (?P<first>\d+) to (?P<last>\d+) is (?P<own>\w+), the message says (?P<told>\w+)",
            "detail.checksum",
        ),
        (r"(?P<what>.+?) at byte (?P<place>\d+): (?P<why>.+)", "detail.at_byte"),
        (r"(?P<what>.+) does not hold", "detail.not_holding"),
    )
)
OF_PROFILE = re.compile(r"(?P<profile>[\w.-]+/[\w./-]+): (?P<said>.+)", re.S)
_COUNTS = frozenset({"place", "size", "left", "first", "last"})
# Of the mistakes in a profile those that are made most.
MISTAKES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.S), key)
    for pattern, key in (
        (r"unknown field; did you mean '(?P<near>.+)'\?", "mistake.unknown_near"),
        (r"unknown field; known: (?P<known>.+)", "mistake.unknown"),
        (
            r"(?P<said>'.*') is not (?:known|one of .+); did you mean '(?P<near>.+)'\?",
            "mistake.not_known_near",
        ),
        (r"(?P<said>'.*') is not one of (?P<known>.+)", "mistake.not_known"),
        (r"is missing", "mistake.missing"),
        (r"is missing: (?P<why>.+)", "mistake.missing_why"),
    )
)
SAID_ALREADY = frozenset({"no profile reads this topic"})  # the reason says the same
CONFLICT = re.compile(r"(?P<device>.+)/(?P<point>\w+) at (?P<at>\d+): (?P<old>.+?) and (?P<new>.+)", re.S)
NAMED = re.compile(r"(?P<point>\w+): (?P<said>.*)", re.S)


def detail_text(shown: Presenter, detail: str) -> str:
    """Why a message could not be read, in the asker's language."""
    if detail in SAID_ALREADY:
        return ""
    for pattern, key in DETAILS:
        if match := pattern.fullmatch(detail):
            given = {k: int(v) if v.isdigit() else v for k, v in match.groupdict().items()}
            return shown.words.t(key, {k: _figure(shown, v) for k, v in given.items()})
    found = _reason_text(shown, detail)
    if found is None and (of := OF_PROFILE.fullmatch(detail)):
        said = _reason_text(shown, of["said"]) or of["said"]
        return shown.words.t("detail.of_profile", {"profile": of["profile"], "said": said})
    return detail if found is None else found


def _reason_text(shown: Presenter, reason: str) -> str | None:
    if OF_PROFILE.fullmatch(reason):
        return None
    for pattern, key in REASONS:
        if match := pattern.fullmatch(reason):
            given = {
                k: shown.words.number(int(v), 0) if k in _COUNTS and len(v) < 10 else v
                for k, v in match.groupdict().items()
            }
            return shown.words.t(key, given)
    return None


def mistake_text(shown: Presenter, message: str) -> str:
    """What is wrong with a field of a profile, in the asker's language where it is a usual mistake."""
    for pattern, key in MISTAKES:
        if match := pattern.fullmatch(message):
            return shown.words.t(key, match.groupdict())
    return message


def _figure(shown: Presenter, value: int | str) -> str:
    return shown.words.number(value, 0) if isinstance(value, int) else value


def finding_text(shown: Presenter, row: FindingRow) -> str:
    """The last thing that was odd, with names instead of identifiers."""
    if row.kind == "conflict" and (match := CONFLICT.fullmatch(row.detail)):
        at = shown.words.time(int(match["at"]), "date_time")
        return f"{shown.point_name(match['point'])} · {at} · {match['old']} / {match['new']}"
    if row.kind == "late":
        return shown.point_name(row.detail)
    if row.kind == SILENT and (silent := silent_in(row.detail)):
        return silent_text(shown, silent)
    named = NAMED.fullmatch(row.detail)
    of_point = named is not None and row.kind == "malformed" and row.device != ""
    if row.kind in ("malformed", "unknown_device") and ": " in row.detail and not of_point:
        topic, _, why = row.detail.partition(": ")
        said = detail_text(shown, why)
        return topic if said in ("", row.device) else f"{topic} · {said}"
    if named is not None:
        return f"{shown.point_name(named['point'])}: {detail_text(shown, named['said'])}"
    return detail_text(shown, row.detail)


def silent_text(shown: Presenter, silent: Silent) -> str:
    """Which points are not read any more, since when, what still is, and what to look at."""
    words = shown.words
    between = words.t("finding.silent_separator")
    lost = between.join(
        words.t("finding.silent_point", point=shown.point_name(name), at=words.time(at, "date_time"))
        for name, at in silent.lost
    )
    if silent.more:
        lost = words.t("finding.silent_more", points=lost, count=silent.more)
    read = between.join(shown.point_name(name) for name in silent.read)
    return words.t("finding.silent", lost=lost, read=read)


def audit_row(shown: Presenter, row: AuditRow) -> Row:
    """An action of the audit trail: who, what, on what, and what was said about it."""
    return {
        "at": row.at,
        "actor": shown.actor(row.actor),
        "action": action_text(shown, row.action),
        "target": target_text(shown, row.action, row.target),
        "detail": _said(shown, row.action, row.detail),
    }


def action_text(shown: Presenter, action: str) -> str:
    """alarm.acknowledge -> 报警 · 确认; an action without words shows as itself."""
    words, (kind, _, event) = shown.words, action.partition(".")
    if words.has(f"audit.action.{action}"):
        return words.t(f"audit.action.{action}")
    table = {"alarm": "alarm_event", "ticket": "ticket_event", "occurrence": "occurrence_state"}
    table |= {"device": "alarm_event", "quarantine": "quarantine"}
    key = f"{table.get(kind, kind)}.{event}"
    return f"{words.t(f'audit.on.{kind}')} · {words.t(key)}" if words.has(key) else action


def target_text(shown: Presenter, action: str, target: str) -> str:
    make = _TARGETS.get(action) or _TARGETS.get(action.partition(".")[0])
    return make(shown, target) if make is not None else target


def _moment(shown: Presenter, target: str) -> str:
    try:
        return shown.words.time(from_iso(target, shown.words.tz), "full")
    except Rejected:
        return target


def _scenario(shown: Presenter, target: str) -> str:
    key = f"scenario.{target}"
    return shown.words.t(key) if shown.words.has(key) else target


def _numbered(shown: Presenter, target: str) -> str:
    return f"#{target}" if target.isdigit() else target


_TARGETS: Mapping[str, Callable[[Presenter, str], str]] = {
    "reads.freeze": _moment,
    "scenario": _scenario,
    "alarm": _numbered,
    "ticket": _numbered,
    "occurrence": _numbered,
    "device": Presenter.device_name,
    "meter": Presenter.device_name,
    "reads.correct": Presenter.device_name,
}


def _said(shown: Presenter, action: str, detail: str) -> str:
    if action in ("reads.freeze", "statements.lock") and detail.isdigit():
        return shown.words.t("audit.rows", count=shown.words.number(int(detail)))
    if action in ("device.changed", "device.withdrawn"):
        return "; ".join(_by_column(shown, part) for part in detail.split("; "))
    for prefix in ("role", "scope"):
        if shown.words.has(f"{prefix}.{detail}"):
            return shown.words.t(f"{prefix}.{detail}")
    return shown.reason(detail)


def _by_column(shown: Presenter, part: str) -> str:
    """A field that changed, by its column's name."""
    name, colon, rest = part.partition(": ")
    return f"{shown.words.t(f'column.{name}')}{colon}{rest}" if shown.words.has(f"column.{name}") else part


def about(shown: Presenter, device: Device, attributes: Sequence[Attribute], points: Sequence[str]) -> Facts:
    """(name, value) of a device's parameters and attributes; what a point shows is not said twice."""
    named = [
        (_name(shown, "parameter", k), _parameter(shown, k, v))
        for k, v in sorted(device.parameters.items())
        if not k.startswith("name_")
    ]
    told = [(_name(shown, "attribute", a.name), str(a.value)) for a in attributes if a.name not in points]
    return [*named, *told]


def _name(shown: Presenter, kind: str, name: str) -> str:
    key = f"{kind}.{name}"
    return shown.words.t(key) if shown.words.has(key) else name


def _parameter(shown: Presenter, name: str, value: object) -> str:
    """Identifiers of devices become their names; a known word is translated."""
    parts = [part.strip() for part in str(value).split(",")]
    if all(part in shown.devices for part in parts):
        return " · ".join(shown.device_name(part) for part in parts)
    return _name(shown, f"parameter.{name}", str(value)).removeprefix(f"parameter.{name}.")
