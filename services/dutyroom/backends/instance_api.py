"""A command's words to the running instance: JSON over its own HTTP API, on this machine."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote

from dutyroom.errors import Rejected, Unavailable

_PATIENCE_S = 30


class InstanceApi:
    """url, token: what the instance wrote into its data folder."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = url, token
        # Never through a proxy: it is this machine.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """The JSON answer of `/api/v1/<path>`, None when it is empty.

        Raises Rejected with the instance's reason, Unavailable when it does not answer.
        """
        request = urllib.request.Request(  # noqa: S310 - the address is the instance's own, http only
            f"{self._url}/api/v1/{quote(path)}",
            None if body is None else json.dumps(body).encode(),
            {"authorization": f"Bearer {self._token}", "content-type": "application/json"},
            method=method,
        )
        try:
            with self._opener.open(request, timeout=_PATIENCE_S) as answer:
                content = answer.read()
        except urllib.error.HTTPError as err:
            raise Rejected(f"the running service refused: {_reason(err)}") from err
        except OSError as err:
            raise Unavailable(f"the running service at {self._url} does not answer: {err}") from err
        return json.loads(content) if content else None


def _reason(err: urllib.error.HTTPError) -> str:
    try:
        detail = json.loads(err.read())
    except (OSError, ValueError):
        return f"{err.code} {err.reason}"
    words = [str(detail[key]) for key in ("title", "detail") if isinstance(detail, dict) and detail.get(key)]
    return ": ".join(words) or f"{err.code} {err.reason}"
