"""The compose file: read by docker-compose, and held to what an operator expects of it.

A container engine is not there wherever the project is tested: nothing here starts a container.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
import typer
import yaml
from influxdb_client.client.influxdb_client import InfluxDBClient
from paho.mqtt.enums import CallbackAPIVersion
from tests.servers.child import Child, Missing, free_port
from tests.servers.influx import Bucket, new_influx
from tests.servers.mosquitto import Mosquitto
from tests.servers.needed import unavailable

from dutyroom.backends.clock import SystemClock
from dutyroom.backends.mqtt import MqttSession
from dutyroom.backends.mqtt.selftest import self_test
from dutyroom.cli import app
from dutyroom.settings import PREFIX, Settings
from dutyroom.site import BrokerAddress
from dutyroom.wiring.alive import beating

ROOT = Path(__file__).parents[3]
FILE = ROOT / "docker-compose.yml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]

OURS = ("api", "ingest", "notify", "scheduler")
SERVERS = ("grafana", "influxdb", "mosquitto", "postgres")
ONCE = ("setup",)  # ends when it is done

each_of_ours = pytest.mark.parametrize("name", OURS)
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
    assert sorted(read["services"]) == sorted([*SERVERS, *OURS, *ONCE])
    assert {f"{ROOT}/secrets/{name}" for name in read["secrets"]} == {
        secret["file"] for secret in read["secrets"].values()
    }


@each_service
def test_every_service_is_watched_bounded_and_no_root(name: str) -> None:
    service = SERVICES[name]
    if name in ONCE:
        assert service["healthcheck"] == {"disable": True}
    else:
        assert {"test", "interval", "timeout", "retries"} <= set(service["healthcheck"])
        assert service["healthcheck"]["test"][0] == "CMD"
    user = service["user"].split(":")[0]
    assert user.isdigit()
    assert user != "0"
    assert service["read_only"] is True
    assert any(mount.split(":")[0] == "/tmp" for mount in service["tmpfs"])
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == ("no" if name in ONCE else "unless-stopped")
    assert "max-size" in service["logging"]["options"]
    for limit in ("mem_limit", "cpus", "pids_limit"):
        assert service[limit]


@each_service
def test_every_image_is_of_a_named_version(name: str) -> None:
    _, _, tag = SERVICES[name]["image"].partition(":")
    assert re.fullmatch(r"\d+(\.\d+)*(-\w+)?", tag)


def test_our_processes_are_one_image_of_our_version() -> None:
    import dutyroom

    assert {SERVICES[name]["image"] for name in (*OURS, *ONCE)} == {f"dutyroom:{dutyroom.__version__}"}
    assert {SERVICES[name]["build"] for name in (*OURS, *ONCE)} == {"."}


@each_of_ours
def test_our_processes_differ_in_what_they_do_and_reach_only(name: str) -> None:
    """The rest they have in common, the data folder above all: one writes the journals, the others follow."""
    own = {"command", "networks", "ports", "healthcheck", "mem_limit", "cpus", "depends_on"}
    common = {key: value for key, value in SERVICES[name].items() if key not in own}
    assert common == {key: value for key, value in SERVICES["ingest"].items() if key not in own}
    assert "dutyroom-data:/data" in common["volumes"]
    assert SERVICES[name]["command"] == [name, "--site", "/site"]
    needed = {"influxdb", "postgres"} | ({"mosquitto"} if name == "ingest" else set())
    assert SERVICES[name]["depends_on"] == {
        **{n: {"condition": "service_healthy"} for n in needed},
        "setup": {"condition": "service_completed_successfully"},
    }


@pytest.mark.parametrize("name", ["ingest", "scheduler", "notify"])
def test_who_has_no_pages_is_asked_for_its_heartbeat(name: str, tmp_path: Path) -> None:
    _, program, *words = SERVICES[name]["healthcheck"]["test"]
    assert program == "python"
    assert words[-1] == name
    where = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT / "services"), "DUTYROOM_DATA": str(tmp_path)}

    def asked() -> int:
        return subprocess.run(
            [sys.executable, *words], env=where, capture_output=True, check=False
        ).returncode

    assert asked() == 1
    beating(tmp_path, name, lambda: "")()
    assert asked() == 0
    beating(tmp_path, name, lambda: "the broker is away")()
    assert asked() == 1


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
            made = variable == "DUTYROOM_INFLUX_TOKEN_FILE" and value == "/run/dutyroom/service.token"
            assert made or value.removeprefix("/run/secrets/") in service["secrets"]
    text = yaml.safe_dump(service)
    assert set(re.findall(r"/run/secrets/(\w+)", text)) <= set(service["secrets"])


def test_what_the_provisioning_reads_is_given_to_who_reads_it() -> None:
    (file,) = (ROOT / "dashboards" / "provisioning" / "datasources").iterdir()
    text = file.read_text(encoding="utf-8")
    assert re.findall(r"\$__file\{(.*?)\}", text) == ["/run/dutyroom/grafana.token"]
    assert set(re.findall(r"\$(DUTYROOM_\w+)\b", text)) <= set(SERVICES["grafana"]["environment"])


def test_who_may_do_what_in_influxdb() -> None:
    """The operator's token is with the server and with `setup`, which makes the others, each where it is read."""
    assert {n for n, s in SERVICES.items() if "influx_token" in s.get("secrets", [])} == {"influxdb", "setup"}
    volumes = {name: set(service.get("volumes", [])) for name, service in SERVICES.items()}
    mounts = {
        name: {v for v in held if v.split(":")[0] in ("influx-tokens", "grafana-token")}
        for name, held in volumes.items()
    }
    assert {name: held for name, held in mounts.items() if held} == {
        "setup": {"influx-tokens:/tokens", "grafana-token:/grafana"},
        "grafana": {"grafana-token:/run/dutyroom:ro"},
        **{name: {"influx-tokens:/run/dutyroom:ro"} for name in OURS},
    }
    done = {"condition": "service_completed_successfully"}
    assert {n for n, s in SERVICES.items() if s.get("depends_on", {}).get("setup") == done} == {
        "grafana",
        *OURS,
    }
    assert SERVICES["setup"]["depends_on"] == {"influxdb": {"condition": "service_healthy"}}


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


def test_the_kept_log_of_influxdb_holds_no_queries() -> None:
    """At its default level the charts of one page would push an error out of the log."""
    assert SERVICES["influxdb"]["environment"]["INFLUXD_LOG_LEVEL"] == "warn"


@pytest.mark.servers
def test_the_signal_that_stops_influxdb_lets_it_end_in_order(tmp_path: Path) -> None:
    """It takes no SIGTERM: as the first process of a container it then breaks off with code 2."""
    try:
        server = new_influx(tmp_path)
    except Missing as err:
        unavailable("influxdb", err)
    assert server.child is not None
    asked = signal.Signals[SERVICES["influxdb"].get("stop_signal", "SIGTERM")]
    assert server.child.end(asked, 10) == 0  # 10 s: how long a container is given


def test_grafana_fetches_nothing_and_sends_nothing_out() -> None:
    """Names of its settings: GF_, the section, the key."""
    off = ("ANALYTICS_REPORTING_ENABLED", "ANALYTICS_CHECK_FOR_UPDATES", "ANALYTICS_CHECK_FOR_PLUGIN_UPDATES")
    off += ("NEWS_NEWS_FEED_ENABLED", "SNAPSHOTS_EXTERNAL_ENABLED")
    on = ("PLUGINS_PREINSTALL_DISABLED", "PLUGINS_PUBLIC_KEY_RETRIEVAL_DISABLED", "SECURITY_DISABLE_GRAVATAR")
    given = SERVICES["grafana"]["environment"]
    wanted = {f"GF_{key}": "false" for key in off} | {f"GF_{key}": "true" for key in on}
    assert {key: given.get(key) for key in wanted} == wanted


def test_only_the_broker_is_open_to_other_machines() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert sorted(published) == ["api", "grafana", "mosquitto"]
    assert published["mosquitto"] == ["${DUTYROOM_MQTT_PORT:-8883}:8883"]
    for name in ("api", "grafana"):
        assert all(port.startswith("${DUTYROOM_BIND:-127.0.0.1}:") for port in published[name])
    assert COMPOSE["networks"]["stores"] == {"internal": True}
    for name in ("influxdb", "postgres", "scheduler", "setup"):
        assert SERVICES[name]["networks"] == ["stores"]
    # Who reads the messages reaches the broker; who sends to people reaches the world, and nobody else both.
    members = {net: {n for n in SERVICES if net in SERVICES[n]["networks"]} for net in COMPOSE["networks"]}
    assert members["plant"] == {"mosquitto", "ingest"}
    assert members["messages"] == {"notify"}
    assert members["pages"] == {"api", "grafana"}


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


def test_the_commands_are_those_that_the_program_has() -> None:
    for name in OURS:
        command_line(SERVICES[name]["command"])
    default = re.search(r"^CMD (\[.*\])$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert default is not None
    command_line(yaml.safe_load(default[1]))


# Of docker-compose 1.29 and of the plug-in that came after it: `cp`, for example, is the latter's alone.
SUBCOMMANDS = {"build", "exec", "logs", "ps", "restart", "run", "up"}


@pytest.mark.parametrize("page", ["README.md", "docs/operations.md", "docs/grafana.md"])
def test_the_pages_use_what_every_docker_compose_has(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    commands = re.findall(r"(?:^|`)docker-compose(?: -\S+)* ([a-z]+)", text, re.MULTILINE)
    assert set(commands) <= SUBCOMMANDS
    # An `exec` that is piped, or run by cron, has no terminal.
    assert not re.findall(r"^docker-compose exec (?!-T)[^`\n]*[<>].*$", text, re.MULTILINE)


def test_the_variables_are_settings() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    assert {v for v in SERVICES["ingest"]["environment"] if v.startswith(PREFIX)} <= known
    in_image = set(re.findall(rf"({PREFIX}\w+)=", (ROOT / "Dockerfile").read_text(encoding="utf-8")))
    assert in_image == {"DUTYROOM_DATA", "DUTYROOM_HOST", "DUTYROOM_PORT"}
    assert in_image <= known


def test_the_service_and_its_servers_agree() -> None:
    ours, influx, postgres = (SERVICES[n]["environment"] for n in ("ingest", "influxdb", "postgres"))
    assert ours["DUTYROOM_INFLUX_ORG"] == influx["DOCKER_INFLUXDB_INIT_ORG"]
    assert ours["DUTYROOM_INFLUX_BUCKET"] == influx["DOCKER_INFLUXDB_INIT_BUCKET"]
    for name in ("ORG", "BUCKET", "URL"):
        variable = f"DUTYROOM_INFLUX_{name}"
        assert SERVICES["setup"]["environment"][variable] == ours[variable]
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
    words = [word.replace("$$", "$") for word in SERVICES["ingest"]["entrypoint"]]
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


def answer(
    influx: Bucket, token: str, method: str, path: str, body: bytes | None = None
) -> tuple[int, bytes]:
    request = urllib.request.Request(
        f"{influx.url}{path}", body, {"Authorization": f"Token {token}"}, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as came:
            return came.status, came.read()
    except urllib.error.HTTPError as err:
        with err:
            return err.code, err.read()


@pytest.fixture
def cleared(influx: Bucket) -> Iterator[Bucket]:
    """Without what a set-up adds to it."""
    yield influx
    with InfluxDBClient(url=influx.url, token=influx.token, org=influx.org) as client:
        for task in client.tasks_api().find_tasks(limit=500):
            if task.name.startswith(influx.name):
                client.tasks_api().delete_task(task.id)
        for bucket in client.buckets_api().find_buckets(limit=100).buckets:
            if bucket.name.startswith(f"{influx.name}_"):
                client.buckets_api().delete_bucket(bucket)


@pytest.mark.servers
def test_setup_gives_each_a_token_with_least_rights(cleared: Bucket, tmp_path: Path) -> None:
    """The container's script by a real sh, against a real InfluxDB."""
    influx = cleared
    _, _, script = SERVICES["setup"]["entrypoint"]
    assert script.startswith("dutyroom ")
    program, operator = tmp_path / "dutyroom", tmp_path / "influx_token"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m dutyroom.cli "$@"\n')
    program.chmod(0o755)
    operator.write_text(f"{influx.token}\n")
    for folder in ("tokens", "grafana"):
        (tmp_path / folder).mkdir(mode=0o755)
    for there, here in (("/run/secrets/influx_token", operator), ("/tokens", tmp_path / "tokens")):
        script = script.replace(there, str(here))
    script = re.sub(r" /grafana/", f" {tmp_path}/grafana/", script)
    where = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PYTHONPATH": str(ROOT / "services")}
    given = {"URL": influx.url, "ORG": influx.org, "BUCKET": influx.name}
    where |= {f"DUTYROOM_INFLUX_{name}": value for name, value in given.items()}
    for _ in range(2):  # it runs at each `up`
        done = subprocess.run(
            ["sh", "-ec", script], env=where, capture_output=True, text=True, timeout=100, check=False
        )
        assert done.returncode == 0, done.stderr
    service, grafana = tmp_path / "tokens" / "service.token", tmp_path / "grafana" / "grafana.token"
    assert (service.stat().st_mode & 0o777, grafana.stat().st_mode & 0o777) == (0o600, 0o644)
    assert [file.name for file in grafana.parent.iterdir()] == ["grafana.token"]
    assert not (service.parent / "operator.token").exists()
    write = f"/api/v2/write?org={influx.org}&bucket={influx.name}&precision=s"
    for file, writes in ((service, True), (grafana, False)):

        def may(*request: Any, token: str = file.read_text()) -> tuple[int, bytes]:
            assert token != influx.token
            return answer(influx, token, *request)

        assert (may("POST", write, b"m,site=s x=1 1795651200")[0] < 300) is writes
        assert may("POST", "/query?q=SHOW+MEASUREMENTS&db=" + influx.name)[0] == 200
        seen = json.loads(may("GET", "/api/v2/buckets")[1])["buckets"]
        assert {b["name"] for b in seen} == {influx.name, f"{influx.name}_5m", f"{influx.name}_1h"}
        another = json.dumps({"orgID": seen[0]["orgID"], "name": "another"}).encode()
        assert may("POST", "/api/v2/buckets", another)[0] in (401, 403)
        if not writes:  # to InfluxDB who may write to a bucket may take it away
            assert may("DELETE", f"/api/v2/buckets/{seen[0]['id']}")[0] in (401, 403)
        for name in ("users", "orgs", "authorizations"):  # an answer lists what one may see
            assert json.loads(may("GET", f"/api/v2/{name}")[1]).get(name, []) == [], name


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands of the operations page make."""
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    found = re.search(r"```sh\n(.*?)```", page, re.DOTALL)
    assert found is not None
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        ["sh", "-ec", textwrap.dedent(found[1])], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder / "secrets"


@pytest.mark.servers
def test_the_commands_of_the_page_make_every_secret(secrets: Path) -> None:
    files = {file.name for file in secrets.iterdir() if file.is_file()}
    assert files - {"mqtt_ca.srl"} == set(COMPOSE["secrets"])
    assert secrets.stat().st_mode & 0o777 == 0o700
    for name in COMPOSE["secrets"]:
        assert (secrets / name).stat().st_mode & 0o777 == 0o644
    assert (secrets / "authority").stat().st_mode & 0o777 == 0o700


@dataclass(frozen=True)
class Broker:
    """The container's Mosquitto, run here by its own script: every path and port another one."""

    port: int
    plain: int
    secrets: Path

    def session(self, user: str, password: str, client: str, topics: tuple[str, ...]) -> MqttSession:
        secret = self.secrets.parent / f"password-{client}"
        secret.write_text(f"{password}\n")
        address = BrokerAddress(
            "localhost",
            self.port,
            tls=True,
            ca_file=str(self.secrets / "mqtt_ca"),
            username=user,
            password_file=str(secret),
            topics=topics,
        )
        return MqttSession(address, client, SystemClock())

    @property
    def service(self) -> BrokerAddress:
        return BrokerAddress(
            "localhost",
            self.port,
            tls=True,
            ca_file=str(self.secrets / "mqtt_ca"),
            username="dutyroom",
            password_file=str(self.secrets / "mqtt_password"),
        )


@pytest.fixture
def broker(mosquitto: Mosquitto, secrets: Path, tmp_path: Path) -> Iterator[Broker]:
    for user in ("gateway-1", "gateway-2"):
        passwords = str(secrets / "mqtt_passwords")
        subprocess.run(["mosquitto_passwd", "-b", passwords, user, "secret"], check=True)
    (secrets / "mqtt_acl").write_text("user gateway-1\ntopic write wmbusmeters/#\n")
    (tmp_path / "data").mkdir()
    first, *rest = SERVICES["mosquitto"]["command"]
    assert (first, rest[0]) == ("sh", "-ec")
    made = Broker(free_port(), free_port(), secrets)
    script = rest[1].replace("$$", "$").replace("/tmp/", f"{tmp_path}/")  # first: our own paths begin so
    script = script.replace("/run/secrets", str(secrets)).replace("/mosquitto/data", f"{tmp_path}/data")
    script = script.replace("listener 8883", f"listener {made.port} 127.0.0.1")
    script = script.replace("listener 1883 ", f"listener {made.plain} ")
    if os.geteuid() == 0:
        script = script.replace("allow_anonymous", "user root\nallow_anonymous")
    # Asked on the plain listener, as the health check does: it is no TLS client.
    child = Child([first, "-ec", script], made.plain, tmp_path / "mosquitto.log")
    child.start(seconds=10)
    yield made
    child.stop()


def until(true: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        threading.Event().wait(0.02)


@pytest.mark.servers
def test_the_broker_lets_in_whom_it_should_by_tls(broker: Broker) -> None:
    right = (broker.secrets / "mqtt_password").read_text().strip()
    sessions = [
        broker.session("dutyroom", right, "let-in", ("#",)),
        broker.session("dutyroom", "wrong", "stranger", ("#",)),
    ]
    for session in sessions:
        session.start()
    until(lambda: sessions[0].connected and sessions[1].refused)
    for session in sessions:
        session.stop()
    assert sessions[0].refused == ""
    assert "does not let us in" in sessions[1].refused


@pytest.mark.servers
def test_a_device_publishes_below_its_own_name_and_what_it_was_granted(broker: Broker) -> None:
    right = (broker.secrets / "mqtt_password").read_text().strip()
    service = broker.session("dutyroom", right, "service", ("#",))
    service.start()
    until(lambda: service.connected)
    time.sleep(0.3)  # the subscription
    device = paho.Client(CallbackAPIVersion.VERSION2, client_id="gateway-1")
    device.username_pw_set("gateway-1", "secret")
    device.tls_set(ca_certs=str(broker.secrets / "mqtt_ca"))
    device.connect("localhost", broker.port)
    device.loop_start()
    until(device.is_connected)
    allowed = ["gateway-1/up", "water/gateway-1/up", "v3/water/gateway-1/up", "wmbusmeters/40000001"]
    for topic in ["gateway-2/up", "water/gateway-2/up", "other/topic", "$dutyroom/selftest/x", *allowed]:
        device.publish(topic, topic.encode(), qos=1).wait_for_publish(10)
    came: list[str] = []

    def all_came() -> bool:
        came.extend(message.topic for _, message in service.take(0.2, 100))
        return len(came) >= len(allowed)

    until(all_came)
    device.disconnect()
    device.loop_stop()
    service.stop()
    assert sorted(came) == sorted(allowed)


@pytest.mark.servers
def test_the_broker_passes_our_own_test_of_brokers(broker: Broker) -> None:
    verdict = self_test(broker.service)
    assert (verdict.changes, verdict.untried) == ((), "")
