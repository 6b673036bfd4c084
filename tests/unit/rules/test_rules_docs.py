"""What the documentation and the catalogue say of rules, alarms and tickets is what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import dutyroom
from dutyroom import alarms, tickets
from dutyroom.rules.kinds import known
from dutyroom.rules.parse import default_rules

DOCS = Path(__file__).parents[3] / "docs" / "rules.md"
LOCALES = Path(dutyroom.__file__).parent / "api" / "pages" / "locales"
GIVEN = {"name", "object", "space", "unit", "value", "limit", "rule"}
BY_KIND = {
    "state": {"code"},
    "rate": {"rate"},
    "stale": {"minutes", "hours"},
    "stuck": {"hours"},
    "decrease": {"before", "after"},
    "continuous_flow": {"hours", "flow"},
    "expect": {"device", "seconds"},
    "sequence": {"device", "step", "seconds", "minutes"},
    "home_stuck": {"hours", "step"},
    "register_fault": {"before", "after"},
    "network_water": {"flow", "usual"},
    "zone_silence": {"silent", "devices"},
    "night_flow": {"flow", "usual"},
    "level_frozen": {"level", "hours", "pumped"},
    "level_leak": {"rate", "usual"},
    "pump_no_rise": {"minutes", "rise"},
    "balance": {"own", "sum", "difference", "doubt", "percent"},
    "repeats": {"mean", "usual"},
    "tank_level": {"level", "hours"},
    "pump_station": {"level", "hours"},
    "abnormal_load": {"load", "usual"},
    "power_still": {"hours"},
    "building_still": {"silent", "devices"},
    "during": {"code"},
    "several": {"point"},
    "repeated": {"count", "minutes"},
    "since_service": {"count", "days"},
    "unplanned_run": {"minutes"},
    "quiet_hours": {"hours"},
}


def words(language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((LOCALES / language / "alarms.json").read_text(encoding="utf-8"))
    return found


def between(name: str) -> str:
    found = re.search(f"<!-- {name} -->\n(.*?)<!-- end -->", DOCS.read_text(encoding="utf-8"), re.S)
    assert found, name
    return found[1]


def test_the_tables_in_the_documentation_are_the_tables() -> None:
    assert between("alarm table") == alarms.table_markdown()
    assert between("ticket table") == tickets.table_markdown()


@pytest.mark.parametrize("name", known())
def test_every_kind_is_documented_and_has_words(name: str) -> None:
    assert f"| `{name}` |" in DOCS.read_text(encoding="utf-8"), f"docs/rules.md lacks the kind {name}"
    for language in ("zh-CN", "en"):
        assert f"alarm.kind.{name}" in words(language)


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_every_shipped_rule_has_words_whose_arguments_are_given(language: str) -> None:
    said = words(language)
    for rule in default_rules():
        assert said[f"rule.{rule.id}"] == rule.name[language]
        for key in (f"alarm.{rule.id}", f"alarm.kind.{rule.kind}"):
            asked = set(re.findall(r"{(\w+)}", said[key]))
            assert asked <= GIVEN | BY_KIND.get(rule.kind, set()), key


def test_both_languages_say_the_same_with_the_same_arguments() -> None:
    zh, en = words("zh-CN"), words("en")
    assert set(zh) == set(en)
    for key, text in zh.items():
        assert set(re.findall(r"{(\w+)}", text)) == set(re.findall(r"{(\w+)}", en[key])), key


def test_every_reason_that_is_written_has_words() -> None:
    home = Path(dutyroom.__file__).parent
    flows = [home / "alarms.py", *(home / "flows").glob("*.py")]
    source = "\n".join(path.read_text(encoding="utf-8") for path in flows)
    reasons = set(re.findall(r'"(alarm\.reason\.\w+)"', source))
    assert reasons
    assert reasons == {key for key in words("en") if key.startswith("alarm.reason.")}
