"""The long run of the failure tests: `python -m tests.chaos.long [--kills 200] [--away 600] [--seed 1] [TEST...]`.

Some hours with the figures above. What a short run leaves out is in it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

LONG = os.environ.get("DUTYROOM_CHAOS") == "long"
WHY = "part of the long run: python -m tests.chaos.long"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200, help="of each process")
    parser.add_argument("--away", type=float, default=600, help="seconds that InfluxDB is away")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("tests", nargs="*", default=[str(Path(__file__).parent)])
    asked = parser.parse_args()
    environment = {
        **os.environ, "DUTYROOM_CHAOS": "long", "DUTYROOM_KILLS": str(asked.kills),
        "DUTYROOM_AWAY_S": str(asked.away), "DUTYROOM_CHAOS_SEED": str(asked.seed),
    }  # fmt: skip
    command = [sys.executable, "-m", "pytest", "-n0", "-v", "--timeout=0", "--durations=20", *asked.tests]
    sys.exit(subprocess.run(command, env=environment, check=False).returncode)


if __name__ == "__main__":
    main()
