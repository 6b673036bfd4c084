"""rules.yaml: the shipped rules, and a site's own laid over them.

A site names a shipped rule by its id and gives only what differs (`enabled: false`, a parameter, a
delay), or adds rules of its own. Every mistake names file, line and field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

from dutyroom.errors import Invalid, Mistake, Rejected
from dutyroom.fields import Fields, nearest
from dutyroom.model.duty import Priority
from dutyroom.model.telemetry import DeviceClass, Scalar
from dutyroom.rules.guarded import REALARM_VITAL, guard, vital
from dutyroom.rules.kinds import kind, known
from dutyroom.rules.overlay import parameters_over
from dutyroom.rules.sane import circles, followed, misspelt, sane
from dutyroom.rules.spec import Cause, Checks, Rule, Select, TicketPolicy, Variant, makes
from dutyroom.timebase import HOUR, MINUTE, SECOND, Ms, duration
from dutyroom.yamltext import Document, read_yaml

_MERGED = ("name", "advice", "select", "options")
_ANSWER_VITAL: Ms = 3 * MINUTE  # as of what ships for fire, entrapment and gas
_REALARM_URGENT: Ms = 8 * HOUR  # nobody sits longer than a shift
_UTILITIES = ("power", "water", "network")


@cache
def _shipped() -> Document:
    text = (files("dutyroom.rules") / "defaults.yaml").read_text(encoding="utf-8")
    return read_yaml(text, "defaults.yaml")


@cache
def default_rules() -> tuple[Rule, ...]:
    """The rules that ship with the product."""
    return _parse(_shipped(), {}, shipped=True)


def parse_rules(text: str, file: str) -> tuple[Rule, ...]:
    """The shipped rules with those of a site laid over them; "" gives the shipped ones.

    Raises Invalid with every mistake.
    """
    data = _shipped().data
    listed = data.get("rules", []) if isinstance(data, dict) else []
    base = {str(row["id"]): row for row in listed if isinstance(row, dict) and "id" in row}
    own = _parse(read_yaml(text, file), base)
    changed = {rule.id for rule in own}
    disabled = _disabled(read_yaml(text, file))
    kept = [r for r in default_rules() if r.id not in changed | disabled]
    return (*kept, *(r for r in own if r.id not in disabled))


def _disabled(document: Document) -> set[str]:
    data = document.data
    listed = data.get("rules", []) if isinstance(data, dict) else []
    return {str(r.get("id")) for r in listed or () if isinstance(r, dict) and r.get("enabled") is False}


def _parse(
    document: Document, base: Mapping[str, Mapping[object, object]], *, shipped: bool = False
) -> tuple[Rule, ...]:
    mistakes: list[Mistake] = []
    top = Fields.of(document, mistakes)
    rules = [
        _rule(_merged(row, base), shipped or row.text("id", "") in base) for row in top.children("rules")
    ]
    top.finish()
    seen: set[str] = set()
    for index, rule in enumerate(rules):
        if rule.id in seen:
            mistakes.append(
                document.mistake(("rules", index, "id"), f"{rule.id!r} stands here a second time")
            )
        seen.add(rule.id)
    every = seen | set(base)
    for index, rule in enumerate(rules):
        mistakes += [mistake for make in makes(rule) for mistake in followed(document, index, make, every)]
        for name, causes in (("explained_by", rule.explained_by), ("joins", rule.joins)):
            for cause in causes:
                if cause.rule not in every:
                    message = f"rule {cause.rule!r} does not exist{nearest(cause.rule, every)}"
                    mistakes.append(document.mistake(("rules", index, name), message))
    mistakes += circles(document, rules, base)
    if mistakes:
        raise Invalid(mistakes)
    return tuple(rules)


def _merged(row: Fields, base: Mapping[str, Mapping[object, object]]) -> Fields:
    """The site's row over the shipped rule of the same id; lines are the site's."""
    below = base.get(str(row.data.get("id")))
    if below is None:
        misspelt(row, base)
        return row
    if vital(below):
        guard(row, below)
        # Which devices a variant is for narrows nothing: the rule stands on the others as well.
        for one in _variants_of(row):
            data = {name: value for name, value in one.data.items() if name != "select"}
            guard(Fields(one.document, one.path, data, one.mistakes), below)
    whole: dict[Any, object] = dict(below) | dict(row.data)
    for name in _MERGED:
        under, over = below.get(name), row.data.get(name)
        if isinstance(under, dict) and isinstance(over, dict):
            whole[name] = _selected(under, over) if name == "select" else under | over
    whole["parameters"] = parameters_over(row, below)
    return Fields(row.document, row.path, whole, row.mistakes)


def _selected(under: dict[object, object], over: dict[object, object]) -> dict[object, object]:
    """Tests of device parameters are laid over one by one: who leaves out some devices more leaves out the same ones still."""
    found = {**under, **over}
    for name in ("where", "unless"):
        below, mine = under.get(name), over.get(name)
        if isinstance(below, dict) and isinstance(mine, dict):
            found[name] = below | mine
    return found


def _variants_of(row: Fields) -> list[Fields]:
    """The variants in a row as it is written; what is no list of mappings is told where it is read."""
    listed = row.data.get("variants")
    places = enumerate(listed) if isinstance(listed, list) else ()
    return [
        Fields(row.document, row.at("variants", index), one, row.mistakes)
        for index, one in places
        if isinstance(one, dict)
    ]


def _rule(row: Fields, shipped: bool) -> Rule:
    name = row.choice("kind", known())
    parameters = _parameters(row, name)
    row.flag("enabled", True)
    row.raw("tests")  # of `dutyroom check`: see checks
    utility = row.choice("utility", _UTILITIES, "")
    rule = Rule(
        id=row.text("id"),
        kind=name,
        select=parse_select(row.child("select")),
        priority=Priority(row.integer("priority", 3, 1, 4)),
        ticket=_ticket(row),
        name=row.words("name"),
        parameters=parameters,
        point=row.text("point", ""),
        mentions=row.texts("mentions"),
        each_place=row.flag("each_place"),
        on_delay=row.duration("on_delay", 0),
        off_delay=row.duration("off_delay", 0),
        respond_within=row.duration("respond_within", 0) or None,
        arrive_within=row.duration("arrive_within", 0) or None,
        latched=row.flag("latched"),
        utility=utility,
        root=row.flag("root"),
        idle=row.choice("idle", _UTILITIES, ""),
        dark=row.flag("dark", name == "stale"),
        waits=row.flag("waits", True),
        advice=_advice(row),
        version=row.integer("version", 1, 1),
        options=_options(row.child("options")),
        wait=row.duration("wait", 30 * SECOND),
        lags=row.duration("lags", 0),
        explained_in=row.texts("explained_in"),
        explained_by=tuple(_cause(c) for c in row.children("explained_by")),
        checks=_checks(row.child("checks")),
        joins=tuple(_cause(c) for c in row.children("joins")),
        graver=_graver(row.child("graver")),
        fire=row.flag("fire"),
        shipped=shipped,
    )
    rule = replace(rule, realarm=_realarm(row, rule))
    if rule.vital and "respond_within" not in row.data:  # of a rule of one's own
        rule = replace(rule, respond_within=_ANSWER_VITAL)
    if rule.latched and (rule.utilities or rule.explained_by):
        row.wrong(
            "latched", "a latched rule is never explained by another; leave utility and explained_by out"
        )
    if rule.each_place and not (rule.mentions and rule.kind == "state" and rule.parameters.get("equals")):
        row.wrong(
            "each_place",
            "needs a rule of kind state with equals, and mentions: the points that name the place",
        )
    sane(row, rule)
    rule = replace(rule, variants=tuple(_variant(one, row, rule) for one in row.children("variants")))
    row.finish()
    return rule


def _variant(fields: Fields, row: Fields, rule: Rule) -> Variant:
    """What differs on some devices, over what the rule says on the others."""
    data = {**fields.data, "parameters": parameters_over(fields, row.data)}
    given = Fields(fields.document, fields.path, data, fields.mistakes)
    select = parse_select(given.child("select"))
    if select == Select():
        given.wrong("", "select is missing: on which devices it differs")
    mine = replace(
        rule,
        parameters=_parameters(given, rule.kind),
        on_delay=given.duration("on_delay", rule.on_delay),
        off_delay=given.duration("off_delay", rule.off_delay),
    )
    given.finish()
    sane(given, mine)
    return Variant(select, mine)


def _realarm(row: Fields, rule: Rule) -> Ms:
    """Where nothing is said: half an hour for what is vital, a shift for what is urgent."""
    if row.raw("realarm") == "never":
        return 0
    usual = REALARM_VITAL if rule.vital else _REALARM_URGENT if rule.priority <= Priority.HIGH else 0
    return row.duration("realarm", usual)


def _graver(fields: Fields | None) -> dict[str, Priority]:
    if fields is None:
        return {}
    found = {str(name): Priority(fields.integer(str(name), 3, 1, 4)) for name in fields.data}
    fields.finish()
    return found


def _parameters(row: Fields, name: str) -> dict[str, object]:
    data = row.raw("parameters")
    if name not in known():
        return {}
    fields = Fields(row.document, row.at("parameters"), data if data is not None else {}, row.mistakes)
    parsed = kind(name).parameters(fields)
    fields.finish()
    return parsed


def parse_select(fields: Fields | None) -> Select:
    """Which devices a rule or a plan concerns; None = no test."""
    if fields is None:
        return Select()
    select = Select(
        classes=tuple(fields.texts("classes")),
        devices=fields.texts("devices"),
        spaces=fields.texts("spaces"),
        profiles=fields.texts("profiles"),
        where=_tests(fields, "where"),
        unless=_tests(fields, "unless"),
        having=fields.texts("having"),
    )
    classes = {c.value for c in DeviceClass}
    for name in select.classes:
        if name not in classes:
            fields.wrong("classes", f"{name!r} is not a device class{nearest(name, classes)}")
    fields.finish()
    return select


def _tests(fields: Fields, name: str) -> dict[str, tuple[Scalar, ...]]:
    value = fields.raw(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        fields.wrong(name, "must be a mapping: parameter: value or list of values")
        return {}
    # An empty list is no test: so a site drops one of a shipped rule.
    return {str(k): tuple(v) if isinstance(v, list) else (v,) for k, v in value.items() if v != []}


def _ticket(row: Fields) -> TicketPolicy:
    text = row.text("ticket", "now").strip()
    if text == "never":
        return TicketPolicy(None)
    if text == "now":
        return TicketPolicy(0)
    if text.startswith("after "):
        return TicketPolicy(_after(row, text.removeprefix("after ")))
    row.wrong("ticket", f"must be now, never, or for example `after 5min`, not {text!r}")
    return TicketPolicy(None)


def _after(row: Fields, text: str) -> Ms:
    try:
        return duration(text)
    except Rejected as err:
        row.wrong("ticket", err.reason)
        return 0


def _advice(row: Fields) -> dict[str, tuple[str, ...]]:
    fields = row.child("advice")
    if fields is None:
        return {}
    advice = {language: fields.texts(language) for language in ("zh-CN", "en")}
    fields.finish()
    return advice


def _options(fields: Fields | None) -> dict[str, Scalar]:
    if fields is None:
        return {}
    found: dict[str, Scalar] = {}
    for name in fields.data:
        value = fields.raw(str(name))
        if isinstance(value, str | int | float | bool):
            found[str(name)] = value
        else:
            fields.wrong(name, "must be a text, a number, true or false")
    return found


def _checks(fields: Fields | None) -> Checks | None:
    if fields is None:
        return None
    classes, known_ = fields.texts("classes"), {c.value for c in DeviceClass}
    for name in classes:
        if name not in known_:
            fields.wrong("classes", f"{name!r} is not a device class{nearest(name, known_)}")
    checks = Checks(classes, fields.choice("below", _UTILITIES), fields.flag("inferred"))
    fields.finish()
    return checks


def _cause(fields: Fields) -> Cause:
    cause = Cause(
        fields.text("rule"),
        fields.text("parameter", ""),
        fields.choice("below", _UTILITIES, ""),
        fields.choice("above", _UTILITIES, ""),
        fields.duration("within", 0),
        fields.text("naming", ""),
        fields.duration("earlier", 0),
    )
    fields.finish()
    return cause
