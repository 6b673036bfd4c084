"""A running site's canary through a real broker: what it measures, what its silence does, and that it is no device."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.servers.mosquitto import Mosquitto
from tests.shipped_profiles import as_after_a_first_start

from dutyroom.backends.clock import SystemClock
from dutyroom.backends.datafolder import DataFolder
from dutyroom.flows import canary as flow
from dutyroom.flows.outage import RULE
from dutyroom.interfaces import LedgerQuestion
from dutyroom.settings import Settings
from dutyroom.site import load_site
from dutyroom.wiring.running import RunningSite, limits_of, open_site
from dutyroom.wiring.seeding import profiles_of
from dutyroom.wiring.stores import records_of, store_of


def until(holds: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.05)


@contextmanager
def running(
    folder: Path, *ports: int, topics: str = "['meters/+/up']", name: str = "canary-test", more: str = ""
) -> Iterator[RunningSite]:
    site_folder = folder / "site"
    site_folder.mkdir(parents=True, exist_ok=True)
    brokers = ", ".join(f"{{host: 127.0.0.1, port: {port}, topics: {topics}}}" for port in ports)
    (site_folder / "site.yaml").write_text(
        f"id: {name}\nname: {{en: Test}}\ntime_zone: Asia/Shanghai\nlanguage: en\nbroker: [{brokers}]\n{more}"
    )
    as_after_a_first_start(folder / "data")
    settings = Settings(data=folder / "data")
    site = load_site(site_folder)
    with DataFolder(settings.data) as data:
        records = records_of(settings)
        opened = open_site(
            site,
            settings.data / "sites" / site.id,
            records,
            store_of(settings, site.id),
            profiles_of(site, site_folder, data),
            SystemClock(),
            site.brokers,
            limits_of(settings),
        )
        opened.start()
        try:
            yield opened
        finally:
            opened.stop()
            records.close()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("FIRST_S", 0.2), ("EVERY_S", 0.5), ("SILENT_S", 2.0), ("DEAF_S", 1.0)):
        monkeypatch.setattr(flow, name, seconds)


@pytest.mark.usefixtures("hurried")
def test_it_goes_from_the_broker_to_the_store_and_is_no_device(
    tmp_path: Path, new_mosquitto: Callable[[str], Mosquitto]
) -> None:
    broker = new_mosquitto("")
    with running(tmp_path, broker.port) as site:
        health, runtime = site.runtime.health, site.runtime
        until(lambda: health.canary is not None and health.canary.proven)
        assert health.canary is not None
        assert health.canary.delay_s is not None
        assert health.canary.delay_s < 5
        with runtime.records.read() as tx:
            assert not tx.devices.all("canary-test")
            assert not tx.devices.points("canary-test")
        totals = runtime.journal.balance(LedgerQuestion(0, by="device")).totals
        assert (totals.quarantined, totals.unread) == (0, 0)
        assert totals.decoded >= 1
    with running(tmp_path, broker.port) as site:  # the store knows it from before
        health = site.runtime.health
        until(lambda: health.canary is not None and health.canary.proven)


def test_each_broker_of_a_site_has_one(
    tmp_path: Path, new_mosquitto: Callable[[str], Mosquitto], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("FIRST_S", 0.2), ("EVERY_S", 3.0)):
        monkeypatch.setattr(flow, name, seconds)
    rights = tmp_path / "rights"
    rights.write_text("topic read #\n")
    rights.chmod(0o600)
    first, second = new_mosquitto(""), new_mosquitto("")
    silent = new_mosquitto(f"acl_file {rights}\nmax_queued_messages 10000000\n")  # takes nothing of ours
    with running(tmp_path / "two", first.port, second.port) as site:
        health = site.runtime.health
        until(lambda: health.canary is not None and health.canary.proven)
        assert health.canary is not None
        assert health.canary.where == ""
    with running(tmp_path / "deaf", first.port, silent.port) as site:
        health = site.runtime.health
        until(lambda: health.canary is not None and health.canary.delay_s is not None)
        time.sleep(4)
        assert health.canary is not None
        assert (health.canary.proven, health.canary.where) == (False, f"broker 127.0.0.1:{silent.port}")


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("more", ["", "adopt_unknown: true\n"])
def test_a_site_that_hears_everything_ignores_the_canary_of_another(
    tmp_path: Path, new_mosquitto: Callable[[str], Mosquitto], more: str
) -> None:
    broker, wide = new_mosquitto(""), {"topics": "['#']", "more": more}
    with (
        running(tmp_path / "a", broker.port, name="site-a", **wide) as a,
        running(tmp_path / "b", broker.port, name="site-b", **wide) as b,
    ):
        for site in (a, b):
            health = site.runtime.health
            until(lambda health=health: health.canary is not None and health.canary.proven)  # type: ignore[misc]
        for site in (a, b):
            journal = site.runtime.journal
            until(lambda j=journal: j.balance(LedgerQuestion(0, by="device")).totals.ignored >= 2)  # type: ignore[misc]
            assert journal.balance(LedgerQuestion(0, by="device")).totals.quarantined == 0
            assert [f.kind for f in journal.findings(0)] == []
            with site.runtime.records.read() as tx:
                assert not tx.devices.all(site.runtime.site.id)


@pytest.mark.usefixtures("hurried")
def test_a_site_that_hears_nothing_any_more_raises_one_alarm_until_it_does(
    tmp_path: Path, new_mosquitto: Callable[[str], Mosquitto]
) -> None:
    broker = new_mosquitto("")
    with running(tmp_path, broker.port) as site:
        runtime = site.runtime
        until(lambda: runtime.health.canary is not None and runtime.health.canary.proven)

        def alarms() -> list[bool]:
            with runtime.records.read() as tx:
                return [a.cleared_at is None for a in tx.alarms.search("canary-test") if a.rule == RULE.id]

        taken = site.session.take
        site.session.take = lambda timeout_s, limit: (time.sleep(0.1), [])[1]  # type: ignore[method-assign]
        until(lambda: alarms() == [True])
        assert runtime.broker_ok()  # the connection itself is well
        time.sleep(3)
        assert alarms() == [True]
        assert [f.count for f in runtime.journal.findings(0) if f.kind == "canary_silent"] == [1]
        site.session.take = taken  # type: ignore[method-assign]
        until(lambda: alarms() == [False])
