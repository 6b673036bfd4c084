"""The committed dashboards: reproducible, complete in both languages, and tidy."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from dashboards import build

from dutyroom.backends.grafana import DATASOURCE_UID, FOLDER_UID, read_dashboards
from dutyroom.errors import Rejected

FOLDER = Path(__file__).parents[3] / "dashboards"
UTILITIES = {"water", "electricity", "gas", "elevators", "fire", "tanks", "gates", "generators"}
BOARDS = UTILITIES | {"overview", "alarms", "data"}
# Of the units that Grafana names (its `valueFormats`), those used here.
UNITS = {
    "none", "short", "percent", "s", "h", "m3", "kwatt", "kwatth", "volt", "amp", "hertz", "celsius", "lengthm", "rotrpm",
}  # fmt: skip
FILES = sorted(FOLDER.glob("*/*.json"))

any_dashboard = pytest.mark.parametrize("file", FILES, ids=lambda f: f"{f.parent.name}/{f.stem}")


def load(file: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return loaded


def all_panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """Panels, also those below a row that is closed."""
    rows = [p for p in dashboard["panels"] if p["type"] == "row"]
    return [p for p in dashboard["panels"] if p["type"] != "row"] + [p for row in rows for p in row["panels"]]


def test_the_files_are_what_the_script_writes() -> None:
    wanted = build.files()
    assert {f.relative_to(FOLDER).as_posix(): f.read_text(encoding="utf-8") for f in FILES} == wanted


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_every_dashboard_is_there(language: str) -> None:
    dashboards = read_dashboards(FOLDER / language)
    assert {d["uid"] for d in dashboards} == {f"dutyroom-{name}" for name in BOARDS}
    assert {f.stem for f in FILES if f.parent.name == language} == BOARDS


def test_the_languages_differ_in_words_only() -> None:
    def without_words(node: Any) -> Any:
        if isinstance(node, dict):
            return {
                k: without_words(v)
                for k, v in node.items()
                if k not in ("title", "label", "description", "renameByName", "noValue")
                and not (k in ("text", "alias") and isinstance(v, str))
                and not (k == "query" and node.get("type") == "custom")
            }
        return [without_words(n) for n in node] if isinstance(node, list) else node

    for name in BOARDS:
        zh, en = load(FOLDER / "zh-CN" / f"{name}.json"), load(FOLDER / "en" / f"{name}.json")
        assert without_words(zh) == without_words(en)
        assert zh["title"] != en["title"]


@any_dashboard
def test_panels_have_ids_units_queries_and_a_variable_source(file: Path) -> None:
    dashboard = load(file)
    panels = all_panels(dashboard)
    assert len({p["id"] for p in [*panels, *dashboard["panels"]]}) == len(panels) + sum(
        p["type"] == "row" for p in dashboard["panels"]
    )
    assert len({p["title"] for p in panels}) == len(panels)
    for panel in panels:
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["targets"]
        for holder in (panel, *panel["targets"]):
            assert holder["datasource"]["uid"] == "${datasource}"
        refs = [target["refId"] for target in panel["targets"]]
        assert len(set(refs)) == len(refs)
    assert "id" not in dashboard
    assert "version" not in dashboard


@any_dashboard
def test_no_panel_lies_on_another_or_outside(file: Path) -> None:
    cells: set[tuple[int, int]] = set()
    dashboard = load(file)
    for panel in [*all_panels(dashboard), *(p for p in dashboard["panels"] if p["type"] == "row")]:
        grid = panel["gridPos"]
        own = set(
            itertools.product(
                range(grid["x"], grid["x"] + grid["w"]), range(grid["y"], grid["y"] + grid["h"])
            )
        )
        assert not own & cells, panel["title"]
        assert grid["x"] + grid["w"] <= 24
        cells |= own


@any_dashboard
def test_every_dashboard_leads_to_the_others_and_begins_with_a_day(file: Path) -> None:
    dashboard = load(file)
    (link,) = dashboard["links"]
    assert (link["type"], link["tags"], link["keepTime"]) == ("dashboards", ["dutyroom"], True)
    assert dashboard["tags"] == ["dutyroom"]
    assert dashboard["time"] == {"from": "now-24h", "to": "now"}
    names = [v["name"] for v in dashboard["templating"]["list"]]
    assert names[:2] == ["datasource", "site"]
    assert "device" in names or file.stem == "overview"
    assert "detail" in names or file.stem == "alarms"
    for query in queries(dashboard):
        assert set(re.findall(r"\$(\w+)", query)) - {"timeFilter", "__interval"} <= set(names)


def queries(dashboard: dict[str, Any]) -> list[str]:
    asked = [target["query"] for panel in all_panels(dashboard) for target in panel["targets"]]
    return asked + [v["query"] for v in dashboard["templating"]["list"] if v["type"] == "query"]


@any_dashboard
def test_a_variable_asks_only_for_those_before_it(file: Path) -> None:
    known = {"datasource"}
    for variable in load(file)["templating"]["list"]:
        if variable["type"] == "query":
            assert set(re.findall(r"\$(\w+)", variable["query"])) <= known, variable["name"]
            assert variable["datasource"]["uid"] == "${datasource}"
        known.add(variable["name"])


@any_dashboard
def test_choices_are_written_as_grafana_reads_them(file: Path) -> None:
    """Grafana makes the options of a custom variable from its query again: "text : value" between commas."""
    for variable in load(file)["templating"]["list"]:
        if variable["type"] == "custom":
            pairs = [
                re.fullmatch(r"\s*(.+)\s:\s(.+)", part) for part in re.split(r"(?<!\\),", variable["query"])
            ]
            read = [(p[1].strip().replace("\\,", ","), p[2].strip()) for p in pairs if p is not None]
            assert read == [(o["text"], o["value"]) for o in variable["options"]]
            assert variable["current"] == variable["options"][0]


@any_dashboard
def test_grafana_takes_the_json(file: Path) -> None:
    """What Grafana 11 asks of a dashboard: the version of its form, identifiers, types and units that it has."""
    dashboard = load(file)
    assert dashboard["schemaVersion"] == 39  # 11.0; later ones migrate it by themselves
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", dashboard["uid"])
    assert 0 < len(dashboard["title"]) <= 189
    for panel in all_panels(dashboard):
        assert panel["type"] in {"timeseries", "stat", "state-timeline", "table"}
        assert type(panel["id"]) is int
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"] in UNITS or re.fullmatch(r"suffix:.+", defaults["unit"]), defaults["unit"]
        steps = defaults.get("thresholds", {}).get("steps", [])
        assert [step["value"] for step in steps[:1]] in ([], [None])
        assert [step["value"] for step in steps[1:]] == sorted(step["value"] for step in steps[1:])
        for target in panel["targets"]:
            assert re.fullmatch("[A-Z]", target["refId"])
            assert target["rawQuery"] is True
            assert target["resultFormat"] in ("time_series", "table")


def test_two_sums_never_hold_mains_and_what_is_below_them() -> None:
    """Whoever sums meters or feeders lets one level of them be chosen, and that level first."""
    for file in FILES:
        dashboard = load(file)
        summed = {
            m
            for query in queries(dashboard)
            if re.search(r'sum\("(used|m|v)"\)', query)
            for m in re.findall(r'"\$detail"\."(\w+_meter|feeder)"', query)
        }
        variables = {v["name"]: v for v in dashboard["templating"]["list"]}
        for measurement in summed:
            listed = [
                v["query"]
                for v in variables.values()
                if v["type"] == "query" and f"\"class\" = '{measurement}'" in v["query"]
            ]
            assert len(listed) == 1, (file, measurement)
            assert '"top" = ' in listed[0] or '"$level" = ' in listed[0]
        if "level" in variables:
            assert variables["level"]["current"]["value"] == "end"
            assert variables["device"]["allValue"] is None  # all = those listed, not all there are


@any_dashboard
def test_a_chart_says_which_line_is_whose(file: Path) -> None:
    for panel in all_panels(load(file)):
        for target in panel["targets"]:
            if 'GROUP BY time($__interval), "device"' in target["query"].split("FROM (")[0]:
                assert "$tag_device" in target["alias"], panel["title"]
        if len(panel["targets"]) > 1:
            aliases = [target["alias"] for target in panel["targets"]]
            assert aliases == ["$m"] * len(aliases) or len(set(aliases)) == len(aliases)


def test_a_wheel_carries_the_dashboards_and_not_the_script(tmp_path: Path) -> None:
    import subprocess
    import sys
    import zipfile

    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path)]
    done = subprocess.run(command, cwd=FOLDER.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        inside = {
            n.split("_shipped/dashboards/")[1] for n in packed.namelist() if "_shipped/dashboards/" in n
        }
    assert inside == {f.relative_to(FOLDER).as_posix() for f in FILES}


def test_provisioning_names_what_the_push_names() -> None:
    source = yaml.safe_load((FOLDER / "provisioning/datasources/dutyroom.yaml").read_text())["datasources"][0]
    provider = yaml.safe_load((FOLDER / "provisioning/dashboards/dutyroom.yaml").read_text())["providers"][0]
    assert source["uid"] == DATASOURCE_UID
    assert source["type"] == "influxdb"
    assert provider["folderUid"] == FOLDER_UID


@pytest.mark.parametrize(("name", "text"), [("a.json", "{"), ("b.json", "[]"), ("c.json", '{"title": "x"}')])
def test_a_broken_dashboard_is_named(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(Rejected, match=name):
        read_dashboards(tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="no dashboards"):
        read_dashboards(tmp_path / "nothing")
