from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path

import pytest

import dutyroom
from dutyroom.checks import check_site
from dutyroom.errors import Invalid
from dutyroom.model.duty import Role
from dutyroom.site import BrokerAddress, load_site

ROOT = Path(__file__).parents[3]
EXAMPLE = Path(dutyroom.__file__).parent / "example_site"
HEAD = "id: s\nname: {zh-CN: 项目, en: Site}\ntime_zone: Asia/Shanghai\n"


def write(folder: Path, **files: str) -> Path:
    (folder / "site.yaml").write_text(HEAD, encoding="utf-8")
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text, encoding="utf-8")
    return folder


def test_the_example_site_has_no_mistakes() -> None:
    assert check_site(EXAMPLE, ROOT / "device_profiles") == []


def test_the_example_site_holds_what_its_files_say() -> None:
    site = load_site(EXAMPLE)
    assert site.id == "example-garden"
    assert site.broker == BrokerAddress("127.0.0.1")
    assert site.spaces["A/12/1201"].area == Decimal("89.60")
    tank = next(device for device in site.devices if device.id == "A-tank")
    assert (tank.interval_s, tank.parameters) == (600, {"height": 3.0})
    assert site.topology.feeds["power"]["A-pump"] == ("A-feeder",)
    fuel = next(rule for rule in site.rules if rule.id == "generator.fuel_low")
    assert "number=30.0" in repr(fuel.parameters["below"])
    assert "fire.alarm" in {rule.id for rule in site.rules}
    assert [plan.id for plan in site.plans] == ["generator-test", "meter-reading"]
    assert site.people[0].role is Role.OPERATOR


def test_every_value_of_the_example_site_is_explained_by_a_comment() -> None:
    for file in EXAMPLE.glob("*.yaml"):
        assert file.read_text(encoding="utf-8").startswith("# "), file.name


def test_a_site_needs_only_its_site_yaml(tmp_path: Path) -> None:
    site = load_site(write(tmp_path))
    assert site.devices == ()
    assert site.rules  # the shipped ones
    assert site.broker is None


def test_devices_come_from_both_files_in_order(tmp_path: Path) -> None:
    write(
        tmp_path,
        devices_csv="id,class,profile,address\nw1,water_meter,wmbusmeters/water,00012345\n",
        devices_yaml="- {id: w2, class: water_meter, profile: wmbusmeters/water, address: 00012346}\n",
    )
    assert [(d.id, d.name, d.address) for d in load_site(tmp_path).devices] == [
        ("w1", "w1", "00012345"),
        ("w2", "w2", "00012346"),
    ]


def test_a_csv_from_excel_with_mark_quotes_and_windows_line_ends(tmp_path: Path) -> None:
    write(tmp_path)
    text = 'id,name,class,profile,address,parameters\r\nt,"箱, ""大""",tank,x/y,1, height=3.5; use = fire ;old=true\r\n\r\n'
    (tmp_path / "devices.csv").write_bytes(text.encode("utf-8-sig"))
    (device,) = load_site(tmp_path).devices
    assert device.name == '箱, "大"'
    assert device.parameters == {"height": 3.5, "use": "fire", "old": True}


def test_files_of_a_broker_lie_beside_the_site(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "ca.pem").write_text("x", encoding="utf-8")
    text = HEAD + "broker: {host: b, tls: true, ca_file: ca.pem, topics: [a/+/b, 'c/#']}\n"
    (tmp_path / "site.yaml").write_text(text, encoding="utf-8")
    broker = load_site(tmp_path).broker
    assert broker == BrokerAddress("b", 8883, True, str(tmp_path / "ca.pem"), topics=("a/+/b", "c/#"))


def test_a_dual_feed_is_no_loop(tmp_path: Path) -> None:
    devices = "".join(f"{d},feeder,shelly/pro-3em,{d}\n" for d in ("a", "b", "c", "d"))
    write(
        tmp_path,
        devices_csv="id,class,profile,address\n" + devices,
        topology_yaml="power: {d: [b, c], b: [a], c: [a]}\n",
    )
    assert load_site(tmp_path).topology.feeds["power"]["d"] == ("b", "c")


def test_a_long_chain_of_feeds_is_read(tmp_path: Path) -> None:
    rows = "".join(f"f{i},feeder,shelly/pro-3em,{i}\n" for i in range(3000))
    chain = "power:\n" + "".join(f"  f{i}: f{i + 1}\n" for i in range(2999))
    write(tmp_path, devices_csv="id,class,profile,address\n" + rows, topology_yaml=chain)
    assert len(load_site(tmp_path).topology.feeds["power"]) == 2999


def test_two_thousand_wrong_rows_are_told_in_seconds(tmp_path: Path) -> None:
    rows = "".join(f"w{i},water_meter,wmbusmeters/water,{i},B/{i}\n" for i in range(2000))
    spaces = "".join(f"- {{path: A/{i}, kind: unit}}\n" for i in range(2000))
    write(tmp_path, devices_csv="id,class,profile,address,space\n" + rows, spaces_yaml=spaces)
    began = time.process_time()
    with pytest.raises(Invalid) as caught:
        load_site(tmp_path)
    assert len(caught.value.mistakes) == 2000
    assert time.process_time() - began < 10
