"""How well a site's data is, as its own loops find it: for the page, the API and /healthz."""

from __future__ import annotations

from dataclasses import dataclass

from dutyroom.flows.canary import CanaryState
from dutyroom.flows.skew import Skews
from dutyroom.interfaces import Spool


@dataclass(slots=True)
class Health:
    """Each part is set anew by the loop that looks; None = not looked at yet, or not here."""

    spool: Spool | None = None
    canary: CanaryState | None = None
    skews: Skews | None = None
