"""Writes the dashboards of both languages: `python -m dashboards.build`. A test compares the result."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from dashboards.alarms import ALARMS
from dashboards.health import DATA
from dashboards.overview import OVERVIEW
from dashboards.render import dashboard
from dashboards.utilities import UTILITIES

LANGUAGES = ("zh-CN", "en")
FOLDER = Path(__file__).parent


def files() -> dict[str, str]:
    """Relative path: content."""
    return {
        f"{name}/{board.uid.removeprefix('dutyroom-')}.json": json.dumps(
            dashboard(board, language), ensure_ascii=False, indent=1
        )
        + "\n"
        for language, name in enumerate(LANGUAGES)
        for board in (OVERVIEW, ALARMS, DATA, *UTILITIES)
    }


def main() -> None:
    for path, text in files().items():
        target = FOLDER / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{target}\n")


if __name__ == "__main__":
    main()
