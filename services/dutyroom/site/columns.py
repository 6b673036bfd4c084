"""The columns of a table of devices: their names in English and Chinese, and words for classes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dutyroom.site.flaws import near

COLUMNS = (
    "id", "name", "class", "model", "profile", "address", "space", "fed_by", "interval_s", "digits", "resolution",
    "serial", "parameters", "status",
)  # fmt: skip
PARAMETER = "parameter."  # "parameter.ct": one parameter in a column of its own

CHINESE: Mapping[str, str] = {
    "id": "设备编号", "name": "名称", "class": "类别", "model": "型号", "profile": "规约", "address": "地址",
    "space": "位置", "fed_by": "上级设备", "interval_s": "上报间隔(秒)", "digits": "表底位数",
    "resolution": "分辨率", "serial": "出厂编号", "parameters": "参数", "status": "状态",
}  # fmt: skip

_OTHER_NAMES: Mapping[str, str] = {
    "id": "device id, device, device no, device number, 编号, 设备ID, 设备号, 设备代码, 设备编码",
    "name": "device name, 设备名称, 设备名",
    "class": "device class, type, device type, category, 设备类别, 类型, 设备类型, 种类, 设备种类",
    "model": "product, device model, make and model, 设备型号, 品牌型号, 规格型号, 产品型号",
    "profile": "device profile, protocol, 配置, 规约/配置, 协议, 通信规约, 通讯规约, 通信协议, 解析配置, 设备配置",
    "address": "device address, meter address, DevEUI, 表地址, 通信地址, 通讯地址, 设备地址, 表号",
    "space": "place, location, 空间, 安装位置, 房号, 所在位置, 安装地点",
    "fed_by": "feeds, feed, feeder, parent, 上级, 上游设备, 供电来源, 馈电来源, 由谁供给, 来源",
    "interval_s": "interval, interval (s), expected interval, 上报间隔, 间隔, 周期, 上报周期, 采集周期, 采集间隔",
    "digits": "register digits, 位数, 表码位数, 字轮位数",
    "resolution": "register resolution, 最小分度, 分度值, 表底分辨率",
    "serial": "serial number, serial no, SN, S/N, 序列号, 出厂号, 表身号",
    "parameters": "parameter, 设备参数",
    "status": "state, 设备状态",
    "parameter.ct": "ct, ct ratio, 电流互感器变比, 电流变比, CT变比",
    "parameter.pt": "pt, vt, pt ratio, vt ratio, 电压互感器变比, 电压变比, PT变比",
    "parameter.pulse_weight": "pulse weight, 脉冲当量, 脉冲常数",
    "parameter.multiplier": "multiplier, 倍率, 综合倍率",
}

CLASS_WORDS: Mapping[str, str] = {
    "water_meter": "水表", "electricity_meter": "电表, 电能表", "gas_meter": "燃气表, 气表", "heat_meter": "热表, 热量表",
    "elevator": "电梯, lift", "fire_panel": "消防主机, 火灾报警控制器", "tank": "水箱, 液位计", "pump": "水泵, 泵",
    "gate": "门禁, 道闸, 闸机", "generator": "发电机, 柴油发电机", "transfer_switch": "双电源切换, 切换开关, ATS",
    "feeder": "馈线, 进线, 低压进线", "gateway": "网关, 采集器, 集中器", "sensor": "传感器", "other": "其他, 其它",
}  # fmt: skip
STATUS_WORDS: Mapping[str, str] = {
    "active": "在用, 正常, 启用, in service",
    "out_of_service": "停用, 停运, out of service",
    "withdrawn": "拆除, 退出, 已拆除, 报废",
}


def folded(text: str) -> str:
    """A name without case, blanks and marks: "Interval (s)" and "interval_s" are the same."""
    return re.sub(r"[\s_\-*:：()（）\[\]]", "", text.casefold())


def _by_word(words: Mapping[str, str]) -> dict[str, str]:
    found = {folded(name): name for name in words}
    return found | {folded(word): name for name, listed in words.items() for word in listed.split(", ")}


_NAMES = {folded(name): name for name in COLUMNS} | _by_word(_OTHER_NAMES) | _by_word(CHINESE)
_CLASSES, _STATUSES = _by_word(CLASS_WORDS), _by_word(STATUS_WORDS)


def column_of(title: str) -> str:
    """The field that a column's title means, "" = none."""
    found = _NAMES.get(folded(title), "")
    if not found and (own := re.match(r"(?:parameter|参数)[.．](.+)", title.strip(), re.IGNORECASE)):
        return PARAMETER + own[1].strip()
    return found


def like(title: str) -> str:
    """The column that an unknown title looks most like."""
    return near(title, [*COLUMNS, *CHINESE.values()])


def class_of(word: str) -> str:
    """The device class that a word means; the word itself when it means none."""
    return _CLASSES.get(folded(word), word)


def status_of(word: str) -> str:
    return _STATUSES.get(folded(word), word)
