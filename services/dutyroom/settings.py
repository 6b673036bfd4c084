"""What the environment says: variables DUTYROOM_..., each described in docs/settings.md."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from dutyroom.errors import Invalid, Mistake, Rejected

PREFIX = "DUTYROOM_"


def data_home() -> Path:
    """Where this kind of machine keeps a program's data."""
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "dutyroom"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "dutyroom"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "dutyroom"


Folder = Annotated[Path, AfterValidator(lambda path: path.expanduser())]


def _web(address: str) -> str:
    try:
        parts = urlsplit(address)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # of the port
        good = False
    if not good or parts.query or parts.fragment or not address.isprintable() or " " in address:
        raise ValueError("should be an address like http://influx:8086")
    return address


Address = Annotated[str, AfterValidator(_web)]


class Settings(BaseSettings):
    """Of one instance; the command line's options are given by name and win. Raises Invalid."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, env_ignore_empty=True)

    data: Folder = Field(
        default_factory=data_home, description="Data folder: journal, readings, records, log."
    )
    host: str = Field("127.0.0.1", description="Address that the pages listen on.")
    port: int = Field(8080, ge=0, le=65535, description="Port of the pages; 0 = any free one.")
    https: bool = Field(False, description="Pages are reached by https, through a proxy in front.")
    readings: Literal["embedded", "influx"] = Field("embedded", description="Where readings live.")
    influx_url: Address = Field("http://127.0.0.1:8086", description="Address of InfluxDB 2.x.")
    influx_org: str = Field("dutyroom", description="Organisation in InfluxDB.")
    influx_bucket: str = Field("dutyroom", description="Bucket in InfluxDB.")
    influx_token_file: Folder | None = Field(None, description="File that holds InfluxDB's token.")
    influx_ca_file: Folder | None = Field(
        None, description="Certificates of the authorities that are trusted for an InfluxDB by https."
    )
    influx_certificate_file: Folder | None = Field(
        None, description="Client certificate for an InfluxDB, or a proxy before it, that wants one."
    )
    influx_key_file: Folder | None = Field(
        None, description="Key of that certificate, where it stands in a file of its own."
    )
    influx_key_password_file: Folder | None = Field(None, description="File with the password of that key.")
    influx_days: int = Field(
        90, ge=0, le=36500, description="Days that InfluxDB keeps every reading; 0 = for ever."
    )
    influx_days_of_minutes: int = Field(
        732, ge=0, le=36500, description="The same of the last ones in 5 minutes."
    )
    influx_days_of_hours: int = Field(0, ge=0, le=36500, description="The same of the last ones in an hour.")
    records: str = Field("", description="postgresql://... ; empty = SQLite in the data folder.")
    raw_days: float = Field(7.0, gt=0, le=36500, description="Days that raw messages stay in the journal.")
    # Not less: some billionths of it would be no byte, which means no limit.
    spool_gb: float = Field(20.0, ge=0.001, le=1e6, description="Size of a site's journal, in GB.")
    canary: bool = Field(True, description="Publish a message of our own each minute and look for it.")
    mqtt_reader: Literal["bulk", "stock"] = Field(
        "bulk", description="How MQTT is read: many messages at once, or each by paho's own callbacks."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level logged.")

    def __init__(self, **given: object) -> None:
        try:
            super().__init__(**given)  # type: ignore[arg-type]
        except ValidationError as err:
            raise Invalid([_mistake(error["loc"], error["msg"], given) for error in err.errors()]) from None

    @property
    def spool_bytes(self) -> int:
        return round(self.spool_gb * 1e9)

    def influx_token_value(self) -> str:
        """The token, read from its file. Raises Rejected."""
        if self.influx_token_file is None:
            raise Rejected(f"{PREFIX}INFLUX_TOKEN_FILE must name the file that holds InfluxDB's token")
        return token_in(self.influx_token_file, "InfluxDB")


def token_in(file: Path, server: str) -> str:
    """A server's token, read from its file. Raises Rejected."""
    try:
        token = file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError as err:
        raise Rejected(f"the token of {server} cannot be read from {file}: {err.strerror}") from None
    if not token:
        raise Rejected(f"{file} should hold the token of {server} and is empty")
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise Rejected(f"{file} should hold the token of {server} and nothing else, on one line")
    return token


def _mistake(place: tuple[int | str, ...], message: str, given: dict[str, object]) -> Mistake:
    name = str(place[0]) if place else ""
    if name in given:  # as `dutyroom influx setup` calls it
        return Mistake("command line", 0, "--" + name.removeprefix("influx_").replace("_", "-"), message)
    return Mistake("environment", 0, PREFIX + name.upper(), message)
