"""What counts as a stated value found, and on which topic a record goes out."""

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dutyroom.errors import Invalid, Rejected
from dutyroom.flows.replay import Given, Problem, compare, message_of, row_of, table, topic_of
from dutyroom.model.telemetry import PointSpec
from dutyroom.profiles.decode import DecodedEvent, pseudonym
from dutyroom.timebase import from_iso
from dutyroom.wiring.replay import read_records

TZ = ZoneInfo("Asia/Shanghai")
READINGS = [
    Given("volume", "volume", "m3", 6.408),
    Given("power", "power", "kW", -1.8998),
    Given("temperature", "temperature", "degC", 37.7),
    Given("door", "number", "", 1.0),
    Given("status", "number", "", 0.0, "LEAK DRY"),
]
EVENTS = [
    DecodedEvent(
        "1",
        PointSpec("passages"),
        0,
        "69",
        "passage",
        {"card": pseudonym("8165537"), "granted": True, "door": 3},
    )
]
ATTRIBUTES = [("serial", "061964xxxxxx"), ("port", 60000), ("battery", "3.00V"), ("numeric", "00860")]
TIMES = [from_iso("2021-08-10T17:28:32Z")]


def problem(value: Any, unit: str = "", name: str = "x") -> Problem | None:
    record = {"expected": {name: value}, "units": {name: unit} if unit else {}}
    return compare(record, READINGS, EVENTS, ATTRIBUTES, ["405419896"], TIMES, TZ)


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        (6.408, "m3"), (6408, "L"), (6.4080000001, "m3"), (-1899.8, "W"), (-1899.8, ""), (99.86, "°F"), (True, ""), (1, ""),
        ("LEAK DRY", ""), ("061964xxxxxx", ""), (60000, ""), ("60000", ""), ("3.00V", ""), ("6.408 m3", ""),
        (405419896, ""), ("405419896", ""), (8165537, ""), ("passage", ""), ("69", ""), (3, ""),
        ("2021-08-10 10:28:32 PDT", ""), (1628616512, ""), (1628616512000, ""), ("1628616512000", ""),
        ("8/11/2021, 1:28:32 AM", ""), (None, ""), ([], ""), ("00860", ""),
    ],
)  # fmt: skip
def test_a_stated_value_that_is_there(value: object, unit: str) -> None:
    assert problem(value, unit) is None


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        (6.409, "m3"),
        (6.408, "kWh2x"),
        (7, ""),
        ("DRY", ""),
        (False, "m"),
        ("2021-08-10 10:28:33 PDT", ""),
        ([1], ""),
        ("", ""),
    ],
)
def test_a_stated_value_that_is_not_there(value: object, unit: str) -> None:
    found = problem(value, unit)
    if value == 6.408:  # an unknown unit cannot be converted; the number itself counts
        assert found is None
    else:
        assert isinstance(found, Problem)
        assert "x=" in str(found)


def test_no_value_means_no_reading_of_that_name() -> None:
    assert problem(None, name="power") is not None
    assert problem(None, name="current") is None


def test_series_count_too() -> None:
    record = {"series": [{"point": "v", "value": 6408, "unit": "L"}, {"point": "v", "value": 1}]}
    assert compare(record, READINGS[:1], [], [], [], [], TZ) == Problem("not found", ("v=1",))


@pytest.mark.parametrize(
    ("transport", "topic"),
    [
        ("MQTT JSON, topic shellyemg3-dcb4d9c564f4/status/em1:0", "shellyemg3-dcb4d9c564f4/status/em1:0"),
        ("MQTT JSON from a wM-Bus receiver, topic wmbusmeters/<meter id>", "wmbusmeters/D1"),
        ("MQTT JSON, topic tele/<device>/SENSOR", "tele/D1/SENSOR"),
        ("MQTT JSON, topic /neuron/<app>/<driver>/<group>", "/neuron/app/driver/group"),
        ("MQTT, one value per topic: N/123/grid/30/Ac/L1/Power", "N/123/grid/30/Ac/L1/Power"),
        ("MQTT, one plain-text value per topic: building/info/floorHeight/feet", "building/info/floorHeight/feet"),
        ("MQTT JSON, topic application/<application id>/device/<DevEUI>/event/up", "application/application-id/device/D1/event/up"),
        ("MQTT JSON, topic <reply topic>/rpc", "reply-topic/rpc"),
        ("MQTT JSON from uhppoted-mqtt; reply topic named in the request, events on uhppoted/gateway/events[/live]", "uhppoted/gateway/replies"),
        ("by telephone", "uhppoted/gateway/replies"),
    ],
)  # fmt: skip
def test_the_topic_of_a_record(transport: str, topic: str) -> None:
    assert topic_of({"transport": transport, "family": "json-uhppoted", "device_id": "D1"}) == topic


def test_a_record_of_no_known_family_goes_out_on_its_own_topic() -> None:
    assert topic_of({"family": "new", "id": "a-1"}) == "samples/new/a-1"


def test_payload_encodings() -> None:
    assert message_of({"payload": "0aff", "payload_encoding": "hex"}, 5).payload == b"\x0a\xff"
    assert message_of({"payload": "0axx", "payload_encoding": "hex"}, 5).payload == b"0axx"
    assert message_of({"payload": "火警", "payload_encoding": "text"}, 5).payload == "火警".encode()


def test_a_record_that_must_be_refused() -> None:
    record = {"id": "a", "family": "f", "expected_error": "checksum", "expected": {}}
    assert row_of(record, "malformed", Problem("malformed")).ok
    assert not row_of(record, "decoded", None).ok


def test_the_table_sums_by_family() -> None:
    good = {"id": "a", "family": "f", "expected": {"x": 1, "y": 2}}
    rows = [
        row_of(good, "decoded", None),
        row_of(good, "decoded", Problem("not found", ("x=1",))),
        row_of(good, "malformed", Problem("malformed")),
    ]
    (row,) = table(rows)
    assert (row.sent, row.read, row.ok, row.stated, row.equal, dict(row.reasons)) == (
        3,
        2,
        1,
        6,
        3,
        {"malformed": 1},
    )
    assert rows[1].as_json() == {"id": "a", "family": "f", "ok": False, "problem": "not found: x=1"}


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    file = tmp_path / "x.ndjson"
    with pytest.raises(Rejected, match=r"x\.ndjson: No such file"):
        read_records(file)
    file.write_bytes(b'{"payload": 1}\n\xff')
    with pytest.raises(Rejected, match="not UTF-8 at byte 15"):
        read_records(file)
    for text, says in (("\n{bad", ":2: not JSON"), ('{"payload": 1}\n[1]', ":2: payload: missing")):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(Invalid, match=says):
            read_records(file)
