"""A label that is a key must have words in every language; `dutyroom check` says where one has not."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dutyroom.api.words import LANGUAGES, read_catalogue
from dutyroom.checks import check_site
from dutyroom.cli import app
from dutyroom.profiles.checking import check_profiles

KNOWN = {"en": {"value.gate.open", "value.gate.closed"}, "zh-CN": {"value.gate.open"}}

PROFILE = """\
class: gate
match: {topics: ["g/{id}"]}
identity: "{id}"
points:
  door:
    kind: state
    labels:
      0: LABEL
      1: value.gate.open
layouts:
  - name: up
    points: [door]
examples:
  - {topic: g/1, payload: {door: 1}, expect: {"1": {door: 1}}}
"""


def folder(at: Path, label: str) -> Path:
    made = at / "acme" / "gate.yaml"
    made.parent.mkdir(parents=True)
    made.write_text(PROFILE.replace("LABEL", label), encoding="utf-8")
    return made


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("value.gate.closed", "there are no words for the key 'value.gate.closed' in zh-CN"),
        ("value.gate.opened", "'value.gate.opened' in en, zh-CN; did you mean 'value.gate.open'?"),
        ("value.Gate", "no words for the key 'value.Gate' in en, zh-CN"),
        ("value.gate.open", ""),
        ("shut", ""),
        ("shut, no alarm.", ""),
        ("No. 5", ""),
        ("1.5", ""),
        ("关", ""),
    ],
)
def test_a_key_without_words_is_named_with_file_line_field_and_language(
    tmp_path: Path, label: str, said: str
) -> None:
    file = folder(tmp_path, label)
    found = [str(m) for m in check_profiles(tmp_path, keys=KNOWN)]
    if not said:
        assert found == []
    else:
        assert len(found) == 1
        assert found[0].startswith(f"{file}:8: points.door.labels.0: ")
        assert said in found[0]


def test_points_of_a_layout_are_looked_at_too(tmp_path: Path) -> None:
    file = folder(tmp_path, "shut")
    text = file.read_text(encoding="utf-8")
    file.write_text(
        text.replace("points: [door]", "points: {door: {labels: {2: value.gate.ajar}}}"), encoding="utf-8"
    )
    (mistake,) = check_profiles(tmp_path, keys=KNOWN)
    assert (mistake.line, mistake.field) == (12, "layouts[0].points.door.labels.2")


def test_the_command_and_the_check_of_a_site_know_the_words_of_the_pages(tmp_path: Path) -> None:
    file = folder(tmp_path / "device_profiles", "value.gate.clossed")
    told = CliRunner().invoke(app, ["check", "--profiles", str(tmp_path / "device_profiles")])
    assert told.exit_code == 1
    assert f"{file}:8: points.door.labels.0" in told.output
    assert "did you mean 'value.gate.closed'?" in told.output
    (tmp_path / "site.yaml").write_text("id: s\nname: S\ntime_zone: UTC\n", encoding="utf-8")
    found = check_site(tmp_path, Path(__file__).parents[3] / "device_profiles", read_catalogue())
    assert [m.field for m in found] == ["points.door.labels.0"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_words_of_labels_are_words(language: str) -> None:
    words = read_catalogue()[language]
    labels = {key: text for key, text in words.items() if key.startswith("value.")}
    assert all(text.strip() and text != key for key, text in labels.items()), json.dumps(labels)
