"""What a broker delivers again keeps its first receipt, however much of it there is."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dutyroom.flows.loops import IngestWork
from dutyroom.flows.receipt_window import WINDOW
from dutyroom.flows.receipts import Receipts
from dutyroom.model.messages import Messages
from dutyroom.model.telemetry import Message
from dutyroom.timebase import HOUR

Row = tuple[str, bytes, bool]


def message(topic: str, payload: bytes, at: int, again: bool = False) -> Message:
    return Message(topic, payload, at, duplicate=again)


def slowly(recent: list[Message], new: list[Message]) -> list[tuple[int, bool]]:
    """The same by looking through all that came before, one by one."""
    seen, out, last = [(m.topic, m.payload, m.received_at) for m in recent], [], dict[str, int]()
    for m in new:
        found = next((s for s in seen if s[:2] == (m.topic, m.payload)), None) if m.duplicate else None
        at = m.received_at
        if found is not None:
            seen.remove(found)
            at = found[2]
        else:
            at = max(at, last.get(m.topic, 0) + 1)
            last[m.topic] = at
        seen.append((m.topic, m.payload, at))
        out.append((at, found is not None))
    return out


ROWS = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([b"1", b"2", b"x" * 600]), st.booleans()))


@given(ROWS, ROWS)
def test_each_is_matched_once_oldest_first(before: list[Row], now: list[Row]) -> None:
    receipts = Receipts([])
    first = receipts.of([message(t, p, 1_000 + n) for n, (t, p, _) in enumerate(before)])
    receipts.commit()
    given_now = [message(t, p, 9_000 + 10 * n, again) for n, (t, p, again) in enumerate(now)]
    found = receipts.of(given_now)
    assert [(m.received_at, m.duplicate) for m in found] == [
        (at, again) for at, again in slowly(first, given_now)
    ]


COLUMNS = st.lists(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 4), st.integers(0, 30)), max_size=9),
    max_size=5,
)


@given(COLUMNS, st.integers(1, 6), st.booleans())
def test_columns_have_the_receipts_of_messages_one_by_one(
    takes: list[list[tuple[str, int, int]]], spread: int, numbered: bool
) -> None:
    """In the order of the clock or not, two in a millisecond or not, some of them delivered again."""
    before = [panel(2, b"1", 900, session="here"), panel(1, b"2", 950, session="here")] if numbered else []
    quick, slow, at = Receipts(before), Receipts(before), 1_000
    for take in takes:
        some = []
        for topic, step, odd in take:
            at += step if odd else -step
            came = ("here", b"\0%c" % (odd % 3)) if numbered else ("", b"")
            some.append(Message(topic, b"%d" % (odd % 3), at * 6 // spread, False, odd == 30, *came))
        found = [receipts.of(given) for receipts, given in ((quick, Messages.of(some)), (slow, some))]
        assert list(found[0]) == list(found[1])
        assert len({(m.topic, m.received_at) for m in found[0] if not m.duplicate}) == len(
            [m for m in found[0] if not m.duplicate]
        )
        quick.commit()
        slow.commit()
    repeated = [
        replace(m, duplicate=True, received_at=9_999)
        for m in quick._window("here" if numbered else "", False)._recent
    ]
    assert list(quick.of(repeated)) == list(slow.of(repeated))


@given(COLUMNS, st.integers(1, 6), st.integers(1, 4), st.booleans())
def test_what_could_not_be_committed_has_the_same_receipts_however_often_it_is_tried(
    takes: list[list[tuple[str, int, int]]], spread: int, tries: int, whole: bool
) -> None:
    """The disk was full for an hour: each try in vain had moved what came then by a millisecond."""
    once, often, at = Receipts([]), Receipts([]), 1_000
    for take in takes:
        some = []
        for topic, step, odd in take:
            at += step
            some.append(Message(topic, b"%d" % (odd % 3), at // spread, False, odd == 30))
        held = Messages.of(some)
        for _ in range(tries):
            often.begin()
            often.of(held if whole else held[: len(held) // 2])
        once.begin()
        often.begin()
        assert list(often.of(held)) == list(once.of(held))
        once.commit()
        often.commit()


def test_a_window_has_the_last_messages_in_whatever_pieces_they_came() -> None:
    receipts, all_of_them = Receipts([]), []
    for take in range(5):
        some = [message(f"m/{n}", b"%d" % take, 1_000 + take) for n in range(3_700)]
        receipts.of(Messages.of(some))
        receipts.commit()
        all_of_them += some
    assert list(receipts._window("", False)._recent) == all_of_them[-WINDOW:]
    again = [replace(m, duplicate=True, received_at=9_000) for m in all_of_them[-5_000:]]
    assert [m.received_at for m in receipts.of(Messages.of(again))] == [
        m.received_at for m in all_of_them[-5_000:]
    ]


def test_a_whole_backlog_that_comes_again_is_matched_in_no_time() -> None:
    """In two to six times what it takes to make its messages; each looked for among all the others: in 500 times."""
    receipts = Receipts([])
    began = time.process_time()
    some = [message(f"m/{n}", b"%d" % n, 1_000) for n in range(WINDOW)]
    receipts.of(some)
    receipts.commit()
    again = [message(f"m/{n}", b"%d" % n, 5_000, True) for n in range(WINDOW + 2_000)]
    made = time.process_time() - began
    found = receipts.of(again)
    matched = time.process_time() - began - made
    assert matched < 100 * made
    assert [m.received_at for m in found[:WINDOW]] == [1_000] * WINDOW
    assert found[WINDOW].received_at >= 5_000


def test_all_that_is_acknowledged_at_once_may_come_again() -> None:
    assert IngestWork.LIMIT < WINDOW


def test_what_an_earlier_process_had_acknowledged_long_before_it_ended_is_not_taken_for_what_comes_now() -> (
    None
):
    """A panel without a clock: "alarm" at ten, and again at two, on its way when the process was killed."""
    ten, two = 10 * HOUR, 14 * HOUR
    before = [message("panel", b"alarm", ten), message("meter", b"7", two - 5_000)]
    receipts = Receipts(before)
    (alarm, meter, retained) = receipts.of(
        [
            message("panel", b"alarm", two, True),
            message("meter", b"7", two + 1, True),
            Message("panel", b"alarm", two + 2, retained=True),
        ]
    )
    assert alarm.received_at == two  # new: nothing that was acknowledged hours ago comes again
    assert (meter.received_at, meter.duplicate) == (two - 5_000, True)
    assert retained.received_at in (ten, two)  # what a broker keeps is no news, however old


@pytest.mark.parametrize("flags", [{"retained": True}, {"duplicate": True}])
def test_what_a_broker_kept_for_hours_widens_nothing(flags: dict[str, bool]) -> None:
    """The last that the journal has had first come at ten, and keeps that time."""
    ten, two = 10 * HOUR, 14 * HOUR
    told = Message("gate", b"open", ten, **flags)
    receipts = Receipts([message("panel", b"alarm", two - HOUR), message("meter", b"7", two - 5_000), told])
    again = [message("panel", b"alarm", two, True), message("meter", b"7", two + 1, True)]
    assert [m.received_at for m in receipts.of(again)] == [two, two - 5_000]


def panel(number: int, payload: bytes, at: int, again: bool = False, session: str = "panels") -> Message:
    """By packet id, as a broker's session gives it."""
    return Message("panel", payload, at, False, again, session, number.to_bytes(2, "big"))


def restarted(journal: Sequence[Message], *came: Message) -> list[tuple[int, bool]]:
    receipts = Receipts(journal)
    found: list[Message] = []
    for message in came:  # each in a batch of its own, and handled once more as after a commit that failed
        receipts.of([replace(message, received_at=message.received_at - 1)])
        receipts.begin()
        found += receipts.of([message])
        receipts.commit()
    return [(m.received_at, m.duplicate) for m in found]


BEFORE = [panel(1, b"alarm", 1_000), panel(2, b"normal", 2_000)]


def test_an_alarm_on_its_way_when_the_process_was_killed_is_not_the_one_of_a_moment_before() -> None:
    assert restarted(BEFORE, panel(3, b"alarm", 9_000, True)) == [(9_000, False)]
    assert restarted(BEFORE, panel(2, b"normal", 9_000, True), panel(3, b"alarm", 9_001, True)) == [
        (2_000, True),
        (9_001, False),
    ]


def test_what_came_to_the_new_process_alone_is_known_when_it_comes_once_more() -> None:
    came = [panel(3, b"alarm", 9_000, True), panel(3, b"alarm", 9_500, True)]
    assert restarted(BEFORE, *came) == [(9_000, False), (1_000, True)]  # either is stored


def test_an_alarm_on_its_way_when_the_line_was_cut_is_not_the_one_of_a_moment_before() -> None:
    """The line is put up again by new sessions: what waited to be taken from the old ones comes once more."""
    came = [panel(3, b"normal", 9_000), panel(4, b"alarm", 9_100, True), panel(4, b"alarm", 9_500, True)]
    assert restarted(BEFORE, *came) == [(9_000, False), (9_100, False), (1_000, True)]


@pytest.mark.parametrize("together", [True, False])
def test_two_alarms_that_are_the_first_to_come_at_all_are_two(together: bool) -> None:
    """A new journal, and a broker that had sent both to the process before us: marked, each with its own number."""
    receipts = Receipts([])
    came = [panel(3, b"alarm", 9_000, True), panel(4, b"alarm", 9_100, True), panel(4, b"alarm", 9_200, True)]
    found: list[Message] = []
    for take in [came] if together else [[message] for message in came]:
        found += receipts.of(take)
        receipts.commit()
    assert [(m.received_at, m.duplicate) for m in found][:2] == [(9_000, False), (9_100, False)]
    assert found[2].duplicate


def test_a_long_message_and_its_repetition_in_one_take_are_one() -> None:
    receipts, long = Receipts(BEFORE), b"x" * 600
    taken = [panel(3, long, 9_000), panel(3, long, 9_001, True), panel(4, long, 9_002, True)]
    between = Message("meter", b"1", 9_003, session="meters")
    found = receipts.of([*taken, between, panel(4, long, 9_004, True)])
    assert [(m.received_at, m.duplicate) for m in found if m.topic == "panel"] == [
        (9_000, False),
        (9_000, True),
        (9_002, False),
        (9_000, True),
    ]


def test_where_some_of_the_last_have_no_packet_id_the_words_decide() -> None:
    mixed = [*BEFORE, message("meter", b"7", 3_000)]
    assert restarted(mixed, panel(3, b"alarm", 9_000, True)) == [(1_000, True)]
    assert restarted(mixed, panel(3, b"fault", 9_000, True)) == [(9_000, False)]
    long_ago = [message("meter", b"7", 3_000), *(m for m in BEFORE)]
    assert restarted(long_ago, panel(3, b"alarm", 9_000, True)) == [(1_000, True)]


def test_another_brokers_traffic_pushes_nothing_out() -> None:
    receipts = Receipts([])
    receipts.of([panel(7, b"alarm", 1_000, session="away")])
    receipts.commit()
    for start in range(0, 2 * WINDOW, 5_000):
        receipts.of([Message(f"m/{n}", b"1", 2_000 + n, session="here") for n in range(start, start + 5_000)])
        receipts.commit()
    both = [panel(7, b"alarm", 90_000, True, "away"), Message("m/1", b"2", 90_000, session="here")]
    assert [m.received_at for m in receipts.of(both)] == [1_000, 90_000]


def test_a_quiet_session_takes_no_more_memory_with_each_batch_of_the_others() -> None:
    receipts = Receipts([])
    receipts.of([panel(7, b"normal", 1_000)])
    receipts.commit()
    for n in range(100):
        receipts.of(Messages.of([Message("meter", b"%d" % n, 2_000 + n, session="meters")]))
        receipts.commit()
    assert len(receipts._window("panels", False)._recent._pieces) == 1


def test_two_sessions_in_one_take_keep_their_order() -> None:
    receipts = Receipts([])
    taken = [panel(n, b"%d" % n, 5_000, session="ab"[n // 2 % 2]) for n in range(8)]
    found = receipts.of(taken)
    assert [m.payload for m in found] == [m.payload for m in taken]
    assert [m.received_at for m in found] == list(range(5_000, 5_008))  # of one topic, whoever brought it


def test_what_came_after_the_clock_was_set_back_an_hour_is_known() -> None:
    before = [
        message("meter", b"6", 14 * HOUR),
        message("meter", b"7", 13 * HOUR),
        message("meter", b"8", 13 * HOUR + 9),
    ]
    receipts = Receipts(before)
    found = receipts.of([message("meter", b"7", 13 * HOUR + 5_000, True)])
    assert [(m.received_at, m.duplicate) for m in found] == [(13 * HOUR, True)]
