"""Uplinks that name no product: bytes of anything must not look like a message of some shipped product."""

from __future__ import annotations

import base64
import json
import random
from collections import Counter
from collections.abc import Collection, Mapping

import pytest
from tests.shipped_profiles import shipped_library

from dutyroom.model.telemetry import Message, Scalar
from dutyroom.profiles import decode
from dutyroom.profiles.attempt import NOBODY, Sight, attempt
from dutyroom.profiles.result import Decoded

EUI = "0000000000000007"
MESSAGES = 120
MOST = 0.4  # of random messages; those that the server decodes itself ("any") and known answers apart


def test_no_profile_of_an_uplink_reads_any_bytes() -> None:
    library = shipped_library("UTC")
    rng, read = random.Random(20), Counter[str]()
    for _ in range(MESSAGES):
        data = base64.b64encode(rng.randbytes(rng.randint(5, 30))).decode()
        payload = json.dumps({"deviceInfo": {"devEui": EUI}, "fPort": rng.choice((1, 2, 85)), "data": data})
        message = Message(f"application/1/device/{EUI}/event/up", payload.encode(), 1_764_200_000_000)
        groups, captures = library.for_topic(message.topic)
        sight = Sight(message, captures, library.memory.aside())
        for candidate in (c for group in groups for c in group.candidates if not c.profile.fallback):
            outcome = attempt(candidate, sight, NOBODY, True)
            read[candidate.profile.id] += isinstance(outcome, Decoded) and bool(outcome.addresses)
    assert len(read) > 150
    assert {profile: count for profile, count in read.items() if count > MOST * MESSAGES} == {}


class _One:
    """A registry of one device."""

    def __init__(self, profile: str) -> None:
        self._profile = profile

    def parameters(self, profile: str, address: str) -> Mapping[str, Scalar] | None:
        return {} if (profile, address) == (self._profile, EUI) else None

    def profiles(self, address: str) -> Collection[str]:
        return (self._profile,) if address == EUI else ()


@pytest.mark.parametrize(("data", "read"), [("18ba", True), ("18ba00", False), ("e083050a9f", False)])
def test_whose_message_it_is_once_known_no_other_profile_is_asked(
    monkeypatch: pytest.MonkeyPatch, data: str, read: bool
) -> None:
    def never(*_: object) -> object:
        raise AssertionError("candidates of a registered device were ranked")

    monkeypatch.setattr(decode, "ranked_trials", never)
    library = shipped_library("UTC")
    message = Message(f"lorawan/{EUI}/up/2", bytes.fromhex(data), 1_764_200_000_000)
    for adopt in (False, True):
        found = library.decode(message, _One("mclimate/t-valve"), adopt)
        assert isinstance(found, Decoded) is read
        assert "mclimate/t-valve" in (
            found.profile if isinstance(found, Decoded) else getattr(found, "detail", "")
        )
