"""One file of a site against another: spaces and devices that are named must exist."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dutyroom.fields import Fields
from dutyroom.metering.tariff import PublicShare
from dutyroom.rules.spec import Select
from dutyroom.site.devices import Row
from dutyroom.site.model import Site
from dutyroom.site.source import Source
from dutyroom.yamltext import Document


def check_names(source: Source, site: Site, rows: Sequence[Row]) -> None:
    """Notes spaces and devices that are named but do not exist."""
    spaces, devices = set(site.spaces), {device.id for device in site.devices}
    for row in rows:
        if row.device.space and row.device.space not in spaces:
            row.wrong(
                "space",
                f"there is no space {row.device.space!r} in spaces.yaml{source.hint(row.device.space, spaces)}",
            )
    for file, key, selects in (
        ("rules.yaml", "rules", {rule.id: rule.select for rule in site.rules}),
        ("plans.yaml", "plans", {plan.id: plan.select for plan in site.plans}),
    ):
        for entry in written(source, file, key) if selects else ():
            select = selects.get(str(entry.data.get("id")))
            if select is not None:
                _selected(source, entry, select, spaces, devices)
    variants = {rule.id: rule.variants for rule in site.rules}
    for entry in written(source, "rules.yaml", "rules") if variants else ():
        mine = variants.get(str(entry.data.get("id")), ())
        for one, variant in zip(entry.children("variants"), mine, strict=False):
            _selected(source, one, variant.select, spaces, devices)
    for entry in written(source, "tariffs.yaml", "shares") if site.shares else ():
        share = next((s for s in site.shares if s.id == entry.data.get("id")), None)
        if share is not None:
            _shared(source, entry, share, spaces, devices)


def written(source: Source, file: str, key: str) -> Iterable[Fields]:
    """The entries of a list in a file whose parser has found no fault in it."""
    document: Document = source.document(file) if source.has(file) else Document(file, None, {})
    data = document.data.get(key) if isinstance(document.data, dict) else None
    for index, item in enumerate(data if isinstance(data, list) else ()):
        if isinstance(item, dict):
            yield Fields(document, (key, index), item, source.mistakes)


def _selected(source: Source, entry: Fields, select: Select, spaces: set[str], devices: set[str]) -> None:
    for device in select.devices:
        if not set("*?[") & set(device) and device not in devices:
            entry.wrong("select", f"there is no device {device!r}{source.hint(device, devices)}")
    for space in select.spaces:
        if not _inside(space, spaces):
            entry.wrong("select", f"there is no space {space!r}{source.hint(space, spaces)}")


def _inside(prefix: str, spaces: set[str]) -> bool:
    return any(space == prefix or space.startswith(prefix.rstrip("/") + "/") for space in spaces)


def _shared(source: Source, entry: Fields, share: PublicShare, spaces: set[str], devices: set[str]) -> None:
    for name, listed in (("meters", share.meters), ("less", share.less)):
        for device in listed:
            if device not in devices:
                entry.wrong(name, f"there is no device {device!r}{source.hint(device, devices)}")
    if share.space and not _inside(share.space, spaces):
        entry.wrong("space", f"there is no space {share.space!r}{source.hint(share.space, spaces)}")
