"""Messages become readings, or a reason why not."""

from collections.abc import Mapping
from textwrap import dedent
from zoneinfo import ZoneInfo

import orjson
import pytest

from dutyroom.errors import Rejected
from dutyroom.model.telemetry import Message, Quality, Scalar
from dutyroom.profiles.codecs import CODECS
from dutyroom.profiles.codecs.seam import Ask, plain
from dutyroom.profiles.decode import Decoded, Ignored, Library, Refused, pseudonym
from dutyroom.profiles.loading import read_profile
from dutyroom.timebase import from_iso

TZ = ZoneInfo("Asia/Shanghai")
NOW = from_iso("2026-11-01T00:00:10Z")


def library(*texts: str) -> Library:
    return Library([read_profile(dedent(t), f"acme/m{n}") for n, t in enumerate(texts)], TZ)


class Known:
    """A registry by (profile, address); "*" has every device."""

    def __init__(self, registry: object) -> None:
        self._registry = registry

    def parameters(self, profile: str, address: str) -> Mapping[str, Scalar] | None:
        if self._registry == "*":
            return {}
        assert isinstance(self._registry, dict)
        found: Mapping[str, Scalar] | None = self._registry.get((profile, address))
        return found

    def profiles(self, address: str) -> list[str]:
        assert isinstance(self._registry, dict)
        return [profile for profile, known in self._registry if known == address]


def send(lib: Library, topic: str, payload: object, registry: object = "*", adopt: bool = False) -> object:
    raw = payload if isinstance(payload, bytes) else orjson.dumps(payload)
    return lib.decode(Message(topic, raw, NOW), Known(registry), adopt)


def readings(outcome: object) -> dict[tuple[str, str], float | str]:
    assert isinstance(outcome, Decoded), outcome
    return {(r.address, r.spec.name): r.value if r.text is None else r.text for r in outcome.readings}


METER = """
class: water_meter
match: {topics: ["meters/{id}"]}
identity: "{id}"
time: time
points:
  volume: {from: total, quantity: volume, kind: counter, step: 0.001, digits: 8}
  flow: {from: flow, quantity: flow, low: 0, high: 100}
"""


def test_a_flat_message() -> None:
    outcome = send(library(METER), "meters/007", {"total": 6.408, "flow": 0.5, "time": "2026-11-01T08:00:00"})
    assert readings(outcome) == {("007", "volume"): 6408.0, ("007", "flow"): 0.5}
    assert isinstance(outcome, Decoded)
    assert {r.at for r in outcome.readings} == {from_iso("2026-11-01T00:00:00Z")}
    assert outcome.addresses == ("007",)


def test_null_and_missing_give_no_reading_and_no_finding() -> None:
    outcome = send(library(METER), "meters/007", {"total": None})
    assert outcome == Decoded("acme/m0", addresses=("007",))


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        ("other/007", b"{}", "unknown_topic"),
        ("meters/007", b"{", "malformed"),
        ("meters/007", b'{"total": NaN}', "malformed"),
        ("meters/007", b"\xff\xfe{}", "encoding"),
        ("meters/007", b'{"a": "' + "火警".encode("gb18030") + b'"}', "encoding"),
        ("meters/007", b"[" * 5000 + b"]" * 5000, "malformed"),
        ("meters/007", b" " * (256 * 1024 + 1), "too_large"),
        ("meters/007", b'{"total": 1e400}', "malformed"),
    ],
)
def test_bad_input_is_refused_with_a_reason(topic: str, payload: bytes, reason: str) -> None:
    outcome = send(library(METER), topic, payload)
    assert isinstance(outcome, Refused)
    assert outcome.reason == reason
    assert outcome.detail


def test_an_empty_payload_clears_a_retained_topic_and_is_ignored() -> None:
    assert send(library(METER), "meters/007", b"") == Ignored("acme/m0", "empty")


def test_a_value_out_of_range_is_suspect_and_found() -> None:
    outcome = send(library(METER), "meters/1", {"flow": 250, "total": 100000.0})
    assert isinstance(outcome, Decoded)
    assert [r.quality for r in outcome.readings] == [Quality.SUSPECT, Quality.SUSPECT]
    assert [f[0] for f in outcome.findings] == ["out_of_range", "out_of_range"]


@pytest.mark.parametrize("clock", ["1970-01-01T00:33:28", "2128-01-01T00:00:00Z", 1.61, "@0.1s", [1]])
def test_an_absurd_clock_gives_the_receive_time(clock: object) -> None:
    outcome = send(library(METER), "meters/1", {"flow": 1, "time": clock})
    assert isinstance(outcome, Decoded)
    (reading,) = outcome.readings
    assert (reading.at, reading.quality) == (None, Quality.CLOCK)
    assert [f[0] for f in outcome.findings] == ["clock_wrong"]


def test_no_clock_is_no_finding() -> None:
    outcome = send(library(METER), "meters/1", {"flow": 1})
    assert isinstance(outcome, Decoded)
    assert (outcome.readings[0].at, outcome.readings[0].quality, outcome.findings) == (None, Quality.GOOD, [])


def test_an_unknown_device_is_refused_with_who_could_read_it() -> None:
    lib = library(METER)
    outcome = send(lib, "meters/1", {"flow": 1}, {})
    assert outcome == Refused("unknown_device", "1", (("acme/m0", "1"),))
    assert readings(send(lib, "meters/1", {"flow": 1}, {}, adopt=True)) == {("1", "flow"): 1.0}


def test_a_registered_device_decides_between_two_profiles() -> None:
    lib = library(METER, METER.replace("water_meter", "heat_meter"))
    for wanted in ("acme/m0", "acme/m1"):
        outcome = send(lib, "meters/1", {"flow": 1}, {(wanted, "1"): {}}, adopt=True)
        assert isinstance(outcome, Decoded)
        assert outcome.profile == wanted
    both = send(lib, "meters/1", {"flow": 1}, {})
    assert isinstance(both, Refused)
    assert both.candidates == (("acme/m0", "1"), ("acme/m1", "1"))


FRAMED = """
class: water_meter
match: {topics: ["dtu/{id}"]}
identity: "{id}"
unwrap: [raw]
binary: [{check: holds, equals: length == 3}, kind: u8, volume: u16]
points: {volume: {}}
"""
WRITTEN = """
class: heat_meter
match: {topics: ["dtu/{dtu}"]}
identity: "{$.meter}"
points: {heat: {}}
"""


def test_a_known_device_whose_own_profile_refuses_its_message_is_no_stranger_to_another() -> None:
    """Of two profiles that find a device in different ways, one by the topic and one in the message."""
    lib, message = library(FRAMED, WRITTEN), {"meter": "7", "heat": 5}
    own = Refused("rejected", "acme/m0: length == 3 does not hold")
    for adopt in (False, True):
        assert send(lib, "dtu/7", message, {("acme/m0", "7"): {}}, adopt) == own
    assert readings(send(lib, "dtu/7", message, {("acme/m1", "7"): {}})) == {("7", "heat"): 5.0}


def test_another_device_behind_a_known_one_is_a_stranger() -> None:
    lib, message = library(FRAMED, WRITTEN), {"meter": "8", "heat": 5}
    assert send(lib, "dtu/7", message, {("acme/m0", "7"): {}}) == Refused(
        "unknown_device", "8", (("acme/m1", "8"),)
    )


BATCH = """
class: electricity_meter
match: {topics: ["up/{gateway}"]}
each: batch[*]
identity: "{@.id}"
time: {from: t, format: epoch_ms}
points:
  energy: {from: e, quantity: energy, kind: counter, step: 0.01}
"""


def test_one_message_of_many_devices_and_times() -> None:
    batch = [
        {"id": "A", "e": 1.5, "t": "1793491200000"},
        {"id": "A", "e": 1.6, "t": 1793491260000},
        {"id": "B", "e": 7},
    ]
    outcome = send(library(BATCH), "up/g", {"batch": batch})
    assert isinstance(outcome, Decoded)
    assert [(r.address, r.value, r.at) for r in outcome.readings] == [
        ("A", 150.0, 1793491200000),
        ("A", 160.0, 1793491260000),
        ("B", 700.0, None),
    ]


def test_unknown_devices_of_a_batch_do_not_hold_up_the_known() -> None:
    payload = {"batch": [{"id": "A", "e": 1}, {"id": "B", "e": 2}, {"e": 3}]}
    registry = {("acme/m0", "B"): {}}
    outcome = send(library(BATCH), "up/g", payload, registry)
    assert readings(outcome) == {("B", "energy"): 200.0}
    assert isinstance(outcome, Decoded)
    assert outcome.unknown == (("acme/m0", "A"),)
    adopted = send(library(BATCH), "up/g", payload, registry, adopt=True)
    assert set(readings(adopted)) == {("A", "energy"), ("B", "energy")}


def test_meters_of_two_kinds_behind_one_gateway_are_each_read_by_their_own_profile() -> None:
    kind = """
    class: electricity_meter
    match: {{topics: ["gw/{{gw}}"]}}
    each: batch[*]
    identity: "{{@.id}}"
    points: {{{point}: v}}
    """
    lib = library(kind.format(point="energy"), kind.format(point="volume"))
    registry = {("acme/m0", "1"): {}, ("acme/m1", "2"): {}}
    batch = {"batch": [{"id": "1", "v": 10}, {"id": "2", "v": 20}, {"id": "3", "v": 30}]}
    outcome = send(lib, "gw/a", batch, registry)
    assert readings(outcome) == {("1", "energy"): 10.0, ("2", "volume"): 20.0}
    assert isinstance(outcome, Decoded)
    assert outcome.unknown == (("acme/m0", "3"),)
    assert (outcome.owner("1"), outcome.owner("2")) == ("acme/m0", "acme/m1")


def test_layouts_ignore_and_reject() -> None:
    lib = library(
        """
        class: gate
        match: {topics: ["gate/{id}"]}
        identity: "{id}"
        layouts:
          - {when: {type: heartbeat}, ignore: alive}
          - {when: {type: test}, reject: a test frame}
          - {when: {open: {type: boolean}}, points: {open: {from: open, kind: state}}}
        """
    )
    assert send(lib, "gate/1", {"type": "heartbeat"}) == Ignored("acme/m0", "alive", "1")
    assert send(lib, "gate/1", {"type": "heartbeat"}, {}) == Ignored("acme/m0", "alive")
    assert send(lib, "gate/1", {"type": "test"}) == Refused("rejected", "acme/m0: a test frame")
    assert readings(send(lib, "gate/1", {"open": True})) == {("1", "open"): 1.0}
    refused = send(lib, "gate/1", {"open": "yes"})
    assert isinstance(refused, Refused)
    assert refused.reason == "no_layout"


def test_one_value_a_topic_and_a_last_will() -> None:
    lib = library(
        """
        class: generator
        identity: "{id}"
        layouts:
          - topic: "N/{id}/online"
            unwrap: [scalar]
            points: {online: {from: "@", map: boolean, kind: state}}
          - topic: "N/{id}/{path...}"
            unwrap: [json, {take: value}, {under: "{path}"}]
            points: {power: {from: '"Ac/Power"', quantity: power, unit: W}}
            rest: true
        """
    )
    assert readings(send(lib, "N/g/Ac/Power", {"value": 4200})) == {("g", "power"): 4.2}
    assert readings(send(lib, "N/g/Engine/Speed", {"value": 1500})) == {("g", "Engine/Speed"): 1500.0}
    assert readings(send(lib, "N/g/Ac/Power", {"value": None})) == {}
    assert readings(send(lib, "N/g/online", b"false")) == {("g", "online"): 0.0}
    refused = send(lib, "N/g/Ac/Power", {"number": 3})
    assert isinstance(refused, Refused)
    assert refused.reason == "no_layout"


def test_keys_as_devices_channels_and_conditions_on_points() -> None:
    lib = library(
        """
        class: sensor
        match: {topics: [s]}
        each: nodes.{node}
        identity: "{$.site}/{node}"
        points:
          level_{channel}: {from: "levels.ch{channel}", quantity: level, unit: cm}
          level_{n}: {from: "list[{n}]", quantity: level, unit: mm, when: {ok: true}}
          depth: {from: d, quantity: level, when: {ok: true}, none: [9999]}
        """.replace('"levels.ch{channel}"', '"levels.{channel}"')
    )
    payload = {"site": "x", "nodes": {"a": {"levels": {"1": 150, "2": None}, "d": 3, "ok": False},
                                      "b": {"list": [10, 20], "d": 9999, "ok": True}}}  # fmt: skip
    assert readings(send(lib, "s", payload)) == {
        ("x/a", "level_1"): 1.5,
        ("x/b", "level_0"): 0.01,
        ("x/b", "level_1"): 0.02,
    }


def test_device_parameters_scale() -> None:
    lib = library(
        """
        class: feeder
        match: {topics: ["f/{id}"]}
        identity: "{id}"
        parameters: {ct: 1}
        points: {current: {from: i, quantity: current, scale: ct}}
        """
    )
    assert readings(send(lib, "f/1", {"i": 2.5}, {("acme/m0", "1"): {"ct": 40}})) == {("1", "current"): 100.0}
    assert readings(send(lib, "f/1", {"i": 2.5}, {("acme/m0", "1"): {}})) == {("1", "current"): 2.5}


EVENTS = """
class: gate
match: {topics: ["gate/{id}"]}
identity: "{id}"
privacy: {card: hash, name: drop}
events:
  passages:
    each: events[*]
    code: "{@.kind}"
    codes: {"1": passage}
    id: "{@.n}"
    time: t
    arguments: {card: card, door: door, name: person.name}
"""


def test_events_keep_their_number_and_hide_the_person() -> None:
    payload = {
        "events": [
            {
                "kind": 1,
                "n": 69,
                "t": "2026-11-01 08:00:00",
                "card": 8165537,
                "door": 2,
                "person": {"name": "A"},
            }
        ]
    }
    outcome = send(library(EVENTS), "gate/1", payload)
    assert isinstance(outcome, Decoded)
    (event,) = outcome.events
    assert (event.address, event.spec.name, event.code, event.event_id) == ("1", "passages", "passage", "69")
    assert event.at == from_iso("2026-11-01T00:00:00Z")
    assert event.arguments == {"card": pseudonym(8165537), "door": 2}


def test_an_event_without_a_number_is_known_by_its_contents() -> None:
    lib = library(EVENTS.replace('    id: "{@.n}"\n', ""))
    one = send(lib, "gate/1", b'{"events": [{"kind": 1, "door": 2}]}')
    again = send(lib, "gate/1", b'{"events": [{"door": 2, "kind": 1}]}')
    other = send(lib, "gate/1", b'{"events": [{"door": 3, "kind": 1}]}')
    assert isinstance(one, Decoded)
    assert isinstance(again, Decoded)
    assert isinstance(other, Decoded)
    assert one.events[0].event_id == again.events[0].event_id != other.events[0].event_id


@pytest.mark.parametrize(
    "points",
    [
        'each: "m[*]"\npoints: {v: {}}',
        'points: {v: {each: "m[*]", from: v}}',
        'points: {"v_{n}": {from: "m[{n}].v"}}',
    ],
)
def test_a_list_is_read_to_its_end_or_not_at_all(points: str) -> None:
    """Half a message that counts as read would be a loss that nobody sees."""
    lib = library(f'class: sensor\nmatch: {{topics: ["m/{{id}}"]}}\nidentity: "{{id}}"\n{points}\n')
    read = send(lib, "m/1", {"m": [{"v": n} for n in range(10_000)]})
    assert isinstance(read, Decoded)
    assert len(read.readings) == 10_000
    refused = send(lib, "m/1", {"m": [{"v": n} for n in range(10_001)]})
    assert isinstance(refused, Refused)
    assert "more than 10000 elements" in refused.detail


def test_events_without_end_are_refused() -> None:
    lib = library(EVENTS.replace("each: events[*]", "each: $.events[*]") + '\neach: "events[*]"\n')
    outcome = send(lib, "gate/1", {"events": [{"kind": 1, "n": n} for n in range(2000)]})
    assert isinstance(outcome, Refused)
    assert "more than 20000 events" in outcome.detail


def test_the_number_of_an_event_without_one_does_not_give_away_a_card() -> None:
    """Whoever reads the records knows all of the record but the card: a hash without a key would tell it."""
    profile = read_profile(EVENTS.replace('    id: "{@.n}"\n', ""), "acme/gate")
    message = Message("gate/1", b'{"events": [{"kind": 1, "door": 2, "card": 8165537}]}', NOW)
    found = [Library([profile], ZoneInfo("UTC"), key).decode(message, Known("*")) for key in (b"a", b"b")]
    assert all(isinstance(outcome, Decoded) for outcome in found)
    assert len({outcome.events[0].event_id for outcome in found if isinstance(outcome, Decoded)}) == 2


def test_a_secret_makes_pseudonyms_of_a_site_its_own() -> None:
    assert pseudonym("8165537", b"one") != pseudonym("8165537", b"two")
    assert pseudonym("8165537", b"one") == pseudonym(8165537, b"one")


REST = """
class: other
match: {topics: ["x/{id}"]}
identity: "{id}"
time: time
privacy: {"*pin": drop}
points:
  power: {from: [power_kw, power_w], quantity: power}
rest: {suffix: true, attributes: [serial], texts: ["*date"], skip: [junk], units: {"raw.u": V}}
"""


def test_nothing_of_a_generic_family_is_lost() -> None:
    payload = {
        "time": "2026-11-01T00:00:00Z", "power_kw": 1, "power_w": 999, "flow_c": 52, "flow_m3h": 0.4, "total_kwh": 8.5,
        "ok": True, "serial": 42, "model": "X", "target_date": "2026-10-31", "empty": "", "none": None, "junk": 1,
        "pin": 1234, "raw": {"u": 230, "list": [1, {"deep": 2}]},
    }  # fmt: skip
    outcome = send(library(REST), "x/1", payload)
    assert readings(outcome) == {
        ("1", "power"): 1.0, ("1", "power_w"): 0.999, ("1", "flow_temperature"): 52.0, ("1", "flow"): 0.4,
        ("1", "total_energy"): 8.5, ("1", "ok"): 1.0, ("1", "target_date"): "2026-10-31", ("1", "raw.u"): 230.0,
        ("1", "raw.list[0]"): 1.0, ("1", "raw.list[1].deep"): 2.0,
    }  # fmt: skip
    assert isinstance(outcome, Decoded)
    assert set(outcome.attributes) == {("1", "serial", 42), ("1", "model", "X"), ("1", "empty", "")}


def test_names_from_a_device_are_bounded() -> None:
    outcome = send(library(REST), "x/1", {f"n{i}": i for i in range(900)} | {"x" * 500: 1, "a\nb": 2, "": 3})
    assert isinstance(outcome, Decoded)
    assert len(outcome.readings) == 900
    many = send(library(REST), "x/1", {f"n{i}": i for i in range(3000)})
    assert many == Refused("rejected", "acme/m0: more than 1000 fields that no point names")


def test_a_series_that_every_item_looks_through_is_refused() -> None:
    lib = library(
        """
        class: other
        match: {topics: [x]}
        identity: one
        each: x[*]
        points: {a: {each: "$.x[*]", from: nothing}}
        """
    )
    outcome = send(lib, "x", {"x": [{}] * 3000})
    assert outcome == Refused("rejected", "acme/m0: a: more than 50000 elements to look at")


def test_name_and_value_lists() -> None:
    lib = library(
        """
        class: elevator
        match: {topics: [n]}
        identity: "{$.node}"
        points: {floor: {from: "tags[name==floor].value"}}
        rest: {from: "@.tags", name: name}
        """
    )
    tags = [{"name": "floor", "value": 12}, {"name": "door", "value": 1}, {"name": "bad", "error": 2014}, 7]
    assert readings(send(lib, "n", {"node": "L1", "tags": tags})) == {
        ("L1", "floor"): 12.0,
        ("L1", "door"): 1.0,
    }


def test_a_codec_by_name_decodes_the_bytes_of_an_envelope(monkeypatch: pytest.MonkeyPatch) -> None:
    def codec(payload: bytes, ask: Ask) -> object:
        if ask.port != 85:
            raise Rejected("unknown port")
        return {"level": int.from_bytes(payload, "little")}

    monkeypatch.setitem(CODECS, "fake", plain(codec))
    lib = library(
        """
        class: tank
        envelope: lorawan
        codec: fake
        points: {level: {from: level, quantity: level, unit: cm}}
        """
    )
    topic = "application/a/device/24e1/event/up"
    payload = {
        "deviceInfo": {"devEui": "24e1"},
        "data": "lgA=",
        "fPort": 85,
        "time": "2026-11-01T00:00:00.1234567Z",
    }
    outcome = send(lib, topic, payload)
    assert readings(outcome) == {("24e1", "level"): 1.5}
    assert isinstance(outcome, Decoded)
    assert outcome.readings[0].at == from_iso("2026-11-01T00:00:00.123Z")
    for wrong in ({"fPort": 1}, {"data": "!"}, {"data": 5}):
        refused = send(lib, topic, payload | wrong)
        assert isinstance(refused, Refused)
        assert refused.reason == "rejected"


def test_the_things_stack_envelope() -> None:
    lib = library("class: water_meter\nenvelope: tts\npoints: {volume: {from: v, quantity: volume, unit: L}}")
    payload = {"end_device_ids": {"dev_eui": "A8"}, "received_at": "2026-11-01T00:00:01Z",
               "uplink_message": {"received_at": "2026-11-01T00:00:00Z", "decoded_payload": {"v": 1500}}}  # fmt: skip
    outcome = send(lib, "v3/a@t/devices/d/up", payload)
    assert readings(outcome) == {("A8", "volume"): 1.5}
    assert isinstance(outcome, Decoded)
    assert outcome.readings[0].at == from_iso("2026-11-01T00:00:00Z")


def test_the_broker_filters_of_a_library() -> None:
    assert library(METER, BATCH).topics == ("meters/+", "up/+")


def test_what_a_registered_device_ignores_is_not_asked_of_a_generic_family() -> None:
    own = """
        class: gate
        match: {topics: ["g/{id}"]}
        identity: "{id}"
        layouts: [{ignore: nothing measured}]
        """
    generic = """
        class: other
        fallback: true
        match: {topics: ["g/{id}"]}
        identity: "{id}"
        rest: true
        """
    lib = library(own, generic)
    assert send(lib, "g/1", {"a": 1}, {("acme/m0", "1"): {}}) == Ignored("acme/m0", "nothing measured", "1")
    unknown = send(lib, "g/2", {"a": 1}, {("acme/m0", "1"): {}})
    assert isinstance(unknown, Refused)
    assert unknown.candidates == (("acme/m1", "2"),)


@pytest.mark.parametrize("address", ["x" * 201, "a\u0000b", "line\nbreak", ""])
def test_an_address_that_nobody_can_store_names_no_device(address: str) -> None:
    lib = library(METER.replace('"{id}"\ntime', '"{$.dev}"\ntime'))
    outcome = send(lib, "meters/1", {"dev": address, "flow": 1}, adopt=True)
    assert isinstance(outcome, Refused)
    assert outcome.reason == "no_layout"


def test_texts_are_stored_without_the_zero_character() -> None:
    outcome = send(library(REST), "x/1", {"model": "A\u0000B", "some_date": "1\u0000"})
    assert isinstance(outcome, Decoded)
    assert outcome.attributes == [("1", "model", "A\ufffdB")]
    assert readings(outcome)["1", "some_date"] == "1\ufffd"


def test_a_topic_of_absurd_length_is_unknown() -> None:
    outcome = send(library(METER), "meters/" + "9" * 10_000, {"flow": 1})
    assert isinstance(outcome, Refused)
    assert outcome.reason == "unknown_topic"
