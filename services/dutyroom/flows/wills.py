"""Whose broker has just said that they have gone comes in; who of them may have lost power with the others goes out, long
before each is missed."""

from __future__ import annotations

from collections.abc import Mapping

from dutyroom.flows.episodes import Context
from dutyroom.timebase import HOUR, SECOND, Ms
from dutyroom.topology import feeds_of

SETTLES: Ms = 20 * SECOND  # one that only lost its session is back by then
COUNTS: Ms = HOUR  # after that its own silence speaks


def departed(context: Context, now: Ms) -> dict[str, Ms]:
    """Devices with power from somewhere that speak to the broker themselves and of which that has said, in the last hour,
    that they have gone; and when. Of what a gateway carries there is no such word: that is one way of hearing, whatever it
    carries."""
    topology = context.topology
    return {
        device: at
        for device, at in context.departed(now - COUNTS).items()
        if feeds_of(topology, "power", device) and not feeds_of(topology, "network", device)
    }


def settled(found: Mapping[str, Ms], now: Ms) -> dict[str, Ms]:
    """Those that have not come back at once."""
    return {device: at for device, at in found.items() if now - at >= SETTLES}
