"""Why no profile reads what an unknown device sends: told where it helps whoever writes the profile."""

from textwrap import dedent
from zoneinfo import ZoneInfo

from dutyroom.model.telemetry import Message
from dutyroom.profiles.attempt import FEW, NOBODY
from dutyroom.profiles.decode import Library
from dutyroom.profiles.loading import read_profile
from dutyroom.profiles.result import Refused
from dutyroom.timebase import from_iso

TEXT = """
name: Acme ASCII tank
class: tank
match: {topics: ["ascii/{device}"]}
identity: "{device}"
unwrap: [text]
text: '^TANK (?P<level>[0-9.]+)$'
points:
  level: {quantity: level}
"""
AT = from_iso("2026-11-01T00:00:10Z")


def library(count: int) -> Library:
    return Library([read_profile(dedent(TEXT), f"acme/t{n}") for n in range(count)], ZoneInfo("UTC"))


def test_the_profile_of_the_topic_says_why() -> None:
    [(profile, why)] = library(1).refusals(Message("ascii/t9", b"garbage", AT))
    assert profile == "acme/t0"
    assert why
    assert not why.startswith("acme/t0")


def test_a_message_that_is_read_has_no_reasons() -> None:
    assert library(1).refusals(Message("ascii/t9", b"TANK 1.5", AT)) == []


def test_of_a_topic_of_many_profiles_or_of_none_there_is_nothing_to_say() -> None:
    assert library(FEW + 1).refusals(Message("ascii/t9", b"garbage", AT)) == []
    assert library(1).refusals(Message("other/t9", b"garbage", AT)) == []
    assert len(library(FEW).refusals(Message("ascii/t9", b"garbage", AT))) == 3


def test_of_two_protocols_on_a_topic_the_one_that_finds_the_frame_says_what_is_wrong_with_it() -> None:
    """A water meter's wrong checksum was told as `no frame`, by the protocol of the electricity meters."""
    meters = [
        read_profile(
            f"""
class: {kind}
match: {{topics: ["dtu/{{dtu}}/up"]}}
unwrap: [hex]
codec: {codec}
each: frames[*]
identity: "{{@.address}}"
points: {{volume: {{from: values.volume, quantity: volume}}}}
""",
            f"acme/{name}",
        )
        for name, kind, codec in (("a", "electricity_meter", "dlt645"), ("b", "water_meter", "cjt188"))
    ]
    good = "681001001000000000811690 1f00 45230100 2c 00200100 2c 00000000000000 0000".replace(" ", "")
    total = sum(bytes.fromhex(good)) & 0xFF
    both = Library(meters, ZoneInfo("UTC"))
    told = both.decode(Message("dtu/1/up", f"{good}{(total + 1) & 0xFF:02x}16".encode(), AT), NOBODY)
    assert isinstance(told, Refused)
    assert "checksum" in told.detail
