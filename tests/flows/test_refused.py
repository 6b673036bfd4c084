"""A message of a known device that nobody can read counts, waits and is told under that device."""

from __future__ import annotations

import json

import pytest
from tests.flows.intake_rig import PROBE, Rig, T, meter, probe, tank

from dutyroom.backends.quarantine import Quarantine
from dutyroom.model.duty import Device
from dutyroom.model.telemetry import Message
from dutyroom.profiles.decode import MAX_PAYLOAD

BROKEN = PROBE.replace("unwrap: [scalar]", "unwrap: [json]").replace("from: $,", "from: m,")

MENDED = BROKEN.replace("unwrap: [json]", "unwrap: [raw]\ntext: '[^0-9]*(?P<m>[0-9.]+).*'")


def waiting(rig: Rig) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(row.reason, row.device, row.addresses) for row in rig.journal.quarantine_after(0, 99)]


def found(rig: Rig) -> list[tuple[str, str, int]]:
    return [(row.kind, row.device, row.count) for row in rig.journal.findings(0)]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b'{"m": 1.', "malformed"),
        (b"\xff\xfe\x00", "encoding"),
        (b"[" * (MAX_PAYLOAD + 1), "too_large"),
    ],
)
def test_the_topic_tells_whose_it_is(rig: Rig, payload: bytes, reason: str) -> None:
    rig.shelve("probe", BROKEN)
    rig.shelf.reload()
    rig.register(tank())
    rig.ingest.handle([Message("probe/p1/level", payload, T), Message("probe/p2/level", payload, T)])
    whose = {row.topic: (row.reason, row.device) for row in rig.journal.quarantine()}
    assert whose == {"probe/p1/level": (reason, "tank-p1"), "probe/p2/level": (reason, "")}
    assert sorted(found(rig)) == [("malformed", "", 1), ("malformed", "tank-p1", 1)]
    rows = rig.ledger()
    assert (rows["tank-p1"].received, rows["tank-p1"].quarantined, rows[""].quarantined) == (1, 1, 1)
    assert rig.live.heard("tank-p1") is None  # that it sends nonsense is no word of it


def test_so_does_the_document_where_that_can_be_read(rig: Rig) -> None:
    layout = "match: {topics: ['acme/up']}\nidentity: '{@.sn}'\n"
    rig.shelve(
        "new", f"name: Acme\nclass: tank\n{layout}layouts: [{{name: odd, when: {{kind: x}}, reject: odd}}]"
    )
    rig.shelf.reload()
    rig.register(Device("site", "acme-7", "", "tank", "acme/new", "7", ""))
    for kind in ("x", "y"):
        rig.ingest.handle([Message("acme/up", json.dumps({"sn": 7, "kind": kind}).encode(), T)])
    rig.ingest.handle([Message("acme/up", b"7", T)])
    assert waiting(rig) == [("rejected", "acme-7", ()), ("no_layout", "acme-7", ()), ("no_layout", "", ())]


def test_of_a_gateway_with_several_devices_nobody_is_named(rig: Rig) -> None:
    rig.register(meter("m1"), meter("m2"))
    rig.ingest.handle([Message("gw/g1/up", b'{"meters": [{"id": "m1"', T)])
    assert waiting(rig) == [("malformed", "", ())]


def test_once_it_is_read_the_device_has_it_as_decoded(rig: Rig) -> None:
    rig.shelve("probe", BROKEN)
    rig.shelf.reload()
    rig.register(tank())
    rig.inner._quarantine = Quarantine(kept=20)
    for number in range(30):  # of which some push others out
        rig.ingest.handle([probe(f"={1 + number}", T + number)])
    assert rig.ledger()["tank-p1"].quarantined == 30
    assert ("quarantine_full", "tank-p1") in {(row.kind, row.device) for row in rig.journal.findings(0)}
    rig.shelve("probe", BROKEN.replace("unwrap: [json]", "unwrap: [hex]"))
    rig.shelf.reload()
    rig.reread()
    details = {row.detail for row in rig.journal.quarantine_after(0, 99)}
    assert all("hex" in detail for detail in details), details  # for another reason than before
    assert {row[:2] for row in waiting(rig)} == {("malformed", "tank-p1")}
    rig.shelve("probe", MENDED)
    rig.shelf.reload()
    rig.reread()
    assert rig.journal.quarantine_size() == 0
    assert [value for _, value in rig.stored("tank-p1", "level")] == [1.0 + number for number in range(30)]
    rows = rig.ledger()
    one = rows["tank-p1"]
    assert (one.received, one.decoded, one.quarantined, one.stored) == (30, 30, 0, 30)
    assert all(row.received == 0 for device, row in rows.items() if device != "tank-p1")


def test_what_came_before_the_device_was_known_moves_to_it_when_it_is_read(rig: Rig) -> None:
    rig.shelve("probe", BROKEN)
    rig.shelf.reload()
    rig.ingest.handle([probe("=1.5", T)])
    rig.register(tank())
    rig.reread()
    assert waiting(rig)[0][1] == ""
    rig.shelve("probe", MENDED)
    rig.shelf.reload()
    rig.reread()
    rows = rig.ledger()
    assert (rows["tank-p1"].decoded, rows[""].received, rows[""].quarantined) == (1, 0, 0)


HEAT = """
name: A heat meter
class: heat_meter
envelope: wmbus
codec: wmbus
points:
  energy: {from: values.energy, quantity: energy, unit_from: units.energy, kind: counter, step: 0.001}
"""


def telegram(frame: str, at: int) -> Message:
    return Message("wmbus/roof/telegram", frame.encode(), at)


def test_so_does_the_head_of_a_frame_whose_rest_cannot_be_read(rig: Rig) -> None:
    """A compact frame cannot be read before a full one has said what it is made of."""
    rig.shelve("heat", HEAT)
    rig.shelf.reload()
    assert rig.refused() == []
    rig.register(Device("site", "heat-42", "", "heat_meter", "acme/heat", "00000042", ""))
    compact = "11442d2c42000000300479010203042d0000"
    rig.ingest.handle([telegram(compact, T), telegram(compact.replace("2c42", "2c43"), T)])
    rig.ingest.handle([telegram(compact[:20], T)])
    assert waiting(rig) == [
        ("rejected", "heat-42", ()),
        ("rejected", "", ()),
        ("rejected", "", ()),
    ]
    assert rig.told("received", "quarantined") == {"heat-42": (1, 1), "": (2, 2)}


@pytest.mark.parametrize("known", [True, False])
def test_what_a_broker_tells_at_every_connection_waits_once(rig: Rig, known: bool) -> None:
    rig.shelve("probe", BROKEN)
    rig.shelf.reload()
    if known:
        rig.register(tank())
    columns, whose = ("received", "decoded", "ignored", "quarantined"), "tank-p1" if known else ""
    for number in range(3):
        rig.ingest.handle([probe("=1.5", T + number, retained=True)])
    assert rig.told(*columns) == {whose: (3, 0, 2, 1)}
    rig.register(tank())
    rig.shelve("probe", MENDED)
    rig.shelf.reload()
    rig.again()
    rig.reread()
    assert rig.journal.quarantine_size() == 0
    assert sum(quarantined for *_, quarantined in rig.told(*columns).values()) == 0
    assert rig.told(*columns)["tank-p1"] == ((3, 1, 2, 0) if known else (1, 1, 0, 0))
