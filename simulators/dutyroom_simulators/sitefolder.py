"""The site folder of the estate, as an engineer of the property company would have written it."""

from __future__ import annotations

import csv
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from dutyroom_simulators.estate import BUILDINGS, INJECT_TOPIC, SITE, Estate
from dutyroom_simulators.plant import next_test

_LOCAL = timedelta(hours=8)
# What people ask of the estate passes the same broker as what its devices say.
_REQUESTS = f"""name: {{en: Requests to the simulated estate, zh-CN: 模拟项目的指令}}
class: other
layouts:
  - name: a scenario to play
    topic: {INJECT_TOPIC}
    ignore: a request to the simulated estate
examples:
  - title: a burst pipe
    topic: {INJECT_TOPIC}
    payload: {{scenario: burst_pipe, options: {{device: A-riser}}}}
    ignored: a request to the simulated estate
"""


def write_site(estate: Estate, folder: Path, now: int) -> None:
    """now: ms UTC; what falls due soon is counted from it."""
    folder.mkdir(parents=True, exist_ok=True)
    _yaml(
        folder / "site.yaml",
        {
            "id": SITE,
            "name": {"zh-CN": "翠湖花园", "en": "Lakeside Garden"},
            "time_zone": "Asia/Shanghai",
            "currency": "CNY",
            "language": "zh-CN",
            "cut_off_day": 1,
            "adopt_unknown": False,
        },
    )
    _yaml(folder / "spaces.yaml", _spaces(estate))
    _yaml(folder / "topology.yaml", _topology(estate))
    _yaml(folder / "rules.yaml", {"rules": []})
    _yaml(folder / "plans.yaml", {"plans": _plans(now)})
    _yaml(folder / "tariffs.yaml", _tariffs())
    _yaml(folder / "people.yaml", _people())
    _devices(estate, folder / "devices.csv")
    own = folder / "device_profiles" / "dutyroom-sim"
    own.mkdir(parents=True, exist_ok=True)
    (own / "requests.yaml").write_text(_REQUESTS, encoding="utf-8")


def _yaml(file: Path, data: object) -> None:
    text = yaml.safe_dump(data, allow_unicode=True, sort_keys=False, default_flow_style=None, width=120)
    file.write_text(text, encoding="utf-8")


def _devices(estate: Estate, file: Path) -> None:
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["id", "name", "class", "profile", "address", "space", "interval_s", "parameters"])
        for d in estate.devices:
            given = {**d.parameters, "name_en": _english(d.name)}
            parameters = ";".join(f"{key}={value}" for key, value in given.items())
            row = [d.id, d.name, d.device_class, d.profile, d.address, d.space, d.interval or "", parameters]
            writer.writerow(row)


def _english(name: str) -> str:
    """A device's name for pages in English: "A 座 1 号梯" -> "A elevator 1"."""
    said = name.replace(" 座 ", " ").replace(" 座", " ")
    for zh, en in _ENGLISH:
        said = said.replace(zh, en)
    said = re.sub(r"(\d) elevator", r"elevator \1", said)
    return said[:1].upper() + said[1:]


_ENGLISH = (
    ("立管水表", "riser water meter"), ("公共用电", "public electricity"), ("集中器", "concentrator"),
    ("馈线", "feeder"), ("号梯", "elevator"), ("燃气表", "gas meter"), ("总水表", "master water meter"),
    ("水表", "water meter"), ("电表", "electricity meter"), ("东门", "East gate"), ("西门", "West gate"),
    ("车库道闸", "Garage barrier"), ("双电源切换", "Transfer switch"), ("市电进线", "Mains supply"),
    ("柴油发电机", "Diesel generator"), ("消防主机", "Fire panel"), ("消防水箱", "Fire tank"),
    ("生活水泵", "Domestic pump"), ("生活水箱", "Domestic tank"), ("绿化用水", "Garden water"), ("网关", "gateway"),
)  # fmt: skip


def _spaces(estate: Estate) -> list[dict[str, Any]]:
    places: list[dict[str, Any]] = []
    for b in BUILDINGS:
        places.append({"path": b, "kind": "building", "name": {"zh-CN": f"{b} 座", "en": f"Building {b}"}})
    for floor in sorted({(u.building, u.floor) for u in estate.units}):
        name = {"zh-CN": f"{floor[0]} 座 {floor[1]} 层", "en": f"Building {floor[0]} floor {floor[1]}"}
        places.append({"path": f"{floor[0]}/{floor[1]}", "kind": "zone", "name": name})
    for u in estate.units:
        room = u.path.rsplit("/", 1)[1]
        name = {"zh-CN": f"{u.building} 座 {room}", "en": f"{u.building} {room}"}
        places.append({"path": u.path, "kind": "unit", "name": name, "area": f"{u.area:.2f}"})
    for path, zh, en in (
        ("plant", "设备房", "Plant rooms"),
        ("garden", "园区绿化", "Garden"),
        ("gates", "出入口", "Gates"),
        ("gates/east", "东门", "East gate"),
        ("gates/west", "西门", "West gate"),
        ("gates/garage", "车库", "Garage"),
    ):
        places.append({"path": path, "kind": "zone", "name": {"zh-CN": zh, "en": en}})
    return places


def _topology(estate: Estate) -> dict[str, dict[str, list[str]]]:
    power = {f"{b}-feeder": ["mains"] for b in BUILDINGS}
    power |= {d.id: list(d.powered_by) for d in estate.devices if d.powered_by}
    water = {f"{b}-riser": ["water-master"] for b in BUILDINGS} | {"garden-water": ["water-master"]}
    water |= {d.id: [f"{d.id[0]}-riser"] for d in estate.of_kind("unit_water")}
    network = {d.id: [d.through] for d in estate.devices if d.through}
    return {"power": power, "water": water, "network": network}


def _plans(now: int) -> list[dict[str, Any]]:
    local = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=now) + _LOCAL
    test = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=next_test(now)) + _LOCAL

    def day(ahead: int) -> date:
        return local.date() + timedelta(days=ahead)

    return [
        {
            "id": "generator-test",
            "name": {"zh-CN": "柴油发电机试运行", "en": "Generator test run"},
            "every": "15d",
            "anchor": test.date(),
            "at": test.strftime("%H:%M"),
            "grace": "1d",
            "ahead": "1d",
            "priority": 3,
            "select": {"classes": ["generator"]},
            "proof": {"point": "running", "load_point": "power", "minutes": 30, "load_kw": 20},
            "checklist": {
                "zh-CN": [
                    "检查机油、冷却液和燃油",
                    "空载启动 5 分钟",
                    "带载运行 30 分钟",
                    "记录电压、频率和水温",
                ],
                "en": [
                    "Check oil, coolant and fuel",
                    "Start and run 5 min without load",
                    "Run 30 min with load",
                    "Record voltage, frequency and temperature",
                ],
            },
            "skill": "electrician",
        },
        {
            "id": "elevator-service",
            "name": {"zh-CN": "电梯半月维保", "en": "Elevator half-month service"},
            "every": "15d",
            "anchor": day(1),
            "at": "09:00",
            "grace": "1d",
            "ahead": "3d",
            "priority": 3,
            "select": {"classes": ["elevator"]},
            "checklist": {
                "zh-CN": ["机房环境与曳引机", "层门与轿门门锁", "紧急呼叫装置", "底坑清洁"],
                "en": [
                    "Machine room and traction machine",
                    "Landing and car door locks",
                    "Emergency call",
                    "Clean the pit",
                ],
            },
            "skill": "elevator",
            "source": "TSG T5002-2017",
        },
        {
            "id": "tank-cleaning",
            "name": {"zh-CN": "生活水箱清洗", "en": "Domestic tank cleaning"},
            "every": "90d",
            "anchor": day(3),
            "at": "13:00",
            "grace": "7d",
            "ahead": "7d",
            "priority": 3,
            "select": {"devices": ["tank-domestic"]},
            "skill": "plumber",
            "source": "GB 17051-1997",
        },
        {
            "id": "meter-reading",
            "name": {"zh-CN": "抄表结算", "en": "Meter reading day"},
            "monthly": 1,
            "at": "00:00",
            "grace": "3d",
            "priority": 3,
            "reading_day": True,
        },
    ]


def _tariffs() -> dict[str, list[dict[str, Any]]]:
    tariffs = [
        {
            "id": "electricity-2026",
            "class": "electricity_meter",
            "name": {"zh-CN": "居民阶梯电价", "en": "Tiered electricity price"},
            "unit": "kWh",
            "valid_from": date(2026, 1, 1),
            "basis": "month",
            "tiers": [
                {"up_to": "200", "price": "0.5050"},
                {"up_to": "400", "price": "0.5550"},
                {"price": "0.8050"},
            ],
        },
        {
            "id": "water-2026",
            "class": "water_meter",
            "name": {"zh-CN": "居民阶梯水价", "en": "Tiered water price"},
            "unit": "m3",
            "valid_from": date(2026, 1, 1),
            "basis": "month",
            "tiers": [{"up_to": "15", "price": "3.45"}, {"up_to": "22", "price": "4.83"}, {"price": "10.35"}],
        },
        {
            "id": "gas-2026",
            "class": "gas_meter",
            "name": {"zh-CN": "居民燃气价", "en": "Gas price"},
            "unit": "m3",
            "valid_from": date(2026, 1, 1),
            "price": "2.6300",
        },
    ]
    shares = [
        {
            "id": f"public-power-{b.lower()}",
            "name": {"zh-CN": f"{b} 座公摊用电", "en": f"Public electricity of building {b}"},
            "space": b,
            "meters": [f"{b}-public"],
            "price": "0.5050",
            "unit": "kWh",
        }
        for b in BUILDINGS
    ]
    return {"tariffs": tariffs, "shares": shares}


def _people() -> list[dict[str, Any]]:
    rows: tuple[tuple[str, str, str, list[str]], ...] = (
        ("duty", "值班工程师", "operator", ["electrician", "plumber"]),
        ("electrician", "电工", "operator", ["electrician"]),
        ("plumber", "水暖工", "operator", ["plumber"]),
        ("lift", "电梯技师", "operator", ["elevator"]),
        ("clerk", "收费员", "clerk", []),
        ("guest", "访客", "viewer", []),
    )
    return [
        {"login": login, "name": name, "role": role, "language": "zh-CN", "contacts": [], "skills": skills}
        for login, name, role, skills in rows
    ]
