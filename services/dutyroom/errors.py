"""The two kinds of failure, and the place of a mistake in a file.

Everything that can go wrong is either worth another try (`Unavailable`) or never will work as it
stands (`Rejected`). Code that catches anything else hides a bug.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


class DutyroomError(Exception):
    """Root of the errors that the product raises on purpose."""


class Unavailable(DutyroomError):
    """Try again later: a server, disk or network does not answer. Nothing was decided."""


class Fenced(Unavailable):
    """Another process owns the site now. Nothing was decided here; the owner does it."""


class Rejected(DutyroomError):
    """Never again as it is. `items` names what is refused and why; the rest was done.

    items: {what: reason}; what is an index, a field or a name.
    """

    def __init__(self, reason: str, items: Mapping[int | str, str] | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.items = dict(items or {})


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in something a person wrote: where it is and what would be right."""

    file: str
    line: int  # 1-based; 0 = the whole file
    field: str  # dotted path inside the file, "" = none
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.field}: {self.message}" if self.field else f"{place}: {self.message}"


class Invalid(Rejected):
    """A file or form that a person wrote is wrong; `mistakes` names every one of them."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(str(m) for m in mistakes))
        self.mistakes = tuple(mistakes)


class Conflict(Rejected):
    """Somebody else did it first, or the state does not allow it."""
