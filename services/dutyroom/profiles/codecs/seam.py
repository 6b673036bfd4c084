"""What a payload codec is: bytes in, a document that profile paths read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from msgspec import Struct
from msgspec import field as make_field

from dutyroom.model.telemetry import Scalar
from dutyroom.profiles.yamlnode import Plain
from dutyroom.timebase import Ms

Note: TypeAlias = Callable[[str, int, int, object], None]  # (field, first bit, bit after it, value)


class Report(Struct):
    """What a decoder has to say beside its document."""

    findings: list[tuple[str, str]] = make_field(default_factory=list)  # (kind, detail)
    unread: int = 0  # bytes that nothing read


class Ask(Struct):  # two are made for every message; a dataclass would take five times as long
    """What a codec may know besides the bytes.

    note: told which bits became which field, when somebody watches (`dutyroom profile try`).
    memory: what a codec must remember from message to message (Sparkplug B: the births), key -> bytes.
    kept: what a codec need not do again where it is asked more than once about one message.
    """

    port: int | None = None
    parameters: Mapping[str, Scalar] = make_field(default_factory=dict)  # of the device
    received_at: Ms = 0
    topic: str = ""
    note: Note | None = None
    report: Report = make_field(default_factory=Report)
    memory: MutableMapping[str, bytes] | None = None
    kept: dict[object, Any] | None = None


class Codec(Protocol):
    """Decodes one payload. Pure, and bounded in time whatever the bytes are."""

    def __call__(self, payload: bytes, ask: Ask) -> object:
        """A document of dicts, lists and scalars (None = no value). Raises Rejected with the reason."""
        ...


AS_TOLD: Final = "\0as told"  # field of an item of a narrow codec: a Told


# Fields of an item of a narrow codec: readings of points, by their place in the layout; and the fields of the item that
# points are still to be read from.
READY: Final = "\0ready"
LEFT: Final = "\0left"


class Finish(NamedTuple):
    """What the one point that reads a field makes of a number: number * factor / divisor + added, where that is in
    range and the number of one of these types. place: of the point in the layout. steps: it is rounded to whole ones
    where it is within a quarter of one. register: of some devices it is another reading, so that the value is needed too."""

    place: int
    name: str
    types: frozenset[type]
    factor: float
    divisor: float
    added: float
    low: float
    high: float
    steps: bool = False
    register: bool = False


class Told:
    """The texts of numbers that a narrow codec gave as floats, for people: "0230.10" where the float is 230.1."""

    __slots__ = ()

    def text(self, name: str) -> str | None:
        """Of a field; None where the float stands as it was told."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a layout reads of the document, so that a codec need not make the rest.

    names: of all fields that it reads, wherever they stand. numbers: of those that only points read, as
    numbers: a float in place of decimal text does there. digested: lists whose elements are wanted whole.
    passed_over: beginnings of fields of the document that are not gone through with what nobody named; None =
    nothing is gone through. computed: of the others, those that are read as numbers, by expressions too, or looked at
    whether they are there. finishes: what becomes of fields, so that a codec can give readings (`READY`) in their place.
    """

    names: frozenset[str]
    numbers: frozenset[str] = frozenset()
    digested: frozenset[str] = frozenset()
    passed_over: tuple[str, ...] | None = None
    computed: frozenset[str] = frozenset()
    finishes: tuple[tuple[str, Finish], ...] = ()

    def free(self, field: str) -> bool:
        """True where nothing looks for fields without a name in this one of the document."""
        known = self.passed_over is None or field.startswith(self.passed_over)
        return known and field not in self.digested


@dataclass(frozen=True, slots=True)
class CodecKind:
    """A codec by name. options: names of the settings that a profile may give it.

    make: settings -> codec; raises Rejected, naming the setting, when they cannot be used. parameters: it
    asks the device's own, so that what it makes of a message is not the same for every profile.
    remembers: it uses `Ask.memory`. brief: the document with no more than what says whose the message is,
    the same whatever the settings are; it raises Rejected only where the codec does, too. foreign: a quick look,
    True only where both refuse the bytes whatever the settings are: they are no frame of this codec. narrow:
    settings, what is wanted -> a codec that makes no more than that, and refuses the same in the same words; None
    = it cannot. It is not used where somebody watches (`Ask.note`). optional, without: fields of the document that cost
    much, and settings, some of these -> a codec that leaves them out and is the same in all else. finishing: the
    narrow one gives readings; of any other, profiles whose points differ share what it makes.
    """

    make: Callable[[Mapping[str, Plain]], Codec]
    options: tuple[str, ...] = ()
    parameters: bool = False
    remembers: bool = False
    brief: Codec | None = None
    foreign: Callable[[bytes], bool] | None = None
    narrow: Callable[[Mapping[str, Plain], Wanted], Codec | None] | None = None
    optional: frozenset[str] = frozenset()
    without: Callable[[Mapping[str, Plain], frozenset[str]], Codec] | None = None
    finishing: bool = False


def plain(codec: Codec) -> CodecKind:
    """A codec without settings."""
    return CodecKind(lambda options: codec)
