"""Names of points for people, put together from the words of `locales/<language>/point_words.json`.

A name with an entry `point.<name>` of its own uses it; `point.<name>@<unit or kind>` is one that holds for that
unit or kind only. Any other name is cut at its underlines, and the longest phrases that have words are looked up:

    point_word.power_factor   功率因数                 said where it stands; may hold {n}
    point_of.max              最大{said}               says which: close to the noun
    point_at.l#               L{n} {said}              says where or when: further out

`#` in a key is a number in the name: `l#` is l1, `settlement_#` is settlement_2. So energy_max_l2 is "L2 最大电能"
and "Maximum energy L2". A word that nobody knows, and a number, are said as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from dutyroom.api.words import Words
from dutyroom.model.telemetry import PointSpec

# Paths and names that devices chose (Energy/Total, em1:0.voltage) are nobody's words: they stay as they are.
_OURS = re.compile(r"[a-z][a-z0-9]*(?:_(?:[a-z0-9]+|\d+(?:\.\d+)+))*")
_NUMBER = re.compile(r"\d+(?:\.\d+)*")
_LONGEST = 6  # words of a phrase
_SAID = "\N{OBJECT REPLACEMENT CHARACTER}"
_FIRST_CJK = "\u2e80"


@dataclass(slots=True)
class _Sentence:
    """Texts around the noun. near: `point_of`, the first is closest; far: `point_at`, in the name's order."""

    words: list[str] = field(default_factory=list)
    near: list[tuple[str, str]] = field(default_factory=list)
    far: list[tuple[str, str]] = field(default_factory=list)

    def text(self) -> str:
        parts = [
            *(before for before, _ in self.far),
            *(before for before, _ in reversed(self.near)),
            *self.words,
            *(after for _, after in self.near),
            *(after for _, after in self.far),
        ]
        said = ""
        for part in filter(None, (p.strip() for p in parts)):
            said += part if _touches(said, part) else f" {part}"
        said = said.lstrip(", ")
        return said[:1].upper() + said[1:]


def point_name(words: Words, name: str, spec: PointSpec | None = None) -> str:
    """Never raises; a name that is no snake case is itself."""
    own = [f"point.{name}"]
    if spec is not None:
        own = [f"point.{name}@{spec.unit}", f"point.{name}@{spec.kind.value}", *own]
    for key in own:
        if words.has(key):
            return words.t(key)
    return _composed(words, name.split("_")) if _OURS.fullmatch(name) else name


def phrases(words: Words, name: str) -> list[str]:
    """The keys of the word list that a name uses, in its order."""
    return [key for key, _, _ in _cut(words, name.split("_")) if key]


def _composed(words: Words, tokens: Sequence[str]) -> str:
    cut = list(_cut(words, tokens))
    if not any(key for key, _, _ in cut):  # nobody's words at all: no sentence to begin
        return " ".join(tokens)
    sentence = _Sentence()
    for key, number, plain in cut:
        if not key:
            sentence.words.append(plain)
            continue
        said = words.t(key, {"n": number, "said": _SAID})
        before, _, after = said.partition(_SAID)
        if key.startswith("point_of."):
            sentence.near.append((before, after))
        elif key.startswith("point_at."):
            sentence.far.append((before, after))
        else:
            sentence.words.append(said)
    return sentence.text()


def _cut(words: Words, tokens: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """(key, number in it, tokens) of each phrase; key "" = a token without words."""
    at = 0
    while at < len(tokens):
        for end in range(min(len(tokens), at + _LONGEST), at, -1):
            phrase = "_".join(tokens[at:end])
            key, number = _key(words, phrase)
            if key or end == at + 1:
                yield key, number, phrase
                at = end
                break


def _key(words: Words, phrase: str) -> tuple[str, str]:
    """The key of a phrase as it stands, else of its form with `#` for its only number."""
    numbers = _NUMBER.findall(phrase)
    forms = [(phrase, ""), (_NUMBER.sub("#", phrase), numbers[0])] if len(numbers) == 1 else [(phrase, "")]
    for form, number in forms:
        for family in ("point_word", "point_of", "point_at"):
            if words.has(f"{family}.{form}"):
                return f"{family}.{form}", number
    return "", ""


def _touches(said: str, part: str) -> bool:
    """Chinese is written without blanks, but with one beside letters and figures."""
    return not said or part[0] in ",，" or (said[-1] >= _FIRST_CJK and part[0] >= _FIRST_CJK)
