"""Writes the dashboards of both languages: `python dashboards/build.py`. A test compares the result.

One dashboard a utility. Every query is InfluxQL over the measurements that the service writes
(docs/grafana.md); the data source, the site and the devices are variables.
"""

# ruff: noqa: S608 - nothing here is asked by a stranger
from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LANGUAGES = ("zh-CN", "en")
FOLDER = Path(__file__).parent
SOURCE = {"type": "influxdb", "uid": "${datasource}"}
WIDTH = 24
Text = tuple[str, str]  # zh-CN, en


Query = str | tuple[str, str] | tuple[str, Text]  # InfluxQL; with a legend of its own


@dataclass(frozen=True)
class Panel:
    """One panel. form: timeseries, steps, bars, stat, state-timeline or table; unit: Grafana's name of it."""

    title: Text
    form: str
    unit: str
    queries: Sequence[Query]
    alias: str = "$tag_device"
    width: int = 12
    height: int = 8
    states: dict[int, tuple[Text, str]] = field(default_factory=dict)  # code: (text, colour)
    decimals: int | None = None
    description: Text = ("", "")


@dataclass(frozen=True)
class Board:
    """One dashboard. measurement: the one whose tags fill the variables. each: panels with a line for
    every device, hidden below a row that is opened when few devices are chosen."""

    uid: str
    title: Text
    measurement: str
    panels: Sequence[Panel]
    each: Sequence[Panel] = ()


WHERE = '"site" =~ /^$site$/ AND "device" =~ /^$device$/ AND $timeFilter'
OF_SITE = '"site" =~ /^$site$/ AND $timeFilter'

OFF_ON: dict[int, tuple[Text, str]] = {0: (("停", "Off"), "#6e7681"), 1: (("运行", "On"), "green")}
QUIET_ALARM: dict[int, tuple[Text, str]] = {0: (("正常", "Normal"), "#6e7681"), 1: (("报警", "Alarm"), "red")}
OPEN: dict[int, tuple[Text, str]] = {0: (("关", "Shut"), "#6e7681"), 1: (("开", "Open"), "yellow")}
LOST: dict[int, tuple[Text, str]] = {0: (("失电", "Lost"), "red"), 1: (("有电", "Present"), "#6e7681")}
ONLINE: dict[int, tuple[Text, str]] = {0: (("离线", "Offline"), "red"), 1: (("在线", "Online"), "#6e7681")}
MODE: dict[int, tuple[Text, str]] = {
    0: (("正常", "Normal"), "#6e7681"),
    1: (("检修", "Inspection"), "yellow"),
    2: (("消防", "Fire"), "red"),
}
FAULT: dict[int, tuple[Text, str]] = {0: (("无故障", "No fault"), "#6e7681")}
SOURCES: dict[int, tuple[Text, str]] = {
    0: (("无", "None"), "red"),
    1: (("市电", "Mains"), "#6e7681"),
    2: (("发电机", "Generator"), "yellow"),
}


def mean(measurement: str, name: str, where: str = WHERE) -> str:
    return f'SELECT mean("{name}") FROM "{measurement}" WHERE {where} GROUP BY time($__interval), "device" fill(none)'


def last(measurement: str, name: str, where: str = WHERE) -> str:
    return f'SELECT last("{name}") FROM "{measurement}" WHERE {where} GROUP BY time($__interval), "device" fill(none)'


def newest(measurement: str, name: str, where: str = WHERE) -> str:
    return f'SELECT last("{name}") FROM "{measurement}" WHERE {where} GROUP BY "device"'


def hourly(measurement: str, name: str) -> str:
    """What all chosen meters counted in each hour."""
    register = (
        f'SELECT last("{name}") * last("{name}_step") AS "register" FROM "{measurement}" WHERE {WHERE} '
        'GROUP BY time(1h), "device" fill(none)'
    )
    used = f'SELECT non_negative_difference("register") AS "used" FROM ({register}) GROUP BY "device"'
    return f'SELECT sum("used") FROM ({used}) WHERE $timeFilter GROUP BY time(1h) fill(none)'


def counted(measurement: str, name: str) -> str:
    """What each chosen meter counted in the range shown."""
    return (
        f'SELECT (last("{name}") - first("{name}")) * last("{name}_step") AS "used" FROM "{measurement}" '
        f'WHERE {WHERE} GROUP BY "device"'
    )


# A register that was exchanged or has wrapped in the range counts backwards: it is left out here.
def total(measurement: str, name: str) -> str:
    return f'SELECT sum("used") FROM ({counted(measurement, name)}) WHERE "used" >= 0'


def top(measurement: str, name: str) -> str:
    return f'SELECT top("used", "device", 10) FROM ({counted(measurement, name)}) WHERE "used" >= 0'


SUM: Text = (
    "所选表计之和；总表与分表不区分，请在上方选择表计。换表或翻转的表不计入，收费以账单为准。",
    "The sum of the meters chosen above, mains and sub-meters alike. Meters exchanged or wrapped in the range are "
    "left out; bills are made elsewhere.",
)


def together(measurement: str, name: str) -> list[Query]:
    """The sum over the chosen devices, and the largest of them."""
    each = f'SELECT mean("{name}") AS "m" FROM "{measurement}" WHERE {WHERE} GROUP BY time($__interval), "device" fill(none)'
    return [
        (
            f'SELECT sum("m") FROM ({each}) WHERE $timeFilter GROUP BY time($__interval) fill(none)',
            ("合计", "Sum"),
        ),
        (
            f'SELECT max("m") FROM ({each}) WHERE $timeFilter GROUP BY time($__interval) fill(none)',
            ("最大一台", "Largest"),
        ),
    ]


def meters(measurement: str, name: str, unit: str) -> list[Panel]:
    """What every kind of meter shows first."""
    return [
        Panel(
            ("所选表计用量", "Used by the meters chosen"),
            "stat",
            unit,
            [total(measurement, name)],
            "",
            6,
            decimals=1,
            description=SUM,
        ),
        Panel(
            ("每小时用量", "Used each hour"),
            "bars",
            unit,
            [hourly(measurement, name)],
            "",
            18,
            description=SUM,
        ),
        Panel(
            ("用量前十", "Ten largest users"), "table", unit, [top(measurement, name)], "", 8, 10, decimals=2
        ),
    ]


def states(
    title: Text, measurement: str, name: str, texts: dict[int, tuple[Text, str]], **more: Any
) -> Panel:
    return Panel(title, "state-timeline", "none", [last(measurement, name)], states=texts, **more)


def lines(title: Text, measurement: str, name: str, unit: str, **more: Any) -> Panel:
    return Panel(title, "timeseries", unit, [mean(measurement, name)], **more)


CLASSES = {
    "water_meter": "volume",
    "electricity_meter": "energy",
    "gas_meter": "volume",
    "feeder": "voltage",
    "elevator": "floor",
    "fire_panel": "alarm",
    "tank": "level",
    "pump": "running",
    "gate": "door_open",
    "generator": "running",
    "transfer_switch": "source",
    "gateway": "online",
}


def counts(suffix: str = "", condition: str = "") -> list[Query]:
    """How many values of one point of each class. suffix, condition: of the field; {} = its name."""
    return [
        f'SELECT count("{name}{suffix}") FROM "{measurement}" WHERE {condition.format(name)}{OF_SITE} '
        "GROUP BY time($__interval) fill(none)"
        for measurement, name in CLASSES.items()
    ]


BOARDS = (
    Board(
        "dutyroom-water",
        ("用水", "Water"),
        "water_meter",
        [
            *meters("water_meter", "volume", "m3"),
            Panel(
                ("流量", "Flow"),
                "timeseries",
                "suffix:m³/h",
                together("water_meter", "flow"),
                width=16,
                height=10,
                description=SUM,
            ),
        ],
        [
            lines(("各表流量", "Flow of each meter"), "water_meter", "flow", "suffix:m³/h", width=24),
            lines(("水温", "Water temperature"), "water_meter", "temperature", "celsius"),
            lines(("电池", "Battery"), "water_meter", "battery", "percent"),
        ],
    ),
    Board(
        "dutyroom-electricity",
        ("用电", "Electricity"),
        "electricity_meter",
        [
            *meters("electricity_meter", "energy", "kwatth"),
            Panel(
                ("功率", "Power"),
                "timeseries",
                "kwatt",
                together("electricity_meter", "power"),
                width=16,
                height=10,
                description=SUM,
            ),
            Panel(
                ("馈线功率", "Power of the feeders"),
                "timeseries",
                "kwatt",
                [mean("feeder", "power", OF_SITE)],
            ),
            Panel(
                ("馈线电压", "Voltage of the feeders"),
                "timeseries",
                "volt",
                [mean("feeder", "voltage", OF_SITE)],
            ),
        ],
        [
            lines(("各表功率", "Power of each meter"), "electricity_meter", "power", "kwatt", width=24),
            lines(("电压", "Voltage"), "electricity_meter", "voltage", "volt"),
            lines(("电流", "Current"), "electricity_meter", "current", "amp"),
        ],
    ),
    Board(
        "dutyroom-gas",
        ("燃气", "Gas"),
        "gas_meter",
        [
            *meters("gas_meter", "volume", "m3"),
            Panel(
                ("最低电池电压", "Lowest battery voltage"),
                "timeseries",
                "volt",
                [
                    f'SELECT min("battery") FROM "gas_meter" WHERE {WHERE} GROUP BY time($__interval) fill(none)'
                ],
                "min",
                16,
                10,
                decimals=2,
            ),
        ],
        [lines(("电池", "Battery of each meter"), "gas_meter", "battery", "volt", width=24)],
    ),
    Board(
        "dutyroom-elevators",
        ("电梯", "Elevators"),
        "elevator",
        [
            states(("困人", "Passenger trapped"), "elevator", "trapped", QUIET_ALARM, height=12),
            states(("故障码", "Fault code"), "elevator", "fault_code", FAULT, height=12),
            states(("运行模式", "Mode"), "elevator", "mode", MODE, height=12),
            states(("轿门", "Car door"), "elevator", "door", OPEN, height=12),
            Panel(
                ("每小时运行次数", "Trips each hour"), "bars", "none", [hourly("elevator", "trips")], "", 24
            ),
        ],
        [
            Panel(("楼层", "Floor"), "steps", "none", [last("elevator", "floor")], width=24),
        ],
    ),
    Board(
        "dutyroom-fire",
        ("消防", "Fire"),
        "fire_panel",
        [
            states(("火警", "Fire alarm"), "fire_panel", "alarm", QUIET_ALARM),
            states(("故障", "Fault"), "fire_panel", "fault", QUIET_ALARM),
            states(("主电", "Mains supply"), "fire_panel", "mains", LOST),
            Panel(("屏蔽点数", "Isolated points"), "steps", "none", [last("fire_panel", "isolated")]),
        ],
    ),
    Board(
        "dutyroom-tanks",
        ("水箱与水泵", "Tanks and pumps"),
        "tank",
        [
            lines(("液位", "Level"), "tank", "level", "lengthm", width=24, height=10),
            Panel(
                ("水泵运行", "Pumps running"),
                "state-timeline",
                "none",
                [last("pump", "running", OF_SITE)],
                states=OFF_ON,
            ),
            Panel(("水泵功率", "Pump power"), "timeseries", "kwatt", [mean("pump", "power", OF_SITE)]),
            lines(("传感器电池", "Sensor battery"), "tank", "battery", "percent"),
            Panel(("当前液位", "Level now"), "stat", "lengthm", [newest("tank", "level")], decimals=2),
        ],
    ),
    Board(
        "dutyroom-gates",
        ("门禁与道闸", "Gates"),
        "gate",
        [
            Panel(
                ("门状态", "Doors"),
                "state-timeline",
                "none",
                [
                    (last("gate", "door_open"), "$tag_device 1"),
                    *((last("gate", f"door_open_{n}"), f"$tag_device {n}") for n in (2, 3, 4)),
                ],
                width=24,
                height=12,
                states=OPEN,
            ),
            states(("强行开门", "Forced open"), "gate", "door_forced", QUIET_ALARM),
            states(("控制器故障", "Controller fault"), "gate", "system_error", QUIET_ALARM),
        ],
    ),
    Board(
        "dutyroom-generators",
        ("发电机", "Generators"),
        "generator",
        [
            states(("运行", "Running"), "generator", "running", OFF_ON),
            Panel(
                ("供电电源", "Source of supply"),
                "state-timeline",
                "none",
                [last("transfer_switch", "source", OF_SITE)],
                states=SOURCES,
            ),
            lines(("功率", "Power"), "generator", "power", "kwatt"),
            lines(("频率", "Frequency"), "generator", "frequency", "hertz"),
            lines(("电压", "Voltage"), "generator", "voltage", "volt"),
            lines(("转速", "Speed"), "generator", "speed", "rotrpm"),
            lines(("冷却液温度", "Coolant"), "generator", "coolant", "celsius"),
            lines(("启动电池", "Starter battery"), "generator", "battery", "volt"),
            lines(("燃油", "Fuel"), "generator", "fuel", "percent"),
            Panel(
                ("本时段运行小时", "Hours run in this range"), "stat", "h", [total("generator", "hours")], ""
            ),
        ],
    ),
    Board(
        "dutyroom-data",
        ("数据", "Data"),
        "gateway",
        [
            states(("网关", "Gateways"), "gateway", "online", ONLINE, width=24),
            Panel(
                ("读数数量", "Readings stored"),
                "bars",
                "short",
                counts(),
                "$m",
                24,
                description=("每类设备取一个测点计数。", "One point of each class of device is counted."),
            ),
            Panel(
                ("质量不佳的读数", "Readings of lesser quality"),
                "bars",
                "short",
                counts("_q", '"{}_q" > 0 AND '),
                "$m",
                24,
            ),
        ],
    ),
)


def variables(board: Board, language: int) -> list[dict[str, Any]]:
    def tag_values(name: str, label: Text, more: str, several: bool) -> dict[str, Any]:
        query = f'SHOW TAG VALUES FROM "{board.measurement}" WITH KEY = "{name}"{more}'
        return {
            "name": name,
            "label": label[language],
            "type": "query",
            "datasource": SOURCE,
            "query": query,
            "definition": query,
            "refresh": 2,
            "sort": 1,
            "multi": several,
            "includeAll": several,
            "allValue": ".*" if several else None,
            "current": {"text": ["All"], "value": ["$__all"]} if several else {},
            "options": [],
        }

    return [
        {
            "name": "datasource",
            "label": ("数据源", "Data source")[language],
            "type": "datasource",
            "query": "influxdb",
            "refresh": 1,
            "multi": False,
            "includeAll": False,
            "current": {},
            "options": [],
        },
        tag_values("site", ("项目", "Site"), "", False),
        tag_values("device", ("设备", "Device"), ' WHERE "site" =~ /^$site$/', True),
    ]


DRAWN: dict[str, dict[str, Any]] = {
    "bars": {"drawStyle": "bars", "fillOpacity": 60, "lineWidth": 1},
    "timeseries": {"drawStyle": "line", "lineWidth": 1, "showPoints": "auto", "spanNulls": False},
    "steps": {"drawStyle": "line", "lineInterpolation": "stepAfter", "lineWidth": 1, "showPoints": "auto"},
    "state-timeline": {"fillOpacity": 70, "lineWidth": 0},
}


def defaults(panel: Panel, language: int) -> dict[str, Any]:
    made: dict[str, Any] = {"unit": panel.unit, "custom": DRAWN.get(panel.form, {})}
    if panel.decimals is not None:
        made["decimals"] = panel.decimals
    if panel.unit == "percent":
        made |= {"min": 0, "max": 100}
    if panel.states:
        options = {
            str(code): {"text": text[language], "color": colour, "index": index}
            for index, (code, (text, colour)) in enumerate(panel.states.items())
        }
        made["mappings"] = [{"type": "value", "options": options}]
    return made


def options(panel: Panel) -> dict[str, Any]:
    several = "$tag_device" in panel.alias
    if panel.form in ("timeseries", "steps", "bars"):
        legend: dict[str, Any] = {
            "showLegend": bool(panel.alias),
            "displayMode": "list",
            "placement": "bottom",
        }
        if several:  # the largest first, however many there are
            legend = {
                "showLegend": True,
                "displayMode": "table",
                "placement": "right" if panel.width > 12 else "bottom",
                "calcs": ["lastNotNull", "max"],
                "sortBy": "Max",
                "sortDesc": True,
            }
        return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    if panel.form == "stat":
        return {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "none",
            "graphMode": "none",
            "textMode": "auto",
        }
    if panel.form == "state-timeline":
        legend = {"showLegend": False, "displayMode": "list", "placement": "bottom"}
        return {"mergeValues": True, "showValue": "auto", "rowHeight": 0.9, "legend": legend}
    return {"showHeader": True, "cellHeight": "sm"}


def transformations(panel: Panel, language: int) -> list[dict[str, Any]]:
    """A table shows who and how much, the largest first; the time means nothing in it."""
    if panel.form != "table":
        return []
    names = {"device": ("表计", "Meter")[language], "top": ("用量", "Used")[language]}
    return [
        {"id": "sortBy", "options": {"sort": [{"field": "top", "desc": True}]}},
        {
            "id": "organize",
            "options": {
                "excludeByName": {"Time": True},
                "indexByName": {"device": 0, "top": 1},
                "renameByName": names,
            },
        },
    ]


def targets(panel: Panel, language: int) -> list[dict[str, Any]]:
    made = []
    for number, query in enumerate(panel.queries):
        text, legend = (query, panel.alias) if isinstance(query, str) else query
        made.append(
            {
                "refId": chr(ord("A") + number),
                "datasource": SOURCE,
                "rawQuery": True,
                "query": text,
                "resultFormat": "table" if panel.form == "table" else "time_series",
                "alias": legend if isinstance(legend, str) else legend[language],
            }
        )
    return made


def placed(wanted: Sequence[Panel], language: int, first: int, top: int) -> tuple[list[dict[str, Any]], int]:
    """Panels side by side from a height on, and the height below them. first: the first one's id."""
    made: list[dict[str, Any]] = []
    x, y, tallest = 0, top, 0
    for number, panel in enumerate(wanted, first):
        if x + panel.width > WIDTH:
            x, y, tallest = 0, y + tallest, 0
        one = {
            "id": number,
            "type": "timeseries" if panel.form in ("bars", "steps") else panel.form,
            "title": panel.title[language],
            "datasource": SOURCE,
            "gridPos": {"x": x, "y": y, "w": panel.width, "h": panel.height},
            "fieldConfig": {"defaults": defaults(panel, language), "overrides": []},
            "options": options(panel),
            "targets": targets(panel, language),
        }
        if panel.description[language]:
            one["description"] = panel.description[language]
        if changes := transformations(panel, language):
            one["transformations"] = changes
        made.append(one)
        x, tallest = x + panel.width, max(tallest, panel.height)
    return made, y + tallest


def panels(board: Board, language: int) -> list[dict[str, Any]]:
    made, below = placed(board.panels, language, 1, 0)
    if board.each:
        hidden, _ = placed(board.each, language, len(made) + 2, below + 1)
        made.append(
            {
                "id": len(made) + 1,
                "type": "row",
                "title": ("逐台设备", "Device by device")[language],
                "collapsed": True,
                "gridPos": {"x": 0, "y": below, "w": WIDTH, "h": 1},
                "panels": hidden,
            }
        )
    return made


def links(language: int) -> list[dict[str, Any]]:
    """To all the others, in the range of time that is shown."""
    return [
        {
            "type": "dashboards",
            "title": ("值班室", "Duty room")[language],
            "tags": ["dutyroom"],
            "asDropdown": False,
            "icon": "external link",
            "includeVars": False,
            "keepTime": True,
            "targetBlank": False,
            "tooltip": "",
            "url": "",
        }
    ]


def dashboard(board: Board, language: int) -> dict[str, Any]:
    return {
        "uid": board.uid,
        "title": board.title[language],
        "tags": ["dutyroom"],
        "schemaVersion": 39,
        "timezone": "browser",
        "editable": True,
        "graphTooltip": 1,
        "refresh": "1m",
        "time": {"from": "now-24h", "to": "now"},
        "templating": {"list": variables(board, language)},
        "annotations": {"list": []},
        "links": links(language),
        "fiscalYearStartMonth": 0,
        "timepicker": {},
        "weekStart": "",
        "panels": panels(board, language),
    }


def files() -> dict[str, str]:
    """Relative path: content."""
    return {
        f"{name}/{board.uid.removeprefix('dutyroom-')}.json": json.dumps(
            dashboard(board, language), ensure_ascii=False, indent=1
        )
        + "\n"
        for language, name in enumerate(LANGUAGES)
        for board in BOARDS
    }


def main() -> None:
    for path, text in files().items():
        target = FOLDER / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{target}\n")


if __name__ == "__main__":
    main()
