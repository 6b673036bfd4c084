"""A plant whose readings are known beforehand: messages in, and what a service must have of them.

Meters count up, a second between two messages of one by their own clock; some of them are over their limit
for some time, so that alarms and tickets are known beforehand, too.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SITE = "plant"
ALARMED = 17  # every so many-th meter is over its voltage limit now and then

PROFILE = """\
name: {en: A meter of the plant}
class: electricity_meter
match: {topics: ["plant/{meter}/up"]}
identity: "{meter}"
time: {from: ts, format: epoch_ms}
points:
  energy: {from: kwh, quantity: energy, kind: counter, step: 0.01, digits: 8}
  voltage: {from: v, quantity: voltage, low: 0, high: 1000}
examples:
  - topic: plant/m0001/up
    payload: {ts: 1795575600000, kwh: 1.5}
    expect: {m0001: {energy: 1.5}}
"""
RULES = """\
rules:
  - {id: plant.overvoltage, kind: limit, name: Overvoltage, select: {classes: [electricity_meter]}, point: voltage,
     parameters: {above: 260, deadband: 5}, on_delay: 2s, off_delay: 2s, priority: 3, ticket: now}
"""

Key = tuple[str, str, int]  # device, point, instant


@dataclass(frozen=True, slots=True)
class Sent:
    """One message and what it says."""

    topic: str
    payload: bytes
    device: str
    at: int
    energy: int  # steps of 0.01 kWh
    voltage: float

    @property
    def readings(self) -> Iterator[tuple[Key, float]]:
        yield (self.device, "energy", self.at), float(self.energy)
        yield (self.device, "voltage", self.at), self.voltage


def since(rounds: int, apart: int = 1000) -> int:
    """Instant of the first of so many rounds, so that none of them comes from the future: of the clock of such a
    device an alarm would depend on when its message came."""
    return int(time.time() - 600) * 1000 - rounds * apart


def messages(meters: int, rounds: int, start: int, apart: int = 1000) -> list[Sent]:
    """rounds of all meters in turn. start: instant of the first, ms UTC. apart: ms between two of a meter."""
    made = []
    for turn in range(rounds):
        for meter in range(meters):
            device, at, energy = (
                f"m{meter:04d}",
                start + turn * apart + meter % 1000,
                100_000 + meter * 7 + turn,
            )
            over = meter % ALARMED == 0 and (turn // 6 + meter // ALARMED) % 3 == 1
            voltage = 270.0 + meter % 5 if over else 225.0 + (meter * 31 + turn) % 90 / 10
            body = b'{"ts":%d,"kwh":%d.%02d,"v":%.1f}' % (at, energy // 100, energy % 100, voltage)
            made.append(Sent(f"plant/{device}/up", body, device, at, energy, voltage))
    return made


def expected(sent: Sequence[Sent]) -> dict[Key, float]:
    return {key: value for message in sent for key, value in message.readings}


def write_site(
    folder: Path, port: int, meters: int, rules: str = RULES, interval_s: int | None = None
) -> None:
    profiles = folder / "device_profiles" / "chaos"
    profiles.mkdir(parents=True)
    (profiles / "meter.yaml").write_text(PROFILE)
    (folder / "rules.yaml").write_text(rules)
    (folder / "site.yaml").write_text(
        f"id: {SITE}\nname: {{en: Plant}}\ntime_zone: Asia/Shanghai\nlanguage: en\n"
        f"broker: {{host: 127.0.0.1, port: {port}, topics: ['plant/+/up']}}\n"
    )
    every = "" if interval_s is None else interval_s
    rows = [f"m{n:04d},Meter {n},electricity_meter,chaos/meter,m{n:04d},,{every}," for n in range(meters)]
    head = "id,name,class,profile,address,space,interval_s,parameters"
    (folder / "devices.csv").write_text("\n".join([head, *rows, ""]))
