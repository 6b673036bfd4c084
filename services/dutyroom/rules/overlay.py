"""The parameters of a shipped rule under those of a site's row of the same id.

Rows that were written for an older make of a shipped rule go on meaning what they meant: a site whose file is
refused after an upgrade has no rules at all, and one whose point is passed over has an alarm less.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dutyroom.errors import Mistake
from dutyroom.fields import Fields
from dutyroom.rules.kinds import kind, known


def parameters_over(row: Fields, below: Mapping[Any, object]) -> object:
    """What the site's row and the shipped rule `below` say together, as a mapping; what is no mapping as it stands.

    A row of another kind keeps what that kind knows. One that names a `point`, of a rule that ships with `points`,
    means that one alone.
    """
    under, over = below.get("parameters"), row.data.get("parameters")
    if not isinstance(under, dict) or not (over is None or isinstance(over, dict)):
        return under if over is None else over
    other = row.data.get("kind", below.get("kind"))
    merged = (under if other == below.get("kind") else _understood(row, str(other), under)) | (over or {})
    alone = row.data.get("point")
    if alone and "points" in merged and "points" not in (over or {}):
        merged["points"] = [alone]
    return merged


def _understood(row: Fields, name: str, under: Mapping[object, object]) -> dict[object, object]:
    """Those parameters that a kind knows."""
    unheard: list[Mistake] = []
    fields = Fields(row.document, row.path, under, unheard)
    if name in known():
        kind(name).parameters(fields)
    return {key: value for key, value in under.items() if key in fields.asked}
