"""A mains whose instrument says nothing when it is dead, a generator, the switch between them and what hangs on both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.unit.duty.duty_room import Room, device, gauge, person, state

from dutyroom.flows.ground import ground_of
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import PointSpec
from dutyroom.rules.columns import FOREVER
from dutyroom.rules.parse import parse_rules
from dutyroom.topology import Topology

BEHIND = tuple(f"l{n}" for n in range(6))  # the switch
BEFORE = tuple(f"m{n}" for n in range(4))  # it, on the mains alone
Feeds = Mapping[str, tuple[str, ...]]
POWER: Feeds = {
    "sw": ("mains", "set"),
    **dict.fromkeys(BEHIND, ("sw",)),
    **dict.fromkeys(BEFORE, ("mains",)),
}
QUICKER = "rules:\n  - {id: pump.offline, parameters: {after: 30s}}\n"
QUICK = parse_rules(QUICKER, "rules.yaml")
SPECS: dict[str, Sequence[PointSpec]] = {
    "feeder": [gauge("voltage")],
    "generator": [state("running", 10)],
    "transfer_switch": [state("source", 10)],
    "pump": [state("running", 10)],
}
Row = tuple[str, str, float]
CUT, START, LATE = "feeder.offline|mains", "generator.start_failure|set", "power.transfer_late|set"
LOST = "power.mains_lost|mains"


def house(power: Feeds = POWER, more: Sequence[Device] = (), backs: str = "") -> Room:
    """power: drawn otherwise; more: other devices in it; backs: of the set."""
    topology = Topology({"power": power})
    room = Room(
        [
            device("mains", "feeder", 10),
            device("other", "feeder", 10),
            device("set", "generator", 10, **({"backs": backs} if backs else {})),
            device("sw", "transfer_switch", 10),
            *(device(name, "pump", 10) for name in (*BEHIND, *BEFORE)),
            *more,
        ],
        SPECS,
        rules=QUICK,
        topology=topology,
    )
    room.ground = ground_of(topology, "UTC")
    room.restart()
    room.records.rows.people = [person(name) for name in ("li", "wang")]
    room.records.rows.devices = list(room.devices.values())
    return room


@dataclass(frozen=True)
class Story:
    """cuts: from when to when there is no mains, seconds. runs: of the set, the same, where it is not `starts`; speaks:
    whether the instrument of the mains says a voltage at a second in a cut;
    breaks: from when on it says nothing at all."""

    cuts: Sequence[tuple[int, int]] = ((600, 4200),)
    starts: bool = False
    transfers: bool = True
    runs: Sequence[tuple[int, int]] | None = None
    on: int = 300  # how long the set runs on
    speaks: Callable[[int], bool] = lambda second: False
    breaks: int = FOREVER

    def lost(self, second: int) -> bool:
        return _in(self.cuts, second)

    def running(self, second: int) -> bool:
        if self.runs is not None:
            return _in(self.runs, second)
        return self.starts and _in([(a + 12, b + self.on) for a, b in self.cuts], second)

    def source(self, second: int) -> int:
        wanted = self.transfers and _in([(a + 20, b + 60) for a, b in self.cuts], second)
        if wanted and self.running(second):
            return 2
        return 0 if self.lost(second) else 1

    def rows(self, second: int) -> Iterator[Row]:
        """What is said at a second: everything every ten, each at its own."""
        lost, source = self.lost(second), self.source(second)
        speaks = second < self.breaks and (not lost or self.speaks(second))
        said: list[tuple[int, Row | None]] = [
            (0, ("mains", "voltage", 0 if lost else 230) if speaks else None),
            (0, ("other", "voltage", 230)),
            (2, ("set", "running", int(self.running(second)))),
            (2, ("sw", "source", source)),
            *((n, (name, "running", 1) if source else None) for n, name in enumerate(BEHIND)),
            *((n, None if lost else (name, "running", 1)) for n, name in enumerate(BEFORE, 4)),
        ]
        for phase, row in said:
            if row is not None and second % 10 == phase // 2 * 2:
                yield row


def _in(spans: Sequence[tuple[int, int]], second: int) -> bool:
    return any(a <= second < b for a, b in spans)


def play(room: Room, story: Story, since: int, until: int, each: Callable[[int], None] | None = None) -> None:
    """In steps of two seconds; each: called after every one of them."""
    for second in range(since, until, 2):
        room.at(second, 2)
        if rows := list(story.rows(second)):
            room.reads(*rows)
        if each is not None:
            each(second)


def told(room: Room) -> list[str]:
    """ "rule|object" once for each message to each person, in the order of the alphabet."""
    return sorted("|".join(row.dedupe.split("|")[1:3]) for row in room.records.rows.outbox.values())
