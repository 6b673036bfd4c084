"""What each field of a rule allows and the whole does not: rules that could never say anything, or must not."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from dutyroom.errors import Mistake
from dutyroom.fields import Fields, nearest
from dutyroom.rules.spec import Rule
from dutyroom.timebase import DAY, Ms
from dutyroom.yamltext import Document

LANGUAGES = ("zh-CN", "en")
_ID = re.compile(r"[\w.:-]{1,100}")  # stands in addresses of pages, file names and tables
_LONGEST: Ms = 400 * DAY  # a year and a month: no rule looks farther back
SPANS = ("over", "normal", "after", "within", "gap")  # parameters of kinds
_SPANS = ("on_delay", "off_delay", "respond_within", "arrive_within", "wait", "lags", "realarm")
_FOLLOWED = {"expect": ("after",), "sequence": ("after",), "unplanned_run": ("unless",)}  # ids of other rules
_POINTED = (  # kinds that look at the one point that the rule names
    "continuous_flow",
    "during",
    "expect",
    "limit",
    "meanwhile",
    "rate",
    "repeated",
    "since_service",
    "state",
    "stuck",
    "unplanned_run",
)


def sane(row: Fields, rule: Rule) -> None:
    """Notes what is wrong with a rule as a whole."""
    if rule.id and not _ID.fullmatch(rule.id):
        row.wrong("id", f"{rule.id!r}: letters, digits and . : _ - only, 100 at most")
    if rule.kind in _POINTED and not rule.point:
        row.wrong("point", f"is missing: a rule of kind {rule.kind} looks at one")
    _both_languages(row)
    if rule.latched and rule.ticket.after != 0:
        row.wrong("ticket", "must be now: fire and entrapment wait for nothing")
    for name in _SPANS:
        if isinstance(span := getattr(rule, name), int) and span > _LONGEST:
            row.wrong(name, "is longer than 400 days; no rule looks so far back")
    for name in SPANS:
        if isinstance(span := rule.parameters.get(name), int) and span > _LONGEST:
            row.wrong("parameters", f"{name} is longer than 400 days; no rule looks so far back")


def _both_languages(row: Fields) -> None:
    """Who writes words by language writes both: the pages show either. One plain text serves both."""
    for field in ("name", "advice"):
        words = row.data.get(field)
        if isinstance(words, dict) and (there := [lang for lang in LANGUAGES if words.get(lang)]):
            for missing in sorted(set(LANGUAGES) - set(there)):
                row.wrong(field, f"{missing} is missing; pages show zh-CN and en")


def followed(document: Document, index: int, rule: Rule, every: Collection[str]) -> list[Mistake]:
    """Mistakes of the index-th rule that follows rules which do not exist; every: the ids of all."""
    found = []
    for name in _FOLLOWED.get(rule.kind, ()):
        other = str(rule.parameters.get(name, ""))
        if other and other not in every:
            message = f"rule {other!r} does not exist{nearest(other, every)}"
            found.append(document.mistake(("rules", index, "parameters", name), message))
    return found


def circles(
    document: Document, rules: Sequence[Rule], base: Mapping[str, Mapping[object, object]]
) -> list[Mistake]:
    """Rules that begin after each other, and so never. base: the shipped ones by id, as they are written."""
    after = {id: _after(row.get("kind"), row.get("parameters")) for id, row in base.items()}
    after |= {rule.id: _after(rule.kind, rule.parameters) for rule in rules}
    found = []
    for index, rule in enumerate(rules):
        chain = [rule.id]
        while (other := after.get(chain[-1], "")) and other not in chain:
            chain.append(other)
        if other == rule.id:
            by = " after ".join(repr(id) for id in [*chain, other])
            place = ("rules", index, "parameters", "after")
            found.append(document.mistake(place, f"{by}: none of them ever begins"))
    return found


def _after(kind: object, parameters: object) -> str:
    """The rule after whose alarm one of this kind begins; "" = none."""
    if "after" not in _FOLLOWED.get(str(kind), ()) or not isinstance(parameters, Mapping):
        return ""
    return str(parameters.get("after", ""))


def misspelt(row: Fields, base: Mapping[str, Mapping[object, object]]) -> None:
    """Says what was probably meant, beside what a rule of the site's own would need."""
    if base and row.data.get("id") and not row.data.keys() & {"kind", "name"}:
        id = str(row.data["id"])
        row.wrong("id", f"no shipped rule is called {id!r}{nearest(id, [str(i) for i in base])}")
