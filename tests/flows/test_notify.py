"""The outbox at work: real records, a channel that the test holds in its hand."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dutyroom.backends.records_sql import open_records
from dutyroom.errors import Rejected, Unavailable
from dutyroom.flows.notify import MAX_ATTEMPTS, Notifier, messages_to
from dutyroom.interfaces import Records
from dutyroom.model.duty import Arguments, OutboxRow, OutboxState, Person, Role
from dutyroom.timebase import HOUR, MINUTE, Ms

NOW = 1_790_000_000_000


class Hand:
    """A channel that notes what it sends, and fails as it is told. Thread-safe."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str]] = []
        self.trouble: dict[str, Exception] = {}
        self.meet: threading.Barrier | None = None
        self._lock = threading.Lock()

    def send(self, url: str, title: str, body: str) -> None:
        if self.meet is not None:
            self.meet.wait(5)
        if url in self.trouble:
            raise self.trouble[url]
        with self._lock:
            self.sent.append((url, title, body))


class Still:
    at: Ms = NOW

    def now(self) -> Ms:
        return self.at


def words(site: str, key: str, arguments: Arguments, language: str) -> tuple[str, str]:
    if key == "broken":
        raise Rejected("no such site")
    return f"{site} {key}", f"{language or 'site'} {dict(arguments)}"


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    opened = open_records(f"sqlite:///{tmp_path}/records.sqlite")
    with opened.write() as tx:
        tx.people.upsert(person("wang", "json://wang"))
    yield opened
    opened.close()


def person(login: str, *contacts: str, language: str = "en", active: bool = True) -> Person:
    return Person(0, "s", login, login, Role.OPERATOR, language, contacts=contacts, active=active)


def put(records: Records, *people: Person, key: str = "alarm.burst") -> None:
    with records.write() as tx:
        for row in messages_to(people, "alarm:7", "raised", key, {"value": 4.8}, NOW):
            assert tx.outbox.insert(row)


def rows(records: Records) -> list[OutboxRow]:
    with records.read() as tx:
        return sorted(tx.outbox.search("s"), key=lambda row: row.id)


def test_a_message_is_sent_once_in_the_language_of_its_reader(records: Records) -> None:
    hand = Hand()
    notifier = Notifier(records, hand, Still(), words)
    put(records, person("wang", "json://wang"), person("unknown", "json://x"))
    assert notifier.run_due(NOW) == 2
    assert sorted(hand.sent) == [
        ("json://wang", "s alarm.burst", "en {'value': 4.8}"),
        ("json://x", "s alarm.burst", "site {'value': 4.8}"),
    ]
    assert [(r.state, r.sent_at, r.attempts) for r in rows(records)] == [(OutboxState.SENT, NOW, 1)] * 2
    assert notifier.run_due(NOW + HOUR) == 0
    assert len(hand.sent) == 2
    with records.read() as tx:
        assert [c.kind for c in tx.changes(0)] == ["outbox", "outbox"]


def test_a_server_that_does_not_answer_is_tried_again(records: Records) -> None:
    hand, clock = Hand(), Still()
    hand.trouble["json://wang"] = Unavailable("no answer")
    notifier = Notifier(records, hand, clock, words)
    put(records, person("wang", "json://wang"))
    assert notifier.run_due(NOW) == 0
    (row,) = rows(records)
    assert (row.state, row.attempts, row.last_error) == (OutboxState.PENDING, 1, "no answer")
    assert NOW < row.next_at <= NOW + MINUTE
    assert notifier.run_due(NOW + 1) == 0
    assert rows(records) == [row]  # not yet
    hand.trouble.clear()
    clock.at = row.next_at
    assert notifier.run_due(clock.at) == 1
    assert rows(records)[0].state is OutboxState.SENT


def test_after_the_last_attempt_it_is_given_up_and_seen(records: Records) -> None:
    hand, clock = Hand(), Still()
    hand.trouble["json://wang"] = Unavailable("no answer")
    notifier = Notifier(records, hand, clock, words)
    put(records, person("wang", "json://wang"))
    for _ in range(MAX_ATTEMPTS + 3):
        notifier.run_due(clock.at)
        clock.at += HOUR
    (row,) = rows(records)
    assert (row.state, row.attempts, row.last_error) == (OutboxState.FAILED, MAX_ATTEMPTS, "no answer")


def test_one_bad_row_does_not_keep_the_others(records: Records) -> None:
    hand = Hand()
    hand.trouble["json://bad"] = Rejected("wrong address")
    notifier = Notifier(records, hand, Still(), words)
    put(records, person("wang", "json://bad", "json://wang"))
    put(records, person("li", "json://li"), key="broken")
    assert notifier.run_due(NOW) == 1
    assert [(r.state, r.last_error) for r in rows(records)] == [
        (OutboxState.FAILED, "wrong address"),
        (OutboxState.SENT, ""),
        (OutboxState.FAILED, "no such site"),
    ]


def test_who_has_left_gets_nothing(records: Records) -> None:
    hand = Hand()
    put(records, person("wang", "json://wang"))
    with records.write() as tx:
        tx.people.upsert(person("wang", "json://wang", active=False))
    assert Notifier(records, hand, Still(), words).run_due(NOW) == 0
    assert (hand.sent, rows(records)[0].state) == ([], OutboxState.FAILED)


def test_two_runners_never_send_one_row_both(records: Records) -> None:
    hand = Hand()
    put(records, *(person(f"p{n}", f"json://{n}") for n in range(20)))
    runners = [Notifier(records, hand, Still(), words) for _ in range(3)]
    threads = [threading.Thread(target=runner.run_due, args=(NOW,)) for runner in runners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(url for url, _, _ in hand.sent) == sorted(f"json://{n}" for n in range(20))
    assert {(r.state, r.attempts) for r in rows(records)} == {(OutboxState.SENT, 1)}


def test_a_slow_server_keeps_nobody_else_waiting(records: Records) -> None:
    hand = Hand()
    hand.meet = threading.Barrier(2)  # both are in the channel at once, or neither gets out
    put(records, person("wang", "json://1"), person("li", "json://2"))
    assert Notifier(records, hand, Still(), words).run_due(NOW) == 2


def test_a_runner_that_died_after_its_claim_loses_nothing(records: Records) -> None:
    hand = Hand()
    put(records, person("wang", "json://wang"))
    with records.write() as tx:
        (row,) = tx.outbox.due(NOW)
        assert tx.outbox.claim(row, NOW + 3 * MINUTE)
    notifier = Notifier(records, hand, Still(), words)
    assert notifier.run_due(NOW + 1) == 0
    assert notifier.run_due(NOW + 3 * MINUTE) == 1


def test_the_test_button_sends_now_and_shows_the_error(records: Records) -> None:
    hand = Hand()
    notifier = Notifier(records, hand, Still(), words)
    notifier.test("json://me", "s", "en")
    assert hand.sent == [("json://me", "s message.test", "en {'by': ''}")]
    hand.trouble["json://me"] = Rejected("wrong address")
    with pytest.raises(Rejected, match="wrong address"):
        notifier.test("json://me")


def test_what_is_long_past_is_given_up_and_seen_instead_of_flooding(records: Records) -> None:
    """The notifier was off for a day: what is fresh is sent, what is old is listed as failed."""
    hand, clock = Hand(), Still()
    put(records, *(person(f"p{n}", f"json://{n}") for n in range(5)))
    clock.at = NOW + 24 * HOUR
    with records.write() as tx:
        (row,) = messages_to(
            [person("wang", "json://wang")], "alarm:8", "raised", "alarm.burst", {}, clock.at - HOUR
        )
        assert tx.outbox.insert(row)
    assert Notifier(records, hand, clock, words).run_due(clock.at) == 1
    assert [url for url, _, _ in hand.sent] == ["json://wang"]
    assert [(r.state, "not sent in time" in r.last_error) for r in rows(records)] == [
        *[(OutboxState.FAILED, True)] * 5,
        (OutboxState.SENT, False),
    ]


def test_a_notifier_leaves_the_messages_of_other_sites_alone(records: Records) -> None:
    """Two processes on one database, each serves one site and has words for it alone."""

    def of(served: str) -> Notifier:
        def render(site: str, key: str, arguments: Arguments, language: str) -> tuple[str, str]:
            if site != served:
                raise Rejected(f"the site {site!r} is not served here")
            return words(site, key, arguments, language)

        return Notifier(records, hand, Still(), render, {served})

    hand = Hand()
    put(records, person("wang", "json://wang"))
    assert of("other").run_due(NOW) == 0
    assert rows(records)[0].state is OutboxState.PENDING
    assert of("s").run_due(NOW) == 1


def test_a_claim_counts_from_when_it_is_made(records: Records) -> None:
    """Rows before it took two minutes: another notifier still does not take it over."""
    hand, clock = Hand(), Still()
    put(records, person("wang", "json://wang"))
    other = Notifier(records, hand, Still(), words)
    taken: list[int] = []

    class Slow:
        def send(self, url: str, title: str, body: str) -> None:
            taken.append(other.run_due(NOW + 4 * MINUTE))

    clock.at = NOW + 2 * MINUTE  # by now
    assert Notifier(records, Slow(), clock, words).run_due(NOW) == 1
    assert (taken, hand.sent) == ([0], [])


def test_a_bug_with_one_message_is_counted_and_stops_no_other(records: Records) -> None:
    hand = Hand()
    hand.trouble["json://bad"] = KeyError("secret")
    put(records, person("wang", "json://bad", "json://wang"))
    assert Notifier(records, hand, Still(), words).run_due(NOW) == 1
    assert [(r.state, r.attempts, r.last_error) for r in rows(records)] == [
        (OutboxState.PENDING, 1, "KeyError"),
        (OutboxState.SENT, 1, ""),
    ]
