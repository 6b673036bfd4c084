"""A believable estate in memory, for looking at the pages and for their tests.

Run it by hand: `python tests/acceptance/pages_harness.py 8099` (log in as admin / duty-room-admin).
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from datetime import time as clock_time
from decimal import Decimal
from functools import cache
from pathlib import Path
from random import Random

import numpy as np

from dutyroom.backends.clock import SystemClock
from dutyroom.backends.device_files import DeviceFiles
from dutyroom.backends.journal import SqliteJournal
from dutyroom.backends.passwords import Passwords
from dutyroom.backends.records_sql import open_records
from dutyroom.flows.canary import CanaryState
from dutyroom.flows.completeness import intervals
from dutyroom.flows.devices import DeviceDesk, fed
from dutyroom.flows.live import Live, LiveValue
from dutyroom.flows.run import SiteRuntime
from dutyroom.flows.silent_words import detail_of
from dutyroom.flows.skew import Skews
from dutyroom.interfaces import Records, Spool, Tally
from dutyroom.model.duty import (
    Alarm,
    AlarmChange,
    AlarmEvent,
    AlarmState,
    Device,
    Occurrence,
    OccurrenceState,
    OutboxRow,
    OutboxState,
    Person,
    Priority,
    Role,
    Ticket,
    TicketChange,
    TicketEvent,
    TicketKind,
    TicketState,
)
from dutyroom.model.metering import Line, PeriodRead, ReadFlag, Statement, Usage
from dutyroom.model.telemetry import (
    Batch,
    DeviceClass,
    Finding,
    Kind,
    Lane,
    Message,
    MessageRecord,
    Outcome,
    Point,
    PointSpec,
    PointTable,
    Reading,
    Readings,
    Series,
)
from dutyroom.plans import Plan, Proof, Schedule
from dutyroom.profiles.decode import Library
from dutyroom.profiles.profile import Layout, PointRule, Profile
from dutyroom.rules.spec import Rule, Select, TicketPolicy
from dutyroom.site import Site, Space
from dutyroom.timebase import DAY, HOUR, MINUTE, SECOND, Clock, Ms, day_start, day_starts, zone

SITE = "lakeside"
PASSWORD = "duty-room-admin"
CHANCES = Random()  # a thread draws from it: the common one belongs to the tests that seed it
TZ = zone("Asia/Shanghai")


def curve(seed: int, at: Ms) -> float:
    """0..1 over a day with two humps, a little noise."""
    hour = (at + 8 * HOUR) % DAY / HOUR
    humps = math.exp(-(((hour - 7.7) / 1.8) ** 2)) * 0.7 + math.exp(-(((hour - 19.5) / 2.3) ** 2))
    return 0.18 + humps * 0.8 + 0.02 * math.sin(at / 1_900_000 + seed)


STEPS = [0.0]
for _quarter in range(96):
    STEPS.append(STEPS[-1] + curve(0, _quarter * 15 * MINUTE) / 4)


def used(at: Ms) -> float:
    """Hours of full flow since an old day: the integral of `curve`."""
    days, rest = divmod(at - 1_700_000_000_000 // DAY * DAY, DAY)
    quarter, part = divmod(rest, 15 * MINUTE)
    share = part / (15 * MINUTE)
    return days * STEPS[96] + STEPS[quarter] * (1 - share) + STEPS[quarter + 1] * share


@dataclass
class DrawnStore:
    """A reading store whose history is a function; what is written lies on top."""

    scale: dict[int, tuple[str, float]] = field(default_factory=dict)

    def value(self, point: Point, at: Ms) -> float:
        kind, size = self.scale.get(point.id, ("flat", 1.0))
        if kind == "curve":
            return size * curve(point.id, at)
        if kind == "counter":
            return float(int(used(at) * size))
        if kind == "burst":
            now = int(time.time() * 1000)
            return size if at > now - 12 * MINUTE else 0.15 + 0.7 * max(0.0, curve(1, at) - 0.3)
        if kind == "falling":
            now = int(time.time() * 1000)
            return 2.2 - 1.58 * max(0.0, 1 - (now - at) / DAY)
        return size

    def step(self, point: Point) -> Ms:
        return max(30 * SECOND, (point.spec.interval_s or 300) * 1000)

    def write(self, readings: Readings, table: PointTable) -> None:
        return None

    def range(self, point: Point, start: Ms, end: Ms, limit: int = 100_000) -> Series:
        step = max(self.step(point), MINUTE)
        at = [t for t in range(start // step * step, end, step) if t >= start and not self._gap(point, t)]
        values = [self.value(point, t) for t in at]
        return Series(point.id, np.array(at, np.int64), np.array(values), np.zeros(len(at), np.uint8))

    def _gap(self, point: Point, at: Ms) -> bool:
        hour = (at + 8 * HOUR) % DAY // HOUR
        return point.id % 7 == 0 and hour in (2, 3)

    def buckets(
        self, point: Point, start: Ms, end: Ms, width: Ms
    ) -> Sequence[tuple[Ms, float, float, float, float]]:
        now = int(time.time() * 1000)
        made = []
        for at in range(start, min(end, now), width):
            last = min(at + width - 1, now)
            mean = self.value(point, (at + last) // 2)
            made.append((at, mean, mean, mean, self.value(point, last)))
        return made

    def at(self, points: Sequence[Point], moment: Ms, back: Ms) -> Mapping[int, Reading]:
        return {p.id: Reading(p.id, moment - MINUTE, self.value(p, moment)) for p in points if p.id % 97}

    def latest(self, points: Sequence[Point]) -> Mapping[int, Reading]:
        return {}

    def close(self) -> None:
        return None


def spec(
    name: str, unit: str = "", kind: Kind = Kind.GAUGE, interval: int | None = 60, **more: object
) -> PointSpec:
    return PointSpec(name=name, unit=unit, kind=kind, interval_s=interval, **more)  # type: ignore[arg-type]


def state(name: str, interval: int | None = None) -> PointSpec:
    return spec(name, kind=Kind.STATE, interval=interval)


def counter(name: str, unit: str, step: str, interval: int = 3600) -> PointSpec:
    quantity = {"m3": "volume", "kWh": "energy"}[unit]
    return spec(name, unit, Kind.COUNTER, interval, step=Decimal(step), digits=9, quantity=quantity)


CLASSES: dict[str, list[tuple[PointSpec, tuple[str, float]]]] = {
    "water_master": [(counter("volume", "m3", "0.001", 60), ("counter", 22_000)), (spec("flow", "m3/h"), ("curve", 48))],
    "water_riser": [(counter("volume", "m3", "0.001", 60), ("counter", 2_000)), (spec("flow", "m3/h"), ("burst", 4.8))],
    "water_meter": [(counter("volume", "m3", "0.001"), ("counter", 38)), (spec("flow", "m3/h", interval=3600), ("curve", 0.2))],
    "electricity_meter": [(counter("energy", "kWh", "0.01"), ("counter", 70)), (spec("power", "kW", interval=900), ("curve", 1.6))],
    "gas_meter": [(counter("volume", "m3", "0.001"), ("counter", 30)), (spec("battery", "V", interval=3600), ("flat", 3.5))],
    "feeder": [(counter("energy", "kWh", "0.001", 60), ("counter", 80_000)), (spec("power", "kW", interval=10), ("curve", 120)), (spec("voltage", "V", interval=10), ("flat", 228.4)), (state("online"), ("flat", 1))],
    "elevator": [(spec("floor", interval=10), ("flat", 6)), (state("moving", 10), ("flat", 0)), (state("fault_code", 10), ("flat", 0)), (state("trapped", 10), ("flat", 0)), (spec("trips", "", Kind.COUNTER, 60, step=Decimal(1)), ("counter", 60))],
    "fire_panel": [(state("alarm", 30), ("flat", 0)), (state("fault", 30), ("flat", 0)), (spec("isolated", interval=30), ("flat", 1))],
    "tank": [(spec("level", "m"), ("falling", 1)), (spec("battery", "%", interval=3600), ("flat", 87))],
    "tank_fire": [(spec("level", "m"), ("flat", 2.41)), (spec("battery", "%", interval=3600), ("flat", 91))],
    "pump": [(state("running", 30), ("flat", 1)), (spec("power", "kW", interval=30), ("curve", 5.5))],
    "gate": [(state("door_open", None), ("flat", 0)), (state("door_forced", None), ("flat", 0)), (state("system_error", 60), ("flat", 0))],
    "generator": [(state("running", 10), ("flat", 1)), (spec("power", "kW", interval=10), ("flat", 38)), (spec("voltage", "V", interval=10), ("flat", 230)), (spec("frequency", "Hz", interval=10), ("flat", 50.0)), (spec("fuel", "%", interval=60), ("flat", 82)), (spec("hours", "h", Kind.COUNTER, 60, step=Decimal("0.1")), ("counter", 1))],
    "gateway": [(state("online"), ("flat", 1))],
}  # fmt: skip


@dataclass
class Estate:
    """What the harness made."""

    runtime: SiteRuntime
    records: Records
    clock: Clock
    passwords: Passwords
    devices: list[Device]
    started: list[str] = field(default_factory=list)

    def alarms(self) -> list[Alarm]:
        """The open ones."""
        with self.records.read() as tx:
            return list(tx.alarms.open_ones(SITE))


def spaces() -> dict[str, Space]:
    made = {}
    for building in "ABCD":
        made[building] = Space(
            building, "building", {"zh-CN": f"{building} 座", "en": f"Building {building}"}
        )
        for floor in range(1, 4):
            path = f"{building}/{floor}"
            made[path] = Space(path, "zone", {"zh-CN": f"{floor} 层", "en": f"floor {floor}"})
            for flat in range(1, 5):
                code = f"{floor:02d}{flat:02d}"
                made[f"{path}/{code}"] = Space(
                    f"{path}/{code}", "unit", {"zh-CN": code, "en": code}, Decimal("89.60")
                )
    made["plant"] = Space("plant", "zone", {"zh-CN": "地下机房", "en": "Plant room"})
    return made


def estate_devices() -> list[tuple[Device, str]]:
    def one(
        kind: str, id: str, name: str, space: str, cls: str = "", **parameters: object
    ) -> tuple[Device, str]:
        return Device(SITE, id, name, cls or kind, f"demo/{kind}", id.lower(), space, parameters), kind  # type: ignore[arg-type]

    made = [
        one("water_master", "W-MAIN", "生活给水总表", "plant", "water_meter", use="master"),
        one("water_riser", "A-RISER-6", "A 座 6 层立管", "A", "water_meter", use="riser"),
        one("feeder", "F1", "1 号变压器 · 馈线 F1", "plant"),
        one("feeder", "F4", "2 号变压器 · 馈线 F4", "plant"),
        one("generator", "G1", "柴油发电机", "plant"),
        one("tank", "T1", "生活水箱 1#", "plant", height=2.8),
        one("tank_fire", "T2", "消防水箱", "plant", "tank", height=3.0, use="fire"),
        one("pump", "P1", "生活泵 1#", "plant"),
        one("fire_panel", "FP1", "火灾报警主机", "plant"),
        one("gateway", "DTU-D2", "D 座 集中器 2", "D"),
        one("gateway", "LORA-1", "屋顶网关", "A"),
    ]
    for building in "ABCD":
        made += [
            one("elevator", f"{building}-E{n}", f"{building} 座 {n} 号梯", building) for n in range(1, 5)
        ]
    made += [
        one("gate", f"GATE-{n}", f"{'东' if n < 3 else '西'}门 {n} 号道闸", "plant") for n in range(1, 5)
    ]
    for path, space in spaces().items():
        if space.kind == "unit":
            code = path.replace("/", "-")
            name = f"{path[0]} 座 {path.split('/')[-1]}"
            made.append(one("water_meter", f"{code}-water", f"{name} 水表", path))
            made.append(one("electricity_meter", f"{code}-el", f"{name} 电表", path))
            made.append(one("gas_meter", f"{code}-gas", f"{name} 燃气表", path))
    return made


def words(zh: str, en: str) -> dict[str, str]:
    return {"zh-CN": zh, "en": en}


RULES = tuple(
    Rule(id, "limit", Select(), priority, TicketPolicy(), words(zh, en), latched=latched, respond_within=10 * MINUTE, advice=advice)
    for id, zh, en, priority, latched, advice in (
        ("elevator.entrapment", "困人", "Entrapment", Priority.EMERGENCY, True, {"zh-CN": ["通过对讲安抚乘客", "通知电梯维保单位，30 分钟内到场", "切勿自行扒门"], "en": ["Calm the passengers by intercom", "Call the lift company: on site within 30 min", "Never force the doors"]}),
        ("power.mains_lost", "停电", "Power cut", Priority.EMERGENCY, False, {"zh-CN": ["确认发电机已启动带载", "检查高压柜，联系供电局", "逐台检查电梯是否困人"], "en": ["See that the generator carries the load", "Check the high-voltage board, call the utility", "Check every lift for passengers"]}),
        ("water.burst", "爆管", "Burst pipe", Priority.HIGH, False, {"zh-CN": ["关 A 座 6 层立管阀（管井 A-6-W）", "通知住户停水，保洁挡水入电梯井", "抢修后清洗表前滤网，恢复供水"], "en": ["Shut the riser valve (shaft A-6-W)", "Tell the residents, keep water out of the lift pit", "After repair clean the strainer and restore supply"]}),
        ("tank.dry", "水箱低位", "Tank low", Priority.HIGH, False, {"zh-CN": ["检查补水阀", "停泵防止空转"], "en": ["Check the supply valve", "Stop the pump before it runs dry"]}),
        ("gate.held_open", "门未关", "Gate held open", Priority.MEDIUM, False, {"zh-CN": ["通知主管", "人工放行"], "en": ["Tell the supervisor", "Open by hand"]}),
        ("water.leak", "疑似漏水", "Suspected leak", Priority.MEDIUM, False, {"zh-CN": ["联系住户检查马桶和水龙头"], "en": ["Ask the resident to check toilet and taps"]}),
        ("gateway.offline", "通信中断", "Gateway offline", Priority.MEDIUM, False, {"zh-CN": ["检查集中器电源与网络"], "en": ["Check power and network of the concentrator"]}),
        ("generator.fuel_low", "发电机燃油低", "Generator fuel low", Priority.LOW, False, {"zh-CN": ["列入下次巡检"], "en": ["Put it on the next round"]}),
        ("elevator.offline", "电梯失联", "Lift silent", Priority.MEDIUM, False, {}),
    )
)  # fmt: skip

PLANS = (
    Plan("lift-service", words("电梯半月保", "Lift half-month service"), Schedule(clock_time(9, 0), every_days=15, anchor=date(2026, 1, 3)), Priority.MEDIUM, DAY, source="TSG T5002-2017"),
    Plan("generator-test", words("发电机试运行", "Generator test run"), Schedule(clock_time(10, 0), every_days=15, anchor=date(2026, 1, 7)), Priority.MEDIUM, DAY, proof=Proof(load_kw=10)),
    Plan("tank-cleaning", words("生活水箱清洗", "Tank cleaning"), Schedule(clock_time(13, 0), every_days=90, anchor=date(2026, 1, 9)), Priority.MEDIUM, 3 * DAY),
    Plan("reading-day", words("抄表结算", "Meter reading day"), Schedule(clock_time(0, 0), month_day=1), Priority.MEDIUM, DAY, reading_day=True),
)  # fmt: skip


@cache
def library() -> Library:
    """A profile of each kind of device of the estate, as far as the registry asks for one."""
    classes = {kind: device.device_class for device, kind in estate_devices()}
    return Library(
        [
            Profile(
                f"demo/{kind}",
                DeviceClass(classes[kind]),
                (Layout("", (), (), points=tuple(PointRule(one, ()) for one, _ in shapes)),),
                products=(f"Demo {kind}",),
                interval_s=60,
                parameters={"ct": 1, "pt": 1} if kind == "electricity_meter" else {},
            )
            for kind, shapes in CLASSES.items()
        ],
        TZ,
    )


def make_estate(
    folder: Path, clock: Clock | None = None, language: str = "zh-CN", busy: bool = True
) -> Estate:
    """Records, journal and live values of an estate that has had a rough hour."""
    clock = clock or SystemClock()
    folder.mkdir(parents=True, exist_ok=True)
    records = open_records(f"sqlite:///{folder / 'records.db'}")
    journal = SqliteJournal(folder / "journal.db")
    pairs = estate_devices()
    devices = [d for d, _ in pairs]
    store, live = DrawnStore(), Live()
    wanted = [(device, one) for device, kind in pairs for one, _ in CLASSES[kind]]
    with records.write() as tx:
        tx.devices.upsert(devices)
        points = tx.devices.add_points(SITE, wanted)
    table = PointTable(points)
    drawn = [shape for _, kind in pairs for _, shape in CLASSES[kind]]
    store.scale = {p.id: shape for p, shape in zip(points, drawn, strict=True)}
    passwords = Passwords()
    site = Site(
        SITE,
        words("翠湖花园", "Lakeside Gardens"),
        "Asia/Shanghai",
        language=language,
        spaces=spaces(),
        devices=tuple(devices),
        rules=RULES,
        plans=PLANS,
        scenarios=True,
    )
    topology, feeds = fed(site, devices)
    site = replace(site, topology=topology)
    started: list[str] = []
    runtime = SiteRuntime(
        site, table, live, journal, store, records, clock,
        started_at=clock.now() - 3 * HOUR,
        broker_lossless=False,
        inject=lambda name, _: started.append(name),
        scenarios=("burst_pipe", "feeder_cut", "entrapment", "fire_alarm", "tank_overflow", "gateway_offline", "malformed"),
        progress={"history": "62 %"},
    )  # fmt: skip
    runtime.devices = DeviceDesk(site, library, records, table, store.latest, clock, feeds=feeds)
    made = Estate(runtime, records, clock, passwords, devices, started)
    people(made)
    feed(made, everything=True)
    if busy:
        trouble(made)
        bills(made)
    return made


def people(made: Estate) -> None:
    hashed = made.passwords.hash(PASSWORD)
    rows = (
        ("admin", "王主管", Role.ADMINISTRATOR, ("mailto://duty:secret@mail.example?to=wang@mail.example",)),
        ("operator", "李值班", Role.OPERATOR, ()),
        ("clerk", "陈会计", Role.CLERK, ()),
        ("viewer", "访客", Role.VIEWER, ()),
    )
    with made.records.write() as tx:
        for login, name, role, contacts in rows:
            tx.people.upsert(Person(0, SITE, login, name, role, "", hashed, contacts))
        tx.people.new_token(made.passwords.digest("wall-token"), SITE, "大屏", "wall", made.clock.now())


def feed(made: Estate, everything: bool = False) -> None:
    """A batch of live values as the devices would send them now."""
    site, now = made.runtime, made.clock.now()
    store = site.store
    assert isinstance(store, DrawnStore)
    chosen = [
        p for p in site.table if everything or ((p.spec.interval_s or 1e9) <= 60 and CHANCES.random() < 0.3)
    ]
    rows = [
        (
            p.id,
            now,
            store.value(p, now) * (1 if p.spec.kind != Kind.GAUGE else 1 + CHANCES.uniform(-0.01, 0.01)),
            0,
            0,
        )
        for p in chosen
    ]
    devices = {p.device for p in chosen}
    site.live.update(Readings.of(rows), now, len(devices), devices)


def trouble(made: Estate) -> None:
    """Alarms in every state, their tickets, plans, messages, quarantine."""
    now, records = made.clock.now(), made.records

    def alarm(rule: str, device: str, ago: Ms, **more: object) -> Alarm:
        known = next(d for d in made.devices if d.id == device)
        spec = next(r for r in RULES if r.id == rule)
        base = Alarm(
            0,
            SITE,
            rule,
            1,
            device,
            known.space,
            f"{rule}-{device}",
            AlarmState.UNACKNOWLEDGED,
            spec.priority,
            spec.latched,
            now - ago,
            now - ago,
            key=f"alarm.{rule}",
        )
        facts = {"name": known.name, "hours": 26, "flow": 18, "minutes": 4, "code": 3}
        return replace(base, arguments=facts, **more)  # type: ignore[arg-type]

    seen = {"state": AlarmState.ACKNOWLEDGED, "acknowledged_by": "李值班"}
    wanted = [
        (alarm("elevator.entrapment", "B-E3", 134 * SECOND, point="trapped", value=1.0), TicketState.DISPATCHED, "电梯技师"),
        (alarm("power.mains_lost", "F4", 291 * SECOND, point="voltage", value=0.4, limit=50.0, unit="V", affected=132), TicketState.ACCEPTED, "电工"),
        (alarm("water.burst", "A-RISER-6", 680 * SECOND, point="flow", value=4.8, limit=1.5, unit="m3/h"), TicketState.OPEN, ""),
        (alarm("tank.dry", "T1", 26 * MINUTE, point="level", value=0.62, limit=0.8, unit="m", acknowledged_at=now - 20 * MINUTE, **seen), TicketState.DISPATCHED, "水暖工"),
        (alarm("gate.held_open", "GATE-2", 38 * MINUTE), TicketState.OPEN, ""),
        (alarm("water.leak", "C-1-0104-water", 6 * HOUR + 12 * MINUTE, point="volume", value=18.0, unit="L/h", acknowledged_at=now - 5 * HOUR, **seen), TicketState.DONE, "客服"),
        (alarm("generator.fuel_low", "G1", 2 * DAY, point="fuel", value=18.0, limit=20.0, unit="%", acknowledged_at=now - DAY, **seen), None, ""),
        (alarm("tank.dry", "T2", 3 * HOUR, state=AlarmState.RETURNED, cleared_at=now - 2 * HOUR), None, ""),
        (alarm("gateway.offline", "DTU-D2", 3 * HOUR, state=AlarmState.SHELVED, shelved_until=now + 40 * MINUTE, shelve_reason="检修"), None, ""),
    ]  # fmt: skip
    with records.write() as tx:
        root = 0
        for number, (row, work, who) in enumerate(wanted):
            stored = tx.alarms.insert(row)
            root = stored.id if row.rule == "power.mains_lost" else root
            tx.alarms.log(
                AlarmChange(
                    stored.id,
                    row.raised_at,
                    "system",
                    AlarmEvent.RAISE,
                    AlarmState.NORMAL,
                    AlarmState.UNACKNOWLEDGED,
                )
            )
            if row.acknowledged_at:
                tx.alarms.log(
                    AlarmChange(
                        stored.id,
                        row.acknowledged_at,
                        "李值班",
                        AlarmEvent.ACKNOWLEDGE,
                        AlarmState.UNACKNOWLEDGED,
                        AlarmState.ACKNOWLEDGED,
                    )
                )
            if work is not None:
                ticket = tx.tickets.insert(
                    Ticket(0, SITE, "", TicketKind.ALARM, work, row.priority, f"alarm.{row.rule}", {}, row.object, row.space, row.raised_at, row.raised_at + 10 * MINUTE, f"{row.rule}|{row.object}", stored.id, who)
                )  # fmt: skip
                tx.tickets.log(
                    TicketChange(
                        ticket.id,
                        row.raised_at,
                        "system",
                        TicketEvent.OPEN,
                        TicketState.OPEN,
                        TicketState.OPEN,
                    )
                )
                if who:
                    tx.tickets.log(
                        TicketChange(
                            ticket.id,
                            row.raised_at + MINUTE,
                            "李值班",
                            TicketEvent.DISPATCH,
                            TicketState.OPEN,
                            TicketState.DISPATCHED,
                            who,
                        )
                    )
                tx.alarms.update(replace(stored, ticket=ticket.id))
            del number
        for n in range(1, 5):
            tx.alarms.insert(
                alarm("elevator.offline", f"C-E{n}", 280 * SECOND, state=AlarmState.SUPPRESSED, root=root)
            )
        report = Ticket(0, SITE, "", TicketKind.REPORT, TicketState.OPEN, Priority.MEDIUM, "ticket.report", {"summary": "厨房龙头漏水"}, "", "D/2/0203", now - HOUR, now + 3 * HOUR, "report|1", None, "", "周女士", "138 0000 1234", "厨房龙头漏水，晚上 7 点后在家")  # fmt: skip
        made_report = tx.tickets.insert(report)
        tx.tickets.log(
            TicketChange(
                made_report.id, now - HOUR, "李值班", TicketEvent.OPEN, TicketState.OPEN, TicketState.OPEN
            )
        )
        plans = [
            ("lift-service", "A-E2", now + 15 * HOUR, OccurrenceState.DUE), ("lift-service", "A-E1", now - 14 * DAY, OccurrenceState.DONE),
            ("generator-test", "G1", now + 2 * DAY, OccurrenceState.DUE), ("generator-test", "G1", now - 13 * DAY, OccurrenceState.DONE),
            ("tank-cleaning", "T1", now + 4 * DAY, OccurrenceState.DUE), ("reading-day", "", now + 6 * DAY, OccurrenceState.DUE),
            ("lift-service", "B-E1", now - 5 * HOUR, OccurrenceState.OVERDUE),
        ]  # fmt: skip
        for n, (plan, device, due, state_) in enumerate(plans):
            done = due + HOUR if state_ == OccurrenceState.DONE else None
            tx.occurrences.insert(
                Occurrence(0, SITE, plan, device, due + n, state_, now - 20 * DAY, None, done)
            )
        for n, (state_, error) in enumerate(
            ((OutboxState.SENT, ""), (OutboxState.FAILED, "connection refused"), (OutboxState.PENDING, ""))
        ):
            tx.outbox.insert(OutboxRow(0, SITE, f"x{n}", "王主管", "mailto://duty:secret@mail.example", "message.test", {"by": "王主管"}, state_, now - n * HOUR, now, n, error, now if state_ == OutboxState.SENT else None))  # fmt: skip
        tx.audit(SITE, now - HOUR, "李值班", "alarm.acknowledge", "4", "")
    quarantined(made)


def quarantined(made: Estate) -> None:
    now = made.clock.now()
    bad = [
        (
            f"device/{SITE}/up/DTU-D2",
            b'{"ts": 1764000000, "values": [',
            "malformed",
            "line 1 column 31: unexpected end",
        ),
        ("wmbusmeters/99887766", b'{"id": "99887766", "total_m3": 12.3}', "unknown_device", "id 99887766"),
        ("spBv1.0/x/DBIRTH/y", b"\x08\x01\x12\xff", "unknown_topic", ""),
    ]
    records = [
        MessageRecord(Message(topic, body, now - 9 * MINUTE), Outcome.QUARANTINED, "", "", why, detail)
        for topic, body, why, detail in bad
    ]
    good = [
        MessageRecord(Message(f"wmbusmeters/{n}", b"{}", now), Outcome.DECODED, d.id)
        for n, d in enumerate(made.devices[:80])
    ]
    points = {p.device: p for p in made.runtime.table}
    rows = [(points[d.id].id, now, 1.0, 0, n + 3) for n, d in enumerate(made.devices[:80])]
    batch = Batch(SITE, Lane.NORMAL, now, (*records, *good), Readings.of(rows), findings=(Finding("clock_wrong", "A-1-0101-el", now, "1970-01-01T00:00:12Z"), Finding("late", "D-2-0203-el", now, "6 h")))  # fmt: skip
    seq = made.runtime.journal.append(batch)
    hour = now // HOUR * HOUR
    stored = {(hour, d.id, "stored"): 1 for d in made.devices[:80]}
    made.runtime.journal.note([], stored, ("keep", Lane.NORMAL, seq))
    health(made, now)


def health(made: Estate, now: Ms) -> None:
    """A journal that fills up, our own message, clocks that are off, devices that said less than they should."""
    site, yesterday = made.runtime, day_starts(now - DAY, now, TZ)[0]
    kept: dict[tuple[Ms, str], int] = {}
    for number, (device, seconds) in enumerate(sorted(intervals(made.devices, site.table).items())):
        part = {3: 0.41, 7: 0.0, 19: 0.87, 31: 0.93}.get(number, 1.0)
        for hour in range(24):
            kept[(yesterday + hour * HOUR) // HOUR * HOUR, device] = round(part * 3600 / seconds)
    began = (yesterday - 2 * HOUR) // HOUR * HOUR, made.devices[0].id
    site.journal.note([], {(*began, "received"): 1, (*began, "decoded"): 1})
    silent = detail_of([("energy", yesterday - 5 * HOUR)], ["power"])
    found = [Finding("spool_filling", "", now, "74 %"), Finding("point_silent", "D-2-0203-el", now, silent)]
    site.journal.note(found, {}, None, Tally.of(kept))
    site.journal.note([], {(now // HOUR * HOUR, made.devices[0].id, "gaps"): 3})
    site.health.spool = Spool(20_000_000_000, 16_400_000_000, 14_060_000_000, 0.74)
    site.health.canary = CanaryState(True, 0.183, now - 21 * SECOND)
    skews = Skews(site.table, lambda _: True)
    for device, off, quality in (
        ("A-1-0101-el", 0, 2),
        ("D-2-0203-el", 660, 0),
        ("T1", -372, 0),
        ("F1", 0.4, 0),
    ):
        point = site.table.of_device(device)[0].id
        for n in range(10):
            at = now - (10 - n) * MINUTE
            skews.take([LiveValue(point, at - round(off * 1000), at, 1.0, quality)], at)
    site.health.skews = skews


def bills(made: Estate) -> None:
    """Last month's reads and statements of every unit."""
    start, end = day_start(date(2026, 10, 1), TZ), day_start(date(2026, 11, 1), TZ)
    table, store = made.runtime.table, made.runtime.store
    assert isinstance(store, DrawnStore)
    reads, statements = [], []
    frozen: dict[tuple[str, Ms], PeriodRead] = {}
    for point in table:
        if point.spec.kind is Kind.COUNTER and point.spec.name in ("volume", "energy"):
            for cut in (start, end):
                steps = None if point.id % 53 == 0 and cut == end else int(store.value(point, cut))
                flag = ReadFlag.MISSING if steps is None else ReadFlag.ACTUAL
                read = PeriodRead(
                    SITE,
                    point.device,
                    point.spec.name,
                    cut,
                    steps,
                    None if steps is None else cut - 7 * MINUTE,
                    flag,
                )
                frozen[point.device, cut] = read
                reads.append(read)
    reading = frozen["F1", start], frozen["F1", end]
    public = Usage("F1", "energy", "kWh", Decimal("1106.20"), *reading, (), (), Decimal("0.001"))
    for path, space in spaces().items():
        if space.kind != "unit":
            continue
        usages, lines = [], []
        code = path.replace("/", "-")
        for suffix, cls, price, name in (
            ("el", "electricity_meter", "0.5050", "energy"),
            ("water", "water_meter", "3.4500", "volume"),
            ("gas", "gas_meter", "2.6300", "volume"),
        ):
            device = f"{code}-{suffix}"
            point = table.find(device, name)
            assert point is not None
            assert point.spec.step is not None
            first, last = frozen[device, start], frozen[device, end]
            known = first.steps is not None and last.steps is not None
            quantity = (last.steps - first.steps) * point.spec.step if known else None  # type: ignore[operator]
            flags = () if known else ("missing",)
            usages.append(
                Usage(device, name, point.spec.unit, quantity, first, last, (), flags, point.spec.step)
            )
            if quantity is None:
                continue
            amount = int((quantity * Decimal(price) * 100).quantize(Decimal(1)))
            basis = {"tariff": "t", "version": "1", "valid_from": "2026-01-01", "basis": "month"}
            lines.append(
                Line(f"line.{cls}", basis, quantity, point.spec.unit, Decimal(price), amount, False, device)
            )
            if suffix == "el":
                lines.append(
                    Line(
                        "line.tier",
                        {"tier": "1", "above": "0", "limit": "200"},
                        min(quantity, Decimal(200)),
                        "kWh",
                        Decimal(price),
                        amount,
                        True,
                        device,
                    )
                )
        lines.append(
            Line(
                "line.public_share",
                {
                    "share": "a",
                    "pool": "1106.20",
                    "pool_unit": "kWh",
                    "area": "89.60",
                    "whole_area": "21504.0",
                    "meters": "F1",
                    "pool_digest": "",
                    "name_zh": "公摊用电",
                    "name_en": "Public electricity",
                },
                Decimal("4.61"),
                "kWh",
                Decimal("0.5050"),
                233,
            )
        )
        total = sum(line.amount for line in lines if not line.detail)
        number = f"202610-{path[0]}{path.split('/')[-1]}-1"
        statements.append(
            Statement(
                SITE,
                number,
                "2026-10",
                path,
                1,
                start,
                end,
                made.clock.now(),
                tuple(usages),
                tuple(lines),
                total,
                "CNY",
                "9f31" + "0" * 56 + "c07e",
                area=space.area,
                shared=(public,),
            )
        )
    with made.records.write() as tx:
        tx.metering.freeze(reads)
        tx.metering.lock(statements)


def keep_feeding(made: Estate, stop: threading.Event) -> None:
    while not stop.wait(0.5):
        feed(made)


def main(port: int, folder: Path) -> None:
    import uvicorn

    from dutyroom.api.app import create_app

    made = make_estate(folder)
    app = create_app(
        {SITE: made.runtime},
        made.records,
        made.clock,
        passwords=made.passwords,
        version="0.1.0",
        device_files=DeviceFiles(),
    )
    stop = threading.Event()
    threading.Thread(target=keep_feeding, args=(made, stop), daemon=True).start()
    uvicorn.run(app, port=port, log_level="warning", timeout_graceful_shutdown=1)
    stop.set()


if __name__ == "__main__":
    import tempfile

    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8099, Path(tempfile.mkdtemp(prefix="dutyroom-pages-")))
