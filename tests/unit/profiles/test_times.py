"""Device time in every form met."""

from zoneinfo import ZoneInfo

import pytest

from dutyroom.errors import Rejected
from dutyroom.profiles.times import MAX_REMEMBERED, plausible, reader, remembering
from dutyroom.timebase import DAY, HOUR, from_iso

SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        ("2022-07-18T09:34:15.775023242+00:00", "2022-07-18T09:34:15.775Z"),
        ("2020-04-03T14:35:33.287875110Z", "2020-04-03T14:35:33.287Z"),
        ("2026-09-08T07:42:18-04:00", "2026-09-08T11:42:18Z"),
        ("2019-03-20 12:57", "2019-03-20T04:57:00Z"),
        ("2021-02-05T10:49:50", "2021-02-05T02:49:50Z"),
        ("2021-08-10 10:28:32 PDT", "2021-08-10T17:28:32Z"),
        ("2026-11-01 08:00:00 CST", "2026-11-01T00:00:00Z"),
        ("2026-10-24T24:00:00Z", "2026-10-25T00:00:00Z"),
        ("2026-10-24 24:00", "2026-10-24T16:00:00Z"),
        ("2026/10/25 08:02:03", "2026-10-25T00:02:03Z"),
        ("2026-10-25 01:02:03 +0000 UTC", "2026-10-25T01:02:03Z"),
        ("2026-10-25 01:02:03.5 +0800 CST", "2026-10-24T17:02:03.5Z"),
        ("2020-05-12T13:54:09[Europe/Brussels]", "2020-05-12T11:54:09Z"),
        ("2020-05-12T13:54:09+02:00[Europe/Brussels]", "2020-05-12T11:54:09Z"),
        ("Wed, 16 Dec 2020 11:22:33 GMT", "2020-12-16T11:22:33Z"),
        ("Wed, 16 Dec 2020 11:22:33 +0100", "2020-12-16T10:22:33Z"),
        (1661517385.44, "2022-08-26T12:36:25.440Z"),
        (1647497389075, "2022-03-17T06:09:49.075Z"),
        ("1710000000123", "2024-03-09T16:00:00.123Z"),
        (1710000000, "2024-03-09T16:00:00Z"),
        (1710000000123456, "2024-03-09T16:00:00.123Z"),
        (1710000000123456789, "2024-03-09T16:00:00.123Z"),
    ],
)
def test_auto_reads(value: object, instant: str) -> None:
    assert reader("auto", SHANGHAI)(value) == from_iso(instant)


@pytest.mark.parametrize(
    "value",
    [None, True, "", "@0.177168s", "soon", "99:99", "2026-13-01", [], {}, float("inf"), float("nan"), 10**400,
     "9" * 400, "2026-11-01 08:00:00 ABCDE", "0000-00-00 00:00:00",
     "2026-10-24T24:00:01Z", "2026-10-24T25:00:00Z", "2026/13/45", "2020-05-12T13:54:09[No/Where]", "[x]", "Wed, 16 Dec", ",", "Wed, 99 Dec 2020 11:22:33 GMT"],
)  # fmt: skip
def test_what_is_no_time_is_none(value: object) -> None:
    for form in ("auto", "epoch_s", "epoch_ms", "%Y-%m-%d"):
        assert reader(form, SHANGHAI)(value) is None


def test_a_pattern_reads_local_time() -> None:
    assert reader("%d.%m.%y %H:%M", SHANGHAI)("13.12.21 14:22") == from_iso("2021-12-13T14:22:00+08:00")


@pytest.mark.parametrize("around", [" ", "\t", "\x1f", "\x1c", "\u2003", "\u0085"])
def test_blanks_and_separators_around_a_number_are_no_part_of_it(around: str) -> None:
    for number in ("1793491200", "1793491200.5", "-5"):
        for form in ("epoch_s", "auto"):
            read = reader(form, SHANGHAI)
            assert read(f"{around}{number}{around}") == read(number) is not None


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(Rejected, match="unknown time format 'epoch'"):
        reader("epoch", SHANGHAI)


def test_zone_letters_decide_an_ambiguous_hour() -> None:
    read = reader("auto", ZoneInfo("America/Los_Angeles"))
    first, second = read("2026-11-01 01:30:00 PDT"), read("2026-11-01 01:30:00 PST")
    assert first == from_iso("2026-11-01T08:30:00Z")
    assert second == from_iso("2026-11-01T09:30:00Z")


def test_plausible_from_ten_years_back_to_one_hour_ahead() -> None:
    now = from_iso("2026-11-01T00:00:00Z")
    assert plausible(now + HOUR, now)
    assert not plausible(now + HOUR + 1, now)
    assert plausible(now - 3650 * DAY, now)
    assert not plausible(from_iso("1970-01-01T00:33:28Z"), now)
    assert not plausible(1610, now)


def test_times_that_come_again_are_read_once_and_not_kept_without_end() -> None:
    asked: list[object] = []

    def read(value: object) -> int | None:
        asked.append(value)
        return int(str(value)) if str(value).isdigit() else None

    look = remembering(read)
    assert [look("17"), look("17"), look("never"), look("never"), look(17), look(17)] == [
        17,
        17,
        None,
        None,
        17,
        17,
    ]
    assert asked == ["17", "never", 17, 17]
    assert all(look(str(n)) == n for n in range(2 * MAX_REMEMBERED))
    assert look("9" * 65) == look("9" * 65) == int("9" * 65)
    assert asked[-2:] == ["9" * 65] * 2
