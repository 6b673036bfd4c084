"""Status of an M-Bus device as words: the status byte of the transport header, and bit fields of records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.mbus_document import Entry
from dutyroom.profiles.codecs.mbus_values import Value
from dutyroom.profiles.yamlnode import Plain

_APPLICATION = ("", "BUSY", "ERROR", "ALARM")  # the two lowest bits of the status byte
_BITS = {0x04: "POWER_LOW", 0x08: "PERMANENT_ERROR", 0x10: "TEMPORARY_ERROR"}


@dataclass(frozen=True, slots=True)
class Words:
    """What numbers mean. bits: bit number -> word; codes: number -> word; mask: bits that count."""

    bits: Mapping[int, str] = field(default_factory=dict)
    codes: Mapping[int, str] = field(default_factory=dict)
    mask: int = -1
    told: dict[int, list[str]] = field(default_factory=dict, compare=False, repr=False)  # of a status byte

    def of(self, value: int, name: str) -> list[str]:
        """The words of a value; bits that nobody knows as `NAME_1C`."""
        value &= self.mask
        if value in self.codes:
            return [w for w in [self.codes[value]] if w]
        if not value:
            return []
        words = [word for bit, word in self.bits.items() if value >> bit & 1 and word]
        known = sum(1 << bit for bit in self.bits)
        left = value & ~known if value >= 0 else 0
        return [*words, f"{name.upper()}_{left:X}"] if left else words


def read_words(options: Mapping[str, Plain], option: str) -> dict[str, Words]:
    """{name: {bits: {0: DRY}, codes: {1: BUSY}, mask: 0xFF}} of a profile. Raises Rejected, naming the place."""
    found = {}
    for name, given in _mapping(options.get(option) or {}, option).items():
        own = _mapping(given, f"{option}.{name}")
        unknown = sorted(set(own) - {"bits", "codes", "mask"})
        if unknown:
            raise Rejected(f"{option}.{name}: unknown field {unknown[0]!r}; known: bits, codes, mask")
        bits, codes = (
            {
                whole(k, f"{option}.{name}.{part}"): str(v)
                for k, v in _mapping(own.get(part) or {}, f"{option}.{name}").items()
            }
            for part in ("bits", "codes")
        )
        if any(not 0 <= bit < 128 for bit in bits):
            raise Rejected(f"{option}.{name}.bits: a bit has a number from 0 to 127")
        found[name] = Words(bits, codes, whole(own.get("mask", -1), f"{option}.{name}.mask"))
    return found


def whole(value: Plain, where: str) -> int:
    """A whole number of a profile, also as text or hex. Raises Rejected."""
    try:
        return value if isinstance(value, int) else int(str(value), 0)
    except ValueError as err:
        raise Rejected(f"{where}: {value!r} is no whole number") from err


def _mapping(value: Plain, where: str) -> dict[str, Plain]:
    if not isinstance(value, dict):
        raise Rejected(f"{where}: must be a mapping")
    return value


def status_words(status: int | None, maker_bits: Words) -> list[str]:
    """Of the status byte. maker_bits: what a maker means by a bit; his word replaces the standard's."""
    if status is None:
        return []
    found = maker_bits.told.get(status)
    if found is None:
        found = maker_bits.told[status] = _status_words(status, maker_bits)
    return found


def _status_words(status: int, maker_bits: Words) -> list[str]:
    own = [word for bit, word in maker_bits.bits.items() if status >> bit & 1]
    taken = sum(1 << bit for bit in maker_bits.bits)
    standard = _APPLICATION[status & 3] if not taken & 3 else ""
    words = [standard] + [word for bit, word in _BITS.items() if status & bit & ~taken] + own
    left = status & 0xE0 & ~taken
    return [w for w in words if w] + ([f"UNKNOWN_{left:X}"] if left else [])


def flag_words(entries: Sequence[Entry], flags: Mapping[str, Words]) -> list[str] | None:
    """The words of all bit fields: those that the profile names, and error_flags. None = there are none."""
    return words_of(
        (words, entry.value, entry.name) for entry in entries if (words := flag_of(entry, flags)) is not None
    )


def flag_of(entry: Entry, flags: Mapping[str, Words]) -> Words | None:
    """What an entry's bits mean; None where it is no bit field of the status."""
    return flags.get(entry.name) or (Words() if entry.quantity == "error_flags" and not flags else None)


def words_of(fields: Iterable[tuple[Words, Value, str]]) -> list[str] | None:
    """The words of bit fields (what they mean, value, name). None = there are none."""
    found: list[str] | None = None
    for words, value, name in fields:
        if isinstance(value, int):
            found = (found or []) + words.of(value, name)
    return found


def read_states(options: Mapping[str, Plain]) -> dict[str, dict[int, str]]:
    """{name: {bit: name of its state}} of a profile. Raises Rejected, naming the place."""
    found = {}
    for name, given in _mapping(options.get("states") or {}, "states").items():
        bits = {
            whole(bit, f"states.{name}"): str(state)
            for bit, state in _mapping(given, f"states.{name}").items()
        }
        if any(not 0 <= bit < 128 for bit in bits):
            raise Rejected(f"states.{name}: a bit has a number from 0 to 127")
        found[name] = bits
    return found


def state_entries(entries: Sequence[Entry], states: Mapping[str, Mapping[int, str]]) -> list[Entry]:
    """A 0 or 1 for each bit that a profile wants to see by itself."""
    return [
        Entry(state, "state", "", entry.value >> bit & 1)
        for entry in entries
        if isinstance(entry.value, int)
        for bit, state in states.get(entry.name, {}).items()
    ]


def joined(words: Sequence[str]) -> str:
    """In alphabetical order, one blank between; OK = none."""
    return " ".join(sorted(set(words))) if words else "OK"
