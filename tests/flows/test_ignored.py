"""A message of a known device that its profile passes over counts under that device, a stranger's under nobody."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.flows.intake_rig import BEATS, Rig, T, tank

from dutyroom.model.duty import DeviceStatus
from dutyroom.model.telemetry import Message

COLUMNS = "received", "decoded", "ignored", "quarantined"
BEAT = b'{"beat": 1}'


def said(payload: bytes, device: str = "p1", at: int = T) -> Message:
    return Message(f"probe/{device}/level", payload, at)


@pytest.fixture
def beats(rig: Rig) -> Rig:
    rig.shelve("probe", BEATS)
    rig.shelf.reload()
    rig.register(tank())
    return rig


@pytest.mark.parametrize("payload", [BEAT, b""])
def test_it_counts_under_the_device_that_sent_it(beats: Rig, payload: bytes) -> None:
    beats.ingest.handle([said(payload), said(b'{"m": 1}'), said(payload, "p2")])
    beats.keep.drain()
    assert beats.told(*COLUMNS) == {"tank-p1": (2, 1, 1, 0), "": (1, 0, 1, 0)}


def test_what_waited_under_it_stays_under_it_also_when_it_has_gone(beats: Rig) -> None:
    beats.ingest.handle([said(b"tick"), said(b"tick", at=T + 1)])
    assert beats.told(*COLUMNS) == {"tank-p1": (2, 0, 0, 2)}
    beats.register(replace(tank(), status=DeviceStatus.WITHDRAWN))
    ticks = "unwrap: [raw]\ntext: '(?P<beat>tick)'\nidentity: '{device}'\nlayouts:\n  - {name: t, ignore: heartbeat}\n"
    beats.shelve("probe", BEATS[: BEATS.index("identity")] + ticks)
    beats.shelf.reload()
    assert beats.refused() == []
    beats.reread()
    assert beats.journal.quarantine_size() == 0
    assert beats.told(*COLUMNS) == {"tank-p1": (2, 0, 2, 0)}


def test_what_is_not_ours_counts_under_nobody_and_comes_back(rig: Rig) -> None:
    rig.ingest.handle([said(b"1.5")])
    rig.disown("p1")
    rig.ingest.handle([said(b"1.6", at=T + 1)])
    assert rig.told(*COLUMNS) == {"": (2, 0, 2, 0)}
    rig.take_back("p1")
    assert rig.told(*COLUMNS) == {"": (2, 0, 0, 2)}
    rig.register(tank())
    rig.reread()
    assert rig.told(*COLUMNS) == {"tank-p1": (2, 2, 0, 0), "": (0, 0, 0, 0)}
