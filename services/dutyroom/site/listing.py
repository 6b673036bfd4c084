"""Devices as rows of a table, so that reading it again gives the same devices."""

from __future__ import annotations

import re
from collections.abc import Iterable

from dutyroom.model.duty import Device, DeviceStatus
from dutyroom.site import pairs
from dutyroom.site.columns import CHINESE, COLUMNS

NUMBERS = frozenset({"interval_s", "digits", "resolution"})  # the rest is text, whatever it looks like
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")


def titles(language: str) -> list[str]:
    """The names of the columns in a language."""
    return [CHINESE[name] if language == "zh-CN" else name for name in COLUMNS]


def listed(devices: Iterable[Device]) -> list[Device]:
    """What a list of devices shows: all that are not withdrawn, by id."""
    return sorted((d for d in devices if d.status is not DeviceStatus.WITHDRAWN), key=lambda d: d.id)


def cells(device: Device) -> list[str]:
    """A row in the order of COLUMNS; what a spreadsheet would take for a formula gets an apostrophe."""
    return [harmless(text) for text in texts(device).values()]


def texts(device: Device) -> dict[str, str]:
    """Every field by its column's name, as a person would write it."""
    found = {
        "id": device.id,
        "name": device.name,
        "class": device.device_class,
        "model": device.model,
        "profile": device.profile,
        "address": device.address,
        "space": device.space,
        "fed_by": ";".join(device.fed_by),
        "interval_s": str(device.interval_s or ""),
        "digits": str(device.digits or ""),
        "resolution": "" if device.resolution is None else format(device.resolution, "f"),
        "serial": device.serial,
        "parameters": pairs.joined(device.parameters),
        "status": device.status.value,
    }
    return {name: found[name] for name in COLUMNS}


def harmless(text: str) -> str:
    """`drafts` takes the apostrophe away again."""
    return "'" + text if _FORMULA.match(text) else text
