"""How hard tests try that draw their examples: DUTYROOM_TEST_EFFORT=4 tries four times as many as an ordinary run."""

from __future__ import annotations

import os

EFFORT = float(os.environ.get("DUTYROOM_TEST_EFFORT", "1"))


def tried(examples: int) -> int:
    """How many examples are tried, of the number for an ordinary run; at least one."""
    return max(1, round(examples * EFFORT))
