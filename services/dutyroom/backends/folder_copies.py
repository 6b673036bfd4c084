"""Copies of a folder's files, kept by the folder's path: each is a folder of its own, named by when it was made.

A copy is written beside and renamed: it is there whole or not at all, whoever else writes or reads. Nobody but its
owner gets into it, and its files keep the rights that they had: there are passwords among them.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from dutyroom.backends.clock import read_machine_time
from dutyroom.timebase import HOUR, Ms

_KEPT = 2  # the newest, and the one before: a process may still run with that
_RIGHTS = 0o777
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.EACCES)[: 3 if os.name == "nt" else 2]  # how rename says so


@dataclass(frozen=True, slots=True)
class File:
    content: bytes
    rights: int


Files: TypeAlias = Mapping[str, File]  # by path below the folder, with "/"


def read_files(folder: Path, names: Iterable[str]) -> dict[str, File]:
    """Those of the names that are there and can be read."""
    found = {}
    for name in sorted(set(names)):
        file = folder / name
        with contextlib.suppress(OSError):
            found[name] = File(file.read_bytes(), file.stat().st_mode & _RIGHTS)
    return found


class FolderCopies:
    """The copies of one folder below `root`."""

    def __init__(self, root: Path, folder: Path) -> None:
        path = os.path.normpath(folder.absolute())  # a link keeps its name, whatever it leads to next time
        self._place = root / f"{folder.name[:40]}-{hashlib.sha256(path.encode()).hexdigest()[:12]}"

    def newest(self) -> Path | None:
        made = self._made()
        return made[-1] if made else None

    def keep(self, files: Files) -> None:
        """Makes a copy, unless the newest one is the same. Raises OSError."""
        newest = self.newest()
        if newest is not None and _everything(newest) == dict(files):
            return
        self._place.mkdir(parents=True, exist_ok=True)
        for folder in (self._place.parent, self._place):
            folder.chmod(0o700)
        beside = self._place / f".{secrets.token_hex(6)}"
        try:
            for name, file in files.items():
                _write(beside / name, file)
            for folder in (beside, *(child for child in beside.rglob("*") if child.is_dir())):
                folder.chmod(0o700)
                _to_disk(folder)
            after = made_at(newest) + 1 if newest is not None else 0  # the machine's clock may have gone back
            self._name(beside, max(read_machine_time(), after))
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        self._tidy()

    def _name(self, beside: Path, at: Ms) -> None:
        while (self._place / str(at)).exists():
            at += 1
        try:
            beside.rename(self._place / str(at))
        except OSError as err:
            if err.errno not in _TAKEN:
                raise
            self._name(beside, at + 1)  # another process has made one in this very millisecond
        _to_disk(self._place)

    def _made(self) -> list[Path]:
        try:
            found = [child for child in self._place.iterdir() if child.name.isdigit()]
        except OSError:
            return []
        return sorted(found, key=made_at)

    def _tidy(self) -> None:
        for old in self._made()[:-_KEPT]:
            shutil.rmtree(old, ignore_errors=True)
        for left in self._place.glob(".*"):  # by a process that was killed while it wrote
            with contextlib.suppress(OSError):
                if read_machine_time() - left.stat().st_mtime * 1000 > HOUR:
                    shutil.rmtree(left, ignore_errors=True)


def made_at(copy: Path) -> Ms:
    return int(copy.name)


def _everything(folder: Path) -> dict[str, File]:
    try:
        names = [f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file()]
    except FileNotFoundError:  # old by now, and another process is removing it
        return {}
    return read_files(folder, names)


def _write(path: Path, file: File) -> None:
    """On the disk before the copy has its name: after a power cut an empty file would be read as one that says
    nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(file.content)
        path.chmod(file.rights | 0o400)  # what its group alone could read we must be able to read again
        out.flush()
        os.fsync(out.fileno())


def _to_disk(folder: Path) -> None:
    if os.name == "nt":  # folders cannot be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
