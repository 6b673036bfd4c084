"""Templates with words, marks and figures; nothing in them is trusted HTML but our own symbols."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from dutyroom.api.access import Visitor
from dutyroom.api.asked import Asked, language_of
from dutyroom.api.room import Room
from dutyroom.api.stream import counts
from dutyroom.api.words import LANGUAGES, Words, duration_text

TEMPLATES = Path(__file__).parent / "pages" / "templates"

SHAPES = {
    1: "M12 1.2 22.8 12 12 22.8 1.2 12z",
    2: "M12 2 23 21.5H1z",
    3: "M4.5 2.5h15a2 2 0 0 1 2 2v15a2 2 0 0 1-2 2h-15a2 2 0 0 1-2-2v-15a2 2 0 0 1 2-2z",
    4: "M12 1.8a10.2 10.2 0 1 1 0 20.4 10.2 10.2 0 0 1 0-20.4z",
}
SCRIPT_KEYS = ("js.", "alarm_state.", "priority.", "work.", "action.")


def mark(priority: int, filled: bool = True, size: str = "") -> Markup:
    """A priority as shape, digit and colour; filled = not acknowledged. size: large, quiet (no colour)."""
    if priority not in SHAPES:
        return Markup("")
    look = "filled" if filled else "outline"
    low = 17.5 if priority == 2 else 16
    return Markup(
        '<svg class="mark p{p} {look} {size}" viewBox="0 0 24 24" aria-hidden="true">'
        '<path d="{path}"/><text x="12" y="{low}">{p}</text></svg>'
    ).format(p=priority, look=look, size=size, path=SHAPES[priority], low=low)


def spark(values: Sequence[float | None], width: int = 180, height: int = 56) -> Markup:
    """A small curve with its area; gaps stay gaps. No axis: the figure stands beside it."""
    known = [v for v in values if v is not None]
    if len(known) < 2:
        return Markup("")
    low, high = min(0.0, *known), max(known)
    span = (high - low) or 1.0
    step = width / max(1, len(values) - 1)
    runs: list[list[str]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append(f"{place * step:.1f},{height - 2 - (value - low) / span * (height - 5):.1f}")
    parts = [Markup('<svg class="spark" viewBox="0 0 {} {}" aria-hidden="true">').format(width, height)]
    for run in (r for r in runs if len(r) > 1):
        first, last = run[0].split(",")[0], run[-1].split(",")[0]
        area = f"M{first},{height} L" + " L".join(run) + f" L{last},{height} z"
        parts.append(Markup('<path class="area" d="{}"/><polyline points="{}"/>').format(area, " ".join(run)))
    return Markup("").join([*parts, Markup("</svg>")])


def use_chart(today: Sequence[float | None], before: Sequence[float | None], width: int = 640) -> Markup:
    """Today's use against yesterday's (dashed) over 24 h."""
    height, foot = 150, 22
    known = [v for v in [*today, *before] if v is not None]
    if len(known) < 2:
        return Markup("")
    top, slots = max(known) or 1.0, max(48, len(before))
    left, right = 20.0, width - 12.0

    def place(slot: float, value: float) -> tuple[float, float]:
        return left + (right - left) * slot / slots, 8 + (height - foot - 10) * (1 - value / (top * 1.06))

    def line(values: Sequence[float | None], cls: str) -> Markup:
        runs: list[list[str]] = [[]]
        for slot, value in enumerate(values):
            if value is None:
                runs.append([])
                continue
            x, y = place(slot + 0.5, value)
            runs[-1].append(f"{x:.1f},{y:.1f}")
        drawn = [
            Markup('<polyline class="{}" points="{}"/>').format(cls, " ".join(r)) for r in runs if len(r) > 1
        ]
        if cls == "today" and drawn and runs[-1]:
            first, end = runs[-1][0].split(",")[0], runs[-1][-1].split(",")
            base = height - foot
            area = f"M{first},{base} L" + " L".join(runs[-1]) + f" L{end[0]},{base} z"
            drawn.insert(0, Markup('<path class="area" d="{}"/>').format(area))
            drawn.append(Markup('<circle class="dot" cx="{}" cy="{}" r="4.5"/>').format(*end))
        return Markup("").join(drawn)

    grid = Markup("").join(
        Markup(
            '<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="4" y2="{1}"/><text class="tick" x="{0:.1f}" y="{2}">{3:02d}</text>'
        ).format(place(slots * hour / 24, 0)[0], height - foot, height - 4, hour)
        for hour in (0, 6, 12, 18, 24)
    )
    svg = Markup('<svg class="use" viewBox="0 0 {} {}" aria-hidden="true">').format(width, height)
    return svg + grid + line(before, "before") + line(today, "today") + Markup("</svg>")


def _nothing(_: str) -> bool:
    return False


def words_of(request: Request) -> Words:
    """Words of the site in the path, else of the first site."""
    room: Room = request.app.state.room
    name = request.path_params.get("site")
    site = room.sites.get(name) if name else None
    return room.words(site or next(iter(room.sites.values())), language_of(request))


def script_words(words: Words) -> Markup:
    """The words that JavaScript shows, as a data block that cannot end the script element."""
    chosen = {k: v for k, v in words.catalogue[words.language].items() if k.startswith(SCRIPT_KEYS)}
    return as_data(chosen)


def as_data(value: object) -> Markup:
    """JSON for a <script type="application/json"> block."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(mark=mark, spark=spark, use_chart=use_chart, as_data=as_data)
    made.filters["duration"] = duration_text
    return made


ENVIRONMENT = _environment()


def page(
    request: Request,
    template: str,
    values: Mapping[str, Any],
    ask: Asked | None = None,
    status: int = 200,
) -> HTMLResponse:
    """A page in the asker's language. `ask` None = outside a site (log-in, problems)."""
    room: Room = request.app.state.room
    words = words_of(request)
    visitor: Visitor | None = getattr(request.state, "visitor", None)
    site = ask.site if ask else next(iter(room.sites.values()))
    context: dict[str, Any] = {
        "request": request,
        "words": words,
        "t": words.t,
        "language": words.language,
        "languages": LANGUAGES,
        "visitor": visitor,
        "csrf": visitor.csrf if visitor else "",
        "site": site.site,
        "site_id": site.site.id,
        "site_name": words.pick(site.site.name),
        "sites": [(n, words.pick(s.site.name)) for n, s in room.sites.items() if visitor and visitor.sees(n)],
        "now": room.clock.now(),
        "demo": bool(site.inject),
        "version": room.version,
        "script_words": script_words(words),
        "counts": None,
        "received_at": site.live.received_at,
        "broker": bool(site.broker_ok()),
        "may": visitor.may if visitor else _nothing,
    }
    if ask is not None:
        with room.records.read() as tx:
            context["counts"] = counts(tx, site)
    body = ENVIRONMENT.get_template(template).render(context | dict(values))
    return HTMLResponse(body, status)
