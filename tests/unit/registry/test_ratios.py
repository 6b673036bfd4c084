"""A bill multiplies a register by the figure by which its readings are multiplied, or the table is refused."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from tests.unit.registry.estate import SITE, csv

from dutyroom.metering.registers import register_of
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import DeviceClass, Point, Scalar
from dutyroom.profiles.loading import read_profile
from dutyroom.profiles.ratios import exact_factor, on_device
from dutyroom.site.drafts import read_drafts
from dutyroom.site.roll import Estate, Plan, plan

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
ESTATE = Estate(SITE, {"acme/m": PROFILE})
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
