"""Which of several devices keep a step of a sequence waiting: what hangs on them, and only that, has not got it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TypeAlias

from dutyroom.model.duty import Arguments
from dutyroom.rules.steps import Seen
from dutyroom.timebase import Ms

Held: TypeAlias = Mapping[int, tuple[float, Ms]]  # point -> its newest code, and of when
BEHIND, DONE = "behind", "done."  # arguments: the devices with commas between; when one of them had done it


class Behind:
    """devices: when each of those that were late had done it; None = not yet."""

    def __init__(self) -> None:
        self.devices: dict[str, Ms | None] = {}

    def look(self, seen: Iterable[Seen], held: Held, equals: Collection[float], at: Ms) -> bool:
        """Whether there is news. What was never read, or is forgotten, stays as it was."""
        before = dict(self.devices)
        for one in seen:
            known, name = held.get(one.point.id), one.point.device
            if known is not None and known[0] not in equals:
                self.devices[name] = None
            elif known is not None and self.devices.get(name, at) is None:
                self.devices[name] = at
        return self.devices != before

    def arguments(self) -> dict[str, str | int]:
        waiting = ",".join(sorted(name for name, at in self.devices.items() if at is None))
        done = {f"{DONE}{name}": at for name, at in sorted(self.devices.items()) if at is not None}
        return {BEHIND: waiting, **done}


def renewed(arguments: Arguments, said: Arguments) -> Arguments:
    """The arguments of an alarm that stands, with what a condition says anew of who is behind."""
    if BEHIND not in said:
        return arguments
    kept = {name: value for name, value in arguments.items() if name != BEHIND and not name.startswith(DONE)}
    return {**kept, **{n: v for n, v in said.items() if n == BEHIND or n.startswith(DONE)}}


def waiting_in(arguments: Arguments) -> list[str]:
    """The devices that an alarm says are behind."""
    return [name for name in str(arguments.get(BEHIND, "")).split(",") if name]


def done_in(arguments: Arguments) -> dict[str, Ms]:
    """Those that were and are no more: since when."""
    return {
        name.removeprefix(DONE): at
        for name, at in arguments.items()
        if name.startswith(DONE) and isinstance(at, int)
    }
