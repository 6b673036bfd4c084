"""The page on codecs names every codec and every setting."""

import re
from pathlib import Path

import pytest

from dutyroom.profiles.codecs import CODECS

PAGE = (Path(__file__).parents[3] / "docs" / "codecs.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CODECS)
def test_the_page_names_codec_and_settings(name: str) -> None:
    (row,) = re.findall(rf"^\| `{name}` \| .*$", PAGE, re.MULTILINE)
    options = CODECS["mbus"].options if "as `mbus`" in row else CODECS[name].options
    for option in options:
        assert f"`{option}`" in (row if "as `mbus`" not in row else PAGE), (name, option)
