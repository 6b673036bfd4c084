"""One rule on one device, fed by hand: times in seconds after T0."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from dutyroom.model.duty import Condition, Device
from dutyroom.model.telemetry import (
    Batch,
    DeviceClass,
    Kind,
    Lane,
    Message,
    MessageRecord,
    Outcome,
    Point,
    PointSpec,
    PointTable,
    Quality,
    Readings,
)
from dutyroom.rules.engine import Engine
from dutyroom.rules.parse import default_rules, parse_rules
from dutyroom.rules.spec import Rule

T0 = 1_760_000_000_000
HEAD = "rules:\n  - id: r\n    name: R\n"


def rule(yaml: str) -> Rule:
    """A rule of our own, without the shipped ones."""
    return next(
        r
        for r in parse_rules(HEAD + "".join(f"    {line}\n" for line in yaml.split("\n")), "r.yaml")
        if r.id == "r"
    )


def shipped(name: str) -> Rule:
    return next(r for r in default_rules() if r.id == name)


def gauge(name: str, interval: int | None = 10, unit: str = "") -> PointSpec:
    return PointSpec(name, unit=unit, interval_s=interval)


def counter(name: str, interval: int | None = 900, step: str = "0.001", digits: int = 8) -> PointSpec:
    return PointSpec(
        name, unit="m3", kind=Kind.COUNTER, step=Decimal(step), digits=digits, interval_s=interval
    )


def state(name: str, interval: int | None = None) -> PointSpec:
    return PointSpec(name, kind=Kind.STATE, interval_s=interval)


class Bench:
    """`says` gathers (seconds, rule, active) of every condition."""

    def __init__(
        self, rules: Rule | Iterable[Rule], *specs: PointSpec, kind: str = "sensor", **parameters: Any
    ) -> None:
        self.devices = {"d": Device("s", "d", "D", kind, "v/m", "d", "A", parameters)}
        self.table = PointTable()
        for spec in specs:
            self.add("d", spec)
        self.rules = [rules] if isinstance(rules, Rule) else list(rules)
        self.engine = Engine(self.rules, self.table, self.devices)
        self.conditions: list[Condition] = []

    def add(self, device: str, spec: PointSpec) -> None:
        kind = DeviceClass(self.devices[device].device_class)
        self.table.add(Point(len(self.table) + 1, "s", device, kind, "A", spec))

    def batch(
        self,
        rows: Iterable[tuple[float, str, float]],
        received: float | None = None,
        quality: Quality = Quality.GOOD,
        device: str = "d",
    ) -> Batch:
        listed = []
        for second, name, value in rows:
            point = self.table.find(device, name)
            assert point is not None
            listed.append((point.id, T0 + round(second * 1000), value, int(quality), 0))
        came = T0 + round((max(r[0] for r in rows) if received is None else received) * 1000)
        record = MessageRecord(Message("t", b"", came), Outcome.DECODED)
        return Batch("s", Lane.NORMAL, came, (record,), Readings.of(listed))

    def feed(self, second: float, name: str, value: float, **more: Any) -> list[Condition]:
        out = self.engine.feed(self.batch([(second, name, value)], **more))
        self.conditions += out
        return out

    def run(
        self, name: str, values: Iterable[float], start: float = 0, every: float = 10, **more: Any
    ) -> Bench:
        for index, value in enumerate(values):
            self.feed(start + index * every, name, value, **more)
        return self

    def tick(self, second: float) -> list[Condition]:
        out = self.engine.tick(T0 + round(second * 1000))
        self.conditions += out
        return out

    def started(self, second: float) -> None:
        self.engine.started(T0 + round(second * 1000))

    @property
    def says(self) -> list[tuple[float, bool]]:
        return [((c.at - T0) / 1000, c.active) for c in self.conditions]
