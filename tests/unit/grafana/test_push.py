"""Pushing dashboards, against a fake Grafana.

No Grafana server runs here. The fake speaks HTTP and does what the real one is strict about: it
knows no path with a numeric id (they are off by default since Grafana 13), refuses a dashboard
whose version is not the stored one, and asks for a token.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from dutyroom.backends.grafana import influx_datasource, push
from dutyroom.errors import Rejected, Unavailable

TOKEN = "service-account"
SOURCE = influx_datasource("http://influx:8086", "secret", "dutyroom")
BOARD = {"uid": "dutyroom-water", "title": "Water", "panels": [{"id": 1, "type": "stat"}]}
OTHER = {"uid": "dutyroom-gas", "title": "Gas", "panels": []}


class FakeGrafana(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.sources: dict[str, dict[str, Any]] = {}
        self.folders: dict[str, dict[str, Any]] = {}
        self.boards: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []
        self.broken = 0  # answers with this status

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answers(BaseHTTPRequestHandler):
    server: FakeGrafana

    def log_message(self, *_: object) -> None:
        pass

    def reply(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def answer(self) -> None:
        fake, path = self.server, self.path
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        fake.calls.append(f"{self.command} {path}")
        if fake.broken:
            return self.reply(fake.broken, {"message": "broken on purpose"})
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.reply(401, {"message": "Invalid API key"})
        if re.search(r"/\d+$", path):
            return self.reply(404, {"message": "APIs that use a numeric id are off"})
        for pattern, handle in (
            (r"/api/datasources$", self.new_source),
            (r"/api/datasources/uid/([\w-]+)$", self.source),
            (r"/api/folders$", self.new_folder),
            (r"/api/folders/([\w-]+)$", self.folder),
            (r"/api/dashboards/uid/([\w-]+)$", self.board),
            (r"/api/dashboards/db$", self.save_board),
        ):
            if found := re.fullmatch(pattern, path):
                return handle(body, *found.groups())
        return self.reply(404, {"message": "Not found"})

    do_GET = do_POST = do_PUT = answer  # noqa: N815 - the names that the library calls

    def new_source(self, body: Any) -> None:
        if body["uid"] in self.server.sources:
            return self.reply(409, {"message": "data source with the same name already exists"})
        self.server.sources[body["uid"]] = body
        return self.reply(200, {"message": "Datasource added"})

    def source(self, body: Any, uid: str) -> None:
        if uid not in self.server.sources:
            return self.reply(404, {"message": "Data source not found"})
        if self.command == "PUT":
            self.server.sources[uid] = body
        return self.reply(200, {"uid": uid})

    def new_folder(self, body: Any) -> None:
        self.server.folders[body["uid"]] = {**body, "version": 1}
        self.reply(200, self.server.folders[body["uid"]])

    def folder(self, body: Any, uid: str) -> None:
        there = self.server.folders.get(uid)
        if there is None:
            return self.reply(404, {"message": "folder not found"})
        if self.command == "PUT":
            if body.get("version") != there["version"]:
                return self.reply(412, {"message": "the folder has been changed by someone else"})
            there.update(title=body["title"], version=there["version"] + 1)
        return self.reply(200, there)

    def board(self, body: Any, uid: str) -> None:
        there = self.server.boards.get(uid)
        if there is None:
            return self.reply(404, {"message": "Dashboard not found"})
        return self.reply(200, {"dashboard": there, "meta": {"folderUid": there["folder"]}})

    def save_board(self, body: Any) -> None:
        wanted = body["dashboard"]
        there = self.server.boards.get(wanted["uid"])
        if wanted.get("id") is not None:
            return self.reply(404, {"message": "Dashboard not found"})
        if there is not None and wanted.get("version") != there["version"] and not body.get("overwrite"):
            return self.reply(412, {"message": "The dashboard has been changed by someone else"})
        if body["folderUid"] not in self.server.folders:
            return self.reply(400, {"message": "folder not found"})
        version = (there["version"] if there else 0) + 1
        self.server.boards[wanted["uid"]] = {
            **wanted, "id": 7, "version": version, "folder": body["folderUid"],
        }  # fmt: skip
        return self.reply(200, {"status": "success", "version": version})


@pytest.fixture
def grafana() -> Iterator[FakeGrafana]:
    with FakeGrafana() as fake:
        thread = threading.Thread(target=fake.serve_forever, args=(0.01,))
        thread.start()
        yield fake
        fake.shutdown()
        thread.join()


def test_everything_is_made_once_and_the_same_again_changes_nothing(grafana: FakeGrafana) -> None:
    first = push(grafana.url, TOKEN, [BOARD, OTHER], SOURCE)
    assert (first.created, first.changed, first.same) == (2, 0, 0)
    again = push(grafana.url, TOKEN, [BOARD, OTHER], SOURCE)
    assert (again.created, again.changed, again.same) == (0, 0, 2)
    assert {b["version"] for b in grafana.boards.values()} == {1}
    assert {b["folder"] for b in grafana.boards.values()} == {"dutyroom"}
    header = grafana.sources["dutyroom-readings"]["secureJsonData"]["httpHeaderValue1"]
    assert header == "Token secret"


def test_a_changed_dashboard_is_saved_over_the_version_that_is_there(grafana: FakeGrafana) -> None:
    push(grafana.url, TOKEN, [BOARD, OTHER], SOURCE)
    done = push(grafana.url, TOKEN, [{**BOARD, "title": "Water use"}, OTHER], SOURCE)
    assert (done.created, done.changed, done.same) == (0, 1, 1)
    assert grafana.boards["dutyroom-water"]["title"] == "Water use"
    assert grafana.boards["dutyroom-water"]["version"] == 2


def test_what_a_person_changed_in_grafana_is_put_back(grafana: FakeGrafana) -> None:
    push(grafana.url, TOKEN, [BOARD], SOURCE)
    grafana.boards["dutyroom-water"].update(title="Mine", version=9)
    assert push(grafana.url, TOKEN, [BOARD], SOURCE).changed == 1
    assert grafana.boards["dutyroom-water"]["title"] == "Water"


def test_a_folder_that_was_renamed_gets_its_name_back(grafana: FakeGrafana) -> None:
    push(grafana.url, TOKEN, [BOARD], SOURCE)
    grafana.folders["dutyroom"].update(title="Other", version=4)
    push(grafana.url, TOKEN, [BOARD], SOURCE)
    assert grafana.folders["dutyroom"]["title"] == "Dutyroom"


def test_no_path_with_a_numeric_id_is_called(grafana: FakeGrafana) -> None:
    push(grafana.url, TOKEN, [BOARD], SOURCE)
    push(grafana.url, TOKEN, [{**BOARD, "title": "x"}], {**SOURCE, "name": "y"})
    assert not [call for call in grafana.calls if re.search(r"/\d+$", call)]


def test_a_wrong_token_is_refused_by_name(grafana: FakeGrafana) -> None:
    with pytest.raises(Rejected, match="Unauthorized"):
        push(grafana.url, "wrong", [BOARD], SOURCE)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_grafana_in_trouble_is_worth_another_try(grafana: FakeGrafana, status: int) -> None:
    grafana.broken = status
    with pytest.raises(Unavailable, match="broken on purpose"):
        push(grafana.url, TOKEN, [BOARD], SOURCE)


def test_no_grafana_is_worth_another_try() -> None:
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9"):
        push("http://127.0.0.1:9", TOKEN, [BOARD], SOURCE)


@pytest.mark.parametrize(
    "url", ["grafana:3000", "ftp://grafana", "", "http://", "http://x:99999", "http://[::1"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(Rejected, match="no address"):
        push(url, TOKEN, [BOARD], SOURCE)
