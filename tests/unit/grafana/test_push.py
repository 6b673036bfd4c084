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
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dutyroom.backends.grafana import influx_datasource, push
from dutyroom.cli import app
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
        self.refusing: dict[str, tuple[int, object]] = {}  # by method and path: status and body
        self.savers = 0  # so many times somebody else saves a dashboard just before us

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
        if f"{self.command} {path}" in fake.refusing:
            return self.reply(*fake.refusing[f"{self.command} {path}"])
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
        if any(s["uid"] == body["uid"] or s["name"] == body["name"] for s in self.server.sources.values()):
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
        if self.server.savers and there is not None:
            self.server.savers -= 1
            there.update(title="Theirs", version=there["version"] + 1)
        if wanted.get("id") is not None:
            return self.reply(404, {"message": "Dashboard not found"})
        if there is not None and wanted.get("version") != there["version"] and not body.get("overwrite"):
            return self.reply(
                412,
                {"message": "The dashboard has been changed by someone else", "status": "version-mismatch"},
            )
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


def test_it_says_each_thing_that_it_did(grafana: FakeGrafana) -> None:
    said: list[str] = []
    push(grafana.url, TOKEN, [BOARD, OTHER], SOURCE, say=said.append)
    assert said == [
        "created   data source Dutyroom readings (dutyroom-readings)",
        "created   folder Dutyroom (dutyroom)",
        "created   dashboard Water (dutyroom-water)",
        "created   dashboard Gas (dutyroom-gas)",
    ]
    said.clear()
    grafana.folders["dutyroom"].update(title="Other", version=4)
    push(grafana.url, TOKEN, [{**BOARD, "title": "Water use"}, OTHER], SOURCE, say=said.append)
    assert [line.split("   ")[0] for line in said] == ["written again", "renamed", "changed", "there already"]


def test_a_wrong_token_is_refused_by_name(grafana: FakeGrafana) -> None:
    with pytest.raises(Rejected, match=r"the token is not accepted.*Unauthorized"):
        push(grafana.url, "wrong", [BOARD], SOURCE)


@pytest.mark.parametrize(
    "call",
    ["POST /api/datasources", "POST /api/folders", "POST /api/dashboards/db", "GET /api/folders/dutyroom"],
)
def test_what_the_token_may_not_do_is_named(grafana: FakeGrafana, call: str) -> None:
    grafana.refusing[call] = 403, {"message": "You'll need additional permissions"}
    said: list[str] = []
    with pytest.raises(Rejected, match=r"may not do this \(.*role Admin.*additional permissions"):
        push(grafana.url, TOKEN, [BOARD], SOURCE, say=said.append)
    assert len(said) == {"POST /api/datasources": 0, "POST /api/dashboards/db": 2}.get(call, 1)


def test_another_server_at_the_address_is_said_to_be_none(grafana: FakeGrafana) -> None:
    with pytest.raises(Rejected, match="is this the address of a Grafana, with its path"):
        push(f"{grafana.url}/else", TOKEN, [BOARD], SOURCE)


@pytest.mark.parametrize("answer", [[], "hello", None, 3])
@pytest.mark.parametrize("status", [200, 404, 500])
def test_an_answer_that_is_no_grafanas_is_no_crash(grafana: FakeGrafana, status: int, answer: object) -> None:
    for uid in ("datasources/uid/dutyroom-readings", "folders/dutyroom", "dashboards/uid/dutyroom-water"):
        grafana.refusing = {f"GET /api/{uid}": (status, answer)}
        said = ""
        try:
            push(grafana.url, TOKEN, [BOARD], SOURCE)
        except (Rejected, Unavailable) as err:
            said = str(err)
        assert said.startswith("Grafana at http") or (said == "" and status == 404)


def test_a_data_source_of_that_name_is_not_touched(grafana: FakeGrafana) -> None:
    grafana.sources["mine"] = {"uid": "mine", "name": "Dutyroom readings"}
    with pytest.raises(Rejected, match=r"another data source is called 'Dutyroom readings'"):
        push(grafana.url, TOKEN, [BOARD], SOURCE)
    assert grafana.sources == {"mine": {"uid": "mine", "name": "Dutyroom readings"}}


def test_who_saves_between_our_look_and_our_write_is_looked_at_again(grafana: FakeGrafana) -> None:
    push(grafana.url, TOKEN, [BOARD], SOURCE)
    grafana.savers = 1
    assert push(grafana.url, TOKEN, [{**BOARD, "title": "Water use"}], SOURCE).changed == 1
    assert grafana.boards["dutyroom-water"]["title"] == "Water use"
    assert grafana.boards["dutyroom-water"]["version"] == 3


def test_who_saves_again_and_again_is_not_overwritten(grafana: FakeGrafana) -> None:
    push(grafana.url, TOKEN, [BOARD], SOURCE)
    grafana.savers = 9
    with pytest.raises(Unavailable, match="somebody else has changed it meanwhile"):
        push(grafana.url, TOKEN, [{**BOARD, "title": "Water use"}], SOURCE)
    assert grafana.boards["dutyroom-water"]["title"] == "Theirs"
    assert grafana.savers == 7


def test_a_conflict_that_no_other_try_changes_is_refused_at_once(grafana: FakeGrafana) -> None:
    grafana.refusing["POST /api/dashboards/db"] = 412, {"message": "same name", "status": "name-exists"}
    with pytest.raises(Rejected, match="same name"):
        push(grafana.url, TOKEN, [BOARD], SOURCE)
    assert grafana.calls.count("POST /api/dashboards/db") == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_grafana_in_trouble_is_worth_another_try(grafana: FakeGrafana, status: int) -> None:
    grafana.broken = status
    with pytest.raises(Unavailable, match="broken on purpose"):
        push(grafana.url, TOKEN, [BOARD], SOURCE)


def test_no_grafana_is_worth_another_try() -> None:
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9 does not answer: .*refused"):
        push("http://127.0.0.1:9", TOKEN, [BOARD], SOURCE)


def test_a_page_in_place_of_an_answer_is_worth_another_try() -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "6")
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        with pytest.raises(Unavailable, match="no Grafana's answer"):
            push(f"http://127.0.0.1:{server.server_address[1]}", TOKEN, [BOARD], SOURCE)
        server.shutdown()
        thread.join()


# ------------------------------------------------------------ the command


def pushed(grafana: FakeGrafana, folder: Path, *more: str) -> tuple[int, list[str]]:
    (folder / "grafana.token").write_text(f"{TOKEN}\n")
    (folder / "influx.token").write_text("secret\n")
    given = ["grafana", "push", "--url", grafana.url, "--token-file", str(folder / "grafana.token"), *more]
    environment = {
        "DUTYROOM_INFLUX_URL": "http://influx:8086",
        "DUTYROOM_INFLUX_TOKEN_FILE": str(folder / "influx.token"),
    }
    done = CliRunner().invoke(app, given, env=environment)
    return done.exit_code, done.output.splitlines()


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_the_command_pushes_every_dashboard_and_then_changes_nothing(
    grafana: FakeGrafana, tmp_path: Path, language: str
) -> None:
    code, said = pushed(grafana, tmp_path, "--language", language)
    assert (code, said[-1]) == (0, "Grafana has 11 new dashboards, 0 changed, 0 as before.")
    assert len(said) == 14
    names = {board["title"] for board in grafana.boards.values()}
    assert ("用水" if language == "zh-CN" else "Water") in names
    source = grafana.sources["dutyroom-readings"]
    assert (source["url"], source["jsonData"]["dbName"]) == ("http://influx:8086", "dutyroom")
    assert "secret" not in "".join(said)
    code, said = pushed(grafana, tmp_path, "--language", language)
    assert (code, said[-1]) == (0, "Grafana has 0 new dashboards, 0 changed, 11 as before.")


def test_the_command_says_in_a_line_what_is_wrong(grafana: FakeGrafana, tmp_path: Path) -> None:
    code, said = pushed(grafana, tmp_path, "--language", "de")
    assert (code, said[-1]) == (1, "dutyroom: there are no dashboards in 'de', only in zh-CN and en")
    grafana.broken = 503
    code, said = pushed(grafana, tmp_path)
    assert code == 1
    assert "broken on purpose" in said[-1]
    assert "Traceback" not in "".join(said)


@pytest.mark.parametrize(
    "url", ["grafana:3000", "ftp://grafana", "", "http://", "http://x:99999", "http://[::1"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(Rejected, match="no address"):
        push(url, TOKEN, [BOARD], SOURCE)
