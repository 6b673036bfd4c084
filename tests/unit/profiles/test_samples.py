"""Recorded messages of other people's devices give every value that their sources state.

DUTYROOM_SAMPLES=FILE runs a larger collection and prints its table (pytest -s).
"""

import json
import os
from pathlib import Path
from zoneinfo import ZoneInfo

from dutyroom.flows.replay import FamilyRow, Record, Row, replay, table
from dutyroom.profiles.decode import load_library
from dutyroom.timebase import from_iso

ROOT = Path(__file__).parents[3]
OWN = ROOT / "tests" / "data" / "samples" / "payloads.ndjson"
NOW = from_iso("2026-11-25T00:00:00Z")
# The families that profiles without a binary codec read.
FAMILIES = (
    "json-wmbusmeters", "json-shelly-gen2", "json-tasmota", "json-rtl433", "json-uhppoted", "json-hikvision-acs",
    "json-alarm-panel", "json-neuron", "json-gateway-batch", "json-lift-status", "json-chirpstack-up", "json-tts-up",
    "topic-scalar-text", "topic-value-json",
)  # fmt: skip


def records(file: Path) -> list[Record]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def replayed(file: Path) -> list[Row]:
    library = load_library(ROOT / "device_profiles", ZoneInfo("Asia/Shanghai"))
    return replay([r for r in records(file) if r["family"] in FAMILIES], library, NOW)


def printed(rows: list[FamilyRow]) -> str:
    lines = ["family | sent | read | every value | values", "--- | --- | --- | --- | ---"]
    lines += [f"{r.family} | {r.sent} | {r.read} | {r.ok} | {r.equal} of {r.stated}" for r in rows]
    return "\n".join(lines)


def test_the_shipped_part_gives_every_stated_value() -> None:
    rows = replayed(OWN)
    assert len(rows) == 54
    assert [(r.id, r.problem) for r in rows if not r.ok] == []


def test_a_larger_collection_named_by_the_environment() -> None:
    name = os.environ.get("DUTYROOM_SAMPLES", "")
    rows = replayed(Path(name) if name else OWN)
    print()
    print(printed(table(rows)))
    for row in table(rows):
        assert row.ok >= 0.95 * row.sent, (row.family, [r.problem for r in rows if not r.ok])


def test_only_messages_that_may_be_passed_on_are_here() -> None:
    for record in records(OWN):
        assert "wmbusmeters" not in str(record["source"])
        assert "fhhagenberg" not in str(record["source"])
