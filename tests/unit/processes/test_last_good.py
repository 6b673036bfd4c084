"""A site with mistakes in its folder runs with the files that it last ran with, and says so."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dutyroom.errors import Invalid, Rejected
from dutyroom.site import Site, load_site
from dutyroom.wiring import lastgood
from dutyroom.wiring.lastgood import ReadSite, ReadSites, keep, read_sites
from dutyroom.wiring.serve import write_example

LOOP = "power:\n  A-pump: [A-fan]\n  A-fan: [A-pump]\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def least(folder: Path, site: str, more: str = "") -> Path:
    folder.mkdir()
    (folder / "site.yaml").write_text(f"id: {site}\nname: {site}\ntime_zone: Asia/Shanghai\n{more}")
    (folder / "devices.csv").write_text("id,class,profile,address\nA-pump,pump,a/b,1\nA-fan,other,a/b,2\n")
    return folder


def ran(data: Path, *folders: Path) -> ReadSites:
    """A start without mistakes."""
    read = read_sites(data, folders)
    assert read.refused == ()
    for one in read.sites:
        assert one.copy is None
        keep(data, one)
    return read


def again(data: Path, folder: Path) -> ReadSite:
    (one,) = read_sites(data, [folder]).sites
    return one


def troubles(one: ReadSite, others: Mapping[str, str] | None = None) -> dict[str, str]:
    runtime = SimpleNamespace(troubles=lambda: others or {})
    one.show(cast("Any", runtime))
    return dict(runtime.troubles())


def test_with_mistakes_it_runs_with_what_was_kept_last_until_they_are_mended(
    data: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "site"
    write_example(folder)
    (first,) = ran(data, folder).sites
    good = (folder / "topology.yaml").read_text()
    (folder / "topology.yaml").write_text("power:\n  A-pump: [A-feeder\n")
    (folder / "rules.yaml").write_text("rules: 7\n")
    one = again(data, folder)
    assert one.site == first.site
    assert {Path(mistake.file).name for mistake in one.mistakes} == {"topology.yaml", "rules.yaml"}
    keep(data, one)  # runs now: that is no reason to keep what it runs with anew
    shown = troubles(one, {"broker": "away"})
    assert list(shown) == ["folder", "broker"]
    assert shown["folder"].startswith(f"{one.since}; {one.mistakes[0]}")
    assert again(data, folder).copy == one.copy

    (folder / "topology.yaml").write_text(good)
    (folder / "rules.yaml").unlink()
    mended = again(data, folder)
    assert (mended.copy, mended.mistakes, troubles(mended)) == (None, (), {})
    assert mended.site.rules != first.site.rules


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("topology.yaml", LOOP, "feeds itself"),
        ("rules.yaml", "rules:\n- {id: own, kindd: limit}\n", "kindd"),
        ("site.yaml", "id: [", "site.yaml"),
        ("site.yaml", "", "is empty"),
        ("devices.csv", "id,klass\n", "klass"),
        ("topologie.yaml", "power: {}\n", "no such file belongs to a site"),
    ],
)
def test_whatever_the_mistake(data: Path, tmp_path: Path, file: str, text: str, said: str) -> None:
    folder = least(tmp_path / "site", "yard")
    ran(data, folder)
    (folder / file).write_text(text)
    one = again(data, folder)
    assert one.site.id == "yard"
    assert [device.id for device in one.site.devices] == ["A-pump", "A-fan"]
    assert said in "\n".join(map(str, one.mistakes))


def test_a_file_that_was_emptied_is_a_mistake_and_one_that_never_said_anything_is_none(
    data: Path, tmp_path: Path
) -> None:
    """As an editor, or a full disk, leaves it when the power goes: without topology each child would have its ticket."""
    folder = least(tmp_path / "site", "yard")
    (folder / "topology.yaml").write_text("power:\n  A-pump: [A-fan]\n")
    (folder / "rules.yaml").write_text("")
    first = ran(data, folder).sites[0]
    (folder / "topology.yaml").write_text("\n")
    one = again(data, folder)
    assert one.site.topology == first.site.topology
    (mistake,) = one.mistakes
    assert str(mistake).startswith(f"{folder / 'topology.yaml'}:1: is empty")
    (folder / "topology.yaml").write_text("# nothing feeds anything\n")
    assert again(data, folder).copy is None


def test_a_file_that_is_not_there_any_more_is_named_once(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody has left it out, or it was lost: without topology each child has its ticket, and nobody would know why."""
    folder = least(tmp_path / "site", "yard")
    own = folder / "device_profiles" / "a"
    own.mkdir(parents=True)
    profile = own / "b.yaml"
    for file in (folder / "topology.yaml", profile):
        file.write_text("{}\n" if file == profile else "power:\n  A-pump: [A-fan]\n")
    ran(data, folder).tell()
    assert capsys.readouterr().err == ""
    profile.unlink()
    (folder / "topology.yaml").unlink()
    read = ran(data, folder)
    read.tell()
    said = capsys.readouterr().err
    assert f"Site yard: device_profiles/a/b.yaml, topology.yaml in {folder}: it last started with" in said
    ran(data, folder).tell()
    assert capsys.readouterr().err == ""


def test_also_when_the_folder_is_gone_or_lets_nobody_in(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = least(tmp_path / "site", "yard")
    ran(data, folder)

    def closed(path: Path) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patched:
        listed = Path.iterdir
        patched.setattr(Path, "iterdir", lambda path: closed(path) if path == folder else listed(path))
        assert str(again(data, folder).mistakes[0]) == f"{folder}: cannot be read: Permission denied"
    shutil.rmtree(folder)
    assert str(again(data, folder).mistakes[0]) == f"{folder}: there is no such folder"


def test_a_site_that_never_ran_here_is_refused_with_all_its_mistakes(data: Path, tmp_path: Path) -> None:
    folder = least(tmp_path / "site", "yard")
    (folder / "topology.yaml").write_text(LOOP)
    (folder / "rules.yaml").write_text("rules: 7\n")
    with pytest.raises(Invalid) as refused:
        read_sites(data, [folder])
    assert {Path(mistake.file).name for mistake in refused.value.mistakes} == {"topology.yaml", "rules.yaml"}
    assert not data.exists()
    elsewhere = least(tmp_path / "elsewhere", "yard")
    ran(data, elsewhere)
    with pytest.raises(Invalid):
        read_sites(data, [folder])  # what another folder said is not what this one did


def test_the_folder_of_another_site_is_not_run_as_the_one_before(data: Path, tmp_path: Path) -> None:
    folder = least(tmp_path / "site", "yard")
    ran(data, folder)
    (folder / "site.yaml").write_text("id: harbour\nname: x\ntime_zone: Asia/Shanghai\n")
    (folder / "topology.yaml").write_text(LOOP)
    with pytest.raises(Invalid, match="'harbour' is another site than 'yard'"):
        read_sites(data, [folder])


def test_of_several_the_others_run_and_the_refused_one_is_named(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    north, south, west = (least(tmp_path / name, name) for name in ("north", "south", "west"))
    ran(data, north, south)
    for folder in (south, west):
        (folder / "topology.yaml").write_text(LOOP)
    read = read_sites(data, [west, south, north])
    assert [(one.site.id, one.copy is None) for one in read.sites] == [("south", False), ("north", True)]
    read.tell()
    told = capsys.readouterr().err.splitlines()
    assert told[0] == str(read.sites[0].mistakes[0])
    assert told[1].startswith(f"Site south: runs with its files of {read.sites[0].since} ({data / 'kept'}")
    assert told[2].startswith(
        f"{west / 'topology.yaml'}:2: power.A-"
    )  # a loop is named at one of its devices
    assert told[3].startswith(f"{west}: is refused")
    shutil.rmtree(data)
    with pytest.raises(Invalid) as refused:
        read_sites(data, [west, south])
    assert [Path(mistake.file).parent.name for mistake in refused.value.mistakes] == ["west", "south"]


def test_a_start_without_mistakes_says_nothing(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran(data, least(tmp_path / "site", "yard")).tell()
    assert capsys.readouterr() == ("", "")


def test_one_id_in_two_folders_is_refused_as_ever(data: Path, tmp_path: Path) -> None:
    folders = [least(tmp_path / name, "yard") for name in ("north", "south")]
    with pytest.raises(Rejected, match="an id belongs to one site"):
        read_sites(data, folders)


def test_what_a_command_needs_is_asked_of_the_kept_files_too(data: Path, tmp_path: Path) -> None:
    def lacks(site: Site) -> str:
        return "" if site.brokers else "is missing"

    folder = least(tmp_path / "site", "yard", "broker: {host: mqtt.example}\n")
    ran(data, folder)
    (folder / "site.yaml").write_text("id: yard\nname: yard\ntime_zone: Asia/Shanghai\n")
    (one,) = read_sites(data, [folder], lacks).sites
    assert [broker.host for broker in one.site.brokers] == ["mqtt.example"]
    assert str(one.mistakes[0]) == f"{folder / 'site.yaml'}: broker: is missing"
    ran(data, folder)  # a command that needs none ran with it
    with pytest.raises(Invalid, match="broker: is missing"):
        read_sites(data, [folder], lacks)


@pytest.mark.skipif(sys.platform == "win32", reason="rights of files are others there")
def test_a_password_is_that_of_the_folder_and_else_the_kept_one(data: Path, tmp_path: Path) -> None:
    folder = least(
        tmp_path / "site",
        "yard",
        "broker: {host: x, username: u, password_file: secrets/pw, tls: true, ca_file: ../ca.pem}\n",
    )
    (tmp_path / "ca.pem").write_text("ca")
    (folder / "secrets").mkdir()
    (folder / "secrets" / "pw").write_text("old")
    (folder / "secrets" / "pw").chmod(0o400)
    ran(data, folder)
    assert list(data.rglob("ca.pem")) == []  # it lies outside, and is the folder's no more than ours
    (folder / "topology.yaml").write_text(LOOP)
    (broker,) = again(data, folder).site.brokers
    assert broker == load_site_brokers(folder)[0]
    (folder / "secrets" / "pw").unlink()
    one = again(data, folder)
    (broker,) = one.site.brokers
    assert one.copy is not None
    assert broker.password_file == str(one.copy / "secrets" / "pw")
    assert Path(broker.password_file).read_text() == "old"
    assert Path(broker.password_file).stat().st_mode & 0o777 == 0o400
    assert broker.ca_file == str(folder / "../ca.pem")


def load_site_brokers(folder: Path) -> tuple[Any, ...]:
    broken = (folder / "topology.yaml").read_text()
    (folder / "topology.yaml").unlink()
    try:
        return load_site(folder).brokers
    finally:
        (folder / "topology.yaml").write_text(broken)


def test_profiles_are_the_folders_as_long_as_it_has_any(data: Path, tmp_path: Path) -> None:
    folder = least(tmp_path / "site", "yard")
    profile = folder / "device_profiles" / "a" / "b.yaml"
    profile.parent.mkdir(parents=True)
    profile.write_text("class: pump\n")
    (read,) = ran(data, folder).sites
    assert read.source == folder
    (folder / "topology.yaml").write_text(LOOP)
    assert again(data, folder).source == folder
    shutil.rmtree(folder)
    one = again(data, folder)
    assert one.source == one.copy
    assert (one.source / "device_profiles" / "a" / "b.yaml").read_text() == "class: pump\n"


def test_files_that_change_while_they_are_read_are_not_kept(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = least(tmp_path / "site", "yard")

    def load(place: Path) -> Site:
        found = load_site(place)
        (place / "topology.yaml").write_text(LOOP)
        return found

    monkeypatch.setattr(lastgood, "load_site", load)
    (one,) = read_sites(data, [folder]).sites
    keep(data, one)
    assert not data.exists()


def test_a_data_folder_that_cannot_be_written_keeps_no_site_from_running(data: Path, tmp_path: Path) -> None:
    (one,) = read_sites(data, [least(tmp_path / "site", "yard")]).sites
    data.write_text("a file")
    keep(data, one)
    assert data.read_text() == "a file"
