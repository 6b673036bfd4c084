"""What a table of devices means for a registry, and every reason to refuse it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import tried
from tests.unit.registry.estate import SITE, csv, estate, feeder, library, rules, water
from tests.unit.registry.test_tables import workbook

from dutyroom.backends.device_files import DeviceFiles
from dutyroom.model.duty import Device, DeviceStatus
from dutyroom.model.telemetry import DeviceClass
from dutyroom.rules.parse import parse_rules
from dutyroom.site import read_site
from dutyroom.site.drafts import plain, read_drafts
from dutyroom.site.listing import listed
from dutyroom.site.roll import Plan, asked_of_devices, plan
from dutyroom.site.table import Sheet
from dutyroom.topology import Topology

FILES = DeviceFiles()
HEAD = "id,profile,address,space\n"


def planned(
    sheet: Sheet | str,
    known: Sequence[Device] = (),
    drawn: Topology | None = None,
    *,
    withdraw_missing: bool = False,
) -> Plan:
    sheet = csv(sheet) if isinstance(sheet, str) else sheet
    drafts, flaws = read_drafts(sheet)
    return plan(sheet.file, drafts, flaws, {d.id: d for d in known}, estate(drawn), withdraw_missing)


def said(made: Plan) -> list[str]:
    return [str(flaw) for flaw in made.flaws]


def test_a_new_device_takes_its_class_from_its_profile_and_its_id_for_a_name() -> None:
    made = planned(HEAD + "W-1,acme/water,00000001,A/1\n")
    assert made.flaws == ()
    assert made.added == (
        Device(SITE, "W-1", "W-1", "water_meter", "acme/water", "00000001", "A/1"),
    )  # fmt: skip


def test_of_an_id_that_stands_twice_the_second_row_is_judged_as_well() -> None:
    """Its other mistakes were told at the next try only. That both rows have one address is the same mistake."""
    made = planned(
        "id,profile,address,space,fed_by\n"
        "W-1,acme/water,00000001,A/1,\n"
        "W-2,acme/water,00000002,A/1,\n"
        "W-1,acme/wate,00000003,B/9,\n"
        "W-1,acme/water,00000002,A/1,nobody\n"
        "W-1,acme/water,00000001,A/1,\n"
    )
    assert [(f.line, f.field, f.key) for f in made.flaws] == [
        (4, "id", "twice"),
        (4, "profile", "no_profile"),
        (4, "space", "no_space"),
        (5, "id", "twice"),
        (5, "address", "address_taken"),
        (5, "fed_by", "no_feeder"),
        (6, "id", "twice"),
    ]
    assert set(made.rows) == {"W-1", "W-2"}


def test_what_a_table_does_not_have_stays_and_an_empty_cell_clears() -> None:
    known = water(1, model="Acme", serial="S1", interval_s=60, parameters={"use": "riser"})
    made = planned("id,serial,interval_s\nW-1,,900\n", [known])
    assert made.changed == ((known, replace(known, serial="", interval_s=900)),)
    assert planned("id,address\nW-1,\n", [known]).flaws[0].key == "needed"  # this cannot be cleared


@pytest.mark.parametrize("value", ["abc", "0", "-1", "nan", "true"])
def test_a_ratio_is_a_number_above_0(value: str) -> None:
    """0 would make every register 0, and a text none."""
    (told,) = said(planned(f"id,profile,address,space,parameters\nF-1,acme/power,F-1,A/1,pt=0;ct={value}\n"))
    assert told == f'devices.csv row 2, column "parameters": must be a number above 0, not "ct={value}"'
    assert said(planned("id,profile,address,space,parameters\nF-1,acme/power,F-1,A/1,ct=0.5\n")) == []


def test_a_single_parameter_in_a_column_of_its_own_leaves_the_others() -> None:
    known = feeder("F-1", parameters={"ct": 10, "use": "fire"})
    made = planned("id,CT\nF-1,200/5\n", [known])
    assert made.changed[0][1].parameters == {"ct": 40, "use": "fire"}
    cleared = planned("id,CT\nF-1,\n", [known])
    assert cleared.changed[0][1].parameters == {"use": "fire"}


def test_every_name_in_a_row_must_exist() -> None:
    text = (
        "id,class,profile,address,space,parameters,digits,fed_by\n"
        "W-1,,acme/watr,1,A/1,,,\n"
        "W-2,,acme/water,00000002,A/11,,,\n"
        "W-3,,acme/water,00000003,A/1,pulse_wait=1,,\n"
        "W-4,,acme/water,00000004,A/1,use=riser;name_en=Four,5,F-9\n"
        "G-1,,acme/gateway,G-1,A,,5,\n"
        "bad id,,acme/water,5,A,,,\n"
        "W-6,,,,A,,,\n"
    )
    assert said(planned(text, [feeder("F-1")])) == [
        'devices.csv row 2, column "profile": there is no profile "acme/watr"; did you mean "acme/water"?',
        'devices.csv row 3, column "space": there is no space "A/11"; did you mean "A/1"?',
        'devices.csv row 4, column "parameters": neither profile acme/water nor any rule has a parameter "pulse_wait"; did you mean "pulse_weight"?',
        'devices.csv row 5, column "fed_by": there is no device "F-9"; did you mean "F-1"?',
        'devices.csv row 6, column "digits": profile acme/gateway has no register of this kind',
        'devices.csv row 7, column "id": "bad id" may hold letters, digits and . : _ - only, at most 100',
        'devices.csv row 8, column "class": is empty',
        'devices.csv row 8, column "profile": is empty',
        'devices.csv row 8, column "address": is empty',
    ]


def test_an_address_has_one_device() -> None:
    made = planned(HEAD + "W-2,acme/water,00000001,A/1\n", [water(1)])
    assert said(made) == ['devices.csv row 2, column "address": acme/water "00000001" belongs to device W-1']
    gone = water(1, status=DeviceStatus.WITHDRAWN)
    assert planned(HEAD + "W-2,acme/water,00000001,A/1\n", [gone]).flaws == ()
    swapped = planned("id,address\nW-1,00000002\nW-2,00000001\n", [water(1), water(2)])
    assert (swapped.flaws, len(swapped.changed)) == ((), 2)
    same = planned(HEAD + "W-1,acme/water,1,A\nW-2,acme/water,1,A\n")
    assert [f.key for f in same.flaws] == ["address_taken"]


def test_what_is_missing_is_withdrawn_only_when_asked_for() -> None:
    known = [water(1), water(2), water(3, status=DeviceStatus.WITHDRAWN)]
    assert planned("id\nW-1\n", known).withdrawn == ()
    made = planned("id\nW-1\n", known, withdraw_missing=True)
    assert [(a.id, a.status, b.status) for a, b in made.withdrawn] == [("W-2", "active", "withdrawn")]
    assert made.unchanged == 1


def test_a_withdrawn_device_that_is_listed_is_taken_back() -> None:
    made = planned("id\nW-1\n", [water(1, status=DeviceStatus.WITHDRAWN)])
    assert made.changed[0][1].status is DeviceStatus.ACTIVE


def test_zeros_that_a_spreadsheet_took_away() -> None:
    sheet = FILES.read(workbook(["id", "profile", "address"], ["W-9", "acme/water", 12345]), "d.xlsx")
    made = planned(sheet)
    assert made.added[0].address == "00012345"
    assert [str(note) for note in made.notes] == [
        'd.xlsx row 2, column "address": 12345 was a number in the sheet; read as 00012345, as this profile\'s addresses have 8 digits'
    ]
    assert planned(sheet, [water(9, address="00012345")]).unchanged == 1  # the same as before
    assert planned(sheet, [water(9, address="12345")]).unchanged == 1
    typed = planned("id,profile,address\nW-9,acme/water,12345\n")
    assert (typed.added[0].address, [n.key for n in typed.notes]) == ("12345", ["short_address"])


@pytest.mark.parametrize(
    ("rows", "keys"),
    [
        ("W-1,F-1\n", []),
        ("W-1,power:F-1;network:F-1\n", []),
        ("W-1,W-2\n", []),
        ("W-1,S-1\n", ["no_utility"]),
        ("W-1,power:S-1\n", []),
        ("W-1,W-1\n", ["feeds_itself"]),
        ("W-1,F-1;power:F-1\n", ["feeder_twice"]),
        ("W-1,W-2\nW-2,W-1\n", ["feeds_itself"]),
        ("W-1,F-0\n", ["feeder_gone"]),
        ("W-2,F-2\n", ["contradiction"]),
        ("W-2,F-1\n", []),
    ],
)
def test_what_feeds_a_device(rows: str, keys: list[str]) -> None:
    known = [
        water(1), water(2), feeder("F-1"), feeder("F-2"), feeder("F-0", status=DeviceStatus.WITHDRAWN),
        water(7, id="S-1", device_class="sensor"),
    ]  # fmt: skip
    drawn = Topology({"power": {"W-2": ("F-1",)}})
    assert [flaw.key for flaw in planned("id,fed_by\n" + rows, known, drawn).flaws] == keys


def test_a_feeder_that_others_need_is_not_withdrawn() -> None:
    known = [feeder("F-1"), water(1, fed_by=("F-1",))]
    made = planned("id,status\nF-1,withdrawn\n", known)
    assert said(made) == ['devices.csv row 2, column "fed_by": device W-1 is fed by F-1, which would be gone']
    assert planned("id,status\nF-1,withdrawn\nW-1,withdrawn\n", known).flaws == ()


def test_what_a_row_leaves_as_it_was_is_not_judged_anew() -> None:
    old = water(1, profile="gone/profile", space="gone", parameters={"gone": 1}, address="x y")
    assert planned("id,profile,space,address,name\nW-1,gone/profile,gone,x y,meter 1\n", [old]).unchanged == 1


def test_rules_say_which_parameters_devices_have() -> None:
    assert {"use", "burst_flow", "height", "tank"} <= asked_of_devices(rules())


def test_a_parameter_of_a_shipped_rule_stays_one_where_the_site_gives_a_number_or_switches_the_rule_off() -> (
    None
):
    changed = "rules:\n  - {id: water.burst, parameters: {above: 4.5}}\n"
    changed += "  - {id: feeder.overload, enabled: false}\n  - {id: feeder.overload_heavy, enabled: false}\n"
    assert {"burst_flow", "rated_power"} <= asked_of_devices(parse_rules(changed, "rules.yaml"))


@pytest.mark.parametrize(
    "wrong", ["burst_flow=3.0m3/h", "burst_flow=nan", "burst_flow=true", "height=3m", "area=20 m2"]
)
def test_what_rules_make_a_limit_of_is_a_number(wrong: str) -> None:
    (flaw,) = planned(f"id,profile,address,parameters\nW-9,acme/water,00000009,{wrong}\n").flaws
    assert (flaw.field, flaw.key) == ("parameters", "parameter_number")
    assert wrong in str(flaw)
    name, _, value = wrong.partition("=")
    known = water(9, parameters={name: value})
    assert planned("id,name\nW-9,renamed\n", [known]).flaws == ()  # as it was


@pytest.mark.parametrize("right", ["burst_flow=3.5", "burst_flow=12", "height=2.4;area=20"])
def test_a_limit_of_a_device_is_taken(right: str) -> None:
    assert planned(f"id,profile,address,parameters\nW-9,acme/water,00000009,{right}\n").flaws == ()


def test_hints_end_after_some_mistakes() -> None:
    text = HEAD + "".join(f"W-{n},acme/watr,{n:08d},A\n" for n in range(2_000))
    made = planned(text)
    assert len(made.flaws) == 2_000
    assert "did you mean" not in str(made.flaws[-1])


# ---------------------------------------------------------------- there and back

words = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=10)
numbers = st.one_of(st.integers(-(10**9), 10**9), st.floats(-1e9, 1e9), st.booleans())


@st.composite
def some_devices(draw: st.DrawFn) -> list[Device]:
    found = []
    for number in range(draw(st.integers(0, 5))):
        resolution = draw(st.none() | st.decimals("0.001", "100", places=3))
        keys = st.sampled_from(["use", "multiplier", "name_en", "pulse_weight", "height"])
        found.append(
            water(
                number,
                name=draw(words) or f"W-{number}",
                device_class=draw(st.sampled_from([str(c) for c in DeviceClass])),
                model=draw(words),
                serial=draw(words),
                address=draw(words) + f"#{number}",
                space=draw(words),
                parameters=draw(st.dictionaries(keys, words | numbers, max_size=3)),
                interval_s=draw(st.none() | st.integers(1, 2_678_400)),
                digits=draw(st.none() | st.integers(1, 15)),
                resolution=None if not resolution else plain(Decimal(resolution)),
                status=draw(st.sampled_from([DeviceStatus.ACTIVE, DeviceStatus.OUT_OF_SERVICE])),
                fed_by=("F-1",) if draw(st.booleans()) else (),
            )
        )
    return [*found, feeder("F-1")]


@settings(max_examples=tried(37), deadline=None)
@given(some_devices(), st.sampled_from(["en", "zh-CN"]), st.booleans())
def test_what_is_exported_changes_nothing_when_it_is_imported(
    devices: list[Device], language: str, as_workbook: bool
) -> None:
    written = FILES.xlsx if as_workbook else FILES.csv
    sheet = FILES.read(written(listed(devices), language), "devices")
    made = planned(sheet, devices, withdraw_missing=True)
    assert (made.flaws, made.added, made.changed, made.withdrawn) == ((), (), (), ())
    assert made.unchanged == len(devices)
    moved = planned(sheet)  # into an empty registry: the same devices again
    assert sorted(moved.added, key=lambda d: d.id) == listed(devices)


@settings(max_examples=tried(20), deadline=None)
@given(some_devices())
def test_what_is_exported_seeds_a_site_folder_with_the_same_devices(devices: list[Device]) -> None:
    devices = [replace(d, space="A" if d.space else "") for d in devices]
    with TemporaryDirectory() as folder:
        site = Path(folder)
        (site / "site.yaml").write_text("id: s\nname: S\ntime_zone: UTC\n", encoding="utf-8")
        (site / "spaces.yaml").write_text("[{path: A, kind: unit, name: A}]\n", encoding="utf-8")
        (site / "devices.csv").write_bytes(FILES.csv(listed(devices), "en"))
        read, source, _ = read_site(site)
    assert read is not None
    assert [m for m in source.mistakes if "devices.csv" in m.file] == []
    assert list(read.devices) == listed(devices)


def test_an_exported_workbook_keeps_codes_as_text(tmp_path: object) -> None:
    raw = FILES.xlsx([water(1, name="=HYPERLINK(1)", serial="0012")], "en")
    sheet = openpyxl.load_workbook(io.BytesIO(raw)).active
    assert sheet is not None
    cells = {str(c.value): sheet.cell(2, c.column) for c in sheet[1]}
    assert (cells["serial"].value, cells["address"].value) == ("0012", "00000001")
    assert (cells["name"].value, cells["name"].data_type) == ("'=HYPERLINK(1)", "s")
    assert library().profiles  # the registry above was checked against real profiles
