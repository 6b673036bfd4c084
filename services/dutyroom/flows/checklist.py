"""What a person must look at after a cause: the elevators of a dead feed, the steps of a power cut. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from dutyroom.alarms import spans_of
from dutyroom.flows.inferred import GUESS, cut_of, words
from dutyroom.model.duty import Alarm, Check, CheckState, Condition, Device, DeviceStatus
from dutyroom.rules.backing import backed
from dutyroom.rules.spec import Checks, Rule, matches
from dutyroom.timebase import Ms
from dutyroom.topology import Topology, children, downstream, feeds_of

NAMED = 12  # places that a message names
URGENT = (CheckState.TRAPPED, CheckState.STOPPED, CheckState.UNKNOWN, CheckState.RUNNING)


def places(checks: Checks, feed: str, devices: Mapping[str, Device], topology: Topology) -> list[Device]:
    """The devices to look at when `feed` is dead: what it supplies, directly or through others, and what the
    topology says nothing of in the same building, or anywhere where that building has none."""
    below = downstream(topology, checks.below, feed)
    wanted = [
        d
        for d in devices.values()
        if d.device_class in checks.classes and d.status is not DeviceStatus.WITHDRAWN
    ]
    unknown = [d for d in wanted if not feeds_of(topology, checks.below, d.id)]
    building = _building(devices[feed].space) if feed in devices else ""
    there = [d for d in wanted if _building(d.space) == building]
    near = [d for d in unknown if _building(d.space) == building] if there else unknown
    chosen = {d.id for d in near} | (below & {d.id for d in wanted})
    return [d for d in wanted if d.id in chosen]


def _building(space: str) -> str:
    return space.partition("/")[0]


def known_state(
    device: str, alarms: Iterable[Alarm], rules: Mapping[str, Rule], heard: Ms | None, since: Ms
) -> CheckState:
    """What is known of a device since a moment. alarms: open ones. heard: receive time of its last word."""
    mine = [a for a in alarms if a.object == device and a.cleared_at is None and a.ended_at is None]
    if any(a.latched for a in mine):
        return CheckState.TRAPPED
    if any((rule := rules.get(a.rule)) is None or rule.kind != "stale" for a in mine):
        return CheckState.STOPPED
    if mine or heard is None or heard < since:
        return CheckState.UNKNOWN
    return CheckState.RUNNING


def begun(alarm: Alarm) -> Ms:
    """Since when the condition stands, this time."""
    spans = spans_of(alarm)
    return spans[-1][0] if spans else alarm.raised_at


def list_of(
    alarm: Alarm,
    checks: Checks,
    devices: Mapping[str, Device],
    topology: Topology,
    state: Callable[[str], CheckState],
    now: Ms,
) -> tuple[Check, ...]:
    """The list of an alarm that was raised; () where an inferred one is needed and it is none."""
    if checks.inferred and "inferred" not in alarm.arguments:
        return ()
    found = places(checks, alarm.object, devices, topology)
    return tuple(
        Check(0, alarm.site, alarm.id, begun(alarm), device.id, "", state(device.id), now) for device in found
    )


def steps_of(
    alarm: Alarm, rules: Mapping[str, Rule], devices: Mapping[str, Device], topology: Topology, now: Ms
) -> tuple[Check, ...]:
    """The steps that are awaited after an alarm, by the rules that follow it."""
    found, said = [], (said_by(alarm, rules, devices) if GUESS in alarm.arguments else (alarm.rule,))
    for rule in rules.values():
        if rule.kind != "sequence" or rule.parameters.get("after") not in said:
            continue
        step = str(rule.parameters.get("late", ""))
        hosts = [d for d in devices.values() if matches(rule.select, d)]
        hosts = [d for d in hosts if backs(d, alarm.object, devices, topology)]
        found += [
            Check(0, alarm.site, alarm.id, begun(alarm), d.id, step, CheckState.AWAITED, now)
            for d in hosts
            if step and d.status is not DeviceStatus.WITHDRAWN
        ]
    return tuple(found)


def said_by(alarm: Alarm, rules: Mapping[str, Rule], devices: Mapping[str, Device]) -> tuple[str, ...]:
    """The rules whose condition an alarm tells of, or did: its own, and those that would say what topology has inferred."""
    utility = cut_of(alarm)
    return alarm.rule, *(words(utility, devices.get(alarm.object), rules) if utility else ())


def backs(device: Device, feeder: str, devices: Mapping[str, Device], topology: Topology) -> bool:
    """Whether a device backs this feeder; one that says of none backs all."""
    below = children(topology, "power")
    found = backed(device, devices, lambda d: below.get(d, ()), lambda d: feeds_of(topology, "power", d))
    return not found or feeder in found


def step_of(condition: Condition) -> tuple[str, CheckState, Ms] | None:
    """The step that a condition tells of, how it stands, and since when; None = of none."""
    step, done = condition.arguments.get("step"), condition.arguments.get("done")
    if not isinstance(step, str):
        return None
    if condition.active:
        return step, CheckState.LATE, condition.at
    return (step, CheckState.DONE, done) if isinstance(done, int) else None


def in_one_line(checks: Collection[Check]) -> str:
    """For the arguments of a message: `id=state` with blanks between, the most urgent first."""
    listed = sorted((c for c in checks if not c.step), key=lambda c: URGENT.index(c.state))
    return " ".join(f"{c.object}={c.state}" for c in listed)
