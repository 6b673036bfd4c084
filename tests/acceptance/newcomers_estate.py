"""Strangers before the gates of the estate of the page tests: what they say waits in quarantine."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.pages_harness import SITE, TZ, Estate

from dutyroom.flows.devices import DeviceDesk
from dutyroom.flows.ingest import Ingest
from dutyroom.flows.intake import Intake
from dutyroom.flows.registry import Registry
from dutyroom.flows.rereading import Rereading
from dutyroom.flows.shelf import Shelf
from dutyroom.model.telemetry import Message
from dutyroom.profiles.decode import load_library
from dutyroom.timebase import MINUTE
from dutyroom.wiring.shipped import shipped

TANK = """\
name: {en: Acme tank sensor, zh-CN: Acme 液位计}
class: tank
match: {topics: ["acme/{device}/up"]}
identity: "{device}"
points:
  level: {from: depth_cm, quantity: level, unit: cm, low: 0, high: 10}
  battery: {from: bat, quantity: ratio}
"""


@dataclass
class Gate:
    """What takes devices in. `own`: the site's folder of profiles."""

    intake: Intake
    ingest: Ingest
    shelf: Shelf
    own: Path

    def reread(self) -> None:
        while self.intake.rereading.step():
            pass

    def shelve(self, text: str, name: str = "tank") -> Path:
        file = self.own / "acme" / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file


def open_gate(estate: Estate, folder: Path) -> Gate:
    """Lets the estate's runtime take devices in."""
    r = estate.runtime
    with estate.records.read() as tx:
        registry = Registry(tx.devices.all(SITE))
    some = folder / "shipped"
    if not some.exists():  # two families are enough to choose among
        for family in ("wmbusmeters", "cjt188"):
            shutil.copytree(shipped("device_profiles") / family, some / family)
    library = load_library(some, TZ, b"key")
    ingest = Ingest(SITE, library, registry, r.table, r.journal, estate.records, r.live)
    rereading = Rereading(r.journal, ingest)
    intake = Intake(SITE, library, registry, r.table, estate.records, ingest, rereading, r.store.latest)
    own = folder / "device_profiles"
    r.intake = intake
    r.shelf = Shelf(some, [own], library, b"key", intake.renew, estate.clock.now)
    r.devices = DeviceDesk(
        r.site,
        lambda: intake.library,
        estate.records,
        r.table,
        lambda points: {},
        estate.clock,
        intake.register,
    )
    return Gate(intake, ingest, r.shelf, own)


def water(meter: str, total: float) -> bytes:
    body = {"media": "cold water", "meter": "multical21", "id": meter, "total_m3": total, "flow_m3h": 0.12}
    return json.dumps(body).encode()


# A water meter of CJ/T 188 by the shipped example, made up.
FRAME = bytes.fromhex(
    "fefe68100100100000000081161f90004523 01002c002001002c00300801112620000041 16".replace(" ", "")
)


def raw_meter(estate: Estate, gate: Gate) -> None:
    """A meter that a profile could read, on a topic that none reads."""
    now = estate.clock.now()
    said = [(7, "water/DN-77/raw", FRAME), (6, "water/DN-77/raw", FRAME)]
    gate.ingest.handle([Message(topic, raw, now - ago * MINUTE) for ago, topic, raw in said])


def strangers(estate: Estate, gate: Gate) -> None:
    """A meter that profiles read, a device that none does, one that speaks in bytes, one with two
    topics."""
    now = estate.clock.now()
    said = [
        (90, "wmbusmeters/11111111", water("11111111", 3.5)),
        (45, "wmbusmeters/11111111", water("11111111", 3.625)),
        (
            30,
            "acme/T-18/up",
            b'{"ts": 1793491200, "depth_cm": 162, "bat": 97, "site": "\\u5730\\u4e0b\\u5ba4"}',
        ),
        (12, "acme/T-18/up", b'{"ts": 1793492280, "depth_cm": 163, "bat": 97}'),
        (8, "dtu/0815/rx", bytes.fromhex("fefefe6812345678901268910833333433 4c16".replace(" ", ""))),
        (3, "bms/room/3", b"<script>alert(1)</script> 21.5"),
    ]
    gate.ingest.handle([Message(topic, raw, now - ago * MINUTE) for ago, topic, raw in said])
