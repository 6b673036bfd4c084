"""Units convert exactly, by one table."""

from decimal import Decimal

import pytest

from dutyroom.errors import Rejected
from dutyroom.quantities import QUANTITIES, quantities_of, quantity, to_canonical, unit_of


@pytest.mark.parametrize(
    ("value", "name", "unit", "canonical"),
    [
        ("1500", "volume", "L", "1.5"),
        ("1", "volume", "ft3", "0.028316846592"),
        ("3.6", "energy", "MJ", "1"),
        ("1", "energy", "GJ", "277.7777777777777777777777778"),
        ("12345.678", "energy", "Wh", "12.345678"),
        ("-40", "temperature", "degF", "-40"),
        ("212", "temperature", "°F", "100"),
        ("273.15", "temperature", "K", "0"),
        ("250", "pressure", "kPa", "2.5"),
        ("186", "level", "cm", "1.86"),
        ("10", "mass", "lb", "4.5359237"),
        ("60", "flow", "L/h", "0.06"),
        ("1.5", "running_time", "h", "1.5"),
        ("445680", "running_time", "s", "123.8"),
        ("1501", "current", "mA", "1.501"),
    ],
)
def test_conversion_is_exact(value: str, name: str, unit: str, canonical: str) -> None:
    assert to_canonical(Decimal(value), name, unit) == Decimal(canonical)


def test_every_quantity_converts_its_own_unit_to_itself() -> None:
    for q in QUANTITIES.values():
        assert to_canonical(Decimal("1.5"), q.name, q.unit) == Decimal("1.5")
        assert unit_of(q.name, "").name == q.unit


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(Rejected, match="unknown quantity 'heat'"):
        quantity("heat")
    with pytest.raises(Rejected, match="'kWh' is no unit of volume; known: m3"):
        unit_of("volume", "kWh")


def test_a_shared_unit_name_means_the_usual_quantity_first() -> None:
    assert quantities_of("m")[0] == "level"
    assert quantities_of("s")[0] == "duration"
    assert quantities_of("°C")[0] == "temperature"
    assert quantities_of("furlong") == ()
    assert quantities_of("") == ()
