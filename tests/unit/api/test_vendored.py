"""What was taken from elsewhere is exactly what the table says."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from dutyroom.api.app import STATIC

VENDOR = STATIC / "vendor"


def test_every_vendored_file_has_its_hash_and_licence() -> None:
    table = {row["file"]: row for row in json.loads((VENDOR / "vendored.json").read_text("utf-8"))}
    there = (
        {f.name for f in VENDOR.iterdir()} - {"vendored.json"} - {f.name for f in VENDOR.glob("*LICENSE*")}
    )
    assert there == set(table)
    for name, row in table.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == row["sha256"]
        assert row["licence"] == "MIT"
        assert row["version"] in name


def test_no_page_or_script_names_another_host() -> None:
    own = [*STATIC.glob("*.js"), *STATIC.glob("*.css"), *(STATIC.parent / "templates").glob("*.html")]
    for file in own:
        text = file.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text, file.name


def test_no_inline_script_or_style() -> None:
    for file in (Path(STATIC).parent / "templates").glob("*.html"):
        text = file.read_text("utf-8")
        assert " style=" not in text, file.name
        assert "<style" not in text, file.name
        for tag in text.split("<script")[1:]:
            assert "src=" in tag.split(">")[0] or "application/json" in tag.split(">")[0], file.name
