"""Statements and reads as files that a clerk opens."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from decimal import Decimal

import openpyxl
import pytest
from tests.flows.metered import Store, a_site, at, device, points_of

from dutyroom.backends.export import StatementFiles
from dutyroom.backends.records_sql import open_records
from dutyroom.flows.billing import close_period
from dutyroom.model.metering import Exchange, PeriodRead, ReadFlag

NOW = at("2026-11-01T00:30")
DEVICES = [
    device("A-1204-power", "electricity_meter", "A/12/1204"),
    device("A-public-power", "electricity_meter", "A"),
]


@pytest.fixture
def closed(tmp_path):
    records = open_records(f"sqlite:///{tmp_path}/records.sqlite")
    site, table, store = a_site({"A/12/1204": "89.6"}, DEVICES), points_of(DEVICES), Store()
    with records.write() as tx:
        tx.devices.upsert(DEVICES)
    for point, opening, closing in zip(table, (841_236, 0), (865_581, 2_000), strict=True):
        store.put(point, "2026-09-30T23:45", opening)
        store.put(point, "2026-10-31T23:45", closing)
    reads, run = close_period(site, table, store, records, "2026-10", NOW, "clerk")
    yield reads, run, table
    records.close()


@pytest.fixture
def files():
    return StatementFiles({"lake": "Asia/Shanghai"})


def rows_of(body: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline="")))


def test_csv(closed, files):
    header, *rows = rows_of(files.csv(closed[1].statements, "en"))
    assert header[:5] == ["Number", "Period", "Unit", "Version", "Item"]
    items = [(row[4], row[11], row[14], row[16]) for row in rows]
    assert items == [
        ("Electricity", "243.45", "124.41", ""),
        ("Tier 1, 0–200", "200", "101.00", "yes"),
        ("Tier 2, 200–400", "43.45", "23.41", "yes"),
        ("Public electricity, 20.00 kWh × 89.6 / 89.6 m²", "20.00", "10.10", ""),
        ("Total", "", "134.51", ""),
    ]
    assert rows[0][5:11] == [
        "A-1204-power",
        "8412.36",
        "2026-09-30T23:45:00+08:00",
        "8655.81",
        "2026-10-31T23:45:00+08:00",
        "1",
    ]


def test_the_lines_of_a_file_add_up(closed, files):
    _, *rows = rows_of(files.csv(closed[1].statements, "zh-CN"))
    printed = sum(round(float(row[14]) * 100) for row in rows if not row[16] and row[4] != "合计")
    assert printed == closed[1].statements[0].total


def test_xlsx(closed, files):
    book = openpyxl.load_workbook(io.BytesIO(files.xlsx(closed[1].statements, "zh-CN")))
    assert book.sheetnames == ["账单", "费用明细"]
    summary = list(book["账单"].iter_rows(values_only=True))
    assert summary[0][0] == "账单号"
    assert (summary[1][0], summary[1][7]) == ("202610-A1204-1", 134.51)
    assert book["费用明细"]["E2"].value == "电费"


def test_reads_show_a_missing_one_as_empty(closed, files):
    reads, _, table = closed
    missing = PeriodRead("lake", "A-1204-gas", "volume", at("2026-11-01T00:00"), None, None, ReadFlag.MISSING)
    _, *rows = rows_of(files.reads_csv((*reads.reads, missing), table, "en"))
    assert [row[3] for row in rows] == ["8655.81", "20.00", ""]
    book = openpyxl.load_workbook(io.BytesIO(files.reads_xlsx((missing,), table, "en")))
    assert book["Readings"]["D2"].value is None


def test_no_text_becomes_a_formula(files):
    nasty = PeriodRead("lake", "=1+1", "volume", NOW, 1, NOW, ReadFlag.ACTUAL, source="@x")
    table = points_of(DEVICES)
    _, row = rows_of(files.reads_csv((nasty,), table, "en"))
    assert (row[0], row[8]) == ("'=1+1", "'@x")
    for start in ("+1", "-1", "\t=1", "\r=1", "\n=1", "\uff1d1", "\uff0b1", "\uff0d1", "\uff20x"):
        _, row = rows_of(files.reads_csv((replace(nasty, device=start),), table, "en"))
        assert row[0] == f"'{start}"
    book = openpyxl.load_workbook(io.BytesIO(files.reads_xlsx((nasty,), table, "en")))
    assert (book["Readings"]["A2"].value, book["Readings"]["A2"].data_type) == ("=1+1", "s")


def test_a_share_names_the_register_that_it_stands_on(closed, files):
    _, *rows = rows_of(files.csv(closed[1].statements, "en"))
    share = next(row for row in rows if row[4].startswith("Public electricity"))
    assert share[5:10] == [
        "A-public-power",
        "0.00",
        "2026-09-30T23:45:00+08:00",
        "20.00",
        "2026-10-31T23:45:00+08:00",
    ]


def test_an_exchange_shows_both_its_registers_by_the_step_of_each_meter(closed, files):
    made = closed[1].statements[0]
    swap = Exchange(
        1,
        "lake",
        "A-1204-power",
        "energy",
        at("2026-10-17T10:00"),
        850_000,
        12,
        "li",
        "worn",
        step=Decimal("0.1"),
    )
    swapped = replace(made, usages=(replace(made.usages[0], exchanges=(swap,)),))
    header, first, *_ = rows_of(files.csv([swapped], "en"))
    assert first[header.index("Exchanges")] == "2026-10-17T10:00:00+08:00: 8500.00 → 1.2"
    assert (first[6], first[8]) == ("8412.36", "86558.1")


@pytest.mark.parametrize(
    ("currency", "shown", "value", "shape"),
    [
        ("CNY", "134.51", 134.51, "#,##0.00"),
        ("JPY", "13451", 13451, "#,##0"),
        ("KWD", "13.451", 13.451, "#,##0.000"),
    ],
)
def test_amounts_have_the_places_of_their_currency(closed, files, currency, shown, value, shape):
    made = replace(closed[1].statements[0], currency=currency)
    *_, total = rows_of(files.csv([made], "en"))
    assert total[14] == shown
    book = openpyxl.load_workbook(io.BytesIO(files.xlsx([made], "en")))
    cell = book.worksheets[0]["H2"]
    assert (cell.value, cell.number_format) == (value, shape)


def test_both_files_say_the_same(closed, files):
    header, *rows = rows_of(files.csv(closed[1].statements, "en"))
    sheet = openpyxl.load_workbook(io.BytesIO(files.xlsx(closed[1].statements, "en"))).worksheets[1]
    first, *others = [
        ["" if cell is None else cell for cell in row] for row in sheet.iter_rows(values_only=True)
    ]
    assert first == header
    for row, other in zip(rows, others, strict=True):
        for text, cell in zip(row, other, strict=True):
            same = text == cell if isinstance(cell, str) else Decimal(text) == Decimal(str(cell))
            assert same, (row, text, cell)
