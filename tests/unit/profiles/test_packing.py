"""Profiles at little cost: packed until they are asked for, and remembered for the next start."""

import os
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from dutyroom.errors import Invalid
from dutyroom.model.telemetry import Message
from dutyroom.profiles.decode import Decoded, Library, load_library
from dutyroom.profiles.job import Anybody
from dutyroom.profiles.loading import read_profile
from dutyroom.profiles.packing import Packed, fingerprint, remember, remembered

TZ = ZoneInfo("Asia/Shanghai")
TEXT = """
name: {en: Meter}
class: water_meter
products: [Acme M]
parameters: {pulse: 10}
match: {topics: ["m/{id}"]}
identity: "{id}"
points: {volume: {from: v, quantity: volume, unit: L, kind: counter, step: 0.001, digits: 8}}
examples:
  - {title: x, topic: m/1, payload: {v: 5}, expect: {"1": {volume: 0.005}}}
"""


def test_a_packed_profile_is_the_same_profile() -> None:
    whole = read_profile(TEXT, "acme/m")
    packed = Packed(whole)
    for name in ("id", "device_class", "name", "products", "parameters", "rank", "sketches", "points"):
        assert getattr(packed, name) == getattr(whole, name), name
    assert packed.layouts == whole.layouts
    assert packed.examples == whole.examples
    with pytest.raises(AttributeError):
        _ = packed.nothing  # type: ignore[attr-defined]


def test_layouts_are_unpacked_once_and_examples_are_not_kept() -> None:
    packed = Packed(read_profile(TEXT, "acme/m"))
    assert packed.layouts is packed.layouts
    assert packed.examples is not packed.examples


def test_a_library_of_packed_profiles_reads() -> None:
    library = Library([Packed(read_profile(TEXT, "acme/m"))], TZ)
    outcome = library.decode(Message("m/1", b'{"v": 7}', 1_793_491_210_000), Anybody("acme/m"))
    assert isinstance(outcome, Decoded)
    assert outcome.readings[0].value == 7


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "profiles" / "acme").mkdir(parents=True)
    (tmp_path / "profiles" / "acme" / "m.yaml").write_text(TEXT, encoding="utf-8")
    return tmp_path / "profiles"


def test_the_next_start_takes_what_the_last_one_read(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache" / "profiles.bin"
    first = load_library(folder, TZ, cache=cache)
    second = load_library(folder, TZ, cache=cache)
    assert second.profiles["acme/m"].layouts == first.profiles["acme/m"].layouts
    assert remembered(cache, fingerprint([folder])) is not None
    assert oct(cache.stat().st_mode & 0o777) == "0o600"


def test_a_changed_file_is_read_again(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "profiles.bin"
    load_library(folder, TZ, cache=cache)
    file = folder / "acme" / "m.yaml"
    file.write_text(TEXT.replace("volume:", "water:", 1), encoding="utf-8")
    os.utime(file, ns=(1, 1))
    assert {p.name for p in load_library(folder, TZ, cache=cache).profiles["acme/m"].points} == {"water"}
    file.write_text("class: nothing", encoding="utf-8")
    with pytest.raises(Invalid):
        load_library(folder, TZ, cache=cache)


@pytest.mark.parametrize("damage", [b"", b"x", b"dutyroom profiles 1\nwrong\n" + bytes(40)])
def test_a_damaged_memory_is_no_harm(folder: Path, tmp_path: Path, damage: bytes) -> None:
    cache = tmp_path / "profiles.bin"
    load_library(folder, TZ, cache=cache)
    cache.write_bytes(damage)
    assert set(load_library(folder, TZ, cache=cache).profiles) == {"acme/m"}
    whole = cache.read_bytes()
    cache.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert remembered(cache, fingerprint([folder])) is None


def test_where_nothing_can_be_written_the_start_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    remember(tmp_path / "file" / "cache.bin", "key", [])
