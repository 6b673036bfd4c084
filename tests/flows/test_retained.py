"""What a broker had retained and tells again is no news: it may raise, it never clears, refreshes or
counts time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.flows.intake_rig import PROBE, Rig, T, batch, meter, probe, tank

from dutyroom.flows.draft import Draft, Times
from dutyroom.flows.live import Live, LiveValue
from dutyroom.model.telemetry import (
    DeviceClass,
    Lane,
    Point,
    PointSpec,
    PointTable,
    Quality,
    Readings,
)
from dutyroom.profiles.result import DecodedEvent
from dutyroom.timebase import HOUR, MINUTE

LATER = T + 30 * MINUTE


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    made.register(tank(), meter("m1"))
    yield made
    made.close()


def shown(rig: Rig, device: str = "tank-p1", name: str = "level") -> LiveValue:
    point = rig.table.find(device, name)
    assert point is not None
    value = rig.live.get(point.id)
    assert value is not None
    return value


def committed(rig: Rig) -> list[tuple[float, int]]:
    return [
        (float(value), int(quality))
        for _, b in rig.journal.read(Lane.NORMAL, 0, 100)
        for value, quality in zip(b.readings.value, b.readings.quality, strict=True)
    ]


@pytest.mark.parametrize("restart", [False, True])
def test_the_same_again_is_nothing_new(rig: Rig, restart: bool) -> None:
    rig.ingest.handle([probe("1.5", T)])
    rig.keep.drain()
    if restart:
        rig.again()
    before, heard = shown(rig), rig.live.heard("tank-p1")
    for again in ("1.50", "1.500"):  # other bytes: no delivery again that could be recognised
        rig.ingest.handle([probe(again, LATER, retained=True)])
        rig.keep.drain()
    assert rig.stored("tank-p1", "level") == [("03:00:00Z", 1.5)]
    assert shown(rig) == before
    assert rig.live.heard("tank-p1") == heard
    row = rig.ledger()["tank-p1"]
    assert (row.decoded, row.stored, row.duplicate) == (3, 1, 2)


def test_another_state_is_told_with_its_mark_and_no_younger_than_what_was_known(rig: Rig) -> None:
    rig.ingest.handle([probe("1.5", T)])
    version = rig.live.version
    rig.ingest.handle([probe("2.5", LATER, retained=True)])
    rig.keep.drain()
    value = shown(rig)
    assert (value.value, value.quality, value.received_at) == (2.5, Quality.RETAINED, T)
    assert [v.value for v in rig.live.since(version)[1]] == [2.5]
    assert rig.live.heard("tank-p1") == T
    assert committed(rig) == [(1.5, 0), (2.5, Quality.RETAINED)]
    rig.ingest.handle([probe("2.5", LATER + MINUTE)])  # and now it says so itself
    assert (shown(rig).quality, shown(rig).received_at) == (Quality.GOOD, LATER + MINUTE)


@pytest.mark.parametrize("restart", [False, True])
def test_a_state_that_comes_back_while_we_were_away_is_told_though_it_was_said_before(
    rig: Rig, restart: bool
) -> None:
    """Off and on again; then the broker lost our session, and of the second "off" it has only what it retained."""
    rig.ingest.handle([probe("0", T), probe("1", T + MINUTE)])
    rig.keep.drain()
    if restart:
        rig.again()
    rig.ingest.handle([probe("0", LATER, retained=True)])
    rig.keep.drain()
    told = shown(rig)
    assert (told.value, told.quality, told.received_at) == (0.0, Quality.RETAINED, T + MINUTE)
    rig.ingest.handle([probe("0", LATER + MINUTE, retained=True)])  # the next reconnect tells nothing new
    rig.keep.drain()
    assert shown(rig) == told
    assert committed(rig)[:3] == [(0.0, 0), (1.0, 0), (0.0, Quality.RETAINED)]
    row = rig.ledger()["tank-p1"]
    assert (row.decoded, row.stored, row.duplicate) == (4, 3, 1)


def test_the_first_that_is_known_of_a_device_may_be_a_retained_one(rig: Rig) -> None:
    rig.ingest.handle([probe("1.5", T, retained=True)])
    assert shown(rig).quality == Quality.RETAINED
    assert rig.live.heard("tank-p1") is None


def test_an_older_message_with_a_clock_of_its_own_changes_nothing(rig: Rig) -> None:
    rig.ingest.handle([batch(T, m1=(5.0, T - MINUTE))])
    rig.ingest.handle([replace(batch(LATER, m1=(4.0, T - HOUR)), retained=True)])
    rig.keep.drain()
    assert shown(rig, "meter-m1", "volume").value == 5000.0
    assert {row.kind for row in rig.journal.findings(0)} == set()  # and it is not late


def test_an_absurd_clock_hides_no_retained_message(rig: Rig) -> None:
    rig.ingest.handle([replace(batch(T, m1=(4.0, 60_000)), retained=True)])
    assert committed(rig) == [(4000.0, Quality.RETAINED)]


def test_an_impossible_value_stays_suspect(rig: Rig) -> None:
    rig.shelve("probe", PROBE.replace("unit: m}", "unit: m, low: 0, high: 5}"))
    rig.shelf.reload()
    rig.ingest.handle([probe("99", T, retained=True)])
    assert committed(rig) == [(99.0, Quality.SUSPECT)]


def test_a_wording_is_known_after_a_restart(rig: Rig) -> None:
    rig.shelve("probe", PROBE.replace("quantity: level, unit: m", "kind: text"))
    rig.shelf.reload()
    rig.register(tank("p2"))
    rig.ingest.handle([probe("closed", T, "p2")])
    rig.keep.drain()
    rig.again()
    assert shown(rig, "tank-p2").text == "closed"
    rig.ingest.handle([probe("closed", LATER, "p2", retained=True)])
    rig.keep.drain()
    value = shown(rig, "tank-p2")
    assert (value.text, value.at) == ("closed", T)
    rig.ingest.handle([probe("open", LATER, "p2", retained=True)])
    assert shown(rig, "tank-p2").text == "open"


def test_a_retained_event_is_none_unless_it_says_when_it_was() -> None:
    spec = PointSpec("passage")
    table = PointTable([Point(1, "site", "tank-p1", DeviceClass.TANK, "", spec)])
    devices = {"p1": tank()}
    for retained, at, count in ((True, None, 0), (True, T - HOUR, 1), (False, None, 1)):
        draft = Draft()
        event = DecodedEvent("p1", spec, at, "41", "granted", {})
        draft.happened(event, probe("x", T, retained=retained), devices, table, Times(Live(), {}))
        assert len(draft.events) == count


def test_live_values_of_a_retained_batch() -> None:
    live = Live()
    live.update(Readings.of([(1, T, 5.0, 0, 0)]), T, 1, ["d"])
    before = live.get(1)
    live.update(Readings.of([(1, T, 5.0, int(Quality.RETAINED), 0)]), LATER, 1)
    assert live.get(1) == before
    assert live.heard("d") == T
