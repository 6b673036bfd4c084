"""InfluxDB goes and comes back: no reading is lost or counted twice, and nothing but the storing waits."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from tests.acceptance.estate_day import EstateDay
from tests.servers.child import Missing
from tests.servers.influx import Influx, find_influx
from tests.servers.needed import unavailable
from tests.shipped_profiles import shipped_library

from dutyroom.backends.readings_influx import InfluxReadingStore
from dutyroom.errors import Unavailable
from dutyroom.model.telemetry import DeviceClass, Kind, Message, Point, PointSpec, PointTable, Readings

pytestmark = pytest.mark.servers

T = 1_790_000_000_000
VOLUME = Point(
    1,
    "estate",
    "meter",
    DeviceClass.WATER_METER,
    "A",
    PointSpec("volume", "volume", "m3", Kind.COUNTER, Decimal("0.001")),
)


def put(store: InfluxReadingStore, at: int, value: float) -> None:
    store.write(Readings.of([(1, at, value, 0, 0)]), PointTable([VOLUME]))


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Influx]:
    """A server that the test may end."""
    try:
        server = find_influx(tmp_path / "influx")
    except Missing as err:
        unavailable("influxdb", err)
    if server.child is None:
        server.stop()
        pytest.skip("the InfluxDB in use was not started by the tests: it is not for us to end")
    yield server
    server.stop()


def test_a_server_that_goes_and_comes_back(own_server: Influx) -> None:
    """There, away while running, there again."""
    assert own_server.child is not None
    store = InfluxReadingStore(
        own_server.url, own_server.token, own_server.org, "first", "estate", timeout_s=3
    )
    put(store, T, 1.0)
    own_server.child.stop()
    for attempt in (lambda: put(store, T + 1, 2.0), lambda: store.latest([VOLUME])):
        with pytest.raises(
            Unavailable, match=r"InfluxDB at http://127\.0\.0\.1:\d+ does not answer: "
        ) as caught:
            attempt()
        assert "object at 0x" not in str(caught.value)
    own_server.child.start(lambda: _answers(store), 60)
    put(store, T + 1, 2.0)
    assert store.range(VOLUME, T - 1, T + 9).value.tolist() == [1.0, 2.0]
    store.close()


class Outage(EstateDay):
    """The simulated estate with its readings in InfluxDB; messages come also while it is away."""

    def __init__(self, store: InfluxReadingStore, folder: Path) -> None:
        self._influx, self.waiting = store, 0
        library = shipped_library()
        super().__init__(folder, library, 1_793_491_200_000, units=4)

    def _start_flows(self) -> None:
        self.store = self._influx  # type: ignore[assignment]
        super()._start_flows()

    def _turn(self, at: int) -> None:
        self.clock.at = at
        self.ingest.handle([Message(p.topic, p.payload, p.at) for p in self.world.step(at)])
        try:
            self.keep.drain()
        except Unavailable:
            self.waiting += 1


def test_what_comes_during_an_outage_is_stored_after_it(own_server: Influx, tmp_path: Path) -> None:
    """No reading is lost or counted twice, and nothing but the storing waits."""
    assert own_server.child is not None
    store = InfluxReadingStore(
        own_server.url, own_server.token, own_server.org, "first", "lakeside", timeout_s=3
    )
    estate = Outage(store, tmp_path)
    start = estate.clock.at
    estate.until(start + 120_000)
    own_server.child.kill()
    estate.until(start + 240_000)
    assert estate.waiting == 24  # every turn of the outage
    ledger = estate.ledger()
    pending = ledger["readings"] - ledger["stored"] - ledger["duplicate"] - ledger["conflict"]
    assert pending > 1000
    own_server.child.start(lambda: _answers(store), 60)
    estate.until(start + 360_000)
    assert estate.waiting == 24
    ledger = estate.ledger()
    assert ledger["readings"] == ledger["stored"] + ledger["duplicate"]
    memory = EstateDay(tmp_path / "same", shipped_library(), start, units=4)
    memory.until(start + 360_000)
    points = list(estate.table)
    there = {(p.device, p.spec.name): store.range(p, 0, 2**62).value.tolist() for p in points}
    wanted = {(p.device, p.spec.name): memory.store.range(p, 0, 2**62).value.tolist() for p in memory.table}
    assert there == wanted
    for day in (estate, memory):
        day.close()
    store.close()


def _answers(store: InfluxReadingStore) -> bool:
    try:
        store.latest([VOLUME])
    except Unavailable:
        return False
    return True
