"""Text payloads by regular expressions."""

import time

import pytest

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.seam import Ask
from dutyroom.profiles.profile import TextRule
from dutyroom.profiles.textform import compiled, text_codec


def read(payload: bytes, *patterns: str, lines: bool = False, encoding: str = "utf-8") -> object:
    return text_codec(TextRule(patterns, lines, encoding))(payload, Ask())


def test_the_first_pattern_that_fits_gives_its_groups() -> None:
    patterns = (r"LVL=(?P<level>[\d.]+)(?: (?P<unit>\w+))?", r"ALARM (?P<alarm>\w+)")
    assert read(b"T1 LVL=1.5 cm", *patterns) == {"level": "1.5", "unit": "cm"}
    assert read(b"T1 LVL=1.5", *patterns) == {"level": "1.5"}
    assert read(b"ALARM high", *patterns) == {"alarm": "high"}
    with pytest.raises(Rejected, match="does not fit"):
        read(b"hello", *patterns)


def test_line_by_line_and_in_chinese() -> None:
    text = "001-002 火警\n头\n003-004 故障\n".encode("gb18030")
    found = read(text, r"(?P<loop>\d+)-(?P<point>\d+) (?P<event>\S+)", lines=True, encoding="gb18030")
    assert found == {
        "lines": [
            {"loop": "001", "point": "002", "event": "火警"},
            {"loop": "003", "point": "004", "event": "故障"},
        ]
    }
    with pytest.raises(Rejected, match="not UTF-8 at byte 8"):
        read(text, "(?P<a>x)")


@pytest.mark.parametrize("pattern", ["(", "(a)(?=b)", "no groups", r"(?P<a>.)\1"])
def test_what_re2_cannot_do_or_has_no_name_is_refused(pattern: str) -> None:
    with pytest.raises(Rejected, match="regular expression"):
        compiled(pattern)


def test_no_pattern_takes_for_ever() -> None:
    start = time.process_time()
    with pytest.raises(Rejected):
        read(b"a" * 60_000 + b"!", r"^(?P<x>(a+)+)$")
    assert time.process_time() - start < 5  # a backtracking engine would need longer than the universe has
    with pytest.raises(Rejected, match="at most"):
        read(b"a" * 70_000, r"(?P<x>a)")
