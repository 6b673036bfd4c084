"""Personal values: dropped, or replaced by a pseudonym, before anything is stored."""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Callable, Iterable
from typing import TypeAlias

from dutyroom.model.telemetry import Scalar
from dutyroom.profiles.paths import as_text
from dutyroom.profiles.profile import Profile
from dutyroom.profiles.values import stored


def pseudonym(value: Scalar, key: bytes = b"") -> str:
    """What stands for a personal value marked `hash`: the same person, the same text."""
    text = as_text(value) or ""
    return "~" + hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8, key=key[:64]).hexdigest()


Guard: TypeAlias = Callable[[Scalar], Scalar | None]


def guard(profile: Profile, names: Iterable[str], key: bytes) -> Guard:
    """What a privacy mark makes of a value whose field has one of these names; None = dropped."""
    return guard_of(profile, names, key) or _plain


def guard_of(profile: Profile, names: Iterable[str], key: bytes) -> Guard | None:
    """The same; None where no mark names the field."""
    listed = [n for n in names if n]
    for glob, action in profile.privacy.items():
        if any(fnmatch.fnmatchcase(n, glob) for n in listed):
            return (lambda value: None) if action == "drop" else (lambda value: pseudonym(value, key))
    return None


def _plain(value: Scalar) -> Scalar:
    return stored(value) if isinstance(value, str) else value
