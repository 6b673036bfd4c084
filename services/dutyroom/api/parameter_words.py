"""What the parameters of a profile are, for whoever takes a device in: a name alone says neither what nor in which unit."""

from __future__ import annotations

from dutyroom.api.words import Words
from dutyroom.profiles.profile import Profile


def meanings(words: Words, profile: Profile) -> dict[str, str]:
    """Parameter -> what it is, for those that a device must say, where the catalogue has `parameter.<profile>.<name>`."""
    keys = {name: f"parameter.{profile.id}.{name}" for name in profile.needed}
    return {name: words.t(key) for name, key in keys.items() if words.has(key)}
