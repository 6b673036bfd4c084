"""Telemetry read by blocks of bytes says the same as row by row, or leaves the block to it."""

from __future__ import annotations

import random

import numpy as np
import pytest

from dutyroom.flows.past_bytes import Plain
from dutyroom.flows.past_files import Listed, listed
from dutyroom.flows.past_readings import Columns, columns_of
from dutyroom.timebase import to_iso

WANTED = ("device_id", "point", "unit", "time_utc_iso", "value")
HEAD = ["device_id", "class", "point", "unit", "time_utc_iso", "value"]


def known() -> Listed:
    rows = [
        {"device_id": "w1", "class": "water_meter", "point": "volume_total", "unit": "L", "resolution": "1"},
        {"device_id": "表-2", "class": "electricity_meter", "point": "energy_total", "unit": "kWh"},
        {"device_id": "t", "class": "tank_level", "point": "level", "unit": "m"},
    ]
    return listed(rows, "d.csv")


NAMES = {"w1": ("volume_total", "L"), "表-2": ("energy_total", "kWh"), "t": ("level", "m")}


def slow(rows: list[list[str]]) -> Columns:
    device, _, point, unit, at, value = zip(*rows, strict=True)
    return columns_of(device, point, unit, at, value, None, known(), "t.csv", 2)


def as_block(rows: list[list[str]], end: str = "\n") -> bytes:
    return "".join(",".join(row) + end for row in rows).encode()


def made(seed: int, count: int) -> list[list[str]]:
    dice = random.Random(seed)
    rows = []
    for _ in range(count):
        device = dice.choice(list(NAMES))
        number = dice.choice(
            [
                f"{dice.uniform(-1000.0, 1000000.0):.3f}",
                str(dice.randrange(10**9)),
                repr(dice.random()),
                "1e3",
                "nan",
                "-0.5",
                "123456789012345678",
                ".5",
                "7.",
                "0.00000000000000000001",
                "+4",
                f"{dice.random():.17f}",
            ]
        )
        at = to_iso(dice.randrange(0, 4_102_444_800) * 1000)
        rows.append([device, "x", *NAMES[device], at, number])
    return rows


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("seed", range(5))
def test_plain_rows_say_the_same_as_one_by_one(seed: int, end: str) -> None:
    rows = made(seed, 2000)
    found = Plain.of(HEAD, WANTED, known()).columns(as_block(rows, end))
    assert found is not None
    fast, count = found
    want = slow(rows)
    assert count == 2000
    for name in ("point", "at", "value", "received"):
        np.testing.assert_array_equal(getattr(fast, name), getattr(want, name), err_msg=name)


@pytest.mark.parametrize(
    "row",
    [
        '"w1",x,volume_total,L,2026-03-01T00:00:00Z,1',
        "w1,x,volume_total,L,2026-03-01T00:00:00Z",
        "w1,x,volume_total,L,2026-03-01T00:00:00Z,1,2",
        "",
        "w2,x,volume_total,L,2026-03-01T00:00:00Z,1",
        "w1,x,volumes,L,2026-03-01T00:00:00Z,1",
        "w1,x,volume_total,l,2026-03-01T00:00:00Z,1",
        "w1,x,volume_total,L,2026-03-01T00:00:00,1",
        "w1,x,volume_total,L,2026-03-01T00:00:00+08:00,1",
        "w1,x,volume_total,L,2026-02-30T00:00:00Z,1",
        "w1,x,volume_total,L,2026-03-01T24:00:00Z,1",
        "w1,x,volume_total,L,2026-0a-01T00:00:00Z,1",
        "w1,x,volume_total,L,2026-03-01T00:00:00Z,",
        "w1,x,volume_total,L,2026-03-01T00:00:00Z,much",
        "w1,x,volume_total,L,2026-03-01T00:00:00Z,-",
        "w1,x,volume_total,L,2026-03-01T00:00:00Z,1.2.3",
        "w1,x,volume_total,L,2026-03-01T00:00:00Z," + "1" * 70,
        "w1volume,x,_total,L,2026-03-01T00:00:00Z,1",
    ],
)
def test_a_block_that_is_not_plain_is_left_alone(row: str) -> None:
    block = as_block(made(1, 3)) + row.encode() + b"\n"
    assert Plain.of(HEAD, WANTED, known()).columns(block) is None


def test_garbage_is_left_alone() -> None:
    plain, dice = Plain.of(HEAD, WANTED, known()), random.Random(3)
    good = as_block(made(2, 20))
    for _ in range(3000):
        text = bytearray(good)
        for _ in range(dice.randrange(1, 5)):
            text[dice.randrange(len(text))] = dice.randrange(256)
        plain.columns(bytes(text))  # anything but a crash


def test_no_device_at_all() -> None:
    empty = listed([], "d.csv")
    assert Plain.of(HEAD, WANTED, empty).columns(as_block(made(1, 3))) is None
