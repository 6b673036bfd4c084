"""`dutyroom devices`: the registry of a site as a file, through the running instance or without one."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dutyroom.backends.clock import SystemClock
from dutyroom.backends.datafolder import DataFolder
from dutyroom.backends.device_files import DeviceFiles
from dutyroom.backends.instance_api import InstanceApi
from dutyroom.errors import Invalid, Rejected
from dutyroom.flows.devices import DeviceDesk
from dutyroom.model.duty import Device
from dutyroom.profiles.decode import load_library
from dutyroom.settings import Settings
from dutyroom.site import Site
from dutyroom.site.listing import listed
from dutyroom.site.roll import Estate, Plan
from dutyroom.timebase import zone
from dutyroom.wiring.commands import choose_site, data_folder, opened, running_api
from dutyroom.wiring.memory import own_profiles, remembered_estate
from dutyroom.wiring.shipped import shipped

PATIENCE_S = 300  # for ten thousand rows and more
ACTOR = "command line"
SHOWN = 20  # notes of a kind in a summary; the rest is counted


def import_devices(
    settings: Settings, file: Path, wanted: str, check: bool, withdraw_missing: bool
) -> list[str]:
    """Lines for people. Raises Invalid with every flaw of the file; then nothing was changed."""
    raw = _bytes(file)
    settings = data_folder(settings)
    site = choose_site(settings, wanted)
    api = running_api(settings.data)
    if api is not None:
        body = {
            "file": file.name,
            "content": base64.b64encode(raw).decode(),
            "check": check,
            "withdraw_missing": withdraw_missing,
        }
        return summary(_asked(api, site, body), check)
    sheet = DeviceFiles().read(raw, file.name)
    with DataFolder(settings.data), _desk(settings, site) as desk:
        if not check:
            return summary(outcome(desk.take(sheet, ACTOR, withdraw_missing)), check)
        made = desk.check(sheet, withdraw_missing)
        if made.flaws:
            raise Invalid(made.flaws)
        return summary(outcome(made), check)


def _asked(api: InstanceApi, site: Site, body: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = api.ask("POST", f"sites/{site.id}/registry/import", body, PATIENCE_S)
    return found


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as err:
        raise Rejected(f"{file}: {err.strerror}") from err


@contextmanager
def _desk(settings: Settings, site: Site) -> Iterator[DeviceDesk]:
    """A site's registry without a running instance: as the last one left it."""
    folder = settings.data / "sites" / site.id
    library = load_library(shipped("device_profiles"), zone(site.time_zone), b"", own_profiles(folder))
    estate = remembered_estate(site.id, folder, library.profiles)
    with opened(settings, site.id) as o:
        yield _Offline(estate, o.site, lambda: library, o.records, o.table, o.store.latest, SystemClock())


class _Offline(DeviceDesk):
    """A registry whose site is known only as far as it is remembered."""

    def __init__(self, estate: Estate, *given: Any) -> None:
        super().__init__(*given)
        self._known = estate

    @property
    def estate(self) -> Estate:
        return self._known


def outcome(made: Plan) -> dict[str, Any]:
    """What the API answers, too."""
    return {
        "added": [device.id for device in made.added],
        "changed": [after.id for _, after in made.changed],
        "withdrawn": [after.id for _, after in made.withdrawn],
        "unchanged": made.unchanged,
        "notes": [{"text": str(note)} for note in made.notes],
    }


def summary(done: Mapping[str, Any], check: bool) -> list[str]:
    """Notes first, the figures last."""
    notes = [str(note["text"]) for note in done["notes"]]
    lines = [f"note: {note}" for note in notes[:SHOWN]]
    if len(notes) > SHOWN:
        lines.append(f"... and {len(notes) - SHOWN} more notes.")
    figures = ", ".join(f"{len(done[name])} {name}" for name in ("added", "changed", "withdrawn"))
    said = f"{figures}, {done['unchanged']} unchanged"
    return [*lines, f"Nothing was changed. It would be: {said}." if check else f"Devices: {said}."]


def export_devices(settings: Settings, file: Path, wanted: str, language: str) -> str:
    """Writes CSV or, where the name ends so, a workbook; all devices that are not withdrawn."""
    if language not in ("en", "zh-CN"):
        raise Rejected(f"--language {language!r}: write en or zh-CN")
    kind = file.suffix.lower()
    if kind not in (".csv", ".xlsx"):
        raise Rejected(f"{file}: the name must end in .csv or .xlsx")
    devices = listed(_devices(settings, wanted))
    files = DeviceFiles()
    raw = files.csv(devices, language) if kind == ".csv" else files.xlsx(devices, language)
    try:
        file.write_bytes(raw)
    except OSError as err:
        raise Rejected(f"{file}: {err.strerror}") from err
    return f"Wrote {len(devices)} devices to {file}."


def _devices(settings: Settings, wanted: str) -> tuple[Device, ...]:
    """Reading needs no instance: the records are open to many readers."""
    with opened(settings, wanted) as o:
        return tuple(o.site.devices)
