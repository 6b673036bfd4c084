"""Which points a device may have by its profile: what its recorded messages give, and nothing that is not in it."""

from __future__ import annotations

import shutil
from pathlib import Path

from dutyroom.flows.points import names_made
from dutyroom.model.duty import Device
from dutyroom.profiles.decode import load_library
from dutyroom.timebase import zone

PROFILES = Path(__file__).parents[3] / "device_profiles"
VENDORS = ("axioma", "cjt188", "dlt645", "dsmr", "elsys", "gb26875", "modbus", "neuron", "shelly", "sparkplug", "wmbusmeters")  # fmt: skip


def test_every_point_of_a_recorded_message_is_one_that_its_profile_has(tmp_path: Path) -> None:
    for vendor in VENDORS:
        shutil.copytree(PROFILES / vendor, tmp_path / vendor)
    library = load_library(tmp_path, zone("Asia/Shanghai"))
    missed, closed = [], 0
    for name, profile in library.profiles.items():
        made = names_made(Device("s", "d", "", "other", name, "1", ""), library)
        closed += isinstance(made, frozenset)
        said = {point for e in profile.examples for points in e.expect.values() for point in points}
        missed += [(name, point) for point in sorted(said) if point not in made]
    assert missed == []
    assert closed > 20  # of most it is known what they have
    assert "volume" not in names_made(Device("s", "d", "", "other", "no/such", "1", ""), library)
