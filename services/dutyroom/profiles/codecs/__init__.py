"""Payload codecs, one module a payload family: bytes in, a document that profile paths read.

A profile names one by `codec:`; `CODECS` is where a module of this package enters it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from dutyroom.model.telemetry import Scalar


class Codec(Protocol):
    """Decodes one payload. Pure."""

    def __call__(self, payload: bytes, port: int | None, parameters: Mapping[str, Scalar]) -> object:
        """A document of dicts, lists and scalars. Raises Rejected with the reason."""
        ...


CODECS: dict[str, Codec] = {}
