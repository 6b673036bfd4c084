"""Where readings and records live, as the settings say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from dutyroom.backends.records_sql import open_records
from dutyroom.errors import Unavailable
from dutyroom.interfaces import ReadingStore, Records
from dutyroom.settings import PREFIX, Settings

if TYPE_CHECKING:
    from dutyroom.backends.influx_door import Door

log = structlog.get_logger(__name__)


def records_of(settings: Settings) -> Records:
    """SQLite in the data folder, or the PostgreSQL that the settings name."""
    return open_records(settings.records or f"sqlite:///{settings.data}/records.sqlite")


def store_of(settings: Settings, site: str) -> ReadingStore:
    """The site's readings: a file in the data folder, or InfluxDB."""
    # Imported when wanted: the client library alone takes a good part of a start.
    if settings.readings == "influx":
        from dutyroom.backends.influx_tasks import coarser
        from dutyroom.backends.readings_influx import InfluxReadingStore

        return InfluxReadingStore(
            influx_door(settings),
            settings.influx_token_value,
            settings.influx_org,
            settings.influx_bucket,
            site,
            coarser=coarser(settings.influx_bucket),
        )
    from dutyroom.backends.readings_embedded import EmbeddedReadingStore

    return EmbeddedReadingStore(_file(settings, site))


def _file(settings: Settings, site: str) -> Path:
    return settings.data / "sites" / site / "readings.sqlite"


def awaited_store_of(settings: Settings, site: str) -> ReadingStore:
    """The same for a service: where the file cannot be opened now it is tried again, and the site runs meanwhile."""
    try:
        return store_of(settings, site)
    except Unavailable as err:
        from dutyroom.backends.readings_awaited import AwaitedReadingStore

        log.error("store.not_opened", site=site, reason=str(err))
        return AwaitedReadingStore(_file(settings, site), str(err))


def influx_door(settings: Settings) -> Door:
    """The way to the InfluxDB of the settings. Raises Rejected for certificates that cannot be used."""
    from dutyroom.backends.influx_door import door_to
    from dutyroom.backends.tls import TlsFiles

    files = TlsFiles(
        str(settings.influx_ca_file or ""),
        str(settings.influx_certificate_file or ""),
        str(settings.influx_key_file or ""),
        str(settings.influx_key_password_file or ""),
        f"{PREFIX}INFLUX_KEY_PASSWORD_FILE",
    )
    return door_to(settings.influx_url, files)


def followed_store_of(settings: Settings, site: str) -> ReadingStore:
    """The same for a process that only reads: the embedded file has one writer."""
    if settings.readings == "influx":
        return store_of(settings, site)
    from dutyroom.backends.readings_followed import FollowedReadingStore

    return FollowedReadingStore(_file(settings, site))
