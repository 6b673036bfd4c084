"""A message as it was captured, written into a profile: whenever that was, and in the letters of the data sheet."""

from textwrap import dedent

import pytest

from dutyroom.errors import Invalid
from dutyroom.profiles.checking import check_profile
from dutyroom.profiles.loading import read_profile

CLOCK = """
name: Acme T-17
class: tank
match: {{topics: ["acme/{{device}}/up"]}}
identity: "{{device}}"
time: ts
points:
  level: {{quantity: level}}
examples:
  - title: captured
    topic: acme/T-17/up
    payload: {{ts: "{ts}", level: 1.5}}
    {more}
    expect: {{T-17: {{level: 1.5}}}}
"""


def mistakes(ts: str, more: str = "") -> list[str]:
    return [
        m.message for m in check_profile(read_profile(dedent(CLOCK.format(ts=ts, more=more)), "acme/t17"))
    ]


@pytest.mark.parametrize("ts", ["2016-11-02T00:00:00Z", "2026-10-31T23:59:00Z", "2027-03-01T10:00:00Z", "2036-10-30T12:00:00Z"])  # fmt: skip
def test_a_message_may_be_captured_on_any_day(ts: str) -> None:
    assert mistakes(ts, f"time: {ts}") == []


@pytest.mark.parametrize("ts", ["1970-01-01T00:10:00Z", "2099-01-01T00:00:00Z", "soon"])
def test_a_clock_that_is_wrong_on_any_day_is_told(ts: str) -> None:
    assert any("clock_wrong found" in told for told in mistakes(ts))
    assert mistakes(ts, "findings: [clock_wrong]") == []


def test_where_the_receive_time_is_said_the_clock_is_measured_by_it() -> None:
    assert any(
        "clock_wrong" in told for told in mistakes("2027-03-01T10:00:00Z", "received: 2026-12-01T00:00:00Z")
    )


@pytest.mark.parametrize("test", ['{match: "5A*"}', '{match: "5a 01*"}', '"5A010203"', '["99", "5A 01 02 03"]', '{not: "00"}'])  # fmt: skip
def test_bytes_are_asked_for_in_any_letters(test: str) -> None:
    text = f"""
    name: Acme P
    class: water_meter
    envelope: lorawan
    order: big
    layouts:
      - when: {{bytes.hex: {test}}}
        binary: [{{skip: 1}}, level: u8]
        points: [level]
    points:
      level: {{quantity: level}}
    examples:
      - title: bytes
        topic: lorawan/0018b20000000a01/up/1
        payload: "5A 01 02 03"
        expect: {{0018b20000000a01: {{level: 1}}}}
    """
    assert check_profile(read_profile(dedent(text), "acme/p")) == []
    excluding = dedent(text).replace(test, '{not: "5A010203"}')
    assert check_profile(read_profile(excluding, "acme/p"))


@pytest.mark.parametrize(("kind", "bit", "right"), [("u8", "7", True), ("u8", "8", False), ("s16", "4-16", False), ("u16", "4-15", True), ("u4", "4", False)])  # fmt: skip
def test_a_bit_that_a_field_does_not_have_is_a_mistake(kind: str, bit: str, right: bool) -> None:
    text = f"""
    name: Acme
    class: sensor
    match: {{topics: ["acme/{{device}}"]}}
    identity: "{{device}}"
    unwrap: [raw]
    binary: [status: {{as: {kind}, bits: {{{bit}: leak}}}}]
    points: {{leak: {{kind: state}}}}
    """
    if right:
        read_profile(dedent(text), "acme/b")
        return
    with pytest.raises(Invalid) as caught:
        read_profile(dedent(text), "acme/b")
    assert any("is no bit of" in str(m) and f"bits.{bit}" in str(m) for m in caught.value.mistakes)
