"""The stream over a real socket: snapshot, ticks, languages, slow clients, the end."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from tests.acceptance.pages_harness import SITE
from tests.busy import alone
from tests.unit.api.conftest import House

from dutyroom.api.server import PageServer
from dutyroom.api.stream import QUEUE, Client, Hub
from dutyroom.model.telemetry import Readings

PAGES: list[Page] = []  # opened in the block, closed with the server


@contextmanager
def served(house: House) -> Iterator[tuple[int, PageServer]]:
    """A real server on a free port; ends with the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = uvicorn.Config(house.app, port=port, log_level="critical", timeout_graceful_shutdown=5)
    server = PageServer(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield port, server
    server.should_exit = True
    thread.join(10)
    while PAGES:
        PAGES.pop().close()
    assert not thread.is_alive()


class Page:
    """A page that listens."""

    def __init__(self, house: House, port: int, login: str = "viewer", language: str = "zh-CN") -> None:
        cookies = "; ".join(f"{c.name}={c.value}" for c in house.person(login).cookies.jar)
        self._link = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        self._link.request("GET", f"/sites/{SITE}/stream?lang={language}", headers={"cookie": cookies})
        self.answer = self._link.getresponse()
        PAGES.append(self)

    def close(self) -> None:
        self.answer.close()
        self._link.close()

    def next(self) -> tuple[str, dict[str, Any]]:
        """The next event; ("", {}) at the end of the stream."""
        name = ""
        while line := self.answer.readline():
            if line.startswith(b"event: "):
                name = line[7:].strip().decode()
            if line.startswith(b"data: "):
                return name, json.loads(line[6:])
        return "", {}

    def until(self, wanted: str, having: str = "") -> dict[str, Any]:
        for _ in range(100):
            name, body = self.next()
            if name == wanted and (not having or body[having]):
                return body
        raise AssertionError(f"no {wanted}")


def test_a_page_gets_how_things_stand_and_then_what_changes(house: House) -> None:
    with served(house) as (port, _):
        zh, en = Page(house, port), Page(house, port, language="en")
        first, same = zh.until("snapshot"), en.until("snapshot")
        assert first["counts"]["unacknowledged"] == 4
        assert {row["title"] for row in first["alarms"]} >= {"爆管"}
        assert {row["title"] for row in same["alarms"]} >= {"Burst pipe"}
        burst = next(row["id"] for row in same["alarms"] if row["title"] == "Burst pipe")
        started = time.monotonic()
        house.person("operator").post(f"/api/v1/sites/{SITE}/alarms/{burst}/acknowledge", json={})
        for page in (zh, en):
            rows = page.until("tick", "alarms")["alarms"]
            assert [(r["id"], r["filled"]) for r in rows] == [(burst, False)]
        assert alone(time.monotonic() - started) < 3  # the log-in of the operator is in it


def test_plant_values_go_out_and_units_only_while_watched(house: House) -> None:
    table, live = house.estate.runtime.table, house.estate.runtime.live
    plant, unit = table.find("T1", "level"), table.find("A-1-0101-water", "flow")
    assert plant is not None
    assert unit is not None

    def say(value: float) -> None:
        now = house.estate.clock.now()
        live.update(Readings.of([(plant.id, now, value, 0, 0), (unit.id, now, value, 0, 0)]), now, 1)

    with served(house) as (port, _):
        page = Page(house, port)
        known = {row["point"] for row in page.until("snapshot")["values"]}
        assert plant.id in known
        assert unit.id not in known
        say(1.5)
        assert [(v["point"], v["text"]) for v in page.until("tick")["values"]] == [(plant.id, "1.50")]
        viewer = http.client.HTTPConnection("127.0.0.1", port)
        client = house.person("viewer")
        cookies = "; ".join(f"{c.name}={c.value}" for c in client.cookies.jar)
        headers = {"cookie": cookies, "x-csrf-token": client.headers["x-csrf-token"]}
        viewer.request("POST", f"/sites/{SITE}/watch/A-1-0101-water", headers=headers)
        assert viewer.getresponse().status == 204
        viewer.close()
        say(2.5)
        assert {v["point"] for v in page.until("tick")["values"]} == {plant.id, unit.id}


def test_a_heartbeat_comes_when_nothing_does(house: House) -> None:
    with served(house) as (port, _):
        page = Page(house, port)
        page.until("snapshot")
        beat = page.until("beat")
        assert abs(beat["t"] - house.estate.clock.now()) < 2_000
        assert beat["broker"] is True


def test_a_lost_broker_is_told_at_once(house: House) -> None:
    with served(house) as (port, _):
        page = Page(house, port)
        page.until("snapshot")
        house.estate.runtime.broker_ok = lambda: False
        while page.until("tick")["broker"]:
            pass


def test_the_server_stops_within_a_second_while_pages_listen(house: House) -> None:
    with served(house) as (port, server):
        pages = [Page(house, port) for _ in range(3)]
        for page in pages:
            page.until("snapshot")
        started = time.monotonic()
        server.should_exit = True
        for page in pages:
            while page.next()[0]:
                pass
        assert alone(time.monotonic() - started) < 1.0


def test_the_stream_is_closed_to_strangers(house: House) -> None:
    client = house.visitor()
    assert client.get(f"/sites/{SITE}/stream").status_code == 401
    assert client.get(f"/sites/{SITE}/stream?token=guess").status_code == 401


def test_a_quarantine_that_shrinks_is_told(house: House) -> None:
    with served(house) as (port, _):
        page = Page(house, port)
        before = page.until("snapshot")["counts"]["quarantine"]
        assert before > 1
        time.sleep(1.2)  # the journal is looked at each second
        house.estate.runtime.journal.settle(
            [row.id for row in house.estate.runtime.journal.quarantine()][:1], "discarded"
        )
        told = page.until("tick", "changed")
        assert "quarantine" in told["changed"]
        assert told["counts"]["quarantine"] == before - 1


def test_a_stream_ends_with_the_session_that_opened_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dutyroom.api.stream.BEAT_S", 0.5)
    with served(house) as (port, _):
        page, other = Page(house, port), Page(house, port, "operator")
        page.until("snapshot")
        other.until("snapshot")
        with house.estate.records.write() as tx:
            viewer = tx.people.by_login("viewer")
            assert viewer is not None
            tx.people.end_sessions(viewer.id)
        while page.next()[0]:
            pass
        assert other.until("beat")["broker"] is True


@pytest.mark.parametrize("behind", [0, QUEUE])
def test_who_falls_behind_gets_how_things_stand_instead(house: House, behind: int) -> None:
    async def play() -> list[bytes | None]:
        hub = Hub(house.app.state.room)
        client = Client(SITE, "en")
        for _ in range(behind):
            client.queue.put_nowait(b"old")
        hub._clients.add(client)
        hub._hand_out(SITE, {"en": b"new"})
        for _ in range(100):
            await asyncio.sleep(0.01)
            if client.queue.qsize() == 1:
                break
        return [client.queue.get_nowait() for _ in range(client.queue.qsize())]

    got = asyncio.run(play())
    assert len(got) == 1
    assert got[0] is not None
    assert got[0] == b"new" if not behind else got[0].startswith(b"event: snapshot")
