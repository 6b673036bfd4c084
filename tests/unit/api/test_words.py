"""The catalogue is whole: same keys and arguments in both languages, all used keys there, no stray words."""

from __future__ import annotations

import json
import re
import string
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from dutyroom.api import words as words_module
from dutyroom.api.words import LANGUAGES, LOCALES, Words, duration_text, read_catalogue, span_text
from dutyroom.errors import Rejected
from dutyroom.model.duty import (
    AlarmEvent,
    AlarmState,
    OccurrenceState,
    Role,
    TicketEvent,
    TicketKind,
    TicketState,
)
from dutyroom.model.telemetry import DeviceClass
from dutyroom.timebase import DAY, HOUR, MINUTE, SECOND, from_iso, zone

PAGES = Path(words_module.__file__).parent / "pages"
CJK = re.compile(r"[\u3400-\u9fff]")
CATALOGUE = read_catalogue()


def arguments(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_have_the_same_keys() -> None:
    zh, en = (set(CATALOGUE[language]) for language in LANGUAGES)
    assert zh - en == set()
    assert en - zh == set()


def test_both_languages_take_the_same_arguments() -> None:
    named = {"line.public_share"}  # names a share in its own language
    wrong = {
        key: (arguments(text), arguments(CATALOGUE["en"][key]))
        for key, text in CATALOGUE["zh-CN"].items()
        if arguments(text) != arguments(CATALOGUE["en"][key]) and key not in named
    }
    assert wrong == {}


def test_no_key_is_written_down_twice() -> None:
    for language in LANGUAGES:
        keys = Counter(
            key
            for file in (LOCALES / language).glob("*.json")
            for key in json.loads(file.read_text(encoding="utf-8"))
        )
        assert [key for key, count in keys.items() if count > 1] == []


def test_templates_and_scripts_hold_no_chinese() -> None:
    for file in [*(PAGES / "templates").glob("*.html"), *(PAGES / "static").glob("*.js")]:
        assert CJK.findall(file.read_text(encoding="utf-8")) == [], file.name


def test_templates_hold_no_english_sentence() -> None:
    """Between tags there is nothing but expressions, marks and units."""
    for file in (PAGES / "templates").glob("*.html"):
        text = re.sub(r"block active %\}\w*\{%", "", file.read_text("utf-8"))
        text = re.sub(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}|<script.*?</script>|\{%", "", text, flags=re.S)
        bare = re.sub(r"<[^>]*>", " ", text)
        found = re.findall(r"[A-Za-z]{3,}", bare.replace("&amp;", "").replace("Enter", ""))
        assert [w for w in found if w not in ("min", "CSV", "XLSX", "nbsp", "true")] == [], file.name


def test_every_key_that_a_page_asks_for_is_there() -> None:
    asked: set[str] = set()
    for file in (PAGES / "templates").glob("*.html"):
        asked |= set(re.findall(r"""\bt\(\s*["']([\w.:-]+)["']\s*[,)]""", file.read_text("utf-8")))
        asked |= set(re.findall(r'entry\("\w+", "([\w.]+)"', file.read_text("utf-8")))
    for file in (PAGES / "static").glob("*.js"):
        asked |= set(re.findall(r"""\bt\(\s*"([\w.:-]+)"\s*[,)]""", file.read_text("utf-8")))
        asked |= set(re.findall(r'"(js\.\w+)"', file.read_text("utf-8")))
    for file in PAGES.parent.glob("*.py"):
        asked |= set(re.findall(r"""words\.t\(\s*"([\w.:-]+)"\s*[,)]""", file.read_text("utf-8")))
        asked |= set(re.findall(r'"((?:error|access|login|account)\.\w+)"', file.read_text("utf-8")))
    assert len(asked) > 150
    no_words = {"login.failed", "login.html", "account.html"}  # an audit action, two templates
    missing = asked - set(CATALOGUE["en"]) - no_words
    assert sorted(key for key in missing if not key.endswith((".", "_"))) == []


@pytest.mark.parametrize(
    ("prefix", "values"),
    [
        ("alarm_state", AlarmState),
        ("alarm_event", AlarmEvent),
        ("ticket_state", TicketState),
        ("work", TicketState),
        ("ticket_event", TicketEvent),
        ("ticket_kind", TicketKind),
        ("occurrence_state", OccurrenceState),
        ("role", Role),
        ("class", DeviceClass),
    ],
)
def test_every_state_has_a_word(prefix: str, values: type) -> None:
    assert [v for v in values if f"{prefix}.{v}" not in CATALOGUE["zh-CN"]] == []  # type: ignore[attr-defined]


@pytest.fixture(params=LANGUAGES)
def words(request: pytest.FixtureRequest) -> Words:
    return Words(request.param, CATALOGUE, zone("Asia/Shanghai"))


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (None, None, "—"),
        (float("nan"), None, "—"),
        (0, None, "0"),
        (4.8, None, "4.80"),
        (38.6, None, "38.6"),
        (2314880, None, "2\u2009314\u2009880"),
        (1234.5, 2, "1\u2009234.50"),
        (-3.25, 1, "−3.2"),
    ],
)
def test_figures(words: Words, value: float | None, decimals: int | None, text: str) -> None:
    assert words.number(value, decimals) == text


def test_exact_decimals_keep_their_places(words: Words) -> None:
    assert words.exact(Decimal("8412.360")) == "8\u2009412.360"
    assert words.money(20499) == "204.99"
    assert words.money(5) == "0.05"
    assert words.money(20400) == "204.00"
    assert words.brief(4.80) == "4.8"
    assert words.brief(50.0) == "50"


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (-5, "0 s"),
        (3 * SECOND, "3 s"),
        (4 * MINUTE + 51 * SECOND, "04:51"),
        (6 * HOUR + 12 * MINUTE, "6 h 12"),
        (2 * DAY, "2 d"),
    ],
)
def test_spans(span: int, text: str) -> None:
    assert duration_text(span) == text


def test_minutes_beside_hours_are_called_so() -> None:
    spans = 59 * SECOND, MINUTE, 45 * MINUTE + 17 * SECOND, HOUR + 10 * MINUTE, 2 * DAY
    assert [span_text(s) for s in spans] == ["59 s", "1 min", "45 min", "1 h 10", "2 d"]


def test_times_by_language_and_zone() -> None:
    at = from_iso("2026-11-25T14:32:07+08:00")
    zh = Words("zh-CN", CATALOGUE, zone("Asia/Shanghai"))
    en = Words("en", CATALOGUE, zone("Europe/London"))
    assert (zh.time(at, "date_time"), zh.time(at, "weekday")) == ("11月25日 14:32", "周三 14:32")
    assert (en.time(at, "date_time"), en.time(at, "weekday")) == ("25 Nov 06:32", "Wed 06:32")
    assert zh.when(at, at + HOUR) == "14:32"
    assert zh.time(None) == "—"


def test_an_unknown_key_and_a_missing_argument_show_themselves(words: Words) -> None:
    assert words.t("no.such.key") == "no.such.key"
    assert "{count}" in words.t("devices.count")
    assert "{" not in words.t("devices.count", count=3)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "zh-CN").mkdir()
    (tmp_path / "zh-CN" / "x.json").write_text("{", encoding="utf-8")
    with pytest.raises(Rejected, match=r"x\.json"):
        read_catalogue(tmp_path)
