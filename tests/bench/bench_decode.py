"""What decoding costs, by family: `python -m tests.bench.bench_decode`.

Recorded messages go straight through `Library.decode`, all shipped profiles loaded, each device registered
under its right profile: topic look-up, JSON, choice of profile, codec, points, range checks, times. Beside
each in the same run: `orjson.loads` of the same JSON message; of a message that is no JSON, of the JSON
object that holds its decoded values.

Time is processor time of this process; of a message the best of several batches, of a family the median of
its messages. DUTYROOM_SAMPLES=FILE measures a larger collection too.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from tests.bench.measure import machine, median
from tests.samples_table import OWN, RECEIVED, ROOT, larger, records

from dutyroom.flows.replay import message_of
from dutyroom.model.telemetry import Message, Scalar
from dutyroom.profiles.attempt import NOBODY
from dutyroom.profiles.checking import RECEIVED as EXAMPLE_RECEIVED
from dutyroom.profiles.decode import Decoded, Library, load_library
from dutyroom.profiles.job import Anybody
from dutyroom.timebase import from_iso, zone

LIMIT_US, FLAT_LIMIT_US = 60.0, 12.0
EXAMPLES = ("dlt645", "cjt188", "modbus", "sparkplug", "j1939")
SHIPPED, LARGER, OF_PROFILES = "shipped samples", "larger collection", "profiles' examples"

FLAT_PROFILE = """\
name: {en: A meter of flat JSON}
class: water_meter
match: {topics: ["flat/{meter}"]}
identity: "{meter}"
time: time
points:
  volume: {from: total_m3, quantity: volume, kind: counter, step: 0.001, digits: 8}
  flow: {from: flow_m3h, quantity: flow, low: -100, high: 100}
  temperature: {from: temp_c, quantity: temperature, low: -40, high: 120}
  battery: {from: battery_v, quantity: voltage, low: 0, high: 5}
  status: {from: status, kind: text}
attributes: {serial: id}
examples:
  - topic: flat/m-1
    payload: {total_m3: 1.5}
    expect: {m-1: {volume: 1.5}}
"""
FLAT_PAYLOAD = (
    b'{"id":"00012345","time":"2026-11-24T23:45:00Z","total_m3":12341.567,"flow_m3h":0.0325,'
    b'"temp_c":12.5,"battery_v":3.612,"status":"LEAK DRY"}'
)


class Registry:
    """The devices of one message, as `flows/registry.py` keeps those of a site."""

    def __init__(self, devices: Iterable[tuple[str, str]], parameters: Mapping[str, Scalar]) -> None:
        """devices: (profile, address)."""
        self._parameters = dict.fromkeys(devices, parameters)
        self._profiles: dict[str, tuple[str, ...]] = {}
        for profile, address in self._parameters:
            self._profiles[address] = (*self._profiles.get(address, ()), profile)

    def parameters(self, profile: str, address: str) -> Mapping[str, Scalar] | None:
        return self._parameters.get((profile, address))

    def profiles(self, address: str) -> Collection[str]:
        return self._profiles.get(address, ())


@dataclass(frozen=True, slots=True)
class Case:
    """A message to be measured. profile: whose example it is, "" = the one that fits best."""

    family: str
    name: str
    message: Message
    profile: str = ""
    parameters: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cost:
    """One message measured: microseconds of decoding and of orjson alone. values: readings, events,
    attributes."""

    case: Case
    decode: float
    orjson: float
    values: int


def flat_case() -> Case:
    assert len(FLAT_PAYLOAD) == 138
    assert len(orjson.loads(FLAT_PAYLOAD)) == 7
    return Case("flat JSON, 7 fields, 138 bytes", "", Message("flat/m-1", FLAT_PAYLOAD, RECEIVED))


def sample_cases(file: Path) -> list[Case]:
    return [Case(str(r["family"]), str(r["id"]), message_of(r, RECEIVED)) for r in records(file)]


def example_cases(library: Library, vendors: Collection[str]) -> Iterator[Case]:
    """The examples of these vendors' profiles, in their order: a birth stands before the data."""
    for profile in library.profiles.values():
        vendor = profile.id.partition("/")[0]
        for example in profile.examples if vendor in vendors else ():
            received = from_iso(example.received or EXAMPLE_RECEIVED, library.tz)
            message = Message(example.topic, example.payload, received)
            name = f"{profile.id}: {example.title}"
            yield Case(vendor, name, message, profile.id, example.parameters)


def registered(library: Library, case: Case) -> Registry | None:
    """A registry that has the devices of the message; None when no readings come of it."""
    if case.profile:
        outcome = library.decode(case.message, Anybody(case.profile, case.parameters))
    else:
        outcome = library.decode(case.message, NOBODY, adopt=True)
    if not isinstance(outcome, Decoded):
        return None
    return Registry([(outcome.owner(a), a) for a in outcome.addresses], case.parameters)


def microseconds(work: Callable[[], object], batches: int, size: int) -> float:
    """Processor time of one call: the best batch."""
    best = float("inf")
    for _ in range(batches):
        began = time.process_time_ns()
        for _ in range(size):
            work()
        best = min(best, time.process_time_ns() - began)
    return best / size / 1000


def measured(library: Library, case: Case, batches: int, size: int) -> Cost | None:
    known = registered(library, case)
    if known is None:
        return None
    outcome = library.decode(case.message, known)
    if not isinstance(outcome, Decoded):
        return None
    text = as_json(case.message.payload, outcome)
    return Cost(
        case,
        microseconds(lambda: library.decode(case.message, known), batches, size),
        microseconds(lambda: orjson.loads(text), batches, size * 4),
        len(outcome.readings) + len(outcome.events) + len(outcome.attributes),
    )


def as_json(payload: bytes, outcome: Decoded) -> bytes:
    """The payload where it is JSON, else what was decoded as one flat object."""
    try:
        if isinstance(orjson.loads(payload), dict | list):
            return payload
    except orjson.JSONDecodeError:
        pass
    found: dict[str, object] = {name: value for _, name, value in outcome.attributes}
    found |= {r.spec.name: r.value if r.text is None else r.text for r in outcome.readings}
    found |= {f"event_{n}": {"code": e.code, **e.arguments} for n, e in enumerate(outcome.events)}
    return orjson.dumps(found)


def table(costs: Sequence[Cost]) -> str:
    """By family, in Markdown."""
    lines = [
        "| family | messages | values, median | decode, median | orjson alone | ratio | the dearest message |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    families: dict[str, list[Cost]] = {}
    for cost in costs:
        families.setdefault(cost.case.family, []).append(cost)
    return "\n".join(lines + [_line(family, listed) for family, listed in sorted(families.items())])


def _line(family: str, costs: Sequence[Cost]) -> str:
    decode, alone = median(c.decode for c in costs), median(c.orjson for c in costs)
    worst = max(costs, key=lambda c: c.decode)
    ratio = median(c.decode / c.orjson for c in costs)
    over = " **over**" if decode > (FLAT_LIMIT_US if family.startswith("flat") else LIMIT_US) else ""
    dearest = f"{worst.decode:.0f} µs, {worst.values} values {worst.case.name[:70]}".strip()
    return (
        f"| {family} | {len(costs)} | {median(c.values for c in costs):.0f} | {decode:.1f} µs{over} | "
        f"{alone:.2f} µs | {ratio:.0f} | {dearest} |"
    )


def loaded() -> Library:
    """All shipped profiles, and the one of the flat message."""
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / "bench"
        own.mkdir()
        (own / "flat.yaml").write_text(FLAT_PROFILE, encoding="utf-8")
        return load_library(ROOT / "device_profiles", zone("Asia/Shanghai"), own=[Path(folder)])


def collections(library: Library, vendors: Collection[str]) -> dict[str, list[Case]]:
    found = {
        SHIPPED: sample_cases(OWN),
        OF_PROFILES: list(example_cases(library, vendors)),
        "by itself": [flat_case()],
    }
    if (file := larger()) is not None:
        found[LARGER] = sample_cases(file)
    return found


def profiled(library: Library, cases: Iterable[Case], rounds: int) -> None:
    """Where the time goes."""
    known = [(case, registry) for case in cases if (registry := registered(library, case)) is not None]
    profile = cProfile.Profile()
    profile.enable()
    for case, registry in known:
        for _ in range(rounds):
            library.decode(case.message, registry)
    profile.disable()
    pstats.Stats(profile).sort_stats("tottime").print_stats(40)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batches", type=int, default=15, help="the best of so many")
    parser.add_argument("--size", type=int, default=20, help="messages of a batch")
    parser.add_argument("--family", default="", help="only families whose name begins with this")
    parser.add_argument("--examples", nargs="*", default=EXAMPLES, help="vendors whose examples are measured")
    parser.add_argument("--each", action="store_true", help="every message by itself")
    parser.add_argument("--profile", action="store_true", help="where the time goes, in place of the table")
    given = parser.parse_args()
    print(machine(), "\n")
    library = loaded()
    for name, cases in collections(library, given.examples).items():
        chosen = [c for c in cases if c.family.startswith(given.family)]
        if not chosen:
            continue
        if given.profile:
            profiled(library, chosen, given.size)
            continue
        costs = [c for case in chosen if (c := measured(library, case, given.batches, given.size))]
        print(f"{name}: {len(costs)} of {len(chosen)} messages give values\n\n{table(costs)}\n")
        for cost in costs if given.each else ():
            print(f"{cost.decode:8.1f} µs {cost.values:4} values  {cost.case.family}  {cost.case.name[:100]}")


if __name__ == "__main__":
    main()
