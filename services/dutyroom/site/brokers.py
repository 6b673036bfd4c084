"""`broker` in site.yaml: one mapping, or a list of them where devices publish to several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dutyroom.fields import Fields
from dutyroom.site.filters import advice, alone, covers, crossing, meeting, overlap, widest
from dutyroom.site.model import BrokerAddress
from dutyroom.site.source import Source, is_file

VERSIONS = ("3.1.1", "5")
_FOR_TLS = ("ca_file", "certificate_file", "key_file", "key_password_file")


def read_brokers(source: Source, fields: Fields) -> tuple[BrokerAddress, ...]:
    """What `broker` of a site says; () = it is not there. Mistakes are noted with their lines."""
    if isinstance(fields.raw("broker"), list):
        listed = fields.children("broker")
    else:
        one = fields.child("broker")
        listed = [one] if one is not None else []
    found: dict[tuple[str, int], BrokerAddress] = {}
    for each in listed:
        broker = _broker(source, each)
        place = (broker.host.casefold(), broker.port)
        if place in found:
            # Sessions go by site and lane: two at one broker would throw each other out.
            each.wrong(
                "host", f"{broker.host}:{broker.port} is listed twice; put all its topics in one entry"
            )
        found[place] = broker
    return tuple(found.values())


def _broker(source: Source, fields: Fields) -> BrokerAddress:
    for name in ("password", "key_password"):
        if fields.raw(name) is not None:
            fields.wrong(name, f"a secret does not belong here; put it in a file and name it: {name}_file")
    tls = fields.flag("tls")
    broker = BrokerAddress(
        host=fields.text("host"),
        port=fields.integer("port", 8883 if tls else 1883, 1, 65535),
        tls=tls,
        ca_file=_beside(source, fields, "ca_file"),
        username=fields.text("username", ""),
        password_file=_beside(source, fields, "password_file"),
        topics=widest(_filters(fields, "topics", ("#",))),
        priority=widest(_filters(fields, "priority", ())),
        version=fields.choice("version", VERSIONS, VERSIONS[0]),
        certificate_file=_beside(source, fields, "certificate_file"),
        key_file=_beside(source, fields, "key_file"),
        key_password_file=_beside(source, fields, "key_password_file"),
    )
    if "/" in broker.host or " " in broker.host:
        fields.wrong(
            "host", f"{broker.host!r} is no name or address of a machine; port and tls stand beside it"
        )
    _check_files(fields, broker)
    for topic, first in meeting(broker.topics, broker.priority)[:10]:
        fields.wrong("topics" if fields.has("topics") else "priority", advice(topic, first))
    fields.finish()
    return broker


def doubts(brokers: Sequence[BrokerAddress]) -> Iterator[str]:
    """What is hardly meant so, in sentences. No mistakes: sites that run with it go on."""
    for broker in brokers:
        place = f"broker {broker.host}:{broker.port}"
        if not broker.topics and not broker.priority:
            yield (
                f"{place}: topics is empty and there is no priority, so nothing is heard but what the site's own "
                "profiles read; leave topics out to hear everything"
            )
        if broker.password_file and not broker.username:
            yield f"{place}: password_file has no meaning without username; we log in without both"
        for topic in broker.topics:
            for first in broker.priority:
                if not overlap(topic, first) and overlap(alone(topic), alone(first)):
                    yield (
                        f"{place}: {topic!r} in topics and {first!r} in priority match the same messages; "
                        "they may come twice"
                    )


def crossings(brokers: Sequence[BrokerAddress], read: Mapping[str, str]) -> Iterator[str]:
    """What comes twice because a profile of the site reads beside a priority session what that reads too, in
    sentences. read: topic filter -> profile."""
    for broker in brokers:
        priority = [alone(first) for first in broker.priority]
        for topic, profile in read.items():
            if any(covers(first, topic) for first in priority):
                continue  # the priority session reads all of it, and it is not asked for again
            for first in priority:
                if overlap(topic, first):
                    yield f"broker {broker.host}:{broker.port}: {crossing(profile, topic, first)}"


def _check_files(fields: Fields, broker: BrokerAddress) -> None:
    if not broker.tls:
        for name in _FOR_TLS:
            if fields.has(name):
                fields.wrong(name, "has a meaning with TLS only; write tls: true beside it, or leave it out")
    elif broker.key_file and not broker.certificate_file:
        fields.wrong("key_file", "is the key of a client certificate; name that too: certificate_file")
    elif broker.key_password_file and not broker.certificate_file:
        fields.wrong(
            "key_password_file", "opens the key of a client certificate; name that: certificate_file"
        )


def _beside(source: Source, fields: Fields, name: str) -> str:
    """The absolute path of a file named relative to the site folder; "" = not named."""
    named = fields.text(name, "")
    if not named:
        return ""
    path = source.beside(Path(named).expanduser())
    if not is_file(path):
        fields.wrong(name, f"there is no file {path}")
    return str(path)


def _filters(fields: Fields, name: str, default: Sequence[str]) -> tuple[str, ...]:
    found = fields.texts(name, default)
    for text in found:
        levels = text.split("/")
        bad = [x for x in levels if ("#" in x or "+" in x) and len(x) > 1]
        if not text or bad or "#" in levels[:-1]:
            fields.wrong(
                name, f"{text!r} is no topic filter: + stands alone between slashes, # alone at the end"
            )
    return found
