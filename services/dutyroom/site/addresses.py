"""What an address of a profile looks like, as far as its templates and its examples tell."""

from __future__ import annotations

import re

from dutyroom.profiles.profile import Profile


def may_be(address: str, profile: Profile) -> bool:
    """Whether a message of the profile can name this address: {portal}/genset/{instance}."""
    templates = {template for layout in profile.layouts for template in layout.identity}
    shapes = (re.split(r"\{[^}]*\}", template) for template in templates)
    return not templates or any(
        re.fullmatch(".+".join(re.escape(part) for part in shape), address) for shape in shapes
    )


def example(profile: Profile) -> str:
    """An address out of its examples, "" = none is known."""
    return next((address for one in profile.examples for address in one.expect), "")


def usual_digits(profile: Profile) -> int | None:
    """How many digits its addresses have, where all that are known are digits and equally long."""
    known = [address for one in profile.examples for address in one.expect]
    lengths = {len(address) for address in known}
    return lengths.pop() if len(lengths) == 1 and all(a.isdecimal() for a in known) else None
