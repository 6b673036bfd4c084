"""Device parameters that multiply what a meter says: CT and PT ratios, pulse weights."""

from __future__ import annotations

import math

from dutyroom.model.telemetry import Scalar
from dutyroom.profiles.paths import as_text
from dutyroom.profiles.profile import Profile


def wrong_ratio(profile: Profile, name: str, value: Scalar) -> str:
    """name=value of a parameter by which the profile scales points and on which no bill can rest: 0 makes
    every register 0, a text makes none. Else ""."""
    scaling = any(rule.scale_by == name for layout in profile.layouts for rule in layout.points)
    return f"{name}={as_text(value)}" if scaling and not _is_ratio(value) else ""


def _is_ratio(value: Scalar) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and value > 0
