"""Fields beside a point's own: its quality, its receive time. Few readings have one, none is left behind."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from dutyroom.backends.influx_names import tag

Rows: TypeAlias = npt.NDArray[np.int64]
Field: TypeAlias = tuple[str, str]  # measurement, field


def numbers(values: list[Any]) -> npt.NDArray[np.object_]:
    """Each number as the shortest text that reads back as it is."""
    texts = np.empty(len(values), dtype=object)
    texts[:] = msgspec.json.encode(values)[1:-1].split(b",") if values else []
    return texts


class Companion:
    """A field beside other fields, `<point>_q` or `<point>_received_at`: its texts and whether it is in use."""

    def __init__(self, suffix: str) -> None:
        self._suffix = suffix
        self._numbers: dict[Field, int] = {}
        self._texts = np.empty(64, dtype=object)
        self._used = np.zeros(64, dtype=bool)
        self._there: set[Field] = set()  # on the server, of points not met yet too

    def number(self, measurement: str, name: str) -> int:
        """Its number, that of the point's name in the order they were met."""
        known = self._numbers.get((measurement, name))
        if known is not None:
            return known
        new = len(self._numbers)
        if new == len(self._used):
            self._texts = np.concatenate([self._texts, np.empty(new, dtype=object)])
            self._used = np.concatenate([self._used, np.zeros(new, dtype=bool)])
        self._numbers[measurement, name] = new
        self._texts[new] = f",{tag(name + self._suffix)}=".encode()
        self._used[new] = (measurement, name) in self._there
        return new

    def met(self, measurement: str, field: str) -> None:
        """The server has this field."""
        if field.endswith(self._suffix):
            plain = (measurement, field.removesuffix(self._suffix))
            self._there.add(plain)
            if plain in self._numbers:
                self._used[self._numbers[plain]] = True

    def add(
        self,
        pieces: npt.NDArray[Any],
        name: npt.NDArray[np.int32],
        value: Rows,
        wanted: npt.NDArray[np.bool_],
        again: npt.NDArray[np.bool_],
    ) -> None:
        """Puts values behind their fields: those wanted, and those that may replace one."""
        if wanted.any():
            self._used[name[wanted]] = True
        chosen = np.flatnonzero(wanted | (again & self._used[name]))
        if len(chosen):
            pieces[chosen, 3] += self._texts[name[chosen]]
            pieces[chosen, 3] += numbers(value[chosen].tolist())
            pieces[chosen, 3] += b"i"
