"""A year as people live it: holidays, and the week-ends worked for them."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from dutyroom.flows.ground import ground_of
from dutyroom.model.workdays import WEEK, DayClass, Workdays
from dutyroom.rules.learner import local_time
from dutyroom.site import load_site
from dutyroom.timebase import DAY, day_start, zone
from dutyroom.topology import Topology

HEAD = "id: s\nname: S\ntime_zone: Asia/Shanghai\n"
SHANGHAI = zone("Asia/Shanghai")
DAYS = st.dates(date(2020, 1, 1), date(2035, 12, 31))


def calendar_of(folder: Path, text: str) -> Workdays:
    (folder / "site.yaml").write_text(HEAD + text, encoding="utf-8")
    return load_site(folder).calendar


def test_national_day_and_the_week_ends_that_pay_for_it(tmp_path: Path) -> None:
    year = calendar_of(
        tmp_path, "calendar: {holidays: [2026-10-01..2026-10-07], workdays: [2026-09-20, 2026-10-10]}\n"
    )
    lived = {day: year.day_class(date(2026, 9, 17) + timedelta(days=day)).value[0] for day in range(25)}
    #                            17 Thu .. 20 Sunday worked ..    1 Oct ..   7 Oct .. 10 Saturday worked, 11 rests
    assert "".join(lived.values()) == "wwrw" + "wwwwwrr" + "www" + "rrrrrrr" + "wwwr"


def test_without_a_calendar_the_week_decides(tmp_path: Path) -> None:
    assert calendar_of(tmp_path, "") == WEEK
    assert [WEEK.day_class(date(2026, 10, day)).value for day in (9, 10, 11, 12)] == [
        "working", "rest", "rest", "working",
    ]  # fmt: skip


@given(DAYS, st.frozensets(DAYS, max_size=20), st.frozensets(DAYS, max_size=20))
def test_a_rule_that_learns_sees_the_same_days(
    day: date, holidays: frozenset[date], worked: frozenset[date]
) -> None:
    calendar = Workdays(holidays, worked)
    local = local_time("Asia/Shanghai", ground_of(Topology(), "Asia/Shanghai", calendar).calendar)
    number = local.local(day_start(day, SHANGHAI)) // DAY
    assert local.rests(number) is (calendar.day_class(day) is DayClass.REST)
    if day in holidays:
        assert local.rests(number)
