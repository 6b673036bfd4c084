"""Data source, folder and dashboards into a running Grafana, through grafana-api.

Only paths that name things by uid: those with numeric ids are off in present Grafana. The package
is used as the signed session that it is; its own classes still call the old paths.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import requests
from grafana_api.grafana_api import GrafanaAPI, GrafanaClientError, GrafanaException

from dutyroom.errors import Rejected, Unavailable

Json: TypeAlias = Mapping[str, Any]

FOLDER_UID = "dutyroom"
DATASOURCE_UID = "dutyroom-readings"


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
    url: str, token: str, dashboards: Sequence[Json], datasource: Json, folder: str = "Dutyroom"
) -> Pushed:
    """Creates or updates all of it; the same again changes nothing.

    Raises Unavailable when Grafana does not answer, Rejected when it refuses (token, rights, content).
    """
    grafana = _Grafana(url, token)
    grafana.put_datasource(datasource)
    grafana.put_folder(FOLDER_UID, folder)
    done = [grafana.put_dashboard(dashboard, FOLDER_UID) for dashboard in dashboards]
    return Pushed(done.count("created"), done.count("changed"), done.count("same"))


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
        self._url = url

    def _call(self, method: str, path: str, body: Json | None = None) -> Any:
        try:
            return getattr(self._api, method)(path, json=body)
        except GrafanaClientError as err:
            if err.status_code in (408, 412, 429):  # 412: somebody else saved it meanwhile
                raise Unavailable(f"Grafana at {self._url}: {err}") from err
            raise Rejected(f"Grafana at {self._url}: {method} {path}: {err}") from err
        except GrafanaException as err:
            raise Unavailable(f"Grafana at {self._url}: {err}") from err
        except (requests.RequestException, ValueError) as err:
            raise Unavailable(f"Grafana at {self._url}: {err}") from err

    def _find(self, path: str) -> Any:
        """What stands at a path, None = nothing."""
        try:
            return self._call("GET", path)
        except Rejected as err:
            cause = err.__cause__
            if isinstance(cause, GrafanaException) and cause.status_code == 404:
                return None
            raise

    def put_datasource(self, wanted: Json) -> None:
        """Always written: its secret cannot be read back and compared."""
        path = f"/datasources/uid/{wanted['uid']}"
        if self._find(path) is None:
            self._call("POST", "/datasources", wanted)
        else:
            self._call("PUT", path, wanted)

    def put_folder(self, uid: str, title: str) -> None:
        found = self._find(f"/folders/{uid}")
        if found is None:
            self._call("POST", "/folders", {"uid": uid, "title": title})
        elif found["title"] != title:
            self._call("PUT", f"/folders/{uid}", {"title": title, "version": found["version"]})

    def put_dashboard(self, wanted: Json, folder: str) -> str:
        found = self._find(f"/dashboards/uid/{wanted['uid']}")
        body = {key: value for key, value in wanted.items() if key not in ("id", "version")}
        if found is not None:
            there = found["dashboard"]
            if {**there, **body} == there and found["meta"].get("folderUid") == folder:
                return "same"
            body["version"] = there["version"]
        self._call(
            "POST",
            "/dashboards/db",
            {
                "dashboard": {**body, "id": None},
                "folderUid": folder,
                "message": "dutyroom",
                "overwrite": False,
            },
        )
        return "created" if found is None else "changed"
