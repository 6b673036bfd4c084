"""A device that may not be adopted is not tried with each of its messages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.flows.intake_rig import PROBE, Rig, T

from dutyroom.flows.ingest import Ingest
from dutyroom.flows.live import Live
from dutyroom.flows.patience import LONGEST, Patience
from dutyroom.model.telemetry import Message

EUI = "0000000000000007"
UPLINK = """
class: sensor
envelope: lorawan
products: [Acme W9]
binary: [level: u16]
points: {level: {quantity: level, unit: cm}}
"""
BARE = Message(f"lorawan/{EUI}/up/1", b"00a2", T)
NAMED = Message(
    f"application/1/device/{EUI}/event/up",
    b'{"deviceInfo": {"devEui": "0000000000000007", "deviceProfileName": "Acme W9"}, "fPort": 1, "data": "AKI="}',
    T,
)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    twin = UPLINK.replace("W9", "W8")
    made = Rig(tmp_path, {"probe": PROBE, "w8": twin, "w9": UPLINK})
    made.ingest = Ingest(
        "site", made.shelf.library, made.registry, made.table, made.journal, made.records, Live(), adopt=True
    )
    yield made
    made.close()


def trials(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Topics of the messages for which profiles are tried."""
    tried: list[str] = []
    library = rig.shelf.library
    whole = library.decode

    def watched(message: Message, known: Any, adopt: bool = False) -> Any:
        if adopt:
            tried.append(message.topic)
        return whole(message, known, adopt)

    monkeypatch.setattr(library, "decode", watched)
    return tried


def test_a_bare_uplink_that_nobody_may_adopt_is_tried_ever_more_seldom(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = trials(rig, monkeypatch)
    for _ in range(300):
        rig.ingest.handle([BARE])
    assert len(tried) == 10  # after 1, 2, 4 ... 64 messages, then each 65th
    assert rig.journal.quarantine_size() == 300
    assert list(rig.registry.by_id) == []


def test_a_device_that_says_what_it_is_is_adopted_at_once(rig: Rig) -> None:
    for _ in range(50):
        rig.ingest.handle([BARE])
    rig.ingest.handle([NAMED])
    assert [(d.address, d.profile) for d in rig.registry.by_id.values()] == [(EUI, "acme/w9")]


def test_what_is_adopted_is_adopted_with_its_first_message(rig: Rig) -> None:
    rig.ingest.handle([Message("probe/p1/level", b"1.5", T)])
    assert [d.profile for d in rig.registry.by_id.values()] == ["acme/probe"]


def test_other_profiles_try_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = trials(rig, monkeypatch)
    for _ in range(20):
        rig.ingest.handle([BARE])
    before = len(tried)
    again = rig.shelf.library
    rig.ingest.renew(type(again)(list(again.profiles.values()), again.tz))
    tried = trials_of(rig, monkeypatch)
    rig.ingest.handle([BARE])
    assert (before, len(tried)) == (5, 1)


def trials_of(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    rig.shelf.library = rig.ingest._coming
    return trials(rig, monkeypatch)


def test_patience_is_bounded() -> None:
    patience = Patience(most=2)
    for sender in "abc":
        patience.tried(sender)
    assert [patience.rests(sender) for sender in "abc"] == [False, True, True]
    for _ in range(20):
        patience.tried("c")
    assert sum(patience.rests("c") for _ in range(1000)) == LONGEST
