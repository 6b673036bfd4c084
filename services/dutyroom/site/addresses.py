"""What an address of a profile looks like, as far as its templates and its examples tell."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from dutyroom.model.duty import Device
from dutyroom.profiles.profile import Profile
from dutyroom.profiles.templates import template

_CASED = re.compile(r"\{[^{}|]+\|(eui|lower|upper)\}")


def may_be(address: str, profile: Profile) -> bool:
    """Whether a message of the profile can name this address: {portal}/genset/{instance}."""
    templates = {template for layout in profile.layouts for template in layout.identity}
    shapes = (re.split(r"\{[^}]*\}", template) for template in templates)
    return not templates or any(
        re.fullmatch(".+".join(re.escape(part) for part in shape), address) for shape in shapes
    )


def spelled(device: Device, before: Device | None, profiles: Mapping[str, Profile]) -> Device:
    """Its address in the letters that messages of its profile give it: a DevEUI stands on labels in capitals
    or with signs between its bytes, and no message is of such an address. One that stays is left alone."""
    profile = profiles.get(device.profile)
    if profile is None or (before is not None and before.address == device.address):
        return device
    found = [_CASED.fullmatch(t) for layout in profile.layouts for t in layout.identity]
    cases = {match[1] if match else "" for match in found}
    if len(cases) != 1 or "" in cases:
        return device
    text = template(f"{{address|{cases.pop()}}}")({"address": device.address}, None, None)
    return replace(device, address=text or device.address)


def example(profile: Profile) -> str:
    """An address out of its examples, "" = none is known."""
    return next((address for one in profile.examples for address in one.expect), "")


def usual_digits(profile: Profile) -> int | None:
    """How many digits its addresses have, where all that are known are digits and equally long."""
    known = [address for one in profile.examples for address in one.expect]
    lengths = {len(address) for address in known}
    return lengths.pop() if len(lengths) == 1 and all(a.isdecimal() for a in known) else None
