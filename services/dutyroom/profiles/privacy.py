"""Personal values: dropped, or replaced by a pseudonym, before anything is stored."""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Callable, Iterable
from typing import TypeAlias

from dutyroom.model.telemetry import Scalar
from dutyroom.profiles.paths import as_text
from dutyroom.profiles.profile import PointRule, Profile
from dutyroom.profiles.values import NOTHING, Problem, Result, stored


def pseudonym(value: Scalar, key: bytes = b"") -> str:
    """What stands for a personal value marked `hash`: the same person, the same text."""
    text = as_text(value) or ""
    return "~" + hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8, key=key[:64]).hexdigest()


Guard: TypeAlias = Callable[[Scalar], Scalar | None]


def guard(profile: Profile, names: Iterable[str], key: bytes) -> Guard:
    """What a privacy mark makes of a value whose field has one of these names; None = dropped."""
    return guard_of(profile, names, key) or _plain


def guard_of(profile: Profile, names: Iterable[str], key: bytes) -> Guard | None:
    """The same; None where no mark names the field, or one says `keep`.

    A whole name counts before globs, and of several the strictest; else the first glob that fits.
    """
    listed = [n for n in names if n]
    marks = [profile.privacy[n] for n in listed if n in profile.privacy]
    if not marks:
        globs = profile.privacy.items()
        marks = [mark for glob, mark in globs if any(fnmatch.fnmatchcase(n, glob) for n in listed)][:1]
    if "drop" in marks:
        return lambda value: None
    return (lambda value: pseudonym(value, key)) if "hash" in marks else None


def point_guard(profile: Profile, rule: PointRule, key: bytes) -> Guard | None:
    """Of a point whose own name, or one of the fields that it is made of, is marked as personal."""
    if not profile.privacy:
        return None
    fields = rule.value.names if rule.value is not None else ()
    paths = [*rule.paths, *(rule.names[name] for name in fields if name in rule.names)]
    paths += [rule.each] if rule.each is not None else []
    names = [rule.spec.name, *(name for name in fields if name not in rule.names)]
    for path in paths:
        names += [path.leaf, path.text.removeprefix("$.").removeprefix("@.")]
    return guard_of(profile, names, key)


def hidden(value: Result, guarded: Guard) -> Result:
    """What may be stored of a point's personal value: no text, or its pseudonym. A number has none, so
    there is no reading. What is wrong with a value is told without it."""
    if isinstance(value, Problem):
        return Problem(value.kind, "a personal value")
    shown = guarded(value) if isinstance(value, str) else None
    return NOTHING if shown is None else str(shown)


def _plain(value: Scalar) -> Scalar:
    return stored(value) if isinstance(value, str) else value
