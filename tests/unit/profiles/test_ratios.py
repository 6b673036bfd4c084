"""Ratios of transformers multiply exactly, and an old row with their product alone stays what it was."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dutyroom.model.telemetry import Message
from dutyroom.profiles.decode import Library
from dutyroom.profiles.explain import Anybody
from dutyroom.profiles.express import form_of
from dutyroom.profiles.loading import read_profile
from dutyroom.profiles.profile import Profile
from dutyroom.profiles.ratios import exact_factor, factor_of, on_device, ratio_of
from dutyroom.profiles.result import Decoded
from dutyroom.timebase import zone

METER = """
class: electricity_meter
parameters: {ct: 1, pt: 1}
match: {topics: ["m/{id}"]}
identity: "{id}"
points:
  energy: {from: e, quantity: energy, kind: counter, step: 0.01, digits: 8}
  current: {from: i, quantity: current, scale: ct}
  power: {from: p, quantity: power, scale: [ct, pt]}
"""
TURNED = METER.replace("quantity: energy,", "quantity: energy, scale: [ct, pt],")


def meter(text: str = METER) -> Profile:
    return read_profile(text, "acme/m")


def values(text: str, payload: str, parameters: dict[str, object]) -> dict[str, float]:
    library = Library([meter(text)], zone("UTC"))
    found = library.decode(Message("m/1", payload.encode(), 0), Anybody("acme/m", parameters))  # type: ignore[arg-type]
    assert isinstance(found, Decoded)
    return {r.spec.name: r.value for r in found.readings}


def test_power_is_multiplied_by_both_and_current_by_one() -> None:
    found = values(METER, '{"e": 1.5, "i": 2, "p": 0.3}', {"ct": 40, "pt": 10})
    assert found == {"energy": 150, "current": 80.0, "power": 120.0}


def test_a_row_with_the_product_alone_stays_what_it_was() -> None:
    """Powers by it, currents as they are: so the profiles had it before ct and pt multiplied."""
    found = values(METER, '{"i": 2, "p": 0.5}', {"multiplier": 400})
    assert found == {"current": 2.0, "power": 200.0}
    assert values(METER, '{"p": 0.5}', {"multiplier": 400, "ct": 40}) == {
        "power": 20.0
    }  # then its parts count


def test_a_register_that_is_multiplied_itself_asks_for_no_multiplier() -> None:
    assert ratio_of(meter()) == ("ct", "pt")
    assert ratio_of(meter(TURNED)) == ()
    assert ratio_of(meter(METER.replace("pt: 1}", "pt: 1, multiplier: 1}"))) == ()
    assert values(TURNED, '{"e": 1.5}', {"multiplier": 400}) == {"energy": 150}
    assert on_device(meter(), {"multiplier": 4}).keys() - {"ct", "pt", "multiplier"}


def test_a_counter_rounds_the_exact_product() -> None:
    """Floats lift 5 x (0.1 x 29) a little above the half that it is, and it would be 15 steps."""
    text = TURNED.replace("step: 0.01", "step: 1")
    assert values(text, '{"e": 5}', {"ct": 0.1, "pt": 29}) == {"energy": 14}  # halves go to the even step
    assert 5 * (0.1 * 29) > 14.5


@given(st.lists(st.decimals(min_value="0.0001", max_value="9999", places=4), min_size=1, max_size=4))
def test_the_product_is_exact_and_rounded_once(ratios: list[object]) -> None:
    names = tuple(f"p{n}" for n in range(len(ratios)))
    given_ = {name: float(str(ratio)) for name, ratio in zip(names, ratios, strict=True)}
    exact = Fraction(1)
    for ratio in ratios:
        exact *= Fraction(str(ratio))
    assert exact_factor(given_, names) == exact
    assert factor_of(given_, names) == float(exact)


@pytest.mark.parametrize("wrong", ["many", float("nan"), float("inf"), 10**400])
def test_what_is_no_number_gives_no_factor(wrong: object) -> None:
    assert exact_factor({"ct": wrong, "pt": 2}, ("ct", "pt")) == 0  # type: ignore[dict-item]
    found = factor_of({"ct": wrong, "pt": 2}, ("ct", "pt"))  # type: ignore[dict-item]
    assert found != found


@pytest.mark.parametrize("own", [{"ct": 40, "pt": 10}, {"multiplier": 400}, {"ct": 0.1, "pt": 3}, {}])
def test_read_in_bulk_it_is_the_same(own: dict[str, object]) -> None:
    profile = meter()
    form = form_of(profile, profile.layouts[0], own, zone("UTC"))  # type: ignore[arg-type]
    assert form is not None
    payload = '{"e": 1.5, "i": 2, "p": 0.5}'
    row = form.decode(payload.encode())
    assert row is not None
    columns = form.columns([row], np.array([0], np.int64))
    found = {spec.name: float(value) for spec, value in zip(form.specs, columns.values[0], strict=True)}
    assert found == values(METER, payload, own)
