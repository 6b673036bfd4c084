"""A leaf of a message that no point names: what is made of its values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from dutyroom.model.telemetry import Kind, PointSpec
from dutyroom.profiles.job import Here, Job
from dutyroom.profiles.linear import Linear
from dutyroom.profiles.privacy import Guard
from dutyroom.profiles.result import DecodedReading
from dutyroom.profiles.values import SCALARS, Convert, stored


@dataclass(frozen=True, slots=True)
class Leaf:
    """What to do with the leaves of one name. guard: of a personal value; None = it is none."""

    name: str
    skip: bool
    attribute: bool
    text_point: bool  # a text that changes often is a point, not an attribute
    number: PointSpec
    convert: Convert
    short: Linear  # the same where a number of it is a point
    guard: Guard | None
    doubtful: bool = False  # a point reads it, where its message has nothing better for that point


# The points of leaves that are no numbers. Few are: thousands of names need not hold three points each. One function each,
# since a name alone is looked up faster than with its kind.
@lru_cache(4096)
def _text_point(name: str) -> PointSpec:
    return PointSpec(name, kind=Kind.TEXT)


@lru_cache(4096)
def _state_point(name: str) -> PointSpec:
    return PointSpec(name, kind=Kind.STATE)


def emit(leaf: Leaf, value: object, here: Here, job: Job) -> None:
    """A value that is not null."""
    shown: object = value
    if leaf.guard is not None and isinstance(value, SCALARS):
        shown = leaf.guard(value)
    if type(shown) is float or type(shown) is int:
        if leaf.attribute:
            job.attributes.append((here.address, leaf.name, shown))
            return
        found = leaf.convert(shown, here.parameters)
        if type(found) is float:
            job.readings.append(DecodedReading(here.address, leaf.number, here.at, found, here.quality, None))
    elif isinstance(shown, str):
        text = stored(shown)
        if leaf.text_point:
            spec = _text_point(leaf.number.name)
            job.readings.append(DecodedReading(here.address, spec, here.at, 0.0, here.quality, text))
        else:
            job.attributes.append((here.address, leaf.name, text))
    elif isinstance(shown, bool):
        if leaf.attribute:
            job.attributes.append((here.address, leaf.name, shown))
        else:
            spec = _state_point(leaf.number.name)
            job.readings.append(DecodedReading(here.address, spec, here.at, float(shown), here.quality, None))
