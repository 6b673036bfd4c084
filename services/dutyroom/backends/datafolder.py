"""The data folder: one instance at a time, a version, and how commands find the running one."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from types import TracebackType
from typing import IO

from dutyroom.errors import Rejected, Unavailable

VERSION = 1


class DataFolder:
    """Locks `path` for this process. Raises Rejected: in use, newer, or not writable."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: IO[str] | None = None

    def __enter__(self) -> DataFolder:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = (self.path / "instance.lock").open("a+", encoding="utf-8")
        except OSError as err:
            raise Rejected(
                f"cannot write to the data folder {self.path} ({err.strerror}); choose another with --data"
            ) from err
        if not _try_lock(self._lock):
            running = read_instance(self.path)
            where = f" (it answers at {running['url']})" if running else ""
            raise Rejected(
                f"another Dutyroom is using the data folder {self.path}{where}; stop it, or choose another with --data"
            )
        self._check_version()
        return self

    def _check_version(self) -> None:
        file = self.path / "version.json"
        if file.exists():
            try:
                found = int(json.loads(file.read_text(encoding="utf-8"))["version"])
            except (ValueError, KeyError, TypeError) as err:
                raise Rejected(f"{file} cannot be read: {err}") from err
            if found > VERSION:
                raise Rejected(
                    f"the data folder {self.path} was written by a newer Dutyroom ({found} > {VERSION})"
                )
        file.write_text(json.dumps({"version": VERSION}), encoding="utf-8")

    def announce(self, url: str, broker: str, token: str) -> None:
        """Tells commands where the instance answers, its embedded broker ("" = none) and the API
        token that they may use; readable by its own user only."""
        file = self.path / "instance.json"
        content = json.dumps({"url": url, "broker": broker, "pid": os.getpid(), "token": token})
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(content)

    def secret(self, name: str) -> str:
        """A random secret kept in the folder, made on first use."""
        file = self.path / f"{name}.secret"
        if not file.exists():
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as out:
                out.write(secrets.token_urlsafe(32))
        return file.read_text(encoding="utf-8").strip()

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None
    ) -> None:
        (self.path / "instance.json").unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _try_lock(file: IO[str]) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def in_use(path: Path) -> bool:
    """Whether an instance holds the folder: asked of its lock, which ends with its process."""
    file = path / "instance.lock"
    if not file.exists():
        return False
    try:
        with file.open("a+", encoding="utf-8") as lock:
            return not _try_lock(lock)
    except OSError:  # another user's: whether it runs is then told by its own file
        return True


def read_instance(path: Path) -> dict[str, str] | None:
    """{"url", "broker", "pid", "token"} of the running instance, None when there is none. Raises
    Unavailable when what it left cannot be read."""
    file = path / "instance.json"
    if not in_use(path):
        return None
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as err:
        raise Unavailable(f"{file}: {err}") from err
    return {key: str(value) for key, value in data.items()}
