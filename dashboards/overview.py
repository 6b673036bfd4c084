"""The dashboard of a site at a glance."""

from __future__ import annotations

from dashboards.form import Board, Panel, Text, Variable
from dashboards.own import figure, minute, open_now, standing
from dashboards.queries import DETAIL, READING, hourly, meters_of, now, site_of, total

MAINS: Text = (
    "只计总表（其上没有同类表的表），分表不重复相加。换表或翻转的表不计入，收费以账单为准。",
    "Of the meters that no other one stands above, so nothing is counted twice. Meters exchanged or wrapped in the "
    "range are left out; bills are made elsewhere.",
)
SUPPLY: Text = ("进线", "Supply")
METERS: Text = ("电表", "Meters")


def mains(name: str, label: Text, measurement: str) -> Variable:
    return Variable(name, label, meters_of(measurement, "top"), several=True, hidden=True)


def of_mains(name: str) -> str:
    return f'{READING} AND "device" =~ /^${name}$/ AND $timeFilter'


OVERVIEW = Board(
    "dutyroom-overview",
    ("项目总览", "Site overview"),
    [
        site_of("dutyroom_data"),
        mains("water", ("总水表", "Water mains"), "water_meter"),
        mains("electricity", ("总电表", "Electricity mains"), "electricity_meter"),
        mains("gas", ("总燃气表", "Gas mains"), "gas_meter"),
        mains("feeders", ("进线", "Supplies"), "feeder"),
        DETAIL,
    ],
    [
        figure(("未恢复报警", "Alarms standing"), open_now("sum", "standing"), limits=[(1, "red")]),
        figure(("未确认报警", "Not acknowledged"), open_now("sum", "unacknowledged"), limits=[(1, "yellow")]),
        figure(("用水", "Water"), total("water_meter", "volume", of_mains("water")), "m3", decimals=1, description=MAINS),
        Panel(
            ("用电", "Electricity"), "stat", "kwatth",
            [
                (total("feeder", "energy", of_mains("feeders")), SUPPLY),
                (total("electricity_meter", "energy", of_mains("electricity")), METERS),
            ],
            "", 4, 4, decimals=0, description=MAINS,
        ),
        figure(("用气", "Gas"), total("gas_meter", "volume", of_mains("gas")), "m3", decimals=1, description=MAINS),
        figure(("进线功率", "Power of the supply"), now("sum", "feeder", "power", of_mains("feeders")), "kwatt", decimals=1),
        figure(("困人电梯", "Elevators with people trapped"), now("sum", "elevator", "trapped"), limits=[(1, "red")]),
        figure(("火警主机报警", "Fire panels in alarm"), now("sum", "fire_panel", "alarm"), limits=[(1, "red")]),
        figure(("最低液位", "Lowest tank"), now("min", "tank", "level"), "lengthm", decimals=2),
        figure(("强行开门", "Doors forced"), now("sum", "gate", "door_forced"), limits=[(1, "red")]),
        figure(("运行的发电机", "Generators running"), now("sum", "generator", "running"), limits=[(1, "yellow")]),
        figure(("在线网关", "Gateways on line"), now("sum", "gateway", "online")),
        Panel(("未恢复报警（按级别）", "Alarms standing by priority"), "steps", "none", [standing("standing")], "", stacked=True),
        Panel(
            ("数据延迟", "How far the data lag"),
            "timeseries",
            "s",
            [minute("max", "lag_s")],
            "",
            description=(
                "最旧的、尚未写入存储或尚未判断的批次等待了多久。",
                "How long the oldest batch has waited that is not stored or not judged.",
            ),
        ),
        Panel(
            ("每小时用水", "Water each hour"), "bars", "m3", [hourly("water_meter", "volume", of_mains("water"))], "", 8,
            description=MAINS,
        ),
        Panel(
            ("每小时用电", "Electricity each hour"), "bars", "kwatth",
            [
                (hourly("feeder", "energy", of_mains("feeders")), SUPPLY),
                (hourly("electricity_meter", "energy", of_mains("electricity")), METERS),
            ],
            "", 8, description=MAINS,
        ),
        Panel(
            ("每小时用气", "Gas each hour"), "bars", "m3", [hourly("gas_meter", "volume", of_mains("gas"))], "", 8,
            description=MAINS,
        ),
    ],
)  # fmt: skip
