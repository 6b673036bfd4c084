"""What a broker had under way when the process was killed, and delivers to the next one with its mark for again."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.flows.intake_rig import Rig, T, read

from dutyroom.model.telemetry import Message
from dutyroom.timebase import MINUTE


def counted(number: int, again: bool = False) -> Message:
    sent = read(T + number * 1000, T - MINUTE * (10 - number), {"vol": {"m3": number}, "n": number})
    return replace(sent, duplicate=again, session="dutyroom-site", ident=b"\0%c" % number)


@pytest.mark.parametrize("ids", [True, False])
def test_it_is_no_gap_in_the_devices_own_count(rig: Rig, ids: bool) -> None:
    """ids: the journal has packet ids; it has none of large batches."""
    rig.knows_reads()
    last = counted(1)
    rig.ingest.handle([last if ids else replace(last, session="", ident=b"")])
    rig.again()
    rig.ingest.handle([counted(1, True), counted(2, True), counted(3, True)])
    rig.ingest.handle([counted(4)])
    rig.keep.drain()
    assert rig.told("received", "stored", "duplicate", "gaps") == {"meter-7": (5, 4, 1, 0)}
    assert not [row for row in rig.journal.findings(0) if row.kind == "sequence_gap"]
