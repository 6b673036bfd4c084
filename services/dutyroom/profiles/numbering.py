"""The number that a device gives its message."""

from __future__ import annotations

from collections.abc import Callable

from dutyroom.profiles.job import Job, number
from dutyroom.profiles.paths import getter
from dutyroom.profiles.profile import SequenceRule

_MOST = 2**63


def numbering(rule: SequenceRule | None) -> Callable[[object, Job, str], None] | None:
    """Adds the number of an item to the job, where it has one that is whole and not negative."""
    if rule is None:
        return None
    get, modulus = getter(rule.paths), rule.modulus

    def tell(item: object, job: Job, address: str) -> None:
        found = get(item, job.document)
        if isinstance(found, str):
            found = number(found)
        if isinstance(found, int) and not isinstance(found, bool) and 0 <= found < (modulus or _MOST):
            job.sequences.append((address, found, modulus))

    return tell
