"""`dutyroom backtest`: the past of a file or of the readings store in, alarms.csv and a summary out."""

from __future__ import annotations

import csv
import gc
import json
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from datetime import time as wall_time
from pathlib import Path

import numpy as np

from dutyroom.api.words import Words, read_catalogue, span_text
from dutyroom.errors import Rejected
from dutyroom.flows.alarm_kinds import kind_of
from dutyroom.flows.alarm_load import SHIFTS, load_of
from dutyroom.flows.backtest import Outcome, Past, Raised, run
from dutyroom.flows.backtest_compare import Difference, differences
from dutyroom.flows.backtest_summary import Summary, kinds_of, late_of, rings_of, rule_troubles, run_troubles
from dutyroom.flows.known_events import NEEDED, Known, Told, Verdict, judged, known_events
from dutyroom.flows.past_files import Listed
from dutyroom.flows.past_pace import changed, looked_at, pace_of, paced, some_days
from dutyroom.flows.past_readings import Columns, arrived, batches_of, joined
from dutyroom.flows.past_troubles import Census, Troubles, history_troubles
from dutyroom.model.telemetry import Longs
from dutyroom.rules.parse import default_rules, parse_rules
from dutyroom.rules.spec import Rule
from dutyroom.settings import Settings
from dutyroom.timebase import DAY, MINUTE, SECOND, Ms, day_start, from_iso, to_iso, zone
from dutyroom.wiring import past_csv
from dutyroom.wiring.backtest_text import written
from dutyroom.wiring.scene import Scene, of_devices, of_site

_SLOT: Ms = 5 * MINUTE  # readings that are judged together, at most
_LEAST_SLOT: Ms = 5 * SECOND
_NAMED = 10  # devices in a sentence
_PROMPT = 60  # seconds: of a device that promises no pace, and speaks when something happens
Said = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asked for. since, until: a local date or an instant; "" = all there is."""

    out: Path
    since: str = ""
    until: str = ""
    telemetry: Path | None = None
    devices: Path | None = None
    site: Path | None = None
    rules: Path | None = None
    compare: Path | None = None
    events: Path | None = None
    learn_days: int = 28
    shifts: Sequence[wall_time] = SHIFTS


def run_backtest(settings: Settings, wanted: Wanted, say: Said) -> Summary:
    """Writes alarms.csv, summary.md, summary.json and, of changed rules, compare.csv. Raises Invalid, Rejected,
    Unavailable."""
    began = time.perf_counter()
    if (wanted.site is None) == (wanted.devices is None):
        raise Rejected("name either --site FOLDER or --devices FILE")
    troubles = Troubles()
    with _unswept(), _scene(settings, wanted) as scene:
        other = _rules(wanted.compare) if wanted.compare is not None else None
        known = (
            None
            if wanted.events is None
            else known_events(past_csv.rows(wanted.events, NEEDED), wanted.events.name)
        )
        span = _span(wanted, scene.past.time_zone)
        source = _source(wanted, scene, span, troubles)
        if wanted.telemetry is None:
            scene.past = _heard_of(scene, span, wanted.learn_days, troubles)
        else:
            spoken = {point for part in source() for point in np.unique(part.point).tolist()}
            scene.past, _ = _spoken_of(scene.past, spoken)
        scene.past = _at_its_pace(scene, span if wanted.telemetry is None else None, source, troubles)
        census, slots = Census.of(scene.past.table), slots_of(scene.past)
        before = run(_batches(source(), slots, census), scene.past)
        after = None if other is None else run(_batches(source(), slots), replace(scene.past, rules=other))
    since, until = _bounds(span, census)
    run_troubles(troubles, before, scene.past, census)
    if after is not None and other is not None:
        rule_troubles(troubles, after, replace(scene.past, rules=other), census)
    _odd_numbers(troubles, scene, census, since, until)
    _unknown_to_the_run(troubles, wanted, scene)
    rang = _inside(before.raised, since, until)
    mine = _true(rang)
    changed = None if after is None else _true(_inside(after.raised, since, until))
    summary = Summary(
        scene.past.site,
        since,
        until,
        census.readings,
        len({scene.past.table[p].device for p in np.flatnonzero(census.count).tolist()}),
        load_of(rings_of(rang), since, until, zone(scene.past.time_zone), wanted.shifts),
        kinds_of(mine),
        troubles.rows(),
        troubles.more,
        None if known is None else _verdict(known, mine, scene, since, until),
        None
        if after is None
        else _seen_in(differences(_true(before.raised), _true(after.raised)), since, until),
        None if changed is None else sum(one.ticket for one in changed),
        time.perf_counter() - began,
        scene.names,
        late_of(before),
        {} if scene.past.kept is None else scene.past.kept.counted(since, until) | {"muted": before.muted},
    )
    _write(wanted.out, mine, scene, summary, [*(other or ()), *scene.past.rules], say)
    return summary


@contextmanager
def _unswept() -> Iterator[None]:
    """What the rules keep lives as long as the run: to look through it for garbage again and again is a third of
    all that is done."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _scene(settings: Settings, wanted: Wanted) -> Scene:
    if wanted.devices is not None:
        if wanted.telemetry is None:
            raise Rejected("--devices FILE needs --telemetry FILE")
        return of_devices(wanted.devices, _rules(wanted.rules) if wanted.rules else default_rules())
    assert wanted.site is not None
    scene = of_site(settings, wanted.site, store=wanted.telemetry is None)
    return scene if wanted.rules is None else scene.under(_rules(wanted.rules))


def _rules(file: Path) -> Sequence[Rule]:
    try:
        return parse_rules(file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as err:
        raise Rejected(f"{file}: {getattr(err, 'strerror', None) or err}") from err


# ---------------------------------------------------------------- time


def _span(wanted: Wanted, time_zone: str) -> tuple[Ms | None, Ms | None]:
    """A date in `until` is a whole day."""
    since, until = (instant(text, time_zone, last) for text, last in ((wanted.since, 0), (wanted.until, 1)))
    if since is not None and until is not None and until <= since:
        raise Rejected(f"--to {wanted.until} is not after --from {wanted.since}")
    return since, until


def instant(text: str, time_zone: str, days: int) -> Ms | None:
    """A local date, as the begin of the day so many days later, or an instant; "" = None. Raises Rejected."""
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return from_iso(text, zone(time_zone))
    return day_start(day + timedelta(days=days), zone(time_zone))


def _bounds(span: tuple[Ms | None, Ms | None], census: Census) -> tuple[Ms, Ms]:
    """Of the readings where nobody said."""
    first, last = census.span() or (0, 0)
    since, until = span
    since = first if since is None else since
    until = max(since, last) + 1 if until is None else until
    return since, until


def _inside(raised: Sequence[Raised], since: Ms, until: Ms) -> list[Raised]:
    return [one for one in raised if since <= one.raised_at < until]


def _true(raised: Sequence[Raised]) -> list[Raised]:
    """Without what rang in a fire test."""
    return [one for one in raised if not one.test]


def _seen_in(found: Sequence[Difference], since: Ms, until: Ms) -> list[Difference]:
    """An alarm that a changed rule raises on the other side of an end of the span is moved, not new."""
    sides = ((one, (one.before, one.after)) for one in found)
    return [one for one, both in sides if any(side and since <= side.raised_at < until for side in both)]


# ---------------------------------------------------------------- readings


def _source(
    wanted: Wanted, scene: Scene, span: tuple[Ms | None, Ms | None], troubles: Troubles
) -> Callable[[], Iterable[Columns]]:
    """What came, in order; may be asked for twice."""
    since, until = span
    if wanted.telemetry is None:
        if since is None or until is None:
            raise Rejected("--from and --to are needed where readings come from the store")
        begin, end = since - wanted.learn_days * DAY, until
        return lambda: scene.stored(begin, end)
    parts, told = past_csv.telemetry(wanted.telemetry, scene.known, troubles, unit=wanted.site is None)
    whole = [arrived(joined(parts), told, troubles, scene.past.table)] if parts else []
    if until is not None:
        whole = [c.rows(slice(0, int(np.searchsorted(c.received, until)))) for c in whole]
    for columns in whole:
        empty = Counter(columns.point[~np.isfinite(columns.value)].tolist())
        for point, count in empty.items():
            troubles.add(
                "number", f"{scene.past.table[point].device} {scene.past.table[point].spec.name}", count
            )
    return lambda: whole


def _spoken_of(past: Past, points: Collection[int]) -> tuple[Past, list[str]]:
    """Without the devices that have points but no reading: a file was made without them, a site of today had them not
    yet. They were not silent. And their ids."""
    absent = {p.device for p in past.table} - {past.table[point].device for point in points}
    absent &= past.devices.keys()
    kept = {name: d for name, d in past.devices.items() if name not in absent}
    return replace(past, devices=kept), sorted(absent)


def _heard_of(scene: Scene, span: tuple[Ms | None, Ms | None], learn_days: int, troubles: Troubles) -> Past:
    """The site with the devices of which its store has a reading of that time; the others are named."""
    since, until = span
    if since is None or until is None:  # refused when they are read
        return scene.past
    past, absent = _spoken_of(scene.past, scene.heard(since - learn_days * DAY, until))
    if absent:
        troubles.add(
            "unheard", ", ".join(scene.names.get(name, name) for name in absent[:_NAMED]), len(absent)
        )
    return past


def _at_its_pace(
    scene: Scene,
    kept: tuple[Ms | None, Ms | None] | None,
    source: Callable[[], Iterable[Columns]],
    troubles: Troubles,
) -> Past:
    """The site at the pace of its history, which may be thinner than what devices promise: named once a pace. kept:
    the span that is read from the store; None = a file, which is at hand."""
    before = scene.past
    if kept is not None and kept[0] is not None and kept[1] is not None:
        days = (columns for a, b in looked_at(kept[0], kept[1]) for columns in scene.stored(a, b))
    else:
        days = (part for whole in source() for part in some_days(whole))
    after = paced(before, pace_of(days, before))
    for (promised, shown), devices in changed(before, after).items():
        what = f"{span_text(promised * SECOND)} → {span_text(shown * SECOND)}"
        troubles.add("thin", what, len(devices), scene.names.get(devices[0], devices[0]))
    return after


def slots_of(past: Past) -> Longs:
    """By point, ms: readings of so long a time are judged together. Half of its device's interval, so that no slot
    swallows a silence or a state, nor makes a silence of two slots. So late an alarm may be told of in a run."""
    table = past.table
    found = np.full(table.top + 1, _SLOT, np.int64)
    for point in table:
        device = past.devices.get(point.device)
        pace = (device.interval_s if device else None) or table.interval(point.device) or _PROMPT
        found[point.id] = min(max(pace * SECOND // 2, _LEAST_SLOT), _SLOT)
    return found


def _batches(source: Iterable[Columns], slots: Longs, census: Census | None = None) -> Iterator:  # type: ignore[type-arg]
    def counted() -> Iterator[Columns]:
        for columns in source:
            if census is not None:
                census.take(columns.point, columns.at, columns.received)
            yield columns

    return batches_of(counted(), slots)


def _unknown_to_the_run(troubles: Troubles, wanted: Wanted, scene: Scene) -> None:
    """What live operation would have known."""
    if wanted.site is not None and scene.past.kept is None:
        troubles.add("records", "")
    if off := [name for name in scene.off if name in scene.past.devices]:
        troubles.add("service", ", ".join(scene.names.get(name, name) for name in off[:_NAMED]), len(off))


def _odd_numbers(troubles: Troubles, scene: Scene, census: Census, since: Ms, until: Ms) -> None:
    span = census.span()
    tz = zone(scene.past.time_zone)
    history_troubles(troubles, span, since, until, [to_iso(at, tz) for at in span or ()])


def _verdict(known: Sequence[Known], mine: Sequence[Raised], scene: Scene, since: Ms, until: Ms) -> Verdict:
    told = [Told(scene.known.zones.get(r.object, r.object), _kind(r), r.raised_at) for r in mine]
    inside = [e for e in known if e.end >= since and e.start < until]
    return judged(inside, told, scene.zone_of)


# ---------------------------------------------------------------- files


def _kind(one: Raised) -> str:
    return kind_of(one.rule, one.arguments)


def _write(
    out: Path, mine: Sequence[Raised], scene: Scene, summary: Summary, rules: Sequence[Rule], say: Said
) -> None:
    words = Words(scene.language, read_catalogue(), zone(scene.past.time_zone))
    text = written(summary, words, rules)
    try:
        out.mkdir(parents=True, exist_ok=True)
        _alarms(out / "alarms.csv", mine, scene.known)
        (out / "summary.md").write_text(text, encoding="utf-8")
        (out / "summary.json").write_text(
            json.dumps(summary.plain(), ensure_ascii=False, indent=1), encoding="utf-8"
        )
        if summary.compared is not None:
            _compare(out / "compare.csv", summary.compared, scene.known)
    except OSError as err:
        raise Rejected(f"{out}: {err.strerror}") from err
    say(text)
    say(words.t("backtest.written", folder=str(out)))


def _alarms(path: Path, raised: Sequence[Raised], known: Listed) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["device_id", "kind", "raised_at", "cleared_at"])
        for one in raised:
            writer.writerow([_named(one, known), _kind(one), _iso(one.raised_at), _iso(one.cleared_at)])


def _compare(path: Path, found: Sequence[Difference], known: Listed) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["change", "device_id", "rule", "kind", "raised_before", "raised_after", "cleared_at"]
        )
        for one in found:
            shown = one.shown
            before = _iso(one.before.raised_at if one.before else None)
            after = _iso(one.after.raised_at if one.after else None)
            what = [one.change, _named(shown, known), shown.rule, _kind(shown), before, after]
            writer.writerow([*what, _iso(shown.cleared_at)])


def _named(one: Raised, known: Listed) -> str:
    """A group of a zone goes by the zone's name."""
    return known.zones.get(one.object, one.object)


def _iso(at: Ms | None) -> str:
    return "" if at is None else to_iso(at // 1000 * 1000)


__all__ = ["Outcome", "Wanted", "run_backtest"]
