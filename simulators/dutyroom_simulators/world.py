"""The estate in motion: what is published between two instants. Pure but for the recorded injections."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from dutyroom_simulators import payloads, plant
from dutyroom_simulators.estate import Estate, SimDevice, rated_power
from dutyroom_simulators.noise import number_of, uniform
from dutyroom_simulators.registers import DAY, Registers
from dutyroom_simulators.scenarios import HOUR, MINUTE, Injection, Record, excludes, make_injection

LOSS_WATER, LOSS_POWER = 1.03, 1.01
_STEP = 5_000  # ms: the grain of publishing; coarser where nothing speaks often
_METERS = {"unit_water": "water", "unit_power": "power", "unit_gas": "gas"}
_CUTS = ("feeder_cut", "generator_start_failure", "transfer_failure")
_OFFLINE = ("gateway_offline", "gateway_backlog")
_FULL = 100_000.0  # m3: where an 8-digit register of litres wraps


@dataclass(frozen=True, slots=True)
class Publication:
    """One MQTT message, QoS 1. at: ms of the estate's clock."""

    topic: str
    payload: bytes
    at: int
    retain: bool = False


class Meters:
    """All registers of the estate by device, with what injections do to them."""

    def __init__(self, estate: Estate, record: Record, started_at: int) -> None:
        self._record, self._seed = record, estate.seed
        self._sets: dict[str, Registers] = {}
        self._place: dict[str, tuple[str, int]] = {}
        for kind, name in [*_METERS.items(), ("public_power", "public"), ("garden_water", "garden")]:
            self._add(kind, name, estate)
        self._riser = np.array(["ABCD".index(d.id[0]) for d in estate.of_kind("unit_water")])
        self._panel = np.array(["ABCD".index(d.id[0]) for d in estate.of_kind("unit_power")])
        self.overload_kw = 1.3 * rated_power(
            estate.floors
        )  # what a scenario adds: too much whatever else there is
        # The feeders' own meters are younger than the estate.
        self._fitted = [0.0] * 4
        self._fitted = [self.feeder(b, started_at - 120 * DAY)[0] for b in "ABCD"]
        self._near = "A-0105-water"  # its register is about to pass its end when the estate starts
        if self._near in self._place:
            kind, index = self._place[self._near]
            self._sets[kind].start[index] += _FULL - 0.07 - self._sets[kind].at(started_at)[index]

    def _add(self, kind: str, name: str, estate: Estate) -> None:
        devices = estate.of_kind(kind)
        keys = np.array([number_of(d.id) for d in devices], dtype=np.int64)
        start = np.round(uniform(estate.seed, keys, 10) * 900.0 + 20.0, 3)
        self._sets[kind] = Registers(name, estate.seed, keys, start)
        for index, device in enumerate(devices):
            self._place[device.id] = (kind, index)

    def raw(self, kind: str, moment: int) -> np.typing.NDArray[np.float64]:
        """Registers of all meters of a kind, without injections."""
        return self._sets[kind].at(moment)

    def rates(self, kind: str, moment: int) -> np.typing.NDArray[np.float64]:
        """Use per hour of all meters of a kind."""
        return self._sets[kind].rate(moment)

    def register(self, device: str, moment: int) -> float:
        """What the meter shows, before its resolution."""
        kind, index = self._place[device]

        def plain(at: int) -> float:
            return float(self._sets[kind].at(at)[index])

        def shown(at: int) -> float:
            return plain(at) + sum(_effect(i, at, plain) for i in self._record.of(device) if i.at <= at)

        fresh = [i.at for i in self._record.of(device) if i.scenario == "meter_exchanged" and i.at <= moment]
        return (shown(moment) - (shown(max(fresh)) if fresh else 0.0)) % _FULL

    def flow(self, device: str, moment: int) -> float:
        """Use per hour now."""
        kind, index = self._place[device]
        rate = float(self._sets[kind].rate(moment)[index])
        return rate + sum(extra_rate(i) for i in self._record.of(device) if i.active(moment))

    def riser(self, building: str, moment: int) -> tuple[float, float]:
        """(m3, m3/h) of a building's riser: its units, the loss, and leaks on units and riser."""
        mine = self._riser == "ABCD".index(building)
        volume = float(self.raw("unit_water", moment)[mine].sum()) * LOSS_WATER
        flow = float(self.rates("unit_water", moment)[mine].sum()) * LOSS_WATER
        for i in self._record.injections:
            if i.device.startswith(f"{building}-") and i.at <= moment:
                volume += extra(i, moment)
                flow += extra_rate(i) if i.active(moment) else 0.0
        return volume % 1_000_000, flow

    def garden(self, moment: int) -> tuple[float, float]:
        return float(self.raw("garden_water", moment)[0]), float(self.rates("garden_water", moment)[0])

    def feeder(self, building: str, moment: int) -> tuple[float, float]:
        """(kWh, kW) of a building's feeder: its units, its public use, the loss."""
        index = "ABCD".index(building)
        mine = self._panel == index
        energy = self.raw("unit_power", moment)[mine].sum() + self.raw("public_power", moment)[index]
        power = self.rates("unit_power", moment)[mine].sum() + self.rates("public_power", moment)[index]
        more = [
            i
            for i in self._record.of(f"{building}-feeder")
            if i.scenario == "feeder_overload" and i.at <= moment
        ]
        added = sum(self.overload_kw * (min(moment, i.until) - i.at) / HOUR for i in more)
        now = sum(self.overload_kw for i in more if i.active(moment))
        kwh, kw = float(energy) * LOSS_POWER, float(power) * LOSS_POWER
        return kwh + added - self._fitted[index], kw + now


def _effect(i: Injection, moment: int, plain: Callable[[int], float]) -> float:
    """What a scenario has done to the register of its meter by then."""
    if i.scenario == "meter_stuck":
        return plain(i.at) - plain(min(moment, i.until))
    return extra(i, moment)


def extra_rate(i: Injection) -> float:
    """m3/h that a scenario adds."""
    default = {"slow_leak": 0.018, "burst_pipe": 12.0, "register_rollover": 0.6}.get(i.scenario, 0.0)
    return float(i.options.get("flow", default)) if default else 0.0


def extra(i: Injection, moment: int) -> float:
    """m3 that a scenario has added by then."""
    return extra_rate(i) * (min(moment, i.until) - i.at) / HOUR


class World:
    """step(now) gives what is published in (the last step, now]."""

    def __init__(self, estate: Estate, record: Record, started_at: int, wills: bool = True) -> None:
        self.estate, self.record, self.started_at = estate, record, started_at
        self.meters = Meters(estate, record, started_at)
        self._wills = wills
        self._last: int | None = None
        self._alive: dict[str, bool] = {}
        self._floors = max((u.floor for u in estate.units), default=1)
        self._talkers = [d for d in estate.devices if d.interval and d.kind != "unit_power"]
        self._talkers += [d for d in estate.devices if d.kind == "dtu"]
        self._every = np.array([(d.interval or 900) * 1000 for d in self._talkers], dtype=np.int64)
        self._grain = max(_STEP, min(MINUTE, int(self._every.min()) // 2))
        self._phase = np.array(
            [number_of(d.id) % (int(every)) for d, every in zip(self._talkers, self._every, strict=True)]
        )
        self._gateways = [d for d in estate.devices if d.kind in ("dtu", "lora")]
        self._gates = estate.of_kind("gate")
        self._by_dtu: dict[str, list[SimDevice]] = {}
        for device in estate.of_kind("unit_power"):
            self._by_dtu.setdefault(device.through, []).append(device)
        self._writers: Mapping[str, Callable[[SimDevice, int], list[tuple[str, bytes]]]] = {
            "unit_water": self._unit_water,
            "unit_gas": self._unit_gas,
            "dtu": self._dtu,
            "riser": self._riser,
            "master_water": self._master,
            "garden_water": self._garden,
            "feeder": self._feeder,
            "mains": self._mains,
            "public_power": self._public,
            "tank": self._tank,
            "fire_tank": self._fire_tank,
            "pump": self._pump,
            "lift": self._lift,
            "fire_panel": self._fire,
            "gate": self._gate,
            "generator": self._generator,
            "transfer": self._transfer,
        }

    def inject(self, name: str, at: int, options: Mapping[str, str] | None = None) -> Injection:
        """Records a scenario, from `at` or as soon after what is published already as can be.

        Raises ValueError with a sentence for what cannot be played.
        """
        at = at if self._last is None else max(at, self._last + 1)
        kinds = {d.id: d.kind for d in self.estate.devices}
        injection = make_injection(name, at, options or {}, kinds)
        for other in self.record.of(injection.device):
            if other.scenario == name and other.active(at):
                raise ValueError(f"{name} is being played on {injection.device} already")
            if excludes(name, other) and at < other.over:
                raise ValueError(f"{other.scenario} is being played on {injection.device}; not both at once")
        self.record.add(injection)
        return injection

    # ------------------------------------------------------------ time

    def step(self, now: int) -> list[Publication]:
        """In the order of time. The first step publishes retained states only."""
        if self._last is None:
            self._last = now
            return self._births(now)
        found: list[Publication] = []
        while self._last < now:
            until = min(now, self._last + self._grain)
            found += self._between(self._last, until)
            self._last = until
        return found

    def _births(self, now: int) -> list[Publication]:
        found = self._sessions(now)
        for device in self.estate.devices:
            if device.profile.startswith("shelly/"):
                found.append(Publication(f"{device.address}/online", b"true", now, retain=True))
        return found

    def _between(self, after: int, until: int) -> list[Publication]:
        found = self._sessions(until) + self._incidents(after, until)
        due = (until - self._phase) // self._every
        ticked = np.flatnonzero(due > (after - self._phase) // self._every)
        for index in ticked.tolist():
            device = self._talkers[index]
            at = int(due[index] * self._every[index] + self._phase[index])
            if self.alive(device, at):
                found += [
                    Publication(topic, body, at) for topic, body in self._writers[device.kind](device, at)
                ]
        for device in self._gates:
            found += self._passing(device, after, until)
        return sorted(self._twice(found), key=lambda p: p.at)

    def _twice(self, found: list[Publication]) -> list[Publication]:
        """Devices that stutter send everything twice."""
        topics = {
            f"wmbusmeters/{self.estate.device(i.device).address}"
            for i in self.record.injections
            if i.scenario == "duplicates" and any(i.active(p.at) for p in found)
        }
        return [again for p in found for again in ([p, p] if p.topic in topics else [p])]

    def dead_feeders(self, at: int) -> set[str]:
        """Feeders without voltage; the incoming mains takes all of them."""
        dead = {i.device for name in _CUTS for i in self.record.active(name, at)}
        return dead | {d.id for d in self.estate.of_kind("feeder")} if "mains" in dead else dead

    def alive(self, device: SimDevice, at: int) -> bool:
        """Whether it has power, and its gateway too."""
        if device.powered_by and set(device.powered_by) <= self.dead_feeders(at):
            return False
        offline = [i.device for name in _OFFLINE for i in self.record.active(name, at)]
        if any(name in (device.id, device.through) for name in offline):
            return False
        return not device.through or self.alive(self.estate.device(device.through), at)

    def gateways(self, at: int) -> list[tuple[SimDevice, bool]]:
        """Gateways with a session of their own at the broker, and whether they live."""
        return [(d, self.alive(d, at)) for d in self._gateways]

    def _sessions(self, at: int) -> list[Publication]:
        """Births and last wills, where no broker session stands for them."""
        if not self._wills:
            return []
        found = []
        for device, alive in self.gateways(at):
            if self._alive.get(device.id) != alive:
                self._alive[device.id] = alive
                topic, body = status_of(device, alive)
                found.append(Publication(topic, body, at, retain=True))
        return found

    # ------------------------------------------------------------ what each kind says

    def _unit_water(self, d: SimDevice, at: int) -> list[tuple[str, bytes]]:
        total, flow = round(self.meters.register(d.id, at) - 0.0005, 3), self.meters.flow(d.id, at)
        said = at
        if any(i.active(at) for i in self.record.of(d.id) if i.scenario == "clock_wrong"):
            said = at - at % 1000 + 3_250_000_000_000 if (at // MINUTE) % 2 else at % 86_400_000
        return [payloads.wmbus(d.address, d.id, "cold water", max(total, 0.0), flow, said)]

    def _unit_gas(self, d: SimDevice, at: int) -> list[tuple[str, bytes]]:
        total = round(self.meters.register(d.id, at) - 0.0005, 3)
        return [payloads.wmbus(d.address, d.id, "gas", max(total, 0.0), None, at)]

    def _dtu(self, d: SimDevice, at: int) -> list[tuple[str, bytes]]:
        return [payloads.dtu_batch(d.id, self._panel_rows(d.id, at))]

    def _panel_rows(self, dtu: str, at: int) -> list[tuple[str, float, float, int]]:
        """at is cut to whole seconds, as the meters' clocks are."""
        at -= at % 1000
        rows = []
        for meter in self._by_dtu.get(dtu, ()):
            kwh = int(self.meters.register(meter.id, at) * 100) / 100
            stuck = any(i.active(at) for i in self.record.of(meter.id) if i.scenario == "meter_stuck")
            rows.append((meter.address, kwh, 0.0 if stuck else self.meters.flow(meter.id, at), at))
        return rows

    def _riser(self, d: SimDevice, at: int) -> list[tuple[str, bytes]]:
        volume, flow = self.meters.riser(d.id[0], at)
        return [payloads.water_tts(d.address, int(volume * 1000) / 1000, flow, at, d.interval)]

    def _master(self, d: SimDevice, at: int) -> list[tuple[str, bytes]]:
        parts = [self.meters.riser(b, at) for b in "ABCD"] + [self.meters.garden(at)]
        volume, flow = sum(p[0] for p in parts), sum(p[1] for p in parts)
        return [payloads.water_tts(d.address, int(volume * 1000) / 1000, flow, at, d.interval)]

    def _garden(self, d: SimDevice, at: int) -> list[tuple[str, bytes]]:
        volume, flow = self.meters.garden(at)
        return [payloads.water_tts(d.address, int(volume * 1000) / 1000, flow, at, d.interval)]

    def _em(self, d: SimDevice, kwh: float, kw: float, dead: bool) -> list[tuple[str, bytes]]:
        return [
            payloads.shelly_em(d.address, 0.0 if dead else kw * 1000, 0.0 if dead else 230.6),
            payloads.shelly_emdata(d.address, kwh * 1000),
        ]

    def _feeder(self, d: SimDevice, at: int) -> list[tuple[str, bytes]]:
        kwh, kw = self.meters.feeder(d.id[0], at)
        return self._em(d, kwh, kw, d.id in self.dead_feeders(at))

    def _mains(self, d: SimDevice, at: int) -> list[tuple[str, bytes]]:
        parts = [(b, self.meters.feeder(b, at)) for b in "ABCD"]
        dead = self.dead_feeders(at)
        kw = sum(kw for b, (_, kw) in parts if f"{b}-feeder" not in dead)
        return self._em(d, sum(kwh for _, (kwh, _) in parts), kw, d.id in dead)

    def _public(self, d: SimDevice, at: int) -> list[tuple[str, bytes]]:
        return self._em(d, self.meters.register(d.id, at), self.meters.flow(d.id, at), False)

    def _tank(self, d: SimDevice, at: int) -> list[tuple[str, bytes]]:
        return [payloads.tank_chirpstack(d.address, d.id, plant.tank_level(self.record, at), at, d.interval)]

    def _fire_tank(self, d: SimDevice, at: int) -> list[tuple[str, bytes]]:
        return [payloads.tank_chirpstack(d.address, d.id, 2.41, at, d.interval)]

    def _pump(self, d: SimDevice, at: int) -> list[tuple[str, bytes]]:
        number = int(d.id[-1])
        on = plant.pump_running(self.record, number, at)
        hours = (at - 1_735_689_600_000) / HOUR * (0.25 if number == 1 else 0.08)
        return [payloads.shelly_switch(d.address, on, 1480.2 if on else 0.0, hours * 1480.2)]

    def _lift(self, d: SimDevice, at: int) -> list[tuple[str, bytes]]:
        s = plant.lift(self.record, self.estate.seed, d.id, self._floors, at)
        tags = {
            "floor": s.floor,
            "door": s.door,
            "moving": s.moving,
            "mode": s.mode,
            "fault_code": s.fault_code,
            "trapped": s.trapped,
            "trips": s.trips,
            "door_zone": s.door_zone,
        }
        return [payloads.neuron(d.address, tags, at)]

    def _fire(self, d: SimDevice, at: int) -> list[tuple[str, bytes]]:
        burning = any(i.active(at) for i in self.record.of(d.id) if i.scenario == "fire_alarm")
        tags = {
            "alarm": int(burning),
            "fault": 0,
            "alarm_loop": 2 if burning else 0,
            "alarm_detector": 17 if burning else 0,
            "isolated": 0,
            "mains": 1,
        }
        return [payloads.neuron(d.address, tags, at)]

    def _gate(self, d: SimDevice, at: int) -> list[tuple[str, bytes]]:
        at -= at % 1000
        return [payloads.gate_status(d.address, plant.gate_open(self.record, self.estate.seed, d.id, at), at)]

    def _passing(self, d: SimDevice, after: int, until: int) -> list[Publication]:
        """Passages, and the door as it opens, closes, or is forced."""
        found = []
        for at in plant.passages(self.estate.seed, d.id, after, until):
            card = 8_165_000 + number_of(f"{d.id}{at}") % 400
            found.append(Publication(*payloads.gate_event(d.address, 1, card, at), at))
        for at, reason in plant.gate_changes(self.record, self.estate.seed, d.id, after, until):
            found.append(Publication(*payloads.gate_event(d.address, reason, 0, at), at))
        return found

    def _generator(self, d: SimDevice, at: int) -> list[tuple[str, bytes]]:
        g = plant.generator(self.record, at)
        running = g.code == 8
        values = {
            "StatusCode": g.code,
            "Ac/Power": g.power,
            "Ac/L1/Voltage": 230.1 if running else 0.0,
            "Ac/Frequency": 50.0 if running else 0.0,
            "Start": g.start,
            "ErrorCode": g.fault,
        }
        if at // 1000 % 60 < 10:
            values |= {
                "Engine/Speed": 1500 if running else 0,
                "Engine/CoolantTemperature": 78 if running else 31,
                "StarterVoltage": 27.6 if running else 26.4,
                "TankLevel": 82,
                "Engine/OperatingHours": round(g.hours * 3600),
            }
        return [payloads.victron(f"genset/0/{path}", value) for path, value in values.items()]

    def _transfer(self, d: SimDevice, at: int) -> list[tuple[str, bytes]]:
        return [payloads.victron("system/0/Ac/ActiveIn/Source", plant.generator(self.record, at).source)]

    # ------------------------------------------------------------ what happens once

    def _incidents(self, after: int, until: int) -> list[Publication]:
        found: list[Publication] = []
        for i in self.record.injections:
            if after < i.at <= until:
                if i.scenario == "malformed":
                    found += self._malformed(i.at)
                elif i.scenario == "late_batch":
                    found += self._late(i)
            if i.scenario == "gateway_backlog" and after < i.until <= until:
                found += self._backlog(i)
        return found

    def _malformed(self, at: int) -> list[Publication]:
        water = self.estate.of_kind("unit_water")[-1]
        total = round(self.meters.register(water.id, at) - 0.0005, 3)
        topic, good = payloads.wmbus(water.address, water.id, "cold water", total, 0.0, at)
        return [
            Publication(topic, good[: len(good) // 2], at),
            Publication(topic, b"\xff\xfe\x00\x81" * 8, at),
            Publication(topic, b"[" * 1_000_000, at),
            Publication("lobby/thermometer", b"21.5", at),
            Publication(topic, good.replace(b'"flow_temperature_c":12', b'"flow_temperature_c":9000'), at),
            Publication("wmbusmeters/00000000", good.replace(water.address.encode(), b"00000000"), at),
        ]

    def _late(self, i: Injection) -> list[Publication]:
        """A DTU sends its last 24 h, hourly, in no order."""
        hours = [i.at // HOUR * HOUR - n * HOUR for n in range(24)]
        random.Random(self.estate.seed).shuffle(hours)
        batches = [payloads.dtu_batch(i.device, self._panel_rows(i.device, at)) for at in hours]
        return [Publication(topic, body, i.at) for topic, body in batches]

    def _backlog(self, i: Injection) -> list[Publication]:
        """All that a DTU read while nobody heard it, at once, each reading with its own time."""
        every = (self.estate.device(i.device).interval or 900) * 1000
        phase = number_of(i.device) % every
        first = -(-(i.at - phase) // every) * every + phase
        batches = [
            payloads.dtu_batch(i.device, self._panel_rows(i.device, at))
            for at in range(first, i.until, every)
        ]
        return [Publication(topic, body, i.until) for topic, body in batches]


def status_of(device: SimDevice, alive: bool) -> tuple[str, bytes]:
    """The retained state of a gateway: its birth message, or its last will."""
    if device.kind == "lora":
        return payloads.lora_status(device.address, alive)
    return payloads.dtu_status(device.address, alive)
