"""Hundreds of profiles at little cost: what choosing needs stays at hand, layouts and examples are packed.

A site uses a few of the shipped profiles. The others are asked on which topics and for which product
they are, never more; so their bodies lie compressed until somebody asks. A file remembers the result
of reading all profiles, for the next start.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from dutyroom.profiles.profile import Example, Layout, Profile, Sketch

_EAGER = (
    "id", "device_class", "name", "products", "lane", "interval_s", "parameters", "needed", "privacy", "fallback", "file", "envelope",
)  # fmt: skip
_MAGIC = b"dutyroom profiles 4\n"


class Packed(Profile):
    """A profile whose layouts and examples are unpacked when they are asked for, and then kept."""

    __slots__ = ("_body", "_rank", "_sketches")
    _body: bytes
    _rank: tuple[bool, int, int]
    _sketches: tuple[Sketch, ...]

    def __init__(self, profile: Profile) -> None:
        for name in _EAGER:
            object.__setattr__(self, name, getattr(profile, name))
        body = zlib.compress(pickle.dumps((profile.layouts, profile.examples), 5), 1)
        object.__setattr__(self, "_body", body)
        object.__setattr__(self, "_rank", profile.rank)
        object.__setattr__(self, "_sketches", profile.sketches)

    @property
    def rank(self) -> tuple[bool, int, int]:
        return self._rank

    @property
    def sketches(self) -> tuple[Sketch, ...]:
        return self._sketches

    def __getattr__(self, name: str) -> object:
        # Only called for what is not there: the slots of layouts and examples are empty so far.
        if name not in ("layouts", "examples"):
            raise AttributeError(name)
        layouts: tuple[Layout, ...]
        examples: tuple[Example, ...]
        # Our own bytes, made by this process or read from a file of ours whose digest is right.
        layouts, examples = pickle.loads(zlib.decompress(self._body))  # noqa: S301
        object.__setattr__(self, "layouts", layouts)
        if name == "examples":  # asked for by people and checks, not by messages: not kept
            return examples
        return layouts

    def __getstate__(self) -> object:
        return {name: getattr(self, name) for name in (*_EAGER, "_body", "_rank", "_sketches")}

    def __setstate__(self, state: dict[str, object]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)


def fingerprint(folders: Sequence[Path]) -> str:
    """Changes when a profile, this program or its Python does."""
    digest = hashlib.sha256(f"{sys.version} {sys.byteorder}".encode())
    own = Path(__file__).parents[1]
    for file in sorted((*own.glob("*.py"), *own.glob("profiles/**/*.py"), *own.glob("model/*.py"))):
        _add(digest, file)
    for folder in folders:
        for file in sorted(folder.glob("*/*.yaml")):
            _add(digest, file)
    return digest.hexdigest()


def _add(digest: hashlib._Hash, file: Path) -> None:
    try:
        status = file.stat()
    except OSError:
        return
    digest.update(f"\0{file}\0{status.st_size}\0{status.st_mtime_ns}".encode())


def remembered(cache: Path, key: str) -> list[Profile] | None:
    """What the last start read, when nothing has changed since; None = read the files."""
    try:
        data = cache.read_bytes()
    except OSError:
        return None
    head = _MAGIC + key.encode() + b"\n"
    body = data[len(head) + 32 :]
    if not data.startswith(head) or hashlib.sha256(body).digest() != data[len(head) : len(head) + 32]:
        return None
    try:
        return list(pickle.loads(body))  # noqa: S301 - a file of ours, left out of backups
    except Exception:  # whatever is wrong with it, the profiles themselves are there
        return None


def remember(cache: Path, key: str, profiles: Iterable[Profile]) -> None:
    """For the next start. Whether the file can be written does not matter to this one."""
    body = pickle.dumps(list(profiles), 5)
    data = _MAGIC + key.encode() + b"\n" + hashlib.sha256(body).digest() + body
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        fresh = cache.with_suffix(f".{os.getpid()}")
        fresh.write_bytes(data)
        fresh.chmod(0o600)
        fresh.replace(cache)
    except OSError:
        return
