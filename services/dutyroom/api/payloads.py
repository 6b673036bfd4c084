"""A payload as people read it: JSON with indents, a text, or bytes in hex."""

from __future__ import annotations

import json

SHOWN = 4_000  # characters, or bytes; the whole of it stays in the journal


def readable(raw: bytes) -> dict[str, str]:
    """form: json | text | hex; payload: so much of it as is shown."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return _hex(raw)
    if not all(c.isprintable() or c in "\t\r\n" for c in text):
        return _hex(raw)
    if text.lstrip()[:1] in ("{", "["):
        try:
            pretty = json.dumps(json.loads(text), ensure_ascii=False, indent=2)
            return {"form": "json", "payload": pretty[: 2 * SHOWN]}
        except (ValueError, RecursionError):
            pass  # cut off, or no JSON after all: as it stands
    return {"form": "text", "payload": text[:SHOWN]}


def _hex(raw: bytes) -> dict[str, str]:
    return {"form": "hex", "payload": raw[:SHOWN].hex(" ")}
