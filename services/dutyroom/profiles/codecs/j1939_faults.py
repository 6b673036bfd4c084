"""J1939-73: faults that an engine reports (DM1, DM2); and what it calls itself."""

from __future__ import annotations

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.j1939_table import FAILURES, NAMES

_LAMPS = ("lamp_protect", "lamp_amber_warning", "lamp_red_stop", "lamp_malfunction")
_LAMP_NAMES = {prefix: tuple(prefix + lamp for lamp in _LAMPS) for prefix in ("", "past_")}
_LAMP_STATES = tuple(
    tuple(state if (state := byte >> 2 * number & 3) < 2 else None for number in range(len(_LAMPS)))
    for byte in range(256)
)
NO_FAULT = bytes(4)


def read_faults(data: bytes, prefix: str = "") -> dict[str, object]:
    """prefix: "" | "past_". Lamps (0, 1, null) and faults [{spn, parameter, fmi, failure, occurrences}] of DM1 or DM2."""
    if len(data) < 6:
        raise Rejected(f"fault message cut at byte {len(data)}: at least 6 bytes expected")
    lamps, first = data[0], data[2:6]
    document: dict[str, object] = dict(zip(_LAMP_NAMES[prefix], _LAMP_STATES[lamps], strict=True))
    if len(data) < 10 and first == NO_FAULT:  # most of the time
        faults = []
    else:
        faults = [f for at in range(2, len(data) - 3, 4) if (f := _fault(data[at : at + 4]))]
    document[f"{prefix}faults"] = faults
    document[f"{prefix}fault_count"] = len(faults)
    return document


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
