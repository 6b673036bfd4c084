"""Keys of maps: which are the same, and what a message's value is compared with."""

from zoneinfo import ZoneInfo

import orjson
import pytest

from dutyroom.errors import Invalid
from dutyroom.model.telemetry import Message
from dutyroom.profiles.decode import Decoded, Library
from dutyroom.profiles.job import Anybody
from dutyroom.profiles.loading import read_profile

HEAD = """\
class: gate
match: {topics: ["g/{id}"]}
identity: "{id}"
"""


def told(text: str) -> list[str]:
    with pytest.raises(Invalid) as caught:
        read_profile(HEAD + text)
    return [str(m) for m in caught.value.mistakes]


@pytest.mark.parametrize(
    ("map", "field", "said"),
    [
        ('{1: 2, "01": 3}', "map.01", "'1' and '01' are the same number and mean '2' and '3'"),
        ("{1.0: 2, 1: 3}", "map.1", "'1.0' and '1' are the same number"),
        ("{1e3: 2, 1000: 3}", "map.1000", "a number in a message fits the key 1000 only"),
        ("{0x1F: 2, 31: 3}", "map.31", "'0x1F' and '31' are the same number"),
        ('{0x1F: 2, "0x1f": 2}', "map.0x1f", "'0x1F' and '0x1f' are the same number"),
        ("{true: 1, True: 0}", "map.True", "'true' and 'True' are the same truth"),
        ("{-0.0: 1, 0: 0}", "map.0", "'-0.0' and '0' are the same number"),
    ],
)
def test_a_number_or_a_truth_that_is_written_twice_is_a_mistake(map: str, field: str, said: str) -> None:
    (point,) = told(f"points:\n  door:\n    kind: state\n    map: {map}\n")
    assert point.startswith(f"profile.yaml:7: points.door.{field}: ")
    assert said in point


def test_a_key_with_and_without_quotes_is_one_key() -> None:
    (mistake,) = told('points:\n  door:\n    kind: state\n    map:\n      1: 2\n      "1": 3\n')
    assert mistake.startswith("profile.yaml:9: points.door.map.1: stands here a second time")


def test_maps_of_layouts_of_bytes_and_of_events_are_looked_at_too() -> None:
    found = told(
        "unwrap: [raw]\n"
        "layouts:\n"
        "  - binary: [{door: {as: u8, map: {1: open, 01: shut}}}, {let: x, value: door, map: {2: a, 02: b}}]\n"
        "    points: {door: {kind: text}}\n"
        'events: {passage: {code: "{@.door}", codes: {1: a, 1.0: b}}}\n'
    )
    assert [m.split(": ")[1] for m in found] == [
        "layouts[0].binary[0].door.map.01",
        "layouts[0].binary[1].map.02",
        "events.passage.codes.1.0",
    ]


@pytest.mark.parametrize(
    "map", ['{1: 1, "01": 1, true: 1, "True": 1, "1.0": 1}', "{on: 1, ON: 1, On: 1}", "{1: 1, 2: 1, x1: 2}"]
)
def test_texts_that_a_device_writes_in_several_ways_may_mean_the_same(map: str) -> None:
    assert read_profile(f"{HEAD}points: {{door: {{kind: state, map: {map}}}}}\n")


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(1, 5), (1.0, 5), ("1", 5), (True, 7), ("true", 7), ("True", None), ("07", 6), (7, None), (31, 8), ("0x1F", None), (1.5, 9)],
)  # fmt: skip
def test_a_value_is_compared_as_its_shortest_text(value: object, wanted: int | None) -> None:
    """1 is no truth, 07 is a text and no number, 0x1F is 31 in a profile and a text in a message."""
    text = HEAD + "points: {door: {kind: state, map: {1: 5, 07: 6, true: 7, 0x1F: 8, 1.5: 9}}}\n"
    library = Library([read_profile(text, "acme/gate")], ZoneInfo("UTC"))
    outcome = library.decode(Message("g/1", orjson.dumps({"door": value}), 1), Anybody("acme/gate", {}))
    assert isinstance(outcome, Decoded)
    assert [r.value for r in outcome.readings] == ([] if wanted is None else [wanted])
