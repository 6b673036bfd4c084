"""The way to an InfluxDB: http, or https with the files that the settings name; and why it did not work."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from typing import Any

from influxdb_client.client.influxdb_client import InfluxDBClient

from dutyroom.backends.tls import TlsFiles, client_context
from dutyroom.errors import Rejected


@dataclass(frozen=True, slots=True)
class Door:
    """Where a server is. context: None = http. The same settings give one door, which any thread may use."""

    url: str
    context: ssl.SSLContext | None = None

    def client(self, token: str, org: str, timeout_s: float, user: tuple[str, str] = ("", "")) -> Any:
        """user: name and password, in place of a token."""
        return InfluxDBClient(
            url=self.url,
            token=token,
            org=org,
            timeout=int(timeout_s * 1000),
            ssl_context=self.context,  # handed on to urllib3 as it is
            username=user[0],
            password=user[1],
        )


def door_to(url: str, files: TlsFiles = TlsFiles()) -> Door:
    """Raises Rejected for files that cannot be used, or that have no meaning at this address."""
    url = url.rstrip("/")
    if url.lower().startswith("https:"):
        return Door(url, client_context(files, f"InfluxDB at {url}"))
    if files.ca or files.certificate or files.key:
        raise Rejected(f"InfluxDB at {url}: certificates have a meaning with https only")
    return Door(url)


_TIMEOUT = re.compile(
    r" \((?:read|connect) timeout=[^)]*\)"
)  # another number each time: one outage, one line in the log


def why(err: BaseException) -> str:
    """What urllib3 or the socket says, without the layers around it."""
    cause: BaseException = err
    while isinstance(inner := getattr(cause, "reason", None) or next(iter(cause.args), None), BaseException):
        cause = inner
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {cause.verify_message} (DUTYROOM_INFLUX_CA_FILE names whom we trust)"
    text = str(cause)
    if isinstance(cause, ssl.SSLError) and "alert" in text.lower() and "certificate" in text.lower():
        return f"it does not take our client certificate, or wants one (DUTYROOM_INFLUX_CERTIFICATE_FILE): {text}"
    return _TIMEOUT.sub("", text.rsplit(">: ", 1)[-1].rsplit("): ", 1)[-1])
