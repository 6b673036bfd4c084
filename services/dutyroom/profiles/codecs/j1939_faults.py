"""J1939-73: faults that an engine reports (DM1, DM2); and what it calls itself."""

from __future__ import annotations

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.j1939_table import FAILURES, NAMES

_LAMPS = ("lamp_protect", "lamp_amber_warning", "lamp_red_stop", "lamp_malfunction")


def read_faults(data: bytes, prefix: str = "") -> dict[str, object]:
    """Lamps (0, 1, null) and faults [{spn, parameter, fmi, failure, occurrences}] of DM1 or DM2."""
    if len(data) < 6:
        raise Rejected(f"fault message cut at byte {len(data)}: at least 6 bytes expected")
    document: dict[str, object] = {}
    for number, lamp in enumerate(_LAMPS):
        state = data[0] >> 2 * number & 3
        document[prefix + lamp] = state if state < 2 else None
    faults = [f for at in range(2, len(data) - 3, 4) if (f := _fault(data[at : at + 4]))]
    return document | {f"{prefix}faults": faults, f"{prefix}fault_count": len(faults)}


def _fault(code: bytes) -> dict[str, object] | None:
    """A trouble code: 19 bits SPN, 5 bits failure mode, 1 bit how they are packed, 7 bits how often."""
    spn = code[0] | code[1] << 8 | (code[2] & 0xE0) << 11
    fmi, count = code[2] & 0x1F, code[3] & 0x7F
    if spn in (0, 0x7FFFF):  # "no fault", and the bytes that fill a frame
        return None
    found: dict[str, object] = {
        "spn": spn,
        "parameter": NAMES.get(spn, f"spn_{spn}"),
        "fmi": fmi,
        "failure": FAILURES[fmi] if fmi < len(FAILURES) else "condition_exists" if fmi == 31 else "reserved",
        "occurrences": count if count < 0x7F else None,
    }
    return found | ({"old_packing": True} if code[3] & 0x80 else {})


def component(data: bytes) -> dict[str, object]:
    """Make*model*serial number*unit number*"""
    names = ("make", "model", "serial_number", "unit_number")
    texts = data.decode("latin-1").split("*")
    return {n: t.strip() for n, t in zip(names, texts, strict=False) if t.strip() and t.isprintable()}
