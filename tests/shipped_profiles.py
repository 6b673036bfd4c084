"""The shipped profiles, read once for all test processes and runs: to read all of them takes four seconds.

They are remembered as the service remembers them: a change of a profile or of the program that reads it
has them read again.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from dutyroom.errors import Mistake
from dutyroom.profiles import loading
from dutyroom.profiles.decode import Library, load_library
from dutyroom.profiles.profile import Profile
from dutyroom.timebase import zone
from dutyroom.wiring.shipped import shipped

_CHECKOUT = sha256(str(Path(__file__).parent).encode()).hexdigest()[:12]  # each remembers its own
REMEMBERED = Path.home() / ".cache" / "dutyroom-tests" / f"profiles-{_CHECKOUT}.bin"


def shipped_library(time_zone: str = "Asia/Shanghai", privacy_key: bytes = b"") -> Library:
    """A library of one's own: what it learns of messages no other test sees. Raises Invalid."""
    return load_library(shipped("device_profiles"), zone(time_zone), privacy_key, cache=REMEMBERED)


def shipped_profiles() -> Sequence[Profile]:
    """In the order of their files. Raises Invalid."""
    return list(shipped_library().profiles.values())


def load_profiles(*folders: Path) -> tuple[list[Profile], list[Mistake]]:
    """For tests to put in place of `dutyroom.profiles.loading.load_profiles`, which reads all of them each time."""
    if folders == (shipped("device_profiles"),):
        return list(shipped_profiles()), []
    return loading.load_profiles(*folders)


def as_after_a_first_start(data: Path) -> None:
    """Lays what a first start would have remembered into a data folder that may not be there yet."""
    from dutyroom.wiring.seeding import cache_of  # half of the service: most tests of profiles do without

    shipped_library()
    there = cache_of(data, "", ())
    with contextlib.suppress(OSError):  # a folder that cannot be written is what a test is about
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REMEMBERED, there)
