"""Topic filters and the trie."""

import pytest

from dutyroom.errors import Rejected
from dutyroom.profiles.topics import TopicTrie, parse_filter


def trie(*filters: str) -> TopicTrie[str]:
    result: TopicTrie[str] = TopicTrie()
    for text in filters:
        result.add(parse_filter(text), text)
    return result


@pytest.mark.parametrize(
    ("topic_filter", "topic", "captures"),
    [
        ("wmbusmeters/{id}", "wmbusmeters/00012345", {"id": "00012345"}),
        ("{id}/status/em1:{channel}", "shelly-1/status/em1:0", {"id": "shelly-1", "channel": "0"}),
        ("N/{p}/genset/{n}/{path...}", "N/c0/genset/0/Ac/Power", {"p": "c0", "n": "0", "path": "Ac/Power"}),
        ("+/{id}/events/rpc", "shellies/x/events/rpc", {"id": "x"}),
        ("a/#", "a/b/c", {}),
        ("/neuron/{app}", "/neuron/mqtt", {"app": "mqtt"}),
    ],
)
def test_a_filter_names_levels(topic_filter: str, topic: str, captures: dict[str, str]) -> None:
    assert trie(topic_filter).match(topic) == ((topic_filter, captures),)


@pytest.mark.parametrize(
    ("topic_filter", "topic"),
    [
        ("wmbusmeters/{id}", "wmbusmeters"),
        ("wmbusmeters/{id}", "wmbusmeters/1/2"),
        ("wmbusmeters/{id}", "WMBUSMETERS/1"),
        ("x/em1:{c}", "x/em1:"),
        ("a/#", "a"),
        ("a/{rest...}", "b/c"),
    ],
)
def test_what_does_not_match(topic_filter: str, topic: str) -> None:
    assert trie(topic_filter).match(topic) == ()


def test_all_filters_of_a_topic_are_found_at_once() -> None:
    found = trie("a/{x}", "a/b", "a/#", "{y}/b", "c/d").match("a/b")
    assert {name for name, _ in found} == {"a/{x}", "a/b", "a/#", "{y}/b"}


@pytest.mark.parametrize("text", ["", "a/#/b", "a/{x...}/b", "a+/b", "a/{x", "a/{x y}", "/".join("a" * 50)])
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(Rejected):
        parse_filter(text)


def test_a_broker_understands_the_filter() -> None:
    assert parse_filter("N/{portal}/genset/{n}/{path...}").mqtt == "N/+/genset/+/#"
    assert parse_filter("{id}/status/em1:{channel}").mqtt == "+/status/+"
