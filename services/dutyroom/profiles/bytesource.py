"""Where a layout's bytes are: the document itself, or a text of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dutyroom.errors import Rejected
from dutyroom.profiles.paths import MISSING, getter, walker
from dutyroom.profiles.profile import ByteSource
from dutyroom.profiles.unwrap import from_text


class Source:
    """A compiled rule; None = the document is the bytes."""

    def __init__(self, source: ByteSource | None) -> None:
        self._encoding = source.encoding if source is not None else ""
        self._get = getter(source.paths) if source is not None else None
        self._port = getter(source.ports) if source is not None and source.ports else None
        self._walk = walker(source.each) if source is not None and source.each is not None else None

    def pieces(self, document: object) -> Iterator[tuple[bytes, int | None]]:
        """(bytes, port) of each piece. Raises Rejected."""
        if self._walk is None:
            yield self._one(document, document)
            return
        for _, element in self._walk(document, document):
            yield self._one(element, document)

    def all_of(self, document: object) -> Iterable[tuple[bytes, int | None]]:
        """The same; of a single piece, as most are, without the cost of an iterator."""
        return [self._one(document, document)] if self._walk is None else self.pieces(document)

    def first(self, document: object) -> tuple[bytes | None, int | None]:
        """Without data where the bytes cannot be read: the port still says which layout is meant."""
        try:
            return next(self.pieces(document), (None, None))
        except Rejected:
            port = self._port(document, document) if self._port is not None else None
            return None, port if type(port) is int else None

    def _one(self, item: object, document: object) -> tuple[bytes, int | None]:
        value = item if self._get is None else self._get(item, document)
        port = self._port(item, document) if self._port is not None else None
        if isinstance(value, str):
            try:
                value = value.encode() if self._get is None else from_text(value, self._encoding)
            except ValueError as err:
                raise Rejected(f"payload: {err}") from err
        if not isinstance(value, bytes):
            raise Rejected(self._lacking(value))
        return value, port if type(port) is int else None

    def _lacking(self, value: object) -> str:
        if value is MISSING or value is None:
            return "no payload bytes in the message"
        if self._get is None:  # the usual slip: what says nothing of bytes is unwrapped as JSON
            return (
                "bytes expected, JSON found; `unwrap: [raw]` gives the payload's bytes, `bytes` says where in the"
                " JSON they are"
            )
        return "bytes expected: a text in hex or base64"
