"""Whatever happens to devices and profiles, the ledger has under each device in quarantine what waits under it."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from tests.flows.intake_rig import BEATS, PROBE, Rig, T, batch, meter, tank

from dutyroom.backends.quarantine import Quarantine
from dutyroom.errors import Conflict
from dutyroom.model.duty import Device, DeviceStatus
from dutyroom.model.telemetry import Message

PROFILES = (PROBE, BEATS, PROBE.replace("unwrap: [scalar]", "unwrap: [json]").replace("from: $,", "from: m,"))
SAID = (b"1.5", b'{"m": 2}', b'{"beat": 1}', b'{"depth": 1}', b"\xff", b"")
WAITING = """
SELECT device, count(*) FROM quarantine WHERE state IN ('open', 'discarded') AND NOT part GROUP BY device
UNION ALL SELECT s.device, count(*) FROM pushed p JOIN pushed_sender s ON s.id=p.sender WHERE NOT p.part GROUP BY s.device
"""


def waiting(rig: Rig) -> Counter[str]:
    found: Counter[str] = Counter()
    with closing(sqlite3.connect(rig.folder / "journal.sqlite")) as db:
        for device, many in db.execute(WAITING):
            found[device] += many
    return found


class World:
    """sent: messages."""

    def __init__(self, rig: Rig, seed: int) -> None:
        self.rig, self.chance, self.sent, self.at = rig, random.Random(seed), 0, T
        self.adopts = self.chance.random() < 0.3
        self.opened()

    def opened(self) -> None:
        self.rig.inner._quarantine = Quarantine(kept=self.chance.choice([20, 1000]))
        self.rig.ingest._adopt = self.adopts

    def step(self) -> None:
        self.at += 1000
        steps = [self.say, self.batch, self.register, self.change, self.mark, self.mend, self.begin_anew]
        self.chance.choice([*steps, self.say, self.batch, self.mark])()
        if self.chance.random() < 0.5:
            self.rig.reread()
        self.rig.keep.drain()

    def say(self) -> None:
        pick, many = self.chance.choice, self.chance.choice([1, 1, 1, 25])
        topic, said, retained = f"probe/{pick(['p1', 'p2'])}/level", pick(SAID), pick([False, True])
        for number in range(many):
            self.rig.ingest.handle([Message(topic, said, self.at + number, retained)])
        self.sent += many

    def batch(self) -> None:
        who = self.chance.sample(["m1", "m2", "m3"], self.chance.randint(1, 3))
        self.rig.ingest.handle([batch(self.at, **dict.fromkeys(who, (self.sent, self.at)))])
        self.sent += 1

    def register(self) -> None:
        tanks, meters = [tank("p1"), tank("p2")], [meter("m1"), meter("m2"), meter("m3")]
        self.enter(self.chance.choice([*tanks, *meters]))

    def enter(self, device: Device) -> None:
        with suppress(Conflict):  # one that was withdrawn or has another name now has its address
            self.rig.register(device)

    def change(self) -> None:
        known = list(self.rig.registry.by_id.values())
        if not known:
            return
        device = self.chance.choice(known)
        if self.chance.random() < 0.5:
            self.enter(replace(device, status=DeviceStatus.WITHDRAWN))
        else:
            self.enter(replace(device, address=f"gone{self.at}"))
            self.enter(replace(device, id=f"{device.id}x"))

    def mark(self) -> None:
        address = self.chance.choice(["p1", "p2", "m1", "m2", "m3"])
        if address in self.rig.ingest.not_ours.addresses:
            self.rig.take_back(address)
        elif not self.rig.registry.profiles(address):
            self.rig.disown(address)

    def mend(self) -> None:
        self.rig.shelve("probe", self.chance.choice(PROFILES))
        self.rig.shelf.reload()

    def begin_anew(self) -> None:
        if rows := self.rig.journal.quarantine_after(0, 50):
            self.rig.journal.settle([self.chance.choice(rows).id], "discarded")
        self.rig.again()
        self.opened()


@pytest.mark.parametrize("seed", range(10))
def test_the_ledger_has_in_quarantine_what_waits(tmp_path: Path, seed: int) -> None:
    rig = Rig(tmp_path)
    world = World(rig, seed)
    for _ in range(40):
        world.step()
        rows = rig.ledger()
        assert sum(row.received for row in rows.values()) == world.sent
        assert Counter(
            {device: row.quarantined for device, row in rows.items() if row.quarantined}
        ) == waiting(rig)
    rig.close()
