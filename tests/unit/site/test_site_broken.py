"""Every folder of tests/data/sites is wrong in its own way and says so in expected.txt."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests import shipped_profiles

import dutyroom
from dutyroom import checks
from dutyroom.checks import check_site, doubts_of
from dutyroom.errors import Invalid
from dutyroom.rules.kinds import known
from dutyroom.site import load_site
from dutyroom.wiring.shipped import shipped

ROOT = Path(__file__).parents[3]
CASES = sorted((ROOT / "tests" / "data" / "sites").iterdir())
ONLY_WITH_PROFILES = {
    "address-of-another-shape",
    "parameter-wrong",
    "profile-unknown",
    "tariff-covers-not-all",
    "rule-names-nothing",
    "rule-selects-nothing",
}


@pytest.fixture(autouse=True)
def _shipped_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "load_profiles", shipped_profiles.load_profiles)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_mistake_is_named_with_file_line_and_field(case: Path) -> None:
    found = [
        str(m).replace(f"{case}/", "").replace(str(case), ".")
        for m in check_site(case, ROOT / "device_profiles")
    ]
    expected = (case / "expected.txt").read_text(encoding="utf-8").replace("{kinds}", ", ".join(known()))
    assert found == expected.splitlines()


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.name not in ONLY_WITH_PROFILES], ids=lambda case: case.name
)
def test_a_wrong_site_is_never_loaded(case: Path) -> None:
    with pytest.raises(Invalid) as caught:
        load_site(case)
    assert caught.value.mistakes


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    (mistake,) = check_site(tmp_path / "no", ROOT / "device_profiles")
    assert "no such folder" in mistake.message


def test_a_link_to_nowhere_is_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("id: s\nname: S\ntime_zone: UTC\n", encoding="utf-8")
    (tmp_path / "plans.yaml").symlink_to(tmp_path / "nowhere")
    (mistake,) = check_site(tmp_path, ROOT / "device_profiles")
    assert str(mistake).startswith(f"{tmp_path / 'plans.yaml'}: cannot be read")


def test_a_mistake_in_a_profile_that_the_site_uses_is_told_and_others_are_not(tmp_path: Path) -> None:
    profiles = tmp_path / "profiles"
    for vendor in ("used", "unused"):
        (profiles / vendor).mkdir(parents=True)
        (profiles / vendor / "model.yaml").write_text("points: 3\n", encoding="utf-8")
    site = tmp_path / "site"
    site.mkdir()
    (site / "site.yaml").write_text("id: s\nname: S\ntime_zone: UTC\n", encoding="utf-8")
    (site / "devices.csv").write_text("id,class,profile,address\nd,sensor,used/model,1\n", encoding="utf-8")
    found = check_site(site, profiles)
    assert found
    assert {Path(mistake.file).parent.name for mistake in found} == {"used"}


RULES = """
rules:
  - {id: own.high, kind: limit, name: High, select: {classes: [water_meter]}, point: %s, parameters: {above: 9}}
"""


@pytest.mark.parametrize(
    ("point", "said"),
    [("volum", "a point 'volum'; did you mean 'volume'?"), ("volume", ""), ("ambient_light", "")],
)
def test_a_point_that_only_a_message_could_name_is_noted_where_it_looks_misspelt(
    tmp_path: Path, point: str, said: str
) -> None:
    """The profile takes further fields of a message by their names: that is no mistake yet."""
    head = "id: s\nname: s\ntime_zone: Asia/Shanghai\n"
    (tmp_path / "site.yaml").write_text(head, encoding="utf-8")
    row = "devices:\n  - {id: m, class: water_meter, profile: wmbusmeters/water, address: '11111111'}\n"
    (tmp_path / "devices.yaml").write_text(row, encoding="utf-8")
    (tmp_path / "rules.yaml").write_text(RULES % point, encoding="utf-8")
    assert check_site(tmp_path, shipped("device_profiles")) == []
    told = doubts_of(tmp_path, shipped("device_profiles"))
    assert len(told) == bool(said)
    assert all(str(tmp_path / "rules.yaml") in one and "own.high" in one and said in one for one in told)


def test_a_window_longer_than_a_season_and_a_limit_that_nobody_gave_are_noted(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    shutil.copytree(Path(dutyroom.__file__).parent / "example_site", folder)
    before = doubts_of(folder, shipped("device_profiles"))
    devices, rules = folder / "devices.csv", folder / "rules.yaml"
    devices.write_text(devices.read_text(encoding="utf-8").replace("height=3.0", ""), encoding="utf-8")
    long = "  - {id: own.long, kind: continuous_flow, name: L, select: {classes: [water_meter]}, point: volume, parameters: {over: 399d}}\n"
    rules.write_text(f"rules:\n{long}", encoding="utf-8")
    assert check_site(folder, shipped("device_profiles")) == []
    far, tank = [one for one in doubts_of(folder, shipped("device_profiles")) if one not in before]
    assert str(rules) in far
    assert "own.long: looks at 399 days" in far
    assert str(devices) in tank
    assert "A-tank: has no height" in tank
    assert "tank.overflow" in tank
    assert "tank.dry" in tank


def test_variants_that_hold_on_no_device_are_noted(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    shutil.copytree(Path(dutyroom.__file__).parent / "example_site", folder)
    wide, tower, tanks = (
        f"      - {{select: {{{which}}}, parameters: {{over: {hours}h}}}}\n"
        for which, hours in (
            ("classes: [water_meter]", 72),
            ("devices: ['A-1201-*']", 48),
            ("classes: [tank]", 24),
        )
    )
    before = doubts_of(folder, shipped("device_profiles"))
    for variants, told in (
        (tower + wide, []),
        (wide + tower, ["variants[1]: earlier ones hold where it fits"]),
        (tanks + wide, ["variants[0]: fits none of the rule's devices"]),
    ):
        (folder / "rules.yaml").write_text(
            f"rules:\n  - id: water.leak\n    variants:\n{variants}", encoding="utf-8"
        )
        assert check_site(folder, shipped("device_profiles")) == []
        new = [one for one in doubts_of(folder, shipped("device_profiles")) if one not in before]
        assert new == [f"{folder / 'rules.yaml'}: water.leak: {said}" for said in told]
