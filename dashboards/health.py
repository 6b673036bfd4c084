"""The dashboard of what becomes of data."""

# ruff: noqa: S608 - nothing here is asked by a stranger
from __future__ import annotations

from dashboards.form import ONLINE, Board, Panel, Query, Text
from dashboards.own import BUSY, FLOOD, minute
from dashboards.queries import OF_SITE, OURS, last, plain, source

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
        Panel(
            ("今日完整率", "Completeness of the day so far"), "timeseries", "percent", [minute("last", "complete")], "", 8,
            description=("收到的读数与应到读数之比。", "Readings that came, of those that were due."),
        ),
        Panel(
            ("缺读数的设备", "Devices that lack readings"), "steps", "short", [minute("last", "incomplete")], "", 8,
            description=("今日完整率低于 95 %。", "Below 95 % of what was due on the day so far."),
        ),
        Panel(
            ("时钟不准的设备", "Devices with wrong clocks"), "steps", "short", [minute("last", "odd_clocks")], "", 8,
            description=("偏差超过 5 分钟或明显错误。", "Off by more than 5 minutes, or not plausible at all."),
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
