"""What is shown of a message that could not be read."""

from zoneinfo import ZoneInfo

import orjson

from dutyroom.profiles.decode import Library
from dutyroom.profiles.loading import read_profile

GATE = """
class: gate
match: {topics: ["gates/{id}"]}
identity: "{id}"
privacy: {card-number: hash, "*.holder": drop, door: keep}
events: {passage: {code: "{@.kind}", arguments: {card: card-number}}}
"""
LIBRARY = Library([read_profile(GATE, "acme/gate")], ZoneInfo("UTC"))


def test_personal_fields_are_hidden_and_the_rest_stays() -> None:
    payload = {
        "event": {"card-number": 8165537, "holder": "A Person", "door": 1},
        "list": [{"card-number": 5, "n": 2}],
    }
    shown = orjson.loads(LIBRARY.shown("gates/1", orjson.dumps(payload)))
    assert shown == {
        "event": {"card-number": "…", "holder": "…", "door": 1},
        "list": [{"card-number": "…", "n": 2}],
    }


def test_what_no_profile_marks_is_shown_as_it_is() -> None:
    for topic, payload in (
        ("other/1", b'{"card-number": 1}'),
        ("gates/1", b"no JSON \xff"),
        ("gates/1", b""),
    ):
        assert LIBRARY.shown(topic, payload) == payload


def test_depth_is_bounded() -> None:
    deep = b"[" * 300 + b'{"card-number": 1}' + b"]" * 300
    assert b"1" not in LIBRARY.shown("gates/1", deep)


def test_json_that_stands_as_a_text_is_looked_into() -> None:
    payload = {"data": '{"card-number": 8165537, "door": 1}', "note": "{no JSON", "list": "[1,2]"}
    shown = orjson.loads(LIBRARY.shown("gates/1", orjson.dumps(payload)))
    assert shown == {"data": '{"card-number":"…","door":1}', "note": "{no JSON", "list": "[1,2]"}
