"""Topic filters against each other: which one matches all that another one matches, which two meet."""

from __future__ import annotations

from collections.abc import Iterable


def covers(wide: str, narrow: str) -> bool:
    """Whether a filter matches every topic that another one matches."""
    own, other = wide.split("/"), narrow.split("/")
    if own[0] in ("#", "+") and other[0].startswith("$"):
        return False
    for place, level in enumerate(own):
        if level == "#":
            return True
        if place >= len(other) or other[place] == "#" or (level != "+" and level != other[place]):
            return False
    return len(own) == len(other)


def overlap(one: str, other: str) -> bool:
    """Whether there is a topic that both match: a broker then delivers it to both sessions."""
    short, long = sorted((one.split("/"), other.split("/")), key=len)
    for a, b in ((short[0], long[0]), (long[0], short[0])):
        if a in ("#", "+") and b.startswith("$"):
            return False
    for a, b in zip(short, long, strict=False):
        if "#" in (a, b):
            return True
        if a != b and "+" not in (a, b):
            return False
    return len(short) == len(long) or long[len(short)] == "#"


def widest(filters: Iterable[str]) -> tuple[str, ...]:
    """Those that no other one covers: all together match the same."""
    listed = tuple(dict.fromkeys(filters))
    return tuple(one for one in listed if not any(covers(other, one) for other in listed if other != one))


def meeting(topics: Iterable[str], priority: Iterable[str]) -> list[tuple[str, str]]:
    """The pairs (of topics, of priority) that some topic matches both of."""
    listed = tuple(priority)
    return [(topic, first) for topic in topics for first in listed if overlap(topic, first)]


def alone(shared: str) -> str:
    """The filter of a shared subscription, `$share/<group>/<filter>`: what it matches."""
    first, _, rest = shared.partition("/")
    _, _, found = rest.partition("/")
    return found if first == "$share" and found else shared


def crossing(profile: str, topic: str, first: str) -> str:
    """What to do about what a profile reads that meets a priority filter, in a sentence."""
    where = f"name in match.topics of the profile what it reads beside {first!r}"
    if covers(topic, first):
        where += f", or name {topic!r} in priority in place of {first!r}"
    return (
        f"profile {profile} reads {topic!r}, which also matches what the priority filter {first!r} matches, so that each "
        "such message comes twice: what it says with a time of the device is stored once, all else twice; "
        f"{where}"
    )


def advice(topic: str, first: str) -> str:
    """What to write in place of a normal filter that meets a priority one, in a sentence."""
    clash = f"{topic!r} also matches what the priority filter {first!r} matches, so that each such message would come twice"
    if covers(first, topic):
        return f"{clash}; leave {topic!r} out of topics: the priority session reads it"
    if topic in ("#", "+/#"):
        return (
            f"{clash}; name in topics what the other devices publish, without the priority ones: "
            "for example [meters/#, pumps/#] in place of '#'"
        )
    return f"{clash}; name in topics the branches of {topic!r} beside {first!r} one by one"
