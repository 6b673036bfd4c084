"""The page on profiles names every field, and its example is true."""

import re
from pathlib import Path

import pytest

from dutyroom.model.telemetry import DeviceClass
from dutyroom.profiles.checking import check_profile
from dutyroom.profiles.conditions import TESTS, TYPES
from dutyroom.profiles.examples import FIELDS
from dutyroom.profiles.layouts import EVENT_FIELDS, OWN_FIELDS, REST_FIELDS
from dutyroom.profiles.loading import TOP_FIELDS, read_profile
from dutyroom.profiles.pointforms import POINT_FIELDS
from dutyroom.profiles.times import FORMATS
from dutyroom.profiles.unwrap import STAGES
from dutyroom.quantities import QUANTITIES

PAGE = (Path(__file__).parents[3] / "docs" / "profiles.md").read_text(encoding="utf-8")
WORDS = {
    *TOP_FIELDS, *OWN_FIELDS, *POINT_FIELDS, *EVENT_FIELDS, *REST_FIELDS, *FIELDS, *TESTS, *TYPES, *FORMATS, *STAGES,
    *QUANTITIES, *(c.value for c in DeviceClass),
}  # fmt: skip


@pytest.mark.parametrize("word", sorted(WORDS))
def test_the_page_names(word: str) -> None:
    inside = " ".join(re.findall(r"`[^`]+`", re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)))
    assert re.search(rf"(?<![a-z_]){re.escape(word)}(?![a-z_])", inside), (
        f"docs/profiles.md does not name {word}"
    )


def test_the_example_on_the_page_is_true() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert check_profile(read_profile(text)) == []


def test_the_table_of_units_is_whole() -> None:
    for quantity in QUANTITIES.values():
        (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{quantity.name}` | ")]
        assert all(unit in row for unit in quantity.units)
