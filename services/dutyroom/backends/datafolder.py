"""The data folder: one instance at a time, or the processes of one instance; a version; and how commands
find who is running."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from pathlib import Path
from types import TracebackType
from typing import IO

from dutyroom.errors import Rejected, Unavailable

VERSION = 1
_MOMENT_S, _TRIES = 0.05, 6


class DataFolder:
    """Locks `path` for this process. Raises Rejected: in use, newer, or not writable.

    shared: with other processes that share it likewise; each site in it is owned by a lease.
    """

    def __init__(self, path: Path, shared: bool = False) -> None:
        self.path, self._shared = path, shared
        self._lock: IO[str] | None = None
        self._announced = False

    def __enter__(self) -> DataFolder:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = (self.path / "instance.lock").open("a+", encoding="utf-8")
        except OSError as err:
            raise Rejected(
                f"cannot write to the data folder {self.path} ({err.strerror}); choose another with --data"
            ) from err
        # A command that asks whether somebody runs here holds the lock for a moment.
        if not _lock_soon(self._lock, self._shared):
            self._lock.close()
            self._lock = None
            running = read_instance(self.path)
            where = f" (it answers at {running['url']})" if running else ""
            raise Rejected(
                f"another Dutyroom is using the data folder {self.path}{where}; stop it, or choose another with --data"
            )
        if not self._shared:  # left by one that was killed: nobody answers there
            (self.path / "instance.json").unlink(missing_ok=True)
        self._check_version()
        return self

    def _check_version(self) -> None:
        file = self.path / "version.json"
        found = 0
        if file.exists():
            try:
                found = int(json.loads(file.read_text(encoding="utf-8"))["version"])
            except (ValueError, KeyError, TypeError) as err:
                raise Rejected(f"{file} cannot be read: {err}") from err
            if found > VERSION:
                raise Rejected(
                    f"the data folder {self.path} was written by a newer Dutyroom ({found} > {VERSION})"
                )
        if found != VERSION:
            write_whole(file, json.dumps({"version": VERSION}))

    def announce(self, url: str, broker: str, token: str) -> None:
        """Tells commands where the instance answers, its embedded broker ("" = none) and the API
        token that they may use; readable by its own user only."""
        file = self.path / "instance.json"
        content = json.dumps({"url": url, "broker": broker, "pid": os.getpid(), "token": token})
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(content)
        self._announced = True

    def secret(self, name: str) -> str:
        """A random secret kept in the folder, made on first use. Raises Rejected when its file cannot be read or is
        empty."""
        file = self.path / f"{name}.secret"
        if not file.exists():
            beside = self.path / f".{name}.{secrets.token_hex(6)}"
            handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as out:
                out.write(secrets.token_urlsafe(32))
                out.flush()
                os.fsync(out.fileno())
            # Whole or not there, and the first one stays: others may be starting at this moment.
            with contextlib.suppress(FileExistsError):
                os.link(beside, file)
            beside.unlink()
        try:
            found = file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as err:
            raise Rejected(f"{file} cannot be read: {err}") from err
        if not found:
            raise Rejected(
                f"{file} is empty: put back the one of a backup; without the file another secret is made"
            )
        return found

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._announced or not self._shared:
            (self.path / "instance.json").unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def write_whole(file: Path, text: str) -> None:
    """Who reads meanwhile sees the old content or the new one."""
    beside = file.with_name(f".{file.name}.{secrets.token_hex(6)}")
    beside.write_text(text, encoding="utf-8")
    beside.replace(file)


def _lock_soon(file: IO[str], shared: bool) -> bool:
    for _ in range(_TRIES):
        if _try_lock(file, shared):
            return True
        time.sleep(_MOMENT_S)
    return False


def _try_lock(file: IO[str], shared: bool = False) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        if shared:
            raise Rejected("several processes cannot share a data folder on Windows; use serve") from None

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
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


def held_alone(path: Path) -> bool:
    """Whether one process has the folder for itself, as `serve` and `demo` do."""
    if os.name == "nt":  # none shares it there
        return in_use(path)
    try:
        with (path / "instance.lock").open("a+", encoding="utf-8") as lock:
            return not _lock_soon(lock, shared=True)
    except OSError:
        return False


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
