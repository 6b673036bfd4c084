"""A data folder as one checked archive, taken while it is in use, and back.

Databases are copied by SQLite's online backup: a consistent picture, whoever writes. The order
matters. A reader's place in the journal is kept in the records, and the store's in the journal: so
records come first, then journals, then the rest, and what was restored reads a little again
rather than missing a little. A journal names points by numbers that the records give: should a new
one be given in between, all is copied again, or the restored service would give that number twice.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path, PurePosixPath

from dutyroom.backends.clock import read_machine_time
from dutyroom.errors import Rejected, Unavailable
from dutyroom.timebase import to_iso

MANIFEST = "manifest.json"
FORMAT = 1
_MAGIC = b"SQLite format 3\x00"
_LEFT_OUT = ("instance.lock", "instance.json")  # they belong to the running process
_CACHE = "cache"  # made again when it is missing; never taken from an archive
_COMPANIONS = ("-wal", "-shm", "-journal")
_OTHER_ARCHIVES = (".gz", ".tgz", ".tar", ".bz2", ".xz", ".zst", ".7z", ".rar")
_CHUNK = 1 << 20
_TRIES = 5


def backup(data_folder: Path, target: Path) -> Path:
    """Copies the folder into `target`: a .zip file or a new folder. Returns it.

    Raises Rejected: nothing there, target taken or inside the folder, a damaged database;
    Unavailable: the disk.
    """
    if not data_folder.is_dir():
        raise Rejected(f"{data_folder}: there is no data folder")
    if target.resolve().is_relative_to(data_folder.resolve()):
        raise Rejected(f"{target}: a backup cannot lie inside the data folder that it copies")
    if target.suffix in _OTHER_ARCHIVES:
        raise Rejected(f"{target}: a backup is a .zip file, or a folder")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise Rejected(f"{target}: is there already; a backup overwrites nothing")
    with _disk(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".backup-", dir=target.parent) as temporary:
            stage = Path(temporary) / "stage"
            stage.mkdir()
            _write_manifest(stage, _copy_consistent(data_folder, stage))
            if target.suffix == ".zip":
                _pack(stage, Path(temporary) / "packed.zip")
                (Path(temporary) / "packed.zip").replace(target)
            else:
                stage.chmod(0o700)
                stage.replace(target)
    return target


def restore(archive: Path, data_folder: Path) -> Path:
    """Lays a backup out into an empty or new folder once every hash is right. Returns the folder.

    An empty folder is filled where it is: it may be a volume that cannot be replaced.

    Raises Rejected: no backup, damaged, made by a newer version, folder not empty; Unavailable.
    """
    if data_folder.exists() and (not data_folder.is_dir() or any(data_folder.iterdir())):
        raise Rejected(f"{data_folder}: is not empty; a restore overwrites nothing")
    there = data_folder.exists()
    with _disk(data_folder):
        data_folder.parent.mkdir(parents=True, exist_ok=True)
        beside = data_folder if there else data_folder.parent
        with tempfile.TemporaryDirectory(prefix=".restore-", dir=beside) as temporary:
            stage = Path(temporary) / "stage"
            stage.mkdir()
            if archive.is_dir():
                shutil.copytree(archive, stage, dirs_exist_ok=True)
            else:
                _unpack(archive, stage)
            _verify(stage, archive)
            shutil.rmtree(stage / _CACHE, ignore_errors=True)
            (stage / MANIFEST).unlink()
            for file in _everything(stage):
                file.chmod(0o600)  # an archive keeps no rights, and there are secrets among them
            stage.chmod(0o700)
            if there:
                for child in sorted(stage.iterdir()):
                    child.replace(data_folder / child.name)
            else:
                stage.replace(data_folder)
    return data_folder


def _everything(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


@contextlib.contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as err:
        raise Unavailable(f"{path}: {err}") from err
    except OSError as err:
        raise Unavailable(f"{err.filename or path}: {err.strerror or err}") from err


# ---------------------------------------------------------------- out


def _copy_consistent(source: Path, stage: Path) -> dict[str, dict[str, str | int]]:
    """Copies every file, again where a point was numbered meanwhile; what the manifest says of each."""
    for _ in range(_TRIES):
        said = _copy_all(source, stage)
        if all(_last_point(source / name) == _last_point(stage / name) for name in said if _has_points(name)):
            return said
        for child in stage.iterdir():
            shutil.rmtree(child) if child.is_dir() else child.unlink()
    raise Unavailable(f"{source}: devices are being added without a pause; try again later")


def _has_points(name: str) -> bool:
    return name.startswith("records") and name.endswith(".sqlite")


def _last_point(file: Path) -> int:
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=30)) as database:
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'points'").fetchone():
            return 0
        return int(database.execute("SELECT coalesce(max(id), 0) FROM points").fetchone()[0])


def _copy_all(source: Path, stage: Path) -> dict[str, dict[str, str | int]]:
    """Copies every file; what the manifest says of each."""
    said: dict[str, dict[str, str | int]] = {}
    for file in sorted(_files(source), key=_order):
        name = file.relative_to(source).as_posix()
        copy = stage / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        schema = ""
        try:
            if _is_database(file):
                schema = _copy_database(file, copy)
            else:
                shutil.copy2(file, copy)
        except FileNotFoundError:
            continue  # gone since it was listed: a log that rolled over
        said[name] = {"sha256": _digest(copy), "bytes": copy.stat().st_size, "schema": schema}
    return said


def _files(folder: Path) -> Iterator[Path]:
    for file in folder.rglob("*"):
        companion = file.name.endswith(_COMPANIONS)
        if file.relative_to(folder).parts[0] == _CACHE:
            continue
        if file.is_file() and not file.is_symlink() and not companion and file.name not in _LEFT_OUT:
            yield file


def _order(file: Path) -> tuple[int, str]:
    first = ("records", "journal")
    place = next((i for i, name in enumerate(first) if file.name.startswith(name)), len(first))
    return place, file.as_posix()


def _is_database(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(_MAGIC)) == _MAGIC


def _copy_database(file: Path, copy: Path) -> str:
    """Copies in one step and looks whether it is whole; returns its schema version."""
    with closing(sqlite3.connect(file, timeout=30)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        target.execute("PRAGMA journal_mode=DELETE")  # one file, without companions
        verdict = target.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise Rejected(f"{file}: is damaged: {verdict}")
        return _schema(target)


def _schema(database: sqlite3.Connection) -> str:
    """Alembic's revision of the records, else the number that SQLite keeps for its owner."""
    tables = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
    source = "SELECT version_num FROM alembic_version" if tables else "PRAGMA user_version"
    row = database.execute(source).fetchone()
    return str(row[0]) if row else ""


def _write_manifest(stage: Path, files: Mapping[str, Mapping[str, str | int]]) -> None:
    content = {"format": FORMAT, "made_at": to_iso(read_machine_time()), "files": files}
    text = json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True)
    (stage / MANIFEST).write_text(text, encoding="utf-8")


def _pack(stage: Path, packed: Path) -> None:
    with packed.open("xb") as out:
        packed.chmod(0o600)  # it holds password hashes and addresses
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for file in sorted(stage.rglob("*")):
                if file.is_file():
                    archive.write(file, file.relative_to(stage).as_posix())
        out.flush()
        os.fsync(out.fileno())


# ---------------------------------------------------------------- back


def _unpack(archive: Path, stage: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as opened:
            for name in opened.namelist():
                _inside(name)
            opened.extractall(stage)
    except FileNotFoundError as err:
        raise Rejected(f"{archive}: there is no such backup") from err
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as err:
        raise Rejected(f"{archive}: is no readable backup: {err}") from err
    except OSError as err:
        if err.errno != errno.EINVAL:
            raise
        raise Rejected(f"{archive}: is no readable backup: it points outside itself") from err


def _inside(name: str) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise Rejected(f"{name!r}: a backup holds only files of its own folder")


def _verify(stage: Path, archive: Path) -> None:
    """Every file of the manifest is there with its hash, and no other."""
    try:
        said = json.loads((stage / MANIFEST).read_text(encoding="utf-8"))
        known, files = int(said["format"]), dict(said["files"])
        hashes = {str(name): str(facts["sha256"]) for name, facts in files.items()}
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise Rejected(f"{archive}: is no backup: its {MANIFEST} cannot be read") from err
    if known > FORMAT:
        raise Rejected(f"{archive}: was made by a newer version")
    for name, wanted in hashes.items():
        _inside(name)
        if not (stage / name).is_file():
            raise Rejected(f"{archive}: {name} is missing")
        if _digest(stage / name) != wanted:
            raise Rejected(f"{archive}: {name} is damaged: its hash is another")
    there = {f.relative_to(stage).as_posix() for f in _everything(stage)}
    if others := sorted(there - set(hashes) - {MANIFEST}):
        raise Rejected(f"{archive}: {others[0]} is not in its {MANIFEST}")


def _digest(file: Path) -> str:
    total = hashlib.sha256()
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            total.update(chunk)
    return total.hexdigest()
