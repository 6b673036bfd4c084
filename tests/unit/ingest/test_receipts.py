"""What a broker delivers again keeps its first receipt, however much of it there is."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from dutyroom.flows.loops import IngestWork
from dutyroom.flows.receipts import WINDOW, Receipts
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
        (at, again or m.duplicate) for (at, again), m in zip(slowly(first, given_now), given_now, strict=True)
    ]


def test_a_whole_backlog_that_comes_again_is_matched_in_no_time() -> None:
    receipts = Receipts([])
    some = [message(f"m/{n}", b"%d" % n, 1_000) for n in range(WINDOW)]
    receipts.of(some)
    receipts.commit()
    again = [message(f"m/{n}", b"%d" % n, 5_000, True) for n in range(WINDOW + 2_000)]
    began = time.process_time()
    found = receipts.of(again)
    assert time.process_time() - began < 1.0  # each looked for among all the others: ten seconds and more
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
