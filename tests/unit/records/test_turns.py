"""A writer that leaves SQLite no pause keeps nobody else from writing."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from tests.busy import alone

from dutyroom.backends.records_sql import open_records
from dutyroom.backends.records_sql import records as records_sql
from dutyroom.errors import Unavailable


def test_who_writes_without_a_pause_lets_the_next_one_in(tmp_path: Path) -> None:
    records, stop = open_records(f"sqlite:///{tmp_path}/records.sqlite"), threading.Event()

    def seeding() -> None:
        while not stop.is_set():
            with records.write():
                time.sleep(0.15)

    writer = threading.Thread(target=seeding)
    writer.start()
    try:
        waited = []
        for _ in range(5):
            time.sleep(0.02)
            began = time.monotonic()
            with records.write():
                waited.append(time.monotonic() - began)
        assert alone(sorted(waited)[2]) < 0.8  # of whom SQLite's own waiting let in, most waited for seconds
    finally:
        stop.set()
        writer.join()
        records.close()


def test_a_writer_that_gave_up_leaves_its_turn_to_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = open_records(f"sqlite:///{tmp_path}/records.sqlite")
    monkeypatch.setattr(records_sql, "_BUSY_MS", 200)
    inside, leave = threading.Event(), threading.Event()

    def importing() -> None:
        with records.write():
            inside.set()
            leave.wait(10)

    writer = threading.Thread(target=importing)
    writer.start()
    assert inside.wait(10)
    with pytest.raises(Unavailable, match="1 writers are before this one"), records.write():
        pass
    leave.set()
    writer.join()
    with records.write():
        pass
    with pytest.raises(ZeroDivisionError), records.write():
        raise ZeroDivisionError
    with records.write():
        pass
    records.close()


def test_a_writer_that_is_interrupted_while_it_waits_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = records_sql._Turns()

    def interrupted(*_: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(turns._change, "wait_for", interrupted)
        with pytest.raises(KeyboardInterrupt), turns:
            pass
    monkeypatch.setattr(records_sql, "_BUSY_MS", 200)
    with turns:
        pass
