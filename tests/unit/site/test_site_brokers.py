"""`broker` of site.yaml, and topic filters against each other."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from dutyroom.cli import app
from dutyroom.errors import Invalid
from dutyroom.site import BrokerAddress, load_site
from dutyroom.site.brokers import crossings, doubts
from dutyroom.site.filters import advice, covers, overlap

HEAD = "id: estate\nname: Estate\ntime_zone: Asia/Shanghai\n"


def brokers(folder: Path, text: str) -> tuple[BrokerAddress, ...]:
    (folder / "site.yaml").write_text(HEAD + text, encoding="utf-8")
    return load_site(folder).brokers


def mistakes(folder: Path, text: str) -> list[str]:
    with pytest.raises(Invalid) as caught:
        brokers(folder, text)
    return [str(mistake).rpartition("site.yaml:")[2] for mistake in caught.value.mistakes]


def test_one_broker_stands_alone_or_in_a_list(tmp_path: Path) -> None:
    one = brokers(tmp_path, "broker: {host: a, version: 5}\n")
    assert one == (BrokerAddress("a", version="5"),)
    assert brokers(tmp_path, "broker: [{host: a, version: '3.1.1'}, {host: b, topics: gate/#}]\n") == (
        BrokerAddress("a"),
        BrokerAddress("b", topics=("gate/#",)),
    )
    assert brokers(tmp_path, "broker: []\n") == ()
    assert load_site(tmp_path).broker is None


def test_a_client_certificate_lies_beside_the_site(tmp_path: Path) -> None:
    for name in ("c.pem", "c.key", "word"):
        (tmp_path / name).touch()
    text = "broker: {host: a, tls: true, certificate_file: c.pem, key_file: c.key, key_password_file: word}\n"
    assert brokers(tmp_path, text) == (
        BrokerAddress(
            "a",
            8883,
            True,
            certificate_file=str(tmp_path / "c.pem"),
            key_file=str(tmp_path / "c.key"),
            key_password_file=str(tmp_path / "word"),
        ),
    )


def test_priority_topics_beside_others(tmp_path: Path) -> None:
    (broker,) = brokers(tmp_path, "broker: {host: a, topics: [meter/#, gate/+], priority: [fire/#]}\n")
    assert (broker.topics, broker.priority) == (("meter/#", "gate/+"), ("fire/#",))


def test_a_filter_that_another_one_covers_is_left_out(tmp_path: Path) -> None:
    """A broker of MQTT 5 delivers a message once for each filter that it matches."""
    text = "broker: {host: a, topics: [gate/1, gate/+, gate/1, meter/+/x, meter/#], priority: [fire/1, fire/#]}\n"
    (broker,) = brokers(tmp_path, text)
    assert (broker.topics, broker.priority) == (("gate/+", "meter/#"), ("fire/#",))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "broker: {host: a, priority: [fire/#]}",
            "4: broker.priority: '#' also matches what the priority filter 'fire/#' matches, so that each such "
            "message would come twice; name in topics what the other devices publish, without the priority ones: "
            "for example [meters/#, pumps/#] in place of '#'",
        ),
        (
            "broker: {host: a, topics: [meter/#, fire/1], priority: [fire/#]}",
            "4: broker.topics: 'fire/1' also matches what the priority filter 'fire/#' matches, so that each such "
            "message would come twice; leave 'fire/1' out of topics: the priority session reads it",
        ),
        (
            "broker: [{host: a}, {host: A}]",
            "4: broker[1].host: A:1883 is listed twice; put all its topics in one entry",
        ),
        (
            "broker: {host: a, certificate_file: site.yaml}",
            "4: broker.certificate_file: has a meaning with TLS only; write tls: true beside it, or leave it out",
        ),
        (
            "broker: {host: a, tls: true, key_file: site.yaml}",
            "4: broker.key_file: is the key of a client certificate; name that too: certificate_file",
        ),
        (
            "broker: {host: a, key_password: x}",
            "4: broker.key_password: a secret does not belong here; put it in a file and name it: "
            "key_password_file",
        ),
        (
            "broker: {host: 'mqtts://a:8883'}",
            "4: broker.host: 'mqtts://a:8883' is no name or address of a machine; port and tls stand beside it",
        ),
        ("broker: {host: a, version: 4}", "4: broker.version: '4' is not known (known: 3.1.1, 5)"),
        ("broker: [a]", "4: broker[0]: must be a mapping (key: value), not 'a'"),
        ("broker: a", "4: broker: must be a mapping (key: value), not 'a'"),
    ],
)
def test_what_cannot_be_is_said_with_what_to_write(tmp_path: Path, text: str, says: str) -> None:
    assert says in mistakes(tmp_path, text + "\n")


@pytest.mark.parametrize(
    ("broker", "says"),
    [
        (
            BrokerAddress("a", topics=()),
            "broker a:1883: topics is empty and there is no priority, so nothing is heard",
        ),
        (BrokerAddress("a", topics=(), priority=("fire/#",)), ""),
        (
            BrokerAddress("a", password_file="word"),
            "broker a:1883: password_file has no meaning without username",
        ),
        (BrokerAddress("a", username="u", password_file="word"), ""),
        (BrokerAddress("a"), ""),
        (
            BrokerAddress("a", topics=("$share/g/#",), priority=("fire/#",)),
            "'$share/g/#' in topics and 'fire/#' in priority match the same messages",
        ),
        (
            BrokerAddress("a", topics=("fire/1",), priority=("$share/g/fire/+",)),
            "'fire/1' in topics and '$share/g/fire/+' in priority match the same messages",
        ),
        (BrokerAddress("a", topics=("$share/g/meter/#", "$share/fire"), priority=("fire/#",)), ""),
    ],
)
def test_what_is_hardly_meant_so_is_noted_and_runs(broker: BrokerAddress, says: str) -> None:
    said = list(doubts([broker]))
    assert len(said) == bool(says)
    assert all(says in one for one in said)


def test_check_says_what_is_hardly_meant_so(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(HEAD + "broker: {host: a, topics: []}\n", encoding="utf-8")
    told = CliRunner().invoke(app, ["check", "--site", str(tmp_path)])
    assert told.exit_code == 0
    assert "Note: " in told.output
    assert "topics is empty" in " ".join(told.output.split())


PANEL = """
name: A panel
class: fire_panel
match: {topics: ["{kind}/{panel}/state", "fire/{panel}/test"]}
unwrap: [scalar]
identity: "{panel}"
points:
  level: {from: $, quantity: level, unit: m}
examples:
  - {title: a level, topic: a/p1/state, payload: "1.5", expect: {p1: {level: 1.5}}}
"""
CROSSED = (
    "broker 127.0.0.1:1: profile acme/panel reads '+/+/state', which also matches what the priority filter 'fire/#' matches, "
    "so that each such message comes twice: what it says with a time of the device is stored once, all else twice; "
    "name in match.topics of the profile what it reads beside 'fire/#'"
)


def test_what_a_profile_reads_across_a_priority_filter_is_told_with_what_to_change(tmp_path: Path) -> None:
    """By both commands; what the priority session reads whole is no crossing."""
    own = tmp_path / "device_profiles" / "acme" / "panel.yaml"
    own.parent.mkdir(parents=True)
    own.write_text(PANEL, encoding="utf-8")
    text = HEAD + "broker: {host: 127.0.0.1, port: 1, topics: [meter/#], priority: %s}\n"

    def said(priority: str, *command: str) -> str:
        (tmp_path / "site.yaml").write_text(text % priority, encoding="utf-8")
        return " ".join(CliRunner().invoke(app, [*command, "--site", str(tmp_path)]).output.split())

    assert f"Note: {tmp_path / 'site.yaml'}: {CROSSED}." in said("[fire/#]", "check")
    assert CROSSED in said("[fire/#]", "broker", "check")
    assert "comes twice" not in said("['+/+/state', fire/+/test]", "check")


def test_a_priority_filter_that_a_profile_reads_whole_may_give_way_to_it() -> None:
    broker = BrokerAddress("a", topics=("meter/#",), priority=("$share/duty/fire/+/state", "fire/1/test"))
    (first,) = crossings([broker, BrokerAddress("b")], {"+/+/state": "acme/panel", "fire/1/test": "acme/x"})
    assert first.endswith("or name '+/+/state' in priority in place of 'fire/+/state'")


# ------------------------------------------------------------ filters

levels = st.sampled_from(["a", "b", "+", "$x", ""])
filters = st.tuples(st.lists(levels, min_size=1, max_size=3), st.booleans()).map(
    lambda made: "/".join([*made[0], "#"] if made[1] else made[0])
) | st.just("#")
TOPICS = [
    "/".join(parts)
    for names in (["a", "b", "$x", "", "c"],)
    for parts in (
        *([x] for x in names),
        *([x, y] for x in names for y in names),
        *([x, y, z] for x in names for y in names for z in names),
        *([x, y, z, "c"] for x in names for y in names for z in names),
    )
]


def matches(pattern: str, topic: str) -> bool:
    """MQTT 3.1.1 section 4.7, as it stands there."""
    own, other = pattern.split("/"), topic.split("/")
    if topic.startswith("$") and own[0] in ("#", "+"):
        return False
    for place, level in enumerate(own):
        if level == "#":
            return len(other) >= place
        if place >= len(other) or (level not in ("+", other[place])):
            return False
    return len(own) == len(other)


@given(filters, filters)
def test_two_filters_overlap_when_a_topic_matches_both(one: str, other: str) -> None:
    both = any(matches(one, topic) and matches(other, topic) for topic in TOPICS)
    assert overlap(one, other) is both
    assert overlap(other, one) is both


@given(filters, filters)
def test_what_covers_matches_all_that_the_other_matches(wide: str, narrow: str) -> None:
    if covers(wide, narrow):
        assert all(matches(wide, topic) for topic in TOPICS if matches(narrow, topic))


def test_the_advice_names_both() -> None:
    said = advice("+/state", "fire/#")
    assert "'+/state'" in said
    assert "'fire/#'" in said
