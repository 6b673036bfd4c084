"""Whatever comes in, the decoder answers and never raises."""

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import tried
from tests.shipped_profiles import shipped_library

from dutyroom.model.telemetry import Kind, Message
from dutyroom.profiles.attempt import NOBODY
from dutyroom.profiles.decode import Decoded, Ignored, Refused
from dutyroom.timebase import from_iso

LIBRARY = shipped_library()
NOW = from_iso("2026-11-01T00:00:10Z")
EXAMPLES = [(e.topic, e.payload) for p in LIBRARY.profiles.values() for e in p.examples]
KEYS = sorted(
    {"id", "value", "batch", "media", "src", "params", "message", "tags", "name", "Time", "ENERGY", "model"}
)

scalars = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20) | st.sampled_from(["", "null", "OFFLINE", "9" * 400, "1e999", "2026-02-30T25:00:00Z"])
)  # fmt: skip
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=8), inner)
    ),
    max_leaves=20,
)
topics = st.sampled_from([t for t, _ in EXAMPLES]) | st.text(max_size=40)


def check(topic: str, payload: bytes) -> None:
    outcome = LIBRARY.decode(Message(topic, payload, NOW), NOBODY, adopt=True)
    assert isinstance(outcome, Decoded | Ignored | Refused)
    if isinstance(outcome, Decoded):
        for reading in outcome.readings:
            assert reading.value == reading.value  # no NaN
            assert abs(reading.value) != float("inf")
            if reading.spec.kind in (Kind.COUNTER, Kind.STATE):
                assert reading.value.is_integer()


@given(topics, st.binary(max_size=200))
@settings(max_examples=tried(75), deadline=None)
def test_random_bytes(topic: str, payload: bytes) -> None:
    check(topic, payload)


@given(topics, documents)
@settings(max_examples=tried(125), deadline=None)
def test_random_json(topic: str, document: object) -> None:
    try:
        payload = orjson.dumps(document)
    except (TypeError, orjson.JSONEncodeError):  # lone surrogates, integers beyond 64 bits
        return
    check(topic, payload)


def replaced(document: object, choose: list[int], with_: object) -> object:
    """The document with one value, found by `choose`, replaced."""
    if choose and isinstance(document, dict) and document:
        key = list(document)[choose[0] % len(document)]
        return {**document, key: replaced(document[key], choose[1:], with_)}
    if choose and isinstance(document, list) and document:
        at = choose[0] % len(document)
        return [replaced(v, choose[1:], with_) if i == at else v for i, v in enumerate(document)]
    return with_


@given(st.sampled_from(EXAMPLES), st.lists(st.integers(0, 30), min_size=1, max_size=6), scalars | documents)
@settings(max_examples=tried(200), deadline=None)
def test_recorded_messages_with_one_value_replaced(
    example: tuple[str, bytes], choose: list[int], value: object
) -> None:
    topic, payload = example
    try:
        document = orjson.loads(payload)
        mutated = orjson.dumps(replaced(document, choose, value))
    except (TypeError, orjson.JSONEncodeError, orjson.JSONDecodeError):
        return
    check(topic, mutated)


@given(st.sampled_from(EXAMPLES), st.integers(0, 10_000), st.integers(0, 255))
@settings(max_examples=tried(75), deadline=None)
def test_recorded_messages_with_one_byte_changed(example: tuple[str, bytes], at: int, byte: int) -> None:
    topic, payload = example
    if payload:
        changed = bytearray(payload)
        changed[at % len(payload)] = byte
        check(topic, bytes(changed))


def test_huge_and_deep_messages_are_contained() -> None:
    many = [{"name": f"n{i}", "value": i} for i in range(3000)]
    huge = orjson.dumps({"tags": many, "node": "a", "group": "b"})
    for topic in {topic for topic, _ in EXAMPLES}:
        check(topic, b'{"a":' * 900 + b"1" + b"}" * 900)
        check(topic, b'{"id":"1","media":"water","total_m3":' + b"9" * 300 + b"}")
        check(topic, huge)
