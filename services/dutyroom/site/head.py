"""site.yaml: what a site is, and where its devices publish."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dutyroom.errors import Rejected
from dutyroom.fields import Fields
from dutyroom.site.model import BrokerAddress
from dutyroom.site.source import Source
from dutyroom.timebase import zone

LANGUAGES = ("zh-CN", "en")
_SITE_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


@dataclass(frozen=True, slots=True)
class Head:
    """What site.yaml says."""

    id: str
    name: Mapping[str, str]
    time_zone: str
    currency: str
    language: str
    broker: BrokerAddress | None
    adopt_unknown: bool
    cut_off_day: int


def read_head(source: Source) -> Head:
    document = source.document("site.yaml")
    fields = Fields.of(document, source.mistakes)
    if document.data is None:
        if not source.mistakes:
            fields.wrong("", "is empty")
        return Head("", {}, "UTC", "CNY", "zh-CN", None, False, 1)
    head = Head(
        id=fields.text("id"),
        name=fields.words("name"),
        time_zone=fields.text("time_zone"),
        currency=fields.text("currency", "CNY"),
        language=fields.choice("language", LANGUAGES, "zh-CN"),
        broker=_broker(source, fields.child("broker")),
        adopt_unknown=fields.flag("adopt_unknown"),
        cut_off_day=fields.integer("cut_off_day", 1, 1, 28),
    )
    fields.finish()
    if head.id and not _SITE_ID.fullmatch(head.id):
        fields.wrong("id", f"{head.id!r} may hold small letters, digits and - only, at most 40")
    if head.currency and not re.fullmatch("[A-Z]{3}", head.currency):
        fields.wrong("currency", f"{head.currency!r} is no currency code such as CNY")
    try:
        zone(head.time_zone or "UTC")
    except Rejected as err:
        fields.wrong("time_zone", f"{err.reason}; write an IANA name such as Asia/Shanghai")
    return head


def _broker(source: Source, fields: Fields | None) -> BrokerAddress | None:
    if fields is None:
        return None
    if fields.raw("password") is not None:
        fields.wrong("password", "a secret does not belong here; put it in a file and name it: password_file")
    tls = fields.flag("tls")
    broker = BrokerAddress(
        host=fields.text("host"),
        port=fields.integer("port", 8883 if tls else 1883, 1, 65535),
        tls=tls,
        ca_file=_beside(source, fields, "ca_file"),
        username=fields.text("username", ""),
        password_file=_beside(source, fields, "password_file"),
        topics=_filters(fields, "topics", ("#",)),
    )
    fields.finish()
    return broker


def _beside(source: Source, fields: Fields, name: str) -> str:
    """The absolute path of a file named relative to the site folder; "" = not named."""
    named = fields.text(name, "")
    if not named:
        return ""
    path = (source.folder / Path(named).expanduser()).absolute()
    if not path.is_file():
        fields.wrong(name, f"there is no file {path}")
    return str(path)


def _filters(fields: Fields, name: str, default: Sequence[str]) -> tuple[str, ...]:
    found = fields.texts(name, default)
    for text in found:
        levels = text.split("/")
        bad = [x for x in levels if ("#" in x or "+" in x) and len(x) > 1]
        if not text or bad or "#" in levels[:-1]:
            fields.wrong(
                name, f"{text!r} is no topic filter: + stands alone between slashes, # alone at the end"
            )
    return found
