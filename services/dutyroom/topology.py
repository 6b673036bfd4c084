"""What feeds what, and therefore what explains what. (Data here; decisions follow.)"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Topology:
    """utility -> device -> its feeds (any one alive keeps it alive: a dual feed)."""

    feeds: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
