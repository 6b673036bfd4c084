"""What the estate publishes: the same for a seed, read by the shipped profiles, as its scenarios say."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping

import pytest
from tests.shipped_profiles import shipped_library

from dutyroom.model.telemetry import Message
from dutyroom.profiles.decode import Library
from dutyroom.profiles.result import Decoded, Ignored
from dutyroom_simulators.estate import SimDevice, make_estate
from dutyroom_simulators.plant import gate_changes, gate_open, passages
from dutyroom_simulators.scenarios import Record, make_injection
from dutyroom_simulators.world import Publication, World

T0 = 1_795_564_800_000  # 2026-11-25T08:00+08:00
MINUTE = 60_000


def played(
    seed: int = 7, minutes: int = 16, step: int = MINUTE, scenario: str = "", **options: str
) -> list[Publication]:
    world = World(make_estate(seed, 24), Record(), T0)
    found = world.step(T0)
    if scenario:
        world.inject(scenario, T0 + 1000, options)
    for at in range(T0 + step, T0 + minutes * MINUTE + 1, step):
        found += world.step(at)
    return found


@pytest.fixture(scope="module")
def library() -> Library:
    return shipped_library()


def test_a_seed_says_the_same_however_it_is_stepped() -> None:
    assert played() == played()
    by_second, by_minute = (played(minutes=3, step=step) for step in (5_000, MINUTE))
    assert sorted(by_second, key=repr) == sorted(by_minute, key=repr)
    assert [p.payload for p in played()] != [p.payload for p in played(seed=8)]


def test_messages_come_in_the_order_of_time_within_the_step() -> None:
    world = World(make_estate(7, 24), Record(), T0)
    world.step(T0)
    for n in range(1, 20):
        ats = [p.at for p in world.step(T0 + n * 5_000)]
        assert ats == sorted(ats)
        assert all(T0 + (n - 1) * 5_000 < at <= T0 + n * 5_000 for at in ats)


class Estate:
    """The registry of the simulated estate."""

    def __init__(self) -> None:
        self.devices = {(d.profile, d.address): d for d in make_estate(7, 24).devices}

    def parameters(self, profile: str, address: str) -> Mapping[str, str] | None:
        device = self.devices.get((profile, address))
        return None if device is None else device.parameters

    def profiles(self, address: str) -> list[str]:
        return [profile for profile, known in self.devices if known == address]


def decoded(publications: list[Publication], library: Library) -> dict[str, dict[str, set[float]]]:
    """device -> point -> values; every message must be read, for its registered device."""
    known = Estate()
    found: dict[str, dict[str, set[float]]] = defaultdict(lambda: defaultdict(set))
    for p in publications:
        outcome = library.decode(Message(p.topic, p.payload, p.at, p.retain), known)
        assert isinstance(outcome, Decoded | Ignored), (p.topic, p.payload[:300], outcome)
        if isinstance(outcome, Decoded):
            assert outcome.findings == []
            for reading in outcome.readings:
                found[known.devices[outcome.profile, reading.address].id][reading.spec.name].add(
                    reading.value
                )
    return found


EXPECTED = {
    "unit_water": {"volume", "flow"},
    "unit_power": {"energy", "power", "voltage", "current"},
    "unit_gas": {"volume", "battery"},
    "riser": {"volume", "flow", "battery"},
    "master_water": {"volume", "flow"},
    "garden_water": {"volume", "flow"},
    "feeder": {"energy", "power", "voltage", "online"},
    "mains": {"energy", "power", "voltage", "online"},
    "public_power": {"energy", "power"},
    "tank": {"level", "battery"},
    "fire_tank": {"level"},
    "pump": {"running", "power", "energy"},
    "lift": {"floor", "door", "moving", "mode", "fault_code", "trapped", "trips"},
    "fire_panel": {"alarm", "fault", "alarm_loop", "alarm_detector", "isolated", "mains"},
    "gate": {"door_open", "system_error"},
    "generator": {"running", "power", "voltage", "fuel", "hours", "fault_code", "start_request"},
    "transfer": {"source"},
    "dtu": {"online"},
    "lora": {"online"},
}


def test_every_device_is_read_by_its_shipped_profile(library: Library) -> None:
    found = decoded(played(), library)
    for device in make_estate(7, 24).devices:
        assert found[device.id].keys() >= EXPECTED[device.kind], device.id
    assert set(EXPECTED) == {d.kind for d in make_estate(7, 24).devices}


def test_levels_are_centimetres_on_the_way_and_metres_at_home(library: Library) -> None:
    said = [json.loads(p.payload) for p in played() if b"tank-domestic" in p.payload]
    depths = {body["object"]["depth"] for body in said}
    assert min(depths) >= 100
    levels = decoded(played(), library)["tank-domestic"]["level"]
    assert sorted(levels) == pytest.approx([depth / 100 for depth in sorted(depths)])
    assert 1.1 < min(levels) <= max(levels) < 2.0


@pytest.mark.parametrize(
    ("kind", "point"), [("unit_water", "volume"), ("riser", "volume"), ("unit_power", "energy")]
)
def test_registers_come_in_whole_steps_and_never_go_down(kind: str, point: str, library: Library) -> None:
    for device in make_estate(7, 24).of_kind(kind)[:3]:
        values = said_in_order(device, point, library)
        assert values == sorted(values)
        assert all(value == round(value) for value in values)  # a counter holds its register's own steps


def said_in_order(device: SimDevice, point: str, library: Library) -> list[float]:
    values = []
    for p in played():
        if device.address.encode() not in p.topic.encode() + p.payload:
            continue
        outcome = library.decode(Message(p.topic, p.payload, p.at), Estate())
        if isinstance(outcome, Decoded):
            values += [
                r.value for r in outcome.readings if r.address == device.address and r.spec.name == point
            ]
    return values


# ---------------------------------------------------------------- gates


def test_a_gate_says_when_its_door_moves() -> None:
    changes = gate_changes(Record(), 7, "gate-east", T0, T0 + 60 * MINUTE)
    assert [reason for _, reason in changes] == [23, 24] * (len(changes) // 2)
    assert len(changes) >= 20
    for (opened, _), (closed, _) in zip(changes[::2], changes[1::2], strict=True):
        assert closed - opened == 8_000
        assert gate_open(Record(), 7, "gate-east", opened + 4_000)
        assert not gate_open(Record(), 7, "gate-east", closed)
    assert len(passages(7, "gate-east", T0, T0 + 60 * MINUTE)) == len(changes) // 2


def test_a_forced_door_says_so_once_and_closes_once() -> None:
    record = Record()
    record.add(make_injection("gate_forced", T0 + 333, {}))
    told = [reason for at, reason in gate_changes(record, 7, "gate-west", T0, T0 + 5 * MINUTE)]
    assert told.count(38) == 1
    assert told[told.index(38) + 1] == 24


def test_status_and_events_of_a_gate_never_contradict_each_other() -> None:
    states: dict[tuple[int, str], bool] = {}
    for p in played(minutes=120, scenario="gate_held_open"):
        body = json.loads(p.payload).get("message", {}) if p.topic.startswith("uhppoted/") else {}
        if event := body.get("event"):
            if event["event-reason"] in (23, 24):
                key = (event["device-id"], event["timestamp"])
                assert states.setdefault(key, event["event-reason"] == 23) == (event["event-reason"] == 23)
        elif status := body.get("status"):
            key = (status["device-id"], status["system-datetime"])
            assert states.setdefault(key, status["door-states"]["1"]) == status["door-states"]["1"]
    assert len(states) > 1000


# ---------------------------------------------------------------- power, gateways, test runs


def test_a_dead_feeder_silences_what_hangs_on_it_and_starts_the_generator(library: Library) -> None:
    found = played(minutes=5, scenario="feeder_cut")
    later = [p for p in found if T0 + 2 * MINUTE < p.at < T0 + 5 * MINUTE]
    assert not [p for p in later if "/B-lift-" in p.topic or "up/B-dtu" in p.topic]
    assert [p for p in later if "/A-lift-" in p.topic]
    values = decoded(found, library)
    assert 0.0 in values["B-feeder"]["voltage"]
    assert values["generator"]["running"] == {0.0, 1.0}
    assert 2.0 in values["transfer-switch"]["source"]
    (will,) = [p for p in found if p.topic.endswith("status/B-dtu-1") and p.payload == b"offline"]
    assert will.retain


def test_the_mains_take_every_feeder_along() -> None:
    world = World(make_estate(7, 24), Record(), T0)
    world.inject("feeder_cut", T0, {"device": "mains"})
    assert world.dead_feeders(T0 + 1) == {"mains", "A-feeder", "B-feeder", "C-feeder", "D-feeder"}


def test_a_test_run_is_long_and_loaded(library: Library) -> None:
    power = decoded(played(minutes=40, scenario="generator_test"), library)["generator"]["power"]
    assert 30.0 in power
    loaded = [
        p
        for p in played(minutes=40, scenario="generator_test")
        if p.topic.endswith("Ac/Power") and b"30000" in p.payload
    ]
    assert loaded[-1].at - loaded[0].at >= 30 * MINUTE


def test_what_is_malformed_disturbs_only_itself() -> None:
    plain, disturbed = played(minutes=2), played(minutes=2, scenario="malformed")
    extra = [p for p in disturbed if p not in plain]
    assert len(extra) == 6
    assert max(len(p.payload) for p in extra) == 1_000_000
    assert [p for p in disturbed if p in plain] == plain


def test_a_stuttering_meter_says_all_twice() -> None:
    said = [
        p
        for p in played(minutes=2, scenario="duplicates")
        if p.topic == f"wmbusmeters/{address('A-0101-water')}"
    ]
    assert len(said) == 2 * len({p.payload for p in said}) >= 20


def test_a_late_batch_is_a_day_in_disorder(library: Library) -> None:
    found = [p for p in played(minutes=1, scenario="late_batch") if p.topic.endswith("up/A-dtu-1")]
    times = [int(json.loads(p.payload)["batch"][0]["timestamp"]) for p in found]
    assert len(times) >= 24
    assert max(times) - min(times) >= 23 * 60 * MINUTE
    assert times != sorted(times)


def test_a_backlog_comes_at_once_with_every_reading_in_its_own_time() -> None:
    def batches(scenario: str) -> list[tuple[int, int]]:
        found = [p for p in played(minutes=90, scenario=scenario) if p.topic.endswith("up/C-dtu-1")]
        return [(p.at - T0, int(json.loads(p.payload)["batch"][0]["timestamp"]) - T0) for p in found]

    ends = 1000 + 70 * MINUTE
    said, plain = batches("gateway_backlog"), batches("burst_pipe")
    assert sorted(stamp for _, stamp in said) == [stamp for _, stamp in plain]
    kept = [at for at, stamp in said if stamp < ends]
    assert len(kept) >= 4
    assert set(kept) == {ends}


def address(device: str) -> str:
    return make_estate(7, 24).device(device).address


@pytest.mark.parametrize(
    ("first", "then", "device"),
    [
        ("tank_overflow", "tank_dry", "tank-domestic"),
        ("generator_start_failure", "feeder_cut", "C-feeder"),
        ("entrapment", "elevator_fault", "B-lift-3"),
        ("gate_held_open", "gate_forced", "gate-east"),
    ],
)
def test_what_would_hide_what_is_being_played_is_refused(first: str, then: str, device: str) -> None:
    world = World(make_estate(7, 24), Record(), T0)
    playing = world.inject(first, T0, {"device": device})
    with pytest.raises(ValueError, match=f"{first} is being played on {device}; not both at once"):
        world.inject(then, playing.over - 1, {"device": device})
    world.inject(then, playing.over, {"device": device})
