"""What a minute says of canary, journal, clocks and completeness: nothing that is not known."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from dutyroom.backends.journal import SqliteJournal
from dutyroom.flows.canary import CanaryState
from dutyroom.flows.health import Health
from dutyroom.flows.health_figures import completeness_fields, health_fields
from dutyroom.flows.live import LiveValue
from dutyroom.flows.skew import Skews
from dutyroom.interfaces import Spool
from dutyroom.model.telemetry import DeviceClass, Point, PointSpec, PointTable
from dutyroom.timebase import MINUTE

T = 1_793_491_200_000
SPEC = PointSpec("volume", "volume", "m3", step=Decimal("0.001"), interval_s=60)
TABLE = PointTable([Point(1, "estate", "A-1", DeviceClass.WATER_METER, "A", SPEC)])


def test_what_nobody_has_looked_at_is_absent() -> None:
    assert health_fields(Health()) == {}
    assert health_fields(Health(canary=CanaryState())) == {}
    assert health_fields(Health(Spool(0, 5, 5, 0.0))) == {}


def test_a_canary_that_is_silent_has_no_time() -> None:
    assert health_fields(Health(canary=CanaryState(proven=True, delay_s=0.5))) == {
        "canary_silent": 0,
        "canary_s": 0.5,
    }
    assert health_fields(Health(canary=CanaryState(proven=True, delay_s=0.5, silent=True))) == {
        "canary_silent": 1
    }


def test_the_journal_of_its_bound() -> None:
    assert health_fields(Health(Spool(1000, 750, 10, 0.75))) == {"spool": 75.0}


def test_clocks_that_are_off() -> None:
    skews = Skews(TABLE, lambda _: True)
    assert health_fields(Health(skews=skews)) == {"odd_clocks": 0, "skew_s": 0.0}
    for minute in range(6):
        at = T + minute * MINUTE
        skews.take([LiveValue(1, at - 600_000, at, 1.0, 0)], at)
    assert health_fields(Health(skews=skews)) == {"odd_clocks": 1, "skew_s": 600.0}


def test_a_journal_without_a_whole_hour_says_nothing_of_completeness(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    assert completeness_fields(journal, [], TABLE, "Asia/Shanghai", T, {}) == {}
    journal.close()
