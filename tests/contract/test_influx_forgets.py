"""A real InfluxDB that is killed inside an entry of its log forgets, at its second start, what it acknowledged in
between; from the journal it gets that again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.test_influx_outage import own_server as own_server
from tests.flows.intake_rig import Rig, T, batch, meter
from tests.servers.influx import Influx

from dutyroom.backends.clock import SystemClock
from dutyroom.backends.readings_influx import InfluxReadingStore
from dutyroom.flows.keep import Keep
from dutyroom.flows.recheck import KIND, Recheck
from dutyroom.timebase import DAY, MINUTE, Ms

pytestmark = pytest.mark.servers

METERS = [str(n) for n in range(20)]


class House:
    """Twenty meters whose readings go into that server."""

    def __init__(self, server: Influx, folder: Path) -> None:
        self.server, self.ms = server, 0
        self.rig = r = Rig(folder / "rig")
        r.register(*map(meter, METERS))
        self.store = InfluxReadingStore(server.url, server.token, server.org, "first", "site", timeout_s=5)
        clock = SystemClock()
        self.recheck = Recheck("site", r.table, r.journal, self.store, r.records, clock, lambda: self.ms)
        self.keep = Keep("site", r.table, r.journal, self.store, r.records, wrote=self.recheck.wrote)

    def turns(self) -> None:
        self.ms += MINUTE
        self.recheck.look()
        self.keep.drain()
        while self.recheck.step():
            pass

    def minutes(self, first: int, last: int) -> None:
        for minute in range(first, last):
            at = T + minute * MINUTE
            volumes = {name: (minute + 0.001 * place, at) for place, name in enumerate(METERS)}
            self.rig.ingest.handle([batch(at, **volumes)])
        self.turns()

    def stored(self) -> dict[tuple[str, Ms], float]:
        found = {}
        for name in METERS:
            point = self.rig.table.find(f"meter-{name}", "volume")
            if point is not None:
                series = self.store.range(point, T - DAY, T + DAY)
                found.update(
                    {(name, at): v for at, v in zip(series.at.tolist(), series.value.tolist(), strict=True)}
                )
        return found

    def kill(self, torn: bool = False) -> None:
        """And start. torn: inside an entry of its log."""
        child = self.server.child
        assert child is not None
        child.kill()
        if torn:
            self.server.tear()
        child.start(lambda: _answers(self.store))


def _answers(store: InfluxReadingStore) -> bool:
    try:
        return store.run() is not None
    except Exception:
        return False


@pytest.fixture
def house(own_server: Influx, tmp_path: Path) -> Iterator[House]:
    made = House(own_server, tmp_path)
    yield made
    made.store.close()
    made.rig.close()


def test_each_start_of_a_server_is_another_run(house: House) -> None:
    first = house.store.run()
    assert first is not None
    assert first == house.store.run()
    assert first.shard == 7 * DAY  # of a bucket without end
    time.sleep(0.01)
    house.kill()
    assert house.store.run() not in (None, first)


def test_what_it_forgot_is_written_again(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    house.minutes(0, 40)
    assert len(house.stored()) == 800
    house.kill(torn=True)
    house.minutes(40, 80)
    whole = house.stored()
    assert len(whole) == 1_600
    house.kill()
    there = house.stored()
    with capsys.disabled():
        print(f" [forgotten: {len(whole) - len(there)}]", end="")
    house.minutes(80, 81)
    assert house.stored().keys() >= whole.keys()
    assert {key: value for key, value in house.stored().items() if key in whole} == whole
    (found,) = [row.detail for row in house.rig.journal.findings(0) if row.kind == KIND] or ["0"]
    assert int(found) == len(whole) - len(there)
    ledger = house.rig.journal.ledger(0)
    assert sum(row.stored for row in ledger) == 81 * 20
    assert sum(row.duplicate + row.conflict for row in ledger) == 0
    house.kill(torn=True)
    house.kill()
    house.turns()
    assert len(house.stored()) == 81 * 20
