"""`dutyroom devices` beside a running service and without one: the same files, the same answers."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.publish as publish
import pytest
import xlsxwriter
from tests.shipped_profiles import as_after_a_first_start

from dutyroom.backends.records_sql import open_records
from dutyroom.model.duty import DeviceStatus

SITE = "id: yard\nname: Yard\ntime_zone: Asia/Shanghai\n"
SPACES = "spaces:\n  - {path: A, kind: building, name: A}\n  - {path: A/1, kind: unit, name: '1', area: 50}\n"
DEVICES = "id,class,profile,address,space\nF-1,feeder,acme/power,F-1,A\n"
TOPOLOGY = "power: {W-9: [F-1]}\n"
PROFILES = {
    "water": "class: water_meter\nmatch: {topics: ['acme/{id}/up']}\nidentity: '{id}'\npoints:\n"
    "  volume: {from: vol, quantity: volume, kind: counter, step: 0.001, digits: 8}\n"
    "examples:\n  - {topic: acme/00012345/up, payload: {vol: 1.5}, expect: {'00012345': {volume: 1.5}}}\n",
    "power": "class: feeder\nmatch: {topics: ['power/{id}']}\nidentity: '{id}'\npoints:\n"
    "  power: {from: p, quantity: power}\n"
    "examples:\n  - {topic: power/F-1, payload: {p: 1}, expect: {F-1: {power: 1}}}\n",
}


def dutyroom(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "dutyroom.cli", *arguments]


@dataclass
class Yard:
    """A site folder and a data folder."""

    folder: Path
    process: subprocess.Popen[str] | None = None
    broker: tuple[str, int] = ("", 0)

    def start(self) -> None:
        as_after_a_first_start(self.folder / "data")
        self.process = subprocess.Popen(
            dutyroom(
                "serve", "--site", str(self.folder / "site"), "--data", str(self.folder / "data"), "--port", "0",
                "--embedded-broker",
            ),
            stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if "embedded broker at" in line:
                host, _, port = line.split("embedded broker at ")[1].split(";")[0].rpartition(":")
                self.broker = (host, int(port))
            if "running at" in line:
                return
        raise AssertionError("the service did not start")

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(15)
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None

    def command(self, *arguments: str) -> tuple[int, list[str]]:
        done = subprocess.run(
            dutyroom(*arguments, "--data", str(self.folder / "data")),
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )
        return done.returncode, (done.stdout + done.stderr).splitlines()

    def table(self, name: str, rows: list[list[str | int]]) -> str:
        """A workbook of these cells."""
        file = self.folder / name
        book = xlsxwriter.Workbook(file)
        sheet = book.add_worksheet()
        for number, row in enumerate(rows):
            sheet.write_row(number, 0, row)
        book.close()
        return str(file)

    def register(self, device: str) -> str:
        _, lines = self.command(
            "readings", "--at", time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()), "--csv"
        )
        return next((line.split(",")[4] for line in lines if line.startswith(f"{device},")), "")


@pytest.fixture
def yard(tmp_path: Path):  # type: ignore[no-untyped-def]
    site = tmp_path / "site"
    (site / "device_profiles" / "acme").mkdir(parents=True)
    for name, text in {"site.yaml": SITE, "spaces.yaml": SPACES, "topology.yaml": TOPOLOGY}.items():
        (site / name).write_text(text, encoding="utf-8")
    (site / "devices.csv").write_text(DEVICES + "W-9,water_meter,acme/water,00000009,A\n", encoding="utf-8")
    for name, text in PROFILES.items():
        (site / "device_profiles" / "acme" / f"{name}.yaml").write_text(text, encoding="utf-8")
    made = Yard(tmp_path)
    yield made
    made.stop()


HEADER: list[str | int] = ["设备编号", "名称", "规约", "地址", "位置", "上级设备", "表底位数", "分辨率"]


def test_the_registry_by_command_with_and_without_a_running_service(yard: Yard) -> None:
    yard.start()
    wrong = yard.table(
        "wrong.xlsx",
        [
            HEADER,
            ["W-1", "一号表", "acme/watr", "00012345", "A/1", "", "", ""],
            ["W-2", "", "acme/water", "00012346", "A/2", "", "", ""],
            ["W-9", "", "acme/water", "00000009", "A", "power:W-2", 0, ""],
        ],
    )
    code, said = yard.command("devices", "import", wrong)
    assert code == 1
    assert said == [
        'wrong.xlsx row 2, column "规约": there is no profile "acme/watr"; did you mean "acme/water"?',
        'wrong.xlsx row 3, column "位置": there is no space "A/2"; did you mean "A/1"?',
        'wrong.xlsx row 4, column "表底位数": must be a whole number from 1 to 15, not "0"',
        'wrong.xlsx row 4, column "上级设备": topology.yaml says F-1 feeds it with power, this row says W-2',
    ]
    host, port = yard.broker
    publish.single("acme/00012345/up", json.dumps({"vol": "999.98"}), 1, hostname=host, port=port)
    row: list[str | int] = ["W-1", "一号表", "acme/water", 12345, "A/1", "F-1", 5, "0.01"]
    good = yard.table("good.xlsx", [HEADER, row])
    code, said = yard.command("devices", "import", good, "--check")
    assert (code, said[-1]) == (
        0,
        "Nothing was changed. It would be: 1 added, 0 changed, 0 withdrawn, 0 unchanged.",
    )
    assert "read as 00012345" in said[0]
    code, said = yard.command("devices", "import", good)
    assert (code, said[-1]) == (0, "Devices: 1 added, 0 changed, 0 withdrawn, 0 unchanged.")
    # Heard at once: what it had said before, and what it says now.
    assert _until(lambda: yard.register("W-1") == "999.98"), yard.register("W-1")
    publish.single("acme/00012345/up", json.dumps({"vol": "0.02"}), 1, hostname=host, port=port)
    assert _until(lambda: yard.register("W-1") == "0.02"), yard.register("W-1")
    listed = str(yard.folder / "list.csv")
    assert yard.command("devices", "export", listed, "--language", "zh-CN")[0] == 0
    assert yard.command("devices", "import", listed)[1] == [
        "Devices: 0 added, 0 changed, 0 withdrawn, 3 unchanged."
    ]
    yard.stop()
    # Without a service: the same answers.
    assert yard.command("devices", "import", wrong)[1][0].startswith('wrong.xlsx row 2, column "规约"')
    only = yard.table("only.xlsx", [["id", "name"], ["F-1", "Main feeder"], ["W-1", "Meter one"]])
    code, said = yard.command("devices", "import", only, "--withdraw-missing")
    assert (code, said) == (0, ["Devices: 0 added, 2 changed, 1 withdrawn, 0 unchanged."])
    as_book = str(yard.folder / "list.xlsx")
    assert yard.command("devices", "export", as_book)[1] == [f"Wrote 2 devices to {as_book}."]
    assert yard.command("devices", "import", as_book, "--check")[1][-1].endswith("2 unchanged.")
    _trail(yard.folder / "data")
    yard.start()  # what the folder seeds stays withdrawn: devices are the database's
    assert yard.command("devices", "export", as_book)[1] == [f"Wrote 2 devices to {as_book}."]


def _until(true: object, seconds: float = 20.0) -> bool:
    assert callable(true)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.3)
    return False


def _trail(data: Path) -> None:
    records = open_records(f"sqlite:///{data}/records.sqlite")
    with records.read() as tx:
        trail = [(r.actor.partition("-")[0], r.action, r.target) for r in tx.audit_rows("yard")]
        status = {d.id: d.status for d in tx.devices.all("yard")}
    records.close()
    assert ("command line", "device.withdrawn", "W-9") in trail
    assert ("command line", "device.changed", "W-1") in trail
    assert ("token:commands", "device.added", "W-1") in trail
    assert status["W-9"] is DeviceStatus.WITHDRAWN
