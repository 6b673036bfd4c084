"""Many alarms in one batch: few statements each, the same few texts, and what is refused stops nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import event
from tests.bench.bench_storm import Storm

from dutyroom.errors import Conflict
from dutyroom.model.duty import Alarm, AlarmState, Priority

ALARMS = 40


def test_an_alarm_costs_a_dozen_statements_that_are_made_once(tmp_path: Path) -> None:
    storm = Storm(tmp_path, ALARMS)
    said: list[str] = []
    event.listen(storm.records._engine, "before_cursor_execute", lambda c, k, text, *_: said.append(text))
    for step, value in enumerate((20.0, 90.0)):
        storm.batch(value, storm.now - 60_000 + step * 1000)
        storm.watch.drain()
    with storm.records.read() as tx:
        assert len(tx.alarms.open_ones("storm")) == ALARMS
        assert len(tx.tickets.search("storm")) == ALARMS
    storm.close()
    assert len(said) < 12 * ALARMS + 40
    assert len(set(said)) < 40
    assert not any("SAVEPOINT" in text for text in said)


def test_what_is_refused_stops_nothing(tmp_path: Path) -> None:
    storm = Storm(tmp_path, 1)
    alarm = Alarm(0, "storm", "r", 1, "m0", "", "e1", AlarmState.UNACKNOWLEDGED, Priority.HIGH, False, 1, 1)
    with storm.records.write() as tx:
        first = tx.alarms.insert(alarm)
        with pytest.raises(Conflict):
            tx.alarms.insert(alarm)
        tx.change("storm", 1, "alarm", "after it")
    with storm.records.read() as tx:
        assert [a.id for a in tx.alarms.open_ones("storm")] == [first.id]
        assert tx.changes(0)[-1].key == "after it"
    storm.close()
