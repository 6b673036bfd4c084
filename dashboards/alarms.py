"""The dashboard of how alarms behave, after ISA-18.2 and EEMUA 191."""

# ruff: noqa: S608 - nothing here is asked by a stranger
from __future__ import annotations

from dashboards.form import Board, Panel, Text, Variable
from dashboards.own import BUSY, EACH_PRIORITY, FLOOD, figure, open_now, standing
from dashboards.queries import OURS, device_of, site_of, tag_values

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
        f'SELECT count("alarm_id") AS "n" FROM "dutyroom_alarm" WHERE "event" = \'raise\' AND {ALARM} '
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
            "", 8, 10, columns=[*WHO, ("top", ("时长", "Duration"))],
        ),
        Panel(
            ("最近的报警记录", "Latest transitions"), "table", "none",
            [
                'SELECT "alarm_id", "device", "rule", "priority", "event", "state" FROM "dutyroom_alarm" '
                f"WHERE {ALARM} ORDER BY time DESC LIMIT 100"
            ],
            "", 24, 10,
            columns=[
                ("Time", ("时间", "Time")),
                *WHO,
                ("priority", ("级别", "Priority")),
                ("event", ("事件", "Event")),
                ("state", ("之后状态", "State after it")),
                ("alarm_id", ("报警号", "Alarm")),
            ],
        ),
    ],
)  # fmt: skip
