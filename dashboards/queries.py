"""InfluxQL over the measurements that the service writes (docs/grafana.md), and the variables in it.

Readings are asked of `"$detail"`: the readings themselves, or the buckets of 5 minutes and of an hour that
`dutyroom influx setup` makes. These hold windows too, with the tag `agg`: hence `"agg" = ''`.
"""

# ruff: noqa: S608 - nothing here is asked by a stranger
from __future__ import annotations

from dashboards.form import Query, Text, Variable

READING = '"agg" = \'\' AND "site" =~ /^$site$/'
OF_SITE = f"{READING} AND $timeFilter"
WHERE = f'{READING} AND "device" =~ /^$device$/ AND $timeFilter'
OURS = '"site" =~ /^$site$/ AND $timeFilter'  # of what the service writes of itself

DETAIL = Variable(
    "detail",
    ("数据粒度", "Detail"),
    [
        ("autogen", ("全部读数", "Every reading")),
        ("5m", ("5 分钟", "5 minutes")),
        ("1h", ("1 小时", "1 hour")),
    ],
)
LEVEL = Variable(
    "level",
    ("表计层级", "Meters"),
    [
        ("end", ("末级表（不重复计量）", "With none below them")),
        ("top", ("总表", "Mains")),
        ("any", ("全部（总分表重复计量）", "All, some counted twice")),
    ],
)


def source(measurement: str) -> str:
    return f'"$detail"."{measurement}"'


def tag_values(measurement: str, tag: str, where: str = "") -> str:
    return f'SHOW TAG VALUES FROM "{measurement}" WITH KEY = "{tag}"' + (f" WHERE {where}" if where else "")


def site_of(measurement: str) -> Variable:
    return Variable("site", ("项目", "Site"), tag_values(measurement, "site"))


def device_of(measurement: str) -> Variable:
    query = tag_values(measurement, "device", '"site" =~ /^$site$/')
    return Variable("device", ("设备", "Device"), query, several=True, anything=True)


def plain(measurement: str) -> list[Variable]:
    """Of a dashboard about one class of devices."""
    return [site_of(measurement), device_of(measurement), DETAIL]


def meters_of(measurement: str, level: str) -> str:
    """The meters of one level: none of them measures what another one measures."""
    wanted = f'"site" =~ /^$site$/ AND "class" = \'{measurement}\' AND "{level}" = \'yes\''
    return tag_values("dutyroom_meter", "device", wanted)


def metered(measurement: str) -> list[Variable]:
    """Of a dashboard that sums meters."""
    device = Variable("device", ("表计", "Meter"), meters_of(measurement, "$level"), several=True)
    return [site_of(measurement), LEVEL, device, DETAIL]


def _of_each(function: str, measurement: str, name: str, where: str) -> str:
    return (
        f'SELECT {function}("{name}") FROM {source(measurement)} WHERE {where} '
        'GROUP BY time($__interval), "device" fill(none)'
    )


def mean(measurement: str, name: str, where: str = WHERE) -> str:
    return _of_each("mean", measurement, name, where)


def last(measurement: str, name: str, where: str = WHERE) -> str:
    return _of_each("last", measurement, name, where)


def newest(measurement: str, name: str, where: str = WHERE) -> str:
    return f'SELECT last("{name}") FROM {source(measurement)} WHERE {where} GROUP BY "device"'


def now(function: str, measurement: str, name: str, where: str = OF_SITE) -> str:
    """Over the newest value of each device, of the site unless told."""
    each = f'SELECT last("{name}") AS "v" FROM {source(measurement)} WHERE {where} GROUP BY "device"'
    return f'SELECT {function}("v") FROM ({each})'


def hourly(measurement: str, name: str, where: str = WHERE) -> str:
    """What all chosen meters counted in each hour."""
    register = (
        f'SELECT last("{name}") * last("{name}_step") AS "register" FROM {source(measurement)} WHERE {where} '
        'GROUP BY time(1h), "device" fill(none)'
    )
    used = f'SELECT non_negative_difference("register") AS "used" FROM ({register}) GROUP BY "device"'
    return f'SELECT sum("used") FROM ({used}) WHERE $timeFilter GROUP BY time(1h) fill(none)'


def counted(measurement: str, name: str, where: str = WHERE) -> str:
    """What each chosen meter counted in the range shown."""
    return (
        f'SELECT (last("{name}") - first("{name}")) * last("{name}_step") AS "used" FROM {source(measurement)} '
        f'WHERE {where} GROUP BY "device"'
    )


# A register that was exchanged or has wrapped in the range counts backwards: it is left out here.
def total(measurement: str, name: str, where: str = WHERE) -> str:
    return f'SELECT sum("used") FROM ({counted(measurement, name, where)}) WHERE "used" >= 0'


def top(measurement: str, name: str) -> str:
    return f'SELECT top("used", "device", 10) FROM ({counted(measurement, name)}) WHERE "used" >= 0'


def together(measurement: str, name: str) -> list[Query]:
    """The sum over the chosen devices, and the largest of them."""
    each = (
        f'SELECT mean("{name}") AS "m" FROM {source(measurement)} WHERE {WHERE} '
        'GROUP BY time($__interval), "device" fill(none)'
    )

    def over(function: str) -> str:
        return f'SELECT {function}("m") FROM ({each}) WHERE $timeFilter GROUP BY time($__interval) fill(none)'

    return [(over("sum"), ("合计", "Sum")), (over("max"), ("最大一台", "Largest"))]


SUM: Text = (
    "所选表计之和。末级表或总表之间不重复计量；选“全部”时总表与分表会重复相加。换表或翻转的表不计入，收费以账单为准。",
    "The sum of the meters chosen above. Meters of one level never measure the same twice; with all of them mains and "
    "sub-meters are added. Meters exchanged or wrapped in the range are left out; bills are made elsewhere.",
)
