"""Queries over what the service writes of itself, and figures at the head of a dashboard."""

# ruff: noqa: S608 - nothing here is asked by a stranger
from __future__ import annotations

from dashboards.form import Panel, Query, Text
from dashboards.queries import OURS

EACH_PRIORITY: Text = ("级别 $tag_priority", "Priority $tag_priority")
BUSY, FLOOD = "yellow", "red"


def figure(title: Text, query: str, unit: str = "none", **more: object) -> Panel:
    return Panel(title, "stat", unit, [query], "", 4, 4, **more)  # type: ignore[arg-type]


NOW_OPEN = f'FROM "dutyroom_standing" WHERE {OURS} GROUP BY "priority"'


def open_now(function: str, name: str) -> str:
    """Of the newest minute, over all priorities."""
    return f'SELECT {function}("v") FROM (SELECT last("{name}") AS "v" {NOW_OPEN})'


def standing(name: str) -> Query:
    return (
        f'SELECT max("{name}") FROM "dutyroom_standing" WHERE {OURS} '
        'GROUP BY time($__interval), "priority" fill(none)',
        EACH_PRIORITY,
    )


def minute(function: str, name: str) -> str:
    return (
        f'SELECT {function}("{name}") FROM "dutyroom_data" WHERE {OURS} GROUP BY time($__interval) fill(none)'
    )
