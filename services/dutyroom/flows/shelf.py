"""The profiles of a site on disk: read again when a file has changed, without a restart.

A file with mistakes is refused by itself: what it said before stays in use, all others are taken.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from zoneinfo import ZoneInfo

from dutyroom.errors import Mistake, Rejected
from dutyroom.profiles.checking import check_profile
from dutyroom.profiles.decode import Library
from dutyroom.profiles.loading import load_profiles, read_extending
from dutyroom.profiles.profile import Profile, filters_of
from dutyroom.timebase import Ms

Look: TypeAlias = tuple[tuple[str, int, int], ...]  # file, time of change in ns, size

LOOK_S = 2.0  # seconds between two looks at the folders


@dataclass(frozen=True, slots=True)
class Shelved:
    """What the last reading of the folders gave."""

    at: Ms
    own: tuple[str, ...]  # ids of the site's own profiles that are in use
    mistakes: tuple[Mistake, ...] = ()
    kept: tuple[str, ...] = ()  # ids whose file is refused and whose former version is in use


class Shelf:
    """`shipped`: the profiles that come with the product. `own`: the site's folders, which need not be
    there. `take` gets every new library and says what of it cannot count. `mistakes`: those known at
    the start. Used from any thread."""

    def __init__(
        self,
        shipped: Path,
        own: Sequence[Path],
        library: Library,
        privacy_key: bytes,
        take: Callable[[Library], Sequence[Mistake]],
        now: Callable[[], Ms],
        mistakes: Sequence[Mistake] = (),
    ) -> None:
        self._shipped, self._own = shipped, tuple(own)
        self.library = library
        self._tz: ZoneInfo = library.tz
        self._key, self._take, self._now = privacy_key, take, now
        self._lock = threading.Lock()
        self._known: tuple[Library, Mapping[str, str]] | None = None
        self._taken = self._seen = self._look()
        self._replaces = self._any_replaced()
        self.shelved = Shelved(now(), self._ids(library.profiles.values()), tuple(mistakes))

    def _look(self) -> Look:
        """The files as they are; one that goes away meanwhile is gone."""
        found = []
        for folder in self._own:
            for file in sorted(folder.glob("*/*.yaml")):
                try:
                    status = file.stat()
                except OSError:
                    continue
                found.append((str(file), status.st_mtime_ns, status.st_size))
        return tuple(found)

    def _any_replaced(self) -> bool:
        """Whether a file of the site's stands in place of a shipped one: what extends that is another then."""
        return any(
            (self._shipped / Path(file).parent.name / Path(file).name).exists() for file, *_ in self._look()
        )

    def look(self) -> bool:
        """Reads the profiles again where files have changed and stayed so since the last look: an
        editor may still be writing. Returns whether it did."""
        seen, before = self._look(), self._seen
        self._seen = seen
        if seen == self._taken or seen != before:
            return False
        self.reload()
        return True

    def reload(self) -> Shelved:
        """Reads the profiles now. Raises Unavailable when their points cannot be stored: what was in
        use stays."""
        with self._lock:
            look, replaced = self._look(), self._any_replaced()
            profiles, mistakes, kept = self._read()
            library = Library(profiles, self._tz, self._key)
            notes = self._take(library)
            self.library, self._taken, self._replaces = library, look, replaced or self._any_replaced()
            self.shelved = Shelved(self._now(), self._ids(profiles), (*mistakes, *notes), kept)
            return self.shelved

    def _read(self) -> tuple[list[Profile], list[Mistake], tuple[str, ...]]:
        """The profiles to use, every mistake, and whose former version is among the former."""
        folders = [folder for folder in self._own if any(folder.glob("*/*.yaml"))]
        found, mistakes = load_profiles(self._shipped, *folders, ready=self._ready())
        wrong: set[str] = set()
        for profile in found:
            said = check_profile(profile, self._tz) if self._is_own(profile) else []
            mistakes += said
            if said and profile.examples:  # one without examples is complained of, and read by
                wrong.add(profile.id)
        good = [profile for profile in found if profile.id not in wrong]
        there = {f"{file.parent.name}/{file.stem}" for folder in folders for file in folder.glob("*/*.yaml")}
        refused = there - {profile.id for profile in good}
        kept = [self.library.profiles[name] for name in sorted(refused) if name in self.library.profiles]
        return [*good, *kept], mistakes, tuple(profile.id for profile in kept)

    def _ready(self) -> list[Profile]:
        """The shipped profiles, which nobody changes under a running process: to read them all takes seconds, in
        which messages wait."""
        if self._replaces:
            return []
        return [p for p in self.library.profiles.values() if Path(p.file).is_relative_to(self._shipped)]

    def build(self, profile_id: str, text: str) -> tuple[Profile | None, list[Mistake]]:
        """A profile from its text, as if it lay in the site's folder. Writes nothing."""
        file = str(self._own[0] / f"{profile_id}.yaml") if self._own else profile_id
        return read_extending(text, profile_id, file, (self._shipped, *self._own))

    @property
    def writable(self) -> bool:
        """Whether this process may write profiles into the site's folder."""
        return bool(self._own) and os.access(_there(self._own[0]), os.W_OK | os.X_OK)

    def write(self, profile_id: str, text: str) -> Path:
        """Puts a new file into the site's folder; `reload` takes it. Raises Rejected when there is one of
        that name, or it cannot be written."""
        if not self.writable:
            raise Rejected("error.profiles_read_only")
        file = self._own[0] / f"{profile_id}.yaml"
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("x", encoding="utf-8") as out:
                out.write(text)
        except FileExistsError as err:
            raise Rejected("error.profile_there", {"profile": profile_id}) from err
        except OSError as err:
            raise Rejected(
                "error.profile_unwritten", {"profile": profile_id, "why": err.strerror or ""}
            ) from err
        return file

    def _is_own(self, profile: Profile) -> bool:
        return any(Path(profile.file).is_relative_to(folder) for folder in self._own)

    def _ids(self, profiles: Iterable[Profile]) -> tuple[str, ...]:
        return tuple(sorted(p.id for p in profiles if self._is_own(p)))

    def filters(self, library: Library) -> tuple[str, ...]:
        """What the site's own profiles read, as a broker understands it."""
        return tuple(self.read(library))

    def read(self, library: Library) -> Mapping[str, str]:
        """The same, with the profile that reads it. Asked for at every look at the troubles: all profiles are gone
        through once."""
        if self._known is None or self._known[0] is not library:
            own = (profile for profile in library.profiles.values() if self._is_own(profile))
            self._known = library, filters_of(own)
        return self._known[1]


def _there(folder: Path) -> Path:
    """The folder, or the next above it that exists."""
    return next((f for f in (folder, *folder.parents) if f.is_dir()), folder)
