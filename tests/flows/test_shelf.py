"""The profiles of a site's folder: taken when they change, refused file by file, never half."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.flows.intake_rig import PROBE, Rig, T, probe, tank

from dutyroom.errors import Unavailable
from dutyroom.model.telemetry import PointSpec
from dutyroom.profiles.decode import Library
from dutyroom.site import BrokerAddress
from dutyroom.timebase import MINUTE
from dutyroom.wiring.running import _troubles

OTHER = PROBE.replace("probe/", "other/").replace("A probe", "Another")
EXAMPLE = """
examples:
  - title: a level
    topic: probe/p1/level
    payload: "1.5"
    expect: {p1: {level: %s}}
"""


def looks(rig: Rig) -> list[bool]:
    return [rig.shelf.look() for _ in range(3)]


def wrong(rig: Rig) -> list[tuple[str, int, str]]:
    return [(Path(m.file).name, m.line, m.field) for m in rig.shelf.shelved.mistakes if m.field != "examples"]


def test_nothing_is_read_while_nothing_changes(rig: Rig) -> None:
    before = rig.shelf.library
    assert looks(rig) == [False, False, False]
    assert rig.shelf.library is before


def test_a_file_that_comes_changes_or_goes_is_seen_once_it_rests(rig: Rig) -> None:
    file = rig.shelve("other", OTHER)
    assert looks(rig) == [False, True, False]
    assert rig.shelf.shelved.own == ("acme/other",)
    assert rig.shelf.filters(rig.shelf.library) == ("other/+/level",)
    file.write_text(OTHER + " ", encoding="utf-8")
    rig.shelf.look()
    file.write_text(OTHER + "  ", encoding="utf-8")  # an editor that writes twice
    assert looks(rig) == [False, True, False]
    file.unlink()
    assert looks(rig) == [False, True, False]
    assert rig.shelf.shelved.own == ()


def test_a_file_of_the_same_size_with_another_time_is_read_again(rig: Rig) -> None:
    file = rig.shelve("other", OTHER)
    looks(rig)
    file.write_text(OTHER.replace("unit: m", "unit: M").replace("Another", "Anothes"), encoding="utf-8")
    status = file.stat()
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))
    assert looks(rig) == [False, True, False]
    assert wrong(rig)[0][0] == "other.yaml"


def test_one_file_with_a_mistake_keeps_no_other_out_and_what_it_said_before_stays(rig: Rig) -> None:
    rig.shelve("probe", PROBE.replace("A probe", "Mine"))
    rig.shelf.reload()
    rig.shelve("probe", PROBE.replace("kind: ", "").replace("quantity: level", "quantity: levle"))
    rig.shelve("other", OTHER)
    rig.shelf.reload()
    assert wrong(rig) == [("probe.yaml", 8, "points.level.quantity")]
    assert rig.shelf.shelved.kept == ("acme/probe",)
    assert rig.shelf.library.profiles["acme/probe"].name == {"en": "Mine"}
    assert "acme/other" in rig.shelf.library.profiles
    rig.register(tank())
    assert rig.ingest.handle([probe(1.5, T)]) == 1


def test_what_is_no_yaml_at_all_takes_nothing_away(rig: Rig) -> None:
    for raw in (b"\xff\xfe", b"a: [", b"", b"- 1\n", b"a: &a [*a]\n"):
        rig.shelve("probe", "").write_bytes(raw)
        rig.shelf.reload()
        assert wrong(rig), raw
        assert rig.shelf.library.profiles["acme/probe"].name == {"en": "A probe"}  # the shipped one


def test_a_profile_whose_own_example_fails_is_refused(rig: Rig) -> None:
    rig.shelve("other", OTHER + (EXAMPLE % "1.6").replace("probe/", "other/"))
    rig.shelf.reload()
    assert "acme/other" not in rig.shelf.library.profiles
    (mistake,) = rig.shelf.shelved.mistakes
    assert "1.6" in str(mistake)
    rig.shelve("other", OTHER + (EXAMPLE % "1.5").replace("probe/", "other/"))
    rig.shelf.reload()
    assert rig.shelf.shelved.mistakes == ()
    assert "acme/other" in rig.shelf.library.profiles


def test_a_folder_that_goes_away_brings_the_shipped_profile_back(rig: Rig) -> None:
    file = rig.shelve("probe", PROBE.replace("A probe", "Mine"))
    rig.shelf.reload()
    file.unlink()
    file.parent.rmdir()
    rig.own.rmdir()
    rig.shelf.reload()
    assert rig.shelf.library.profiles["acme/probe"].name == {"en": "A probe"}
    assert rig.shelf.shelved.mistakes == ()


def test_shipped_profiles_are_read_again_only_where_a_file_replaces_one(rig: Rig) -> None:
    base = "class: tank\nunwrap: [scalar]\nidentity: '{device}'\npoints: {level: {from: $, quantity: level, unit: %s}}\n"
    (rig.shipped / "acme" / "_base.yaml").write_text(base % "m", encoding="utf-8")
    heir = rig.shipped / "acme" / "heir.yaml"
    heir.write_text("extends: acme/_base\nmatch: {topics: ['heir/{device}']}\n", encoding="utf-8")

    def seen() -> tuple[str, bool]:
        """Its unit, and whether it was read again."""
        before = rig.shelf.library.profiles.get("acme/heir")
        rig.shelf.reload()
        found = rig.shelf.library.profiles["acme/heir"]
        return found.layouts[0].points[0].unit, found is not before

    assert seen() == ("m", True)
    rig.shelve("other", OTHER)
    assert seen() == ("m", False)
    file = rig.shelve("_base", base % "cm")
    assert seen() == ("cm", True)  # what extends the file that was replaced has changed as well
    file.unlink()
    assert seen() == ("m", True)
    rig.shelve("other", OTHER + " ")
    assert seen() == ("m", False)
    assert rig.shelf.shelved.own == ("acme/other",)


def test_a_registered_device_keeps_its_points_and_other_specs_follow(rig: Rig) -> None:
    rig.register(tank())
    before = rig.table.find("tank-p1", "level")
    assert before is not None
    more = "  temperature: {from: t, quantity: temperature}\n"
    rig.shelve("probe", PROBE.replace("unit: m", "unit: m, low: 0, high: 5, interval: 1min") + more)
    rig.shelf.reload()
    after = rig.table.find("tank-p1", "level")
    assert after is not None
    assert (after.id, after.spec.high, after.spec.interval_s) == (before.id, 5.0, 60)
    assert rig.table.find("tank-p1", "temperature") is not None
    with rig.records.read() as tx:
        assert {p.spec.name: p.id for p in tx.devices.points("site")}["level"] == before.id


def test_the_steps_of_a_register_stay_when_its_profile_counts_in_others(rig: Rig) -> None:
    counter = PROBE.replace(
        "{from: $, quantity: level, unit: m}", "{from: $, quantity: volume, kind: counter, step: 0.001}"
    )
    rig.shelve("probe", counter)
    rig.shelf.reload()
    rig.register(tank())
    rig.ingest.handle([probe(1.5, T)])
    rig.keep.drain()
    rig.shelve("probe", counter.replace("0.001", "0.01"))
    rig.shelf.reload()
    rig.ingest.handle([probe(1.6, T + MINUTE)])
    rig.keep.drain()
    assert [value for _, value in rig.stored("tank-p1", "level")] == [1.5, 1.6]
    point = rig.table.find("tank-p1", "level")
    assert point is not None
    assert isinstance(point.spec, PointSpec)
    assert point.spec.step == Decimal("0.001")
    (note,) = [m for m in rig.shelf.shelved.mistakes if m.field == "points.level"]
    assert "tank-p1 has readings in steps of 0.001 m3 and keeps them" in note.message


def test_a_point_that_has_readings_does_not_become_another_quantity(rig: Rig) -> None:
    rig.register(tank())
    rig.ingest.handle([probe(1.5, T)])
    rig.keep.drain()
    rig.shelve("probe", PROBE.replace("quantity: level, unit: m", "quantity: volume, unit: m3"))
    rig.shelf.reload()
    rig.ingest.handle([probe(9.0, T + MINUTE)])
    rig.keep.drain()
    assert [value for _, value in rig.stored("tank-p1", "level")] == [1.5]
    point = rig.table.find("tank-p1", "level")
    assert point is not None
    assert point.spec.quantity == "level"
    (note,) = [m for m in rig.shelf.shelved.mistakes if m.field == "points.level"]
    assert "has readings in level" in note.message


def test_the_steps_of_a_register_without_readings_are_its_profiles(rig: Rig) -> None:
    counter = PROBE.replace(
        "{from: $, quantity: level, unit: m}", "{from: $, quantity: volume, kind: counter, step: 1}"
    )
    rig.shelve("probe", counter)
    rig.shelf.reload()
    rig.register(tank())
    rig.shelve("probe", counter.replace("step: 1", "step: 0.001"))
    rig.shelf.reload()
    rig.ingest.handle([probe(1.625, T)])
    rig.keep.drain()
    assert [value for _, value in rig.stored("tank-p1", "level")] == [1.625]


def test_a_gauge_that_becomes_a_register_stays_one_where_it_has_readings(rig: Rig) -> None:
    rig.register(tank())
    rig.ingest.handle([probe(1.5, T)])
    rig.keep.drain()
    rig.shelve("probe", PROBE.replace("unit: m}", "unit: m, kind: counter, step: 0.01}"))
    rig.shelf.reload()
    rig.ingest.handle([probe(1.6, T + MINUTE)])
    rig.keep.drain()
    assert [value for _, value in rig.stored("tank-p1", "level")] == [1.5, 1.6]


def test_when_the_records_are_away_what_was_in_use_stays_and_it_is_tried_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.register(tank())
    before = rig.shelf.library

    def away(library: Library) -> None:
        raise Unavailable("records: no answer")

    rig.shelve("probe", PROBE + "  temperature: {from: t, quantity: temperature}\n")
    rig.shelf.look()
    with monkeypatch.context() as patch:
        patch.setattr(rig.shelf, "_take", away)
        for _ in range(2):
            with pytest.raises(Unavailable):
                rig.shelf.look()
    assert rig.shelf.library is before
    assert rig.shelf.look()
    assert rig.table.find("tank-p1", "temperature") is not None


def test_what_a_profile_reads_across_a_priority_filter_is_a_trouble_until_it_reads_it_no_more(
    rig: Rig,
) -> None:
    running: Any = SimpleNamespace(
        loops=[], advice=[], runtime=SimpleNamespace(shelf=rig.shelf), session=SimpleNamespace(refused="")
    )

    def told() -> dict[str, str]:
        return _troubles(running, None, [BrokerAddress("a", topics=("m/#",), priority=("other/1/#",))])

    rig.shelve("other", OTHER + EXAMPLE.replace("probe/", "other/") % "1.5")
    assert told() == {}
    looks(rig)
    assert list(told()) == ["topics"]
    assert "profile acme/other reads 'other/+/level'" in told()["topics"]
    rig.shelve("other", OTHER.replace("other/", "more/") + EXAMPLE.replace("probe/", "more/") % "1.5")
    looks(rig)
    assert told() == {}
    running.advice += ["it drops messages", "it keeps no retained ones"]
    assert told() == {"selftest": "it drops messages (+1)"}
