"""What the pages need from outside and may not import: passwords and downloads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from dutyroom.model.duty import Device
from dutyroom.model.metering import PeriodRead, Statement
from dutyroom.model.telemetry import PointTable
from dutyroom.site.table import Sheet


class Passwords(Protocol):
    """Secrets: slow hashes of passwords, random tokens and the digests that are stored of them."""

    def hash(self, password: str) -> str:
        """A slow salted hash, to be stored."""
        ...

    def verify(self, password: str, hashed: str) -> bool:
        """False also for an empty or unreadable hash, in the same time."""
        ...

    def new_token(self) -> str:
        """A random token for a cookie, a header or a URL."""
        ...

    def digest(self, token: str) -> str:
        """What is stored of a token; the token cannot be had from it."""
        ...


class StatementFiles(Protocol):
    """Statements and period reads as files for a clerk's spreadsheet."""

    def csv(self, statements: Sequence[Statement], language: str) -> bytes: ...

    def xlsx(self, statements: Sequence[Statement], language: str) -> bytes: ...

    def reads_csv(self, reads: Sequence[PeriodRead], table: PointTable, language: str) -> bytes: ...

    def reads_xlsx(self, reads: Sequence[PeriodRead], table: PointTable, language: str) -> bytes: ...


class DeviceFiles(Protocol):
    """Tables of devices as files."""

    def read(self, raw: bytes, file: str) -> Sheet:
        """Raises Invalid for what is no table."""
        ...

    def csv(self, devices: Sequence[Device], language: str) -> bytes: ...

    def xlsx(self, devices: Sequence[Device], language: str) -> bytes: ...
