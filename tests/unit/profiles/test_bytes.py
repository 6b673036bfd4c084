"""Profiles that decode bytes: series, computed points, envelopes, and which profile reads a message."""

import base64
from textwrap import dedent
from zoneinfo import ZoneInfo

import orjson

from dutyroom.model.telemetry import Message, Quality
from dutyroom.profiles.attempt import NOBODY
from dutyroom.profiles.decode import Decoded, Ignored, Library, Refused
from dutyroom.profiles.explain import explain
from dutyroom.profiles.job import Anybody
from dutyroom.profiles.loading import read_profile
from dutyroom.timebase import HOUR, from_iso
from dutyroom.wiring.profiles import lines

TZ = ZoneInfo("Asia/Shanghai")
NOW = from_iso("2026-11-01T00:00:10Z")
EUI = "24e124713b000001"


def library(**texts: str) -> Library:
    return Library([read_profile(dedent(text), f"acme/{name}") for name, text in texts.items()], TZ)


def bare(payload: str, port: int = 1) -> Message:
    return Message(f"lorawan/{EUI}/up/{port}", payload.replace(" ", "").encode(), NOW)


def chirpstack(payload: str, port: int = 1, product: str = "", **more: object) -> Message:
    data = base64.b64encode(bytes.fromhex(payload)).decode()
    info = {"devEui": EUI, "deviceProfileName": product}
    body = {"deviceInfo": info, "fPort": port, "data": data, **more}
    return Message(f"application/a/device/{EUI}/event/up", orjson.dumps(body), NOW)


def rows(outcome: object) -> list[tuple[str, float, int | None]]:
    assert isinstance(outcome, Decoded), outcome
    return [(r.spec.name, r.value, r.at) for r in outcome.readings]


METER = """
class: water_meter
envelope: lorawan
order: little
binary:
  - at: u32
  - volume: u32
  - {repeat: deltas, times: end, read: [litres: {as: u16, none: [0xFFFF]}]}
points:
  volume: {quantity: volume, unit: L, kind: counter, step: 0.001, time: {from: at, format: epoch_s}}
  past:
    each: deltas[*]
    from: litres
    sum: {from: volume, direction: down}
    time: {from: at, format: epoch_s, every: -1h, first: 1}
    quantity: volume
    unit: L
    kind: counter
    step: 0.001
"""


def test_a_register_and_differences_become_a_series_of_registers() -> None:
    at = from_iso("2026-10-31T23:00:00Z")
    payload = (at // 1000).to_bytes(4, "little").hex() + "e8030000" + "0a00" + "0500"
    outcome = library(m=METER).decode(bare(payload), Anybody("acme/m"))
    assert rows(outcome) == [("volume", 1000, at), ("past", 990, at - HOUR), ("past", 985, at - 2 * HOUR)]


def test_after_a_missing_difference_nothing_is_known() -> None:
    at = from_iso("2026-10-31T23:00:00Z")
    payload = (at // 1000).to_bytes(4, "little").hex() + "e8030000" + "0a00" + "ffff" + "0500"
    outcome = library(m=METER).decode(bare(payload), Anybody("acme/m"))
    assert [value for _, value, _ in rows(outcome)] == [1000, 990]


def test_a_message_and_the_records_that_it_kept_are_items_alike() -> None:
    lib = library(
        m="""
        class: sensor
        envelope: lorawan
        binary: [level: u8, {repeat: log, times: end, read: [at: u32, level: u8]}]
        each: ["@", "log[*]"]
        time: [at, $.time]
        points: {level: {}}
        """
    )
    kept = from_iso("2026-10-31T20:00:00Z")
    payload = "05" + (kept // 1000).to_bytes(4, "big").hex() + "04"
    outcome = lib.decode(chirpstack(payload, time="2026-10-31T23:00:00Z"), Anybody("acme/m"))
    assert rows(outcome) == [("level", 5.0, from_iso("2026-10-31T23:00:00Z")), ("level", 4.0, kept)]


def test_computed_points_device_parameters_and_left_out_fields() -> None:
    lib = library(
        m="""
        class: electricity_meter
        match: {topics: ["m/{id}"]}
        identity: "{id}"
        parameters: {ct: 1}
        points:
          power: {value: "u * i * ct / 1000", names: {u: volts.a}, quantity: power}
          relay: {from: relay, kind: state, absent: 0}
        """
    )
    message = Message("m/1", orjson.dumps({"volts": {"a": 230}, "i": "2.5"}), NOW)
    assert rows(lib.decode(message, Anybody("acme/m", {"ct": 40}))) == [
        ("power", 23.0, None),
        ("relay", 0.0, None),
    ]
    assert rows(lib.decode(Message("m/1", b'{"i": 1}', NOW), Anybody("acme/m"))) == [("relay", 0.0, None)]


def test_times_relative_to_the_receipt_and_from_another_epoch() -> None:
    lib = library(
        m="""
        class: other
        match: {topics: ["m/{id}"]}
        unwrap: hex
        identity: "{id}"
        binary: [a: u8, since: u16, ago: u8, {repeat: log, times: 2, read: [v: u8]}]
        points:
          a: {time: {from: since, format: epoch_d, since: "2020-01-01T00:00:00Z"}}
          b: {from: a, time: {from: ago, ago: min}}
          c: {each: "log[*]", from: v, time: {every: "-60 * ago"}}
        """
    )
    found = rows(lib.decode(Message("m/1", b"01 09ba 0f 0a0b", NOW), Anybody("acme/m")))
    assert found == [
        ("a", 1.0, from_iso("2020-01-01T00:00:00Z") + 2490 * 24 * HOUR),
        ("b", 1.0, NOW - 15 * 60_000),
        ("c", 10.0, NOW),
        ("c", 11.0, NOW - 15 * 60_000),
    ]


ENVELOPED = """
class: sensor
envelope: lorawan
products: [Acme {n}]
match: {{when: {{bytes.port: {port}}}}}
binary: [temperature: {{as: s16, scale: 0.1}}]
points: {{temperature: {{quantity: temperature}}}}
"""


def test_every_server_of_the_envelope_and_a_bare_uplink() -> None:
    lib = library(m=ENVELOPED.format(n="One", port=1))
    tts = {
        "end_device_ids": {"dev_eui": EUI.upper()},
        "received_at": "2026-11-01T00:00:00Z",
        "uplink_message": {"f_port": 1, "frm_payload": "APs=", "received_at": "2026-11-01T00:00:00Z"},
    }
    version_3 = {"devEUI": base64.b64encode(bytes.fromhex(EUI)).decode(), "fPort": 1, "data": "APs="}
    for message in (
        bare("00fb"),
        bare("00 FB\n"),
        chirpstack("00fb"),
        Message("v3/a@ttn/devices/x/up", orjson.dumps(tts), NOW),
        Message("application/1/device/x/rx", orjson.dumps(version_3), NOW),
        Message(f"lorawan/{EUI}/up/1", b"\x00\xfb", NOW),
    ):
        outcome = lib.decode(message, Anybody("acme/m"))
        assert isinstance(outcome, Decoded), (message, outcome)
        assert [(r.address, r.value) for r in outcome.readings] == [(EUI, 25.1)]


def test_a_bare_uplink_may_begin_as_json_does() -> None:
    lib = library(m=ENVELOPED.format(n="One", port=1))
    outcome = lib.decode(Message(f"lorawan/{EUI}/up/1", b"\x7b\x01", NOW), Anybody("acme/m"))
    assert isinstance(outcome, Decoded)
    assert [r.value for r in outcome.readings] == [3148.9]
    cut = Message(chirpstack("00fb").topic, chirpstack("00fb").payload[:-5], NOW)
    refused = lib.decode(cut, Anybody("acme/m"))
    assert isinstance(refused, Refused)
    assert refused.reason == "malformed"


class Site:
    """A registry with one device."""

    def __init__(self, profile: str) -> None:
        self._profile = profile

    def parameters(self, profile: str, address: str) -> dict[str, object] | None:
        return {} if (profile, address) == (self._profile, EUI) else None

    def profiles(self, address: str) -> list[str]:
        return [self._profile] if address == EUI else []


def test_of_many_profiles_of_one_envelope_the_registry_says_which() -> None:
    many = {f"m{n}": ENVELOPED.format(n=n, port=1) for n in range(20)}
    lib = library(**many)
    for n in (0, 7, 19):
        outcome = lib.decode(chirpstack("00fb"), Site(f"acme/m{n}"))
        assert isinstance(outcome, Decoded)
        assert outcome.profile == f"acme/m{n}"
    assert lib.decode(chirpstack("00fb"), NOBODY) == Refused("unknown_device", EUI, (("", EUI),))


def test_what_a_registered_device_sends_wrongly_is_no_message_of_a_stranger() -> None:
    lib = library(
        m0=ENVELOPED.format(n=0, port=1),
        m1=ENVELOPED.format(n=1, port=1),
        any="class: other\nenvelope: chirpstack\nfallback: true\neach: $\nrest: true",
    )
    refused = lib.decode(chirpstack("00"), Site("acme/m1"))
    assert refused == Refused("rejected", "acme/m1: temperature: 2 bytes wanted at byte 0, 1 left")


def test_a_trial_ranks_what_the_message_names_then_who_understands_every_byte() -> None:
    lib = library(
        whole="class: sensor\nenvelope: lorawan\nbinary: [a: u16, b: u16]\npoints: {a: {}, b: {}}",
        half="class: sensor\nenvelope: lorawan\nbinary: [a: u16]\npoints: {a: {}}",
        named="class: sensor\nenvelope: lorawan\nproducts: [Acme T-9]\nbinary: [c: u8]\npoints: {c: {}}",
        no="class: sensor\nenvelope: lorawan\nbinary: [c: u64]\npoints: {c: {}}",
    )
    message = chirpstack("00010002")
    assert [t.profile for t in lib.trial(message)] == ["acme/whole", "acme/half", "acme/named"]
    named = lib.trial(chirpstack("00010002", product="acme t9"))
    assert [t.profile for t in named] == ["acme/named", "acme/whole", "acme/half"]
    assert (named[0].named, named[0].address, named[1].named) == (True, EUI, False)
    adopted = lib.decode(chirpstack("00010002", product="Acme T-9"), NOBODY, adopt=True)
    assert isinstance(adopted, Decoded)
    assert adopted.profile == "acme/named"
    assert lib.trial(Message("nowhere", b"x", NOW)) == []


def test_layouts_are_chosen_by_port_length_first_bytes_and_what_was_decoded() -> None:
    lib = library(
        m="""
        class: sensor
        envelope: lorawan
        layouts:
          - {when: {bytes.port: 0}, ignore: MAC command}
          - {when: {bytes.length: {above: 3}}, binary: [kind: u8, a: u8], points: {a: {}}}
          - {when: {bytes.hex: {match: "02*"}}, binary: [kind: u8, b: u8], points: {b: {}}}
          - {when: {kind: 3}, binary: [kind: u8, c: u8], points: {c: {}}}
          - {when: {kind: {exists: true}}, binary: [kind: u8], reject: a kind that nobody knows}
        """
    )
    known = Anybody("acme/m")
    assert lib.decode(bare("01", 0), known) == Ignored("acme/m", "MAC command", EUI)
    assert [r[0] for r in rows(lib.decode(bare("0105ffff"), known))] == ["a"]
    assert [r[0] for r in rows(lib.decode(bare("0205"), known))] == ["b"]
    assert [r[0] for r in rows(lib.decode(bare("0305"), known))] == ["c"]
    assert lib.decode(bare("0905"), known) == Refused("rejected", "acme/m: a kind that nobody knows")
    refused = lib.decode(bare(""), known)
    assert isinstance(refused, Ignored | Refused)


def test_what_cannot_be_decoded_says_where() -> None:
    lib = library(m=ENVELOPED.format(n=1, port=1))
    assert lib.decode(bare("00"), Anybody("acme/m")) == Refused(
        "rejected", "acme/m: temperature: 2 bytes wanted at byte 0, 1 left"
    )
    broken = {"deviceInfo": {"devEui": EUI}, "fPort": 1, "data": "!!"}
    outcome = lib.decode(
        Message("application/a/device/x/event/up", orjson.dumps(broken), NOW), Anybody("acme/m")
    )
    assert isinstance(outcome, Refused)
    assert "not base64" in outcome.detail


def test_the_server_time_counts_and_an_absurd_clock_does_not() -> None:
    lib = library(m=ENVELOPED.format(n=1, port=1))
    outcome = lib.decode(chirpstack("00fb", time="2026-10-31T23:59:59Z"), Anybody("acme/m"))
    assert rows(outcome)[0][2] == from_iso("2026-10-31T23:59:59Z")
    absurd = lib.decode(chirpstack("00fb", time="1970-01-01T00:00:00Z"), Anybody("acme/m"))
    assert isinstance(absurd, Decoded)
    assert absurd.readings[0].quality is Quality.CLOCK


def test_pieces_of_one_message_are_put_together() -> None:
    lib = library(
        m="""
        class: generator
        match: {topics: ["bus/{id}"]}
        identity: "{id}"
        bytes: {each: "can[*]", from: data, encoding: hex, port: id}
        binary: [{switch: port, cases: {1: [speed: u16], 2: [oil: u8]}}]
        points: {speed: {}, oil: {}}
        """
    )
    payload = {"can": [{"id": 1, "data": "05dc"}, {"id": 2, "data": "40"}]}
    assert rows(lib.decode(Message("bus/7", orjson.dumps(payload), NOW), Anybody("acme/m"))) == [
        ("speed", 1500.0, None),
        ("oil", 64.0, None),
    ]


def test_an_explanation_tells_every_step() -> None:
    lib = library(m=METER)
    message = bare("00000000 e8030000 0a00")
    found = explain(lib, "acme/m", message)
    assert found is not None
    assert [(s.name, s.place, s.value) for s in found.steps] == [
        ("at", "0-3", 0),
        ("volume", "4-7", 1000),
        ("litres", "8-9", 10),
    ]
    assert found.payload == bytes.fromhex("00000000e80300000a00")
    assert found.sources == {"volume": "volume", "past": "litres"}
    cut = explain(lib, "acme/m", bare("00000000e8"))
    assert cut is not None
    assert isinstance(cut.outcome, Refused)
    assert [s.name for s in cut.steps] == ["at"]
    assert cut.payload == bytes.fromhex("00000000e8")


def test_an_explanation_names_the_register_that_differences_want() -> None:
    message = bare("00000000 e8030000 0a00")
    for text, wanted in (
        (METER, {}),
        (METER.replace("from: volume, dir", "from: total.now, dir"), {"past": "total.now"}),
    ):
        found = explain(library(m=text), "acme/m", message)
        assert found is not None
        assert found.lacking == wanted
        told = list(lines(found, NOW))
        assert ("missing  total.now: the register that past starts from (sum.from)" in told) is bool(wanted)


def test_who_forgets_to_say_where_the_bytes_are_is_told_how() -> None:
    """A profile that says nothing reads JSON; a codec wants bytes."""
    text = "class: sensor\nmatch: {topics: ['w/{id}']}\nidentity: '{id}'\ncodec: cayenne\npoints: {temperature: {}}"
    for more, payload, told in (
        ("", b'{"hex": "07"}', "bytes expected, JSON found; `unwrap: [raw]` gives"),
        ("\nbytes: {from: hex, encoding: hex}", b'{"hex": [7]}', "bytes expected: a text in hex or base64"),
        ("\nbytes: {from: hex, encoding: hex}", b'{"hex": null}', "no payload bytes in the message"),
    ):
        outcome = library(m=text + more).decode(Message("w/1", payload, NOW), Anybody("acme/m"))
        assert isinstance(outcome, Refused)
        assert told in outcome.detail


def test_an_explanation_says_that_the_time_is_not_where_it_is_looked_for() -> None:
    """The time stands in the message around the bytes, which `$` asks."""
    text = "class: sensor\nmatch: {topics: ['w/{id}']}\nidentity: '{id}'\ntime: at\nbytes: {from: hex, encoding: hex}\nbinary: [a: u8]\npoints: {a: {}}"
    message = Message("w/1", b'{"at": 1793491200, "hex": "07"}', NOW)
    for time, missing in (("at", True), ("$.at", False)):
        found = explain(library(m=text.replace("time: at", f"time: {time}")), "acme/m", message)
        assert found is not None
        told = list(lines(found, NOW))
        assert ("no time  at: nothing there, so the receive time counts" in told) is missing
        assert sum("no time" in line for line in told) == missing


def test_what_the_named_product_refuses_is_no_message_of_another() -> None:
    lib = library(
        any="class: sensor\nenvelope: lorawan\nbinary: [a: u8]\npoints: {a: {}}",
        named="class: sensor\nenvelope: lorawan\nproducts: [Acme T-9]\nbinary: [c: u64]\npoints: {c: {}}",
    )
    refused = lib.decode(chirpstack("0001", product="acme t9"), NOBODY, adopt=True)
    assert isinstance(refused, Refused)
    assert refused.detail.startswith("acme/named: c: 8 bytes wanted")
    assert rows(lib.decode(chirpstack("0001", product="Acme other"), NOBODY, adopt=True))[0][0] == "a"


def test_a_record_without_a_time_of_its_own_has_that_of_the_message() -> None:
    lib = library(
        m="""
        class: sensor
        envelope: lorawan
        binary:
          - {append: log, read: [a: u8]}
          - {append: log, times: end, read: [a: u8, ago: u8]}
        points: {a: {each: "log[*]", from: a, time: {from: ago, ago: min}}}
        """
    )
    at = from_iso("2026-10-31T23:59:00Z")
    outcome = lib.decode(chirpstack("07 080f", time="2026-10-31T23:59:00Z"), Anybody("acme/m"))
    assert rows(outcome) == [("a", 7.0, at), ("a", 8.0, at - 15 * 60_000)]
