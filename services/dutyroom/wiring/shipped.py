"""Where the files that ship with the product lie: in the wheel, or in a checkout beside it."""

from __future__ import annotations

from pathlib import Path

import dutyroom
from dutyroom.errors import Rejected


def shipped(name: str) -> Path:
    """The folder `device_profiles` or `dashboards`. Raises Rejected when the installation lacks it."""
    package = Path(dutyroom.__file__).parent
    for candidate in (package / "_shipped" / name, package.parents[1] / name):
        if candidate.is_dir():
            return candidate
    raise Rejected(f"this installation lacks its folder {name}; install it again")
