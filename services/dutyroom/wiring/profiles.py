"""`dutyroom profile try`: one message through one profile, every step told. No broker, no site needed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import orjson

from dutyroom.backends.clock import SystemClock
from dutyroom.errors import Invalid, Rejected
from dutyroom.model.telemetry import Kind, Message, Scalar
from dutyroom.profiles.decode import Decoded, DecodedReading, Ignored, Library
from dutyroom.profiles.explain import Explanation, explain
from dutyroom.profiles.loading import read_extending
from dutyroom.profiles.profile import Profile
from dutyroom.timebase import Ms, from_iso, to_iso, zone
from dutyroom.wiring.publish import given
from dutyroom.wiring.shipped import shipped
from dutyroom.yamltext import decode, scalar

_ID = re.compile(r"[\w.-]+/(?!_)[\w.-]+\Z")
_HEX = re.compile(r"(?:0x)?(?:[0-9A-Fa-f]{2}[\s:]?)+\Z")


def try_profile(
    name: str, payload: str, *, topic: str = "", port: int | None = None, received: str = "", parameters: Sequence[str] = (),
    tz: str = "Asia/Shanghai",
) -> list[str]:  # fmt: skip
    """name: an id (`milesight/em300-th`) or a file. payload: JSON, hex, text, @file, or - for standard input.

    Returns lines for people. Raises Invalid, Rejected.
    """
    profile, library = _library(name, tz)
    at = from_iso(received, zone(tz)) if received else SystemClock().now()
    sent = _payload(payload, profile)
    where = topic or _topic(profile, port, sent)
    explanation = explain(library, profile.id, Message(where, sent, at), _parameters(parameters))
    if explanation is None:
        filters = ", ".join(f.text for layout in profile.layouts for f in layout.filters)
        raise Rejected(f"{profile.id} does not read the topic {where!r}; it reads {filters}")
    return [f"{profile.id}  topic {where}", *lines(explanation, at)]


def _library(name: str, tz: str) -> tuple[Profile, Library]:
    """The profile with all that it may extend, and nothing else: it is asked again and again. A file counts
    as <folder>/<file name>."""
    file, folders = Path(name), [shipped("device_profiles")]
    if file.suffix in (".yaml", ".yml"):
        if not file.is_file():
            raise Rejected(f"{name}: there is no such file")
        folders.append(file.resolve().parent.parent)
        if file.stem.startswith("_"):
            raise Rejected(f"{name}: a file that begins with _ is only there to be extended")
    else:
        file = folders[0] / f"{name}.yaml"
        if not _ID.match(name) or not file.is_file():
            raise Rejected(f"there is no profile {name!r} and no file of that name")
    profile_id = f"{file.resolve().parent.name}/{file.stem}"
    try:
        text = decode(file.read_bytes(), str(file))
    except OSError as err:
        raise Rejected(f"{name}: {err.strerror}") from err
    found, mistakes = read_extending(text, profile_id, str(file), folders)
    if found is None or mistakes:
        raise Invalid(mistakes)
    return found, Library([found], zone(tz))


def _payload(text: str, profile: Profile) -> bytes:
    if text == "-" or text.startswith("@"):
        return given(text)
    kinds = {layout.unwrap[0].kind for layout in profile.layouts if layout.unwrap}
    if "raw" in kinds and _HEX.match(text.strip()):
        return bytes.fromhex(re.sub(r"[\s:]|0x", "", text))
    if "uplink" in kinds and _HEX.match(text.strip()):
        return re.sub(r"[\s:]|0x", "", text).encode()
    return text.encode()


def _topic(profile: Profile, port: int | None, payload: bytes) -> str:
    """The topic of an example that fits, else the first filter with its names filled."""
    if profile.envelope == "lorawan" and payload[:1] != b"{":
        examples = [e.topic for e in profile.examples if e.topic.startswith("lorawan/")]
        if port is None and examples:
            return examples[0]
        return f"lorawan/0000000000000001/up/{1 if port is None else port}"
    if profile.envelope == "lorawan":
        found = next((e.topic for e in profile.examples if not e.topic.startswith("lorawan/")), "")
        return found or "application/1/device/0000000000000001/event/up"
    if profile.examples:
        return profile.examples[0].topic
    levels = profile.layouts[0].filters[0].text
    return re.sub(r"\{[^{}]*\}|[+#]", "1", levels)


def _timeless(outcome: Decoded) -> bool:
    """Whether every reading takes the receive time; of a clock that is wrong, a finding tells."""
    wrong = any(kind == "clock_wrong" for kind, _, _ in outcome.findings)
    return bool(outcome.readings) and not wrong and all(reading.at is None for reading in outcome.readings)


def _parameters(texts: Sequence[str]) -> Mapping[str, Scalar]:
    found: dict[str, Scalar] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        meant = scalar(value.strip())
        if not equals or meant is None:
            raise Rejected(f"{text!r}: write name=value")
        found[name.strip()] = meant
    return found


# ---------------------------------------------------------------- words


def lines(found: Explanation, received_at: Ms) -> Iterator[str]:
    """The explanation for people: bytes, fields, and what came out."""
    if found.layout:
        yield f"layout   {found.layout}"
    if found.payload is not None:
        yield f"bytes    {len(found.payload)}: {found.payload[:64].hex(' ')}{' ...' if len(found.payload) > 64 else ''}"
    for step in sorted(found.steps, key=lambda step: step.first):  # a key before what it leads
        raw = found.payload[step.first // 8 : (step.last + 7) // 8] if found.payload is not None else b""
        value = "" if step.value is None and step.name.startswith("type ") else f" = {_shown(step.value)}"
        yield f"  {step.place:>12}  {raw[:12].hex(' '):<36}{step.name}{value}"
    if found.document is not None and not found.steps and found.payload is not None:
        yield "fields   " + json.dumps(found.document, ensure_ascii=False, default=str)[:4000]
    outcome = found.outcome
    if isinstance(outcome, Ignored):
        yield f"ignored  {outcome.reason}"
        return
    if not isinstance(outcome, Decoded):
        yield f"refused  {outcome.reason}: {outcome.detail}"
        return
    if outcome.unread:
        yield f"unread   {outcome.unread} bytes at the end"
    for reading in outcome.readings:
        yield _reading(reading, found.sources, received_at)
    given = {reading.spec.name for reading in outcome.readings}
    without = [name for name in found.sources if name not in given and "{" not in name]
    if without:
        yield f"no value {', '.join(without)}"
        for name in without:
            if names := found.nameless.get(name):
                said = "neither the message nor the device's parameters have"
                yield f"missing  {', '.join(names)}: {said} what {name} is computed from ({found.sources[name]})"
    if found.clock and _timeless(outcome):
        yield f"no time  {found.clock}: nothing there, so the receive time counts"
    for name, register in found.lacking.items():
        yield f"missing  {register}: the register that {name} starts from (sum.from)"
    for event in outcome.events:
        when = to_iso(event.at) if event.at is not None else "receive time"
        yield f"event    {event.address}  {event.spec.name} {event.code}  {dict(event.arguments)}  {when}"
    for address, name, fact in outcome.attributes:
        yield f"attribute {address}  {name} = {_shown(fact)}"
    for kind, address, detail in outcome.findings:
        yield f"finding  {address}  {kind}: {detail}"
    if not (outcome.readings or outcome.events or outcome.attributes):
        yield "nothing  the profile reads the message, but no point, event or attribute came of it"


def _reading(reading: DecodedReading, sources: Mapping[str, str], received_at: Ms) -> str:
    spec = reading.spec
    value = f"{reading.value:g}" if spec.kind is not Kind.TEXT else repr(reading.text)
    if spec.step is not None:
        value = str(Decimal(int(reading.value)) * spec.step)
    elif spec.kind is Kind.GAUGE:
        value = repr(reading.value)
    if spec.kind is Kind.STATE and int(reading.value) in spec.labels:
        label = spec.labels[int(reading.value)]
        value += f" ({label if isinstance(label, str) else ' / '.join(label.values())})"
    when = "receive time" if reading.at is None else to_iso(reading.at)
    doubt = f"  {reading.quality.name.lower()}" if reading.quality else ""
    source = f"  from {sources[spec.name]}" if spec.name in sources else ""
    return (
        f"point    {reading.address}  {spec.name} = {value} {spec.unit}".rstrip()
        + f"  at {when}{doubt}{source}"
    )


def _shown(value: object) -> str:
    if isinstance(value, str):
        return repr(value[:200])
    try:
        return orjson.dumps(value).decode()[:200]
    except TypeError:
        return str(value)[:200]
