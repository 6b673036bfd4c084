"""Nothing but the clock reads the machine's time, and no time is without its zone: the linter says so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
RUFF = (sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "concise")


def complaints(file: str, expression: str) -> str:
    """What the linter of this project says of one expression in a file of that name."""
    text = (
        f"import time\nfrom datetime import date, datetime\n\nSEEN = ({expression}, date, datetime, time)\n"
    )
    done = subprocess.run(
        [*RUFF, "--stdin-filename", file, "-"],
        input=text,
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    return done.stdout


@pytest.mark.parametrize("file", ["services/dutyroom/flows/x.py", "simulators/dutyroom_simulators/x.py"])
@pytest.mark.parametrize(
    ("expression", "rule"),
    [
        ("datetime.now()", "TID251"),
        ("datetime.now(UTC)", "TID251"),
        ("datetime.utcnow()", "TID251"),
        ("time.time()", "TID251"),
        ("time.time_ns()", "TID251"),
        ("time.localtime()", "TID251"),
        ("time.gmtime()", "TID251"),
        ("datetime.today()", "DTZ002"),
        ("date.today()", "DTZ011"),
        ("datetime(2026, 1, 1)", "DTZ001"),
        ("datetime.fromtimestamp(0)", "DTZ006"),
    ],
)
def test_the_machine_s_time_and_naive_times_are_refused(file: str, expression: str, rule: str) -> None:
    assert rule in complaints(file, expression)


def test_the_clock_itself_may() -> None:
    assert "TID251" not in complaints("services/dutyroom/backends/clock.py", "time.time_ns()")
