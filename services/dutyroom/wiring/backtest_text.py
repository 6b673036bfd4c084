"""The summary of a backtest in words: Markdown that also reads well in a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import time as wall_time

from dutyroom.api.words import Words, span_text
from dutyroom.flows.alarm_load import Actor, Load, Shift
from dutyroom.flows.backtest_compare import ADDED, CHANGES, REMOVED, Difference
from dutyroom.flows.backtest_summary import Summary, counted
from dutyroom.flows.known_events import Verdict
from dutyroom.flows.past_troubles import Trouble
from dutyroom.rules.spec import Rule

_WORST = 10
_MISSED = 20

Names = Mapping[str, str]


def written(summary: Summary, words: Words, rules: Sequence[Rule]) -> str:
    """All of it."""
    called = {rule.id: rule_name(rule, words) for rule in rules}
    lines = [
        f"# {words.t('backtest.title', site=summary.site)}",
        "",
        words.t(
            "backtest.span",
            since=words.time(summary.since, "full"),
            until=words.time(summary.until, "full"),
            zone=str(words.tz),
            devices=words.number(summary.devices),
            readings=words.number(summary.readings),
            seconds=words.number(summary.seconds, 1),
        ),
        words.t(
            "backtest.total",
            alarms=words.number(summary.load.alarms),
            tickets=words.number(summary.load.tickets),
        ),
        *([words.t("backtest.late", dict(summary.late))] if summary.late.get("readings") else []),
        *([_kept(summary, words)] if any(summary.kept.values()) else []),
        *_troubles(summary.troubles, summary.more, words),
        *load_lines(summary.load, words, called, summary.shown),
        *_kinds(summary.kinds, words),
    ]
    if summary.verdict is not None:
        lines += _events(summary.verdict, words)
    if summary.compared is not None:
        tickets = summary.load.tickets, summary.changed_tickets or 0
        lines += _compared(summary.compared, tickets, words, called)
    return "\n".join(lines) + "\n"


def _kept(summary: Summary, words: Words) -> str:
    counts = {name: words.number(count) for name, count in summary.kept.items()}
    return words.t("backtest.records", {**counts, "tests": words.number(summary.load.tests)})


def rule_name(rule: Rule, words: Words) -> str:
    """As a site calls it, or as it ships."""
    key = f"rule.{rule.id}"
    return words.pick(rule.name) or (words.t(key) if words.has(key) else rule.id)


def load_lines(load: Load, words: Words, called: Names, shown: Names) -> Iterator[str]:
    """Shifts, figures with their limits, worst sources."""
    t = words.t
    yield from _heading(t("backtest.shifts"))
    tickets, alarms, worst = t("backtest.tickets"), t("backtest.alarms"), t("backtest.worst_shift")
    mean, peak = t("backtest.per_shift"), t("backtest.peak")
    yield from _table(
        [t("backtest.shift"), f"{tickets}, {mean}", worst, f"{alarms}, {mean}", worst, peak],
        [_shift(row, load.shifts, words) for row in load.shifts],
    )
    yield from _heading(t("backtest.load"))
    columns = ("figure", "value", "target", "most", "verdict")
    yield from _table(
        [t(f"backtest.{name}") for name in columns],
        [
            [
                t(f"load.{f.name}"),
                words.brief(f.value),
                f"≤ {words.brief(f.target)}",
                f"≤ {words.brief(f.most)}",
                t(f"grade.{f.grade}") if f.grade else "—",
            ]
            for f in load.figures
        ],
    )
    if load.peak_at is not None:
        yield from ("", t("backtest.peak_at", at=words.time(load.peak_at, "full")))
    if load.worst:
        yield from _heading(t("backtest.worst"))
        yield from _table(
            [t("backtest.source"), t("backtest.device"), alarms, t("backtest.share"), t("load.stale")],
            [_actor(a, called, shown) for a in load.worst[:_WORST]],
        )


def _actor(actor: Actor, called: Names, shown: Names) -> list[str]:
    name, device = called.get(actor.rule, actor.rule), shown.get(actor.object, actor.object)
    return [name, device, str(actor.alarms), f"{actor.share:.0%}", str(actor.stale or "")]


def _shift(row: Shift, shifts: Sequence[Shift], words: Words) -> list[str]:
    at = [s.begins for s in shifts]
    until: wall_time = at[(at.index(row.begins) + 1) % len(at)]
    mean = [words.number(n / row.count, 1) for n in (row.tickets, row.alarms)]
    name = f"{row.begins:%H:%M}-{until:%H:%M}"
    return [name, mean[0], str(row.most_tickets), mean[1], str(row.most_alarms), str(row.peak)]


def _kinds(kinds: Mapping[str, int], words: Words) -> Iterator[str]:
    if kinds:
        yield from _heading(words.t("backtest.kinds"))
        head = [words.t("backtest.kind"), words.t("backtest.alarms")]
        yield from _table(head, [[kind, str(count)] for kind, count in kinds.items()])


def _events(verdict: Verdict, words: Words) -> Iterator[str]:
    t = words.t
    yield from _heading(t("backtest.events"))
    told = sum(f.after is not None for f in verdict.found)
    yield t("backtest.events_total", detected=told, events=len(verdict.found), aside=verdict.aside)
    yield ""
    yield from _table(
        [t("backtest.kind"), t("backtest.of"), t("backtest.detected"), t("backtest.after")],
        [
            [kind, str(n), str(found), "—" if after is None else span_text(after)]
            for kind, n, found, after in verdict.by_kind()
        ],
    )
    missed = [f.event for f in verdict.found if f.after is None]
    if missed:
        what = [f"{e.id} ({e.kind}, {e.device or e.zone})" for e in missed[:_MISSED]]
        yield from ("", t("backtest.missed", what=", ".join(what)))
        if len(missed) > _MISSED:
            yield t("backtest.more", count=len(missed) - _MISSED)


def _compared(
    found: Sequence[Difference], tickets: tuple[int, int], words: Words, called: Names
) -> Iterator[str]:
    """tickets: with the rules as they are, and with the changed ones."""
    t = words.t
    yield from _heading(t("backtest.compare"))
    count = counted(found)
    yield t("backtest.compare_total", {change: count[change] for change in CHANGES})
    yield t("backtest.compare_tickets", before=tickets[0], after=tickets[1])
    by: dict[str, Counter[str]] = {ADDED: Counter(), REMOVED: Counter()}
    for one in found:
        if one.change in by:
            by[one.change][one.shown.rule] += 1
    rules = sorted({*by[ADDED], *by[REMOVED]}, key=lambda r: -(by[ADDED][r] + by[REMOVED][r]))
    if rules:
        yield ""
        head = [t("backtest.source"), t("backtest.rule_added"), t("backtest.rule_removed")]
        yield from _table(
            head, [[called.get(r, r), str(by[ADDED][r]), str(by[REMOVED][r])] for r in rules[:20]]
        )


def _troubles(found: Sequence[Trouble], more: Mapping[str, int], words: Words) -> Iterator[str]:
    yield from _heading(words.t("backtest.troubles"))
    if not found:
        yield words.t("backtest.no_troubles")
    seen: Counter[str] = Counter()
    total = Counter(t.sort for t in found)
    for one in found:
        seen[one.sort] += 1
        if seen[one.sort] <= _WORST:
            yield f"- {trouble_text(one, words)}"
        elif seen[one.sort] == _WORST + 1:
            yield f"- {words.t('backtest.more', count=total[one.sort] - _WORST + more.get(one.sort, 0))}"


def trouble_text(one: Trouble, words: Words) -> str:
    key = f"past_trouble.{one.sort}.{one.what}" if one.sort == "history" else f"past_trouble.{one.sort}"
    return words.t(key, what=one.what, count=words.number(one.count), place=one.place)


def _heading(text: str) -> Iterator[str]:
    yield from ("", f"## {text}", "")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Markdown; a bar inside a cell would end it."""
    for row in (head, ["---"] * len(head), *rows):
        yield "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |"
