"""A data folder belongs to one instance, or to the processes of one that share it."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

import pytest

from dutyroom.backends.datafolder import DataFolder, in_use, read_instance
from dutyroom.errors import Rejected

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a folder is not shared there")


def test_processes_share_it_and_whoever_wants_it_alone_is_refused(tmp_path: Path) -> None:
    with DataFolder(tmp_path, shared=True):
        with DataFolder(tmp_path, shared=True):
            with pytest.raises(Rejected, match="another Dutyroom is using"), DataFolder(tmp_path):
                pass
            assert in_use(tmp_path)
        assert in_use(tmp_path)
    assert not in_use(tmp_path)
    refused = pytest.raises(Rejected, match="another Dutyroom is using")
    with DataFolder(tmp_path), refused, DataFolder(tmp_path, shared=True):
        pass


def test_only_who_announced_it_takes_the_address_away(tmp_path: Path) -> None:
    with DataFolder(tmp_path, shared=True) as pages:
        pages.announce("http://127.0.0.1:1", "", "token")
        with DataFolder(tmp_path, shared=True):
            pass
        found = read_instance(tmp_path)
        assert found is not None
        assert found["url"] == "http://127.0.0.1:1"
    assert not (tmp_path / "instance.json").exists()


def test_a_secret_made_by_many_at_once_is_one(tmp_path: Path) -> None:
    ready, found = threading.Barrier(8), []

    def make(folder: DataFolder) -> None:
        ready.wait()
        found.append(folder.secret("privacy"))

    threads = [threading.Thread(target=make, args=(DataFolder(tmp_path),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found[0]) >= 32
    assert [file.name for file in tmp_path.iterdir()] == ["privacy.secret"]


def test_the_version_is_written_once(tmp_path: Path) -> None:
    with DataFolder(tmp_path):
        pass
    before = (tmp_path / "version.json").stat().st_mtime_ns
    with DataFolder(tmp_path):
        pass
    assert (tmp_path / "version.json").stat().st_mtime_ns == before
    assert json.loads((tmp_path / "version.json").read_text()) == {"version": 1}


@pytest.mark.parametrize("left", ["", " \n"])
def test_a_blank_secret_is_no_key(left: str, tmp_path: Path) -> None:
    """As a power failure leaves a file that was just written: every card number would have the same key at every site."""
    file = tmp_path / "privacy.secret"
    file.write_text(left)
    with pytest.raises(Rejected, match=r"privacy\.secret is empty: .*backup"):
        DataFolder(tmp_path).secret("privacy")
    assert file.read_text() == left
