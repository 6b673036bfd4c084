"""A bill multiplies a register by the figure by which its readings are multiplied, or the table is refused."""

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.unit.registry.estate import SITE, csv

from dutyroom.backends.records_sql import open_records
from dutyroom.metering.registers import register_of
from dutyroom.model.duty import Device, DeviceStatus
from dutyroom.model.telemetry import DeviceClass, Point, Reading, Scalar
from dutyroom.profiles.decode import Library
from dutyroom.profiles.loading import read_profile
from dutyroom.profiles.ratios import exact_factor, on_device
from dutyroom.site import Site
from dutyroom.site.drafts import read_drafts
from dutyroom.site.ratios import without_made
from dutyroom.site.roll import Estate, Plan, plan
from dutyroom.timebase import zone
from dutyroom.wiring.seeding import seed

PROFILE = read_profile(
    """
class: electricity_meter
parameters: {ct: 1, pt: 1}
match: {topics: ["m/{id}"]}
identity: "{id}"
points:
  energy: {from: e, quantity: energy, kind: counter, step: 0.01, digits: 8}
  power: {from: p, quantity: power, scale: [ct, pt]}
""",
    "acme/m",
)
NEEDS = read_profile(
    """
class: tank
match: {topics: ["n/{id}"]}
identity: "{id}"
parameters: {metres_per_step: }
points: {level: {value: "raw * metres_per_step", quantity: level}}
""",
    "acme/n",
)
ESTATE = Estate(SITE, {"acme/m": PROFILE, "acme/n": NEEDS})
HEAD = "id,profile,address,parameters\n"


def planned(text: str, *known: Device) -> Plan:
    drafts, flaws = read_drafts(csv(text))
    return plan("devices.csv", drafts, flaws, {d.id: d for d in known}, ESTATE)


def meter(**parameters: Scalar) -> Device:
    return Device(SITE, "E-1", "E-1", "electricity_meter", "acme/m", "1", "", parameters)


def row(parameters: str, *known: Device) -> Plan:
    return planned(f'{HEAD}E-1,acme/m,1,"{parameters}"\n', *known)


def billed(parameters: Mapping[str, Scalar]) -> Decimal:
    energy = next(spec for spec in PROFILE.points if spec.name == "energy")
    point = Point(1, SITE, "E-1", DeviceClass.ELECTRICITY_METER, "", energy)
    return register_of(point, meter(**parameters), dwelling=False).multiplier


@pytest.mark.parametrize(
    ("parameters", "multiplier"),
    [
        ("ct=40;pt=10", 400),
        ("ct=40;pt=10;multiplier=400", 400),
        ("ct=40", 40),
        ("ct=40;multiplier=40.0", 40),
        ("multiplier=400", 400),
        ("ct=0.1;pt=3", Decimal("0.3")),
        ("", 1),
        ("ct=1", 1),
    ],
)
def test_a_bill_has_the_figure_of_the_readings(parameters: str, multiplier: Decimal) -> None:
    made = row(parameters)
    assert made.flaws == ()
    own = made.added[0].parameters
    assert billed(own) == multiplier
    known = on_device(PROFILE, own)
    power = next(r for r in PROFILE.layouts[0].points if r.spec.name == "power")
    assert exact_factor(known, power.scale_by) == Fraction(multiplier)


def test_another_multiplier_than_the_ratios_say_is_refused_with_both_figures() -> None:
    (flaw,) = row("ct=40;pt=10;multiplier=40").flaws
    assert str(flaw) == (
        'devices.csv row 2, column "parameters": multiplier = 40, but ct × pt = 40 × 10 = 400: bills would differ from '
        "readings; correct one of them, or leave the multiplier away: it follows from the others"
    )
    (flaw,) = planned("id,profile,address,CT,倍率\nE-1,acme/m,1,200/5,400\n").flaws
    assert str(flaw).startswith(
        'devices.csv row 2, column "倍率": multiplier = 400, but ct × pt = 40 × 1 = 40'
    )


def test_a_row_that_stands_so_already_is_refused_when_it_is_listed_again() -> None:
    known = meter(ct=40, pt=10, multiplier=40)
    (flaw,) = row("ct=40;pt=10;multiplier=40", known).flaws
    assert flaw.key == "multiplier_other"
    assert row("ct=40;pt=10", known).changed[0][1].parameters["multiplier"] == 400


def test_a_multiplier_follows_its_ratios() -> None:
    known = meter(ct=40, multiplier=40)
    assert planned("id,CT\nE-1,80\n", known).changed[0][1].parameters == {"ct": 80, "multiplier": 80}
    assert planned("id,CT\nE-1,\n", known).changed[0][1].parameters == {}
    (flaw,) = planned("id,CT,multiplier\nE-1,80,40\n", known).flaws
    assert flaw.key == "multiplier_other"


def test_a_ratio_without_an_end_agrees_with_itself() -> None:
    made = planned("id,profile,address,CT,PT\nE-1,acme/m,1,1000/3,10000/7\n")
    again = row(";".join(f"{k}={v!r}" for k, v in made.added[0].parameters.items()), made.added[0])
    assert (made.flaws, again.flaws, again.unchanged) == ((), (), 1)


def test_a_multiplier_on_which_no_bill_can_rest_is_told_once() -> None:
    (flaw,) = row("multiplier=abc").flaws
    assert str(flaw).endswith('must be a number above 0, not "multiplier=abc"')
    (flaw,) = row("ct=abc;multiplier=40").flaws
    assert str(flaw).endswith('must be a number above 0, not "ct=abc"')


def test_what_a_device_keeps_without_a_word_of_multipliers_stays() -> None:
    known = meter(multiplier=400)
    assert planned("id,model\nE-1,DTSU666\n", known).changed == (
        (known, replace(known, model="DTSU666")),
    )  # fmt: skip


def test_a_form_shows_no_multiplier_that_follows_and_keeps_one_that_was_given() -> None:
    made, alone = meter(ct=40, multiplier=40), meter(multiplier=40)
    assert without_made(PROFILE, made).parameters == {"ct": 40}
    assert without_made(PROFILE, alone) is alone
    other = meter(ct=40, multiplier=60)  # of older days: somebody must see it
    assert without_made(PROFILE, other) is other
    assert row("ct=80", made).changed[0][1].parameters == {"ct": 80, "multiplier": 80}


def seeded(folder: Path, *devices: Device) -> tuple[dict[str, Device], list[MutableMapping[str, Any]]]:
    """The devices after a start with these rows in the site's folder, and what the log says."""
    site = Site(SITE, {"en": "S"}, "Asia/Shanghai", devices=devices)
    library = Library([PROFILE], zone("Asia/Shanghai"))
    with capture_logs() as log:
        found, _ = seed(site, open_records(f"sqlite:///{folder}/r.sqlite"), library, NoReadings())  # type: ignore[arg-type]
    return {device.id: device for device in found}, log


class NoReadings:
    def latest(self, points: Sequence[Point]) -> Mapping[int, Reading]:
        return {}


def test_the_first_start_fills_the_multiplier_from_the_ratios(tmp_path: Path) -> None:
    rows = (meter(ct=40, pt=10), replace(meter(), id="E-2", address="2"))
    found, log = seeded(tmp_path, *rows)
    assert found["E-1"].parameters == {"ct": 40, "pt": 10, "multiplier": 400}
    assert found["E-2"].parameters == {}
    assert not [line for line in log if line["event"] == "device.multiplier"]
    again, _ = seeded(tmp_path, *rows)
    assert again == found


def test_a_start_tells_of_a_row_that_bills_by_another_figure_and_changes_nothing(tmp_path: Path) -> None:
    gone = replace(meter(ct=40, multiplier=60), id="E-2", address="2", status=DeviceStatus.WITHDRAWN)
    for _ in range(2):  # the rows, and what the database has of them
        found, log = seeded(tmp_path, meter(ct=40, pt=10, multiplier=60), gone)
        assert found["E-1"].parameters["multiplier"] == 60
        (line,) = (line for line in log if line["event"] == "device.multiplier")
        assert (line["device"], line["multiplier"], line["ratios"]) == (
            "E-1",
            "60",
            "ct × pt = 40 × 10 = 400",
        )
        assert line["log_level"] == "warning"


def test_a_parameter_without_a_default_is_one_that_a_row_may_have() -> None:
    made = planned(f"{HEAD}T-1,acme/n,1,metres_per_step=0.01\n")
    assert made.flaws == ()
    assert made.added[0].parameters == {"metres_per_step": 0.01}
    flaws = planned(f"{HEAD}T-1,acme/n,1,metre_per_step=0.01\n").flaws
    assert [flaw.key for flaw in flaws] == ["no_parameter", "parameter_needed"]


def test_a_row_without_what_its_profile_needs_is_a_mistake_at_its_row_and_column() -> None:
    made = planned(f"{HEAD}T-1,acme/n,1,metres_per_step=0.01\nT-2,acme/n,2,\nT-3,acme/n,3,height=3\n")
    assert [(f.line, f.field, f.key) for f in made.flaws] == [
        (3, "parameters", "parameter_needed"),
        (4, "parameters", "parameter_needed"),
    ]
    assert '"metres_per_step"' in made.flaws[0].message
    (own,) = planned("id,profile,address,parameter.metres_per_step\nT-1,acme/n,1,0.01\nT-2,acme/n,2,\n").flaws
    assert (own.line, own.field) == (3, "parameter.metres_per_step")
    assert planned("id,profile,address,status\nT-1,acme/n,1,withdrawn\n").flaws == ()


def test_what_a_row_lacked_before_is_not_judged_again_and_what_it_loses_is() -> None:
    bare = Device(SITE, "T-1", "T-1", "tank", "acme/n", "1", "")
    assert planned("id,name\nT-1,Roof\n", bare).flaws == ()
    full = replace(bare, parameters={"metres_per_step": 0.01})
    assert planned("id,name\nT-1,Roof\n", full).flaws == ()
    (lost,) = planned("id,parameters\nT-1,\n", full).flaws
    assert lost.key == "parameter_needed"
    (moved,) = planned("id,profile\nE-1,acme/n\n", meter()).flaws
    assert moved.key == "parameter_needed"


def test_a_parameter_that_a_profile_computes_with_is_a_number() -> None:
    profile = read_profile(
        """
class: tank
match: {topics: ["w/{id}"]}
identity: "{id}"
parameters: {start: 0, unit_name: bar}
points: {level: {value: "raw + start", quantity: level}}
""",
        "acme/w",
    )
    rows = "W-1,acme/w,1,start=-1\nW-2,acme/w,2,start=none;unit_name=psi\n"
    drafts, flaws = read_drafts(csv(f"{HEAD}{rows}"))
    (flaw,) = plan("devices.csv", drafts, flaws, {}, Estate(SITE, {"acme/w": profile})).flaws
    assert (flaw.line, flaw.field, flaw.key) == (3, "parameters", "parameter_number")
    assert "start=none" in flaw.message


@pytest.mark.parametrize("value", ["short", "true", '"0.01"'])
def test_a_parameter_without_a_default_is_a_number(value: str) -> None:
    quoted = value.replace('"', '""')
    (flaw,) = planned(f'{HEAD}T-1,acme/n,1,"metres_per_step={quoted}"\n').flaws
    assert (flaw.line, flaw.field, flaw.key) == (2, "parameters", "parameter_number")


def test_a_start_tells_which_devices_lack_what_their_profile_needs(tmp_path: Path) -> None:
    site = Site(
        SITE, {"en": "S"}, "Asia/Shanghai", devices=(Device(SITE, "T-1", "", "tank", "acme/n", "1", ""),)
    )
    with capture_logs() as log:
        seed(
            site, open_records(f"sqlite:///{tmp_path}/r.sqlite"), Library([NEEDS], zone("UTC")), NoReadings()
        )  # type: ignore[arg-type]
    (line,) = (line for line in log if line["event"] == "device.parameters")
    assert (line["device"], line["missing"], line["log_level"]) == ("T-1", "metres_per_step", "warning")
