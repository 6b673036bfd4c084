"""site.yaml: what a site is, and where its devices publish."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dutyroom.errors import Rejected
from dutyroom.fields import Fields
from dutyroom.model.workdays import WEEK, Workdays
from dutyroom.site.brokers import read_brokers
from dutyroom.site.calendar import read_calendar
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
    brokers: tuple[BrokerAddress, ...]
    adopt_unknown: bool
    cut_off_day: int
    calendar: Workdays = WEEK


def read_head(source: Source) -> Head:
    document = source.document("site.yaml")
    fields = Fields.of(document, source.mistakes)
    if document.data is None:
        if not source.mistakes:
            fields.wrong("", "is empty")
        return Head("", {}, "UTC", "CNY", "zh-CN", (), False, 1)
    head = Head(
        id=fields.text("id"),
        name=fields.words("name"),
        time_zone=fields.text("time_zone"),
        currency=fields.text("currency", "CNY"),
        language=fields.choice("language", LANGUAGES, "zh-CN"),
        brokers=read_brokers(source, fields),
        adopt_unknown=fields.flag("adopt_unknown"),
        cut_off_day=fields.integer("cut_off_day", 1, 1, 28),
        calendar=read_calendar(fields.child("calendar")),
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
