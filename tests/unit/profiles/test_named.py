"""Servers call a product by its name, with its vendor or without: the profile of that name comes first."""

import base64

import orjson
import pytest
from tests.shipped_profiles import shipped_library

from dutyroom.model.telemetry import Message
from dutyroom.profiles.decode import Library
from dutyroom.timebase import from_iso

AT = from_iso("2026-11-01T00:00:10Z")
EUI = "24e124000000a0ff"


@pytest.fixture(scope="module")
def library() -> Library:
    return shipped_library()


def uplink(product: str, data: str, port: int) -> Message:
    text = base64.b64encode(bytes.fromhex(data)).decode()
    info = {"devEui": EUI, "deviceProfileName": product}
    payload = orjson.dumps({"deviceInfo": info, "fPort": port, "data": text})
    return Message(f"application/1/device/{EUI}/event/up", payload, AT)


@pytest.mark.parametrize(
    "product", ["Milesight EM320-TH", "EM320-TH", "em320_th", "EM320-TH-V2", "milesight/em320-th"]
)
def test_a_product_is_known_by_its_name_without_the_vendor(library: Library, product: str) -> None:
    first, second, *_ = library.trial(uplink(product, "01755a03679cff0468c8", 85))
    assert (first.profile, first.named, second.named) == ("milesight/em320-th", True, False)


def test_a_maker_is_known_by_its_name_in_the_things_network(library: Library) -> None:
    ids = {"brand_id": "milesight-iot", "model_id": "em320-th"}
    data = base64.b64encode(bytes.fromhex("01755a03679cff0468c8")).decode()
    sent = {
        "end_device_ids": {"dev_eui": EUI},
        "uplink_message": {"f_port": 85, "frm_payload": data, "version_ids": ids},
    }
    first, *others = library.trial(Message("v3/a@t/devices/x/up", orjson.dumps(sent), AT))
    assert (first.profile, first.named) == ("milesight/em320-th", True)
    assert others
    assert all(t.foreign and not t.named for t in others)  # what it is has a profile of its own


def test_of_a_product_without_a_profile_those_of_its_maker_are_no_strangers(library: Library) -> None:
    tried = library.trial(uplink("Milesight EM999-TH", "01755a03679cff0468c8", 85))
    ours = [t for t in tried if t.profile.startswith("milesight/")]
    assert ours
    assert not any(t.named or t.foreign for t in ours)
    assert all(t.foreign for t in tried if t not in ours)


@pytest.mark.parametrize("product", ["", "TH", "any", "Water meter", "EM320", "320"])
def test_a_word_is_no_product(library: Library, product: str) -> None:
    assert not any(t.named for t in library.trial(uplink(product, "01755a03679cff0468c8", 85)))


def test_the_bytes_must_fit_all_the_same(library: Library) -> None:
    assert "milesight/em320-th" not in [t.profile for t in library.trial(uplink("EM320-TH", "aabb", 85))]
