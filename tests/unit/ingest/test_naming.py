"""What a message has by name."""

from __future__ import annotations

import pytest

from dutyroom.flows.naming import named_in


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b'{"cbm": 7.5, "owner": "Li"}', "cbm, owner"),
        (b"{}", "2 bytes"),
        (b"[1, 2]", "6 bytes"),
        (b"\xff\xfe", "2 bytes"),
        (b"[" * 5_000, "5000 bytes"),
        (b"", "0 bytes"),
    ],
)
def test_names_but_no_values(payload: bytes, said: str) -> None:
    assert named_in(payload) == said


def test_it_is_short_whatever_comes() -> None:
    many = b"{" + b",".join(b'"%d%s":1' % (n, b"x" * 90) for n in range(500)) + b"}"
    assert len(named_in(many)) == 200
