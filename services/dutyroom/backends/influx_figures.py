"""Figures beside the readings in InfluxDB: a few lines a minute, in the first bucket."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import structlog

from dutyroom.backends.influx_door import Door, door_to
from dutyroom.backends.influx_link import InfluxLink, Refused
from dutyroom.backends.influx_names import tag
from dutyroom.model.figures import Figure

log = structlog.get_logger(__name__)


class InfluxFigures:
    """See `flows.figures.FigureStore`. What the server refuses for good is left out, with a warning."""

    def __init__(
        self, url: str | Door, token: str | Callable[[], str], org: str, bucket: str, timeout_s: float = 10.0
    ) -> None:
        door = url if isinstance(url, Door) else door_to(url)
        self._link, self._bucket = InfluxLink(door, token, org, timeout_s), bucket

    def write(self, figures: Sequence[Figure]) -> None:
        lines = [line for figure in figures if (line := "\n".join(lines_of(figure)))]
        if lines:
            self._send(lines)

    def _send(self, lines: Sequence[str]) -> None:
        """A block; halves of it where it is refused. Of what is too old the server has taken the rest."""
        try:
            self._link.write(self._bucket, "\n".join(lines).encode())
        except Refused as err:
            if len(lines) > 1 and "retention policy" not in err.message:
                self._send(lines[: len(lines) // 2])
                self._send(lines[len(lines) // 2 :])
            else:
                log.warning("figures.refused", lines=len(lines), reason=err.message[:300])

    def close(self) -> None:
        self._link.close()


def lines_of(figure: Figure) -> Iterator[str]:
    """A figure as line protocol; nothing where it has no fields. A tag without a value is no tag."""
    fields = ",".join(f"{tag(name)}={_number(value)}" for name, value in sorted(figure.fields.items()))
    named = "".join(f",{tag(name)}={_safe(value)}" for name, value in sorted(figure.tags.items()) if value)
    if fields:
        yield f"{figure.measurement}{named} {fields} {figure.at}"


def _number(value: int | float) -> str:
    return f"{value}i" if isinstance(value, int) else repr(float(value))


def _safe(text: str) -> str:
    """A tag's value: what would end a line or escape its end stands as a blank."""
    plain = "".join(" " if ord(c) < 32 else c for c in text)
    return tag(plain[:-1] + " " if plain.endswith("\\") else plain)
