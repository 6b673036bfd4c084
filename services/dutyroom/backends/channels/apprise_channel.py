"""Messages by Apprise: e-mail, webhooks and some hundred services, each named by a URL."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dutyroom.errors import Rejected, Unavailable

_SECONDS = 10  # to connect and to answer, each


class AppriseChannel:
    """Channel by Apprise. The library is slow to load, so the first message loads it."""

    def send(self, url: str, title: str, body: str) -> None:
        """url: mailto://, mailtos://, json://, jsons:// ... with its secrets inside."""
        import apprise

        with _listening() as said:
            target = self._target(apprise, url)
            try:
                sent = target.notify(title=title, body=body)
            except Exception as err:  # a hundred plug-ins by a hundred hands: whatever they raise
                raise Unavailable(f"{_scheme(url)}: {type(err).__name__}") from err
        if not sent:
            raise Unavailable(f"{_scheme(url)}: {said.last or 'not delivered'}")

    @staticmethod
    def _target(apprise: Any, url: str) -> Any:
        """The one service behind a URL."""
        try:
            target = apprise.Apprise.instantiate(url, suppress_exceptions=True)
        except (TypeError, ValueError):
            target = None
        if target is None:
            raise Rejected(f"{_scheme(url)}: not an address that a message can be sent to")
        target.socket_connect_timeout = target.socket_read_timeout = _SECONDS
        return target


def _scheme(url: str) -> str:
    """All that may be shown of an address."""
    scheme, sign, _ = url.partition("://")
    return scheme[:20] if sign and scheme.isascii() else "address"


class _Said(logging.Handler):
    """The last warning that the library logged in this thread: all that it says of a failure."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = ""
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.last = record.getMessage()[:300]


@contextmanager
def _listening() -> Iterator[_Said]:
    said, logger = _Said(), logging.getLogger("apprise")
    logger.propagate = False  # it writes whole addresses, secrets and all, into the log
    logger.addHandler(said)
    try:
        yield said
    finally:
        logger.removeHandler(said)
