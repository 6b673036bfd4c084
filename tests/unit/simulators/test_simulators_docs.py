"""docs/simulators.md says what the estate plays, and what must come of it."""

from __future__ import annotations

import re
from pathlib import Path

from dutyroom_simulators.scenarios import BY_ITSELF, HOUR, LATER, MINUTE, SCENARIOS, Scenario

TEXT = (Path(__file__).parents[3] / "docs" / "simulators.md").read_text(encoding="utf-8")


def table(mark: str) -> list[list[str]]:
    """The cells of the table below a mark, without its head."""
    part = TEXT.split(f"<!-- {mark} -->\n")[1].split("<!-- end -->")[0]
    return [[cell.strip() for cell in line.strip("|\n").split("|")] for line in part.splitlines()[2:]]


def duration(ms: int) -> str:
    if ms == 0:
        return "a moment"
    return f"{ms // HOUR} h" if ms % HOUR == 0 else f"{ms // MINUTE} min"


def options(s: Scenario) -> str:
    said = {"device": f"`device` ({', '.join(s.kinds)})", "minutes": f"`minutes` (from {s.least / MINUTE:g})"}
    if s.flow is not None:
        said["flow"] = f"`flow` ({s.flow[0]:g} to {s.flow[1]:g} m³/h)"
    return ", ".join(said[name] for name in s.options) or "none"


def alarms(s: Scenario) -> str:
    return (
        ", ".join(f"`{rule}`" + (f" on `{device}`" if device else "") for rule, device in s.alarms) or "none"
    )


def test_the_table_is_what_the_estate_plays() -> None:
    rows = {row[0].strip("`"): row for row in table("scenarios")}
    assert list(rows) == list(SCENARIOS)
    for name, s in SCENARIOS.items():
        _, words, *cells = rows[name]
        assert len(words) > 20
        assert cells == [
            f"`{s.device}`" if s.device else "none",
            duration(s.last),
            options(s),
            alarms(s),
            str(s.tickets),
            ", ".join(f"`{f}`" for f in s.findings) or "none",
        ]


def test_what_happens_by_itself() -> None:
    units = {"s": 1.0, "min": 60.0}
    said = [
        (float(n) * units[unit], name.strip("`"))
        for after, name in table("by itself")
        for n, unit in [after.split()]
    ]
    assert said == list(BY_ITSELF)
    (later,) = re.findall(r"in turn: ([^.]+)\.", TEXT.replace("\n", " "))
    assert [name.strip("` ") for name in later.split(",")] == list(LATER)
