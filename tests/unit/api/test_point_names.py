"""Names of points are words in both languages, put together in the order of each."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dutyroom.api.point_names import phrases, point_name
from dutyroom.api.words import LANGUAGES, Words, read_catalogue
from dutyroom.model.telemetry import Kind, PointSpec
from dutyroom.timebase import zone

PROFILES = Path(__file__).parents[3] / "device_profiles"
CATALOGUE = read_catalogue()
ZH, EN = (Words(language, CATALOGUE, zone("Asia/Shanghai")) for language in LANGUAGES)
FAMILIES = ("point_word.", "point_of.", "point_at.")
# What the M-Bus codecs and those of other meters name after a record, whichever meter sends it: no profile has to say it.
GENERAL = {
    "volume_subunit1", "pressure_rms", "settlement_2_volume", "energy_forward", "energy_absolute",
    "volume_february", "volume_march", "volume_april", "volume_may", "volume_june", "volume_july", "volume_august",
    "volume_september", "volume_october", "volume_november", "return_temperature_max", "return_temperature_min",
    "external_temperature_max", "external_temperature_min", "water_temperature_max", "temperature_max", "temperature_min",
}  # fmt: skip


def nodes(node: object) -> Iterator[dict[object, object]]:
    if isinstance(node, dict):
        yield node
    for part in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from nodes(part)


def shipped() -> tuple[set[str], set[str]]:
    """Names of points and events in all profiles, with 2 for what the device says (`{energy}` is all its own), and
    the names in the examples, among them those that devices chose."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    names: set[str] = set()
    expected: set[str] = set()
    for file in PROFILES.rglob("*.yaml"):
        for node in nodes(yaml.load(file.read_text("utf-8"), loader)):
            points, events, expect = (node.get(key) for key in ("points", "events", "expect"))
            names |= {str(name) for name in points} if isinstance(points, dict) else set()
            if isinstance(events, dict):
                names |= {str(n) for n, rule in events.items() if isinstance(rule, dict) and "code" in rule}
            for told in expect.values() if isinstance(expect, dict) else ():
                expected |= {str(name) for name in told} if isinstance(told, dict) else set()
    ours = {re.sub(r"\{[^}]*\}", "2", name) for name in names if not re.fullmatch(r"\{[^}]*\}", name)}
    return ours, expected


DECLARED, EXPECTED = shipped()


@pytest.mark.parametrize(
    ("name", "zh", "en"),
    [
        ("power_factor", "功率因数", "Power factor"),
        ("voltage_a", "A 相电压", "Voltage, phase A"),
        ("voltage_ab", "AB 线电压", "Voltage A–B"),
        ("current_l3", "L3 电流", "Current L3"),
        ("mains_power_factor_lagging_l1", "市电 L1 功率因数滞后", "Mains power factor lagging L1"),
        ("energy_import_t1", "费率 1 正向有功电能", "Imported energy, tariff 1"),
        ("exported_energy_tariff2", "费率 2 反向有功电能", "Exported energy, tariff 2"),
        ("negative_reactive_energy_c", "C 相反向无功电能", "Negative reactive energy, phase C"),
        ("current_chn1_max", "通道 1 最大电流", "Maximum current, channel 1"),
        ("max_demand_l2", "L2 最大需量", "Maximum demand L2"),
        ("peak_voltage_min", "最小峰值电压", "Minimum peak voltage"),
        ("acceleration_x_rms", "X 轴加速度有效值", "Acceleration RMS X"),
        ("velocity_x_f2", "X 轴振动速度 2 倍频", "Vibration velocity X, harmonic 2"),
        ("settlement_1_volume", "上 1 结算日累计量", "Volume at settlement 1"),
        ("settlement_reverse_energy", "结算日反向有功电能", "Reverse energy at settlement"),
        ("daily_energy", "日冻结电能", "Energy at midnight"),
        ("energy_at_target", "结算日电能", "Energy at the due date"),
        ("volume_storage1_back2", "历史值 1 前 2 期累计量", "Volume, stored value 1, period −2"),
        ("power_max_last_month", "上月最大功率", "Maximum power, last month"),
        ("volume_january", "1 月累计量", "Volume, January"),
        ("average_temperature_1h", "近 1 小时平均温度", "Average temperature, last hour"),
        ("active_energy_s1_c11", "插口 1 通道 11 有功电能", "Active energy, socket 1, channel 11"),
        ("part_2.17_alarm", "部件 2.17 报警", "Alarm, part 2.17"),
        ("line_3_total_in", "计数线 3 累计进入人数", "Total people in, line 3"),
        ("valve_1_pulse", "阀门 1 脉冲", "Pulses, valve 1"),
        ("channel_2", "通道 2", "Channel 2"),
        ("door_open_3", "3 号门开", "Door 3 open"),
        ("pulses_2", "脉冲 2", "Pulses 2"),
        ("pressure_1_alarm", "压力 1 报警", "Pressure 1 alarm"),
        ("pm2_5_count", "PM2.5 颗粒数", "PM2.5 particles"),
        ("co2_alarm", "CO₂ 报警", "CO₂ alarm"),
        ("total_fuel_fine", "总油耗（高精度）", "Total fuel used, high resolution"),
        ("humidity_low", "最低湿度", "Lowest humidity"),
        ("battery_low", "低电量", "Battery low"),
        ("distance_25", "距离 25% 分位", "Distance, 25th percentile"),
        ("mains", "主电", "Mains"),
        ("max", "最大", "Maximum"),
        # A site's own profile, a device's own names.
        ("brine_temperature", "Brine 温度", "Brine temperature"),
        ("temperature_brine_2_max", "最大温度 brine 2", "Maximum temperature brine 2"),
        ("brine_sluice", "brine sluice", "brine sluice"),
        ("tag0", "tag0", "tag0"),
        ("Energy/Total", "Energy/Total", "Energy/Total"),
        ("em1:0.voltage", "em1:0.voltage", "em1:0.voltage"),
        ("data.battery_voltage", "data.battery_voltage", "data.battery_voltage"),
        ("_", "_", "_"),
        ("", "", ""),
    ],
)  # fmt: skip
def test_a_name_is_put_together_as_each_language_says_it(name: str, zh: str, en: str) -> None:
    assert (point_name(ZH, name), point_name(EN, name)) == (zh, en)


@pytest.mark.parametrize(
    ("name", "unit", "kind", "zh"),
    [
        ("speed", "1/min", Kind.GAUGE, "转速"),
        ("speed", "m/s", Kind.GAUGE, "速度"),
        ("temperature_high", "degC", Kind.GAUGE, "最高温度"),
        ("temperature_high", "", Kind.STATE, "高温"),
    ],
)
def test_unit_and_kind_tell_two_meanings_apart(name: str, unit: str, kind: Kind, zh: str) -> None:
    assert point_name(ZH, name, PointSpec(name, unit=unit, kind=kind)) == zh


def test_every_word_of_a_shipped_profile_is_known() -> None:
    left = {name for name in DECLARED if f"point.{name}" not in CATALOGUE["en"]}
    composed = {name: point_name(ZH, name) for name in left}
    assert len(composed) > 700
    latin = re.compile(
        r"(?<![A-Z])[a-z]{2,}"
    )  # what is left of English; PM, VOC and CO₂ are said so in Chinese too
    assert {
        name: said
        for name, said in composed.items()
        if latin.search(said.replace("Modbus", "").replace("Wi-Fi", ""))
    } == {}
    assert [name for name, said in composed.items() if "_" in said or "{" in said] == []


def test_english_names_begin_with_a_capital() -> None:
    assert [name for name in DECLARED if point_name(EN, name)[0].islower()] == []


def test_every_word_of_the_list_is_used() -> None:
    names = DECLARED | EXPECTED | GENERAL
    used = {key for name in names for key in phrases(EN, name)}
    listed = {key for key in CATALOGUE["en"] if key.startswith(FAMILIES)}
    assert sorted(listed - used) == []
    own = {
        key.removeprefix("point.").partition("@")[0] for key in CATALOGUE["en"] if key.startswith("point.")
    }
    assert sorted(own - DECLARED) == []


def test_a_phrase_belongs_to_one_family() -> None:
    listed = [key.partition(".")[2] for key in CATALOGUE["en"] if key.startswith(FAMILIES)]
    assert len(listed) == len(set(listed))
    for language in LANGUAGES:
        for key, text in CATALOGUE[language].items():
            if key.startswith(FAMILIES):
                assert ("{said}" in text) == (not key.startswith("point_word.")), key
                assert ("{n}" in text) == ("#" in key), key


@given(st.text(max_size=80) | st.from_regex(r"[a-z0-9_.]{0,80}", fullmatch=True))
def test_any_name_has_a_name(name: str) -> None:
    assert isinstance(point_name(ZH, name), str)
    assert "_" not in point_name(EN, name) or not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name)


def test_a_long_name_takes_no_time() -> None:
    begun = time.process_time()
    point_name(ZH, "_".join(["a1"] * 5000))
    assert time.process_time() - begun < 2
