"""When a message is sent, tried again or given up: decisions without clock or database."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from dutyroom.errors import Rejected, Unavailable
from dutyroom.flows.notify import MAX_ATTEMPTS, Reason, after_failure, after_success, due, messages_to
from dutyroom.model.duty import OutboxRow, OutboxState, Person, Role
from dutyroom.timebase import MINUTE, SECOND

NOW = 1_790_000_000_000
ROW = OutboxRow(
    7, "s", "wang|a|raised", "wang", "json://u:secret@host/", "k", {}, OutboxState.PENDING, NOW, NOW
)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (ROW, Reason.FIRST),
        (replace(ROW, attempts=1), Reason.AGAIN),
        (replace(ROW, next_at=NOW + 1), None),
        (replace(ROW, state=OutboxState.SENT), None),
        (replace(ROW, state=OutboxState.FAILED), None),
    ],
)
def test_due(row: OutboxRow, reason: Reason | None) -> None:
    assert due(row, NOW) is reason


def test_waits_double_up_to_half_an_hour() -> None:
    row, waits = ROW, []
    for _ in range(MAX_ATTEMPTS - 1):
        row = after_failure(row, Unavailable("no answer"), NOW)
        assert row.state is OutboxState.PENDING
        waits.append(row.next_at - NOW)
    for wait, base in zip(waits, (30, 60, 120, 240, 480, 960, 1800), strict=True):
        assert 0.75 * base * SECOND <= wait <= 1.25 * base * SECOND
    last = after_failure(row, Unavailable("no answer"), NOW)
    assert (last.state, last.attempts, last.last_error) == (OutboxState.FAILED, MAX_ATTEMPTS, "no answer")


def test_the_wait_is_the_same_for_a_row_and_another_for_another() -> None:
    error = Unavailable("no answer")
    assert after_failure(ROW, error, NOW) == after_failure(ROW, error, NOW)
    others = {after_failure(replace(ROW, dedupe=str(n)), error, NOW).next_at for n in range(20)}
    assert len(others) > 15


def test_what_is_refused_is_given_up_at_once() -> None:
    assert after_failure(ROW, Rejected("wrong address"), NOW).state is OutboxState.FAILED


def test_an_error_never_shows_the_address() -> None:
    failed = after_failure(ROW, Unavailable(f"cannot reach {ROW.url} now"), NOW)
    assert failed.last_error == "cannot reach … now"


@pytest.mark.parametrize(
    ("url", "error", "shown"),
    [
        ("tgram://123456:AAbbCC/7788", "401 for bot123456:AAbbCC", "401 for bot…"),
        ("json://u:p%40ssword@host.example/hook-4711?x=sesame", "p@ssword, hook-4711, sesame", "…, …, …"),
        (
            "mailto://u:geheim@mail.example.org?from=a@b.org",
            "no answer from the server",
            "no answer from the server",
        ),
        ("dingtalk://token-0815", "dingtalk: no such robot token-0815", "dingtalk: no such robot …"),
    ],
)
def test_no_part_of_an_address_is_shown_in_an_error(url: str, error: str, shown: str) -> None:
    last = after_failure(replace(ROW, url=url), Unavailable(error), NOW).last_error
    assert re.sub("…(:…)+", "…", last) == shown


def test_success() -> None:
    sent = after_success(replace(ROW, attempts=2, last_error="no answer"), NOW + MINUTE)
    assert (sent.state, sent.sent_at, sent.attempts, sent.last_error) == (
        OutboxState.SENT,
        NOW + MINUTE,
        3,
        "",
    )


def test_one_row_for_each_contact_of_each_person() -> None:
    wang = Person(1, "s", "wang", "王工", Role.OPERATOR, "zh-CN", contacts=("mailto://a", "json://b"))
    nobody = Person(2, "s", "li", "李工", Role.OPERATOR, "zh-CN")
    rows = messages_to([wang, nobody], "alarm:7", "raised", "message.x", {"n": 1}, NOW)
    assert [(r.dedupe, r.url) for r in rows] == [
        ("wang|alarm:7|raised", "mailto://a"),
        ("wang|alarm:7|raised|1", "json://b"),
    ]
    assert {(r.site, r.person, r.state, r.next_at) for r in rows} == {("s", "wang", OutboxState.PENDING, NOW)}
