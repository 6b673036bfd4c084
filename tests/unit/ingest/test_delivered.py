"""What a session's broker marks as delivered again, by packet id."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from dutyroom.backends.mqtt import delivered
from dutyroom.backends.mqtt.delivered import Delivered
from dutyroom.model.telemetry import Message


def told(memory: Delivered, *rows: tuple[int, bytes, bool]) -> list[bool]:
    """The marks that messages with these packet ids (0 = QoS 0) keep."""
    ids: Sequence[bytes] = [number.to_bytes(2, "big") if number else b"" for number, _, _ in rows]
    messages = [Message("fire/1", payload, 1, False, again) for _, payload, again in rows]
    size = sum(len(payload) for _, payload, _ in rows)
    return [message.duplicate for message in memory.told(ids, messages, size)]


def test_the_mark_holds_for_the_same_number_with_the_same_content() -> None:
    memory = Delivered()
    told(memory, (1, b"alarm", False), (2, b"normal", False))
    assert told(memory, (2, b"normal", True), (3, b"alarm", True), (1, b"normal", True)) == [
        True,
        False,
        False,
    ]
    assert told(memory, (3, b"alarm", True)) == [True]  # that one has come by now


def test_the_number_counts_by_what_it_meant_last() -> None:
    memory = Delivered()
    told(memory, (1, b"alarm", False), (1, b"normal", False))
    assert told(memory, (1, b"alarm", True)) == [False]


def test_what_the_process_before_us_had_keeps_its_mark() -> None:
    memory = Delivered()
    assert told(memory, (7, b"alarm", True), (0, b"-", False)) == [True, False]
    assert told(memory, (8, b"alarm", True), (9, b"new", False)) == [True, False]
    assert told(memory, (10, b"alarm", True)) == [False]


def test_what_comes_without_the_mark_ends_that_for_what_comes_behind_it_at_once() -> None:
    """However much of it was read from the socket together."""
    memory = Delivered()
    assert told(memory, (7, b"alarm", True), (9, b"alarm", False), (8, b"alarm", True)) == [
        True,
        False,
        False,
    ]


def test_long_payloads_are_known_by_their_hash_beside_short_ones() -> None:
    memory, long = Delivered(), b"x" * 5_000
    told(memory, (1, long, False), (2, b"short", False))
    assert all(len(message.payload) < 100 for _, run in memory._runs for message in run)
    assert told(memory, (1, long, True), (2, b"short", True), (2, long, True)) == [True, True, False]


def test_it_remembers_a_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivered, "MOST", 10)
    memory = Delivered()
    for number in range(1, 100):
        told(memory, (number, b"m", False))
    assert len(memory._runs) <= 11
    assert told(memory, (99, b"m", True), (90, b"m", True), (50, b"m", True)) == [True, True, False]


@pytest.mark.parametrize("first", [(1, b"normal", False), (1, b"normal", True)])
def test_a_mark_on_what_is_never_sent_again_means_nothing(first: tuple[int, bytes, bool]) -> None:
    """An alarm with QoS 0 that says what one said an hour ago is new, whatever a broker makes of its flags."""
    memory = Delivered()
    assert told(memory, (0, b"alarm", False), first) == [False, first[2]]
    assert told(memory, (0, b"alarm", True), first) == [False, first[2]]
