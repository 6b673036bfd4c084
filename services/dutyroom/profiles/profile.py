"""A device profile in memory: how messages of one model become readings, events and attributes.

Frozen data, checked by `loading`; `decode` compiles it to closures. Paths are parsed, text templates
are kept as written.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TypeAlias

from dutyroom.model.telemetry import DeviceClass, Lane, PointSpec, Scalar
from dutyroom.profiles.binary.model import BinaryRule
from dutyroom.profiles.expressions import Expression
from dutyroom.profiles.paths import Elements, Keys, Path
from dutyroom.profiles.topics import Filter
from dutyroom.profiles.yamlnode import Plain
from dutyroom.quantities import unit_of
from dutyroom.timebase import Ms

MAX_WRAP = 2**53  # steps above are not counted exactly


@dataclass(frozen=True, slots=True)
class Condition:
    """A test of a value: of `path`, or of the template `capture` (topic levels, captured keys)."""

    test: str  # in | not | match | exists | above | below | type
    values: tuple[str | float, ...]
    path: Path | None = None
    capture: str = ""


@dataclass(frozen=True, slots=True)
class TimeRule:
    """Where the device's time is: the first of `paths` that gives a plausible time.

    Without paths, the receive time. every: from one element of a series to the next, milliseconds or an
    expression that gives seconds; the first stands `first` of them away.
    """

    paths: tuple[Path, ...]
    format: str = "auto"
    zone: str = ""  # IANA, of times without one; "" = the site's
    since: str = ""  # ISO: numbers count from here, in the unit of `format`
    ago: Ms | None = None  # the value says how many of these lie before the receive time
    every: Ms | Expression | None = None
    first: int = 0


@dataclass(frozen=True, slots=True)
class SequenceRule:
    """Where a device counts its messages: the first of `paths` with a whole number. modulus: at which it begins
    again at 0, None = never."""

    paths: tuple[Path, ...]
    modulus: int | None = None


@dataclass(frozen=True, slots=True)
class PointRule:
    """How one point gets its value. `spec.name` may hold captured keys: volume_{channel}."""

    spec: PointSpec
    paths: tuple[Path, ...]
    unit: str = ""  # of the payload; "" = canonical
    unit_path: Path | None = None  # where the payload says its unit; `unit` counts where it does not
    scale: Fraction = Fraction(1)
    scale_by: tuple[str, ...] = ()  # names of device parameters that multiply
    offset: Fraction = Fraction(0)
    mapping: Mapping[str, str | float] = field(default_factory=dict)  # value as text -> code or text
    otherwise: str | float | None = None  # for a value that `mapping` does not name
    none: frozenset[str] = frozenset()  # values that mean "no reading"
    when: tuple[Condition, ...] = ()
    time: TimeRule | None = None
    absent: str | float | bool | None = None  # what a missing field means (senders that leave defaults out)
    value: Expression | None = None  # in place of a path: computed from fields of the item
    names: Mapping[str, Path] = field(default_factory=dict)  # names in `value` that are paths
    each: Path | None = None  # a series: every match is a reading of its own
    sum_from: Path | None = None  # of a series of differences: the register they are added to ...
    sum_down: bool = False  # ... or taken from, newest first
    reset_when: tuple[Condition, ...] = ()  # hold for what comes first after a reset
    wrap: int | None = None  # of the payload's count, before `scale` and `unit`: 2**32 of a u32

    @property
    def device_wrap(self) -> bool:
        """True when the steps at which it wraps depend on a parameter of the device."""
        return self.wrap is not None and self.scale_by != ()

    def spec_of(self, parameters: Mapping[str, Scalar]) -> PointSpec:
        """The point on a device with these parameters: what a pulse is says when the counter wraps."""
        if not self.device_wrap:
            return self.spec
        factor = Fraction(1)
        for name in self.scale_by:
            factor *= _size(str(parameters.get(name, 1)))
        return replace(self.spec, wrap=self.wrap_steps(factor))

    def wrap_steps(self, factor: Fraction = Fraction(1)) -> int | None:
        """The steps at which it wraps; None where they are no whole number or too many to count."""
        unit = unit_of(self.spec.quantity, self.unit).factor
        exact = Fraction(self.wrap or 0) * self.scale * factor * unit / Fraction(self.spec.step or 1)
        return int(exact) if exact.denominator == 1 and 1 < exact <= MAX_WRAP else None


def _size(text: str) -> Fraction:
    """What a device says that a count is, exact; 0 where that is no size."""
    try:
        return Fraction(text) if 1e-12 <= float(text) <= 1e12 and len(text) < 40 else Fraction(0)
    except ValueError:
        return Fraction(0)


@dataclass(frozen=True, slots=True)
class EventRule:
    """How events come out of a message. id: template, None = a hash of the record."""

    spec: PointSpec
    each: Path | None
    code: str  # template
    codes: Mapping[str, str]  # rendered code -> code
    id: str | None
    time: TimeRule | None
    when: tuple[Condition, ...] = ()
    arguments: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RestRule:
    """What becomes of leaves that nothing names: numbers and booleans are points, text attributes."""

    source: Path | None = None  # where to look, None = the current item
    attributes: tuple[str, ...] = ()  # globs of names whose numbers are attributes too
    texts: tuple[str, ...] = ()  # globs of names whose text is a text point (it changes often)
    skip: tuple[str, ...] = ()
    suffix: bool = False  # the unit is the suffix of the name: power_W
    units: Mapping[str, str] = field(default_factory=dict)  # glob -> unit
    list_name: str = ""  # elements of an array carry their name ...
    list_value: str = ""  # ... and value under these keys


@dataclass(frozen=True, slots=True)
class ByteSource:
    """Where a decoder finds its bytes: a text at the first of `paths`, in base64 or hex, and the port.

    each: several pieces in one message (frames of a bus); what they give is put together.
    """

    paths: tuple[Path, ...]
    encoding: str  # base64 | hex
    ports: tuple[Path, ...] = ()
    each: Path | None = None


@dataclass(frozen=True, slots=True)
class CodecRule:
    """A named codec with its settings (as JSON, so that equal ones are recognised)."""

    name: str
    options: str = ""


@dataclass(frozen=True, slots=True)
class TextRule:
    """Regular expressions with named groups, the first that matches; lines: each line by its own."""

    patterns: tuple[str, ...]
    lines: bool = False
    encoding: str = "utf-8"


DecoderRule: TypeAlias = CodecRule | TextRule | BinaryRule


@dataclass(frozen=True, slots=True)
class Stage:
    """One step from payload to document: json, text, scalar, raw, hex, base64, uplink; take a path;
    parse the JSON text at a path; put under a name (template)."""

    kind: str
    path: Path | None = None
    template: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """One kind of message of a profile. The first layout whose tests hold reads the message."""

    name: str
    filters: tuple[Filter, ...]
    unwrap: tuple[Stage, ...]
    when: tuple[Condition, ...] = ()
    ignore: str | None = None
    reject: str | None = None
    each: tuple[Path, ...] = ()  # the item, or (with wildcards or several paths) the items; () = the document
    identity: tuple[str, ...] = ()  # templates
    time: TimeRule | None = None
    points: tuple[PointRule, ...] = ()
    events: tuple[EventRule, ...] = ()
    attributes: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    rest: RestRule | None = None
    decoder: DecoderRule | None = None
    source: ByteSource | None = None
    sequence: SequenceRule | None = None


@dataclass(frozen=True, slots=True)
class Sketch:
    """Of a layout, what decides whether a message may be for it. way: how it finds the devices of a
    message; layouts with the same way find the same. None = of its own kind. several: a message may be of
    more than one device. codec: that must be asked before any of them is known."""

    filters: tuple[Filter, ...]
    way: Hashable = None
    several: bool = False
    codec: str = ""


Expected: TypeAlias = Mapping[str, Plain]  # point or attribute name -> value


@dataclass(frozen=True, slots=True)
class Example:
    """A recorded message and what it must give."""

    title: str
    topic: str
    payload: bytes
    line: int
    received: str = ""  # ISO, "" = the time that `checking` takes
    parameters: Mapping[str, Scalar] = field(default_factory=dict)
    expect: Mapping[str, Expected] = field(default_factory=dict)  # address -> point -> physical value
    attributes: Mapping[str, Expected] = field(default_factory=dict)
    events: tuple[Mapping[str, Plain], ...] = ()
    time: str = ""
    findings: tuple[str, ...] = ()
    ignored: str = ""
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Profile:
    """One device model. id: "<vendor>/<model>"."""

    id: str
    device_class: DeviceClass
    layouts: tuple[Layout, ...]
    name: Mapping[str, str] = field(default_factory=dict)
    products: tuple[str, ...] = ()
    lane: Lane = Lane.NORMAL
    interval_s: int | None = None
    parameters: Mapping[str, Scalar] = field(default_factory=dict)  # defaults of device parameters
    needed: tuple[str, ...] = ()  # parameters without a default: of each device
    privacy: Mapping[str, str] = field(default_factory=dict)  # glob of a field's name -> drop | hash
    fallback: bool = False  # a generic family: asked after all others
    examples: tuple[Example, ...] = ()
    file: str = ""
    envelope: str = ""

    @property
    def points(self) -> tuple[PointSpec, ...]:
        """Every point whose name is known before a message comes."""
        return self.points_of({})

    def points_of(self, parameters: Mapping[str, Scalar]) -> tuple[PointSpec, ...]:
        """The same on a device with these parameters of its own."""
        known = {**self.parameters, **parameters}
        specs: dict[str, PointSpec] = {}
        for layout in self.layouts:
            named = [rule.spec_of(known) for rule in layout.points] + [rule.spec for rule in layout.events]
            for spec in named:
                if "{" not in spec.name:
                    specs.setdefault(spec.name, spec)
        return tuple(specs.values())

    @property
    def sketches(self) -> tuple[Sketch, ...]:
        """Of every layout, in order."""
        return tuple(_sketch(layout) for layout in self.layouts)

    @property
    def rank(self) -> tuple[bool, int, int]:
        """Sorts the profiles of one topic: the most particular first."""
        tests = max((len(layout.when) for layout in self.layouts), default=0)
        literal = max((f.literal for layout in self.layouts for f in layout.filters), default=0)
        return (self.fallback, -tests, -literal)


def filters_of(profiles: Iterable[Profile]) -> dict[str, str]:
    """What they read, as a broker understands it, in order; each with a profile that reads it."""
    return dict(sorted((f.mqtt, p.id) for p in profiles for layout in p.layouts for f in layout.filters))


def known_outside(layout: Layout) -> bool:
    """True when the identity reads neither the item nor what `each` captures: the address is known
    before anything is decoded."""
    steps = [step for path in layout.each for step in path.steps]
    names = {s.capture for s in steps if isinstance(s, Elements | Keys) and s.capture}
    return not any("@" in text or any(f"{{{n}" in text for n in names) for text in layout.identity)


def _sketch(layout: Layout) -> Sketch:
    outside = known_outside(layout)
    several = not outside and (len(layout.each) > 1 or not all(path.single for path in layout.each))
    if not layout.identity:
        return Sketch(layout.filters)
    way: tuple[Hashable, ...] = (layout.unwrap, layout.identity, () if outside else layout.each)
    if outside or layout.decoder is None:
        return Sketch(layout.filters, way, several)
    if not isinstance(layout.decoder, CodecRule):
        return Sketch(layout.filters)
    # Settings of a codec name and sort what it reads; whose message it is they do not change.
    codec = layout.decoder.name
    return Sketch(layout.filters, (*way, codec, layout.source), several, codec)
