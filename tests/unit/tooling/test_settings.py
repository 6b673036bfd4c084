from __future__ import annotations

import os
from pathlib import Path

import pytest

from dutyroom.errors import Invalid, Rejected
from dutyroom.settings import PREFIX, Settings, data_home


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)


def test_the_command_line_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().port == 8080
    monkeypatch.setenv("DUTYROOM_PORT", "9000")
    monkeypatch.setenv("DUTYROOM_HOST", "")  # empty is not set
    assert (Settings().port, Settings().host) == (9000, "127.0.0.1")
    assert Settings(port=9001).port == 9001


def test_variables_of_the_tools_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUTYROOM_VENV", "/somewhere")
    monkeypatch.setenv("DUTYROOM_REQUIRE_SERVERS", "1")
    assert Settings().host == "127.0.0.1"


def test_every_wrong_value_is_named_where_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUTYROOM_PORT", "many")
    monkeypatch.setenv("DUTYROOM_READINGS", "oracle")
    with pytest.raises(Invalid) as caught:
        Settings(raw_days=-1, influx_days=-1)
    said = [str(mistake) for mistake in caught.value.mistakes]
    assert [line.rsplit(": ", 1)[0] for line in said] == [
        "environment: DUTYROOM_PORT",
        "environment: DUTYROOM_READINGS",
        "command line: --days",
        "command line: --raw-days",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [(n, v) for n in ("RAW_DAYS", "SPOOL_GB") for v in ("inf", "nan", "-1", "0", "1e30")]
    + [("SPOOL_GB", "1e-12")],
)
def test_a_size_that_is_none_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has no end is no number of bytes and no instant, and no byte at all would be a journal without a bound."""
    monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(Invalid, match=f"DUTYROOM_{name}"):
        Settings()


@pytest.mark.parametrize(
    "url",
    ["influx:8086", "influx", "ftp://influx", "http://", "http://influx:port", "http://a b", "http://i?x=1"],
)
def test_an_address_that_is_none_is_named(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUTYROOM_INFLUX_URL", url)
    with pytest.raises(Invalid, match=r"DUTYROOM_INFLUX_URL: .*like http://influx:8086"):
        Settings()
    for good in ("https://influx.example.org/behind/a/proxy/", "HTTP://[::1]:8086"):
        assert Settings(influx_url=good).influx_url == good


def test_a_setting_that_does_not_exist() -> None:
    with pytest.raises(Invalid, match="--colour"):
        Settings(colour="red")


def test_the_data_folder_is_the_usual_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("dutyroom.settings.sys.platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert data_home() == tmp_path / "dutyroom"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data_home() == tmp_path / ".local" / "share" / "dutyroom"
    assert Settings(data="~/here").data == tmp_path / "here"


def test_the_token_comes_from_its_file(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="DUTYROOM_INFLUX_TOKEN_FILE"):
        Settings().influx_token_value()
    token = tmp_path / "token"
    with pytest.raises(Rejected, match="cannot be read"):
        Settings(influx_token_file=token).influx_token_value()
    token.write_text("\n", encoding="utf-8")
    with pytest.raises(Rejected, match="is empty"):
        Settings(influx_token_file=token).influx_token_value()
    for content in (b"\xff\xfe", b"two\nlines", b"to ken"):
        token.write_bytes(content)
        with pytest.raises(Rejected, match="nothing else, on one line"):
            Settings(influx_token_file=token).influx_token_value()
    token.write_text("secret\n", encoding="utf-8")
    assert Settings(influx_token_file=token).influx_token_value() == "secret"
    assert "secret" not in repr(Settings(influx_token_file=token))
