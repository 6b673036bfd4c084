"""Whatever stands in a site's files, reading it ends in a site or in mistakes with their places."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

import dutyroom
from dutyroom.errors import Invalid
from dutyroom.site import load_site
from dutyroom.site.source import FILES

EXAMPLE = Path(dutyroom.__file__).parent / "example_site"
SCRAPS = st.sampled_from(
    ["", "null", "[]", "{}", "-1", "1e400", "true", "'", '"', "*x", "&x", "!!int", "\t", "\n", "- ", ": ", "é", "水",
     "0", "99999999999999999999", "2026-02-30", "24:00", "-5min", "{a: 1}", "[[]]", "\x00", "| ", "#", ","]
)  # fmt: skip


def outcome(folder: Path) -> str:
    try:
        load_site(folder)
    except Invalid as err:
        names = {str(folder / name) for name in FILES}
        wrong = [m for m in err.mistakes if m.file not in names or m.line < 0 or not m.message]
        return f"a mistake without its place: {wrong}" if wrong or not err.mistakes else "mistakes"
    return "read"


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(FILES), st.binary(max_size=300))
def test_any_bytes_in_any_file(name: str, raw: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "site.yaml").write_text("id: s\nname: S\ntime_zone: UTC\n", encoding="utf-8")
        (Path(folder) / name).write_bytes(raw)
        assert outcome(Path(folder)) in ("read", "mistakes")


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(path.name for path in EXAMPLE.iterdir() if path.name in FILES)),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 30), SCRAPS), min_size=1, max_size=3),
)
def test_the_example_site_with_slips_of_the_pen(name: str, slips: list[tuple[float, int, str]]) -> None:
    text = (EXAMPLE / name).read_text(encoding="utf-8")
    for where, length, scrap in slips:
        start = int(where * len(text))
        text = text[:start] + scrap + text[start + length :]
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "site"
        shutil.copytree(EXAMPLE, site)
        (site / name).write_text(text, encoding="utf-8")
        assert outcome(site) in ("read", "mistakes")
