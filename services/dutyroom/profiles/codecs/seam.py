"""What a payload codec is: bytes in, a document that profile paths read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from dutyroom.model.telemetry import Scalar
from dutyroom.profiles.yamlnode import Plain
from dutyroom.timebase import Ms

Note: TypeAlias = Callable[[str, int, int, object], None]  # (field, first bit, bit after it, value)


@dataclass(slots=True)
class Report:
    """What a decoder has to say beside its document."""

    findings: list[tuple[str, str]] = field(default_factory=list)  # (kind, detail)
    unread: int = 0  # bytes that nothing read


@dataclass(slots=True)  # not frozen: one is made for every message, and that would take thrice as long
class Ask:
    """What a codec may know besides the bytes.

    note: told which bits became which field, when somebody watches (`dutyroom profile try`).
    memory: what a codec must remember from message to message (Sparkplug B: the births), key -> bytes.
    kept: what a codec need not do again where it is asked more than once about one message.
    """

    port: int | None = None
    parameters: Mapping[str, Scalar] = field(default_factory=dict)  # of the device
    received_at: Ms = 0
    topic: str = ""
    note: Note | None = None
    report: Report = field(default_factory=Report)
    memory: MutableMapping[str, bytes] | None = None
    kept: dict[object, Any] | None = None


class Codec(Protocol):
    """Decodes one payload. Pure, and bounded in time whatever the bytes are."""

    def __call__(self, payload: bytes, ask: Ask) -> object:
        """A document of dicts, lists and scalars (None = no value). Raises Rejected with the reason."""
        ...


@dataclass(frozen=True, slots=True)
class CodecKind:
    """A codec by name. options: names of the settings that a profile may give it.

    make: settings -> codec; raises Rejected, naming the setting, when they cannot be used. parameters: it
    asks the device's own, so that what it makes of a message is not the same for every profile.
    remembers: it uses `Ask.memory`. brief: the document with no more than what says whose the message is,
    the same whatever the settings are; it raises Rejected only where the codec does, too. foreign: a quick look,
    True only where both refuse the bytes whatever the settings are: they are no frame of this codec.
    """

    make: Callable[[Mapping[str, Plain]], Codec]
    options: tuple[str, ...] = ()
    parameters: bool = False
    remembers: bool = False
    brief: Codec | None = None
    foreign: Callable[[bytes], bool] | None = None


def plain(codec: Codec) -> CodecKind:
    """A codec without settings."""
    return CodecKind(lambda options: codec)
