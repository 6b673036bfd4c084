"""Copies of a folder's files: whole or not there, with the rights of the originals, the last two of them."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from dutyroom.backends import folder_copies
from dutyroom.backends.folder_copies import File, FolderCopies, read_files

FILES = {"site.yaml": File(b"id: a\n", 0o644), "secrets/broker": File(b"secret", 0o600)}


def copies(folder: Path) -> FolderCopies:
    return FolderCopies(folder / "kept", folder / "site")


def made(folder: Path) -> list[Path]:
    return sorted((folder / "kept").glob("*/*"))


def test_a_copy_has_the_content_and_the_rights_of_the_files(tmp_path: Path) -> None:
    assert copies(tmp_path).newest() is None
    copies(tmp_path).keep(FILES)
    newest = copies(tmp_path).newest()
    assert newest is not None
    assert read_files(newest, FILES) == FILES
    folders = [tmp_path / "kept", newest.parent, newest, newest / "secrets"]
    assert [folder.stat().st_mode & 0o777 for folder in folders] == [0o700] * 4


def test_what_only_its_group_could_read_can_be_read_again(tmp_path: Path) -> None:
    copies(tmp_path).keep({"site.yaml": File(b"id: a\n", 0o040)})
    newest = copies(tmp_path).newest()
    assert newest is not None
    assert (newest / "site.yaml").stat().st_mode & 0o777 == 0o440


def test_the_same_again_is_no_other_copy_and_the_last_two_stay(tmp_path: Path) -> None:
    for _ in range(2):
        copies(tmp_path).keep(FILES)
    (first,) = made(tmp_path)
    copies(tmp_path).keep(FILES | {"site.yaml": File(b"id: a\n", 0o600)})  # other rights are another copy
    copies(tmp_path).keep({"site.yaml": File(b"id: b\n", 0o644)})
    assert len(made(tmp_path)) == 2
    assert not first.exists()
    newest = copies(tmp_path).newest()
    assert newest is not None
    assert [file.name for file in newest.iterdir()] == ["site.yaml"]
    assert (newest / "site.yaml").read_bytes() == b"id: b\n"


def test_the_newest_one_is_so_after_a_clock_that_went_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at in (2_000_000, 1_000):
        monkeypatch.setattr(folder_copies, "read_machine_time", lambda at=at: at)
        copies(tmp_path).keep({"at": File(str(at).encode(), 0o600)})
    newest = copies(tmp_path).newest()
    assert newest is not None
    assert (newest / "at").read_text() == "1000"


def test_what_is_half_written_is_no_copy_and_goes_later(tmp_path: Path) -> None:
    copies(tmp_path).keep(FILES)
    (whole,) = made(tmp_path)
    old, fresh = whole.parent / ".of-a-killed-process", whole.parent / ".being-written"
    for folder in (old, fresh):
        folder.mkdir()
    os.utime(old, (1, 1))
    assert copies(tmp_path).newest() == whole
    copies(tmp_path).keep({"site.yaml": FILES["site.yaml"]})
    assert (old.exists(), fresh.exists()) == (False, True)


def test_a_disk_that_fails_leaves_the_copy_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copies(tmp_path).keep(FILES)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        copies(tmp_path).keep({"site.yaml": File(b"other", 0o644)})
    (whole,) = made(tmp_path)
    assert read_files(whole, FILES) == FILES
    assert list(whole.parent.iterdir()) == [whole]


def test_folders_of_one_name_keep_apart(tmp_path: Path) -> None:
    for name in ("north", "south"):
        FolderCopies(tmp_path / "kept", tmp_path / name / "site").keep({"x": File(name.encode(), 0o600)})
    found = [
        FolderCopies(tmp_path / "kept", tmp_path / name / "site").newest() for name in ("north", "south")
    ]
    assert [(copy / "x").read_text() for copy in found if copy is not None] == ["north", "south"]


def test_several_that_keep_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    failed: list[BaseException] = []

    def again(number: int) -> None:
        try:
            for turn in range(10):
                text = f"{number} {turn}".encode()
                copies(tmp_path).keep({"a": File(text, 0o600), "b": File(text, 0o600)})
        except BaseException as err:
            failed.append(err)

    threads = [threading.Thread(target=again, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    newest = copies(tmp_path).newest()
    assert newest is not None
    assert (newest / "a").read_bytes() == (newest / "b").read_bytes() != b""
