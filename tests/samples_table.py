"""The tables of docs/replay.md: `python -m tests.samples_table --write`.

Recorded messages straight through the decoder, by family. DUTYROOM_SAMPLES=FILE names the larger
collection, whose table is renewed too; without it that table stays as it is.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from functools import lru_cache
from pathlib import Path

from tests.shipped_profiles import shipped_library

from dutyroom.flows.replay import FamilyRow, Record, Row, replay, table
from dutyroom.profiles.decode import Library
from dutyroom.timebase import from_iso

ROOT = Path(__file__).parents[1]
OWN = ROOT / "tests" / "data" / "samples" / "payloads.ndjson"
PAGE = ROOT / "docs" / "replay.md"
RECEIVED = from_iso("2026-11-25T00:00:00Z")
COLLECTIONS = ("shipped", "larger")


def records(file: Path) -> list[Record]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


@lru_cache(1)
def library() -> Library:
    return shipped_library()


def replayed(file: Path) -> list[Row]:
    return replay(records(file), library(), RECEIVED)


def larger() -> Path | None:
    name = os.environ.get("DUTYROOM_SAMPLES", "")
    return Path(name) if name else None


def markdown(rows: list[Row]) -> str:
    lines = ["| family | messages | every value equal | values equal / stated |", "| --- | --- | --- | --- |"]
    families = table(rows)
    lines += [f"| {f.family} | {f.sent} | {f.ok} | {f.equal} / {f.stated} |" for f in families]
    lines.append(_sum(families))
    return "\n".join(lines)


def _sum(families: list[FamilyRow]) -> str:
    sent, ok = sum(f.sent for f in families), sum(f.ok for f in families)
    equal, stated = sum(f.equal for f in families), sum(f.stated for f in families)
    return f"| all | {sent} | {ok} ({ok / sent:.1%}) | {equal} / {stated} |"


def on_page(collection: str, text: str) -> str:
    """The table of a collection as the page has it."""
    match = re.search(rf"<!-- {collection} -->\n(.*?)\n<!-- end -->", text, re.DOTALL)
    assert match, f"{PAGE} has no table between <!-- {collection} --> and <!-- end -->"
    return match[1]


def _marked(collection: str, table_text: str) -> str:
    return f"<!-- {collection} -->\n{table_text}\n<!-- end -->"


def right(table_text: str) -> dict[str, int]:
    """family -> messages whose every value is equal, of a table in Markdown."""
    found = re.findall(r"^\| ([\w-]+) \| \d+ \| (\d+)", table_text, re.MULTILINE)
    return {family: int(count) for family, count in found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="renew the tables of docs/replay.md")
    write = parser.parse_args().write
    text = PAGE.read_text(encoding="utf-8")
    for collection, file in zip(COLLECTIONS, (OWN, larger()), strict=True):
        if file is None:
            continue
        fresh = markdown(replayed(file))
        print(f"{collection}:\n{fresh}\n")
        text = text.replace(_marked(collection, on_page(collection, text)), _marked(collection, fresh))
    if write:
        PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
