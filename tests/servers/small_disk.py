"""A disk that gets full: a tmpfs of some megabytes, mounted for a test."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

from tests.servers.child import Missing

_BLOCK = b"\0" * 4096


class SmallDisk:
    """Raises Missing where we may not mount one: it takes root, or sudo that asks nothing."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self._ballast = folder / "ballast"
        options = f"size={megabytes}m,mode=0700,uid={os.geteuid()},gid={os.getegid()}"
        _as_root("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder))

    def fill(self) -> None:
        """To the last byte; again: what was given free meanwhile, too."""
        with self._ballast.open("ab", buffering=0) as out, contextlib.suppress(OSError):
            while out.write(_BLOCK) == len(_BLOCK):
                pass

    @property
    def free(self) -> int:
        """Bytes."""
        return shutil.disk_usage(self.folder).free

    def give_room(self) -> None:
        self._ballast.unlink(missing_ok=True)

    def unmount(self) -> None:
        with contextlib.suppress(Missing):
            _as_root("umount", "-l", str(self.folder))


def _as_root(*command: str) -> None:
    words = command if os.geteuid() == 0 else ("sudo", "-n", *command)
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
    except OSError as err:
        raise Missing(f"{command[0]}: {err}") from err
    if done.returncode:
        raise Missing(
            f"{' '.join(words[:3])}: {done.stderr.strip()}; as nobody: unshare -Urm python -m pytest tests/chaos/test_full_disk.py"
        )
