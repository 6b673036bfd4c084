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
        ("1", "volume", "gal", "0.003785411784"),
        ("10", "volume", "CCF", "28.316846592"),
        ("1000", "volume", "in3", "0.016387064"),
        ("3600", "energy", "BTU", "1.05505585262"),
        ("36", "energy", "therm_ec", "1055.05585262"),
        ("1", "energy", "therm_us", "29.30011111111111111111111111"),
        ("9", "energy", "Gcal", "10467"),
        ("3", "power", "RT", "10.5505585262"),
        ("1", "power", "hp", "0.74569987158227022"),
        ("1", "flow", "gpm", "0.22712470704"),
        ("2.5", "flow", "lpm", "0.15"),
        ("100", "flow", "cfm", "169.901079552"),
        ("1", "pressure", "mmHg", "0.00133322387415"),
        ("1", "pressure", "inHg", "0.0338638864034100"),
        ("760", "pressure", "Torr", "1.01325"),
        ("1", "pressure", "inH2O", "0.0024908891"),
        ("10", "pressure", "kgf/cm2", "9.80665"),
        ("12900", "pressure", "psi", "889.4236908187186124372248744"),
        ("16", "mass", "oz", "0.45359237"),
        ("1", "force", "lbf", "4.4482216152605"),
        ("9", "temperature_difference", "°F", "5"),
        ("1", "acceleration", "g", "9.80665"),
        ("50", "acceleration", "mg", "0.4903325"),
        ("250", "acceleration", "mm/s2", "0.25"),
        ("981", "acceleration", "cm/s²", "9.81"),
        ("10", "velocity", "mph", "4.4704"),
        ("412", "concentration", "ppb", "0.412"),
        ("20.9", "concentration", "%", "209000"),
        ("35", "mass_concentration", "µg/m3", "0.035"),
        ("0.5", "mass_concentration", "mg/L", "500"),
        ("0.05", "conductivity", "S/m", "500"),
        ("1.4", "conductivity", "mS/cm", "1400"),
        ("4", "radioactivity", "pCi/L", "148"),
        ("1300", "charge", "mAh", "1.3"),
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
    assert quantities_of("%")[0] == "ratio"
    assert quantities_of("dB")[0] == "signal_to_noise"
    assert quantities_of("g")[0] == "mass"
    assert quantities_of("furlong") == ()
    assert quantities_of("") == ()
