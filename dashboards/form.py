"""What a dashboard is made of: texts in both languages, panels, variables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

Text = tuple[str, str]  # zh-CN, en
Query = str | tuple[str, str] | tuple[str, Text]  # InfluxQL; with a legend of its own
States = dict[int, tuple[Text, str]]  # code: (text, colour)


@dataclass(frozen=True)
class Panel:
    """One panel. form: timeseries, steps, bars, stat, state-timeline or table; unit: Grafana's name of it.

    columns: of a table, (column, title) from left to right; the time is shown where it is among them. limits:
    (value, colour) from which on a figure has another colour; in a chart they are lines.
    """

    title: Text
    form: str
    unit: str
    queries: Sequence[Query]
    alias: str = "$tag_device"
    width: int = 12
    height: int = 8
    states: States = field(default_factory=dict)
    decimals: int | None = None
    description: Text = ("", "")
    columns: Sequence[tuple[str, Text]] = ()
    limits: Sequence[tuple[float, str]] = ()
    stacked: bool = False
    none: Text = ("", "")  # what a figure without rows shows


@dataclass(frozen=True)
class Variable:
    """What is chosen at the top. query: InfluxQL, or (value, text) of each choice, the first one chosen.

    several: any number of them, all at first. anything: all is what matches anything, not what the query gives.
    """

    name: str
    label: Text
    query: str | Sequence[tuple[str, Text]]
    several: bool = False
    anything: bool = False
    hidden: bool = False


@dataclass(frozen=True)
class Board:
    """One dashboard. each: panels with a line for every device, hidden below a row that is opened when few
    devices are chosen."""

    uid: str
    title: Text
    variables: Sequence[Variable]
    panels: Sequence[Panel]
    each: Sequence[Panel] = ()


OFF_ON: States = {0: (("停", "Off"), "#6e7681"), 1: (("运行", "On"), "green")}
QUIET_ALARM: States = {0: (("正常", "Normal"), "#6e7681"), 1: (("报警", "Alarm"), "red")}
OPEN: States = {0: (("关", "Shut"), "#6e7681"), 1: (("开", "Open"), "yellow")}
LOST: States = {0: (("失电", "Lost"), "red"), 1: (("有电", "Present"), "#6e7681")}
ONLINE: States = {0: (("离线", "Offline"), "red"), 1: (("在线", "Online"), "#6e7681")}
MODE: States = {
    0: (("正常", "Normal"), "#6e7681"),
    1: (("检修", "Inspection"), "yellow"),
    2: (("消防", "Fire"), "red"),
}
FAULT: States = {0: (("无故障", "No fault"), "#6e7681")}
SOURCES: States = {
    0: (("无", "None"), "red"),
    1: (("市电", "Mains"), "#6e7681"),
    2: (("发电机", "Generator"), "yellow"),
}
