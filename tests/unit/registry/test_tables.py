"""Tables of devices as people and spreadsheets write them."""

from __future__ import annotations

import contextlib
import io
from datetime import date
from decimal import Decimal
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import tried

from dutyroom.backends.device_files import DeviceFiles
from dutyroom.errors import Invalid
from dutyroom.model.duty import DeviceStatus
from dutyroom.site.columns import CHINESE, COLUMNS, column_of
from dutyroom.site.drafts import read_drafts
from dutyroom.site.pairs import joined, parts
from dutyroom.site.table import CellKind, Sheet, read_csv

FILES = DeviceFiles()


def workbook(*rows: list[Any], shape: dict[str, str] | None = None) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in rows:
        sheet.append(row)
    for cell, number_format in (shape or {}).items():
        sheet[cell].number_format = number_format
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def flaws(sheet: Sheet) -> list[str]:
    return [str(flaw) for flaw in read_drafts(sheet)[1]]


TEXT = "设备编号,名称,类别,规约,地址,位置\nA-1,一号水表,水表,acme/water,00012345,A/1\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("between", [",", ";", "\t"])
def test_a_chinese_table_in_every_encoding_that_excel_has(encoding: str, between: str) -> None:
    sheet = FILES.read(TEXT.replace(",", between).encode(encoding), "devices.csv")
    (draft,), wrong = read_drafts(sheet)
    assert wrong == []
    assert draft.given["class"] == "water_meter"
    assert (draft.id, draft.given["name"], draft.given["address"]) == ("A-1", "一号水表", "00012345")
    assert "status" not in draft.given  # a column that is not there says nothing


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("900", 900), ("15min", 900), ("15 Min", 900), ("1h", 3600), ("1.5 h", 5400), ("15分钟", 900), ("1小时", 3600),
        ("31d", 2_678_400), ("0.5", None), ("0", None), ("32d", None), ("1h30", None), ("nan", None), ("-1h", None),
        ("1e3", None), ("1_000", None), ("９００", None), ("99999999999999", None), ("h", None),
    ],
)  # fmt: skip
def test_an_interval_is_seconds_or_a_duration(text: str, seconds: int | None) -> None:
    sheet = read_csv(f"id,interval_s\nA-1,{text}\n".encode(), "d.csv")
    (draft,), wrong = read_drafts(sheet)
    assert draft.given["interval_s"] == seconds
    assert bool(wrong) is (seconds is None)


@pytest.mark.parametrize("name", COLUMNS)
def test_every_column_has_a_name_in_both_languages(name: str) -> None:
    assert column_of(name) == column_of(name.upper().replace("_", " ")) == column_of(CHINESE[name]) == name


@pytest.mark.parametrize(
    ("title", "field"),
    [
        ("规约/配置", "profile"), ("表地址", "address"), ("Interval (s)", "interval_s"), ("CT变比", "parameter.ct"),
        ("Pulse weight", "parameter.pulse_weight"), ("参数.height", "parameter.height"), ("colour", ""), ("", ""),
    ],
)  # fmt: skip
def test_titles_as_people_write_them(title: str, field: str) -> None:
    assert column_of(title) == field


def test_every_flaw_of_a_table_by_row_and_column() -> None:
    text = (
        "id,class,profile,address,interval_s,digits,resolution,parameters,status,colour\n"
        "A-1,water_metre,a/b,1,900x,0,-1,x,asleep,\n"
        "A-1,water_meter,a/b,2,900,5,0.010,x=1;x=2,,\n"
        ",water_meter,a/b,2,,16,0,,,,too,many\n"
    )
    assert flaws(read_csv(text.encode(), "d.csv")) == [
        'd.csv row 1, column "colour": unknown column',
        'd.csv row 2, column "class": "water_metre" is no device class; did you mean "water_meter"?',
        'd.csv row 2, column "interval_s": must be seconds (900) or a duration such as 15min, at most 2678400 s, not "900x"',
        'd.csv row 2, column "digits": must be a whole number from 1 to 15, not "0"',
        'd.csv row 2, column "resolution": must be a number above 0 such as 0.01, not "-1"',
        'd.csv row 2, column "parameters": "x" is not key=value',
        'd.csv row 2, column "status": "asleep" is no status; write active, out_of_service or withdrawn',
        'd.csv row 3, column "parameters": "x" is there twice',
        "d.csv row 4: has 12 cells where the header has 10",
        'd.csv row 4, column "digits": must be a whole number from 1 to 15, not "16"',
        'd.csv row 4, column "resolution": must be a number above 0 such as 0.01, not "0"',
        'd.csv row 4, column "id": is empty',
        'd.csv row 3, column "id": "A-1" is used twice; first in row 2',
    ]


def test_a_title_row_above_the_names_is_passed_over() -> None:
    sheet = FILES.read(workbook(["设备清单 2026"], [], ["编号", "地址"], ["A-1", 12]), "d.xlsx")
    (draft,), wrong = read_drafts(sheet)
    assert (wrong, draft.row, draft.given["address"]) == ([], 4, "12")


def test_cells_as_a_workbook_has_them() -> None:
    raw = workbook(
        ["id", "address", "serial", "name", "digits", "resolution"],
        ["A-1", 12345, 202411000101, "=1+1", 8.0, 0.001],
        ["A-2", date(2026, 5, 1), 1234567890123456789, True, 5, "0.01"],
        ["A-3", "2.02E+11", "#N/A", "x", None, None],
        shape={"B2": "00000000"},
    )
    sheet = FILES.read(raw, "d.xlsx")
    drafts, _ = read_drafts(sheet)
    assert sheet.rows[1][1][1].text == "00012345"  # shown so, meant so
    assert sheet.rows[1][1][3].kind is CellKind.FORMULA
    assert drafts[0].given["resolution"] == Decimal("0.001")
    assert drafts[0].given["digits"] == 8
    assert flaws(sheet) == [
        'd.xlsx row 2, column "name": is a formula without a result; open and save the file in a spreadsheet, or paste values',
        'd.xlsx row 3, column "address": the spreadsheet made a date of it (2026-05-01 00:00:00); format the column as text and enter it again',
        'd.xlsx row 3, column "serial": a number of more than 15 digits has lost some in the spreadsheet; format as text and enter it again',
        'd.xlsx row 4, column "address": the spreadsheet shortened it to 2.02E+11; format the column as text and enter it again',
        'd.xlsx row 4, column "serial": the spreadsheet shows an error here: #N/A',
    ]


def test_single_parameters_in_columns_of_their_own() -> None:
    sheet = read_csv("id,CT,PT变比,脉冲当量,参数\nA-1,200/5,10000/100,0.01,use=fire\n".encode(), "d.csv")
    (draft,), wrong = read_drafts(sheet)
    assert wrong == []
    assert draft.given["parameters"] == {"use": "fire", "ct": 40, "pt": 100, "pulse_weight": 0.01}


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "d.xlsx: is empty"),
        (b"PK\x03\x04 nothing", "d.xlsx: cannot be read as a workbook: BadZipFile"),
        (b"\xd0\xcf\x11\xe0 old", "d.xlsx: is an old Excel workbook or has a password; save it as .xlsx without one"),
        (b"\xff\x00\x81", "d.xlsx: is neither UTF-8 nor GB18030 (byte 0); save it as CSV UTF-8"),
        (b'id,name\n"open', "d.xlsx row 2: is not CSV: unexpected end of data"),
        (b"what,is,this\n1,2,3\n", 'd.xlsx row 1: has no row of column names; one of them must be "id" (设备编号)'),
    ],
)  # fmt: skip
def test_files_that_are_no_table(raw: bytes, said: str) -> None:
    try:
        found = flaws(FILES.read(raw, "d.xlsx"))
    except Invalid as err:
        found = [str(m) for m in err.mistakes]
    assert found == [said]


@settings(max_examples=tried(75), deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_give_a_table_or_a_sentence(raw: bytes) -> None:
    for head in (b"", b"PK\x03\x04", b"id,class\n"):
        with contextlib.suppress(Invalid):
            read_drafts(FILES.read(head + raw, "d.csv"))


def test_a_workbook_cut_anywhere_gives_a_sentence() -> None:
    raw = workbook(["id", "address"], ["A-1", "1"])
    for end in range(4, len(raw), 97):
        with pytest.raises(Invalid):
            FILES.read(raw[:end], "d.xlsx")


scalars = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.integers(-(10**17), 10**17),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
)


@settings(max_examples=tried(100))
@given(st.dictionaries(st.from_regex(r"[\w.-]{1,12}", fullmatch=True), scalars, max_size=5))
def test_parameters_are_the_same_there_and_back(parameters: dict[str, Any]) -> None:
    back = {name: value for _, name, value in parts(joined(parameters))}
    assert back == parameters
    assert {n: type(v) for n, v in back.items()} == {n: type(v) for n, v in parameters.items()}


def test_a_status_in_chinese() -> None:
    (draft,), wrong = read_drafts(read_csv("设备编号,状态\nA-1,停用\n".encode(), "d.csv"))
    assert (wrong, draft.given["status"]) == ([], DeviceStatus.OUT_OF_SERVICE)
