"""What the end of a field's name says of its unit, and where it says nothing."""

import pytest

from dutyroom.profiles.leafnames import SUFFIXES, suffix_unit
from dutyroom.quantities import QUANTITIES, quantities_of


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("power_W", ("power", "W", "power")),
        ("operating_time_h", ("running_time", "h", "operating_time")),
        ("actuality_duration_s", ("duration", "s", "actuality_duration")),
        ("wind_avg_m_s", ("velocity", "m/s", "wind_avg")),
        ("wind_avg_km_h", ("velocity", "km/h", "wind_avg")),
        ("wind_avg_mi_h", ("velocity", "mph", "wind_avg")),
        ("pm2_5_ug_m3", ("mass_concentration", "ug/m3", "pm2_5")),
        ("total_m3", ("volume", "m3", "total")),
        ("supply_l_min", ("flow", "L/min", "supply")),
        ("current_a_v", ("voltage", "V", "current_a")),  # of phase a
        ("rain_rate_mm_h", None),  # no unit that is known, and no hours
        ("rain_rate_in_h", None),
        ("energy_per_h", None),
        ("m_s", ("duration", "s", "m")),
        ("_s", None),
        ("humidity", None),
    ],
)
def test_the_end_of_a_name_is_a_unit_of_one_word_or_of_two(name: str, meant: object) -> None:
    assert suffix_unit(name) == meant


def test_every_unit_that_a_name_may_end_with_is_one_of_its_quantity() -> None:
    ends = [
        *SUFFIXES,
        "m_s",
        "km_h",
        "mi_h",
        "mm_s",
        "ug_m3",
        "mg_m3",
        "g_m3",
        "ug_l",
        "l_h",
        "l_min",
        "l_s",
        "m3_h",
    ]
    for end in ends:
        found = suffix_unit(f"name_{end}")
        assert found is not None, end
        quantity, unit, base = found
        assert base == "name"
        assert unit == QUANTITIES[quantity].unit or quantity in quantities_of(unit)
