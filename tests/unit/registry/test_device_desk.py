"""The registry changed while everything runs: all of it or nothing, on the record, at once."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from tests.unit.registry.estate import House, csv, feeder, house, library, water

from dutyroom.errors import Invalid, Rejected, Unavailable
from dutyroom.flows.devices import differences, fed
from dutyroom.metering.registers import register_of, usage
from dutyroom.model.duty import DeviceStatus
from dutyroom.model.metering import PeriodRead, ReadFlag
from dutyroom.model.telemetry import Message, Quality, Reading
from dutyroom.profiles.decode import Decoded
from dutyroom.rules.engine import Engine
from dutyroom.timebase import HOUR, Ms
from dutyroom.topology import Topology, feeds_of

DAY: Ms = 24 * HOUR


def decoded(at: House, address: str, payload: str) -> Decoded:
    message = Message(f"acme/{address}/up", payload.encode(), 1_793_491_200_000)
    outcome = library().decode(message, at.registry)
    assert isinstance(outcome, Decoded), outcome
    return outcome


def test_a_table_is_heard_at_once_and_on_the_record(tmp_path: Path) -> None:
    at = house(tmp_path, [water(1)])
    at.take("id,profile,address,space\nW-1,acme/water,00000009,A/2\nW-2,acme/water,00000002,A/1\n")
    assert at.registry.find("acme/water", "00000001") is None
    assert decoded(at, "00000009", '{"vol": 1.5}').readings[0].value == 1500
    point = at.table.find("W-2", "volume")
    assert point is not None
    assert (point.space, point.spec.interval_s) == ("A/1", 900)
    assert {p.space for p in at.table.of_device("W-1")} == {"A/2"}
    assert [(r.action, r.target, r.actor) for r in at.trail()] == [
        ("devices.import", "devices.csv", "tester"),
        ("device.changed", "W-1", "tester"),
        ("device.added", "W-2", "tester"),
    ]
    assert at.trail()[1].detail == "address: 00000001 → 00000009; space: A/1 → A/2"


def test_one_flaw_and_nothing_is_done(tmp_path: Path) -> None:
    at = house(tmp_path, [water(1)])
    with pytest.raises(Invalid) as caught:
        at.take("id,profile,address,space\nW-2,acme/water,00000002,A/1\nW-3,acme/watr,3,A/1\n")
    assert len(caught.value.mistakes) == 1
    assert set(at.devices()) == {"W-1"}
    assert (at.trail(), len(at.table)) == ([], 2)


def test_looking_changes_nothing(tmp_path: Path) -> None:
    at = house(tmp_path, [water(1)])
    made = at.desk.check(csv("id,name\nW-1,other\n"))
    assert (len(made.changed), at.devices()["W-1"].name, at.trail()) == (1, "meter 1", [])


def test_two_devices_change_places(tmp_path: Path) -> None:
    at = house(tmp_path, [water(1), water(2), water(3)])
    at.take("id,address\nW-1,00000002\nW-2,00000003\nW-3,00000001\n")
    assert [d.address for d in at.devices().values()] == ["00000002", "00000003", "00000001"]
    assert all(d.status is DeviceStatus.ACTIVE for d in at.devices().values())
    found = at.registry.find("acme/water", "00000001")
    assert found is not None
    assert found.id == "W-3"


def test_a_withdrawn_device_gives_its_address_away_and_comes_back(tmp_path: Path) -> None:
    at = house(tmp_path, [water(1)])
    at.desk.withdraw("W-1", "tester")
    assert at.registry.find("acme/water", "00000001") is None
    assert at.trail()[0].action == "device.withdrawn"
    at.take("id,profile,address,space\nW-2,acme/water,00000001,A/1\n")
    with pytest.raises(Invalid, match="belongs to device W-2"):
        at.desk.take_back("W-1", "tester")
    at.desk.withdraw("W-2", "tester")
    at.desk.take_back("W-1", "tester")
    assert at.registry.find("acme/water", "00000001") == water(1)
    with pytest.raises(Rejected, match="no_device"):
        at.desk.withdraw("W-9", "tester")


def test_what_feeds_a_device_counts_at_once(tmp_path: Path) -> None:
    at = house(tmp_path, [water(1), feeder("F-1"), feeder("F-2")], Topology({"power": {"W-9": ("F-2",)}}))
    topology = at.site.topology
    assert feeds_of(topology, "power", "W-1") == ()
    at.take("id,fed_by\nW-1,F-1;F-2\n")
    assert feeds_of(topology, "power", "W-1") == ("F-1", "F-2")
    assert feeds_of(topology, "power", "W-9") == ("F-2",)
    at.take("id,fed_by\nW-1,\n")
    assert feeds_of(topology, "power", "W-1") == ()


def test_a_topology_file_that_contradicts_a_row_is_refused_at_the_start(tmp_path: Path) -> None:
    at = house(tmp_path, [water(1, fed_by=("F-1",)), feeder("F-1"), feeder("F-2")])
    site = at.site.__class__("s", {}, "UTC", drawn=Topology({"power": {"W-1": ("F-2",)}}))
    with pytest.raises(Rejected, match=r"device W-1: topology\.yaml says F-2 feeds it with power"):
        fed(site, at.devices().values())


def test_a_device_with_readings_may_move_and_somebody_is_told(tmp_path: Path) -> None:
    at = house(tmp_path, [water(1)])
    point = at.table.find("W-1", "volume")
    assert point is not None
    at.stored[point.id] = Reading(point.id, 1, 1500.0)
    made = at.desk.take(csv("id,address\nW-1,00000005\n"), "tester")
    assert [str(n) for n in made.notes] == [
        'devices.csv row 2, column "address": has readings already; those that follow come from 00000005'
    ]


def test_steps_of_a_register_with_readings_stay(tmp_path: Path) -> None:
    at = house(tmp_path, [water(1)])
    at.take("id,resolution\nW-1,0.01\n")  # nothing was read yet
    point = at.table.find("W-1", "volume")
    assert point is not None
    assert point.spec.step == Decimal("0.01")
    at.stored[point.id] = Reading(point.id, 1, 150.0)
    with pytest.raises(Invalid, match=r"volume is kept in steps of 0\.01 m3, not 0\.001"):
        at.take("id,resolution\nW-1,\n")
    at.take("id,digits\nW-1,5\n")  # where it rolls over may be mended at any time
    point = at.table.find("W-1", "volume")
    assert point is not None
    assert point.spec.digits == 5


def test_a_meter_of_five_digits_reads_rolls_over_and_bills_as_it_shows(tmp_path: Path) -> None:
    at = house(tmp_path, [water(1, digits=5, resolution=Decimal("0.01"))])
    point = at.table.find("W-1", "volume")
    assert point is not None
    reads = [decoded(at, "00000001", f'{{"vol": "{value}"}}').readings[0] for value in ("999.98", "0.02")]
    assert [(r.value, r.quality) for r in reads] == [(99_998, Quality.GOOD), (2, Quality.GOOD)]
    assert all(r.spec == point.spec or r.spec.interval_s != point.spec.interval_s for r in reads)
    (over,) = decoded(at, "00000001", '{"vol": 1000}').readings
    assert over.quality == Quality.SUSPECT  # the dial cannot show it
    first, last = (
        PeriodRead("s", "W-1", "volume", n * DAY, int(r.value), n * DAY, ReadFlag.ACTUAL)
        for n, r in enumerate(reads)
    )
    used = usage(register_of(point, at.devices()["W-1"], dwelling=True), first, last)
    assert (used.quantity, used.flags) == (Decimal("0.04"), ("rollover",))
    other = decoded(house(tmp_path / "b", [water(1)]), "00000001", '{"vol": "1000.001"}').readings[0]
    assert (other.value, other.quality) == (1_000_001, Quality.GOOD)  # the profile's own, untouched


def test_rules_look_at_the_changed_row_and_keep_what_they_know(tmp_path: Path) -> None:
    at = house(tmp_path, [water(1, parameters={"use": "riser"}), water(2)])
    engine = Engine(at.site.rules, at.table, at.registry.by_id)
    seen: list[frozenset[str]] = []

    def tell(changed: frozenset[str]) -> None:
        seen.append(changed)
        engine.reload(at.site.rules, at.registry.by_id, changed)

    at.desk.tell(tell)
    assert seen == []
    at.take("id,parameters\nW-1,use=riser;burst_flow=9\n")
    at.desk.tell(tell)
    at.desk.tell(tell)
    assert seen == [frozenset({"W-1"})]
    at.desk.withdraw("W-2", "tester")

    def away(changed: frozenset[str]) -> None:
        raise Unavailable("later")

    with pytest.raises(Unavailable):
        at.desk.tell(away)
    gone: set[tuple[str, str]] = set()
    at.desk.tell(lambda changed: gone.update(engine.reload(at.site.rules, at.registry.by_id, changed)))
    assert {device for _, device in gone} == {"W-2"}


def test_a_table_of_many_rows_is_taken_in_time(tmp_path: Path) -> None:
    at = house(tmp_path)
    rows = "".join(f"W-{n},acme/water,{n:08d},A/1,use=riser\n" for n in range(5_000))
    at.take("id,profile,address,space,parameters\n" + rows)
    assert len(at.devices()) == 5_000
    assert len(at.table) == 10_000


def test_differences_are_told_by_the_columns() -> None:
    assert differences(water(1), water(1, digits=5, fed_by=("F-1", "F-2"))) == [
        ("fed_by", "", "F-1;F-2"),
        ("digits", "", "5"),
    ]
