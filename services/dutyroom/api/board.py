"""What the wall board shows: system groups, use of today against yesterday, work, plans, data.

Figures are taken from memory every time; what needs the store (curves, use) is kept for a minute.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from dutyroom.api.present import Presenter, Row, is_stale
from dutyroom.flows.live import LiveValue
from dutyroom.flows.run import SiteRuntime
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import Event, Point
from dutyroom.timebase import DAY, HOUR, MINUTE, Ms, day_start, local_date, zone

Curve: TypeAlias = list[float | None]  # one value a bucket, None = a gap

KEEP: Ms = MINUTE
SPARK_BUCKET: Ms = 30 * MINUTE
USE_BUCKET: Ms = 30 * MINUTE
USE_GAP: Ms = 2 * HOUR  # readings further apart say nothing of what lies between


@dataclass(frozen=True, slots=True)
class Group:
    """One tile: device classes under one name."""

    id: str
    classes: tuple[str, ...]
    point: str = ""  # whose values make the figure and the curve
    unit: str = ""


GROUPS = (
    Group("water", ("water_meter",), "flow", "m3/h"),
    Group("power", ("feeder", "electricity_meter", "transfer_switch"), "power", "kW"),
    Group("gas", ("gas_meter",), "volume", "m3"),
    Group("elevator", ("elevator",)),
    Group("fire", ("fire_panel",)),
    Group("tank", ("tank", "pump"), "level", "m"),
    Group("gate", ("gate",)),
    Group("generator", ("generator",), "power", "kW"),
)


@dataclass(slots=True)
class Board:
    """Keeps the costly parts of one site's board for a minute."""

    site: SiteRuntime
    _kept: dict[str, tuple[Ms, object]] = field(default_factory=dict)

    def keep(self, name: str, now: Ms, make: Callable[[], Curve]) -> Curve:
        at, value = self._kept.get(name, (-KEEP, []))
        if not 0 <= now - at < KEEP:
            value = make()
            self._kept[name] = (now, value)
        return value  # type: ignore[return-value]

    def main_points(self, devices: Sequence[Device], classes: tuple[str, ...], name: str) -> list[Point]:
        """Points of the meters that count everything: the masters, else those outside units."""
        mine = [d for d in devices if d.device_class in classes]
        chosen = [d for d in mine if d.parameters.get("use") == "master"]
        if not chosen:
            chosen = [d for d in mine if not self._in_unit(d)]
        found = (self.site.table.find(d.id, name) for d in chosen)
        return [point for point in found if point is not None]

    def _in_unit(self, device: Device) -> bool:
        space = self.site.site.spaces.get(device.space)
        return space is not None and space.kind == "unit"

    def live_sum(self, points: Sequence[Point]) -> tuple[float | None, Ms | None, bool]:
        """Sum of the newest values, the newest receive time, and whether any is old or missing."""
        now = self.site.clock.now()
        pairs = [(p, self.site.live.get(p.id)) for p in points]
        known = [(p, v) for p, v in pairs if v is not None]
        if not known:
            return None, None, True
        total = sum(p.physical(v.value) for p, v in known)
        stale = any(is_stale(p, v, now) for p, v in pairs)
        return total, max(v.received_at for _, v in known), stale

    def mean_curve(self, points: Sequence[Point], start: Ms, end: Ms) -> Curve:
        """Sum over points of each bucket's mean."""
        size = (end - start) // SPARK_BUCKET
        sums: Curve = [None] * size
        for point in points:
            for at, _, mean, _, _ in self.site.store.buckets(point, start, end, SPARK_BUCKET):
                place = (at - start) // SPARK_BUCKET
                if 0 <= place < size:
                    sums[place] = (sums[place] or 0.0) + _mean_physical(point, mean)
        return sums

    def use_curve(self, points: Sequence[Point], start: Ms, end: Ms) -> Curve:
        """Use per half-hour from the registers at its ends; a gap stays a gap."""
        marks = np.arange(start, end + USE_BUCKET, USE_BUCKET, dtype=np.int64)
        total: Curve = [None] * (len(marks) - 1)
        for point in points:
            series = self.site.store.range(point, start - USE_GAP, end)
            for place, use in enumerate(use_between(series.at, series.value, marks)):
                if use is not None:
                    total[place] = (total[place] or 0.0) + _mean_physical(point, use)
        return total


def use_between(at: np.ndarray, register: np.ndarray, marks: np.ndarray) -> Curve:
    """What a register rose by from each mark to the next, None where readings lie too far apart.

    Between two readings it is taken to rise evenly, so that readings by the hour and by the second
    give the same curve. The last mark may lie ahead of the newest reading.
    """
    if len(at) < 2:
        return [None] * (len(marks) - 1)
    wanted = marks.copy()
    if wanted[-2] < at[-1] < wanted[-1]:
        wanted[-1] = at[-1]
    after = np.clip(np.searchsorted(at, wanted), 1, len(at) - 1)
    known = (wanted >= at[0]) & (wanted <= at[-1]) & (at[after] - at[after - 1] <= USE_GAP)
    risen = np.diff(np.interp(wanted, at, register))
    good = known[:-1] & known[1:] & (risen >= 0)
    return [float(rise) if fine else None for rise, fine in zip(risen, good, strict=True)]


def _mean_physical(point: Point, mean: float) -> float:
    """A mean of steps is no whole number of steps."""
    return mean * float(point.spec.step) if point.spec.step is not None else mean


def midnight(site: SiteRuntime, now: Ms) -> Ms:
    tz = zone(site.site.time_zone)
    return day_start(local_date(now, tz), tz)


def use_of_today(board: Board, devices: Sequence[Device], group: str, now: Ms) -> Row:
    """Today's use by half-hours beside yesterday's, and the totals up to this time of the day."""
    classes, name = {
        "water": (("water_meter",), "volume"),
        "power": (("feeder", "electricity_meter"), "energy"),
    }[group]
    points = board.main_points(devices, classes, name)
    start = midnight(board.site, now)
    today = board.keep(f"use {group}", now, lambda: board.use_curve(points, start, now))
    day_before = board.keep(f"before {group}", now, lambda: board.use_curve(points, start - DAY, start))
    whole = (now - start) // USE_BUCKET  # half-hours that are over; the running one is not drawn
    begun = (now - start) % USE_BUCKET / USE_BUCKET
    known = [v for v in today if v is not None]
    before = [v for v in day_before[:whole] if v is not None]
    before += [v * begun for v in day_before[whole : whole + 1] if v is not None]
    return {
        "today": today[:whole],
        "yesterday": day_before,
        "total": sum(known) if known else None,
        "before": sum(before) if before else None,
        "unit": "m3" if group == "water" else "kWh",
    }


def tiles(board: Board, shown: Presenter, alarms: Sequence[Row]) -> list[Row]:
    """One tile a group that has devices."""
    by_class: dict[str, list[Device]] = {}
    for device in shown.devices.values():
        by_class.setdefault(device.device_class, []).append(device)
    made = []
    for group in GROUPS:
        devices = [d for name in group.classes for d in by_class.get(name, ())]
        if devices:
            made.append(_tile(board, shown, group, devices, alarms))
    return made


def _tile(
    board: Board, shown: Presenter, group: Group, devices: Sequence[Device], alarms: Sequence[Row]
) -> Row:
    ids = {d.id for d in devices}
    mine = [a for a in alarms if a["device"] in ids and a["tab"] in ("active", "returned")]
    figure = _FIGURES.get(group.id, _summed)(board, shown, group, devices)
    names: dict[str, int] = {}
    for alarm in mine:
        names[alarm["title"]] = names.get(alarm["title"], 0) + 1
    worst = mine[0] if mine else None
    return {
        "id": group.id,
        "name": shown.words.t(f"group.{group.id}"),
        "alarms": _said(names),
        "priority": worst["priority"] if worst else 0,
        "filled": bool(worst and worst["filled"]),
        **figure,
    }


def _said(names: dict[str, int]) -> list[str]:
    """The worst alarm by name with its number, and how many others there are."""
    if not names:
        return []
    (first, count), *others = names.items()
    rest = sum(number for _, number in others)
    return [f"{first} {count}" if count > 1 else first, *([f"+{rest}"] if rest else [])]


def _curve(board: Board, group: Group, points: Sequence[Point], now: Ms) -> Curve:
    start = now // SPARK_BUCKET * SPARK_BUCKET + SPARK_BUCKET - DAY
    return board.keep(f"spark {group.id}", now, lambda: board.mean_curve(points, start, start + DAY))


def _summed(board: Board, shown: Presenter, group: Group, devices: Sequence[Device]) -> Row:
    points = board.main_points(devices, group.classes, group.point)
    value, at, stale = board.live_sum(points)
    note = ""
    if group.id == "water":
        use = use_of_today(board, devices, "water", shown.now)
        note = shown.words.t("board.today", use=shown.words.figure(use["total"], "m3"))
    if group.id == "power":
        note = _power_note(board, shown)
    return {
        "figure": shown.words.number(value),
        "unit": shown.words.unit(group.unit),
        "note": note,
        "at": at,
        "stale": stale,
        "curve": _curve(board, group, points, shown.now),
    }


def _power_note(board: Board, shown: Presenter) -> str:
    feeders = [d for d in shown.devices.values() if d.device_class == "feeder"]
    dead = [d for d in feeders if (v := _live(board, d.id, "voltage")) is not None and v.value < 50]
    if dead:
        return shown.words.t(
            "board.feeders_dead", names=" · ".join(shown.device_name(d.id) for d in dead[:3])
        )
    return shown.words.t("board.feeders", count=len(feeders)) if feeders else ""


def _live(board: Board, device: str, name: str) -> LiveValue | None:
    point = board.site.table.find(device, name)
    return board.site.live.get(point.id) if point else None


def _newest(board: Board, devices: Sequence[Device]) -> Ms | None:
    times = [
        value.received_at
        for device in devices
        for point in board.site.table.of_device(device.id)
        if (value := board.site.live.get(point.id)) is not None
    ]
    return max(times, default=None)


def online(board: Board, devices: Sequence[Device], now: Ms) -> int:
    """How many of them are heard within three of their intervals and do not say they are off."""
    count = 0
    for device in devices:
        pairs = [(p, board.site.live.get(p.id)) for p in board.site.table.of_device(device.id)]
        said = next((v for p, v in pairs if v is not None and p.spec.name == "online"), None)
        periodic = [(p, v) for p, v in pairs if p.spec.interval_s is not None]
        if said is not None and said.value == 0:
            continue
        if periodic:
            count += any(not is_stale(p, v, now) for p, v in periodic)
        else:
            count += any(v is not None for _, v in pairs)
    return count


def _gas(board: Board, shown: Presenter, group: Group, devices: Sequence[Device]) -> Row:
    points = [p for d in devices if (p := board.site.table.find(d.id, "volume")) is not None]
    marks = [shown.now - hours * HOUR for hours in range(24, -1, -2)]

    def rates() -> Curve:
        """Use per hour of all meters, every two hours; only meters that both moments know."""
        before, made = board.site.store.at(points, marks[0], DAY), []
        for mark in marks[1:]:
            after = board.site.store.at(points, mark, DAY)
            both = [p for p in points if p.id in before and p.id in after]
            parts = [p.physical(max(0.0, after[p.id].value - before[p.id].value)) for p in both]
            made.append(sum(parts) / 2 if parts else None)
            before = after
        return made

    curve = board.keep("spark gas", shown.now // (5 * KEEP) * (5 * KEEP), rates)
    value = next((v for v in reversed(curve) if v is not None), None)
    heard = online(board, devices, shown.now)
    return {
        "figure": shown.words.number(value),
        "unit": shown.words.unit("m3/h"),
        "note": shown.words.t("board.meters_online", heard=heard, all=len(devices)),
        "at": _newest(board, devices),
        "stale": heard == 0,
        "curve": curve,
    }


def _elevator(board: Board, shown: Presenter, group: Group, devices: Sequence[Device]) -> Row:
    def well(device: Device) -> bool:
        bad = [_live(board, device.id, name) for name in ("fault_code", "trapped")]
        return not any(v is not None and v.value for v in bad)

    heard = [d for d in devices if online(board, [d], shown.now)]
    return {
        "figure": str(sum(well(d) for d in heard)),
        "unit": shown.words.t("board.of_running", all=len(devices)),
        "note": shown.words.t("board.online", heard=len(heard), all=len(devices)),
        "at": _newest(board, devices),
        "stale": not heard,
        "curve": [],
    }


def _fire(board: Board, shown: Presenter, group: Group, devices: Sequence[Device]) -> Row:
    alarms = sum(bool((v := _live(board, d.id, "alarm")) and v.value) for d in devices)
    isolated = sum(int(v.value) for d in devices if (v := _live(board, d.id, "isolated")) is not None)
    heard = online(board, devices, shown.now)
    return {
        "figure": str(alarms),
        "unit": shown.words.t("board.alarms"),
        "note": shown.words.t("board.isolated", count=isolated, heard=heard, all=len(devices)),
        "at": _newest(board, devices),
        "stale": heard == 0,
        "curve": [],
    }


def _tank(board: Board, shown: Presenter, group: Group, devices: Sequence[Device]) -> Row:
    """The tank that is lowest for its height; the others in the note."""
    levels: list[tuple[float, Device, Point, LiveValue]] = []
    for device in devices:
        point = board.site.table.find(device.id, "level")
        value = board.site.live.get(point.id) if point else None
        if point is not None and value is not None:
            height = float(device.parameters.get("height", 0) or 0)
            levels.append((value.value / height if height else value.value, device, point, value))
    levels.sort(key=lambda item: item[0])
    if not levels:
        return {"figure": "—", "unit": "m", "note": "", "at": None, "stale": True, "curve": []}
    _, device, point, value = levels[0]
    others = [
        f"{shown.device_name(d.id)} {shown.words.figure(v.value, 'm', 2)}" for _, d, _, v in levels[1:3]
    ]
    return {
        "figure": shown.words.number(value.value, 2),
        "unit": "m",
        "note": " · ".join([shown.device_name(device.id), *others[:1]]),
        "at": value.received_at,
        "stale": is_stale(point, value, shown.now),
        "curve": _curve(board, group, [point], shown.now),
    }


def passed(event: Event) -> bool:
    """Whether somebody went through: a card refused, a door that opens or closes, is no passage."""
    return event.code == "passage" and event.arguments.get("granted") is not False


def _gate(board: Board, shown: Presenter, group: Group, devices: Sequence[Device]) -> Row:
    site, start = board.site, midnight(board.site, shown.now)
    with site.records.read() as tx:
        events = tx.devices.events(site.site.id, None, start, 100_000)
    names = {p.id for d in devices for p in site.table.of_device(d.id)}
    heard = online(board, devices, shown.now)
    return {
        "figure": shown.words.number(sum(e.point in names and passed(e) for e in events)),
        "unit": shown.words.t("board.passages"),
        "note": shown.words.t("board.online", heard=heard, all=len(devices)),
        "at": _newest(board, devices),
        "stale": heard == 0,
        "curve": [],
    }


def _generator(board: Board, shown: Presenter, group: Group, devices: Sequence[Device]) -> Row:
    row = _summed(board, shown, group, devices)
    device = devices[0].id
    running = _live(board, device, "running")
    fuel, volts, hertz = (_live(board, device, n) for n in ("fuel", "voltage", "frequency"))
    parts = []
    if running is not None and running.value:
        if hertz is not None:
            parts.append(shown.words.figure(hertz.value, "Hz", 1))
        if volts is not None:
            parts.append(shown.words.figure(volts.value, "V", 0))
    if fuel is not None:
        parts.append(shown.words.t("board.fuel", fuel=shown.words.number(fuel.value, 0)))
    state = "board.running" if running is not None and running.value else "board.standby"
    return row | {"note": " · ".join(parts), "calm": shown.words.t(state)}


_FIGURES: dict[str, Callable[[Board, Presenter, Group, Sequence[Device]], Row]] = {
    "gas": _gas,
    "elevator": _elevator,
    "fire": _fire,
    "tank": _tank,
    "gate": _gate,
    "generator": _generator,
}
