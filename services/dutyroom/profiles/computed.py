"""A point that is computed, as Python that is written and compiled once: the reading of one whose fields are numbers then
costs one call in place of seven.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from dutyroom.errors import Rejected
from dutyroom.profiles.expressions import LARGEST, SCOPE, Absent, Expression, bounded
from dutyroom.profiles.job import Fields, Here, Job
from dutyroom.profiles.linear import scaled
from dutyroom.profiles.paths import Getter
from dutyroom.profiles.points import Quick
from dutyroom.profiles.result import DecodedReading

# What has been computed, where it is no reading yet; None where it is one now, or has no value. Raises Rejected.
Computed: TypeAlias = Callable[[dict[str, Any], Here, Job], object]


def computed(
    value: Expression, fields: Mapping[str, str], names: Mapping[str, Getter], quick: Quick | None
) -> Computed:
    """fields: names that are fields of the item; names: paths of others. quick: of the point, where a number in its range
    becomes a reading at once; None = what is computed is given back.
    """
    if "_name" in value.text:  # a text, or a name, that looks like ours
        fields, others = {}, "_"
        python = value.python
    else:
        others = "made(item, job.document, here.parameters, names)"
        python = value.written(fields, others)
    scope = {
        **SCOPE,
        "names": names,
        "made": Fields,
        "bounded": bounded,
        "failed": _failed,
        "text": value.text,
    }
    scope |= {"none": (Absent, ZeroDivisionError), "wrong": (ArithmeticError, ValueError, TypeError)}
    lines = ["def run(item, here, job):", " try:"]
    if others == "_":
        lines.append("  _ = made(item, job.document, here.parameters, names)")
    lines += ["  get = item.get", f"  x = {python}"]
    if quick is not None:
        lines += _reading(quick)
        scope |= {"spec": quick[7], "reading": DecodedReading, "int": int, "float": float}
    lines += ["  return bounded(x)", " except none: return None", " except wrong as err: failed(text, err)"]
    exec("\n".join(lines), scope)  # noqa: S102 - rebuilt from checked nodes, nothing of the profile's own text is in it
    return scope["run"]  # type: ignore[return-value]


def _reading(quick: Quick) -> list[str]:
    """The same as `ways.take` does with numbers; what is larger goes the long way, which refuses it."""
    types, factor, divisor, added, steps, low, high, _, _ = quick
    if not types or steps:
        return []
    kinds = " or ".join(f"t is {t}" for t in sorted(t.__name__ for t in types))
    return [
        "  t = type(x)",
        f"  if ({kinds}) and {-LARGEST} < x < {LARGEST}:",
        f"   w = {scaled('x', factor, divisor, added)}",
        f"   if {low!r} <= w <= {high!r}:",
        "    job.readings.append(reading(here.address, spec, here.at, w, here.quality, None))",
        "    return None",
    ]


def _failed(text: str, err: Exception) -> None:
    raise Rejected(f"{text!r} cannot be computed: {err}") from err
