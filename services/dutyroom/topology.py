"""What feeds what, and therefore what explains what.

A device is dead in a utility when a root alarm stands on it or when all of its feeds are dead: one
feed alive keeps it alive, so a load with a live second feed is never explained away.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Topology:
    """utility -> device -> its feeds (any one alive keeps it alive: a dual feed)."""

    feeds: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    _below: dict[str, dict[str, list[str]]] = field(default_factory=dict, compare=False, repr=False)
    _sole: dict[tuple[str, str], list[str]] = field(default_factory=dict, compare=False, repr=False)


def feeds_of(topology: Topology, utility: str, device: str) -> tuple[str, ...]:
    """The feeds of a device in a utility; () = it has none, or is not listed."""
    return topology.feeds.get(utility, {}).get(device, ())


def explains(topology: Topology, utility: str, device: str, roots: Collection[str]) -> str | None:
    """The nearest root upstream that explains why `device` is dead; None = nothing does.

    roots: devices on which a root alarm stands. The device's own root does not explain it.
    """
    found = _dead_feeds(topology.feeds.get(utility, {}), device, roots, {device})
    return found[0] if found else None


def _dead_feeds(
    feeds: Mapping[str, tuple[str, ...]], device: str, roots: Collection[str], seen: set[str]
) -> list[str]:
    """Roots, one for each feed, when all feeds of `device` are dead; [] otherwise."""
    found: list[str] = []
    for feed in feeds.get(device, ()):
        if feed in roots:
            found.append(feed)
            continue
        if feed in seen:  # a loop feeds nothing
            return []
        above = _dead_feeds(feeds, feed, roots, seen | {feed})
        if not above:
            return []
        found.append(above[0])
    return found


def children(topology: Topology, utility: str) -> dict[str, list[str]]:
    """feed -> devices that hang directly on it. Counted once: a topology never changes."""
    below = topology._below.get(utility)
    if below is None:
        below = {}
        for device, feeds in topology.feeds.get(utility, {}).items():
            for feed in feeds:
                below.setdefault(feed, []).append(device)
        topology._below[utility] = below
    return below


def sole_fed(topology: Topology, utility: str, feed: str) -> list[str]:
    """Devices that hang directly on a feed and on nothing else."""
    return [d for d in children(topology, utility).get(feed, ()) if feeds_of(topology, utility, d) == (feed,)]


def sole_below(topology: Topology, utility: str, feed: str) -> list[str]:
    """Devices that are dead when a feed is, however far below it."""
    found = topology._sole.get((utility, feed))
    if found is None:
        below = sorted(downstream(topology, utility, feed))
        found = [d for d in below if explains(topology, utility, d, {feed}) is not None]
        topology._sole[utility, feed] = found
    return found


def upstream(topology: Topology, utility: str, device: str) -> set[str]:
    """Every feed above a device, directly or not; a loop is walked once."""
    found: set[str] = set()
    queue = list(feeds_of(topology, utility, device))
    while queue:
        one = queue.pop()
        if one not in found:
            found.add(one)
            queue.extend(feeds_of(topology, utility, one))
    found.discard(device)
    return found


def downstream(topology: Topology, utility: str, device: str) -> set[str]:
    """Every device fed, directly or not, by `device`; a loop is walked once."""
    below = children(topology, utility)
    found: set[str] = set()
    queue = list(below.get(device, ()))
    while queue:
        one = queue.pop()
        if one not in found:
            found.add(one)
            queue.extend(below.get(one, ()))
    found.discard(device)
    return found


def check(topology: Topology, known: Collection[str] | None = None) -> list[str]:
    """Mistakes as sentences: loops, devices that feed themselves, unknown devices."""
    problems: list[str] = []
    for utility, feeds in topology.feeds.items():
        problems += [f"{utility}: {' -> '.join(loop)} is a loop" for loop in _loops(feeds)]
        if known is not None:
            named = {*feeds, *(f for fs in feeds.values() for f in fs)}
            problems += [f"{utility}: {device} is not a device" for device in sorted(named - set(known))]
    return problems


def _loops(feeds: Mapping[str, tuple[str, ...]]) -> Iterable[list[str]]:
    done: set[str] = set()
    for start in feeds:
        path: list[str] = []
        yield from _walk(feeds, start, path, done)


def _walk(
    feeds: Mapping[str, tuple[str, ...]], device: str, path: list[str], done: set[str]
) -> Iterable[list[str]]:
    if device in path:
        yield [*path[path.index(device) :], device]
        return
    if device in done:
        return
    path.append(device)
    for feed in feeds.get(device, ()):
        yield from _walk(feeds, feed, path, done)
    path.pop()
    done.add(device)
