"""A process that ends at the n-th step of its work on the journal, and the next one that goes on."""

from __future__ import annotations

from typing import Any

from tests.flows.intake_rig import Rig


class Ended(BaseException):
    """The process ends here: nothing catches it."""


class Breaking:
    """A journal that ends the process at the n-th step of its work, before, inside or after a commit."""

    def __init__(self, inner: Any, count: Any) -> None:
        self.inner, self.count = inner, count
        for name in ("_insert", "_write_counts", "_find"):
            setattr(inner, name, self._counted(getattr(inner, name)))

    def _counted(self, method: Any) -> Any:
        def counted(*args: Any) -> Any:
            self.count()
            found = method(*args)
            self.count()
            return found

        return counted

    def __getattr__(self, name: str) -> Any:
        if name in ("append", "restate", "quarantine_after", "note"):
            return self._counted(getattr(self.inner, name))
        return getattr(self.inner, name)


class Counting:
    def __init__(self) -> None:
        self.steps, self.end_at = 0, -1

    def __call__(self) -> None:
        self.steps += 1
        if self.steps == self.end_at:
            raise Ended


def reread_to_the_end(rig: Rig) -> int:
    """Whenever the process ends, another goes on; returns how often it did."""
    ends = 0
    while True:
        try:
            rig.reread()
            return ends
        except Ended:
            ends += 1
            rig.again()
