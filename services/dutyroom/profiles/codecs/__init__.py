"""Payload codecs by name, one module a payload family; `codec:` of a profile names one."""

from __future__ import annotations

from collections.abc import Mapping

from dutyroom.profiles.codecs import (
    cayenne,
    cjt188,
    dlt645,
    dsmr,
    elsys,
    gb26875,
    j1939,
    mbus,
    modbus,
    panel_printer,
    sia_dc09,
    sparkplug,
    watteco_batch,
    wmbus,
)
from dutyroom.profiles.codecs.seam import CodecKind

CODECS: Mapping[str, CodecKind] = {
    "cayenne": cayenne.KIND,
    "cjt188": cjt188.KIND,
    "dlt645": dlt645.KIND,
    "dsmr": dsmr.KIND,
    "elsys": elsys.KIND,
    "gb26875": gb26875.KIND,
    "j1939": j1939.KIND,
    "mbus": mbus.KIND,
    "modbus": modbus.KIND,
    "panel_printer": panel_printer.KIND,
    "sia_dc09": sia_dc09.KIND,
    "sparkplug": sparkplug.KIND,
    "watteco_batch": watteco_batch.KIND,
    "wmbus": wmbus.KIND,
}
