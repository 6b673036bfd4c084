"""Data source, folder and dashboards into a running Grafana, through grafana-api.

Only paths that name things by uid: those with numeric ids are off in present Grafana. The package
is used as the signed session that it is; its own classes still call the old paths.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import requests
from grafana_api.grafana_api import GrafanaAPI, GrafanaException

from dutyroom.errors import Rejected, Unavailable

Json: TypeAlias = Mapping[str, Any]
Say: TypeAlias = Callable[[str], None]

FOLDER_UID = "dutyroom"
DATASOURCE_UID = "dutyroom-readings"
CREATED, CHANGED, SAME = "created", "changed", "there already"
_CHANGED_MEANWHILE = ("", "version-mismatch")  # what else 412 says is the same at every try


@dataclass(frozen=True, slots=True)
class Pushed:
    """How many dashboards were created, changed, and the same already."""

    created: int
    changed: int
    same: int


def influx_datasource(url: str, token: str, bucket: str) -> Json:
    """The data source for InfluxDB 2.x read by InfluxQL. url: as Grafana itself reaches it."""
    return {
        "uid": DATASOURCE_UID,
        "name": "Dutyroom readings",
        "type": "influxdb",
        "access": "proxy",
        "url": url,
        "jsonData": {
            "version": "InfluxQL",
            "dbName": bucket,
            "httpMode": "POST",
            "httpHeaderName1": "Authorization",
        },
        "secureJsonData": {"httpHeaderValue1": f"Token {token}"},
    }


def read_dashboards(folder: Path) -> list[Json]:
    """Every dashboard of a folder, by file name. Raises Rejected naming the file."""
    found: list[Json] = []
    for file in sorted(folder.glob("*.json")):
        try:
            dashboard = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as err:
            raise Rejected(f"{file}: {err}") from err
        if not isinstance(dashboard, dict) or not dashboard.get("uid"):
            raise Rejected(f"{file}: a dashboard needs a uid")
        found.append(dashboard)
    if not found:
        raise Rejected(f"{folder} holds no dashboards")
    return found


def push(
    url: str,
    token: str,
    dashboards: Sequence[Json],
    datasource: Json,
    folder: str = "Dutyroom",
    say: Say = lambda _: None,
) -> Pushed:
    """Creates or updates all of it, and says each thing that is done; the same again changes nothing.

    Raises Unavailable when Grafana does not answer, Rejected when it refuses (token, rights, content): what was
    said before is done.
    """
    grafana = _Grafana(url, token)
    say(f"{grafana.put_datasource(datasource)}   data source {datasource['name']} ({datasource['uid']})")
    say(f"{grafana.put_folder(FOLDER_UID, folder)}   folder {folder} ({FOLDER_UID})")
    done = []
    for dashboard in dashboards:
        done.append(grafana.put_dashboard(dashboard, FOLDER_UID))
        say(f"{done[-1]}   dashboard {dashboard.get('title', '')} ({dashboard['uid']})")
    return Pushed(done.count(CREATED), done.count(CHANGED), done.count(SAME))


class _Refused(Rejected):
    """An answer 4xx. status: which; kind: what Grafana calls it, "" = nothing."""

    def __init__(self, text: str, status: int, kind: str) -> None:
        super().__init__(text)
        self.status, self.kind = status, kind


class _Grafana:
    """The few calls needed, errors sorted into ours."""

    def __init__(self, url: str, token: str) -> None:
        refused = Rejected(f"{url!r} is no address of a Grafana: write http://host:port")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:  # a port that is none, a bracket without its partner
            raise refused from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise refused
        prefix = parts.path.strip("/")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        self._api: Any = GrafanaAPI(
            token, host, port, f"{prefix}/" if prefix else "", parts.scheme, timeout=15.0
        )
        self._name = f"Grafana at {url}"

    def _call(self, method: str, path: str, body: Json | None = None) -> Any:
        """The answer. Raises Unavailable, or _Refused for 4xx that no other try will change."""
        try:
            return getattr(self._api, method)(path, json=body)
        except GrafanaException as err:
            raise self._sorted(err, method, path) from err
        except requests.exceptions.InvalidJSONError as err:
            raise self._no_grafana(str(err)) from err
        except requests.RequestException as err:
            raise Unavailable(f"{self._name} does not answer: {_cause(err)}") from err
        except (ValueError, TypeError) as err:  # an error whose text is no object
            raise self._no_grafana(str(err)) from err

    def _sorted(self, err: GrafanaException, method: str, path: str) -> Exception:
        """By kind: what is worth another try, and what an operator must change."""
        status, said = err.status_code, str(err.message)
        if status >= 500 or status in (408, 429):
            return Unavailable(f"{self._name}: {said}")
        kind = str(err.response.get("status", "")) if isinstance(err.response, dict) else ""
        reason = {
            401: "the token is not accepted: is it of a service account of this Grafana, and not expired?",
            403: f"the token may not do this ({method} {path}); its service account needs the role Admin, and "
            "what Grafana reads from files of its own cannot be pushed",
            404: f"there is no {path}: is this the address of a Grafana, with its path if it has one?",
            412: f"somebody else has changed it meanwhile ({method} {path})",
        }.get(status, f"{method} {path} is refused")
        return _Refused(f"{self._name}: {reason}: {said}", status, kind)

    def _no_grafana(self, said: str) -> Unavailable:
        return Unavailable(f"{self._name} answers what is no Grafana's answer: {said[:200]}")

    def _find(self, path: str) -> Any:
        """What stands at a path, None = nothing."""
        try:
            found = self._call("GET", path)
        except _Refused as err:
            if err.status == 404:
                return None
            raise
        if not isinstance(found, dict):
            raise self._no_grafana(str(found))
        return found

    def put_datasource(self, wanted: Json) -> str:
        """Always written: its secret cannot be read back and compared."""
        path = f"/datasources/uid/{wanted['uid']}"
        if self._find(path) is not None:
            self._call("PUT", path, wanted)
            return "written again"
        try:
            self._call("POST", "/datasources", wanted)
        except _Refused as err:
            if err.status != 409:
                raise
            raise Rejected(
                f"{self._name}: another data source is called {wanted['name']!r}: rename it, then push again"
            ) from err
        return CREATED

    def put_folder(self, uid: str, title: str) -> str:
        return self._twice(lambda: self._put_folder(uid, title))

    def _put_folder(self, uid: str, title: str) -> str:
        found = self._find(f"/folders/{uid}")
        if found is None:
            self._call("POST", "/folders", {"uid": uid, "title": title})
            return CREATED
        if found.get("title") == title:
            return SAME
        self._call("PUT", f"/folders/{uid}", {"title": title, "version": found.get("version")})
        return "renamed"

    def put_dashboard(self, wanted: Json, folder: str) -> str:
        return self._twice(lambda: self._put_dashboard(wanted, folder))

    def _put_dashboard(self, wanted: Json, folder: str) -> str:
        found = self._find(f"/dashboards/uid/{wanted['uid']}")
        body = {key: value for key, value in wanted.items() if key not in ("id", "version")}
        if found is not None:
            there = found.get("dashboard") or {}
            if {**there, **body} == there and found.get("meta", {}).get("folderUid") == folder:
                return SAME
            body["version"] = there.get("version")
        saved = {"dashboard": {**body, "id": None}, "folderUid": folder, "message": "dutyroom"}
        self._call("POST", "/dashboards/db", {**saved, "overwrite": False})
        return CREATED if found is None else CHANGED

    def _twice(self, put: Callable[[], str]) -> str:
        """Again from the start where somebody else saved it between our look and our write; never over it
        unseen. Raises Unavailable when it happens again."""
        for _ in range(2):
            try:
                return put()
            except _Refused as err:
                if err.status != 412 or err.kind not in _CHANGED_MEANWHILE:
                    raise
                last = err
        raise Unavailable(str(last)) from last


def _cause(err: Exception) -> str:
    """What the socket says, without the layers around it."""
    cause = getattr(err.args[0], "reason", err.args[0]) if err.args else err
    return str(cause).rsplit(">: ", 1)[-1].rsplit("): ", 1)[-1]
