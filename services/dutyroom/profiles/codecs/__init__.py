"""Payload codecs by name, one module a payload family; `codec:` of a profile names one."""

from __future__ import annotations

from collections.abc import Mapping

from dutyroom.profiles.codecs import cjt188, dlt645, dsmr, gb26875, sia_dc09
from dutyroom.profiles.codecs.seam import CodecKind

CODECS: Mapping[str, CodecKind] = {
    "cjt188": cjt188.KIND,
    "dlt645": dlt645.KIND,
    "dsmr": dsmr.KIND,
    "gb26875": gb26875.KIND,
    "sia_dc09": sia_dc09.KIND,
}
