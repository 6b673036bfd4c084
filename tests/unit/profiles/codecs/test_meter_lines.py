"""What stands on a bus of meters, in every form in which a DTU publishes it, through the shipped profiles."""

import base64
import json

import pytest
from tests.shipped_profiles import shipped_library

from dutyroom.model.telemetry import Message
from dutyroom.profiles.attempt import NOBODY
from dutyroom.profiles.decode import Decoded, Ignored, Library, Refused
from dutyroom.profiles.job import Anybody
from dutyroom.profiles.requests import read_request
from dutyroom.timebase import from_iso

RECEIVED = from_iso("2026-11-01T00:00:10Z")
ENERGY = bytes.fromhex("FE FE 68 61 01 00 00 00 00 68 91 08 33 33 34 33 59 33 33 33 8A 16")
WATER = bytes.fromhex(
    "FE FE FE 68 10 01 00 00 05 08 00 00 81 16 90 1F 00 00 23 01 00 2C 00 00 00 00 2C 00 00 00 00 00 00 00 00 00 48 16"
)


@pytest.fixture(scope="module")
def library() -> Library:
    return shipped_library()


@pytest.mark.parametrize(
    "form",
    [
        lambda b: b,
        lambda b: b"\x00\xff" + b + b"\r\n",
        lambda b: b.hex().encode(),
        lambda b: b.hex(" ").upper().encode(),
        lambda b: json.dumps({"data": b.hex()}).encode(),
        lambda b: json.dumps({"payload": b.hex(" ")}).encode(),
        lambda b: json.dumps({"data": base64.b64encode(b).decode()}).encode(),
    ],
)
@pytest.mark.parametrize(
    ("profile", "frame", "address", "point", "steps"),
    [
        ("dlt645/single-phase", ENERGY, "000000000161", "energy", 26),
        ("dlt645/three-phase", ENERGY, "000000000161", "energy", 26),
        ("cjt188/water", WATER, "00000805000001", "volume", 12300),
    ],
)
def test_every_form_gives_the_same_register(library, form, profile, frame, address, point, steps) -> None:  # type: ignore[no-untyped-def]
    outcome = library.decode(Message("dtu/dtu-0001/up", form(frame), RECEIVED), Anybody(profile))
    assert isinstance(outcome, Decoded)
    assert {(r.address, r.value) for r in outcome.readings if r.spec.name == point} == {(address, steps)}


def test_a_meter_that_nobody_knows_is_offered_to_the_profiles_of_its_protocol(library: Library) -> None:
    message = Message("dtu/dtu-0001/up", WATER, RECEIVED)
    outcome = library.decode(message, NOBODY)
    assert isinstance(outcome, Refused)
    assert outcome.reason == "unknown_device"
    assert {profile.split("/")[0] for profile, _ in outcome.candidates} == {"cjt188", "jrh"}


def test_a_request_that_no_meter_answered_says_nothing(library: Library) -> None:
    for protocol, identifier in (("dlt645", "00010000"), ("cjt188", "901F")):
        request = read_request(protocol, "161", identifier)
        outcome = library.decode(Message("dtu/dtu-0001/up", request, RECEIVED), NOBODY)
        assert isinstance(outcome, Ignored)
