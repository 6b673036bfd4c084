"""The simulated estate: what stands where, what it is called, what feeds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from dutyroom_simulators.noise import number_of, uniform

BUILDINGS = ("A", "B", "C", "D")
UNITS_PER_FLOOR = 6
SITE = "lakeside"
INJECT_TOPIC = "dutyroom-sim/inject"
PORTAL = "c0619ab2e5a4"


@dataclass(frozen=True, slots=True)
class Unit:
    """A flat: "A/12/1204", its floor area in m2."""

    path: str
    building: str
    floor: int
    code: str  # "A-1204"
    area: float


@dataclass(frozen=True, slots=True)
class SimDevice:
    """One device. interval: seconds between messages; kind chooses payload and behaviour."""

    id: str
    name: str
    device_class: str
    profile: str
    address: str
    space: str
    kind: str
    interval: int
    parameters: dict[str, str] = field(default_factory=dict)
    powered_by: tuple[str, ...] = ()  # dead when all of these feeders are dead
    through: str = ""  # gateway that carries its messages


@dataclass(frozen=True, slots=True)
class Estate:
    """Everything, in a fixed order for a seed and a size."""

    seed: int
    units: tuple[Unit, ...]
    devices: tuple[SimDevice, ...]

    by_id: Mapping[str, SimDevice] = field(default_factory=dict)

    def device(self, device_id: str) -> SimDevice:
        """Raises KeyError with the name."""
        return self.by_id[device_id]

    @property
    def floors(self) -> int:
        """Of each building."""
        return max((u.floor for u in self.units), default=1)

    def of_kind(self, kind: str) -> tuple[SimDevice, ...]:
        return tuple(d for d in self.devices if d.kind == kind)


def make_estate(seed: int = 7, units: int = 480, pace: int = 1) -> Estate:
    """4 buildings; `units` is rounded up to whole floors of 6 in each.

    pace: plant and showcase meters speak this many times less often (long scenarios in a test).
    """
    floors = max(1, -(-units // (len(BUILDINGS) * UNITS_PER_FLOOR)))
    flats = tuple(
        Unit(
            f"{b}/{floor}/{floor:02d}{n:02d}",
            b,
            floor,
            f"{b}-{floor:02d}{n:02d}",
            (68.4, 89.6, 102.35, 89.6, 118.2, 75.15)[n - 1],
        )
        for b in BUILDINGS
        for floor in range(1, floors + 1)
        for n in range(1, UNITS_PER_FLOOR + 1)
    )
    devices: list[SimDevice] = []
    for index, flat in enumerate(flats):
        devices += _unit_meters(seed, flat, showcase=index < 4)
    for b in BUILDINGS:
        devices += _building(b, floors)
    devices += _plant()
    if pace > 1:
        devices = [replace(d, interval=d.interval * pace) if 0 < d.interval < 900 else d for d in devices]
    return Estate(seed, flats, tuple(devices), {d.id: d for d in devices})


def rated_power(floors: int) -> float:
    """kW that the feeder of a building is made for: a third more than all of its flats ever drew at once."""
    return 40.0 + floors * UNITS_PER_FLOOR * 1.5


def dtu_of(flat: Unit) -> str:
    """The DTU that reads a flat's electricity meter: one per ten floors."""
    return f"{flat.building}-dtu-{(flat.floor - 1) // 10 + 1}"


def _serial(seed: int, name: str) -> str:
    return f"{int(uniform(seed, number_of(name)) * 9e7) + 10_000_000:08d}"


def _unit_meters(seed: int, flat: Unit, showcase: bool) -> list[SimDevice]:
    water, gas = _serial(seed, flat.code + "-water"), _serial(seed, flat.code + "-gas")
    every = 10 if showcase else 900
    dtu = dtu_of(flat)
    place = f"{flat.building} {flat.path.rsplit('/', 1)[1]}"
    return [
        SimDevice(
            f"{flat.code}-water",
            f"{place} 水表",
            "water_meter",
            "wmbusmeters/water",
            water,
            flat.path,
            "unit_water",
            every,
        ),
        SimDevice(
            f"{flat.code}-power",
            f"{place} 电表",
            "electricity_meter",
            "edgelogger/meter-batch",
            f"{flat.code}-power",
            flat.path,
            "unit_power",
            900,
            powered_by=(f"{flat.building}-feeder",),
            through=dtu,
        ),
        SimDevice(
            f"{flat.code}-gas",
            f"{place} 燃气表",
            "gas_meter",
            "wmbusmeters/gas",
            gas,
            flat.path,
            "unit_gas",
            900,
        ),
    ]


def _building(b: str, floors: int) -> list[SimDevice]:
    feeder = f"{b}-feeder"
    made = [
        SimDevice(
            feeder,
            f"{b} 座馈线",
            "feeder",
            "shelly/pro-3em",
            f"shellypro3em-{b.lower()}0000000001",
            b,
            "feeder",
            10,
            {"rated_power": f"{rated_power(floors):g}"},
        ),
        SimDevice(
            f"{b}-public",
            f"{b} 座公共用电",
            "electricity_meter",
            "shelly/pro-3em",
            f"shellypro3em-{b.lower()}0000000002",
            b,
            "public_power",
            60,
            {"use": "public"},
            (feeder,),
        ),
        SimDevice(
            f"{b}-riser",
            f"{b} 座立管水表",
            "water_meter",
            "axioma/qalcosonic-w1",
            f"70B3D57ED005{ord(b):04X}",
            b,
            "riser",
            15,
            # What all of its flats never draw at once: a burst is more.
            {"use": "riser", "burst_flow": f"{max(3.0, floors * UNITS_PER_FLOOR * 0.08):.1f}"},
        ),
    ]
    made += [
        SimDevice(
            f"{b}-lift-{n}",
            f"{b} 座 {n} 号梯",
            "elevator",
            "monarch/nice3000-neuron",
            f"lifts-{b}/{b}-lift-{n}",
            b,
            "lift",
            10,
            powered_by=(feeder,),
        )
        for n in range(1, 5)
    ]
    made += [
        SimDevice(
            f"{b}-dtu-{n}",
            f"{b} 座集中器 {n}",
            "gateway",
            "edgelogger/gateway",
            f"{b}-dtu-{n}",
            b,
            "dtu",
            0,
            powered_by=(feeder,),
        )
        for n in range(1, (floors - 1) // 10 + 2)
    ]
    return made


def _plant() -> list[SimDevice]:
    lora = "24e124fffef00001"
    return [
        SimDevice(
            "mains", "市电进线", "feeder", "shelly/pro-3em", "shellypro3em-m0000000001", "plant", "mains", 10
        ),
        SimDevice(
            "water-master",
            "总水表",
            "water_meter",
            "axioma/qalcosonic-w1",
            "70B3D57ED0050000",
            "plant",
            "master_water",
            15,
            {"use": "master", "burst_flow": "60"},
        ),
        SimDevice(
            "garden-water",
            "绿化用水",
            "water_meter",
            "axioma/qalcosonic-w1",
            "70B3D57ED0050001",
            "garden",
            "garden_water",
            60,
            {"use": "public", "burst_flow": "20"},
        ),
        SimDevice(
            "tank-domestic",
            "生活水箱",
            "tank",
            "milesight/em500-swl",
            "24e124713b000001",
            "plant",
            "tank",
            15,
            {"height": "2.5", "use": "domestic"},
            through="lora-gateway",
        ),
        SimDevice(
            "tank-fire",
            "消防水箱",
            "tank",
            "milesight/em500-swl",
            "24e124713b000002",
            "plant",
            "fire_tank",
            60,
            {"height": "3.0", "use": "fire"},
            through="lora-gateway",
        ),
        SimDevice(
            "pump-domestic-1",
            "生活水泵 1",
            "pump",
            "shelly/pro-1pm",
            "shellypro1pm-000000000001",
            "plant",
            "pump",
            15,
            {"fills": "tank-domestic"},
        ),
        SimDevice(
            "pump-domestic-2",
            "生活水泵 2",
            "pump",
            "shelly/pro-1pm",
            "shellypro1pm-000000000002",
            "plant",
            "pump",
            15,
            {"fills": "tank-domestic"},
        ),
        SimDevice(
            "fire-panel",
            "消防主机",
            "fire_panel",
            "notifier/nfs2-neuron",
            "fire/panel-1",
            "plant",
            "fire_panel",
            15,
        ),
        SimDevice("gate-east", "东门", "gate", "uhppote/uto311", "405419896", "gates/east", "gate", 15),
        SimDevice("gate-west", "西门", "gate", "uhppote/uto311", "405419897", "gates/west", "gate", 15),
        SimDevice(
            "gate-garage", "车库道闸", "gate", "uhppote/uto311", "405419898", "gates/garage", "gate", 15
        ),
        SimDevice(
            "generator",
            "柴油发电机",
            "generator",
            "victron/genset",
            f"{PORTAL}/genset/0",
            "plant",
            "generator",
            10,
            {"backs": "mains,A-feeder,B-feeder,C-feeder,D-feeder"},
        ),
        SimDevice(
            "transfer-switch",
            "双电源切换",
            "transfer_switch",
            "victron/transfer-switch",
            f"{PORTAL}/system/0",
            "plant",
            "transfer",
            10,
        ),
        SimDevice("lora-gateway", "LoRa 网关", "gateway", "chirpstack/gateway", lora, "plant", "lora", 0),
    ]
