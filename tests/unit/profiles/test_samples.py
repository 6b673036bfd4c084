"""Recorded messages of other people's devices give every value that their sources state, and no change makes it worse.

DUTYROOM_SAMPLES=FILE tries a larger collection too.
"""

from pathlib import Path

import pytest
from tests.samples_table import OWN, PAGE, larger, markdown, on_page, records, replayed, right

TEXT = PAGE.read_text(encoding="utf-8")


def test_the_shipped_messages_give_every_stated_value() -> None:
    rows = replayed(OWN)
    assert len(rows) == len(records(OWN)) > 90
    assert [(r.id, r.problem) for r in rows if not r.ok] == []
    assert markdown(rows) == on_page("shipped", TEXT), "python -m tests.samples_table --write"


def test_the_page_says_that_95_of_100_are_right_in_the_larger_collection() -> None:
    table = on_page("larger", TEXT)
    sent = sum(int(line.split("|")[2]) for line in table.splitlines()[2:-1])
    assert sum(right(table).values()) - right(table).get("all", 0) >= 0.95 * sent


def test_a_larger_collection_is_not_worse_than_its_table() -> None:
    file = larger()
    if file is None:
        pytest.skip("DUTYROOM_SAMPLES names no larger collection: most of it may not be passed on")
    now, before = right(markdown(replayed(file))), right(on_page("larger", TEXT))
    assert {f: n for f, n in before.items() if now.get(f, 0) < n} == {}


def test_what_is_refused_is_refused_for_a_reason_of_its_profile() -> None:
    wrong = [r for r in records(OWN) if r.get("expected_error")]
    assert len(wrong) >= 2
    outcomes = {row.id: row.outcome for row in replayed(OWN)}
    assert {outcomes[str(r["id"])] for r in wrong} <= {"rejected", "malformed", "no_layout", "encoding"}


def test_only_messages_that_may_be_passed_on_are_here() -> None:
    for record in records(OWN):
        for source in ("wmbusmeters", "fhhagenberg", "SensorDecoders", "actility", "shootingfans", "maeneak"):
            assert source not in str(record["source"])
    assert Path(OWN).with_name("SOURCES.md").exists()
