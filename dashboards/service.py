"""The dashboards that go across utilities: the site at a glance, how alarms behave, what becomes of data."""

# ruff: noqa: S608 - nothing here is asked by a stranger
from __future__ import annotations

from dashboards.form import ONLINE, Board, Panel, Query, Text, Variable
from dashboards.queries import (
    DETAIL,
    OF_SITE,
    OURS,
    READING,
    device_of,
    hourly,
    last,
    meters_of,
    now,
    plain,
    site_of,
    source,
    tag_values,
    total,
)

MAINS: Text = (
    "只计总表（其上没有同类表的表），分表不重复相加。换表或翻转的表不计入，收费以账单为准。",
    "Of the meters that no other one stands above, so nothing is counted twice. Meters exchanged or wrapped in the "
    "range are left out; bills are made elsewhere.",
)
EACH_PRIORITY: Text = ("级别 $tag_priority", "Priority $tag_priority")
BUSY, FLOOD = "yellow", "red"
SUPPLY: Text = ("进线", "Supply")
METERS: Text = ("电表", "Meters")


def mains(name: str, label: Text, measurement: str) -> Variable:
    return Variable(name, label, meters_of(measurement, "top"), several=True, hidden=True)


def of_mains(name: str) -> str:
    return f'{READING} AND "device" =~ /^${name}$/ AND $timeFilter'


def figure(title: Text, query: str, unit: str = "none", **more: object) -> Panel:
    return Panel(title, "stat", unit, [query], "", 4, 4, **more)  # type: ignore[arg-type]


# ---------------------------------------------------------------- the site

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

# ---------------------------------------------------------------- alarms

ALARM = '"device" =~ /^$device$/ AND "priority" =~ /^$priority$/ AND ' + OURS


def rang(width: str, more: str = "") -> str:
    """How many alarms called for a person in each period."""
    return (
        f'SELECT sum("rang") AS "n" FROM "dutyroom_alarm" WHERE {ALARM} GROUP BY time({width}){more} fill(0)'
    )


def over(function: str, query: str) -> str:
    return f'SELECT {function}("n") FROM ({query}) WHERE $timeFilter'


def acknowledged(select: str) -> str:
    return f'SELECT {select} FROM "dutyroom_alarm" WHERE "event" = \'acknowledge\' AND {ALARM}'


def most(count: str, width: str = "") -> str:
    """The ten rules on a device that were raised most often: in the range, or within one period of it."""
    period = f"time({width}), " if width else ""
    each = (
        f'SELECT count("alarm") AS "n" FROM "dutyroom_alarm" WHERE "event" = \'raise\' AND {ALARM} '
        f'GROUP BY {period}"device", "rule"'
    )
    return f'SELECT top("n", "device", "rule", {count}) FROM ({each}) WHERE $timeFilter'


WHO: list[tuple[str, Text]] = [("device", ("设备", "Device")), ("rule", ("规则", "Rule"))]
TOP: list[tuple[str, Text]] = [*WHO, ("top", ("次数", "Times"))]

ALARMS = Board(
    "dutyroom-alarms",
    ("报警绩效", "Alarm performance"),
    [
        site_of("dutyroom_standing"),
        device_of("dutyroom_alarm"),
        Variable(
            "priority",
            ("级别", "Priority"),
            tag_values("dutyroom_alarm", "priority", '"site" =~ /^$site$/'),
            several=True,
            anything=True,
        ),
    ],
    [
        figure(
            ("平均每 10 分钟", "Mean in 10 minutes"),
            over("mean", rang("10m")),
            decimals=2,
            limits=[(1, BUSY), (10, FLOOD)],
            description=(
                "EEMUA 191：每 10 分钟不足 1 条为可接受，多于 10 条为泛滥。只计需要人处理的报警。",
                "EEMUA 191: below 1 is acceptable, above 10 is a flood. Alarms that called for a person.",
            ),
        ),
        figure(
            ("最多 10 分钟内", "Most in 10 minutes"), over("max", rang("10m")), limits=[(10, FLOOD)],
        ),
        figure(("平均每小时", "Mean in an hour"), over("mean", rang("1h")), decimals=1, limits=[(6, BUSY), (12, FLOOD)]),
        figure(
            ("10 分钟内确认", "Acknowledged within 10 min"),
            acknowledged('mean("prompt") * 100'),
            "percent",
            decimals=0,
            none=("无确认", "None"),
        ),
        figure(
            ("确认用时（中位）", "Time to acknowledge, median"),
            acknowledged('percentile("waited_s", 50)'),
            "s",
            none=("无确认", "None"),
        ),
        figure(
            ("超过 24 h 未恢复", "Standing for more than 24 h"),
            open_now("sum", "stale"),
            limits=[(1, BUSY), (5, FLOOD)],
            description=("ISA-18.2：陈旧报警应少于 5 条。", "ISA-18.2: fewer than 5 stale alarms on any day."),
        ),
        Panel(
            ("每 10 分钟报警数", "Alarms in 10 minutes"), "bars", "none", [rang("10m")], "", limits=[(10, FLOOD)],
            description=("虚线：10 条，泛滥的界限。", "The line at 10: a flood."),
        ),
        Panel(
            ("每小时报警数（按级别）", "Alarms in an hour by priority"), "bars", "none",
            [(rang("1h", ', "priority"'), EACH_PRIORITY)], "", stacked=True,
        ),
        Panel(
            ("未恢复", "Standing"), "steps", "none", [standing("standing")], "", 8, stacked=True,
        ),
        Panel(
            ("未确认", "Not acknowledged"), "steps", "none", [standing("unacknowledged")], "", 8, stacked=True,
        ),
        Panel(
            ("搁置、抑制与停用", "Shelved, suppressed, out of service"), "steps", "none",
            [
                (
                    f'SELECT max("{name}") FROM "dutyroom_standing" WHERE {OURS} '
                    'GROUP BY time($__interval), "priority" fill(none)',
                    (f"{zh} $tag_priority", f"{en} $tag_priority"),
                )
                for name, zh, en in (
                    ("shelved", "搁置", "Shelved"),
                    ("suppressed", "抑制", "Suppressed"),
                    ("out_of_service", "停用", "Out of service"),
                )
            ],
            "", 8, stacked=True,
        ),
        Panel(("最常发生的报警", "Most frequent alarms"), "table", "none", [most("10")], "", 8, 10, columns=TOP),
        Panel(
            ("抖动的报警", "Chattering alarms"), "table", "none", [most("10", "1m")], "", 8, 10, columns=TOP,
            description=(
                "一分钟内最多触发次数；ISA-18.2 称每分钟 3 次以上为抖动。",
                "The most raises within one minute; ISA-18.2 calls 3 or more chattering.",
            ),
        ),
        Panel(
            ("持续最久", "Stood longest"), "table", "s",
            [
                'SELECT top("s", "device", "rule", 10) FROM (SELECT max("stood_s") AS "s" FROM "dutyroom_alarm" '
                f'WHERE "event" = \'clear\' AND {ALARM} GROUP BY "device", "rule")'
            ],
            "", 8, 10, columns=[*WHO, ("top", ("时长", "Time"))],
        ),
        Panel(
            ("最近的报警记录", "Latest transitions"), "table", "none",
            [
                'SELECT "alarm", "device", "rule", "priority", "event", "state" FROM "dutyroom_alarm" '
                f"WHERE {ALARM} ORDER BY time DESC LIMIT 100"
            ],
            "", 24, 10,
            columns=[
                ("Time", ("时间", "Time")),
                *WHO,
                ("priority", ("级别", "Priority")),
                ("event", ("事件", "Event")),
                ("state", ("之后状态", "State after it")),
                ("alarm", ("报警号", "Alarm")),
            ],
        ),
    ],
)  # fmt: skip

# ---------------------------------------------------------------- data

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
        f'SELECT count("{name}{suffix}") FROM {source(measurement)} WHERE {condition.format(name)}{OF_SITE} '
        "GROUP BY time($__interval) fill(none)"
        for measurement, name in CLASSES.items()
    ]


def outcomes(*named: tuple[str, Text]) -> list[Query]:
    """Of the ledger, by receive hour."""
    return [
        (
            f'SELECT last("{name}") FROM "dutyroom_ledger" WHERE {OURS} GROUP BY time(1h) fill(none)',
            text,
        )
        for name, text in named
    ]


def minutes(function: str, *named: tuple[str, Text]) -> list[Query]:
    return [(minute(function, name), text) for name, text in named]


DATA = Board(
    "dutyroom-data",
    ("数据健康", "Data health"),
    plain("gateway"),
    [
        Panel(
            ("消息（按接收小时）", "Messages by receive hour"), "bars", "short",
            outcomes(
                ("decoded", ("已解码", "Decoded")),
                ("ignored", ("忽略", "Ignored")),
                ("quarantined", ("隔离", "Quarantined")),
            ),
            "", stacked=True,
            description=("三项之和等于收到的消息。", "Together they are what was received."),
        ),
        Panel(
            ("读数去向（按接收小时）", "Readings by receive hour"), "bars", "short",
            outcomes(
                ("stored", ("已存", "Stored")),
                ("duplicate", ("重复", "Duplicate")),
                ("conflict", ("冲突", "Conflict")),
                ("waiting", ("等待", "Waiting")),
            ),
            "", stacked=True,
            description=("台账：每个读数都有去向。", "The ledger: every reading has an outcome."),
        ),
        Panel(
            ("每分钟消息", "Messages a minute"), "timeseries", "short",
            minutes(
                "mean",
                ("received", ("收到", "Received")),
                ("decoded", ("已解码", "Decoded")),
                ("quarantined", ("隔离", "Quarantined")),
            ),
            "", 8,
        ),
        Panel(
            ("等待的批次", "Batches that wait"), "timeseries", "short",
            minutes("max", ("pending", ("待存", "For the store")), ("unjudged", ("待判断", "For the rules"))), "", 8,
        ),
        Panel(("延迟", "Lag"), "timeseries", "s", [minute("max", "lag_s")], "", 8),
        Panel(
            ("探测消息用时", "The canary's way"), "timeseries", "s", [minute("max", "canary_s")], "", 8,
            limits=[(60, FLOOD)],
            description=(
                "每分钟自发一条消息，从代理到存储所用的时间；中断表示没有返回。",
                "A message of our own each minute, from the broker to the store; a gap: none came back.",
            ),
        ),
        Panel(
            ("日志占用", "Journal, of its bound"), "timeseries", "percent", [minute("max", "spool")], "", 8,
            limits=[(70, BUSY), (90, FLOOD)],
            description=("70 % 与 90 % 时告警。", "It warns at 70 and 90 %."),
        ),
        Panel(
            ("缺号与拒存", "Gaps and refusals"), "bars", "short",
            outcomes(
                ("gaps", ("缺失的消息", "Messages that never came")),
                ("refused", ("存储拒绝的读数", "Readings that the store refuses")),
                ("conflict", ("冲突的读数", "Readings in conflict")),
            ),
            "", 8,
        ),
        Panel(("隔离区消息", "Messages in quarantine"), "steps", "short", [minute("last", "quarantine")], "", 8),
        Panel(
            ("24 h 内有问题的设备", "Devices with findings within 24 h"), "steps", "short",
            [
                (
                    f'SELECT last("devices") FROM "dutyroom_finding" WHERE {OURS} '
                    'GROUP BY time($__interval), "kind" fill(none)',
                    "$tag_kind",
                )
            ],
            "", 16,
        ),
        Panel(("网关", "Gateways"), "state-timeline", "none", [last("gateway", "online")], states=ONLINE, width=24),
        Panel(
            ("读数数量", "Readings stored"), "bars", "short", counts(), "$m", 24,
            description=("每类设备取一个测点计数。", "One point of each class of device is counted."),
        ),
        Panel(
            ("质量不佳的读数", "Readings of lesser quality"), "bars", "short", counts("_q", '"{}_q" > 0 AND '), "$m", 24,
        ),
    ],
)  # fmt: skip

SERVICE = (OVERVIEW, ALARMS, DATA)
