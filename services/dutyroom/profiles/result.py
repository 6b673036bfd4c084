"""What decoding a message gives: readings, events and attributes, or why there are none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec import Struct
from msgspec import field as make_field

from dutyroom.model.telemetry import PointSpec, Quality, Scalar
from dutyroom.timebase import Ms


# A message has dozens of them: a Struct is made in a third of a tuple's time. They hold no cycles for the collector.
class DecodedReading(Struct, frozen=True, gc=False):
    """at None: no usable clock of its own, the receive time counts. value: canonical unit, a code, or
    whole steps of a counter; 0 for a text."""

    address: str
    spec: PointSpec
    at: Ms | None
    value: float
    quality: Quality = Quality.GOOD
    text: str | None = None


class DecodedEvent(Struct, frozen=True, gc=False):
    """Something that happened; event_id makes a redelivery recognisable."""

    address: str
    spec: PointSpec
    at: Ms | None
    event_id: str
    code: str
    arguments: Mapping[str, Scalar]


class Decoded(
    Struct
):  # one is made for every message: a dataclass would take thrice as long, a frozen one more
    """attributes: (address, name, value). findings: (kind, address, detail). unknown: (profile, address)
    of devices in the message that the registry does not have."""

    profile: str
    readings: list[DecodedReading] = make_field(default_factory=list)
    events: list[DecodedEvent] = make_field(default_factory=list)
    attributes: list[tuple[str, str, Scalar]] = make_field(default_factory=list)
    findings: list[tuple[str, str, str]] = make_field(default_factory=list)
    unknown: tuple[tuple[str, str], ...] = ()
    addresses: tuple[str, ...] = ()  # every known (or adopted) device of the message
    unread: int = 0  # bytes that the decoder left
    foreign: tuple[str, ...] = ()  # devices of the message that are not ours, of which nothing is said
    owners: Mapping[str, str] = make_field(
        default_factory=dict
    )  # address -> profile, where another one read it
    # (address, the number that the device gave this message, at which it begins again; None = never)
    sequences: Sequence[tuple[str, int, int | None]] = make_field(default_factory=list)
    unnamed: bool = (
        False  # nothing was read, and it says what the profile knows nothing of: another one might
    )
    # Where something was read of others in the message: addresses of which nothing was, and of these those of which it
    # says what the profile knows nothing of.
    quiet: tuple[str, ...] = ()
    renamed: tuple[str, ...] = ()

    def owner(self, address: str) -> str:
        """The profile under which a device of this message is registered."""
        return self.owners.get(address, self.profile)


@dataclass(frozen=True, slots=True)
class Ignored:
    """The profile says: not telemetry. address: of the registered device that sent it, "" = not known."""

    profile: str
    reason: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """reason: unknown_topic | unknown_device | malformed | encoding | too_large | no_layout | rejected.
    candidates: (profile, address) of who could read it; profile "" = the registry must say."""

    reason: str
    detail: str = ""
    candidates: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Trial:
    """What a profile would make of a message of a device that the registry does not have."""

    profile: str
    outcome: Decoded
    named: bool  # the message itself names the product
    # It names one that is not this; where no profile has that product: not even one of this vendor.
    foreign: bool = False

    @property
    def address(self) -> str:
        return self.outcome.addresses[0] if self.outcome.addresses else ""
