"""Text by regular expressions: a payload in, a document of its named groups out.

The expressions run in RE2, whose time grows with the text only: no pattern of a profile can stop the
service. What RE2 cannot do (look-around, back references) is refused when the profile is read.
"""

from __future__ import annotations

import re2

from dutyroom.errors import Rejected
from dutyroom.profiles.codecs.seam import Ask, Codec
from dutyroom.profiles.profile import TextRule

ENCODINGS = ("utf-8", "gb18030", "latin-1")
MAX_TEXT = 64 * 1024
MAX_LINES = 5_000


def compiled(pattern: str) -> re2._Regexp:
    """Raises Rejected when RE2 cannot read it, or no group has a name."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 8 << 20
    try:
        found = re2.compile(pattern, options=options)
    except re2.error as err:
        reason = err.args[0] if err.args else err
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise Rejected(f"regular expression {pattern[:80]!r}: {text}") from err
    if not found.groupindex:
        raise Rejected(f"regular expression {pattern[:80]!r} names no group: (?P<name>...)")
    return found


def text_codec(rule: TextRule) -> Codec:
    """Whole text: the groups of the first pattern that is found. lines: {"lines": [groups of each]}."""
    patterns = tuple(compiled(p) for p in rule.patterns)
    encoding = rule.encoding

    def decode(payload: bytes, ask: Ask) -> object:
        if len(payload) > MAX_TEXT:
            raise Rejected(f"a text of {len(payload)} bytes, at most {MAX_TEXT} are read")
        try:
            text = payload.decode(encoding)
        except UnicodeDecodeError as err:
            raise Rejected(f"not {encoding.upper()} at byte {err.start}") from err
        if rule.lines:
            found = [
                g for line in text.splitlines()[:MAX_LINES] if (g := _groups(line, patterns)) is not None
            ]
            if not found:
                raise Rejected("no line of the text fits")
            return {"lines": found}
        groups = _groups(text, patterns)
        if groups is None:
            raise Rejected("the text does not fit")
        return groups

    return decode


def _groups(text: str, patterns: tuple[re2._Regexp, ...]) -> dict[str, object] | None:
    for pattern in patterns:
        match = pattern.search(text)
        if match is not None:
            return {name: value for name, value in match.groupdict().items() if value is not None}
    return None
