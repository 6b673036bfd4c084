"""Limits of the embedded store so low that a few rows meet all of them."""

from __future__ import annotations

import pytest

from dutyroom.backends.readings_embedded import compaction, encoding, parts, reads, store, tail

_LIMITS = (
    (encoding, "ROWS", 6),
    (tail, "SEGMENT", 9),
    (reads, "WINDOW", 7),
    (compaction, "SLICE", 16),
    (store, "SLICE", 16),
    (compaction, "_A_POINT", 1),
    (compaction, "_LEAST", 20),
    (compaction, "_AT_ONCE", 300),
    (parts, "DEEP", 5),
    (store, "_BY_POINT", 4),
    (store, "_RUN", 1),
)


def set_limits(patch: pytest.MonkeyPatch) -> None:
    for module, name, value in _LIMITS:
        patch.setattr(module, name, value)
