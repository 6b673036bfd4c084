"""Outbox rows in words, in both languages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dutyroom.api.messages import renderer
from dutyroom.api.room import Room
from dutyroom.api.words import read_catalogue
from dutyroom.backends.passwords import Passwords
from dutyroom.backends.records_sql import open_records
from dutyroom.errors import Rejected
from dutyroom.flows.live import Live
from dutyroom.flows.notify import Render
from dutyroom.flows.run import SiteRuntime
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import DeviceClass, Kind, Label, Point, PointSpec, PointTable
from dutyroom.rules.spec import parse_rules
from dutyroom.site import Site, Space
from dutyroom.timebase import from_iso

NOW = from_iso("2026-11-01T08:30:00+08:00")


class Still:
    def now(self) -> int:
        return NOW


def lift_codes() -> PointTable:
    """Of a lift whose maker gives words for three codes: in both languages, in one, and as a key."""
    labels: dict[int, Label] = {
        0: "value.state.none",
        36: {"zh-CN": "运行接触器反馈异常", "en": "Run contactor feedback"},
        41: {"de": "Sicherheitskreis offen"},
        42: "Door lock",
    }
    table = PointTable()
    spec = PointSpec("fault_code", kind=Kind.STATE, labels=labels)
    table.add(Point(1, "s", "lift-1", DeviceClass.ELEVATOR, "A", spec))
    return table


@pytest.fixture
def render(tmp_path: Path) -> Iterator[Render]:
    records: Any = open_records(f"sqlite:///{tmp_path}/records.sqlite")
    with records.write() as tx:
        riser = Device("s", "riser-a", "1号立管水表", "water_meter", "v/m", "1", "A/12")
        tx.devices.upsert([replace(riser, parameters={"name_en": "Riser meter 1"})])
        tx.devices.upsert([Device("s", "lift-1", "1号梯", "elevator", "v/l", "2", "A")])
    spaces = {
        "A": Space("A", "building", {"zh-CN": "A栋", "en": "Building A"}),
        "A/12": Space("A/12", "zone", {"zh-CN": "12层", "en": "Floor 12"}),
    }
    rules = parse_rules("rules: []\n", "rules.yaml")
    site = Site("s", {"zh-CN": "临江苑", "en": "Riverside"}, "Asia/Shanghai", spaces=spaces, rules=rules)
    nothing: Any = None
    runtime = SiteRuntime(site, lift_codes(), Live(), nothing, nothing, records, Still())
    room = Room({"s": runtime}, records, Still(), Passwords(), read_catalogue(), {})
    yield renderer(room)
    records.close()


ALARM = {
    "object": "riser-a",
    "name": "1号立管水表",
    "space": "A/12",
    "unit": "m3/h",
    "value": 4.8,
    "limit": 3.0,
    "priority": 2,
    "ticket": "WO-000007",
    "at": NOW,
}


def test_an_alarm_names_site_what_priority_place_and_time(render: Render) -> None:
    title, body = render("s", "alarm.water.burst", ALARM, "en")
    assert title.startswith("Riverside: ")
    assert "{" not in title + body
    for said in ("Floor 12", "08:30", "Work order WO-000007, priority High"):
        assert said in body
    assert "Riser meter 1" in title  # its name in the reader's language
    assert "1. Close the valve of this riser or main" in body
    assert body.splitlines()[0][:40] in title


def test_the_same_in_chinese(render: Render) -> None:
    title, body = render("s", "alarm.water.burst", ALARM, "zh-CN")
    assert title.startswith("临江苑：")
    assert "{" not in title + body
    assert "A栋 12层" in body


def test_a_dispatch_says_what_for(render: Render) -> None:
    arguments = {**ALARM, "about": "alarm.water.burst", "number": "WO-000007", "by": "王工"}
    title, body = render("s", "message.dispatched", arguments, "zh-CN")
    assert "WO-000007" in title
    assert "王工派工给您" in body
    assert "1号立管水表" in body
    assert "1. 关闭该立管或总管阀门" in body
    assert "{" not in title + body


def test_a_dispatched_report_says_whom_to_call_and_names_no_device(render: Render) -> None:
    report = {"about": "ticket.report", "summary": "厨房漏水", "number": "WO-000008", "priority": 3}
    arguments = {**report, "by": "王工", "object": "", "space": "A/12", "reporter": "李女士 555-0100"}
    _, body = render("s", "message.dispatched", arguments, "zh-CN")
    assert body.splitlines() == [
        "王工派工给您：报修：厨房漏水",
        "工单 WO-000008，优先级：中",
        "位置：A栋 12层",
        "报修人：李女士 555-0100",
    ]


def test_what_else_the_device_said_stands_in_the_alarm(render: Render) -> None:
    arguments = {**ALARM, "also.1.alarm_detector": 17.0, "also.0.alarm_loop": 2.0}
    _, body = render("s", "alarm.fire.alarm", arguments, "en")
    assert body.splitlines()[0] == "Riser meter 1: fire alarm · Loop 2 · Detector 17"


@pytest.mark.parametrize(
    ("code", "language", "said"),
    [
        (36, "en", "1号梯: fault code 36: Run contactor feedback"),
        (36, "zh-CN", "1号梯：故障代码 36：运行接触器反馈异常"),
        (41, "zh-CN", "1号梯：故障代码 41：Sicherheitskreis offen"),
        (42, "en", "1号梯: fault code 42: Door lock"),
        (57, "en", "1号梯: fault code 57"),
        (57, "zh-CN", "1号梯：故障代码 57"),
    ],
)
def test_a_fault_code_is_said_with_its_makers_words(
    render: Render, code: int, language: str, said: str
) -> None:
    lift = {"object": "lift-1", "name": "1号梯", "space": "A", "priority": 3, "at": NOW, "code": code}
    _, body = render("s", "alarm.elevator.fault", lift, language)
    assert body.splitlines()[0] == said
    _, dispatched = render(
        "s", "message.dispatched", {**lift, "about": "alarm.elevator.fault", "by": "王工"}, language
    )
    assert said in dispatched


@pytest.mark.parametrize(
    ("language", "said"),
    [
        (
            "en",
            "A further detector reports: Riser meter 1: fire alarm · Loop 2 · 1 more: Loop 3 · Detector 5",
        ),
        ("zh-CN", "又有探测器报警：1号立管水表：火警 · 报警回路 2 · 另有 1 处：报警回路 3 · 报警点位 5"),
    ],
)
def test_a_second_detector_stands_behind_the_first(render: Render, language: str, said: str) -> None:
    further = {"more.001.0.alarm_loop": 3.0, "more.001.1.alarm_detector": 5.0, "further": True}
    _, body = render("s", "alarm.fire.alarm", {**ALARM, "also.0.alarm_loop": 2.0, **further}, language)
    assert body.splitlines()[0] == said


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "Times: 7 since 1 Nov 02:10"), ("zh-CN", "次数：自 11月1日 02:10 起共 7 次")],
)
def test_what_came_and_went_all_night_is_counted(render: Render, language: str, said: str) -> None:
    since = from_iso("2026-11-01T02:10:00+08:00")
    counted = {"times": 7, "since": since, "again": True}
    _, body = render("s", "alarm.fire.alarm", {**ALARM, **counted}, language)
    assert said in body.splitlines()


@pytest.mark.parametrize(
    ("language", "said"), [("en", "Nothing is wrong"), ("zh-CN", "一切正常"), ("", "一切正常")]
)
def test_a_test_message_in_the_readers_or_the_sites_language(
    render: Render, language: str, said: str
) -> None:
    title, body = render("s", "message.test", {"by": "王工"}, language)
    assert said in body
    assert "王工" in body
    assert "{" not in title + body


def test_an_unknown_key_is_shown_rather_than_lost(render: Render) -> None:
    assert render("s", "alarm.nobody.wrote", {}, "en") == (
        "Riverside: alarm.nobody.wrote",
        "alarm.nobody.wrote",
    )


def test_an_unknown_site_is_refused(render: Render) -> None:
    with pytest.raises(Rejected, match="not served here"):
        render("elsewhere", "message.test", {}, "en")


@pytest.mark.parametrize(
    ("language", "test", "again"),
    [("zh-CN", "【消防测试】", "再次报警："), ("en", "[FIRE TEST] ", "Once more: ")],
)
def test_a_message_says_that_it_is_of_a_test_or_comes_once_more(
    render: Render, language: str, test: str, again: str
) -> None:
    title, body = render("s", "alarm.water.burst", {**ALARM, "test": True}, language)
    assert body.startswith(test)
    assert test in title
    assert render("s", "alarm.water.burst", {**ALARM, "again": True}, language)[1].startswith(again)
    assert not render("s", "alarm.water.burst", ALARM, language)[1].startswith((test, again))
