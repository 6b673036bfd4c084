"""Who publishes and is not in the registry: one entry a device, with the profiles that read it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.flows.intake_rig import PROBE, Rig, T, batch, meter, probe

from dutyroom.errors import Rejected
from dutyroom.flows.strangers import Strangers, Wish, adoption, clear_choice, offered_id, sheet_rows
from dutyroom.model.telemetry import Message
from dutyroom.timebase import HOUR, MINUTE


def listed(rig: Rig, strangers: Strangers | None = None) -> list[tuple[str, str, int, list[str]]]:
    asked = strangers or Strangers(rig.journal)
    found = asked.all(rig.shelf.library, rig.registry.find)
    return [(s.address, s.newest.topic, s.count, [c.profile for c in s.candidates]) for s in found]


def test_each_device_of_a_shared_message_is_listed_and_those_without_a_profile_come_last(rig: Rig) -> None:
    rig.register(meter("m1"))
    rig.ingest.handle(
        [
            batch(T, m1=(1, T), m2=(2, T)),
            batch(T + MINUTE, m2=(2, T), m3=(3, T)),
            probe(1.5, T + 2 * MINUTE),
            Message("nobody/1", b"?", T + HOUR),
        ]
    )
    assert listed(rig) == [
        ("p1", "probe/p1/level", 1, ["acme/probe"]),
        ("m2", "gw/g1/up", 2, ["acme/batch"]),
        ("m3", "gw/g1/up", 2, ["acme/batch"]),
        ("", "nobody/1", 1, []),
    ]


def test_a_damaged_last_message_hides_no_device(rig: Rig) -> None:
    rig.ingest.handle([probe(1.5, T), probe("broken", T + MINUTE), probe("{", T + 2 * MINUTE)])
    asked = Strangers(rig.journal)
    for _ in range(2):  # the second time from what was tried before
        (found,) = asked.all(rig.shelf.library, rig.registry.find)
        assert (found.address, found.count, found.last_at) == ("p1", 3, T + 2 * MINUTE)
        assert (found.newest.payload, [c.profile for c in found.candidates]) == (b"1.5", ["acme/probe"])
    by_name = asked.find(rig.shelf.library, "p1")
    assert by_name is not None
    assert by_name.candidates == found.candidates


def test_what_a_profile_makes_of_it_is_in_the_units_of_its_points(rig: Rig) -> None:
    rig.ingest.handle([batch(T, m2=(2.5, T - HOUR), m3=(3, T))])
    found = Strangers(rig.journal).find(rig.shelf.library, "m2")
    assert found is not None
    (candidate,) = found.candidates
    ((reading, value),) = candidate.readings
    assert (reading.spec.name, value, reading.at) == ("volume", 2.5, T - HOUR)
    assert candidate.findings == ()


def test_a_trial_is_made_once_for_each_last_message(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[bytes] = []
    whole = rig.shelf.library.trial
    monkeypatch.setattr(
        rig.shelf.library, "trial", lambda m, limit: (tried.append(m.payload), whole(m, limit))[1]
    )
    strangers = Strangers(rig.journal)
    rig.ingest.handle([probe(1, T), Message("nobody/1", b"?", T)])
    listed(rig, strangers)
    listed(rig, strangers)
    assert sorted(tried) == [b"1", b"?"]
    rig.ingest.handle([probe(2, T + 1)])
    listed(rig, strangers)
    assert sorted(tried) == [b"1", b"2", b"?"]
    rig.shelve("other", PROBE.replace("probe/", "nobody/").replace("/level", ""))
    rig.shelf.reload()
    rig.reread()
    assert ("1", "nobody/1", 1, ["acme/other"]) in listed(rig, strangers)


def test_ids_that_are_offered_are_free_and_can_be_given() -> None:
    assert offered_id("acme/probe", "p 1/ä№", []) == "acme-p-1-ä"
    assert offered_id("acme/probe", "7", ["acme-7", "acme-7-2"]) == "acme-7-3"
    assert len(offered_id("acme/probe", "x" * 500, [])) <= 100


def test_what_a_person_says_counts_before_what_is_offered(rig: Rig) -> None:
    rig.ingest.handle([probe(1, T)])
    library = rig.shelf.library
    found = Strangers(rig.journal).find(library, "p1")
    row = adoption(Wish("p1", id="tank-1", name="Roof", space="A"), found, library, [])
    assert row == {
        "id": "tank-1",
        "name": "Roof",
        "class": "tank",
        "profile": "acme/probe",
        "address": "p1",
        "space": "A",
        "parameters": "",
    }
    assert sheet_rows(adoption(Wish("p1"), found, library, []))[0] == [
        "id",
        "class",
        "profile",
        "address",
        "space",
    ]
    named = adoption(Wish("unheard", "acme/probe"), None, library, [])
    assert (named["id"], named["address"]) == ("acme-unheard", "unheard")


def test_what_cannot_be_adopted_says_why(rig: Rig) -> None:
    library = rig.shelf.library
    rig.ingest.handle([Message("probe/p1/level", b"[", T)])
    for wish, taken, key in (
        (Wish("p9"), (), "error.no_stranger"),
        (Wish("p1", "no/such"), (), "error.no_profile"),
        (Wish("p1", "acme/probe", "x"), ("x",), "error.id_taken"),
    ):
        with pytest.raises(Rejected, match=key):
            adoption(wish, None, library, taken)


def test_what_only_the_device_can_say_is_asked_for_when_it_is_adopted(rig: Rig) -> None:
    steps = PROBE.replace("points:", "parameters: {metres: , zero: 0}\npoints:").replace(
        "{from: $, quantity: level, unit: m}",
        '{value: "raw * metres + zero", names: {raw: $}, quantity: level}',
    )
    rig.shelve("probe", steps, rig.shipped)
    rig.again()
    library = rig.shelf.library
    for given in ("", "zero=1", "metres", "metre=2"):
        with pytest.raises(Rejected, match=r"error\.parameters_needed"):
            adoption(Wish("p1", "acme/probe", parameters=given), None, library, [])
    row = adoption(Wish("p1", "acme/probe", parameters="metres=0.01"), None, library, [])
    assert sheet_rows(row)[0][-1] == "parameters"
    assert row["parameters"] == "metres=0.01"


def test_a_profile_that_makes_nothing_of_a_message_is_not_taken_unasked(rig: Rig) -> None:
    """An empty uplink fits a table that any length fits."""
    eui = "0004a30b00c0ffee"
    words = UPLINK.replace("[level: u16]", "[{let: maker, value: \"'acme'\"}]").replace(
        "points:", "rest: true\npoints:"
    )
    rig.shelve("empty", words, rig.shipped)
    rig.again()
    rig.ingest.handle([Message(f"lorawan/{eui}/up/1", b"00", T)])
    library = rig.shelf.library
    found = Strangers(rig.journal).find(library, eui)
    assert found is not None
    assert clear_choice(found) == ""
    with pytest.raises(Rejected, match=r"error\.no_value_read"):
        adoption(Wish(eui), found, library, [])
    assert [c.profile for c in found.candidates] == ["acme/empty"]
    assert adoption(Wish(eui, "acme/empty"), found, library, [])["profile"] == "acme/empty"


UPLINK = """
class: sensor
envelope: lorawan
order: big
binary: [level: u16]
points: {level: {quantity: level, unit: cm}}
"""


@pytest.mark.parametrize(
    ("profile", "other", "taken"),
    [
        (PROBE, PROBE, ""),  # nothing tells them apart
        (PROBE.replace("level:", "depth:", 1), PROBE, ""),
        (PROBE, PROBE + "fallback: true\n", "acme/probe"),
        (PROBE, PROBE.replace("probe/{device}/level", "probe/{device}/+"), "acme/probe"),
        (PROBE, PROBE + "when: {$: {above: 0}}\n", "acme/twin"),
        (PROBE, PROBE + "  flow: {from: $, quantity: flow}\n", "acme/twin"),
        (PROBE, PROBE + "  lid: {from: $, kind: state, map: {OPEN: 1}}\n", "acme/probe"),  # odd for this one
    ],
)
def test_of_profiles_that_read_a_device_equally_well_none_is_taken_in_silence(
    tmp_path: Path, profile: str, other: str, taken: str
) -> None:
    rig = Rig(tmp_path, {"probe": profile, "twin": other})
    rig.ingest.handle([probe(1, T)])
    library = rig.shelf.library
    found = Strangers(rig.journal).find(library, "p1")
    assert adoption(Wish("p1", "acme/twin"), found, library, [])["profile"] == "acme/twin"
    if taken:
        assert adoption(Wish("p1"), found, library, [])["profile"] == taken
    else:
        with pytest.raises(Rejected, match=r"error\.several_profiles") as caught:
            adoption(Wish("p1"), found, library, [])
        assert caught.value.items["profiles"] == "acme/probe, acme/twin"
    rig.close()


@pytest.mark.parametrize(
    ("payload", "taken"),
    [
        (b"00a2", ""),  # bytes that happen to fit, however many values come of them
        (b'{"deviceInfo": {"devEui": "0000000000000007", "deviceProfileName": "Acme W9"}, "data": "AKI="}', "acme/wide"),
    ],
)  # fmt: skip
def test_bytes_that_fit_are_no_reason_to_take_an_uplink_for_some_product(
    tmp_path: Path, payload: bytes, taken: str
) -> None:
    wide = UPLINK.replace("[level: u16]", "[level: u16, {let: flow, value: level}]") + "products: [Acme W9]\n"
    wide += "when: {bytes.length: {above: 1}}\n"
    rig = Rig(tmp_path, {"narrow": UPLINK, "wide": wide})
    eui = "0000000000000007"
    topic = f"application/1/device/{eui}/event/up" if taken else f"lorawan/{eui}/up/1"
    rig.ingest.handle([Message(topic, payload, T)])
    library = rig.shelf.library
    found = Strangers(rig.journal).find(library, eui)
    assert found is not None
    assert {c.profile for c in found.candidates} == {"acme/narrow", "acme/wide"}
    if taken:
        assert adoption(Wish(eui), found, library, [])["profile"] == taken
    else:
        with pytest.raises(Rejected, match=r"error\.several_profiles"):
            adoption(Wish(eui), found, library, [])
    rig.close()


SOCKET = """
class: electricity_meter
match: {topics: ["acme/{socket}/up"]}
identity: "{socket}"
points: {voltage: {from: u, quantity: voltage}, current: {from: i, quantity: current}}
"""


def test_offers_keep_to_their_time_and_are_remembered_when_complete(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.shelve("socket", SOCKET)
    rig.shelf.reload()
    rig.ingest.handle([Message("hall/s-77/up", b'{"u": 230, "i": 2}', T)])
    strangers, library = Strangers(rig.journal, rig.shelf.build), rig.shelf.library
    (hurried,) = strangers.all(library, rig.registry.find, budget_s=-1)
    assert (hurried.tried, hurried.offers) == (False, ())
    (found,) = strangers.all(library, rig.registry.find)
    (offer,) = found.offers
    assert (found.tried, offer.proposal.filter, offer.proposal.addresses) == (
        True,
        "hall/{device}/up",
        ("s-77",),
    )
    monkeypatch.setattr(library, "elsewhere", None)  # not asked any more
    (again,) = strangers.all(library, rig.registry.find)
    assert again.offers == found.offers
    rig.shelf.write(offer.proposal.id, offer.proposal.text)
    with pytest.raises(Rejected, match=r"error\.profile_there"):
        rig.shelf.write(offer.proposal.id, "other: text")
    assert rig.shelf.reload().own == ("acme/socket", "acme/socket-hall-up")
    rig.reread()
    assert ("s-77", "hall/s-77/up", 1, ["acme/socket-hall-up"]) in listed(rig)


@pytest.mark.parametrize(
    ("product", "taken"),
    [("Borg Z3", ""), ("Acme W2", "acme/narrow"), ("", "acme/narrow")],
)
def test_a_product_that_the_server_names_is_not_taken_for_another_vendors_unasked(
    tmp_path: Path, product: str, taken: str
) -> None:
    rig = Rig(tmp_path, {"narrow": UPLINK})
    eui = "0000000000000007"
    named = f', "deviceProfileName": "{product}"' if product else ""
    payload = f'{{"deviceInfo": {{"devEui": "{eui}"{named}}}, "data": "AKI="}}'.encode()
    rig.ingest.handle([Message(f"application/1/device/{eui}/event/up", payload, T)])
    library = rig.shelf.library
    found = Strangers(rig.journal).find(library, eui)
    assert adoption(Wish(eui, "acme/narrow"), found, library, [])["profile"] == "acme/narrow"
    if taken:
        assert adoption(Wish(eui), found, library, [])["profile"] == taken
    else:
        with pytest.raises(Rejected, match=r"error\.other_product"):
            adoption(Wish(eui), found, library, [])
    rig.close()


def test_a_candidate_of_another_product_than_the_message_names_is_told(tmp_path: Path) -> None:
    rig = Rig(tmp_path, {"narrow": UPLINK})
    eui = "0000000000000007"
    payload = f'{{"deviceInfo": {{"devEui": "{eui}", "deviceProfileName": "Borg Z3"}}, "data": "AKI="}}'
    rig.ingest.handle([Message(f"application/1/device/{eui}/event/up", payload.encode(), T)])
    found = Strangers(rig.journal).find(rig.shelf.library, eui)
    assert found is not None
    assert [(c.profile, c.named, c.foreign) for c in found.candidates] == [("acme/narrow", False, True)]
    rig.close()


SIBLING = "class: sensor\nenvelope: lorawan\nproducts: [Acme W3]\nwhen: {bytes.length: 2}\nbinary: [kind: {as: u8, map: {1: level}, otherwise: other}, {reject: unknown, when: kind != 'level'}, level: u8]\npoints: {level: {}}\n"
ANY = "class: sensor\nfallback: true\nenvelope: chirpstack\nrest: {from: $, skip: [deviceInfo.*]}\n"


def _uplink(data: str, at: int) -> Message:
    payload = f'{{"fPort": 1, "deviceInfo": {{"devEui": "0000000000000007", "deviceProfileName": "Acme W3"}}, "data": "{data}"}}'
    return Message("application/1/device/0000000000000007/event/up", payload.encode(), at)


@pytest.mark.parametrize("extra", [{}, {"any": ANY}])
def test_a_last_message_that_the_named_product_refuses_is_not_its_siblings(
    tmp_path: Path, extra: dict[str, str]
) -> None:
    """Two bytes fit the sibling by chance; the message before, which the right profile reads, is shown."""
    rig = Rig(tmp_path, {"narrow": UPLINK, "w3": SIBLING, **extra})
    rig.ingest.handle([_uplink("AQU=", T), _uplink("CQU=", T + MINUTE)])  # 01 05, 09 05
    found = Strangers(rig.journal).find(rig.shelf.library, "0000000000000007")
    assert found is not None
    assert (found.newest.received_at, clear_choice(found)) == (T, "acme/w3")
    assert [(c.profile, c.named, c.foreign) for c in found.candidates][:2] == [
        ("acme/w3", True, False),
        ("acme/narrow", False, True),
    ]
    rig.close()


def test_nothing_but_a_message_that_the_named_product_refuses_is_taken_by_nobody_unasked(
    tmp_path: Path,
) -> None:
    rig = Rig(tmp_path, {"narrow": UPLINK, "w3": SIBLING})
    rig.ingest.handle([_uplink("CQU=", T)])
    found = Strangers(rig.journal).find(rig.shelf.library, "0000000000000007")
    assert found is not None
    assert [(c.profile, c.foreign) for c in found.candidates] == [("acme/narrow", True)]
    assert clear_choice(found) == ""
    with pytest.raises(Rejected, match=r"error\.other_product"):
        adoption(Wish("0000000000000007"), found, rig.shelf.library, [])
    rig.close()
