"""Requests to one InfluxDB, and what its answers mean: `Unavailable`, or `Refused` for what splitting helps.

401, 403, 404, 429, 5xx, no answer, half an answer    Unavailable: an operator or time mends it, nothing is
                                                      dropped; where it names a time to wait it is left alone
400, 413, 422                                         Refused: the writer finds out which lines are meant
an answer that InfluxDB never gives                   Unavailable: something else stands at the address
"""

from __future__ import annotations

import contextlib
import json
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
import urllib3
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException
from influxdb_client.service.buckets_service import BucketsService
from influxdb_client.service.write_service import WriteService

from dutyroom.backends.influx_door import Door, why
from dutyroom.errors import Rejected, Unavailable
from dutyroom.interfaces import Run
from dutyroom.timebase import DAY, Ms

_STATEMENTS = 50  # a request
_LONGEST_REST_S = 60.0  # whatever it asks for
_UNDATED_REST_S = 5.0  # it names an instant and not its own time
_KNOWN_S = 600.0  # how long a bucket's retention is believed
_READY_S = 3.0  # what it says of itself at once, or something on the way swallows the question: writes do not wait for it


class Refused(Exception):
    """The server does not take a block as it is. named: its message names what it refuses."""

    def __init__(self, status: int, message: str, named: bool) -> None:
        super().__init__(message)
        self.status, self.message, self.named = status, message, named


class ResultSeries(msgspec.Struct):
    """One series of an answer; values: a row each, the time first."""

    name: str = ""
    tags: dict[str, str] = {}
    values: list[list[int | float | str | bool | None]] = []


class Result(msgspec.Struct):
    """What one statement is answered with."""

    series: list[ResultSeries] = []
    error: str = ""
    partial: bool = False


class _Answered(msgspec.Struct):
    results: list[Result]


class _Ready(msgspec.Struct):
    """What a server says of itself. started: when it began, to the nanosecond."""

    started: str = ""


class _Kept(msgspec.Struct):
    """Of a bucket. oldest: the instant before which it keeps nothing, None = it keeps all; shard: ms."""

    oldest: Ms | None
    shard: Ms


_READ = msgspec.json.Decoder(_Answered)
_READY = msgspec.json.Decoder(_Ready)


class NoBucket(Unavailable):
    """A bucket is not there, or the token may not see it."""


class TooSlow(Unavailable):
    """What was sent was not taken, or not answered, in time: with less of it there may be an answer."""


class InfluxLink:
    """One server, organisation and token. Thread-safe."""

    def __init__(
        self,
        door: Door,
        token: str | Callable[[], str],
        org: str,
        timeout_s: float = 10.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """token: or where it is read, which is done again when the server does not take it: it may have been renewed.
        monotonic: seconds that only rise, for the waits that the server asks for."""
        self.url, self.org, self.timeout_s = door.url, org, timeout_s
        self._token = token
        self._client = door.client(token() if callable(token) else token, org, timeout_s)
        # What WriteApi itself calls: that one does not tell with which code a write was answered.
        services: Any = WriteService
        self._writing = services(self._client.api_client)
        self.monotonic = monotonic
        self._lock = threading.Lock()
        self._rest_until = -math.inf
        self._rest_reason = ""
        self._kept: dict[str, tuple[float, _Kept]] = {}  # bucket: (known until, what of it)

    # ------------------------------------------------------------ writing

    def write(self, bucket: str, block: bytes) -> None:
        """Stores a block of line protocol, times in ms. Raises Refused, NoBucket, TooSlow, Unavailable."""
        self._rest()
        try:
            _, status, _ = self._writing.post_write_with_http_info(
                org=self.org,
                bucket=bucket,
                body=block,
                precision=WritePrecision.MS,
                content_type="text/plain; charset=utf-8",
            )
        except ApiException as err:
            raise self._refused(err, bucket) from err
        except (urllib3.exceptions.HTTPError, OSError) as err:
            found = self._no_answer(err)
            raise (TooSlow(str(found)) if _in_vain(err) else found) from err
        if status != 204:  # a proxy's page of greeting is no promise to keep anything
            raise Unavailable(f"{self._name} answers {status} to a write, which is no InfluxDB's answer")

    def _refused(self, err: ApiException, bucket: str) -> Exception:
        message, own = _said(err)
        if err.status == 413 or (err.status in (400, 422) and own):
            return Refused(err.status, message, "input field" in message or "retention policy" in message)
        return self._unavailable(err, bucket)

    # ------------------------------------------------------------ asking

    def ask(self, bucket: str, statements: Sequence[str]) -> list[Result]:
        """One result a statement of InfluxQL, times in ms. Raises NoBucket, Unavailable."""
        results: list[Result] = []
        for start in range(0, len(statements), _STATEMENTS):
            part = statements[start : start + _STATEMENTS]
            answered = self._post(bucket, part)
            if len(answered) != len(part):
                raise Unavailable(f"{self._name} answers {len(answered)} of {len(part)} questions")
            results.extend(answered)
        return results

    def _post(self, bucket: str, statements: Sequence[str]) -> list[Result]:
        self._rest()
        api: Any = self._client.api_client
        try:
            answer = api.request(
                "POST",
                f"{self.url}/query",
                headers={**api.default_headers, "Content-Type": "application/x-www-form-urlencoded"},
                post_params={"db": bucket, "epoch": "ms", "q": ";".join(statements)},
            )
            results = _READ.decode(answer.data).results
        except ApiException as err:
            raise self._unavailable(err, bucket) from err
        except (urllib3.exceptions.HTTPError, OSError) as err:
            raise self._no_answer(err) from err
        except (msgspec.MsgspecError, UnicodeDecodeError) as err:
            raise Unavailable(f"{self._name} answers what is no InfluxDB's answer: {err}") from err
        if any("database not found" in result.error for result in results):
            raise NoBucket(f"{self._name}: the bucket {bucket!r} is not there")
        if len(statements) > 1 and any(result.error == "not executed" for result in results):
            self._post(bucket, statements[:1])  # of several it does not say why
        for result in results:
            if result.error or result.partial:
                raise Unavailable(f"{self._name}: {result.error or 'it answers in part only'}")
        return results

    def oldest(self, bucket: str) -> Ms | None:
        """The instant before which a bucket keeps nothing, by the server's own clock; None = it keeps all.

        Asked for every ten minutes at most. Raises NoBucket, Unavailable.
        """
        return self._bucket(bucket).oldest

    def run(self, bucket: str) -> Run | None:
        """When the server began, and the width of a bucket's shards; None = it does not say when. Raises NoBucket,
        Unavailable."""
        self._rest()
        api: Any = self._client.api_client
        try:
            patience = min(self.timeout_s, _READY_S) * 1000
            began = _READY.decode(
                api.request("GET", f"{self.url}/ready", _request_timeout=patience).data
            ).started
        except (ApiException, msgspec.MsgspecError, UnicodeDecodeError) as err:
            if isinstance(err, ApiException) and (not err.status or err.status >= 500):
                raise self._unavailable(err, bucket) from err
            return None
        except (urllib3.exceptions.HTTPError, OSError) as err:
            raise self._no_answer(err) from err
        return Run(began, self._bucket(bucket).shard) if began else None

    def _bucket(self, bucket: str) -> _Kept:
        """Asked for every ten minutes at most."""
        until, known = self._kept.get(bucket, (-math.inf, None))
        if known is not None and self.monotonic() < until:
            return known
        self._rest()
        services: Any = BucketsService
        try:
            found, _, headers = services(self._client.api_client).get_buckets_with_http_info(
                name=bucket, org=self.org
            )
        except ApiException as err:
            raise self._unavailable(err, bucket) from err
        except (urllib3.exceptions.HTTPError, OSError) as err:
            raise self._no_answer(err) from err
        if not getattr(found, "buckets", None):
            raise NoBucket(f"{self._name}: the bucket {bucket!r} is not there")
        rules = found.buckets[0].retention_rules or ()
        seconds = sum(rule.every_seconds for rule in rules)
        shard = max((rule.shard_group_duration_seconds or 0 for rule in rules), default=0)
        now = _dated(headers.get("Date", ""))
        oldest = None if not seconds or now is None else int((now - seconds) * 1000)
        known = _Kept(oldest, shard * 1000 or 7 * DAY)
        self._kept[bucket] = (self.monotonic() + _KNOWN_S, known)
        return known

    # ------------------------------------------------------------ what answers mean

    @property
    def _name(self) -> str:
        return f"InfluxDB at {self.url}"

    def _unavailable(self, err: ApiException, bucket: str) -> Unavailable:
        """The server's answer in words that name what to mend."""
        if not err.status:  # the client library's own way to say that TLS failed
            return self._no_answer(err.__context__ or err)
        reason = {
            401: "the token is not accepted",
            403: f"the token may not use the bucket {bucket!r}",
            404: f"the bucket {bucket!r} or the organisation {self.org!r} is not there",
            429: "too many requests",
        }.get(err.status, f"answer {err.status}")
        said = f"{self._name}: {reason}: {_said(err)[0]}".removesuffix(": ")
        if err.status in (401, 403):
            self._read_token()
        wait = _wait(err.headers or {}) if err.status in (429, 503) else None
        if wait is not None:
            said = f"{said} (it asks to wait {wait:.0f} s)"
            with self._lock:
                self._rest_until = self.monotonic() + min(wait, _LONGEST_REST_S)
                self._rest_reason = said
        return NoBucket(said) if err.status == 404 else Unavailable(said)

    def _read_token(self) -> None:
        """For the next request."""
        if callable(self._token):
            with contextlib.suppress(Rejected):  # a file that is being replaced: the next answer asks again
                self._client.api_client.default_headers["Authorization"] = f"Token {self._token()}"

    def _rest(self) -> None:
        """Raises Unavailable while the server wants to be left alone."""
        with self._lock:
            if self.monotonic() < self._rest_until:
                raise Unavailable(self._rest_reason)

    def _no_answer(self, err: BaseException) -> Unavailable:
        return Unavailable(f"{self._name} does not answer: {why(err)}")

    def close(self) -> None:
        self._client.close()


def _in_vain(err: BaseException) -> bool:
    """Whether the time went by with a request under way: its answer did not come, or a slow line did not take all of it."""
    sent = isinstance(err, urllib3.exceptions.ProtocolError) and len(err.args) > 1
    return isinstance(err, urllib3.exceptions.ReadTimeoutError) or (
        sent and isinstance(err.args[1], TimeoutError)
    )


def _said(err: ApiException) -> tuple[str, bool]:
    """What the server says, and whether it says so in the form that InfluxDB has: gateways say only a message."""
    try:
        said = json.loads(err.body)
        return str(said["message"]), "code" in said
    except (ValueError, KeyError, TypeError):
        return str(err.body or err.reason or "")[:500], False


def _wait(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After: a number, or an instant beside the server's own Date. None = it names none."""
    wish = headers.get("Retry-After", "").strip()
    if wish.isascii() and wish.isdigit():
        return float(wish[:9])
    until = _dated(wish)
    if until is None:
        return None
    now = _dated(headers.get("Date", ""))
    return _UNDATED_REST_S if now is None else min(max(until - now, 0.0), DAY / 1000)


def _dated(text: str) -> float | None:
    """Seconds since 1970 of an HTTP date."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError, AttributeError):
        return None
