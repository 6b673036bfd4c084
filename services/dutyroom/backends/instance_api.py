"""A command's words to the running instance: JSON over its own HTTP API, on this machine."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from dutyroom.errors import Invalid, Mistake, Rejected, Unavailable

_PATIENCE_S = 30


class InstanceApi:
    """url, token: what the instance wrote into its data folder."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = url, token
        # Never through a proxy: it is this machine.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(self, method: str, path: str, body: object = None, patience_s: float = _PATIENCE_S) -> Any:
        """The JSON answer of `/api/v1/<path>`, None when it is empty.

        Raises Rejected with the instance's reason, Invalid with the mistakes of a file, Unavailable
        when it does not answer.
        """
        request = urllib.request.Request(  # noqa: S310 - the address is the instance's own, http only
            f"{self._url}/api/v1/{quote(path)}",
            None if body is None else json.dumps(body).encode(),
            {
                "authorization": f"Bearer {self._token}",
                "content-type": "application/json",
                "accept-language": "en",  # as all that commands say
            },
            method=method,
        )
        try:
            with self._opener.open(request, timeout=patience_s) as answer:
                content = answer.read()
        except urllib.error.HTTPError as err:
            raise _refused(err) from err
        except OSError as err:
            raise Unavailable(f"the running service at {self._url} does not answer: {err}") from err
        return json.loads(content) if content else None


@dataclass(frozen=True, slots=True)
class _Told(Mistake):
    """A mistake as the instance has put it into words already."""

    def __str__(self) -> str:
        return self.message


def _refused(err: urllib.error.HTTPError) -> Rejected:
    try:
        detail = json.loads(err.read())
    except (OSError, ValueError):
        detail = None
    if not isinstance(detail, dict):
        return Rejected(f"the running service refused: {err.code} {err.reason}")
    if told := detail.get("mistakes"):
        return Invalid([_Told("", 0, "", str(one["text"])) for one in told])
    words = [str(detail[key]) for key in ("title", "detail") if detail.get(key)]
    return Rejected(f"the running service refused: {': '.join(words) or f'{err.code} {err.reason}'}")
