"""The one catalogue of words, and numbers, times and durations as a language writes them.

Every part keeps a flat JSON file (key -> text with {argument} placeholders) per language in
`pages/locales/<language>/`; here they are read once and merged. The same words go to the pages'
JavaScript, so a term is written down once.
"""

from __future__ import annotations

import json
import math
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from babel.dates import format_datetime

from dutyroom.errors import Rejected
from dutyroom.metering.tariff import smallest
from dutyroom.model.telemetry import Label
from dutyroom.timebase import DAY, HOUR, MINUTE, SECOND, Ms, to_datetime

LANGUAGES = ("zh-CN", "en")
LOCALES = Path(__file__).parent / "pages" / "locales"
THIN = "\u2009"
UNITS = {
    "m3": "m³", "m3/h": "m³/h", "m2": "m²", "degC": "°C", "1/min": "r/min", "number": "", "one": "",
    "m/s2": "m/s²", "W/m2": "W/m²", "mg/m3": "mg/m³", "Bq/m3": "Bq/m³", "uS/cm": "µS/cm", "ohm": "Ω", "deg": "°",
}  # fmt: skip

Catalogue = Mapping[str, Mapping[str, str]]


def read_catalogue(folder: Path = LOCALES) -> Catalogue:
    """{language: {key: text}} of all files. Raises Rejected for a file that is no JSON object."""
    merged: dict[str, dict[str, str]] = {}
    for language in LANGUAGES:
        words = merged.setdefault(language, {})
        for file in sorted((folder / language).glob("*.json")):
            try:
                words.update(json.loads(file.read_text(encoding="utf-8")))
            except ValueError as err:
                raise Rejected(f"{file}: {err}") from err
    return merged


class _Arguments(dict[str, object]):
    """A placeholder without an argument shows itself rather than breaking the page."""

    def __missing__(self, key: str) -> str:
        return "{" + key + "}"


@dataclass(frozen=True, slots=True)
class Words:
    """Words, figures and times in one language and time zone."""

    language: str
    catalogue: Catalogue
    tz: ZoneInfo

    @property
    def locale(self) -> str:
        return "zh_Hans_CN" if self.language == "zh-CN" else "en_GB"

    def has(self, key: str) -> bool:
        return key in self.catalogue[self.language]

    def t(self, key: str, arguments: Mapping[str, object] | None = None, **more: object) -> str:
        """The text of a key; an unknown key shows as itself, so that nothing disappears."""
        text = self.catalogue[self.language].get(key)
        if text is None:
            text = self.catalogue["en"].get(key, key)
        if "{" not in text:
            return text
        given = {**(arguments or {}), **more}
        shown = _Arguments({name: self._shown(value) for name, value in given.items()})
        return string.Formatter().vformat(text, (), shown)

    def pick(self, texts: Mapping[str, str]) -> str:
        """One of a site folder's own texts per language; any of them rather than none."""
        return texts.get(self.language) or texts.get("en") or next(iter(texts.values()), "")

    def label(self, label: Label) -> str:
        """What a code of a state means: a key of the catalogue, or the words of who made the profile."""
        return self.t(label) if isinstance(label, str) else self.pick(label)

    def pick_list(self, texts: Mapping[str, Sequence[str]]) -> list[str]:
        return list(texts.get(self.language) or texts.get("en") or next(iter(texts.values()), ()))

    def _shown(self, value: object) -> object:
        if isinstance(value, bool) or value is None:
            return self.t(f"value.{value}".lower())
        if isinstance(value, (float, Decimal)):
            return self.brief(value)
        return value

    def number(self, value: float | Decimal | None, decimals: int | None = None) -> str:
        """Thin spaces group thousands; None shows as a dash, never as zero."""
        if value is None or not math.isfinite(value):
            return "—"
        if decimals is None:
            decimals = sensible_decimals(value)
        return f"{value:,.{decimals}f}".replace(",", THIN).replace("-", "−", 1)

    def brief(self, value: float | Decimal | None) -> str:
        """Without zeros that say nothing: 4.8, 1.5, 50."""
        shown = self.number(value)
        return shown.rstrip("0").rstrip(".") if "." in shown else shown

    def exact(self, value: Decimal | None) -> str:
        """A Decimal with the places that it has."""
        if value is None:
            return "—"
        exponent = value.as_tuple().exponent
        return self.number(value, max(0, -exponent) if isinstance(exponent, int) else 0)

    def money(self, amount: int, currency: str = "CNY") -> str:
        """An amount in a currency's smallest unit as its units: 20499 fen -> 204.99."""
        parts = smallest(currency)
        return self.number(amount / parts, parts.adjusted())

    def unit(self, unit: str) -> str:
        return UNITS.get(unit, unit)

    def figure(self, value: float | Decimal | None, unit: str, decimals: int | None = None) -> str:
        shown = self.unit(unit)
        return f"{self.number(value, decimals)} {shown}".rstrip()

    def time(self, at: Ms | None, form: str = "time") -> str:
        """form: time, minute, date, day, date_time, full; its pattern is in the catalogue."""
        if at is None:
            return "—"
        return format_datetime(to_datetime(at, self.tz), self.t(f"format.{form}"), locale=self.locale)

    def when(self, at: Ms | None, now: Ms) -> str:
        """A time of today as a time, of another day with its date."""
        if at is None:
            return "—"
        same = to_datetime(at, self.tz).date() == to_datetime(now, self.tz).date()
        return self.time(at, "minute" if same else "date_time")


def sensible_decimals(value: float | Decimal) -> int:
    """Three significant figures for measured values, none for whole numbers."""
    size = abs(float(value))
    if size == int(size):
        return 0
    if size >= 1000:
        return 0
    return 1 if size >= 10 else 2


def duration_text(span: Ms) -> str:
    """12 s, 04:51, 6 h 12, 2 d: the same in every language. (words.js does the same.)"""
    if span < MINUTE:
        return f"{max(0, span) // SECOND} s"
    if span < HOUR:
        return f"{span // MINUTE:02d}:{span % MINUTE // SECOND:02d}"
    if span < DAY:
        return f"{span // HOUR} h {span % HOUR // MINUTE:02d}"
    return f"{span // DAY} d"


def span_text(span: Ms) -> str:
    """As `duration_text`, with minutes as 45 min: beside hours, 45:17 reads as 45 hours."""
    return f"{span // MINUTE} min" if MINUTE <= span < HOUR else duration_text(span)
