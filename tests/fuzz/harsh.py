"""Profiles that no product needs: everything the profile language has that could run away with a payload."""

from __future__ import annotations

from typing import Final

from tests.fuzz import frames

from dutyroom.profiles.loading import read_profile
from dutyroom.profiles.profile import Profile

_BINARY: Final = """
name: {en: every step of a cursor program}
class: other
match: {topics: ["harsh/{id}"]}
identity: "{id}"
unwrap: [raw]
parameters: {k: 3}
points:
  power: {from: power, quantity: number}
  root: {from: root, quantity: number}
  ratio: {from: ratio, quantity: ratio, scale: 0.001}
  name: {from: name, kind: text}
  state: {from: state, kind: state}
  count: {from: sum, kind: counter, quantity: volume, step: 0.001, digits: 12}
  series: {each: "rows[*]", from: "@.v", quantity: number, time: {from: "@.t", format: epoch_s}}
  dated: {each: "deep[*]", from: "@.w", quantity: number, time: {ago: min, from: "@.w"}}
attributes: {name: name, words: words, spaced: spaced}
events:
  happened: {each: "rows[*]", when: {"@.v": {above: 5}}, code: "{@.v}", id: "{@.t}", arguments: {v: v}}
LAYOUT
examples:
  - {topic: harsh/1, payload: EXAMPLE}
"""
_ALL: Final = """layouts:
  - name: sums
    when: {bytes.hex: {match: "01*"}}
    binary:
      - a: u8
      - b: s32
      - c: f32
      - d: u64
      - e: f64
      - size: u8
      - words: text(size)
      - {let: power, value: "b ** c", when: "a % 20 == 0"}
      - {let: root, value: "(0 - d) ** (c / 3)", when: "a % 20 == 1"}
      - {let: ratio, value: "e * e * e", when: "a % 20 == 2"}
      - {let: rounded, value: "round(b, 0 - d)", when: "a % 20 == 3"}
      - {let: rounded_more, value: "round(e, b)", when: "a % 20 == 4"}
      - {let: shifted, value: "b << a", when: "a % 20 == 5"}
      - {let: back, value: "d >> b", when: "a % 20 == 6"}
      - {let: number, value: "float(words)", when: "a % 20 == 7"}
      - {let: whole, value: "int(words)", when: "a % 20 == 8"}
      - {let: product, value: "d * d * d", when: "a % 20 == 9"}
      - {let: name, value: "words + words + words + words", when: "a % 20 == 10"}
      - {let: spaced, value: "spaced(upper(words), words)", when: "a % 20 == 11"}
      - {let: grown, value: "exp(c) + ln(e) + sqrt(c) + log10(c)", when: "a % 20 == 12"}
      - {let: most, value: "max(b, c, e) % min(c, e)", when: "a % 20 == 13"}
      - {let: sum, value: "signed(d, a) + d // b", when: "a % 20 == 14"}
      - {let: state, value: "hex(d) if a > 3 else text(e)", when: "a % 20 == 15"}
      - {datetime: when, parts: [d, b, a, "b + 1", c, e], when: "a % 20 == 16"}
  - name: lists
    when: {bytes.hex: {match: "02*"}}
    order: little
    binary:
      - kind: u8
      - count: u32
      - {repeat: rows, times: "count", read: [{v: u8}, {let: t, value: "previous_t + v if index else 1793491200"}]}
      - {repeat: none, times: "count", read: [{let: q, value: "index"}]}
      - {repeat: deep, times: end, read: [{w: u4}, {bcd: {as: bcd2, when: "w > 8"}}, {skip_bits: 4}]}
  - name: walks
    when: {bytes.hex: {match: "03*"}}
    binary:
      - kind: u8
      - to: s16
      - {seek: "to"}
      - {repeat: rows, times: end, read: [{v: u8}, {seek: "v"}]}
  - name: records
    when: {bytes.hex: {match: "0?*"}}
    tlv:
      key: 1
      length: u8
      unknown: skip
      types:
        "01": [{v: u8}, {more: text(rest)}]
        "02": [{append: rows, read: [{v: u16}, {t: u32}]}]
        "04": [{append: rows, times: end, read: [{v: u8}]}]
        "05": [{size: u16}, {group: [{raw: hex(rest)}], name: inner, length: "size"}]
        "??": [{x: u8}, {switch: "x", cases: {1: [{w: u8}], 2-9: [{name: "latin1(x)"}], else: [{reject: odd}]}}]
  - name: sealed
    binary:
      - kind: u8
      - body: hex(rest)
      - {seek: -2}
      - sum: u16le
      - {check: crc16_modbus, over: [0, -2], equals: "sum"}
"""
_TEXT: Final = """text:
  - "(?P<state>(x+x+)+y)"
  - "^(?P<name>(a|a|aa)*)$"
  - "(?P<power>[0-9]*)(?P<root>.*)(?P<words>.*)(?P<spaced>.*)=(?P<sum>[0-9.]+)"
  - "(?s)(?P<words>(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)[^x])$"
"""
_LINES: Final = """each: "lines[*]"
text:
  pattern: ["(?P<name>\\\\w+)[ ,;:]+(?P<power>-?[0-9.eE+]+) ?(?P<words>[^ ]*)", "(?P<sum>[0-9]{1,1000})"]
  lines: true
  encoding: gb18030
"""


def _made(name: str, layout: str, example: str) -> Profile:
    text = (
        _BINARY.replace("LAYOUT", layout.rstrip())
        .replace("EXAMPLE", example)
        .replace("harsh/", f"harsh/{name}/")
    )
    return read_profile(text, f"harsh/{name}")


def _examples() -> str:
    """One for each layout of the cursor program."""
    lists, records, sealed = "0201000000059120100a", "0403010203", frames.rtu(b"\xa1abc").hex()
    more = "".join(f'\n  - {{topic: harsh/1, hex: "{each}"}}' for each in (lists, "030003", records, sealed))
    return '"\\u0001\\u0002abcdefghijklmnopqrstuvwxyz"}' + more.removesuffix("}")


def harsh() -> list[Profile]:
    return [
        _made("binary", _ALL, _examples()),
        _made("text", _TEXT, '"volume 12 = 3.5"'),
        _made("lines", _LINES, '"volume 12 m3\\npower 3e400 kW\\n"'),
    ]
