"""A journal that is full, through a real broker: what is urgent still comes, the rest waits at the broker."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.chaos.plant import write_site
from tests.servers.mosquitto import Mosquitto
from tests.shipped_profiles import as_after_a_first_start

from dutyroom.backends.clock import SystemClock
from dutyroom.backends.datafolder import DataFolder
from dutyroom.backends.mqtt import MqttPublisher
from dutyroom.errors import Unavailable
from dutyroom.flows import watch
from dutyroom.interfaces import LedgerQuestion, LedgerSum
from dutyroom.model.telemetry import Lane
from dutyroom.settings import Settings
from dutyroom.site import load_site
from dutyroom.wiring.running import limits_of, open_site
from dutyroom.wiring.seeding import profiles_of
from dutyroom.wiring.stores import records_of, store_of

METERS, ORDINARY = 10, 300


def until(holds: Callable[[], object], what: str, seconds: float = 30.0) -> float:
    """Returns the seconds that it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() < began + seconds, f"not in time: {what}"
        time.sleep(0.05)
    return time.monotonic() - began


def said(number: int, at: int) -> bytes:
    pad = random.Random(number).randbytes(10_000).hex()  # does not shrink below 10 kB
    return json.dumps({"ts": at + number, "kwh": 1 + number / 100, "v": 230, "pad": pad}).encode()


def test_what_is_urgent_is_taken_though_the_journal_is_full(
    tmp_path: Path, new_mosquitto: Callable[[str], Mosquitto], monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the rules have passed may go when their next snapshot knows of it: within a minute.
    monkeypatch.setattr(watch, "_SNAPSHOT_AGE", 1_000)
    broker = new_mosquitto("")
    folder = tmp_path / "site"
    write_site(folder, broker.port, METERS)
    head, profile = folder / "site.yaml", folder / "device_profiles" / "chaos" / "meter.yaml"
    head.write_text(head.read_text().replace("'plant/+/up']", "'plant/+/up'], priority: ['fire/+/up']"))
    profile.write_text(
        profile.read_text().replace('"plant/{meter}/up"', '"plant/{meter}/up", "fire/{meter}/up"')
    )
    as_after_a_first_start(tmp_path / "data")
    settings = Settings(data=tmp_path / "data", spool_gb=0.002, canary=False)
    site = load_site(folder)
    with DataFolder(settings.data) as data:
        records, store = records_of(settings), store_of(settings, site.id)
        away = [True]
        write = store.write

        def kept(*given: object) -> None:
            if away[0]:
                raise Unavailable("the store is away")
            write(*given)  # type: ignore[arg-type]

        monkeypatch.setattr(store, "write", kept, raising=True)
        running = open_site(
            site,
            settings.data / "sites" / site.id,
            records,
            store,
            profiles_of(site, folder, data),
            SystemClock(),
            site.brokers,
            limits_of(settings),
        )
        running.start()
        journal, now = running.runtime.journal, int(time.time() * 1000) - 3_600_000
        devices = MqttPublisher("127.0.0.1", broker.port)

        def urgent() -> int:
            rows = journal.read(Lane.PRIORITY, 0, 99)
            return sum(len(batch.messages) for _, batch in rows)

        def totals() -> LedgerSum:
            return journal.balance(LedgerQuestion(0, by="device")).totals

        try:
            until(lambda: running.session.connected, "connected")
            time.sleep(0.5)
            for number in range(ORDINARY):
                devices.publish(f"plant/m{number % METERS:04d}/up", said(number, now))
                time.sleep(0.005)  # not all of them in one batch
            ingest = next(loop for loop in running.loops if loop.name == "ingest")
            until(lambda: "journal is full" in ingest.trouble, "the journal is full")
            full = journal.last(Lane.NORMAL)
            for number in range(3):  # one after the other, as alarms come
                devices.publish("fire/m0001/up", json.dumps({"ts": now + 10**6 + number, "v": 231}).encode())
                seconds = until(lambda n=number: urgent() == n + 1, f"urgent {number}")  # type: ignore[misc]
                assert seconds < 5  # about one, on a machine with nothing else to do
            assert journal.last(Lane.NORMAL) == full
            assert journal.spool().share == 1.0
            away[0] = False
            until(lambda: totals().received >= ORDINARY + 3, "the others came", 60)
            until(lambda: totals().stored + totals().duplicate == totals().readings, "all is stored", 60)
            assert (totals().quarantined, totals().readings) == (0, 2 * ORDINARY + 3)
        finally:
            devices.close()
            running.stop()
            records.close()
