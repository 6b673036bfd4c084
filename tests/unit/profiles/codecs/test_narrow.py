"""Codecs that make only what a profile reads: the same numbers, the same refusals, in the same words."""

from __future__ import annotations

import random
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.profiles.codecs.test_dsmr import NOW, V5, telegram

from dutyroom.errors import Rejected
from dutyroom.model.telemetry import Message
from dutyroom.profiles.attempt import Sight, attempt
from dutyroom.profiles.codecs import CODECS
from dutyroom.profiles.codecs.dsmr_shapes import MAX_LEARNED, MAX_STILLS, Shapes, shape_of
from dutyroom.profiles.codecs.dsmr_tables import REGISTERS
from dutyroom.profiles.codecs.j1939_frames import can_id
from dutyroom.profiles.codecs.j1939_table import GROUPS
from dutyroom.profiles.codecs.seam import AS_TOLD, READY, Ask, Codec, Finish, Told, Wanted
from dutyroom.profiles.decode import Decoded, Library, load_library
from dutyroom.profiles.job import Anybody
from dutyroom.profiles.meter import PARAMETER
from dutyroom.profiles.paths import as_text
from dutyroom.profiles.yamlnode import Plain
from dutyroom.timebase import zone

# ---------------------------------------------------------------- J1939

PARAMETERS = tuple(p.name for group in GROUPS.values() for p in group.parameters)
WITH_REASONS = ("engine_speed", "oil_pressure")
FAULTS = ("faults", "fault_count", "lamp_red_stop", "make", "reasons")
READ = Wanted(frozenset((*PARAMETERS, *FAULTS)), frozenset(PARAMETERS) - set(WITH_REASONS))


def both(name: str, options: Mapping[str, Plain], wanted: Wanted) -> tuple[Codec, Codec]:
    kind = CODECS[name]
    assert kind.narrow is not None
    narrow = kind.narrow(options, wanted)
    assert narrow is not None
    return kind.make(options), narrow


def outcome(codec: Codec, payload: bytes, **ask: Any) -> Any:
    try:
        return codec(payload, Ask(**ask))
    except Rejected as err:
        return err.reason


FULL, NARROW = both("j1939", {"frames": ["can1", "can2"]}, READ)
_FRAMES = st.tuples(
    st.sampled_from(
        [can_id(pgn) for pgn in GROUPS] + [can_id(60416), can_id(60160), can_id(65226), can_id(65259)]
    ),
    st.one_of(
        st.binary(min_size=8, max_size=8).map(bytes.hex),
        st.binary(max_size=12).map(bytes.hex),
        st.sampled_from(
            ["FF" * 8, "200A0002FFCAFE00", "0110FF640001036E", "02000001FFFFFFFF", "0G", "FE" * 8]
        ),
    ),
)


def checked(listed: list[dict[str, Any]]) -> None:
    payload = orjson.dumps({"can1": listed, "x": 1})
    full, narrow = outcome(FULL, payload), outcome(NARROW, payload)
    if isinstance(full, str):
        assert narrow == full
        return
    assert narrow["x"] == 1
    have, found = full["can1"]["engine"], narrow["can1"]["engine"]
    for name in (*WITH_REASONS, *FAULTS[:-1]):
        assert found.get(name) == have.get(name)
    for name in WITH_REASONS:
        assert found["reasons"].get(name) == have["reasons"].get(name)
    for name in READ.numbers:  # a float is the shortest text of the exact value
        assert as_text(found.get(name)) == as_text(have.get(name))
        assert str(found.get(name)) == str(have.get(name))


@given(st.lists(_FRAMES, max_size=12))
@settings(max_examples=150)
def test_frames_give_the_same_numbers(frames: list[tuple[int, str]]) -> None:
    checked([{"id": own, "data": data} for own, data in frames])


# ---------------------------------------------------------------- readings in place of fields

NUMBERS, WHOLE = frozenset({int, float}), frozenset({int})
FINISHES = tuple(
    (name, Finish(place, name, WHOLE if place % 5 == 0 else NUMBERS, factor, divisor, added, low, high))
    for place, name in enumerate(sorted(READ.numbers))
    for factor, divisor, added, low, high in [
        [(1.0, 1.0, -0.0, -1e308, 1e308), (1.0, 100.0, -0.0, 0.0, 5.0), (0.5, 1.0, 7.25, 10.0, 1e6)][
            place % 3
        ]
    ]
)
COMPUTED = frozenset({"engine_speed", "oil_pressure"})
_, READY_MADE = both(
    "j1939", {"frames": ["can1", "can2"]}, replace(READ, finishes=FINISHES, computed=COMPUTED)
)


@given(st.lists(_FRAMES, max_size=12))
@settings(max_examples=150)
def test_readings_are_what_the_points_would_make_of_the_fields(frames: list[tuple[int, str]]) -> None:
    payload = orjson.dumps({"can1": [{"id": own, "data": data} for own, data in frames]})
    plain, made = outcome(NARROW, payload), outcome(READY_MADE, payload)
    if isinstance(plain, str):
        assert made == plain
        return
    have, found = plain["can1"]["engine"], made["can1"]["engine"]
    ready = found.get(READY, {})
    for name, finish in FINISHES:
        value = have.get(name)
        if type(value) is str:  # read in the long way: exact text
            value = float(value)
        result = None if value is None else value * finish.factor / finish.divisor + finish.added
        fits = result is not None and type(value) in finish.types and finish.low <= result <= finish.high
        if finish.place in ready:
            assert fits
            assert (type(ready[finish.place]), repr(ready[finish.place])) == (float, repr(result))
            assert name not in found
        else:
            assert str(found.get(name)) == str(have.get(name))
    for name in COMPUTED:  # a number in place of text, and why there is none
        assert str(found.get(name)) == str(have.get(name))
        assert (name in found) is (name in have)
        assert found["reasons"].get(name) == have["reasons"].get(name)


def test_the_later_reading_counts_also_where_the_earlier_one_was_out_of_range() -> None:
    name, finish = next((n, f) for n, f in FINISHES if n == "fuel_delivery_pressure")
    finish = finish._replace(types=NUMBERS, factor=1.0, divisor=1.0, added=-0.0, low=0.0, high=100.0)
    _, codec = both("j1939", {"frames": ""}, replace(READ, finishes=((name, finish),)))
    low, high, none = ("05" + "FF" * 7, "C8" + "FF" * 7, "FF" * 8)  # 20 kPa, 800 kPa
    for order, ready, value in [
        ((low, high), None, 800), ((high, low), 20.0, None), ((high, low, none), 20.0, None),
        ((low, high, none), None, 800), ((high, high[:2], low[:2]), 20.0, None), ((low, "C8"), None, 800),
    ]:  # fmt: skip
        listed = [{"id": can_id(65263, source), "data": data} for source, data in enumerate(order)]
        found = outcome(codec, orjson.dumps(listed))["engine"]
        assert (found[READY].get(finish.place), found.get(name)) == (ready, value)


# ---------------------------------------------------------------- a whole profile


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder = tmp_path_factory.mktemp("profiles")
    for vendor in ("j1939", "senquip"):
        shutil.copytree(Path(__file__).parents[4] / "device_profiles" / vendor, folder / vendor)
    return load_library(folder, zone("UTC"))


_MOSTLY_QUIET = st.one_of(
    _FRAMES,
    st.tuples(
        st.sampled_from([can_id(pgn, source) for pgn in (65226, 65227) for source in (0, 3)]),
        st.sampled_from(
            ["03FF00000000FFFF", "00FF00000000FFFF", "C0FF00000000FFFF", "04FF640001030000", "00FF0000"]
        ),
    ),
    st.tuples(  # registers, and what expressions read
        st.sampled_from([can_id(pgn) for pgn in (61444, 65253, 65257, 64777, 65262, 65263)]),
        st.binary(min_size=8, max_size=8).map(bytes.hex),
    ),
)


def _whole(engines: Library, message: Message, known: Anybody, note: bool) -> object:
    """Readings, events and the rest; with `note` the codec gives every field as text."""
    groups, captures = engines.for_topic(message.topic)
    sight = Sight(message, captures, engines.memory, (lambda *_: None) if note else None)
    found = attempt(groups[0].candidates[0], sight, known, False)
    if not isinstance(found, Decoded):
        return found
    return [
        sorted(map(repr, part)) for part in (found.readings, found.events, found.attributes, found.findings)
    ]


@given(frames=st.lists(_MOSTLY_QUIET, max_size=12), meter=st.sampled_from(["", "volume 6 0.01", " 7 "]))
@settings(max_examples=300, deadline=None)
def test_devices_have_the_same_readings_as_from_the_texts(
    engines: Library, frames: list[tuple[int, str]], meter: str
) -> None:
    listed = [{"id": own, "data": data} for own, data in frames]
    payload = orjson.dumps({"deviceid": "QA0000001", "can1": listed, "vin": 12.5})
    message = Message("senquip/quad", payload, 1_793_491_200_000)
    known = Anybody("senquip/quad-c2", {PARAMETER: meter} if meter else {})
    assert _whole(engines, message, known, False) == _whole(engines, message, known, True)


def test_every_parameter_at_the_ends_of_its_range() -> None:
    for pgn in GROUPS:
        for data in ("00" * 8, "FA" * 8, "FB" * 8, "FD" * 8, "01" * 8, "80" * 8, "FFFE" * 4):
            checked([{"id": can_id(pgn), "data": data}])


@pytest.mark.parametrize(
    "element",
    [
        7, {"id": 1}, {"id": True, "data": "00"}, {"id": -1, "data": "00"}, {"id": "18FEEE00", "data": "7E"},
        {"id": "x", "data": "00"}, {"id": 2**40, "data": ""}, {"id": 217056256, "data": [1, 2, 3, 4, 5, 6, 7, 8]},
        {"id": 217056256, "data": "0xF17D91DE2E00F47D"}, {"id": 217056256, "data": "F1 7D 91 DE 2E 00 F4 7D"},
        {"id": 217056256, "data": None}, {"id": 217056256, "data": "é" * 16}, {"id": 217056256 | 1 << 31, "data": "00" * 8},
    ],
)  # fmt: skip
def test_what_is_no_usual_frame_is_read_in_the_full_way(element: object) -> None:
    checked([{"id": 217056256, "data": "F17D91DE2E00F47D"}, element])  # type: ignore[list-item]


def test_other_sources_do_not_count() -> None:
    full, narrow = both("j1939", {"frames": "", "source": 3}, READ)
    payload = orjson.dumps(
        [{"id": can_id(61444, source), "data": f"F17D91DE{source:02x}00F47D"} for source in (3, 4)]
    )
    (have, found) = (outcome(codec, payload)["engine"]["engine_speed"] for codec in (full, narrow))
    assert have == found


def test_who_reads_unknown_groups_or_everything_gets_them() -> None:
    narrow = CODECS["j1939"].narrow
    assert narrow is not None
    for wanted in (
        Wanted(frozenset({"unknown"})),
        Wanted(frozenset(), passed_over=("can1",)),
        Wanted(frozenset(), digested=frozenset({"can2"})),
    ):
        assert narrow({"frames": ["can1", "can2"]}, wanted) is None
    assert narrow({"frames": ["can1", "can2"]}, Wanted(frozenset(), passed_over=("can",))) is not None


# ---------------------------------------------------------------- P1

TEXTS = (
    "id", "equipment", "time", "maker", "model", "version", "kind", "type", "type_code", "channel", "valve", "failures",
    "demand_history", "demand_max_time", "message", "message_raw", "clock_wrong", "limit_unit", "reading_unit", "reading",
    "volume",
)  # fmt: skip
TOTALS = ("energy_import", "energy_export")
METER = Wanted(frozenset((*TEXTS, *REGISTERS.values(), *TOTALS)), frozenset((*REGISTERS.values(), *TOTALS)))
OLD = ("0-0:17.0.0(016*A)", "0-1:24.3.0(090212160000)(00)(60)(1)(0-1:24.2.1)(m3)", "(00001.001)")


def same(full: Codec, narrow: Codec, payload: bytes) -> None:
    have, found = (outcome(codec, payload, received_at=NOW) for codec in (full, narrow))
    if isinstance(have, str):
        assert found == have
        return
    assert len(found["meters"]) == len(have["meters"])
    for one, other in zip(have["meters"], found["meters"], strict=True):
        told = other.get(AS_TOLD)
        for name in TEXTS:
            assert other.get(name) == one.get(name), name
        for name in METER.numbers:
            value = other.get(name)
            if isinstance(value, float):
                assert isinstance(told, Told)
                assert told.text(name) == one[name]
                assert value == float(one[name])
            else:
                assert value == one.get(name), name


def test_telegrams_of_a_shape_seen_before_give_the_same() -> None:
    full, narrow = both("dsmr", {}, METER)
    for lines in (V5, V5, (*V5[:3], "1-0:1.8.1(009999.120*kWh)", *V5[4:]), (*V5, *OLD), (*V5, *OLD)):
        same(full, narrow, telegram(*lines))
    assert isinstance(outcome(narrow, telegram(*V5))["meters"][0]["voltage_l1"], float)


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("1-0:1.7.0(00.421*kW)", "1-0:1.7.0(-0.421*kW)"),
        ("1-0:1.7.0(00.421*kW)", "1-0:1.7.0(0.4213*kW)"),
        ("1-0:1.7.0(00.421*kW)", "1-0:1.7.0(00x421*kW)"),
        ("1-0:1.7.0(00.421*kW)", "1-0:2.7.0(00.421*kW)"),
        ("1-0:1.7.0(00.421*kW)", "1-0:1.7.0(000421*kW)"),
        ("1-0:32.7.0(231.0*V)", "1-0:32.7.0(2310.*V)"),
        ("1-0:32.7.0(231.0*V)", "1-0:32.7.0(nan.0*V)"),
        ("0-0:96.14.0(0002)", "0-0:96.14.0(00A2)"),
        ("0-1:24.1.0(003)", "0-1:24.1.0(0)3"),
        ("0-1:96.1.0(4730303132333435363738)", "0-1:96.1.0(47303031)(333435363738)"),
        ("0-1:96.1.0(4730303132333435363738)", "0-1:96.1.0(473030*132333435363738)"),
        ("0-1:24.2.1(261101080000W)(00981.443*m3)", "0-1:24.2.1(269901080000W)(00981.443*m3)"),
        ("0-1:24.2.1(261101080000W)(00981.443*m3)", "0-1:24.2.1(261101080500W)(00981.444*m3)"),
        ("0-1:24.2.1(261101080000W)(00981.443*m3)", "0-1:24.2.1(000101080000W)(00981.443*m3)"),
        ("0-2:24.2.1(261101081500W)(12.345*GJ)", "0-2:24.2.1(261101081500W)(12x345*GJ)"),
        ("0-2:24.1.0(004)", "0-2:24.1.0(007)"),
        ("0-0:96.13.0()", "0-0:96.13.0(4142)"),
        ("0-0:96.1.1(4530303030303030303031323334353637)", "0-0:96.1.1(4530303030303030303031323334353638)"),
        ("1-3:0.2.8(50)", "1-3:0.2.8(42)"),
        ("0-0:1.0.0(261101083000W)", "0-0:1.0.0(261101083010W)"),
        ("0-0:1.0.0(261101083000W)", "0-0:1.0.0(000101083000W)"),
        ("0-0:1.0.0(261101083000W)", "0-0:1.0.0(261101083061S)"),
        ("1-3:0.2.8(50)", "1-3:0.2.8(XX)"),
        ("1-0:1.8.2(000765.433*kWh)", "1-0:1.8.2(00765.4330*kWh)"),
    ],
)
def test_what_differs_is_read_as_if_nothing_had_been_seen(line: str, instead: str) -> None:
    for options in ({}, {"check": False}):
        full, narrow = both("dsmr", options, METER)
        outcome(narrow, telegram(*V5), received_at=NOW)
        changed = telegram(*(instead if one == line else one for one in V5))
        same(full, narrow, changed)
        same(full, narrow, changed)
        same(full, narrow, telegram(*V5))


def test_what_stays_the_same_is_remembered_and_not_without_end() -> None:
    full, narrow = both("dsmr", {}, METER)
    for _ in range(2):
        for minute in range(3 * MAX_STILLS):
            gas = f"0-1:24.2.1(2611010800{minute:02}W)({minute:05}.443*m3)"
            same(full, narrow, telegram(*(gas if one.startswith("0-1:24.2.1") else one for one in V5)))
    one, other = (outcome(narrow, telegram(*V5))["meters"] for _ in range(2))
    one[1].clear()
    assert outcome(narrow, telegram(*V5))["meters"][1] == other[1] != {}


@given(st.integers(0, 2**32), st.integers(1, 4))
@settings(max_examples=150)
def test_damaged_telegrams_give_the_same(seed: int, count: int) -> None:
    full, narrow = both("dsmr", {"check": False}, METER)
    whole = telegram(*V5, *OLD)
    outcome(narrow, whole)
    dice = random.Random(seed)
    damaged = bytearray(whole)
    for _ in range(count):
        damaged[dice.randrange(len(damaged))] = dice.choice(b"0123456789.()*-:\r\nWSk!/A")
    same(full, narrow, bytes(damaged))


def test_the_checksum_is_looked_at_of_every_telegram() -> None:
    full, narrow = both("dsmr", {}, METER)
    whole = telegram(*V5)
    outcome(narrow, whole)
    same(full, narrow, whole.replace(b"231.0", b"231.1"))


def test_a_meter_that_never_writes_the_same_is_not_learned_for_ever() -> None:
    shapes = Shapes(METER)
    for number in range(MAX_LEARNED + 5):
        body = (
            f"\r\n1-0:1.7.0(00.{number:03}*kW)\r\n0-0:96.13.1(4{number:03})\r\n1-0:99.1.0(-{number:03})\r\n"
        )
        assert shapes.read(b"XYZ5", body.encode(), body) is None
        shapes.learn(b"XYZ5", body.encode(), body)
    (kind,) = shapes._kinds.values()
    assert (kind.learned, len(kind.shapes)) == (MAX_LEARNED, 4)


@pytest.mark.parametrize(
    "body",
    [
        "1-0:1.7.0(00.421*kW)\r\n1-0:1.7.0(00.421*kW)\r\n", "(1)\r\n", "rubbish\r\n", "1-0:1.7.0(-0.421*kW)\r\n",
        "1-0:1.7.0(0000000000000.421*kW)\r\n", "0-0:96.14.0(night)\r\n",
        "1-0:1.8.1(1.5*kWh)\r\n1-0:1.8.2(1.55*kWh)\r\n",
    ],
)  # fmt: skip
def test_telegrams_that_have_no_shape(body: str) -> None:
    assert shape_of(body, METER) is None


def test_who_reads_the_lines_as_they_stand_gets_them() -> None:
    narrow = CODECS["dsmr"].narrow
    assert narrow is not None
    for wanted in (
        Wanted(frozenset({"obis"})),
        Wanted(frozenset({"others"})),
        Wanted(frozenset(), passed_over=("x",)),
        Wanted(frozenset(), digested=frozenset({"meters"})),
    ):
        assert narrow({}, wanted) is None
