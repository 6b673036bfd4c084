"""The compose file: read by docker-compose, and held to what an operator expects of it.

No container engine runs where the project is tested: nothing here starts a container.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from tests.servers.mosquitto import Mosquitto
from tests.servers.needed import unavailable

from dutyroom.backends.clock import SystemClock
from dutyroom.backends.mqtt import MqttSession
from dutyroom.cli import app
from dutyroom.settings import PREFIX, Settings
from dutyroom.site import BrokerAddress

ROOT = Path(__file__).parents[3]
FILE = ROOT / "docker-compose.yml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]

each_service = pytest.mark.parametrize("name", sorted(SERVICES))


def checker() -> list[str] | None:
    """docker-compose, or the plug-in of docker."""
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    if shutil.which("docker"):
        plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
        return ["docker", "compose"] if plugin.returncode == 0 else None
    return None


def test_docker_compose_reads_it() -> None:
    command = checker()
    if command is None:
        unavailable("docker-compose", "neither docker-compose nor docker's compose plug-in is installed")
    done = subprocess.run(
        [*command, "-f", str(FILE), "config"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not re.search(r"warn|not set", done.stderr, re.IGNORECASE), done.stderr
    read = yaml.safe_load(done.stdout)
    assert sorted(read["services"]) == ["dutyroom", "grafana", "influxdb", "mosquitto", "postgres"]
    assert {f"{ROOT}/secrets/{name}" for name in read["secrets"]} == {
        secret["file"] for secret in read["secrets"].values()
    }


@each_service
def test_every_service_is_watched_bounded_and_no_root(name: str) -> None:
    service = SERVICES[name]
    assert {"test", "interval", "timeout", "retries"} <= set(service["healthcheck"])
    assert service["healthcheck"]["test"][0] == "CMD"
    user = service["user"].split(":")[0]
    assert user.isdigit()
    assert user != "0"
    assert service["read_only"] is True
    assert any(mount.split(":")[0] == "/tmp" for mount in service["tmpfs"])
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert "max-size" in service["logging"]["options"]
    for limit in ("mem_limit", "cpus", "pids_limit"):
        assert service[limit]


@each_service
def test_every_image_is_of_a_named_version(name: str) -> None:
    _, _, tag = SERVICES[name]["image"].partition(":")
    assert re.fullmatch(r"\d+(\.\d+)*(-\w+)?", tag)


def test_our_image_has_our_version() -> None:
    import dutyroom

    assert SERVICES["dutyroom"]["image"] == f"dutyroom:{dutyroom.__version__}"


def test_every_secret_is_a_file_that_is_used_and_git_does_not_see() -> None:
    used = {secret for service in SERVICES.values() for secret in service.get("secrets", [])}
    assert used == set(COMPOSE["secrets"])
    for name, secret in COMPOSE["secrets"].items():
        assert secret == {"file": f"./secrets/{name}"}
    assert "/secrets/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "secrets" not in (ROOT / ".dockerignore").read_text(encoding="utf-8")  # "*" leaves them out


@each_service
def test_no_secret_stands_in_a_variable_and_every_file_named_is_there(name: str) -> None:
    service = SERVICES[name]
    for variable, value in service.get("environment", {}).items():
        if re.search("PASSWORD|TOKEN|SECRET", variable):
            assert variable.endswith("FILE"), variable
            assert value.removeprefix("/run/secrets/") in service["secrets"]
    text = yaml.safe_dump(service)
    assert set(re.findall(r"/run/secrets/(\w+)", text)) <= set(service["secrets"])


def test_what_the_provisioning_reads_is_given_to_who_reads_it() -> None:
    for folder, name in (("datasources", "grafana"), ("influxdb", "influxdb")):
        for file in (ROOT / "dashboards" / "provisioning" / folder).iterdir():
            text = file.read_text(encoding="utf-8")
            secrets = re.findall(r"/run/secrets/(\w+)", text)
            assert secrets
            assert set(secrets) <= set(SERVICES[name]["secrets"])
            variables = set(re.findall(r"\$(DUTYROOM_\w+|DOCKER_INFLUXDB_INIT_ORG)\b", text))
            assert variables <= set(SERVICES[name]["environment"])
    (script,) = (ROOT / "dashboards" / "provisioning" / "influxdb").glob("*.sh")
    assert script.stat().st_mode & 0o111
    assert subprocess.run(["sh", "-n", str(script)], check=False).returncode == 0


@each_service
def test_what_is_mounted_is_there(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", volume).split(":")[0]
        if source == "./site":
            continue  # the operator's own
        if source.startswith("."):
            assert (ROOT / source).exists(), source
            assert volume.endswith(":ro")
        else:
            assert source in COMPOSE["volumes"]


def test_only_the_broker_is_open_to_other_machines() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert sorted(published) == ["dutyroom", "grafana", "mosquitto"]
    for name in ("dutyroom", "grafana"):
        assert all(port.startswith("${DUTYROOM_BIND:-127.0.0.1}:") for port in published[name])
    assert COMPOSE["networks"]["stores"] == {"internal": True}
    for name in ("influxdb", "postgres"):
        assert SERVICES[name]["networks"] == ["stores"]


def test_the_operations_page_names_every_variable_and_secret() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    text = FILE.read_text(encoding="utf-8")
    for variable, default in re.findall(r"\$\{(\w+):-([^}]*)\}", text):
        rows = [line for line in page.splitlines() if line.startswith("| `") and f"`{variable}`" in line]
        assert len(rows) == 1, variable
        assert default in rows[0], variable
    for secret in COMPOSE["secrets"]:
        assert re.search(rf"\b{secret}\b", page), secret
    # Every variable may be left out.
    assert not re.findall(r"(?<!\$)\$\{\w+\}", text)


# ------------------------------------------------------------ our own service


def command_line(words: list[str]) -> None:
    """Fails when the program has no such command or options."""
    group = typer.main.get_command(app)
    command = group.commands[words[0]]  # type: ignore[attr-defined]
    command.make_context(words[0], list(words[1:]))


def test_the_command_is_one_that_the_program_has(tmp_path: Path) -> None:
    command_line(SERVICES["dutyroom"]["command"])
    default = re.search(r"^CMD (\[.*\])$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert default is not None
    command_line(yaml.safe_load(default[1]))


def test_the_variables_are_settings() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    assert {v for v in SERVICES["dutyroom"]["environment"] if v.startswith(PREFIX)} <= known
    in_image = set(re.findall(rf"({PREFIX}\w+)=", (ROOT / "Dockerfile").read_text(encoding="utf-8")))
    assert in_image == {"DUTYROOM_DATA", "DUTYROOM_HOST", "DUTYROOM_PORT"}
    assert in_image <= known


def test_the_service_and_its_servers_agree() -> None:
    ours, influx, postgres = (SERVICES[n]["environment"] for n in ("dutyroom", "influxdb", "postgres"))
    assert ours["DUTYROOM_INFLUX_ORG"] == influx["DOCKER_INFLUXDB_INIT_ORG"]
    assert ours["DUTYROOM_INFLUX_BUCKET"] == influx["DOCKER_INFLUXDB_INIT_BUCKET"]
    assert SERVICES["grafana"]["environment"]["DUTYROOM_INFLUX_BUCKET"] == ours["DUTYROOM_INFLUX_BUCKET"]
    assert ours["DUTYROOM_INFLUX_URL"] == "http://influxdb:8086"
    assert (
        ours["DUTYROOM_RECORDS"]
        == f"postgresql://{postgres['POSTGRES_USER']}@postgres/{postgres['POSTGRES_DB']}"
    )


@pytest.mark.parametrize("password", ["0a1b2c", "p a's$word", "colon:and\\\\slash"])
def test_the_entry_point_hands_the_password_and_the_words_over(tmp_path: Path, password: str) -> None:
    """Run by a real sh, with a stand-in for the program; the file is read by libpq's rules."""
    secret, program, passfile = (tmp_path / name for name in ("postgres_password", "dutyroom", "pgpass"))
    secret.write_text(f"{password}\n")
    program.write_text('#!/bin/sh\nfor word; do echo "$word"; done\n')
    program.chmod(0o755)
    words = [word.replace("$$", "$") for word in SERVICES["dutyroom"]["entrypoint"]]
    words[2] = words[2].replace("/run/secrets/postgres_password", str(secret))
    done = subprocess.run(
        [*words, "serve", "--site", "a b"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "PGPASSFILE": str(passfile)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["serve", "--site", "a b"]
    assert passfile.stat().st_mode & 0o777 == 0o600
    *anything, kept = re.split(r"(?<!\\):", passfile.read_text().rstrip("\n"), maxsplit=4)
    assert anything == ["*"] * 4
    assert re.sub(r"\\(.)", r"\1", kept) == password


@pytest.mark.servers
def test_a_real_mosquitto_takes_the_configuration(
    new_mosquitto: Callable[[str], Mosquitto], tmp_path: Path
) -> None:
    script = SERVICES["mosquitto"]["command"][-1]
    assert SERVICES["mosquitto"]["command"][:2] == ["sh", "-ec"]
    found = re.search(r"<<CONF\n(.*?)^CONF$", script, re.DOTALL | re.MULTILINE)
    assert found is not None
    # The stand-in has a listener, persistence and limits of its own: only what is ours is added.
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "dutyroom", "right"], check=True)
    named = [
        line
        for line in found[1].splitlines()
        if line.split()[0] not in ("listener", "persistence", "persistence_location")
    ]
    config = "\n".join(named).replace("/tmp/passwords", str(passwords)).replace("log_dest stdout", "")
    mosquitto = new_mosquitto(f"{config}\n")
    secret = tmp_path / "mqtt_password"
    secret.write_text("right\n")
    sessions = [
        MqttSession(BrokerAddress("127.0.0.1", mosquitto.port, **given), client, SystemClock())
        for client, given in (
            ("let-in", {"username": "dutyroom", "password_file": str(secret)}),
            ("stranger", {}),
        )
    ]
    for session in sessions:
        session.start()
    deadline = time.monotonic() + 10
    while not (sessions[0].connected and sessions[1].refused) and time.monotonic() < deadline:
        threading.Event().wait(0.02)
    for session in sessions:
        session.stop()
    assert sessions[0].refused == ""
    assert "does not let us in" in sessions[1].refused
