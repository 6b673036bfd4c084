"""Which tests of a layout's points choose elements by their names, as `when: {"@.name": floor}`.

Others look whether a value counts: `when: {"@.quality": good}`. What fails such a test has nothing to say now; what
fails the first kind may have been renamed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from dutyroom.profiles.paths import Key
from dutyroom.profiles.profile import Condition, PointRule

# Where a layout looks for one set of values only, the field itself has to say that it is a name.
_NAMES: Final = frozenset({
    "name", "tag", "id", "key", "code", "label", "n", "point", "channel", "metric", "signal", "parameter", "param", "register",
    "variable", "property", "field", "obis", "sensor", "item", "tagname", "tag_name", "pointid", "point_id",
})  # fmt: skip
_SWITCHES: Final = frozenset({"true", "false"})


def naming_of(points: Sequence[PointRule]) -> Mapping[str, frozenset[str]]:
    """By field of an element: the texts by which points find their own. A field counts where points look for texts of
    which none is another's, or where it is called as names are."""
    looked_for: dict[str, set[frozenset[str]]] = {}
    for rule in points:
        for condition in rule.when:
            if key := key_of(condition):
                looked_for.setdefault(key, set()).add(_texts(condition))
    return {
        key: frozenset().union(*sets)
        for key, sets in looked_for.items()
        if key.lower() in _NAMES or (len(sets) > 1 and sum(map(len, sets)) == len(frozenset().union(*sets)))
    }


def key_of(condition: Condition) -> str:
    """The field of the item that is compared with texts; "" for every other test."""
    path = condition.path
    if condition.test != "in" or path is None or path.whole or len(path.steps) != 1:
        return ""
    (step,) = path.steps
    return step.name if isinstance(step, Key) and not _texts(condition) & _SWITCHES else ""


def _texts(condition: Condition) -> frozenset[str]:
    return frozenset(value for value in condition.values if isinstance(value, str))
