"""The cursor language: types, steps, and what it refuses."""

import time
from contextlib import suppress
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dutyroom.errors import Invalid, Rejected
from dutyroom.profiles.binary.cursor import Skipped
from dutyroom.profiles.binary.form import Reader
from dutyroom.profiles.binary.program import binary_codec
from dutyroom.profiles.checksums import CHECKSUMS
from dutyroom.profiles.codecs.seam import Ask
from dutyroom.profiles.form import Form
from dutyroom.profiles.yamlnode import read_node


def fields(text: str, payload: str, order: str = "big", ask: Ask | None = None, groups: str = "") -> object:
    """The document that a program (or a `tlv:` table) makes of bytes in hex."""
    form = Form()
    node = read_node(dedent(text), "profile.yaml")
    named = read_node(dedent(groups), "profile.yaml").value if groups else {}
    assert isinstance(named, dict)
    reader = Reader(form, order, named, frozenset({"ct"}))
    table = isinstance(node.value, dict) and "types" in node.value
    rule = reader.table(node, "tlv") if table else reader.program(node, "binary")
    if form.mistakes:
        raise Invalid(form.mistakes)
    return binary_codec(rule)(bytes.fromhex(payload), ask or Ask())


@pytest.mark.parametrize(
    ("kind", "payload", "wanted"),
    [
        ("u8", "ff", 255), ("s8", "ff", -1), ("sm8", "85", -5), ("u16", "0102", 258), ("u16le", "0102", 513),
        ("s16le", "feff", -2), ("u24", "010203", 66051), ("s24le", "ffffff", -1), ("u32cdab", "00020001", 65538),
        ("u32badc", "00010200", 0x01000002), ("u64", "ffffffffffffffff", 2**64 - 1), ("f16", "3c00", 1.0),
        ("f32", "41200000", 10.0), ("f32le", "00002041", 10.0), ("f32cdab", "00004120", 10.0), ("f64", "4024000000000000", 10.0),
        ("f32", "7fc00000", None), ("f32", "7f800000", None), ("bcd8", "12345678", 12345678), ("bcd8le", "78563412", 12345678),
        ("text(4)", "41420000", "AB"), ("latin1(1)", "e9", "é"), ("gb18030(4)", "bbf0beaf", "火警"), ("hex(2)", "0a0b", "0a0b"),
        ("hex(rest)", "010203", "010203"), ("text(rest)", "", ""),
    ],
)  # fmt: skip
def test_types(kind: str, payload: str, wanted: object) -> None:
    assert fields(f"[x: {kind}]", payload) == {"x": wanted}


def test_bits_run_from_the_most_significant() -> None:
    text = "[a: u3, b: s5, c: flag, d: u12, {skip_bits: 3}, {align: byte}, e: u8]"
    assert fields(text, "5f fa b0 00 07") == {"a": 2, "b": -1, "c": True, "d": 0xF56, "e": 0}
    assert fields("[a: u4, b: u16, c: u4]", "12345f") == {"a": 1, "b": 0x2345, "c": 15}


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 2**40 - 1)), min_size=1, max_size=12))
def test_what_was_written_bit_by_bit_is_read_bit_by_bit(numbers: list[tuple[int, int]]) -> None:
    bits = "".join(f"{value % (1 << width):0{width}b}" for width, value in numbers)
    padded = bits + "0" * (-len(bits) % 8)
    payload = int(padded, 2).to_bytes(len(padded) // 8, "big").hex()
    text = "[" + ", ".join(f"f{n}: u{width}" for n, (width, _) in enumerate(numbers)) + "]"
    wanted = {f"f{n}": value % (1 << width) for n, (width, value) in enumerate(numbers)}
    assert fields(text, payload) == wanted


def test_what_a_value_means() -> None:
    text = """
    - temperature: {as: s16, scale: 0.1, none: [0x7FFF]}
    - level: {as: u8, scale: 0.5, offset: -10}
    - mode: {as: u8, map: {0: off, 0x01: on}, otherwise: other}
    - code: {as: u8, map: {0: fine}}
    - flags: {as: u8, bits: {0: leak, 1: {name: closed, invert: true}, "4-5": {name: speed, map: {2: fast}}}}
    - twice: {as: u8, at: 0}
    """
    assert fields(text, "00fb 14 01 09 a1") == {
        "temperature": 25.1, "level": 0.0, "mode": "on", "code": 9, "flags": 0xA1, "leak": True, "closed": True,
        "speed": "fast", "twice": 0,
    }  # fmt: skip
    found = fields(text, "7fff 14 05 00 00")
    assert isinstance(found, dict)
    assert found["temperature"] is None
    assert found["mode"] == "other"


def test_a_group_under_a_flag_a_record_and_a_limited_length() -> None:
    text = """
    - flags: u8
    - {group: [battery: u8], when: "flags & 1"}
    - {group: [lat: s16, lon: s16], when: "flags & 2", name: gps}
    - size: u8
    - {group: [note: text(rest)], length: size}
    - last: u8
    """
    assert fields(text, "02 0001fffe 02 4142 09") == {
        "flags": 2, "gps": {"lat": 1, "lon": -2}, "size": 2, "note": "AB", "last": 9,
    }  # fmt: skip


def test_lists_of_records() -> None:
    counted = '[count: u8, {repeat: log, times: count, read: [v: u8, {let: nth, value: "index + 1"}]}]'
    assert fields(counted, "02 0a 0b ff") == {"count": 2, "log": [{"v": 10, "nth": 1}, {"v": 11, "nth": 2}]}
    assert fields("[{repeat: log, times: end, read: [v: u16]}]", "00010002") == {"log": [{"v": 1}, {"v": 2}]}
    with pytest.raises(Rejected, match=r"v: 2 bytes wanted at byte 2, 1 left"):
        fields("[{repeat: log, times: end, read: [v: u16]}]", "000100")


def test_a_switch_by_value_range_or_else() -> None:
    text = '[kind: u8, {switch: kind, cases: {1: [a: u8], "2,0x03": [b: u8], 4-7: {c: u8}, 9: {ignore: a status}, else: {reject: what is that}}}]'
    assert fields(text, "0105") == {"kind": 1, "a": 5}
    assert fields(text, "0305") == {"kind": 3, "b": 5}
    assert fields(text, "0605") == {"kind": 6, "c": 5}
    with pytest.raises(Skipped, match="a status"):
        fields(text, "09")
    with pytest.raises(Rejected, match="what is that"):
        fields(text, "0a")
    with pytest.raises(Rejected, match="unknown kind: 3"):
        fields("[kind: u8, {switch: kind, cases: {1: [a: u8]}}]", "03")


def test_ports_lengths_parameters_and_helpers() -> None:
    text = '[{let: p, value: port}, {let: n, value: length}, _raw: u8, {let: v, value: "_raw * ct"}, {let: rest, value: left}]'
    assert fields(text, "0500", ask=Ask(port=85, parameters={"ct": 40})) == {
        "p": 85,
        "n": 2,
        "v": 200,
        "rest": 1,
    }


def test_a_local_time_from_its_parts() -> None:
    text = "[y: u8, m: u8, d: u8, h: u8, {datetime: at, parts: [2000 + y, m, d, h]}]"
    found = fields(text, "1a0b1a07")
    assert isinstance(found, dict)
    assert found["at"] == "2026-11-26T07:00:00"
    never = fields(text, "00000000")
    assert isinstance(never, dict)
    assert never["at"] is None


def test_checks_refuse_what_does_not_hold() -> None:
    text = "[a: u16, {check: sum8, over: [0, 2], equals: sum}, sum: u8]"
    with pytest.raises(Invalid):
        fields("[{check: sum9, equals: a}]", "")
    framed = "[{seek: -1}, sum: u8, {seek: 0}, a: u16, {check: sum8, over: [0, -1], equals: sum}]"
    assert fields(framed, "010203") == {"sum": 3, "a": 258}
    with pytest.raises(Rejected, match=r"sum8 of bytes 0 to 1 is 0x3, the message says 4"):
        fields(framed, "010204")
    with pytest.raises(Rejected, match="does not hold"):
        fields('[a: u8, b: u8, {check: holds, equals: "a == b"}]', "0102")
    assert text  # the first form asks for a field that is not read yet: it never holds


TABLE = """
key: 2
types:
  "01 75": {battery: u8}
  "03 67": [temperature: {as: s16le, scale: 0.1}]
  "?? c8": ["pulse_{channel}": u32le]
  "20 ce": {append: history, read: [level: u16le]}
"""


def test_a_table_of_types() -> None:
    payload = "017564 0367ecff 05c801000000 06c802000000 20ce0a00 20ce0b00"
    assert fields(TABLE, payload) == {
        "battery": 100, "temperature": -2.0, "pulse_5": 1, "pulse_6": 2, "history": [{"level": 10}, {"level": 11}],
    }  # fmt: skip


def test_an_unknown_type_ends_the_message_with_a_finding() -> None:
    ask = Ask()
    assert fields(TABLE, "017564 ff99 010203", ask=ask) == {"battery": 100}
    assert ask.report.findings == [("unknown_code", "type ff 99 at byte 3")]
    assert ask.report.unread == 5
    with pytest.raises(Rejected, match="unknown type ff 99 at byte 3"):
        fields(TABLE + "unknown: reject", "017564 ff99")


def test_a_message_that_begins_with_an_unknown_type_has_told_nothing() -> None:
    with pytest.raises(Rejected, match="unknown type ff 99 at byte 0"):
        fields(TABLE, "ff99 017564")


def test_a_table_with_lengths_skips_what_it_does_not_know() -> None:
    text = 'key: 1\nlength: u8\nunknown: skip\ntypes: {"01": {a: u8}, "02": {b: u16}}'
    assert fields(text, "01 02 05 ff  77 03 010203  02 02 0001") == {"a": 5, "b": 1}
    with pytest.raises(Rejected, match="length"):
        fields(text, "01 09 05")


def test_a_table_has_no_more_records_than_any_device_sends() -> None:
    assert fields(TABLE, "017564" * 500) == {"battery": 100}
    with pytest.raises(Rejected, match="too many records"):
        fields(TABLE, "017564" * 501)


def test_named_groups() -> None:
    groups = "{header: [a: u8], both: [{use: header}, b: u8]}"
    assert fields("[{use: both}, c: u8]", "010203", groups=groups) == {"a": 1, "b": 2, "c": 3}
    with pytest.raises(Invalid, match="uses itself"):
        fields("[{use: x}]", "", groups="{x: [{use: x}]}")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[a: u65]", "binary[0].a: 'u65': that many bits cannot be read"),
        ("[a: int8]", "binary[0].a: unknown type 'int8'"),
        ("[a: {}]", "binary[0].a.as: is missing"),
        ("[a: {as: u8, mp: {}}]", "binary[0].a.mp: unknown field; did you mean 'map'?"),
        ("[a: {as: u8, bits: {9-2: x}}]", "must be a bit"),
        ('[{let: a, value: "b +"}]', "binary[0].value: 'b +' is no expression"),
        ("[{repeat: a}]", "binary[0].read: is missing"),
        ("[{switch: a}]", "binary[0].cases: is missing"),
        ("[a: u8, {switch: a, cases: {1-: [b: u8]}}]", "binary[1].cases.1-: '1-' is no range"),
        ("[a: u8, {switch: a, cases: {7-4: [b: u8]}}]", "binary[1].cases.7-4: '7-4' is no range"),
        ("[{use: x}]", "there is no group 'x'"),
        ("[1]", "must be a field"),
        (
            '[status: u8, battery: {as: u8, when: "statsu & 8"}]',
            "binary[1].battery.when: there is no field or parameter 'statsu'; did you mean 'status'?",
        ),
        ('[{let: a, value: "volts * tc"}, volts: u8]', "there is no field or parameter 'tc'"),
        ('{types: {"0g": {a: u8}}}', "must be 2 bytes in hex"),
        ("{key: 9, types: {}}", "must be 1, 2 or 3 bytes"),
        ("[u12le: u12le]", "a byte order needs whole bytes"),
    ],
)
def test_mistakes_are_told_by_field(text: str, told: str) -> None:
    with pytest.raises(Invalid) as caught:
        fields(text, "")
    assert told in "\n".join(str(m) for m in caught.value.mistakes)


@pytest.mark.parametrize(
    ("kind", "payload"), [("f32", "c479f99a"), ("f64", "c08f3f3333333333"), ("f16", "e3d0")]
)
def test_a_float_that_means_no_reading(kind: str, payload: str) -> None:
    assert fields(f"[a: {{as: {kind}, none: [-999.9, 1e300, none]}}]", payload) == {"a": None}
    assert fields(f"[a: {{as: {kind}, none: [-999.7]}}]", payload) != {"a": None} or kind == "f16"


def test_a_meter_that_writes_no_digits_has_no_reading() -> None:
    text = "[a: {as: bcd8le, none: [0xFFFFFFFF, 0xEEEEEEEE]}]"
    assert fields(text, "ffffffff") == fields(text, "eeeeeeee") == {"a": None}
    assert fields(text, "78563412") == {"a": 12345678}
    for payload in ("ffffff1f", "aaaaaaaa"):
        with pytest.raises(Rejected, match="is not BCD"):
            fields(text, payload)


@pytest.mark.parametrize(
    ("text", "payload", "told"),
    [
        ("[a: u16]", "01", "a: 2 bytes wanted at byte 0, 1 left"),
        ("[a: u8, b: bcd4]", "01 1a2b", "b at byte 1: '1a2b' is not BCD"),
        ("[a: bcd3, b: u4]", "a123", "is not BCD"),
        ("[a: text(2)]", "ff41", "a at byte 0: not UTF-8 at byte 0"),
        ("[n: u8, a: text(n)]", "05 41", "a: 5 bytes wanted at byte 1, 1 left"),
        ("[{skip: 3}]", "0102", "skip"),
        ("[{seek: 9}]", "0102", "seek"),
        ("[a: {as: u8, at: 9}]", "0102", "there is no byte 9"),
        ("[{repeat: a, times: end, read: [{let: x, value: 1}]}]", "01", "reads nothing"),
        (
            "[n: u32, {repeat: a, times: n, read: [{let: x, value: 1}]}]",
            "7fffffff",
            "more than 10000 records",
        ),
    ],
)
def test_bad_bytes_are_told_by_field_and_place(text: str, payload: str, told: str) -> None:
    with pytest.raises(Rejected) as caught:
        fields(text, payload)
    assert told in caught.value.reason


EVERYTHING = """
- flags: {as: u8, bits: {0: a, "1-3": b}}
- {group: [n: u8, {repeat: log, times: "n", read: [v: u12]}], when: "flags & 1"}
- {align: byte}
- {switch: "flags & 6", cases: {0: [t: text(3)], 2: [d: bcd6], else: [f: f32]}}
- {tlv: {key: 1, types: {"01": {x: s16}, "0?": {y: u8}, "10": {append: h, read: [z: s24le]}}}}
"""


@given(st.binary(max_size=80))
def test_any_bytes_give_fields_or_a_reason(payload: bytes) -> None:
    with suppress(Rejected):
        assert isinstance(fields(EVERYTHING.replace("0?", "02"), payload.hex()), dict)


def test_a_record_knows_the_one_before_it() -> None:
    text = """
    - first: u8
    - {append: log, read: [{let: volume, value: first}]}
    - {append: log, times: "left", read: [_delta: u8, {let: volume, value: "previous_volume + _delta"}]}
    """
    assert fields(text, "0a 01 02 03") == {"first": 10, "log": [{"volume": v} for v in (10, 11, 13, 16)]}
    lonely = "[{repeat: log, times: 1, read: [{let: a, value: previous_a}]}]"
    assert fields(lonely, "") == {"log": [{"a": None}]}


@pytest.mark.parametrize(
    "program",
    [
        "[{repeat: log, times: end, read: [a: u8, {check: crc16_modbus, over: [0, length], equals: ct}]}]",
        "[{repeat: log, times: 9999, read: [{check: crc32, over: [0, length], equals: ct}]}]",
        "[{repeat: log, times: end, read: [a: u8, all: {as: gb18030(4096), at: 0}]}]",
        "[{repeat: log, times: 9999, read: [{seek: 0}, all: hex(4096)]}]",
    ],
)
def test_a_message_is_not_gone_over_again_in_every_record(program: str) -> None:
    """A frame of 16 KiB with a checksum that is right cost ten seconds."""
    payload = bytes(16 * 1024)
    crc = CHECKSUMS["crc32" if "crc32" in program else "crc16_modbus"](payload)
    started = time.process_time()
    with pytest.raises(Rejected, match=r"go over more than 131072 bytes"):
        fields(program, payload.hex(), ask=Ask(parameters={"ct": crc}))
    assert time.process_time() - started < 0.5


def test_each_record_may_have_its_checksum_and_the_frame_several() -> None:
    record = "[a: u16, s: u8, {check: sum8, over: ['position - 3', 'position - 1'], equals: s}]"
    text = f"[{{repeat: log, times: end, read: {record}}}, {{check: sum8, over: [0, length], equals: ct}}]"
    found = fields(text, "010203" * 3000, ask=Ask(parameters={"ct": 6 * 3000 & 0xFF}))
    assert isinstance(found, dict)
    assert len(found["log"]) == 3000


@pytest.mark.parametrize("over", ["[a + 2, 1]", "[-9, 2]", "[0, 9]"])
def test_a_checksum_over_bytes_that_are_not_there_never_holds(over: str) -> None:
    with pytest.raises(Rejected, match="sum8: there are no bytes"):
        fields(f"[a: u16, {{check: sum8, over: {over}, equals: 0}}]", "0000")


@pytest.mark.parametrize("over", ["", "over: [0, a], ", "over: [-2, 'length - 2 + a'], "])
def test_a_checksum_over_no_bytes_never_holds(over: str) -> None:
    """The sum of nothing is right whatever the message says."""
    program = f"[{{let: a, value: 0}}, {{check: sum8, {over}equals: 0}}]"
    with pytest.raises(Rejected, match="sum8: goes over no bytes at byte"):
        fields(program, "0000")


@pytest.mark.parametrize("over", ["[0, 0]", "[2, 1]", "[-2, -2]", "[-1, -3]"])
def test_a_checksum_that_can_only_go_over_no_bytes_is_a_mistake(over: str) -> None:
    with pytest.raises(Invalid, match="is no byte, which protects nothing"):
        fields(f"[a: u16, {{check: sum8, over: {over}, equals: 0}}]", "0000")


def test_a_text_that_grows_from_record_to_record_is_bounded() -> None:
    text = """
    - {append: log, read: [{let: t, value: "'ab'"}]}
    - {append: log, times: 40, read: [{let: t, value: "previous_t + previous_t"}]}
    """
    with pytest.raises(Rejected, match="too long"):
        fields(text, "00")


def test_a_sentinel_or_code_of_a_signed_number_may_be_written_as_its_bits() -> None:
    """A data sheet says FFFF; -1 was read as -0.1 degrees, and nothing told."""
    text = """
    - t: {as: s16, scale: 0.1, none: [0xFFFF, 0xFFFD]}
    - u: {as: s16le, scale: 0.1, none: [-1]}
    - m: {as: s8, map: {0xFF: fault, 1: fine}}
    - z: {as: sm16, none: [0x8001, 0x8000]}
    """
    assert fields(text, "ffff ffff ff 8001") == {"t": None, "u": None, "m": "fault", "z": None}
    assert fields(text, "fffd fdff 01 0000") == {"t": None, "u": -0.3, "m": "fine", "z": 0}
    assert fields("[w: {as: s12, none: [0xFFF]}, {align: byte}]", "fff0") == {"w": None}


@pytest.mark.parametrize(
    ("kind", "value"), [("u8", "0xFFFF"), ("u16", "-1"), ("s16", "70000"), ("s8", "-129"), ("u16", "1.5")]
)
def test_a_sentinel_that_a_type_can_never_have_is_a_mistake(kind: str, value: str) -> None:
    with pytest.raises(Invalid, match=rf"x\.none: {kind} is never "):
        fields(f"[x: {{as: {kind}, none: [{value}]}}]", "00")
    for fine in ("0", "1"):
        fields(f"[x: {{as: {kind}, none: [{fine}]}}]", "0000")


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [("04", "a"), ("09", "a"), ("10", "a"), ("15", "a"), ("0a", "a"), ("0b", "b"), ("16", "b")],
)
def test_a_case_may_name_several_ranges_and_values(kind: str, wanted: str) -> None:
    """Two ranges with a comma were one word that no value is: the case never came, or `else` did."""
    cases = "{'4-9, 16-21,10': [{let: x, value: \"'a'\"}], else: [{let: x, value: \"'b'\"}]}"
    assert fields(f"[k: u8, {{switch: k, cases: {cases}}}]", kind) == {"k": int(kind, 16), "x": wanted}
    with pytest.raises(Invalid, match="'9-4' is no range"):
        fields("[k: u8, {switch: k, cases: {'1,9-4': [{skip: 1}]}}]", "0000")
