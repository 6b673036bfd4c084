"""A data folder as one checked archive and back, also while it is written."""

from __future__ import annotations

import json
import sqlite3
import stat
import threading
import zipfile
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from dutyroom.backends.backup import backup, restore
from dutyroom.backends.records_sql import open_records
from dutyroom.backends.records_sql.migrate import HEAD
from dutyroom.errors import Rejected, Unavailable
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import Kind, Lane, PointSpec


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder as a service leaves it."""
    folder = tmp_path / "data"
    records = open_records(f"sqlite:///{folder}/records.sqlite")
    with records.write() as tx:
        tx.put_blob("s", "rules", b"state")
    records.close()
    journal = folder / "sites" / "s" / "journal.sqlite"
    journal.parent.mkdir(parents=True)
    with closing(sqlite3.connect(journal)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA user_version=3")
        database.execute("CREATE TABLE batches (seq INTEGER PRIMARY KEY)")
        database.execute("INSERT INTO batches VALUES (1)")
        database.commit()
    (folder / "session.secret").write_text("秘密")
    (folder / "instance.lock").write_text("")
    (folder / "instance.json").write_text("{}")
    (folder / "cache").mkdir()
    (folder / "cache" / "profiles-s.bin").write_bytes(b"made again when it is missing")
    return folder


TARGETS = pytest.mark.parametrize("name", ["kept.zip", "kept"])


@TARGETS
def test_what_was_backed_up_comes_back(data: Path, tmp_path: Path, name: str) -> None:
    target = backup(data, tmp_path / "backups" / name)
    back = restore(target, tmp_path / "new" / "data")
    names = sorted(f.relative_to(back).as_posix() for f in back.rglob("*") if f.is_file())
    assert names == ["records.sqlite", "session.secret", "sites/s/journal.sqlite"]
    records = open_records(f"sqlite:///{back}/records.sqlite")
    with records.read() as tx:
        assert tx.blob("s", "rules") == b"state"
    records.close()
    with closing(sqlite3.connect(back / "sites/s/journal.sqlite")) as database:
        assert database.execute("SELECT * FROM batches").fetchall() == [(1,)]
    assert (back / "session.secret").read_text() == "秘密"
    assert [f.name for f in (tmp_path / "backups").iterdir()] == [name]  # nothing left lying about
    assert [f.name for f in (tmp_path / "new").iterdir()] == ["data"]


def test_the_manifest_names_hashes_and_schemas(data: Path, tmp_path: Path) -> None:
    target = backup(data, tmp_path / "kept.zip")
    with zipfile.ZipFile(target) as archive:
        said = json.loads(archive.read("manifest.json"))
    schemas = {name: facts["schema"] for name, facts in said["files"].items()}
    assert schemas == {"records.sqlite": HEAD, "session.secret": "", "sites/s/journal.sqlite": "3"}
    assert all(len(facts["sha256"]) == 64 for facts in said["files"].values())
    assert stat.S_IMODE(target.stat().st_mode) == 0o600  # it holds password hashes


def test_a_backup_while_others_write_is_one_picture(data: Path, tmp_path: Path) -> None:
    """Each writer changes two rows in one transaction: no copy may show one without the other,
    and the records' cursor may never be ahead of the journal."""
    stop, wrote, errors = threading.Event(), threading.Event(), []
    records = open_records(f"sqlite:///{data}/records.sqlite")
    journal = data / "sites" / "s" / "journal.sqlite"

    def write() -> None:
        seq = 1
        try:
            with closing(sqlite3.connect(journal, timeout=10)) as database:
                while not stop.is_set():
                    seq += 1
                    database.execute("INSERT INTO batches VALUES (?)", (seq,))
                    database.commit()
                    with records.write() as tx:
                        tx.put_blob("s", "first", str(seq).encode())
                        tx.put_blob("s", "second", str(seq).encode())
                        tx.advance("s", "watch", Lane.NORMAL, seq)
                    if seq > 5:
                        wrote.set()
        except BaseException as err:
            errors.append(err)
            wrote.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert wrote.wait(10)
        targets = [backup(data, tmp_path / f"kept{n}.zip") for n in range(4)]
    finally:
        stop.set()
        writer.join()
        records.close()
    assert errors == []
    for number, target in enumerate(targets):
        back = restore(target, tmp_path / f"back{number}")
        restored = open_records(f"sqlite:///{back}/records.sqlite")
        with restored.read() as tx:
            assert tx.blob("s", "first") == tx.blob("s", "second") is not None
            cursor = tx.cursor("s", "watch", Lane.NORMAL)
        restored.close()
        with closing(sqlite3.connect(back / "sites/s/journal.sqlite")) as database:
            (last,) = database.execute("SELECT max(seq) FROM batches").fetchone()
        assert 0 < cursor <= last


def test_an_empty_target_folder_is_fine(data: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "back").mkdir()
    assert restore(backup(data, tmp_path / "kept"), tmp_path / "back") == tmp_path / "back"


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("data/kept.zip", "inside the data folder"),
        ("backups/kept.tar.gz", "a .zip file, or a folder"),
        ("taken.zip", "overwrites nothing"),
        ("full", "overwrites"),
    ],
)
def test_a_backup_overwrites_nothing(data: Path, tmp_path: Path, target: str, sentence: str) -> None:
    (tmp_path / "taken.zip").write_text("another")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("another")
    with pytest.raises(Rejected, match=sentence):
        backup(data, tmp_path / target)
    assert (tmp_path / "taken.zip").read_text() == "another"


def test_no_data_folder(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="no data folder"):
        backup(tmp_path / "none", tmp_path / "kept.zip")


def test_a_damaged_database_is_named(data: Path, tmp_path: Path) -> None:
    file = data / "sites" / "s" / "journal.sqlite"
    content = bytearray(file.read_bytes())
    content[4096:6000] = b"\xff" * (6000 - 4096)
    file.write_bytes(bytes(content))
    with pytest.raises((Rejected, Unavailable), match=r"journal\.sqlite|malformed"):
        backup(data, tmp_path / "kept.zip")
    assert not (tmp_path / "kept.zip").exists()


def test_a_restore_overwrites_nothing(data: Path, tmp_path: Path) -> None:
    target = backup(data, tmp_path / "kept.zip")
    with pytest.raises(Rejected, match="not empty"):
        restore(target, data)


def _change(folder: Path) -> None:
    (folder / "session.secret").write_text("another")


def _remove(folder: Path) -> None:
    (folder / "session.secret").unlink()


def _add(folder: Path) -> None:
    (folder / "more").write_text("x")


def _forget(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def _garble(folder: Path) -> None:
    (folder / "manifest.json").write_text("[]")


def _no_facts(folder: Path) -> None:
    said = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(said | {"files": {"session.secret": "abc"}}))


def _newer(folder: Path) -> None:
    said = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(said | {"format": 99}))


def _outside(folder: Path) -> None:
    said = json.loads((folder / "manifest.json").read_text())
    said["files"]["../data/session.secret"] = said["files"]["session.secret"]
    (folder / "manifest.json").write_text(json.dumps(said))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (_change, r"session\.secret is damaged"),
        (_remove, r"session\.secret is missing"),
        (_add, "more is not in its"),
        (_forget, "cannot be read"),
        (_garble, "cannot be read"),
        (_no_facts, "cannot be read"),
        (_newer, "newer version"),
        (_outside, "only files of its own folder"),
    ],
)
def test_a_changed_backup_is_refused(
    data: Path, tmp_path: Path, damage: Callable[[Path], None], sentence: str
) -> None:
    target = backup(data, tmp_path / "kept")
    damage(target)
    with pytest.raises(Rejected, match=sentence):
        restore(target, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("no archive")
    with pytest.raises(Rejected, match="no readable backup"):
        restore(tmp_path / "text.zip", tmp_path / "back")
    with pytest.raises(Rejected, match="no such backup"):
        restore(tmp_path / "none.zip", tmp_path / "back")


def test_an_archive_that_points_outside_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("../evil", "x")
    with pytest.raises(Rejected, match="only files of its own folder"):
        restore(tmp_path / "evil.zip", tmp_path / "back")
    assert not (tmp_path / "evil").exists()


def test_an_archive_damaged_in_transit_is_refused_whichever_byte_it_hit(data: Path, tmp_path: Path) -> None:
    whole = backup(data, tmp_path / "kept.zip").read_bytes()
    for number, place in enumerate(range(40, len(whole), len(whole) // 60)):
        hit = bytearray(whole)
        hit[place] ^= 0xFF
        (tmp_path / f"{number}.zip").write_bytes(bytes(hit))
        try:
            restore(tmp_path / f"{number}.zip", tmp_path / f"back{number}")
        except Rejected:
            assert not (tmp_path / f"back{number}").exists()
        else:  # a byte that says nothing, such as a file's date
            assert (tmp_path / f"back{number}" / "session.secret").read_text() == "秘密"


def test_an_archive_with_a_link_writes_nothing_outside(data: Path, tmp_path: Path) -> None:
    backup(data, tmp_path / "kept.zip")
    link = zipfile.ZipInfo("door")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "kept.zip", "a") as archive:
        archive.writestr(link, str(tmp_path))
        archive.writestr("door/evil", "x")
    with pytest.raises((Rejected, Unavailable)):
        restore(tmp_path / "kept.zip", tmp_path / "back")
    assert not (tmp_path / "evil").exists()
    assert not (tmp_path / "back").exists()


def test_an_empty_folder_is_filled_where_it_is(data: Path, tmp_path: Path) -> None:
    """A volume of a container cannot be replaced, and nothing can be written beside it."""
    kept, back = backup(data, tmp_path / "kept.zip"), tmp_path / "back"
    back.mkdir()
    before = back.stat().st_ino
    restore(kept, back)
    assert back.stat().st_ino == before
    assert sorted(p.name for p in back.iterdir()) == ["records.sqlite", "session.secret", "sites"]
    assert stat.S_IMODE((back / "session.secret").stat().st_mode) == 0o600


def test_a_refused_restore_leaves_the_empty_folder_empty(tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("no archive")
    (tmp_path / "back").mkdir()
    with pytest.raises(Rejected):
        restore(tmp_path / "text.zip", tmp_path / "back")
    assert list((tmp_path / "back").iterdir()) == []


def test_a_point_numbered_during_the_copy_is_in_it(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the journal of the copy names a point that its records do not know, and give again."""
    from dutyroom.backends import backup as module

    real, records = module._copy_database, open_records(f"sqlite:///{data}/records.sqlite")
    spec = PointSpec("volume", "volume", "m3", Kind.COUNTER, Decimal("0.001"), 8)
    device = Device("s", "m1", "m1", "water_meter", "v/m", "1", "A")

    def slow(file: Path, copy: Path) -> str:
        schema = real(file, copy)
        if file.name == "records.sqlite":
            with records.write() as tx:
                tx.devices.upsert([device])
                tx.devices.add_points("s", [(device, spec)])
        return schema

    monkeypatch.setattr(module, "_copy_database", slow)
    back = restore(backup(data, tmp_path / "kept.zip"), tmp_path / "back")
    records.close()
    copied = open_records(f"sqlite:///{back}/records.sqlite")
    with copied.read() as tx:
        assert [p.spec.name for p in tx.devices.points("s")] == ["volume"]
    copied.close()
