"""What a rule says: data, read from YAML, never code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from dutyroom.model.duty import Condition, Device, Priority
from dutyroom.model.telemetry import DeviceClass, Scalar
from dutyroom.timebase import SECOND, Ms


@dataclass(frozen=True, slots=True)
class Select:
    """Which devices a rule or plan concerns: all given tests must hold; empty = no test."""

    classes: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()  # ids or globs
    spaces: tuple[str, ...] = ()  # path prefixes
    profiles: tuple[str, ...] = ()
    where: Mapping[str, tuple[Scalar, ...]] = field(default_factory=dict)  # parameter is one of
    unless: Mapping[str, tuple[Scalar, ...]] = field(default_factory=dict)  # parameter is none of
    having: tuple[str, ...] = ()  # parameters that it has, whatever they say


@dataclass(frozen=True, slots=True)
class TicketPolicy:
    """When an alarm opens a ticket: after 0 (now), after a time still active, or never (None)."""

    after: Ms | None = 0


@dataclass(frozen=True, slots=True)
class Cause:
    """An open alarm of `rule` explains ours: on the same object, or on the device that our
    device's parameter `parameter` names, or on one whose parameter `naming` names ours, or on a device that ours feeds (below)
    or that feeds ours (above). within: it does
    so where it was known so long before ours at most; what stands for days is another thing. 0 = however long it stands; of one
    that ours joins and whose ticket somebody has taken, where that is not older than 12 h. earlier: ours, known so long before it, was
    its beginning: its ticket becomes that of the cause."""

    rule: str
    parameter: str = ""
    below: str = ""  # a utility: the cause lies on a device downstream of ours in it
    above: str = ""  # a utility: it lies on a device upstream of ours in it
    within: Ms = 0
    naming: str = ""
    earlier: Ms = 0


@dataclass(frozen=True, slots=True)
class Checks:
    """What a person must look at when the rule's alarm stands on a feed: devices of these classes that it
    supplies in the utility `below`. inferred: only where the alarm was inferred from silence."""

    classes: tuple[str, ...]
    below: str
    inferred: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. Words are per language: {"zh-CN": ..., "en": ...}."""

    id: str
    kind: str  # a module in rules/kinds
    select: Select
    priority: Priority
    ticket: TicketPolicy
    name: Mapping[str, str]
    parameters: Mapping[str, object] = field(default_factory=dict)  # checked by the kind
    point: str = ""  # name of the point it looks at
    mentions: tuple[str, ...] = ()  # points whose values of that moment belong to what the alarm says
    each_place: bool = False  # other values of them while it stands sound again: a second detector
    on_delay: Ms = 0
    off_delay: Ms = 0
    respond_within: Ms | None = None
    arrive_within: Ms | None = None  # somebody must be at the place by then; None = no such limit
    latched: bool = False  # fire, entrapment: needs a person's reset; never shelved or suppressed
    utility: str = ""  # power | water | network: which topology may explain it
    root: bool = False  # its alarm may be the root of others in that utility
    idle: str = (
        ""  # a utility in which its alarm says that the device feeds nothing: a generator that does not run
    )
    dark: bool = False  # its alarm says that the device has lost its supply or its connection
    waits: bool = True  # its ticket may wait for a root (never for fire, entrapment, gas)
    advice: Mapping[str, Sequence[str]] = field(default_factory=dict)
    version: int = 1
    options: Mapping[str, Scalar] = field(default_factory=dict)
    wait: Ms = 30 * SECOND  # how long its ticket waits for a root
    lags: Ms = 0  # how long it may stand after what explained it has gone: it looks at nights, or days
    explained_in: tuple[str, ...] = ()  # utilities whose dead feeds explain it; () = `utility`
    explained_by: tuple[Cause, ...] = ()  # rules whose alarm explains it
    checks: Checks | None = None
    joins: tuple[Cause, ...] = ()  # alarms whose open ticket it joins: the same cause, grown worse
    graver: Mapping[str, Priority] = field(default_factory=dict)  # by what its kind says the cause is
    realarm: Ms = 0  # acknowledged and still there for so long, it sounds again; 0 = never
    fire: bool = False  # of the fire system: marked while that is tested, and only then
    shipped: bool = False  # from defaults.yaml: has texts of its own in the catalogue
    variants: tuple[Variant, ...] = ()  # what differs on some of its devices; the first that fits

    def priority_of(self, condition: Condition) -> Priority:
        """Of an alarm with this condition: by the cause that its kind names, else the rule's."""
        return self.graver.get(str(condition.arguments.get("cause", "")), self.priority)

    @property
    def vital(self) -> bool:
        """Fire, entrapment, gas: nothing mutes it, and it waits for nothing."""
        return self.latched or (self.priority is Priority.EMERGENCY and not self.waits)

    @property
    def utilities(self) -> tuple[str, ...]:
        """The utilities in which a dead feed explains this rule's alarm."""
        return self.explained_in or ((self.utility,) if self.utility else ())


@dataclass(frozen=True, slots=True)
class Variant:
    """A rule with other parameters and delays, for some of its devices."""

    select: Select
    rule: Rule


def makes(rule: Rule) -> tuple[Rule, ...]:
    """A rule as it is where no variant fits, and its variants."""
    return (rule, *(v.rule for v in rule.variants))


def on(rule: Rule, device: Device) -> Rule:
    """A rule as it is on a device."""
    return next((v.rule for v in rule.variants if matches(v.select, device)), rule)


def matches(select: Select, device: Device) -> bool:
    """Whether every test of `select` holds for the device."""
    if select.classes and device.device_class not in select.classes:
        return False
    if select.profiles and device.profile not in select.profiles:
        return False
    if select.devices and not any(fnmatchcase(device.id, glob) for glob in select.devices):
        return False
    if select.spaces and not any(within(device.space, prefix) for prefix in select.spaces):
        return False
    if any(device.parameters.get(name) not in values for name, values in select.where.items()):
        return False
    if any(device.parameters.get(name) in (None, "") for name in select.having):
        return False
    return not any(device.parameters.get(name) in values for name, values in select.unless.items())


def within(space: str, prefix: str) -> bool:
    """Whether a space is another one or lies in it (paths)."""
    return space == prefix or space.startswith(prefix.rstrip("/") + "/")


def anywhere(rule: Rule) -> Rule:
    """The rule for a made-up device, which has no place, no id and no profile that it could name."""
    classes = rule.select.classes or (DeviceClass.OTHER.value,)
    return replace(rule, select=replace(rule.select, classes=classes, devices=(), spaces=(), profiles=()))


def parse_rules(text: str, file: str) -> tuple[Rule, ...]:
    """The shipped rules with a site's rules.yaml laid over them. Raises Invalid with every mistake."""
    from dutyroom.rules.parse import parse_rules as parse  # kinds check parameters and know Rule

    return parse(text, file)
