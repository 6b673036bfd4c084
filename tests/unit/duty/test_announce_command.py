"""`dutyroom announce` on a data folder without a running service."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dutyroom.backends.records_sql import open_records
from dutyroom.cli import app
from dutyroom.model.duty import Device
from dutyroom.site import Site
from dutyroom.wiring.memory import remember

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "sites" / "yard").mkdir(parents=True)
    remember(Site("yard", {"en": "Yard"}, "Asia/Shanghai"), tmp_path / "sites" / "yard")
    records = open_records(f"sqlite:///{tmp_path}/records.sqlite")
    with records.write() as tx:
        tx.devices.upsert([Device("yard", "main", "Main", "feeder", "v/m", "1", "A")])
    records.close()
    return tmp_path


@pytest.fixture
def run(data: Path) -> Run:
    def command(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["announce", *arguments, "--data", str(data)])
        return done.exit_code, done.output

    return command


def test_an_outage_is_announced_listed_and_ended_and_the_trail_says_who_and_why(run: Run, data: Path) -> None:
    given = ("--utility", "power", "--device", "main", "--ends", "2h", "--reason", "Switchgear overhaul")
    code, said = run("add", "outage", *given)
    assert (code, said[:22]) == (0, "Announced as number 1,"), said
    _, said = run("list")
    assert "running  outage" in said
    assert "power, main  0 alarms  command line: Switchgear overhaul" in said
    assert run("end", "1", "--reason", "Done early") == (0, "Ended number 1.\n")
    assert run("list") == (0, "Nothing is announced.\n")
    assert "(ended by command line)" in run("list", "--all")[1]
    records = open_records(f"sqlite:///{data}/records.sqlite")
    with records.read() as tx:
        trail = [(row.actor, row.action, row.detail) for row in tx.audit_rows("yard", limit=10)]
    records.close()
    assert ("command line", "announcement.outage", "Switchgear overhaul") in trail
    assert ("command line", "announcement.cancelled", "Done early") in trail


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("party", "--ends", "2h", "--reason", "x"), "outage or fire-test"),
        (("outage", "--utility", "power", "--ends", "2h", "--reason", " "), "--reason"),
        (("outage", "--utility", "steam", "--ends", "2h", "--reason", "x"), "--utility 'steam'"),
        (("outage", "--utility", "power", "--ends", "soon", "--reason", "x"), "--ends"),
        (("outage", "--utility", "power", "--ends", "2020-01-01T00:00", "--reason", "x"), "--ends"),
        (("outage", "--utility", "power", "--ends", "30d", "--reason", "x"), "--ends"),
        (("outage", "--utility", "power", "--ends", "2h", "--begins", "now", "--reason", "x"), "--begins"),
        (("fire-test", "--ends", "2h", "--begins", "2030-01-01T00:00", "--reason", "x"), "--begins"),
        (("outage", "--device", "gone", "--ends", "2h", "--reason", "x"), "--device 'gone'"),
        (("outage", "--space", "Z", "--ends", "2h", "--reason", "x"), "--space 'Z'"),
        (("outage", "--ends", "2h", "--reason", "x"), "--utility, --device or --space"),
    ],
)
def test_a_refusal_names_the_option_and_announces_nothing(
    run: Run, arguments: tuple[str, ...], names: str
) -> None:
    code, said = run("add", *arguments)
    assert code == 1
    assert names in said
    assert run("list", "--all") == (0, "Nothing is announced.\n")


def test_what_is_not_announced_cannot_be_ended(run: Run) -> None:
    code, said = run("end", "7", "--reason", "x")
    assert code == 1
    assert "the number" in said
