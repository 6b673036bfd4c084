"""An estate keeps the size that it was made with: others would fall silent, or speak unknown."""

from __future__ import annotations

from pathlib import Path

import pytest

from dutyroom.errors import Rejected
from dutyroom.settings import Settings
from dutyroom.site import load_site
from dutyroom.wiring.demo import DemoOptions, run_demo, sized
from dutyroom_simulators.estate import make_estate
from dutyroom_simulators.sitefolder import write_site


@pytest.mark.parametrize("units", [0, -5, 10_001])
def test_a_size_that_makes_no_sense_is_refused_before_anything_is_written(tmp_path: Path, units: int) -> None:
    data = tmp_path / "data"
    with pytest.raises(Rejected, match=f"--units {units}: give a number"):
        run_demo(Settings(data=data), DemoOptions(units=units), print, print)
    assert not data.exists()


def test_every_device_of_the_largest_has_an_address_of_its_own() -> None:
    devices = make_estate(units=10_000).devices
    assert len({(d.profile, d.address) for d in devices}) == len(devices)


def test_the_size_is_that_of_the_site(tmp_path: Path) -> None:
    write_site(make_estate(units=20), tmp_path, 1_790_000_000_000)
    site = load_site(tmp_path)
    assert sized(DemoOptions(), site, tmp_path).units == 24
    assert sized(DemoOptions(units=20), site, tmp_path).units == 24
    with pytest.raises(Rejected, match="has 24 units; leave it out, or add --fresh"):
        sized(DemoOptions(units=48), site, tmp_path)
