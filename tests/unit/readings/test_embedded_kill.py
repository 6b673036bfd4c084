"""The embedded store killed at random moments, also inside its commits: what was acknowledged is there,
a write is there whole or not at all. DUTYROOM_TEST_KILLS sets how often (10 by default)."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dutyroom.backends.readings_embedded import EmbeddedReadingStore
from dutyroom.model.telemetry import DeviceClass, Point, PointSpec

KILLS = int(os.environ.get("DUTYROOM_TEST_KILLS", "10"))
POINTS, START, STEP = 40, 1_790_000_000_000, 7_200_000

# Each write is one instant of all points, every tenth one is a day of history that goes straight into
# chunks, and says the instant before once more. The number of a write is printed when it is committed.
WRITER = f"""
import sys, pytest
from pathlib import Path
from tests.unit.readings.small import set_limits
from dutyroom.backends.readings_embedded import EmbeddedReadingStore, store
from dutyroom.model.telemetry import PointTable, Readings
set_limits(pytest.MonkeyPatch())
store.SLICE = 1000
db, number = EmbeddedReadingStore(Path(sys.argv[1])), int(sys.argv[2])
print("ready", flush=True)
while True:
    at = {START} + number * {STEP}
    rows = [(p, at - {STEP} * back, float(number - back + p), 0, 0) for p in range({POINTS}) for back in ((1, 0) if number % 10 == 9 else (0,))]
    if number % 10 != 9:
        rows.sort(key=lambda r: r[0] * 7 % {POINTS})
    db.write(Readings.of(rows), PointTable())
    print(number, flush=True)
    number += 1
    for _ in range(number % 4):
        db.tidy()
"""


def started(path: Path, number: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(number)], stdout=subprocess.PIPE, text=True
    )


def acknowledged(child: subprocess.Popen[str], writes: int, seconds: float) -> int:
    """Kills it a moment after some writes, however busy the machine is; the last number that it said."""
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    lines = [child.stdout.readline() for _ in range(writes)]
    time.sleep(seconds)
    child.kill()
    lines += child.stdout.read().split("\n")[:-1]  # without one that was cut off
    child.wait()
    child.stdout.close()
    return int(lines[-1])


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.timeout(30 + 3 * KILLS)
def test_killed_at_any_moment_nothing_is_lost_and_nothing_half_written(tmp_path: Path) -> None:
    path, dice, said = tmp_path / "readings.sqlite", random.Random(7), -1
    points = [Point(p, "s", "d", DeviceClass.OTHER, "", PointSpec("x")) for p in range(POINTS)]
    for _ in range(KILLS):
        said = acknowledged(started(path, said + 1), dice.randrange(4, 16), dice.uniform(0, 0.03))
        store = EmbeddedReadingStore(path)
        counts = set()
        for point in points:
            s = store.range(point, 0, 2**62)
            numbers = ((s.at - START) // STEP).tolist()
            assert numbers == list(range(len(numbers)))
            assert s.value.tolist() == [float(n + point.id) for n in numbers]
            counts.add(len(numbers))
        store.close()
        (count,) = counts
        assert said + 1 <= count <= said + 2
        said = count - 1
    assert said > 5 * KILLS
