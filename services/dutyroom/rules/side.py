"""A test of one point beside the one that a rule looks at: `mode: {equals: 0}`, `power: {above: 1}`."""

from __future__ import annotations

from dataclasses import dataclass

from dutyroom.fields import Fields
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import Point, PointTable
from dutyroom.rules.kind import Limit, gap_of, read_codes, read_limit
from dutyroom.rules.spec import Rule
from dutyroom.timebase import Ms


@dataclass(frozen=True, slots=True)
class Test:
    """As it is written: exactly one of the four. optional: left out on a device without the point, or that has never said it."""

    __test__ = False  # pytest takes the name for its own

    point: str
    equals: tuple[float, ...] = ()
    others: tuple[float, ...] = ()
    above: Limit | None = None
    below: Limit | None = None
    optional: bool = False

    @property
    def parameters(self) -> frozenset[str]:
        """The device parameters that its limit asks for."""
        return frozenset(limit.parameter for limit in (self.above, self.below) if limit and limit.parameter)


def tests_in(rule: Rule) -> list[Test]:
    """All that stand in a rule's parameters: those of other points, and a kind's own (its point is "")."""
    values = rule.parameters.values()
    listed = [v for value in values for v in (value if isinstance(value, tuple) else (value,))]
    return [v for v in listed if isinstance(v, Test)]


def read_tests(fields: Fields, name: str) -> tuple[Test, ...]:
    """The mapping `name` of points to tests; () = not given. Every mistake is noted."""
    listed = fields.child(name)
    if listed is None:
        return ()
    found = []
    for point in listed.data:
        inner = listed.child(str(point))
        if inner is not None:
            found.append(_test(str(point), inner))
    listed.finish()
    return tuple(found)


def _test(point: str, fields: Fields) -> Test:
    test = Test(
        point,
        read_codes(fields, "equals"),
        read_codes(fields, "not"),
        read_limit(fields, "above"),
        read_limit(fields, "below"),
        fields.flag("optional"),
    )
    if sum((bool(test.equals), bool(test.others), test.above is not None, test.below is not None)) != 1:
        fields.wrong("", "needs one of equals, not, above and below")
    fields.finish()
    return test


@dataclass(frozen=True, slots=True)
class Side:
    """A test on one device. gap: how long a reading holds, None = until the next one."""

    point: Point
    gap: Ms | None
    codes: frozenset[float] | None  # None = it is a limit
    wanted: bool  # whether it must be one of `codes`, or none of them
    limit: float = 0.0
    sign: int = 1
    band: float = 0.0  # a limit that has been passed is left only this far back
    optional: bool = False  # as long as nothing was ever said of it, it does not count

    def holds(self, value: float, held: bool = False) -> bool:
        """held: whether the condition holds already."""
        if self.codes is not None:
            return (value in self.codes) == self.wanted
        return value * self.sign > self.limit * self.sign - (self.band if held else 0.0)


def side_of(test: Test, rule: Rule, device: Device, table: PointTable, band: float = 0.0) -> Side | None:
    """None while the device has no such point. Raises Rejected where its limit needs a parameter that
    the device does not have."""
    point = table.find(device.id, test.point)
    if point is None:
        return None
    gap = gap_of(rule, point)
    if test.equals or test.others:
        codes = frozenset(test.equals or test.others)
        return Side(point, gap, codes, bool(test.equals), optional=test.optional)
    limit, sign = (test.above, 1) if test.above is not None else (test.below, -1)
    return Side(point, gap, None, True, limit.of(device) if limit else 0.0, sign, band, test.optional)


def sides_of(tests: tuple[Test, ...], rule: Rule, device: Device, table: PointTable) -> list[Side] | None:
    """All of them; None while one that is not optional has no point."""
    found = []
    for test in tests:
        side = side_of(test, rule, device, table)
        if side is not None:
            found.append(side)
        elif not test.optional:
            return None
    return found
