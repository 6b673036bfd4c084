"""Device parameters that multiply what a meter says: CT and PT ratios, pulse weights."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from dataclasses import replace
from fractions import Fraction

from dutyroom.model.duty import Device
from dutyroom.model.telemetry import Scalar
from dutyroom.profiles.paths import as_text
from dutyroom.profiles.profile import Profile
from dutyroom.profiles.ratios import MULTIPLIER, exact_factor, ratio_of

_SAME = Fraction(1, 10**9)  # a ratio such as 1000/3 has no end: between floats that mean the same


def wrong_ratio(profile: Profile, name: str, value: Scalar) -> str:
    """name=value of a parameter by which the profile scales points and on which no bill can rest: 0 makes
    every register 0, a text makes none. Else ""."""
    scaling = any(name in rule.scale_by for layout in profile.layouts for rule in layout.points)
    scaling = scaling or (name == MULTIPLIER and bool(ratio_of(profile)))
    return f"{name}={as_text(value)}" if scaling and not _is_ratio(value) else ""


def no_number(profile: Profile, name: str, value: Scalar, limits: Container[str] = ()) -> str:
    """name=value of a parameter that is to be a number, as its default is one or it has none, and that is none. Else "".
    limits: names of those of which rules make a limit, where the profile does not say what they are."""
    usual = profile.parameters.get(name)
    if name in limits and name not in profile.parameters and name not in profile.needed:
        return "" if value == "" or _is_limit(value) else f"{name}={as_text(value)}"
    numeric = name in profile.needed or (isinstance(usual, int | float) and not isinstance(usual, bool))
    number = isinstance(value, int | float)
    if name in profile.needed and isinstance(value, bool):  # it would count as 1: no depth, and no range
        number = False
    return f"{name}={as_text(value)}" if numeric and not number else ""


def lacking(profile: Profile, parameters: Container[str]) -> list[str]:
    """The parameters that only a device can say and that it does not."""
    return [name for name in profile.needed if name not in parameters]


def other_multiplier(profile: Profile, parameters: Mapping[str, Scalar]) -> tuple[str, str] | None:
    """(what the row's multiplier is, "ct × pt = 40 × 10 = 400") where a bill would multiply the register by another
    figure than the profile what it measures. None where they agree, or a row has the product alone."""
    given, wanted = parameters.get(MULTIPLIER, 1), _product(profile, parameters)
    if wanted is None or not _is_ratio(given):  # what is no ratio is told by `wrong_ratio`
        return None
    if MULTIPLIER in parameters and parameters.keys().isdisjoint(ratio_of(profile)):
        return None
    if abs(exact_factor({MULTIPLIER: given}, (MULTIPLIER,)) - wanted) <= wanted * _SAME:
        return None
    return _shown(given), f"{_parts(profile, parameters)} = {_shown(_scalar(wanted))}"


def with_multiplier(device: Device, before: Device | None, profile: Profile) -> Device:
    """A device with the multiplier that a bill needs, where its row gives the ratios alone. before: as it was where
    its row says nothing of a multiplier; one that was no more than its ratios said follows them."""
    own = dict(device.parameters)
    if before is not None and _made(profile, before) and own.get(MULTIPLIER) == before.parameters[MULTIPLIER]:
        del own[MULTIPLIER]
    wanted = _product(profile, own)
    if MULTIPLIER not in own and wanted is not None and wanted != 1:
        own[MULTIPLIER] = _scalar(wanted)
    return device if own == device.parameters else replace(device, parameters=own)


def without_made(profile: Profile, device: Device) -> Device:
    """A device without the multiplier that is no more than its ratios say: for a form, where a changed ratio would else
    stand beside the old product."""
    if not _made(profile, device):
        return device
    return replace(device, parameters={k: v for k, v in device.parameters.items() if k != MULTIPLIER})


def _made(profile: Profile, device: Device) -> bool:
    """Whether a device's multiplier is no more than its ratios say."""
    parts = not device.parameters.keys().isdisjoint(ratio_of(profile))
    return parts and MULTIPLIER in device.parameters and other_multiplier(profile, device.parameters) is None


def _product(profile: Profile, parameters: Mapping[str, Scalar]) -> Fraction | None:
    """Of the ratios with the profile's defaults; None where there are none, or one is wrong."""
    known, names = {**profile.parameters, **parameters}, ratio_of(profile)
    if not names or not all(_is_ratio(known[name]) for name in names):
        return None
    return exact_factor(known, names)


def _parts(profile: Profile, parameters: Mapping[str, Scalar]) -> str:
    known, names = {**profile.parameters, **parameters}, ratio_of(profile)
    return f"{' × '.join(names)} = {' × '.join(_shown(known[name]) for name in names)}"


def _scalar(number: Fraction) -> Scalar:
    return int(number) if number.denominator == 1 else float(number)


def _shown(value: Scalar) -> str:
    return as_text(value) or str(value)


def _is_limit(value: Scalar) -> bool:
    try:
        return not isinstance(value, bool) and math.isfinite(float(value))
    except ValueError:
        return False


def _is_ratio(value: Scalar) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and value > 0
