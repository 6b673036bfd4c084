"""A message on a topic that no profile reads: who could read it, and the file that makes it so."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from dutyroom.model.telemetry import Message
from dutyroom.profiles.decode import Library, load_library
from dutyroom.profiles.examples import FIELDS
from dutyroom.profiles.loading import read_extending, read_profile
from dutyroom.profiles.places import Place, place_of
from dutyroom.profiles.proposal import Proposal, propose, proposed_id
from dutyroom.timebase import from_iso
from dutyroom.wiring.shipped import shipped

TZ = ZoneInfo("Asia/Shanghai")
T = from_iso("2026-11-01T00:30:05Z") + 123
# The meter of the shipped example, made up.
FRAME = "FE FE 68 10 01 00 10 00 00 00 00 81 16 1F 90 00 45 23 01 00 2C 00 20 01 00 2C 00 30 08 01 11 26 20 00 00 41 16"
RAW = bytes.fromhex(FRAME)
SOCKET = """
class: electricity_meter
products: [Acme S-1, "Acme: S-2"]
match: {topics: ["acme/{socket}/+"]}
identity: "{socket}"
points:
  voltage: {from: u, quantity: voltage}
  current: {from: i, quantity: current, low: -100, high: 100}
  label: {from: label, kind: text}
examples: [{topic: acme/1/up, payload: {u: 230}}]
"""
METERED = '{"u": 230.1, "i": 1.5, "label": "it\'s 3"}'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few of the shipped families: enough to choose among."""
    made = tmp_path_factory.mktemp("profiles")
    for name in ("cjt188", "dlt645", "shelly", "wmbusmeters", "milesight", "iot-factory"):
        (made / name).symlink_to(shipped("device_profiles") / name)
    (made / "acme").mkdir()
    (made / "acme" / "socket.yaml").write_text(SOCKET)
    return made


@pytest.fixture(scope="module")
def library(folder: Path) -> Library:
    return load_library(folder, TZ, b"key")


def proposals(library: Library, folder: Path, message: Message) -> list[Proposal]:
    def build(name: str, text: str):  # type: ignore[no-untyped-def]
        return read_extending(text, name, "new.yaml", [folder])

    found, done = library.elsewhere(message)
    assert done
    made = [
        propose(library.profiles[f.trial.profile], f.place, message, library.profiles, build, TZ)
        for f in found
    ]
    return [proposal for proposal in made if proposal is not None]


@pytest.mark.parametrize("payload", [RAW, FRAME.encode(), b'{"data": "' + FRAME.encode() + b'"}'])
def test_a_frame_with_a_checksum_is_recognised_wherever_it_comes(library: Library, payload: bytes) -> None:
    found, done = library.elsewhere(Message("water/DN-77/raw", payload, T))
    assert done
    assert [f.trial.profile for f in found] == ["cjt188/water", "cjt188/water-mirrored-status"]
    assert found[0].trial.outcome.addresses == ("00000000100001",)
    assert found[0].place == Place("water/{device}/raw", "DN-77")


@pytest.mark.parametrize("payload", [RAW, FRAME.encode()])
def test_what_is_proposed_is_a_file_that_proves_itself(
    library: Library, folder: Path, payload: bytes
) -> None:
    first = proposals(library, folder, Message("water/DN-77/raw", payload, T))[0]
    assert (first.id, first.file) == ("cjt188/water-raw", "device_profiles/cjt188/water-raw.yaml")
    assert first.text.startswith("extends: cjt188/water\nproducts: [")
    assert 'match: {topics: ["water/{device}/raw"]}\n' in first.text
    assert "identity" not in first.text
    assert "    received: 2026-11-01T00:30:05Z\n" in first.text
    assert '"00000000100001": {status: "0000", valve: 1, battery_low: 0, volume: 123.45' in first.text
    profile, mistakes = read_extending(first.text, first.id, "new.yaml", [folder])
    assert mistakes == []
    assert profile is not None
    assert profile.examples[0].payload == payload
    again = Library([profile], TZ).trial(Message("water/DN-78/raw", payload, T))
    assert again[0].address == "00000000100001"


def test_where_the_message_names_no_device_the_topic_does(library: Library, folder: Path) -> None:
    found = proposals(library, folder, Message("building/socket-0815/status", METERED.encode(), T))
    assert (
        found[0].text
        == """\
extends: acme/socket
products: ["Acme S-1", "Acme: S-2"]
match: {topics: ["building/{device}/status"]}
identity: "{device}"
examples:
  - title: the captured message
    topic: building/socket-0815/status
    received: 2026-11-01T00:30:05Z
    payload: '{"u": 230.1, "i": 1.5, "label": "it''s 3"}'
    expect:
      "socket-0815": {voltage: 230.1, current: 1.5, label: "it's 3"}
"""
    )
    assert found[0].addresses == ("socket-0815",)
    pretty = Message("building/socket-0815/status", METERED.replace(", ", ",\n").encode(), T)
    assert 'payload: "{\\"u\\": 230.1,\\n' in proposals(library, folder, pretty)[0].text


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("lobby/t1", b"21.5"),
        ("lobby/t1", b""),
        ("lobby/t1", b"<script>alert(1)</script> 21.5"),
        ("lobby/t1", b'{"depth_cm": 163, "bat": 97}'),
        ("lobby/t1", b"\x00\x01\x02\x03\xff"),
        ("lobby/t1", RAW[:-2] + b"\x40\x16"),  # a wrong checksum
        ("lobby/t1", b"[" * 10_000),
        ("lobby/t1", RAW + b" " * 20_000),
        ("lob{b}y/t1", RAW),
        ("t1", METERED.encode()),  # the only level cannot be both a name and fixed
        ("lobby/t1", b'{"u": 230.1, "i": 1e300}'),  # out of range
        ("lobby/t1", b'{"u": 230.1}'),
    ],
)
def test_what_proves_nothing_is_not_offered(
    library: Library, folder: Path, topic: str, payload: bytes
) -> None:
    assert proposals(library, folder, Message(topic, payload, T)) == []


def test_an_uplink_counts_when_it_names_its_product(library: Library, folder: Path) -> None:
    uplink = '{"deviceInfo": {"devEui": "0000000000000077", "deviceProfileName": "%s"}, "fPort": 85, "data": "AXVcA2c0AQRoZQ=="}'
    named = Message("customer/lora/0000000000000077/up", (uplink % "Milesight EM300-TH").encode(), T)
    found = proposals(library, folder, named)
    assert found[0].base == "milesight/em300-th"
    assert found[0].addresses == ("0000000000000077",)
    assert library.elsewhere(Message(named.topic, (uplink % "whatever").encode(), T)) == ([], True)


def test_it_ends_in_time_and_goes_on_where_it_can(folder: Path) -> None:
    library = load_library(folder, TZ)
    assert library.elsewhere(Message("water/77/raw", RAW, T), budget_s=-1) == ([], False)
    found, done = library.elsewhere(Message("water/77/raw", RAW, T), budget_s=60)
    assert (len(found), done) == (2, True)


@pytest.mark.parametrize(
    ("topic", "addresses", "listen", "device"),
    [
        ("water/DN-77/raw", (), "water/{device}/raw", "DN-77"),
        ("v1/site/pump/data", (), "v1/site/{device}/data", "pump"),
        ("lobby/thermometer", (), "lobby/{device}", "thermometer"),
        ("a/gw-0815/m-42/up", (), "a/{device}/m-42/up", "gw-0815"),
        ("a/gw-0815/m-42/up", ("M42",), "a/gw-0815/{device}/up", "m-42"),
        ("meters/raw", ("00000000100001",), "meters/raw", "raw"),
        ("/0815", (), None, ""),
        ("0815", ("1",), "0815", "0815"),
    ],
)
def test_the_level_that_looks_like_an_id_is_named(
    topic: str, addresses: tuple[str, ...], listen: str | None, device: str
) -> None:
    found = place_of(topic, addresses)
    assert (found and (found.filter, found.device)) == (listen and (listen, device))


def test_a_name_for_the_file_is_free() -> None:
    assert proposed_id("cjt188/water", "water/{device}/raw", ()) == "cjt188/water-raw"
    assert proposed_id("cjt188/water", "Gebäude 3/{device}/+", ()) == "cjt188/water-geb-ude-3"
    assert proposed_id("a/b", "{device}/x", ("a/b-x", "a/b-x-2")) == "a/b-x-3"
    assert proposed_id("a/b", "ü/{device}", ("a/b",)) == "a/b-2"


def test_an_example_may_be_bytes() -> None:
    text = """
class: water_meter
match: {topics: ["a/{id}"]}
unwrap: [raw]
codec: cjt188
each: frames[*]
identity: "{id}"
points: {volume: {from: volume, quantity: volume}}
examples: [{topic: a/1, hex: "fe 68 00 ff"}]
"""
    assert read_profile(text).examples[0].payload == b"\xfe\x68\x00\xff"
    assert "hex" in FIELDS
    with pytest.raises(Exception, match="not hex"):
        read_profile(text.replace("00 ff", "0"))
    with pytest.raises(Exception, match=r"examples\[0\].payload: is missing"):
        read_profile(text.replace(', hex: "fe 68 00 ff"', ""))
