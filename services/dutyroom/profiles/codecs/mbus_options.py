"""What a profile may tell the M-Bus codecs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.mbus_document import GROUPS
from dutyroom.profiles.codecs.mbus_words import Words, read_states, read_words, whole
from dutyroom.profiles.yamlnode import Plain

NAMES = (
    "product",
    "names",
    "vifs",
    "units",
    "flags",
    "words",
    "states",
    "status_bits",
    "monthly",
    "start",
    "skip",
)


@dataclass(frozen=True, slots=True)
class Options:
    """product: the name under which receivers know the model.

    names: name that the codec builds -> better one. vifs: a maker's VIF chain -> the standard one. flags: bit
    fields whose words make the status. words: numbers that become texts. states: bits that become numbers of
    their own. status_bits: the maker's bits of the status byte. units: of values (by their final name) whose
    record says another, as for reactive power in W. monthly: storage of the newest monthly value, where the
    telegram does not say the interval. start: `records`, or `ci` when a transport header comes first. skip:
    bytes in front. listed: the list `records` is made; not an option of profiles: where one reads it, it is.
    """

    product: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    vifs: Mapping[bytes, bytes] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    flags: Mapping[str, Words] = field(default_factory=dict)
    words: Mapping[str, Words] = field(default_factory=dict)
    states: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    status_bits: Words = field(default_factory=Words)
    monthly: int | None = None
    start: str = "records"
    skip: int = 0
    listed: bool = True


def read_options(given: Mapping[str, Plain]) -> Options:
    """Raises Rejected, naming the option that cannot be used."""
    start = str(given.get("start") or "records")
    if start not in ("records", "ci"):
        raise Rejected(f"start: {start!r} is neither records nor ci")
    monthly = given.get("monthly")
    bits = read_words({"status_bits": {"status": {"bits": given.get("status_bits") or {}}}}, "status_bits")
    skip = whole(given.get("skip", 0), "skip")
    if not 0 <= skip <= 64:
        raise Rejected(f"skip: {skip} is not 0 to 64")
    return Options(
        product=str(given.get("product") or ""),
        names={k: str(v) for k, v in _mapping(given, "names").items()},
        vifs={_hex(k, "vifs"): _hex(v, f"vifs.{k}") for k, v in _mapping(given, "vifs").items()},
        units=_units(given),
        flags=read_words(given, "flags"),
        words=read_words(given, "words"),
        states=read_states(given),
        status_bits=bits["status"],
        monthly=None if monthly is None else whole(monthly, "monthly"),
        start=start,
        skip=skip,
    )


def _mapping(given: Mapping[str, Plain], option: str) -> dict[str, Plain]:
    value = given.get(option) or {}
    if not isinstance(value, dict):
        raise Rejected(f"{option}: must be a mapping")
    return value


def _units(given: Mapping[str, Plain]) -> dict[str, str]:
    units = {name: str(unit) for name, unit in _mapping(given, "units").items()}
    for name, unit in units.items():
        if unit not in GROUPS:
            raise Rejected(f"units.{name}: {unit!r} is none of {', '.join(GROUPS)}")
    return units


def _hex(value: Plain, where: str) -> bytes:
    try:
        found = bytes.fromhex(str(value))
    except ValueError as err:
        raise Rejected(f"{where}: {value!r} is not hex") from err
    if not found:
        raise Rejected(f"{where}: is empty")
    return found
