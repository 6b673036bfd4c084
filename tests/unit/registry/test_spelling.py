"""A DevEUI in a table stands as on the label: in capitals, with signs between its bytes."""

from __future__ import annotations

from dataclasses import replace
from textwrap import dedent
from zoneinfo import ZoneInfo

import pytest

from dutyroom.model.duty import Device, DeviceStatus
from dutyroom.profiles.decode import Library
from dutyroom.profiles.loading import read_profile
from dutyroom.site.addresses import spelled
from dutyroom.wiring.seeding import as_messages_call, as_spelled

LORAWAN = """
name: P
class: sensor
envelope: lorawan
binary: [a: u8]
points: {a: {}}
"""
OTHER = """
name: P
class: sensor
match: {topics: ["acme/{id}/up"]}
identity: "{id}"
points: {a: {}}
"""
EUI = "0018b20000000a02"
PROFILES = {"a/l": read_profile(dedent(LORAWAN), "a/l"), "a/o": read_profile(dedent(OTHER), "a/o")}


def device(address: str, profile: str = "a/l") -> Device:
    return Device("s", "D-1", "D-1", "sensor", profile, address, "")


@pytest.mark.parametrize(
    "label", ["0018B20000000A02", "00-18-B2-00-00-00-0A-02", "00:18:b2:00:00:00:0a:02", EUI]
)
def test_a_label_is_the_address_of_its_messages(label: str) -> None:
    assert spelled(device(label), None, PROFILES).address == EUI
    known = replace(device(EUI), name="known")
    assert spelled(replace(known, address=label), known, PROFILES) == known


def test_what_stays_as_it_was_and_what_other_profiles_call_it_are_left_alone() -> None:
    stored = device("0018B20000000A02")
    assert spelled(stored, stored, PROFILES) is stored
    assert spelled(device("Ab-C", "a/o"), None, PROFILES).address == "Ab-C"
    assert spelled(device("Ab-C", "no/such"), None, PROFILES).address == "Ab-C"


def test_what_a_folder_seeds_is_spelled_alike_unless_another_has_that_address() -> None:
    library = Library(list(PROFILES.values()), ZoneInfo("UTC"))
    label, plain = device("0018B20000000A02"), device(EUI)
    assert [d.address for d in as_spelled([label, device("Ab", "a/o")], [], library)] == [EUI, "Ab"]
    assert as_spelled([label], [plain], library) == [label]
    assert as_spelled([label, plain], [], library) == [label, plain]
    other = device("00:18:b2:00:00:00:0a:02")
    assert [d.address for d in as_spelled([label, other], [], library)] == [EUI, other.address]


def test_an_address_that_was_kept_in_capitals_is_mended_at_the_start_unless_another_has_it() -> None:
    library = Library(list(PROFILES.values()), ZoneInfo("UTC"))
    label, plain = device("0018B20000000A02"), device(EUI)
    assert [(d.id, d.address) for d in as_messages_call([label, device("Ab", "a/o")], library)] == [
        (label.id, EUI)
    ]
    assert as_messages_call([plain], library) == []
    for status in (DeviceStatus.ACTIVE, DeviceStatus.WITHDRAWN):
        assert as_messages_call([label, replace(plain, id="other", status=status)], library) == []
    assert as_messages_call([replace(label, status=DeviceStatus.WITHDRAWN)], library) == []
