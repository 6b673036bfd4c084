"""What happens when something real that a test needs cannot be had on this machine."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

SAID = "servers: "


def unavailable(name: str, reason: object) -> NoReturn:
    """Leaves the test out, in one line of the summary; with DUTYROOM_REQUIRE_SERVERS=1 it fails."""
    text = f"{SAID}{name}: not available ({reason})"
    if os.environ.get("DUTYROOM_REQUIRE_SERVERS") == "1":
        pytest.fail(text, pytrace=False)
    pytest.skip(text)
