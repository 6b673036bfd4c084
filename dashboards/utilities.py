"""The dashboards of the utilities: what their devices say."""

# ruff: noqa: S608 - nothing here is asked by a stranger
from __future__ import annotations

from typing import Any

from dashboards.form import FAULT, LOST, MODE, OFF_ON, OPEN, QUIET_ALARM, SOURCES, Board, Panel, States, Text
from dashboards.queries import (
    OF_SITE,
    SUM,
    WHERE,
    hourly,
    last,
    mean,
    metered,
    newest,
    plain,
    source,
    together,
    top,
    total,
)


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
            ("用量前十", "Ten largest users"),
            "table",
            unit,
            [top(measurement, name)],
            "",
            8,
            10,
            decimals=2,
            columns=[("device", ("表计", "Meter")), ("top", ("用量", "Used"))],
        ),
    ]


def states(title: Text, measurement: str, name: str, texts: States, **more: Any) -> Panel:
    return Panel(title, "state-timeline", "none", [last(measurement, name)], states=texts, **more)


def lines(title: Text, measurement: str, name: str, unit: str, **more: Any) -> Panel:
    return Panel(title, "timeseries", unit, [mean(measurement, name)], **more)


UTILITIES = (
    Board(
        "dutyroom-water",
        ("用水", "Water"),
        metered("water_meter"),
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
        metered("electricity_meter"),
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
        metered("gas_meter"),
        [
            *meters("gas_meter", "volume", "m3"),
            Panel(
                ("最低电池电压", "Lowest battery voltage"),
                "timeseries",
                "volt",
                [
                    f'SELECT min("battery") FROM {source("gas_meter")} WHERE {WHERE} GROUP BY time($__interval) fill(none)'
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
        plain("elevator"),
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
        plain("fire_panel"),
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
        plain("tank"),
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
        plain("gate"),
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
        plain("generator"),
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
)
