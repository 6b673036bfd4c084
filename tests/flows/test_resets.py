"""A pulse counter that lost its power and says so: from the message to the duty room and to the bill."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from tests.flows.intake_rig import Rig, T
from tests.flows.metered import SPECS, at
from tests.flows.test_billing import DEVICES, Lake

from dutyroom.backends.records_sql import open_records
from dutyroom.errors import Rejected
from dutyroom.flows.billing import correct_read, record_exchange
from dutyroom.interfaces import Records
from dutyroom.model.duty import Condition, Device
from dutyroom.model.metering import Exchange
from dutyroom.model.telemetry import COUNTER_RESET, Event, Lane, Message, Point
from dutyroom.rules.engine import Engine
from dutyroom.rules.parse import default_rules
from dutyroom.timebase import MINUTE

PULSES = """
name: A pulse counter
class: water_meter
match: {topics: ["pulse/{id}"]}
identity: "{id}"
points:
  volume: {from: total, quantity: volume, unit: L, kind: counter, step: 0.001, wrap: u32, reset_when: {power_on: 1}}
"""
METER = Device("site", "W-1", "", "water_meter", "acme/pulses", "7", "")


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    opened = Rig(tmp_path, {"pulses": PULSES})
    opened.register(METER)
    yield opened
    opened.close()


def say(minute: int, retained: bool = False, **fields: int) -> Message:
    return Message("pulse/7", json.dumps(fields).encode(), T + minute * MINUTE, retained)


def judged(rig: Rig) -> list[Condition]:
    """What the shipped rules say of all that is in the journal."""
    engine = Engine(default_rules(), rig.table, {METER.id: METER})
    found: list[Condition] = []
    for _, batch in rig.journal.read(Lane.NORMAL, 0, 1000):
        found += engine.feed(batch)
    return [c for c in found if c.rule == "meter.decrease"]


def test_a_reset_is_kept_with_the_value_before_and_after_and_alarms_nobody(rig: Rig) -> None:
    rig.ingest.handle([say(0, total=412_300), say(15, total=412_345)])
    rig.ingest.handle([say(30, total=2, power_on=1)])
    rig.ingest.handle([say(45, total=5)])
    rig.keep.drain()
    assert judged(rig) == []
    with rig.records.read() as tx:
        (event,) = tx.devices.events("site", code=COUNTER_RESET)
    assert (event.at, event.arguments) == (T + 30 * MINUTE, {"before": 412.345, "after": 0.002})
    assert [v for _, v in rig.stored("W-1", "volume")] == [412.3, 412.345, 0.002, 0.005]
    told = [(f.device, f.detail) for f in findings(rig) if f.kind == COUNTER_RESET]
    assert told == [("W-1", "volume: 412.345 -> 0.002 m3")]


def test_all_of_it_in_one_batch_and_the_counter_after_the_word(rig: Rig) -> None:
    rig.ingest.handle([say(0, total=412_345), say(15, power_on=1), say(30, total=2)])
    rig.keep.drain()
    assert judged(rig) == []
    with rig.records.read() as tx:
        (event,) = tx.devices.events("site", code=COUNTER_RESET)
    assert event.arguments == {"before": 412.345}


def test_without_the_device_s_word_it_is_a_decrease(rig: Rig) -> None:
    rig.ingest.handle([say(0, total=412_345), say(15, total=2)])
    assert [c.active for c in judged(rig)] == [True]
    rig.ingest.handle([say(30, power_on=1)])  # the word comes after the value: it is explained
    assert [c.active for c in judged(rig)] == [True, False]


def test_a_reset_explains_no_later_decrease(rig: Rig) -> None:
    rig.ingest.handle([say(0, total=412_345), say(15, total=2, power_on=1), say(30, total=900)])
    rig.ingest.handle([say(45, total=300)])
    assert [(c.active, c.arguments) for c in judged(rig)] == [(True, {"before": 0.9, "after": 0.3})]


def test_what_a_broker_had_retained_tells_no_reset(rig: Rig) -> None:
    rig.ingest.handle([say(0, total=412_345), say(15, total=2, power_on=1, retained=True)])
    rig.keep.drain()
    with rig.records.read() as tx:
        assert tx.devices.events("site", code=COUNTER_RESET) == []


def findings(rig: Rig) -> list:  # type: ignore[type-arg]
    return [f for _, batch in rig.journal.read(Lane.NORMAL, 0, 1000) for f in batch.findings]


# ---------------------------------------------------------------- the bill


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    opened = open_records(f"sqlite:///{tmp_path}/records.sqlite")
    yield opened
    opened.close()


def reset_at(lake: Lake, moment: str) -> None:
    point = lake.table.of_device("A-1204-water")[0]
    assert point.spec == SPECS["water_meter"]
    with lake.records.write() as tx:
        tx.devices.keep_events("lake", [Event(point.id, at(moment), "1", COUNTER_RESET, {}, 0)])


def test_a_bill_over_a_reset_waits_for_a_person_although_the_register_is_higher(records: Records) -> None:
    lake = Lake(records, shares=())
    reset_at(lake, "2026-10-12T08:00")
    _, run = lake.close()
    assert [(p.key, p.device, p.holds) for p in run.problems] == [("problem.reset", "A-1204-water", True)]
    assert [s.unit for s in run.statements] == ["A/12/1205"]
    record_exchange(
        records,
        Exchange(
            0, "lake", "A-1204-water", "volume", at("2026-10-12T08:20"), 418_900, 410_000, "li", "power"
        ),
        lake_now := at("2026-11-01T00:40"),
    )
    run = lake.bill(lake_now)
    assert run.problems == ()
    (used,) = [u for u in lake.statement("A/12/1204").usages if u.device == "A-1204-water"]
    assert used.quantity == Decimal("6.3") + Decimal("14")
    assert used.flags == ("exchange",)


@pytest.mark.parametrize("moment", ["2026-09-30T23:00", "2026-10-31T23:50"])
def test_a_reset_outside_the_two_reads_holds_nothing(records: Records, moment: str) -> None:
    lake = Lake(records, shares=())
    reset_at(lake, moment)
    _, run = lake.close()
    assert run.problems == ()


# ---------------------------------------------------------------- a wrap is no reset


def wide(lake: Lake) -> Point:
    """The water meter of a home, read as a binary counter of 32 bits of litres."""
    point = lake.table.of_device("A-1204-water")[0]
    found = replace(point, spec=replace(point.spec, digits=None, wrap=2**32))
    lake.table.add(found)
    row = next(d for d in DEVICES if d.id == found.device)
    with lake.records.write() as tx:
        assert tx.devices.add_points("lake", [(row, found.spec)])[0].spec == found.spec
    for moment in ("2026-09-30T23:45", "2026-10-31T23:45"):
        lake.drop("A-1204-water", moment)
    return found


@pytest.mark.parametrize(
    ("opening", "closing", "used"),
    [(2**32 - 4_000, 8_000, "12"), (2**32 - 1, 0, "0.001"), (412_600, 20, None)],
)
def test_a_counter_of_32_bits_is_billed_over_its_wrap(
    records: Records, opening: int, closing: int, used: str | None
) -> None:
    lake = Lake(records, shares=())
    wide(lake)
    lake.put("A-1204-water", "2026-09-30T23:45", opening)
    lake.put("A-1204-water", "2026-10-31T23:45", closing)
    _, run = lake.close()
    if used is None:
        assert [(p.key, p.device) for p in run.problems] == [("problem.suspect", "A-1204-water")]
        return
    (found,) = [u for u in lake.statement("A/12/1204").usages if u.device == "A-1204-water"]
    assert (found.quantity, found.flags) == (Decimal(used), ("rollover",))


def test_a_person_s_read_is_within_the_counter(records: Records) -> None:
    lake = Lake(records, shares=())
    wide(lake)
    close, now = at("2026-11-01T00:00"), at("2026-11-01T09:00")
    ask = (lake.site, records, "A-1204-water", "volume", close)
    with pytest.raises(Rejected, match=r"error\.read_span") as refused:
        correct_read(*ask, 2**32, now, "li", "read on site")
    assert refused.value.items == {"device": "A-1204-water", "most": "4294967.295", "unit": "m3"}
    assert correct_read(*ask, 2**32 - 1, now, "li", "read on site").steps == 2**32 - 1
