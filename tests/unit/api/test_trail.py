"""What machines wrote down is shown in words: reasons, findings, actions, names of points and scenarios."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from tests.acceptance.pages_harness import SITE
from tests.unit.api.conftest import House

from dutyroom.api import trail
from dutyroom.api.present import Presenter, natural
from dutyroom.api.stream import presenter
from dutyroom.api.words import LANGUAGES, read_catalogue
from dutyroom.interfaces import FindingRow
from dutyroom.model.duty import AuditRow
from dutyroom_simulators.scenarios import SCENARIOS

ROOT = Path(__file__).parents[3]
SOURCE = ROOT / "services" / "dutyroom"
CATALOGUE = read_catalogue()
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where there is one
CJK = re.compile(r"[\u3400-\u9fff]")


@pytest.fixture
def shown(house: House) -> Presenter:
    return presenter(house.app.state.room, house.estate.runtime, "zh-CN")


def literals(pattern: str, *folders: str) -> set[str]:
    found: set[str] = set()
    for folder in folders:
        for file in (SOURCE / folder).rglob("*.py"):
            found |= set(re.findall(pattern, file.read_text("utf-8")))
    return found


def test_every_reason_of_a_refusal_has_a_word() -> None:
    reasons = literals(r'(?:Refused|Unreadable)\(\s*"(\w+)"', "profiles")
    reasons |= literals(r'reason="(\w+_\w+)"', "flows")
    assert {"encoding", "unknown_topic", "too_large", "internal_error"} <= reasons
    assert sorted(r for r in reasons if f"reason.{r}" not in CATALOGUE["zh-CN"]) == []


def test_every_kind_of_finding_has_a_word() -> None:
    kinds = literals(r'Finding\(\s*"(\w+)"', "flows") | literals(r'findings\.append\(\("(\w+)"', "profiles")
    kinds |= literals(r'Problem\(\s*"(\w+)"', "profiles")
    assert {"late", "conflict", "clock_wrong", "unknown_code"} <= kinds
    assert sorted(k for k in kinds if f"finding.{k}" not in CATALOGUE["zh-CN"]) == []


def test_every_scenario_has_a_title_and_a_hint() -> None:
    assert len(SCENARIOS) > 15
    for name in SCENARIOS:
        for key in (f"scenario.{name}", f"scenario.{name}.hint"):
            assert all(key in CATALOGUE[language] for language in LANGUAGES), key


def test_every_point_of_a_shipped_profile_has_a_name(shown: Presenter) -> None:
    names: set[str] = set()

    def walk(node: object) -> None:
        if isinstance(node, dict):
            points = node.get("points")
            names.update(points if isinstance(points, dict) else ())
            for part in node.values():
                walk(part)
        elif isinstance(node, list):
            for part in node:
                walk(part)

    for file in (ROOT / "device_profiles").rglob("*.yaml"):
        walk(yaml.load(file.read_text("utf-8"), LOADER))
    assert {"flow", "energy", "level"} <= names
    named = {name for name in names if not re.fullmatch(r"\{[^}]*\}", name)}  # `{energy}`: as the device says
    plain = {re.sub(r"\{[^}]*\}", "2", name) for name in named}
    assert sorted(name for name in plain if shown.point_name(name) == name) == []
    assert shown.point_name("energy_2") == "电能 2"
    assert shown.point_name("something_else") == "something else"


@pytest.mark.parametrize(
    ("detail", "said"),
    [
        ("no profile reads this topic", ""),
        ("1000000 bytes, at most 262144 are read", "1\u2009000\u2009000 字节，最多读取 262\u2009144"),
        ("not UTF-8 at byte 0", "第 0 字节起不是 UTF-8"),
        ("JSON text expected", "应为 JSON 文本"),
        ("acme/x1: no layout reads this message", "型号 acme/x1 没有对应的格式"),
        ("a maker's own words", "a maker's own words"),
        ("unknown type 67 at byte 5", "第 5 字节：未知类型 67"),
        ("acme/x1: unknown type 03 67 at byte 5", "规约 acme/x1 不能读取：第 5 字节：未知类型 03 67"),
        ("volume: 4 bytes wanted at byte 2, 1 left", "volume：第 2 字节起需要 4 字节，只剩 1"),
        (
            "crc16_modbus of bytes 0 to 6 is 0x1, the message says 2",
            "crc16_modbus 校验不符：第 0 至 6 字节算得 0x1，报文中为 2",
        ),
        ("BCD number at byte 9: 1a has the digit A", "第 9 字节，BCD number：1a has the digit A"),
        ("acme/x1: a == b does not hold", "规约 acme/x1 不能读取：条件不成立：a == b"),
        ("acme/x1: not today", "规约 acme/x1 不能读取：not today"),
    ],
)
def test_why_a_message_could_not_be_read(shown: Presenter, detail: str, said: str) -> None:
    assert trail.detail_text(shown, detail) == said


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("is missing", "缺少此字段"),
        ("is missing: the register to start from", "缺少此字段：the register to start from"),
        ("unknown field; did you mean 'unit'?", "没有这个字段，是否应为“unit”？"),
        ("unknown field; known: a, b", "没有这个字段，可用：a, b"),
        ("'tonk' is not one of tank, pump; did you mean 'tank'?", "不能是 'tonk'，是否应为“tank”？"),
        ("another one", "another one"),
    ],
)
def test_a_mistake_in_a_profile_is_told_in_the_language_of_the_page(
    shown: Presenter, message: str, said: str
) -> None:
    assert trail.mistake_text(shown, message) == said


@pytest.mark.parametrize(
    ("kind", "device", "detail", "said"),
    [
        ("late", "A-E1", "flow", "流量"),
        ("conflict", "A-E1", "A-E1/flow at 1795698764266: 1.0 and 2.0", "流量 · 11月26日 21:12 · 1.0 / 2.0"),
        ("out_of_range", "A-E1", "temperature: 9000", "温度: 9000"),
        (
            "out_of_range",
            "A-E1",
            "volume: 1e+17 is more steps than a register holds",
            "累计量: 超出表底位数：1e+17",
        ),
        ("unknown_code", "A-E1", "door: half open", "门: half open"),
        ("malformed", "A-E1", "volume: list where a number is expected", "累计量: 此处应为数值"),
        ("malformed", "A-E1", "flow: 'maybe' is no number", "流量: 不是数值：'maybe'"),
        ("malformed", "A-E1", "flow: inf is no finite number", "流量: 不是数值：inf"),
        ("malformed", "A-E1", "power: unit 'm3' is none of power", "功率: 单位不符：'m3'"),
        ("malformed", "", "a/b: no profile reads this topic", "a/b"),
        ("malformed", "", "a/b: not UTF-8 at byte 3", "a/b · 第 3 字节起不是 UTF-8"),
        ("unknown_device", "77", "w/77: 77", "w/77"),
        ("duplicate", "A-E1", "3 of its messages had come before", "3 条报文此前已收到"),
        (
            "point_silent",
            "A-E1",
            "energy since 2026-11-26T13:12:44Z (+2); read: flow, temperature",
            "电能，最后读数 11月26日 21:12，另有 2 个。仍有读数：流量；温度。"
            "请核对新固件是否改了字段名：把原始报文与规约对照。",
        ),
    ],
)
def test_a_finding_names_points_and_times(
    shown: Presenter, kind: str, device: str, detail: str, said: str
) -> None:
    assert trail.finding_text(shown, FindingRow(kind, device, 0, 0, 1, detail)) == said


def test_every_action_of_the_audit_trail_is_told_in_words(shown: Presenter) -> None:
    actions = literals(r'audit\(\s*[\w.]+, now, [^")]*"(\w+(?:\.\w+)*)"', "flows", "api")
    actions |= {"alarm.acknowledge", "ticket.dispatch", "device.remove", "occurrence.done", "person.password"}
    actions |= literals(r'self\._change\(\w+, "(\w+\.\w+)"', "flows")  # of addresses that are not ours
    assert {"login.failed", "reads.freeze", "token.new", "meter.exchange"} <= actions
    assert sorted(a for a in actions if trail.action_text(shown, a) == a) == []
    assert trail.action_text(shown, "never.heard") == "never.heard"


def test_an_audit_row_shows_no_code_and_no_iso_time(shown: Presenter) -> None:
    row = trail.audit_row(
        shown, AuditRow(1, SITE, 0, "system", "reads.freeze", "2026-11-01T00:00:00+08:00", "1455")
    )
    assert (row["actor"], row["action"], row["target"], row["detail"]) == (
        "系统", "期末读数冻结", "2026-11-01 00:00", "1\u2009455 条",
    )  # fmt: skip
    row = trail.audit_row(shown, AuditRow(2, SITE, 0, "duty", "alarm.note", "3", "valve <b>shut</b>"))
    assert (row["action"], row["target"], row["detail"]) == ("报警 · 记事", "#3", "valve <b>shut</b>")
    row = trail.audit_row(shown, AuditRow(3, SITE, 0, "a", "person.put", "x", "operator"))
    assert row["detail"] == "值班员"


def test_floors_sort_as_people_count() -> None:
    assert sorted(["A/10/1001", "A/2/0201", "A/1/0102", "A/1/0101"], key=natural) == [
        "A/1/0101", "A/1/0102", "A/2/0201", "A/10/1001",
    ]  # fmt: skip


@pytest.mark.parametrize("actor", ["command line", "token:commands-Vl-2S7ra"])
def test_commands_of_this_machine_have_one_name(shown: Presenter, actor: str) -> None:
    assert shown.actor(actor) == "命令行"
