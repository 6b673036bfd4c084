"""Rows as the pages and the stream show them: plain dicts, words already in one language."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from dutyroom.alarms import calls, following, spans_of
from dutyroom.api.point_names import point_name
from dutyroom.api.words import Words, duration_text
from dutyroom.flows.escalation import answered, on_site
from dutyroom.flows.live import LiveValue
from dutyroom.flows.places import places_of
from dutyroom.flows.run import SiteRuntime
from dutyroom.model.duty import (
    Alarm,
    AlarmChange,
    AlarmEvent,
    AlarmState,
    Arguments,
    Device,
    Occurrence,
    Ticket,
    TicketChange,
    TicketState,
)
from dutyroom.model.telemetry import Kind, Point, PointSpec
from dutyroom.rules.behind import waiting_in
from dutyroom.rules.spec import Rule
from dutyroom.timebase import Ms

Row: TypeAlias = dict[str, Any]

NOTHING: Mapping[str, Ms] = {}
STALE_INTERVALS = 3  # a value older than so many of its intervals is not shown as live

TABS: Mapping[AlarmState, str] = {
    AlarmState.UNACKNOWLEDGED: "active",
    AlarmState.ACKNOWLEDGED: "active",
    AlarmState.RETURNED: "returned",
    AlarmState.SHELVED: "shelved",
    AlarmState.SUPPRESSED: "suppressed",
    AlarmState.OUT_OF_SERVICE: "out_of_service",
}
PERSONAL = (AlarmEvent.ACKNOWLEDGE, AlarmEvent.SHELVE, AlarmEvent.UNSHELVE, AlarmEvent.RESET, AlarmEvent.NOTE)
TAB_ORDER = ("active", "returned", "shelved", "suppressed", "out_of_service")
OPEN_TICKETS = frozenset({TicketState.OPEN, TicketState.DISPATCHED, TicketState.ACCEPTED, TicketState.DONE})


@dataclass(frozen=True, slots=True)
class Presenter:
    """Makes rows of one site in one language. `devices` as the registry has them now."""

    site: SiteRuntime
    words: Words
    devices: Mapping[str, Device]
    rules: Mapping[str, Rule]
    now: Ms

    def place(self, space: str) -> str:
        """The names of a space and what it lies in, largest first; a name that names the largest
        one itself says it all ("A 0101" in building A)."""
        spaces, parts, names = self.site.site.spaces, space.split("/"), []
        for depth in range(1, len(parts) + 1):
            known = spaces.get("/".join(parts[:depth]))
            names.append(self.words.pick(known.name) if known and known.name else parts[depth - 1])
        names = [name for name in names if name]
        if len(names) > 1 and (names[-1].startswith(names[0]) or parts[0] in names[-1].split()):
            return names[-1]
        return " ".join(names)

    def device_name(self, device: str) -> str:
        """Its name in the language, where the registry has one (parameter name_en), else its name."""
        known = self.devices.get(device)
        if known is None:
            return device
        return str(known.parameters.get(f"name_{self.words.language}") or known.name or device)

    def text(self, key: str, arguments: Arguments) -> str:
        """A stored key with its arguments; times, devices and units in the arguments are shown as such."""
        shown: dict[str, object] = dict(arguments)
        if "unit" in shown:
            shown["unit"] = self.words.unit(str(shown["unit"]))
        for name in ("device", "object"):
            if isinstance(shown.get(name), str):
                shown[name] = self.device_name(str(shown[name]))
        if "rule" in shown:
            shown["rule"] = self.rule_name(str(shown["rule"]))
        if "name" in shown and arguments.get("object") in self.devices:
            shown["name"] = self.device_name(str(arguments["object"]))
        if "step" in shown and self.words.has(f"step.{shown['step']}"):
            shown["step"] = self.words.t(f"step.{shown['step']}")
        if "plan" in shown:
            shown["plan"] = self.plan_name(str(shown["plan"]))
        if key.startswith("alarm.") and "code" in shown:
            shown["code"] = self._code(key, arguments)
        said = self.words.t(key, shown)
        if late := waiting_in(arguments):
            names = self.words.t("message.and").join(map(self.device_name, late))
            said = self.words.t("alarm.behind", said=said, names=names)
        return self._with_mentions(said, arguments) if key.startswith("alarm.") else said

    def _code(self, key: str, arguments: Arguments) -> object:
        """A state's code with what it means, where the profile of the device knows it: "36: run contactor"."""
        code = arguments["code"]
        rule = self.rules.get(str(arguments.get("rule") or key.removeprefix("alarm.")))
        point = self.site.table.find(str(arguments.get("object")), rule.point) if rule is not None else None
        if point is None or isinstance(code, bool) or not isinstance(code, int):
            return code
        label = point.spec.labels.get(code)
        return self.words.t("alarm.code", code=code, text=self.words.label(label)) if label else code

    def _with_mentions(self, said: str, arguments: Arguments) -> str:
        """What else the device said then, after the text: "Fire alarm · Loop 2 · Detector 17"."""
        first, *further = [
            " · ".join(map(self._mention, [arguments.get("object")] * len(place), place.items()))
            for place in places_of(arguments)
        ]
        parts = [said, first] if first else [said]
        if further:
            parts.append(self.words.t("alarm.further", count=len(further), places="; ".join(further)))
        return " · ".join(parts)

    def _mention(self, object: object, named: tuple[str, float]) -> str:
        """A point by its name and the value that it had."""
        point, value = named[0].rpartition(".")[2], named[1]
        known = self.site.table.find(str(object), point)
        text = value_text(known, value, "", self.words) if known else self.words.brief(value)
        unit = self.words.unit(known.spec.unit) if known and known.spec.kind == Kind.GAUGE else ""
        return f"{self.point_name(point, known.spec if known else None)} {text} {unit}".rstrip()

    def rule_name(self, rule: str) -> str:
        known = self.rules.get(rule)
        if known is not None and known.name:
            return self.words.pick(known.name)
        key = f"rule.{rule.partition('/')[0]}"  # plan.overdue/<plan>: one word for all plans
        return self.words.t(key) if self.words.has(key) else rule

    def plan_name(self, plan: str) -> str:
        known = next((p for p in self.site.site.plans if p.id == plan), None)
        return self.words.pick(known.name) if known else plan

    def alarm(self, alarm: Alarm, ticket: Ticket | None) -> Row:
        """One row of the alarm desk and the wall board."""
        acknowledged = alarm.acknowledged_at is not None or alarm.state == AlarmState.ACKNOWLEDGED
        unanswered = ticket is not None and self.unanswered(alarm, ticket)
        undispatched = unanswered or (ticket is not None and ticket.state == TicketState.OPEN)
        title, said = self.rule_name(alarm.rule), self.alarm_text(alarm)
        said, begun = ("" if said == title else said), calls(alarm)  # the title says it already
        if len(begun) > 1:
            since = self.words.when(begun[0], self.now)
            said = " · ".join(
                filter(None, (said, self.words.t("alarm.times", count=len(begun), since=since)))
            )
        return {
            "id": alarm.id,
            "priority": int(alarm.priority),
            "filled": not acknowledged,
            "state": alarm.state.value,
            "tab": TABS.get(alarm.state, "ended"),
            "title": title,
            "device": alarm.object,
            "where": self.device_name(alarm.object),
            "place": self.place(alarm.space),
            "text": said,
            "times": len(begun),
            "value": self.value_against_limit(alarm),
            "raised_at": alarm.raised_at,
            "cleared_at": alarm.cleared_at,
            "owner": (ticket.assignee if ticket and not unanswered else "") or alarm.acknowledged_by,
            "work": self.work(alarm, ticket),
            "undispatched": undispatched,
            "ticket": ticket.id if ticket else None,
            "number": ticket.number if ticket else "",
            "affected": alarm.affected,
            "latched": alarm.latched,
            "late": alarm.late,
            "disproved": alarm.disproved,
            "merged_into": alarm.merged_into,
            "test": alarm.test,
            "chattering": alarm.chattering,
            "first": alarm.first_out,
            "announced": alarm.announced,
            "root": alarm.root,
            "can": self.can(alarm),
        }

    def can(self, alarm: Alarm) -> list[str]:
        """The actions that the table of states allows a person."""
        if alarm.ended_at is not None:
            return ["note"]
        allowed = [event.value for event in PERSONAL if following(alarm, event) is not None]
        return ["dispatch", *allowed]

    def alarm_text(self, alarm: Alarm) -> str:
        if not alarm.key:
            return self.value_against_limit(alarm)
        facts: dict[str, Any] = {"value": alarm.value, "limit": alarm.limit, "unit": alarm.unit}
        said = self.text(alarm.key, {**facts, **alarm.arguments})
        for name in (alarm.arguments.get("name"), self.device_name(alarm.object)):
            for colon in (": ", "："):
                said = said.removeprefix(f"{name}{colon}")  # the row names the device already
        said = said[:1].upper() + said[1:]
        return said.removeprefix(f"{self.rule_name(alarm.rule)} · ")  # nor the alarm once more

    def value_against_limit(self, alarm: Alarm) -> str:
        """4.8 m³/h > 1.5"""
        if alarm.value is None:
            return ""
        shown = f"{self.words.brief(alarm.value)} {self.words.unit(alarm.unit)}".rstrip()
        if alarm.limit is None:
            return shown if alarm.unit else ""
        sign = ">" if alarm.value > alarm.limit else "<"
        return f"{shown} {sign} {self.words.brief(alarm.limit)}"

    def work(self, alarm: Alarm, ticket: Ticket | None) -> str:
        """Who does something about it, in a word."""
        if alarm.state == AlarmState.SHELVED and alarm.shelved_until is not None:
            return self.words.t("work.until", at=self.words.when(alarm.shelved_until, self.now))
        if alarm.state == AlarmState.SUPPRESSED:
            planned = alarm.announced is not None
            return self.words.t("work.announced" if planned else "work.consequence")
        if ticket is not None:
            return self.progress(ticket, alarm)
        return self.words.t(f"alarm_state.{alarm.state.value}")

    def unanswered(self, alarm: Alarm, ticket: Ticket) -> bool:
        """Whether fire or entrapment wait for somebody; who was sent for what came before was not sent for this."""
        gone = alarm.ended_at is not None or ticket.state in (TicketState.CLOSED, TicketState.CANCELLED)
        return alarm.latched and not gone and not answered(ticket, alarm)

    def progress(self, ticket: Ticket, alarm: Alarm | None = None) -> str:
        """How far the work is. alarm: the one that stands."""
        if alarm is not None and self.unanswered(alarm, ticket):
            return self.words.t("work.open")
        there = on_site(ticket, alarm) if alarm is not None else ticket.arrived_at is not None
        state = "on_site" if ticket.state == TicketState.ACCEPTED and there else ticket.state.value
        return self.words.t(f"work.{state}")

    def stretches(self, alarm: Alarm) -> list[Row]:
        """When its condition held, the newest first."""
        return [{"from": a, "until": b, "text": self._stretch(a, b)} for a, b in reversed(spans_of(alarm))]

    def _stretch(self, since: Ms, until: Ms | None) -> str:
        if until is None:
            return self.words.t("stretch.still", since=self.words.when(since, self.now))
        times = f"{self.words.when(since, self.now)} – {self.words.when(until, self.now)}"
        return f"{times} ({duration_text(until - since)})"

    def alarm_change(self, change: AlarmChange) -> Row:
        return {
            "at": change.at,
            "time": self.words.when(change.at, self.now),
            "actor": self.actor(change.actor),
            "event": self.words.t(f"alarm_event.{change.event.value}"),
            "reason": self.reason(change.reason),
        }

    def ticket_change(self, change: TicketChange) -> Row:
        return {
            "at": change.at,
            "time": self.words.when(change.at, self.now),
            "actor": self.actor(change.actor),
            "event": self.words.t(f"ticket_event.{change.event.value}"),
            "reason": self.reason(change.reason),
        }

    def reason(self, reason: str) -> str:
        """A key with what follows a colon as its `{what}`, or what a person wrote."""
        key, _, what = reason.partition(":")
        return self.words.t(key, what=what) if self.words.has(key) else reason

    def actor(self, actor: str) -> str:
        if actor == "command line" or actor.startswith("token:commands-"):  # without, with a service
            return self.words.t("actor.commands")
        return self.words.t("actor.system") if actor == "system" else actor

    def ticket_title(self, ticket: Ticket) -> str:
        if ticket.text and ticket.kind == "report":
            return ticket.text.splitlines()[0][:80]
        rule = ticket.cause.split("|", 1)[0]
        if ticket.kind == "alarm" and rule in self.rules:
            return self.rule_name(rule)
        return self.text(ticket.key, ticket.arguments)

    def ticket(self, ticket: Ticket, due: Mapping[str, Ms] = NOTHING, alarm: Alarm | None = None) -> Row:
        """due: the deadlines of an emergency that still run, as `escalation.deadlines` names them. alarm: the one of
        it that stands, else that opened it."""
        unanswered = alarm is not None and self.unanswered(alarm, ticket)
        arrived_at = ticket.arrived_at if alarm is None or on_site(ticket, alarm) else None
        arrive_by, respond_by = due.get("unarrived"), due.get("unanswered", ticket.respond_by)
        late = (
            alarm is None  # of an emergency who was sent has answered: what is late is among those that run
            and respond_by is not None
            and ticket.state in (TicketState.OPEN, TicketState.DISPATCHED)
            and self.now > respond_by
        ) or any(self.now > at for at in due.values())
        return {
            "id": ticket.id,
            "number": ticket.number,
            "kind": ticket.kind.value,
            "kind_text": self.words.t(f"ticket_kind.{ticket.kind.value}"),
            "state": ticket.state.value,
            "state_text": self.words.t(f"ticket_state.{ticket.state.value}"),
            "priority": int(ticket.priority),
            "title": self.ticket_title(ticket),
            "device": ticket.object,
            "where": self.device_name(ticket.object) if ticket.object else "",
            "place": self.place(ticket.space) if ticket.space else "",
            "opened_at": ticket.opened_at,
            "respond_by": respond_by,
            "arrive_by": arrive_by,
            "arrived_at": arrived_at,
            "work": self.progress(ticket, alarm),
            "late": late,
            "assignee": ticket.assignee,
            "reporter": ticket.reporter,
            "contact": ticket.contact,
            "text": ticket.text,
            "alarm": ticket.alarm,
            "closed_at": ticket.closed_at,
            "undispatched": unanswered or ticket.state == TicketState.OPEN,
        }

    def occurrence(self, row: Occurrence) -> Row:
        return {
            "id": row.id,
            "plan": row.plan,
            "name": self.plan_name(row.plan),
            "device": row.object,
            "where": self.device_name(row.object) if row.object else "",
            "due": row.due,
            "due_text": self.words.time(row.due, "date_time"),
            "state": row.state.value,
            "state_text": self.words.t(f"occurrence_state.{row.state.value}"),
            "ticket": row.ticket,
            "done_at": row.done_at,
            "evidence": self.reason(row.evidence),
            "actor": self.actor(row.actor) if row.actor else "",
        }

    def value(self, point: Point, live: LiveValue | None) -> Row:
        """A point's newest value as text, with what its age is measured against."""
        spec = point.spec
        return {
            "point": point.id,
            "name": spec.name,
            "label": self.point_name(spec.name, spec),
            "text": value_text(point, live.value, live.text, self.words) if live else "—",
            "raw": live.value if live else None,
            "unit": self.words.unit(spec.unit) if spec.kind in (Kind.GAUGE, Kind.COUNTER) else "",
            "at": live.at if live else None,
            "received_at": live.received_at if live else None,
            "interval": spec.interval_s * 1000 if spec.interval_s else None,
            "stale": is_stale(point, live, self.now),
            "quality": int(live.quality) if live else None,
        }

    def chart(self, point: Point, limit: float | None = None) -> Row:
        """What the trend's script needs to know of a point."""
        spec = point.spec
        return {
            "point": point.id,
            "label": self.point_name(spec.name, spec),
            "unit": self.words.unit(spec.unit),
            "kind": spec.kind.value,
            "interval": (spec.interval_s or 0) * 1000,
            "labels": {code: self.words.label(label) for code, label in spec.labels.items()},
            "limit": limit,
            "hours": 24,
        }

    def point_name(self, name: str, spec: PointSpec | None = None) -> str:
        """In words of the language (`point_names`); spec, where known, tells two meanings of a name apart."""
        return point_name(self.words, name, spec)


def is_stale(point: Point, live: LiveValue | None, now: Ms) -> bool:
    """Older than three of its intervals; a point without one speaks only when it changes."""
    if live is None:
        return True
    interval = point.spec.interval_s
    return interval is not None and now - live.received_at > STALE_INTERVALS * interval * 1000


def value_text(point: Point, value: float, text: str, words: Words) -> str:
    """A stored value as people read it."""
    spec = point.spec
    if spec.kind == Kind.TEXT:
        return text or "—"
    if spec.kind == Kind.STATE:
        label = spec.labels.get(int(value))
        return words.label(label) if label else str(int(value))
    if spec.step is not None:
        exponent = spec.step.as_tuple().exponent
        return words.number(point.physical(value), max(0, -exponent) if isinstance(exponent, int) else 0)
    return words.number(value)


def by_urgency(rows: Sequence[Row]) -> list[Row]:
    """Alarms as the desk sorts them: priority, then unacknowledged, then age (oldest on top)."""
    return sorted(
        rows, key=lambda r: (r["priority"], not r["filled"], r["tab"] == "returned", r["raised_at"])
    )


def by_answer(rows: Sequence[Row]) -> list[Row]:
    """Open tickets: priority, then what has to be answered first, then the older one."""
    return sorted(rows, key=lambda r: (r["priority"], r["respond_by"] or r["opened_at"], r["id"]))


def natural(text: str) -> list[tuple[int, str]]:
    """A sort key by which floor 2 comes before floor 10."""
    parts = re.split(r"(\d+)", text)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
