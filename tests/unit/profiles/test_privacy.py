"""What a profile marks as personal is dropped, or a pseudonym, whatever it becomes: points too."""

from __future__ import annotations

from textwrap import dedent

import pytest
from tests.unit.profiles.test_decode import NOW, TZ, Known, library, readings, send

from dutyroom.model.telemetry import Message
from dutyroom.profiles.decode import Decoded, Library, pseudonym
from dutyroom.profiles.loading import read_profile

HEAD = """
class: gate
match: {{topics: ["gate/{{id}}"]}}
identity: "{{id}}"
privacy: {privacy}
points:
  who: {point}
"""
CARD = "0012345678"


def gate(privacy: str, point: str) -> Library:
    return library(HEAD.format(privacy=privacy, point=point))


def given(lib: Library, payload: object) -> dict[tuple[str, str], float | str]:
    outcome = send(lib, "gate/1", payload)
    assert CARD not in repr(outcome)
    return readings(outcome)


@pytest.mark.parametrize(
    ("privacy", "point", "payload"),
    [
        ("{card: hash}", "{from: card, kind: text}", {"card": CARD}),
        ("{card: hash}", "{from: person.card, kind: text}", {"person": {"card": CARD}}),
        ("{person.card: hash}", "{from: $.person.card, kind: text}", {"person": {"card": CARD}}),
        ("{who: hash}", "{from: card, kind: text}", {"card": CARD}),
        ('{"*ard": hash}', "{from: [badge, card], kind: text}", {"card": CARD}),
        ("{cards: hash}", '{each: "cards[*]", from: "@", kind: text}', {"cards": [CARD]}),
        ("{card: hash}", '{each: "cards[*]", from: card, kind: text}', {"cards": [{"card": CARD}]}),
        ("{card: hash}", "{from: card, kind: text, when: {ok: 1}}", {"card": CARD, "ok": 1}),
    ],
)
def test_a_text_is_a_pseudonym_or_dropped(privacy: str, point: str, payload: object) -> None:
    assert given(gate(privacy, point), payload) == {("1", "who"): pseudonym(CARD)}
    assert given(gate(privacy.replace("hash", "drop"), point), payload) == {}


@pytest.mark.parametrize(
    ("point", "payload"),
    [
        ("{value: \"name + ' (1)'\", kind: text}", {"name": "Lin"}),
        ("{value: \"n + ' (1)'\", names: {n: person.name}, kind: text}", {"person": {"name": "Lin"}}),
    ],
)
def test_what_is_made_of_a_personal_field_is_personal(point: str, payload: object) -> None:
    assert given(gate("{name: hash}", point), payload) == {("1", "who"): pseudonym("Lin (1)")}
    assert given(gate("{name: drop}", point), payload) == {}


def test_a_name_that_the_message_completes_is_looked_at_as_well() -> None:
    profile = HEAD.format(privacy='{"who_card*": hash}', point="{from: x, kind: text}")
    lib = library(profile.replace("  who:", '  "who_{n}":').replace("from: x", 'from: "fields.{n}"'))
    found = given(lib, {"fields": {"card1": CARD, "door": "2"}})
    assert found == {("1", "who_card1"): pseudonym(CARD), ("1", "who_door"): "2"}


@pytest.mark.parametrize("mark", ["hash", "drop"])
@pytest.mark.parametrize(
    "point",
    [
        "{from: card}",
        "{from: card, high: 5}",
        "{from: card, kind: state}",
        '{from: card, kind: state, map: {"0012345678": 1}}',
        "{from: card, kind: counter, step: 1}",
        "{from: card, quantity: mass, unit_from: unit}",
    ],
)
def test_a_number_has_no_pseudonym(mark: str, point: str) -> None:
    lib = gate(f"{{card: {mark}}}", point)
    for value in (CARD, 12345678, 12345678.0):
        outcome = send(lib, "gate/1", {"card": value, "unit": "g"})
        assert isinstance(outcome, Decoded)
        assert outcome.readings == []
        assert "12345678" not in repr(outcome)


def test_what_is_wrong_with_it_is_told_without_it() -> None:
    outcome = send(gate("{card: hash}", "{from: card, kind: text, map: {a: b}}"), "gate/1", {"card": CARD})
    assert isinstance(outcome, Decoded)
    assert outcome.findings == [("unknown_code", "1", "who: a personal value")]


def test_what_is_kept_stays_as_it_is_and_a_whole_name_counts_before_globs() -> None:
    assert given(gate("{card: keep}", "{from: card, kind: text}"), {"card": "7"}) == {("1", "who"): "7"}
    exception = gate('{"*": drop, card: keep}', "{from: card, kind: text}")
    assert given(exception, {"card": "7"}) == {("1", "who"): "7"}
    strictest = gate("{card: keep, who: drop}", "{from: card, kind: text}")
    assert given(strictest, {"card": "7"}) == {}


def test_values_of_decoders_are_guarded_like_fields_of_json() -> None:
    binary = """
        class: gate
        match: {topics: ["gate/{id}"]}
        identity: "{id}"
        unwrap: [raw]
        privacy: {card: hash, "pin*": drop}
        binary: [{card: text(4)}, {pin: text(4)}, {pin_number: u16}, {door: u8}]
        points:
          card: {kind: text}
          pin: {kind: text}
          pin_number: {}
          door: {}
        """
    assert readings(send(library(binary), "gate/1", b"A17B2468\x09\xa4\x02")) == {
        ("1", "card"): pseudonym("A17B"),
        ("1", "door"): 2,
    }
    text = """
        class: gate
        match: {topics: ["gate/{id}"]}
        identity: "{id}"
        unwrap: [raw]
        privacy: {card: hash}
        text: "card=(?P<card>[0-9]+) door=(?P<door>[0-9]+)"
        points: {card: {kind: text}, door: {}}
        """
    found = readings(send(library(text), "gate/1", b"card=0012345678 door=2"))
    assert found == {("1", "card"): pseudonym(CARD), ("1", "door"): 2}


def test_a_pseudonym_of_a_point_is_that_of_an_event_and_of_the_site() -> None:
    profile = """
        class: gate
        match: {topics: ["gate/{id}"]}
        identity: "{id}"
        privacy: {card: hash}
        points: {who: {from: card, kind: text}}
        attributes: {last: card}
        events: {passages: {arguments: {who: card}}}
        """
    lib = Library([read_profile(dedent(profile), "acme/m0")], TZ, b"secret")
    outcome = lib.decode(Message("gate/1", b'{"card": "0012345678"}', NOW), Known("*"))
    assert isinstance(outcome, Decoded)
    told = pseudonym(CARD, b"secret")
    assert (outcome.readings[0].text, outcome.attributes[0][2], outcome.events[0].arguments["who"]) == (
        told, told, told,
    )  # fmt: skip
