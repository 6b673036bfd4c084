"""The bulk reader sees in any stream of bytes, however it is cut, exactly what paho sees in it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.contract.mqtt_streams import Outcome, length, ours, packet, publish, reference, text
from tests.effort import tried

from dutyroom.backends.mqtt import bulk
from dutyroom.backends.mqtt.bulk import BulkClient, client_class, unfit
from dutyroom.backends.mqtt.client import StockClient

RECORDED = Path(__file__).parents[1] / "data" / "mqtt"


@pytest.fixture(autouse=True, scope="module")
def _unpaced() -> object:
    """Pauses between reads change nothing but the time."""
    patch = pytest.MonkeyPatch()
    for name in ("_PACE_S", "_MUCH_PACE_S", "_FLOOD_PACE_S"):
        patch.setattr(bulk, name, 0.0)
    yield
    patch.undo()


def same(stream: bytes, cuts: list[int], five: bool) -> Outcome:
    ends = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    pieces = [stream[a:b] for a, b in pairwise(ends)]
    wanted = reference(pieces, five)
    assert ours(pieces, five) == wanted
    assert ours(pieces, five, StockClient) == wanted
    return wanted


# ------------------------------------------------------------ made at random

topics = st.sampled_from(
    [b"a", b"meter/1", "A 栋/水表/1".encode(), b"", b"\xff\xfe/x", b"x" * 300]
) | st.binary(max_size=12)
sizes = st.sampled_from([0, 1, 90, 118, 119, 120, 121, 122, 127, 128, 200, 16_370, 16_390, 70_000])
payloads = st.binary(max_size=30) | sizes.map(lambda size: b"p" * size)
words = st.sampled_from([b"", b"v", "值".encode(), b"\0", "\ufeff".encode(), b"\xff"]).map(text) | st.binary(
    max_size=5
)
fine = st.sampled_from([b"", b"v", "值".encode()]).map(text)

property_ = st.one_of(
    st.integers(0, 1).map(lambda n: bytes([1, n])),
    st.binary(min_size=4, max_size=4).map(lambda raw: b"\x02" + raw),
    st.sampled_from([3, 8, 9]).flatmap(lambda kind: fine.map(lambda raw: bytes([kind]) + raw)),
    st.tuples(fine, fine).map(lambda pair: b"\x26" + pair[0] + pair[1]),
    st.integers(1, 300_000).map(lambda n: b"\x0b" + length(n)),
    st.integers(1, 4).map(lambda n: b"\x23\0" + bytes([n])),
)
odd_property = st.one_of(
    property_,
    st.integers(0, 255).map(lambda n: bytes([1, n])),
    st.sampled_from([3, 8, 9, 38, 11]).flatmap(lambda kind: words.map(lambda raw: bytes([kind]) + raw)),
    st.sampled_from([b"\x23\0\0", b"\x23\xff\xff", b"\x0b\0", b"\x11\0\0\0\1", b"\x21\0\1"]),
    st.binary(max_size=4),
)


def publishes(five: bool, properties: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.builds(
        publish,
        topics,
        payloads,
        st.sampled_from([0, 1, 1, 1, 2, 3] if not five else [0, 1, 1, 1, 2]),
        st.integers(0, 65535) | st.integers(1, 3),
        retain=st.booleans(),
        dup=st.booleans(),
        properties=st.lists(properties, max_size=3).map(b"".join) if five else st.none(),
    )


others = st.one_of(
    st.sampled_from([b"\xd0\x00", b"\xc0\x00", b"\xd0\x01\x00", b"\xd0\x80\x00", b"\x20\x02\x01\x00"]),
    st.integers(1, 3).map(lambda mid: packet(0x62, mid.to_bytes(2, "big"))),  # PUBREL
    st.integers(1, 3).map(lambda mid: packet(0x40, mid.to_bytes(2, "big"))),  # PUBACK
    st.binary(max_size=4).map(lambda codes: packet(0x90, b"\0\1" + codes)),  # SUBACK
    st.binary(max_size=4).map(lambda codes: packet(0xB0, b"\0\1" + codes)),  # UNSUBACK
    st.binary(max_size=3).map(lambda body: packet(0xE0, body)),  # DISCONNECT
    st.tuples(st.sampled_from([0x30, 0x32, 0x3B, 0x34]), st.binary(max_size=6)).map(lambda p: packet(*p)),
)
wrecks = st.binary(max_size=6) | st.sampled_from(
    [b"\x30\xff\xff\xff\xff\x01", b"\x32\x80\x80\x00", b"\x31\x7f"]
)
cuts = st.lists(st.integers(0, 3000) | st.integers(0, 100_000), max_size=12)


def streams(five: bool) -> st.SearchStrategy[bytes]:
    """Mostly whole packets; now and then another kind, and rarely something that is none."""
    good = st.lists(publishes(five, property_), min_size=1, max_size=12).map(b"".join)
    mixed = st.lists(publishes(five, odd_property) | others, max_size=8).map(b"".join)
    return st.tuples(good, mixed, good, st.just(b"") | wrecks, good).map(b"".join) | good


@given(streams(False), cuts)
@settings(max_examples=tried(100))
@example(publish(b"a/b", b"1") * 3, [5])
@example(publish(b"a", b"x" * 300_000) + publish(b"b", b"y"), [10, 262_144])
@example(b"\x30\x01\x00", [])
@example(b"\x32\x03\x00\x01a", [])
def test_any_stream_of_3_1_1(stream: bytes, at: list[int]) -> None:
    same(stream, at, False)


@given(streams(True), cuts)
@settings(max_examples=tried(100))
@example(publish(b"a", b"1", properties=b"\x23\0\1") + publish(b"", b"2", properties=b"\x23\0\1"), [])
@example(publish(b"", b"2", properties=b"\x23\0\7"), [])
@example(publish(b"a", b"1", properties=b"\x02\0\0"), [])
def test_any_stream_of_5(stream: bytes, at: list[int]) -> None:
    same(stream, at, True)


def alike(count: int, size: int, topic: bytes, qos: int, five: bool, odd: int, how: str) -> bytes:
    """Packets of one layout, as those of one make of devices are; odd: one in so many has another mark, length, or
    topic's length, or properties."""
    found = []
    for n in range(count):
        said, other = b"%0*d" % (size, n) if size else b"", n % odd == odd - 1
        properties = (b"\x01\0" if other and how == "properties" else b"") if five else None
        retain, more = other and how == "mark", b"!" if other and how == "length" else b""
        named = topic[:-1] + b"%d" % (n % 10) if topic else topic
        if other and how == "topic" and said:
            named, said = named + b"/", said[1:]  # as long as the others
        said = said[2:] if properties else said
        found.append(publish(named, said + more, qos, 1 + n % 60_000, retain=retain, properties=properties))
    return b"".join(found)


runs = st.tuples(
    st.sampled_from([1, 15, 16, 17, 63, 64, 65, 130, 400]),
    st.sampled_from([0, 3, 40, 118, 130]),
    st.sampled_from([b"a", b"meters/m00001/up", b"\xff/1", b""]),
    st.integers(0, 2),
    st.sampled_from([2, 17, 50, 1000]),
    st.sampled_from(["mark", "length", "topic", "properties"]),
)


@given(st.lists(runs, min_size=1, max_size=4), cuts, st.booleans())
@settings(max_examples=tried(30), deadline=None)
def test_packets_that_are_laid_out_alike(
    some: list[tuple[int, int, bytes, int, int, str]], at: list[int], five: bool
) -> None:
    stream = [
        alike(count, size, topic, qos, five, odd, how) + publish(b"z", b"1", properties=b"" if five else None)
        for count, size, topic, qos, odd, how in some
    ]
    same(b"".join(stream), at, five)


@pytest.mark.parametrize("five", [False, True])
@pytest.mark.parametrize("how", ["mark", "length", "topic", "properties"])
@pytest.mark.parametrize(("topic", "size"), [(b"a", 40), (b"meters/m00001/up", 138)])
def test_one_among_many_that_is_laid_out_otherwise(how: str, topic: bytes, size: int, five: bool) -> None:
    for odd in (1, 18, 41, 97):
        found = same(alike(300, size, topic, 1, five, odd, how), [], five)
        assert len(found.messages) == 300


@given(st.lists(odd_property, min_size=1, max_size=3).map(b"".join), st.integers(0, 2))
@settings(max_examples=tried(125))
@example(b"\x01\x02", 1)
@example(b"\x03\x00\x01\x00", 1)
@example(b"\x26\x00\x01a\x00\x03\xef\xbb\xbf", 1)
@example(b"\x09\x00\x02\xff\x00", 0)
@example(b"\x0b\x00", 0)
@example(b"\x23\x00\x00", 0)
def test_any_properties(properties: bytes, qos: int) -> None:
    fine = publish(b"t", b"1", properties=b"")
    same(fine + publish(b"t", b"\0\1", qos, properties=properties) + fine, [], True)


@given(st.data(), st.booleans())
@settings(max_examples=tried(50))
def test_a_bit_that_tips_over(data: st.DataObject, five: bool) -> None:
    stream = bytearray(data.draw(streams(five)))
    if stream:
        place = data.draw(st.integers(0, min(len(stream) - 1, 400)))
        stream[place] ^= 1 << data.draw(st.integers(0, 7))
    same(bytes(stream), data.draw(cuts), five)


# ------------------------------------------------------------ recorded, and cut everywhere


@pytest.mark.parametrize("name", ["mosquitto-3.1.1", "mosquitto-5"])
def test_a_recorded_stream_cut_at_each_byte(name: str) -> None:
    stream, five = (RECORDED / f"{name}.bin").read_bytes(), name.endswith("-5")
    whole = same(stream, [], five)
    assert len(whole.messages) == 13
    assert {seen[2] for seen in whole.messages} == {True, False}
    for cut in range(1, len(stream)):
        assert ours([stream[:cut], stream[cut:]], five) == whole
    assert same(stream, list(range(len(stream))), five) == whole


# ------------------------------------------------------------ by what they are


def only(stream: bytes, five: bool = False) -> list[tuple[str, bytes]]:
    return [(seen[0], seen[1]) for seen in same(stream, [], five).messages]


def test_flags_and_packet_ids() -> None:
    stream = (
        publish(b"t", b"1", 0)
        + publish(b"t", b"2", 1, 258, retain=True)
        + publish(b"t", b"3", 1, 9, dup=True)
    )
    out = same(stream, [], False)
    assert [seen[2:] for seen in out.messages] == [
        (False, False, 0, 0),
        (True, False, 0, 258),
        (False, True, 0, 9),
    ]
    assert out.sent == b"\x40\x02\x01\x02\x40\x02\x00\x09"


def test_a_topic_alias_stands_for_its_topic() -> None:
    first = publish(b"meter/1", b"a", properties=b"\x23\0\5")
    again = publish(b"", b"b", properties=b"\x02\0\0\0\x3c\x23\0\5")
    other = publish(b"meter/2", b"c", properties=b"\x23\0\5")
    assert only(first + again + other + again, True) == [
        ("meter/1", b"a"),
        ("meter/1", b"b"),
        ("meter/2", b"c"),
        ("meter/2", b"b"),
    ]
    assert same(again, [], True).ended == "raised BrokenStream"
    assert same(publish(b"t", b"a", properties=b"\x23\x04\x01"), [], True).ended == "raised BrokenStream"


def test_exactly_once_goes_through_paho_and_in_order() -> None:
    stream = publish(b"t", b"1", 1, 1) + publish(b"t", b"2", 2, 2) + publish(b"t", b"3", 1, 3)
    out = same(stream + packet(0x62, b"\0\2") + publish(b"t", b"4", 1, 4), [], False)
    assert [seen[1] for seen in out.messages] == [b"1", b"3", b"2", b"4"]
    assert out.sent == b"\x50\x02\0\2" + b"\x40\x02\0\1\x40\x02\0\3\x70\x02\0\2\x40\x02\0\4"


def test_a_packet_of_many_reads() -> None:
    big = bytes(range(256)) * 8192  # 2 MiB
    stream = publish(b"a", b"1") + publish(b"big", big) + publish(b"b", b"2")
    assert only(stream) == [("a", b"1"), ("big", big), ("b", b"2")]
    same(stream, list(range(0, len(stream), 65_536)), False)


def test_properties_that_reach_beyond_their_packet_are_refused() -> None:
    fine = publish(b"t", b"1", properties=b"")
    for body in (b"\x09\x01\x01", b"\x05\x02\0\0\0", b"\x80\x80\x80\x80\x01"):
        out = same(fine + packet(0x30, text(b"t") + body) + fine, [], True)
        assert [seen[1] for seen in out.messages] == [b"1"]


def test_a_length_that_takes_five_bytes_ends_the_connection() -> None:
    out = same(publish(b"t", b"1") + b"\x30\xff\xff\xff\xff\x01", [], False)
    assert [seen[1] for seen in out.messages] == [b"1"]


# ------------------------------------------------------------ which reader


def test_this_paho_is_read_in_bulk() -> None:
    assert unfit() == ""
    assert client_class("bulk") is BulkClient
    assert client_class("stock") is StockClient


def test_another_paho_is_read_in_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    assert unfit("2.3.0") == "paho-mqtt 2.3.0 is not 2.2.x"
    monkeypatch.setattr(bulk, "unfit", lambda: "paho-mqtt 2.3.0 is not 2.2.x")
    assert client_class("bulk") is StockClient
    monkeypatch.undo()
    monkeypatch.delattr(BulkClient.__mro__[2], "_packet_queue")
    assert unfit() == "paho-mqtt 2.2.0 has no _packet_queue"
