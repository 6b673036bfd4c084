"""Messages, tokens and parcels as columns are the sequences that they stand for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dutyroom.backends.mqtt.link import Link, Tokens, acknowledge
from dutyroom.backends.mqtt.waiting import Waiting
from dutyroom.interfaces import Parcel
from dutyroom.model.messages import (
    DUPLICATE,
    RETAINED,
    Messages,
    idents_of,
    marked,
    payloads_of,
    sessions_of,
    times_of,
    topics_of,
)
from dutyroom.model.telemetry import Message

MESSAGES = st.lists(
    st.builds(
        Message,
        st.sampled_from(["a", "b/c", "水表/1"]),
        st.binary(max_size=4),
        st.integers(0, 1 << 41),
        st.sampled_from([False, False, False, True]),
        st.sampled_from([False, False, False, True]),
        st.sampled_from(["", "s"]),
        st.sampled_from([b"", b"\0\1"]),
    ),
    max_size=12,
)
PLACES = st.one_of(st.none(), st.integers(-14, 14))
SLICES = st.builds(slice, PLACES, PLACES, st.sampled_from([None, 1, 1, 2, -1]))


@given(MESSAGES, SLICES)
def test_columns_are_a_sequence_of_the_same_messages(some: list[Message], part: slice) -> None:
    columns = Messages.of(some)
    assert (len(columns), list(columns), [columns[n] for n in range(len(some))]) == (len(some), some, some)
    assert [columns[-n] for n in range(1, len(some) + 1)] == some[::-1]
    assert isinstance(columns[part], Messages)
    assert columns[part] == some[part]
    for column in (topics_of, payloads_of, sessions_of, idents_of):
        assert column(columns) == column(some)
    assert times_of(columns).tolist() == times_of(some).tolist()
    for marks in (RETAINED, DUPLICATE, RETAINED | DUPLICATE):
        assert marked(columns, marks) == marked(some, marks)


@given(st.lists(st.tuples(MESSAGES, st.booleans()), max_size=4))
def test_columns_are_joined_with_columns_or_with_messages(parts: list[tuple[list[Message], bool]]) -> None:
    given_parts = [Messages.of(part) if whole else part for part, whole in parts]
    assert Messages.joined(given_parts) == [message for part, _ in parts for message in part]


RUNS = st.lists(
    st.tuples(st.integers(0, 1), st.lists(st.sampled_from([b"", b"\0\1", b"\0\2", b"\1\0\2"]), max_size=5)),
    max_size=5,
)


@given(RUNS, SLICES)
def test_what_is_acknowledged_in_columns_is_what_its_tokens_say(
    runs: list[tuple[int, list[bytes]]], part: slice
) -> None:
    sent: list[tuple[int, list[bytes]]] = []
    links = [Link(lambda ids, n=n: sent.append((n, list(ids)))) for n in range(2)]  # type: ignore[misc]
    tokens = Tokens([(links[n], ids) for n, ids in runs])
    listed = list(tokens)
    assert [(t.link, t.ident) for t in tokens[part]] == [(t.link, t.ident) for t in listed[part]]
    assert [tokens[n].ident for n in range(len(tokens))] == [t.ident for t in listed]
    flat: list[list[tuple[int, bytes]]] = []
    for some in (tokens, listed):
        acknowledge(some)
        flat.append([(number, ident) for number, ids in sent for ident in ids])
        sent.clear()
    assert flat[0] == flat[1] == [(links.index(t.link), t.ident) for t in listed if t.ident]


@given(st.lists(MESSAGES, max_size=5), st.lists(st.integers(1, 9), min_size=1, max_size=40))
def test_what_waits_is_taken_in_parcels_of_any_size(runs: list[list[Message]], sizes: list[int]) -> None:
    waiting, link = Waiting(), Link(lambda ids: None)
    every = [message for run in runs for message in run]
    idents = [b"%02d" % n for n in range(len(every))]
    put = 0
    for number, run in enumerate(runs):
        ids = idents[put : put + len(run)]
        waiting.put(link, ids, Messages.of(run) if number % 2 else run, 1)
        put += len(run)
    pairs: list[tuple[object, Message]] = []
    for size in [*sizes, len(every)]:
        with waiting.changed:
            parcel = waiting.pop(size)
        assert len(parcel) == len(parcel.tokens) == len(parcel.messages) <= size
        assert parcel == list(parcel) == [parcel[n] for n in range(len(parcel))]
        assert parcel[1:] == list(parcel)[1:]
        pairs += parcel
    assert ([message for _, message in pairs], waiting.count) == (every, 0)
    assert [token.ident for token, _ in pairs] == idents  # type: ignore[attr-defined]


def test_a_parcel_of_pairs_is_the_pairs() -> None:
    pairs = [(n, Message("t", b"%d" % n, n)) for n in range(3)]
    assert Parcel.of(pairs) == pairs
    assert Parcel.of(parcel := Parcel.of(pairs[:1])) is parcel
    assert not Parcel()
