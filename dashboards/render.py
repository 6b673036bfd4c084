"""A board as the JSON that Grafana reads, in one language (0 zh-CN, 1 en)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dashboards.form import Board, Panel, Variable

SOURCE = {"type": "influxdb", "uid": "${datasource}"}
WIDTH = 24
DRAWN: dict[str, dict[str, Any]] = {
    "bars": {"drawStyle": "bars", "fillOpacity": 60, "lineWidth": 1},
    "timeseries": {"drawStyle": "line", "lineWidth": 1, "showPoints": "auto", "spanNulls": False},
    "steps": {"drawStyle": "line", "lineInterpolation": "stepAfter", "lineWidth": 1, "showPoints": "auto"},
    "state-timeline": {"fillOpacity": 70, "lineWidth": 0},
}


def variables(board: Board, language: int) -> list[dict[str, Any]]:
    chosen: dict[str, Any] = {
        "name": "datasource",
        "label": ("数据源", "Data source")[language],
        "type": "datasource",
        "query": "influxdb",
        "refresh": 1,
        "multi": False,
        "includeAll": False,
        "current": {},
        "options": [],
    }
    return [chosen, *(variable(one, language) for one in board.variables)]


def variable(wanted: Variable, language: int) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": wanted.name,
        "label": wanted.label[language],
        "hide": 2 if wanted.hidden else 0,
        "multi": wanted.several,
        "includeAll": wanted.several,
    }
    if not isinstance(wanted.query, str):
        return made | choices(wanted.query, language)
    return made | {
        "type": "query",
        "datasource": SOURCE,
        "query": wanted.query,
        "definition": wanted.query,
        "refresh": 2,
        "sort": 1,
        "allValue": ".*" if wanted.anything else None,
        "current": {"text": ["All"], "value": ["$__all"]} if wanted.several else {},
        "options": [],
    }


def choices(given: Sequence[tuple[str, tuple[str, str]]], language: int) -> dict[str, Any]:
    """A variable of fixed values, the first one chosen. A comma would end a choice, so texts have none."""
    texts = [(value, text[language].replace(",", "\\,")) for value, text in given]
    options = [
        {"text": text[language], "value": value, "selected": place == 0}
        for place, (value, text) in enumerate(given)
    ]
    return {
        "type": "custom",
        "query": ", ".join(f"{text} : {value}" for value, text in texts),
        "current": options[0],
        "options": options,
    }


def defaults(panel: Panel, language: int) -> dict[str, Any]:
    custom = dict(DRAWN.get(panel.form, {}))
    made: dict[str, Any] = {"unit": panel.unit, "custom": custom}
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
    if panel.stacked:
        custom["stacking"] = {"mode": "normal", "group": "A"}
    if panel.limits:
        steps = [{"value": None, "color": "text"}, *({"value": v, "color": c} for v, c in panel.limits)]
        made["thresholds"] = {"mode": "absolute", "steps": steps}
        made["color"] = {"mode": "thresholds" if panel.form == "stat" else "palette-classic"}
        if panel.form != "stat":
            custom["thresholdsStyle"] = {"mode": "dashed"}
    if panel.none[language]:
        made["noValue"] = panel.none[language]
    return made


def options(panel: Panel) -> dict[str, Any]:
    if panel.form in ("timeseries", "steps", "bars"):
        return {"legend": legend(panel), "tooltip": {"mode": "multi", "sort": "desc"}}
    if panel.form == "stat":
        return {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "value" if panel.limits else "none",
            "graphMode": "none",
            "textMode": "auto",
        }
    if panel.form == "state-timeline":
        hidden = {"showLegend": False, "displayMode": "list", "placement": "bottom", "calcs": []}
        return {"mergeValues": True, "showValue": "auto", "rowHeight": 0.9, "legend": hidden}
    return {"showHeader": True, "cellHeight": "sm"}


def legend(panel: Panel) -> dict[str, Any]:
    """Of many devices the largest first, however many there are."""
    if "$tag_device" not in panel.alias:
        named = bool(panel.alias) or any(not isinstance(query, str) for query in panel.queries)
        return {"showLegend": named, "displayMode": "list", "placement": "bottom", "calcs": []}
    return {
        "showLegend": True,
        "displayMode": "table",
        "placement": "right" if panel.width > 12 else "bottom",
        "calcs": ["lastNotNull", "max"],
        "sortBy": "Max",
        "sortDesc": True,
    }


def transformations(panel: Panel, language: int) -> list[dict[str, Any]]:
    """A table's columns by name and place; the largest first, where its first number is not a time."""
    if panel.form != "table":
        return []
    columns = [name for name, _ in panel.columns]
    sort = {"field": "Time" if "Time" in columns else columns[-1], "desc": True}
    return [
        {"id": "sortBy", "options": {"sort": [sort]}},
        {
            "id": "organize",
            "options": {
                "excludeByName": {} if "Time" in columns else {"Time": True},
                "indexByName": {name: place for place, name in enumerate(columns)},
                "renameByName": {name: title[language] for name, title in panel.columns},
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
