"""Tests beside a rule: what `dutyroom check` says of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dutyroom.checks import check_site

SITE = "id: t\nname: {zh-CN: 测, en: T}\ntime_zone: Asia/Shanghai\n"
BURST = """rules:
  - id: water.burst
    tests:
      - title: half a minute
        readings: [[0s, 0.2], [10s, 6], [25s, 6], [45s, 6], [60s, 0.2], [130s, 0.2]]
        raised: 40s
        cleared: 120s
      - title: two readings are no burst
        readings: [[0s, 6], [10s, 6], [20s, 0.2]]
        raised: never
"""
LEAK = """rules:
  - id: water.leak
    tests:
      - title: a day without rest
        interval: 1h
        readings: [{rows}]
        raised: 25h
"""


def said(tmp_path: Path, rules: str) -> list[str]:
    (tmp_path / "site.yaml").write_text(SITE, encoding="utf-8")
    (tmp_path / "rules.yaml").write_text(rules, encoding="utf-8")
    return [str(m).replace(f"{tmp_path}/", "") for m in check_site(tmp_path, tmp_path / "no profiles")]


def of_rules(found: list[str]) -> list[str]:
    return [line for line in found if line.startswith("rules.yaml")]


def test_tests_that_hold_say_nothing(tmp_path: Path) -> None:
    assert of_rules(said(tmp_path, BURST)) == []


def test_a_register_is_written_in_its_unit(tmp_path: Path) -> None:
    rows = ", ".join(f"[{n}h, {10 + n * 0.005:.3f}]" for n in range(30))
    found = of_rules(said(tmp_path, LEAK.replace("{rows}", rows)))
    assert found == [
        "rules.yaml:7: rules[0].tests[0].raised: a day without rest: raised after 86400 s, not after 90000 s"
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("raised: 40s", "raised: 55s", "tests[0].raised: half a minute: raised after 40 s, not after 55 s"),
        (
            "raised: never",
            "raised: 20s",
            "tests[1].raised: two readings are no burst: raised never, not after 20 s",
        ),
        ("raised: 40s", "raised: soon", "'soon' is not a duration"),
        ("[10s, 6], [25s", "[10s], [25s", "['10s'] is not [time, value]"),
        ("[10s, 6], [25s", "[26s, 6], [25s", "their times must rise"),
        ("title: half", "titel: half", "unknown field; did you mean 'title'?"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, expected: str) -> None:
    found = of_rules(said(tmp_path, BURST.replace(old, new, 1)))
    assert len(found) == 1
    assert expected in found[0]


def test_a_rule_on_several_devices_has_no_tests(tmp_path: Path) -> None:
    rules = "rules:\n  - id: pump.dry_run\n    tests:\n      - {readings: [[0s, 1]], raised: never}\n"
    assert "looks at several devices; it has no tests" in of_rules(said(tmp_path, rules))[0]
