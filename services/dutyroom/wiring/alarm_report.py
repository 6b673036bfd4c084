"""`dutyroom alarms report`: how much rang in a duty room, against ISA-18.2 and EEMUA 191."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import time as wall_time
from pathlib import Path

from dutyroom.api.words import Words, read_catalogue
from dutyroom.backends.clock import SystemClock
from dutyroom.backends.datafolder import in_use
from dutyroom.backends.journal import SqliteJournal
from dutyroom.errors import Rejected
from dutyroom.flows.alarm_load import load_of
from dutyroom.flows.alarm_report import rings, whole_span
from dutyroom.flows.backtest_summary import plain_load
from dutyroom.rules.parse import default_rules
from dutyroom.settings import Settings
from dutyroom.timebase import DAY, Ms, zone
from dutyroom.wiring.backtest import instant
from dutyroom.wiring.backtest_text import load_lines, rule_name
from dutyroom.wiring.commands import choose_site, data_folder, opened_records
from dutyroom.wiring.memory import remembered_rules

SPAN = 30 * DAY  # where nobody says since when


def report(
    settings: Settings, wanted: str, since: str, until: str, shifts: Sequence[wall_time], as_json: bool
) -> Iterator[str]:
    """Lines for people, or one of JSON. Raises Rejected, Unavailable."""
    settings = data_folder(settings)
    site = choose_site(settings, wanted)
    end = instant(until, site.time_zone, 1)
    now = SystemClock().now()
    end = now if end is None else min(end, now)  # of today only what has passed
    start = instant(since, site.time_zone, 0)
    start = end - SPAN if start is None else start
    if start >= end:
        raise Rejected(f"--from {since} is not before {f'--to {until}' if until else 'now'}")
    records = opened_records(settings)
    try:
        found, cut = rings(records, site.id, start, end)
        with records.read() as tx:
            names = {d.id: d.name or d.id for d in tx.devices.all(site.id)}
    finally:
        records.close()
    start = whole_span(found, start, end, _heard_since(settings.data, site.id))
    load = load_of(found, start, end, zone(site.time_zone), shifts)
    if as_json:
        yield json.dumps(
            {"site": site.id, "alarms": load.alarms, "cut": cut, **plain_load(load)}, ensure_ascii=False
        )
        return
    words = Words(site.language, read_catalogue(), zone(site.time_zone))
    own = remembered_rules(settings.data / "sites" / site.id)
    called = {rule.id: rule_name(rule, words) for rule in default_rules()}
    called |= {rule: words.pick(name) or called.get(rule, rule) for rule, name in own.items()}
    yield f"# {words.t('load.title')}: {words.pick(site.name)}"
    yield ""
    yield words.t("load.span", since=words.time(start, "full"), until=words.time(end, "full"))
    yield words.t("backtest.total", alarms=words.number(load.alarms), tickets=words.number(load.tickets))
    if load.prompt is not None:
        yield words.t("load.prompt", share=f"{load.prompt:.0%}")
    if load.disproved:
        yield words.t("load.disproved", count=words.number(load.disproved))
    if load.tests:
        yield words.t("load.tests", count=words.number(load.tests))
    if cut:
        yield words.t("load.cut")
    yield from load_lines(load, words, called, names)


def _heard_since(data: Path, site: str) -> Ms | None:
    """When its first message came; None where there is no journal on this machine."""
    file = data / "sites" / site / "journal.sqlite"
    if not file.exists():
        return None
    journal = SqliteJournal(file, read_only=in_use(data))
    try:
        return journal.heard_since()
    finally:
        journal.close()
