"""What the frames of a message give together, where points have their readings from the frames themselves."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import field as make_field

from dutyroom.profiles.codecs.j1939_faults import read_faults
from dutyroom.profiles.codecs.j1939_fields import Collected, Values
from dutyroom.profiles.codecs.j1939_frames import Assembly, Frame
from dutyroom.profiles.codecs.seam import LEFT, READY

NoFault: TypeAlias = tuple[dict[int, float], Values, Values]  # what is added to `ready`, `values` and `kept`


class Gathered(Collected):
    """values: of fields that no point has been read from. ready: finished readings by the place of their point. kept:
    values of fields that are finished, or have none, and that something else reads too. _apart: of parameters that are
    finished in most frames, those that were not in one, and their place. _quiet: messages that say there is no fault."""

    ready: dict[int, float] = make_field(default_factory=dict)
    kept: Values = make_field(default_factory=dict)
    _apart: dict[str, int] = make_field(default_factory=dict)
    _quiet: list[tuple[str, bytes, NoFault]] = make_field(default_factory=list)
    _assembly: Assembly | None = None  # of long messages: most have none

    def take(self, found: Frame) -> Frame | None:
        """A piece of a long message; the message where it is complete."""
        if self._assembly is None:
            self._assembly = Assembly()
        return self._assembly.take(found)

    def put_by(self, place: int, name: str, value: object) -> None:
        """A value that is to go the long way; it counts more than a finished one before it."""
        self.values[name] = value
        self._apart[name] = place
        self.ready.pop(place, None)

    def no_fault(self, faults: str, data: bytes, found: NoFault) -> None:
        """faults: the field of the list of them."""
        ready, left, kept = found
        self.ready |= ready
        if left:
            self.values |= left
        self.values[faults] = []
        self.kept |= kept
        self._quiet.append((faults, data, found))

    def faults(self, data: bytes, prefix: str) -> None:
        self._faults(read_faults(data, prefix))

    def _faults(self, found: Values) -> None:
        """Of several control units: what was finished is needed as it was."""
        for faults, data, (ready, _, kept) in self._quiet:
            for place in ready:
                del self.ready[place]
            for name in kept:
                del self.kept[name]
            self.values |= read_faults(data, faults.removesuffix("faults"))
        self._quiet.clear()
        Collected._faults(self, found)

    def missing(self, values: Values, name: str, why: str) -> None:
        values[name] = None
        self.reasons.pop(name, None)
        self.reasons[name] = why

    def item(self) -> Values:
        """The document of all frames together."""
        values = self.values
        for name, place in self._apart.items():
            if place in self.ready:  # came later
                del values[name]
        found = {**values, **self.kept}
        found["reasons"], found[READY], found[LEFT] = self.reasons, self.ready, values
        return {"engine": found}
