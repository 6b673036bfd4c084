"""`dutyroom demo`: broker, simulated estate, service and pages as one process tree on the loopback."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from dutyroom.backends.broker import EmbeddedBroker, own_address
from dutyroom.backends.clock import ScaledClock, read_machine_time
from dutyroom.backends.datafolder import DataFolder
from dutyroom.backends.mqtt import MqttPublisher
from dutyroom.backends.passwords import Passwords
from dutyroom.errors import Rejected
from dutyroom.flows.loops import Loop
from dutyroom.interfaces import Records
from dutyroom.model.duty import Role
from dutyroom.settings import Settings, data_home
from dutyroom.site import BrokerAddress, Site, load_site
from dutyroom.timebase import Ms
from dutyroom.wiring.estate import (
    INJECT_TOPIC,
    agreed,
    built_units,
    check_scenario,
    run_to_its_end,
    scenario_names,
    simulators,
)
from dutyroom.wiring.instance import (
    Instance,
    first_administrator,
    ignoring_interrupts,
    log_to,
    make_instance,
    open_door,
)
from dutyroom.wiring.past import Past
from dutyroom.wiring.running import RunningSite, limits_of, open_site
from dutyroom.wiring.seeding import profiles_of
from dutyroom.wiring.stores import records_of, store_of

log = structlog.get_logger(__name__)

UNITS = 480  # of a new estate, unless told
MOST_UNITS = 10_000
_CLOCK_S = 1.0


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the command line says."""

    fresh: bool = False
    speed: float = 1.0
    empty: bool = False
    seed: int = 7
    history: bool = True
    scenarios: bool = True
    units: int | None = None  # None: as many as the estate has, or 480


def run_demo(
    settings: Settings, options: DemoOptions, say: Callable[[str], None], ready: Callable[[str], None]
) -> None:
    """Runs until Ctrl-C. `say` gets the lines for the person, `ready` the address once it answers."""
    if not 0.1 <= options.speed <= 1000:
        raise Rejected(f"--speed {options.speed:g}: give a factor from 0.1 to 1000")
    if options.units is not None and not 1 <= options.units <= MOST_UNITS:
        raise Rejected(f"--units {options.units}: give a number from 1 to {MOST_UNITS}")
    with ExitStack() as stack:
        folder = stack.enter_context(DataFolder(settings.data))
        if options.fresh:
            _empty(settings.data)
        log_to(settings.data / "dutyroom.log", settings.log_level)
        door, taken = open_door(settings)
        stack.callback(door.close)
        if taken:
            say(taken)
        clock = _demo_clock(settings.data, options.speed)
        with ignoring_interrupts():
            broker = stack.enter_context(EmbeddedBroker(settings.data / "broker"))
        site = _demo_site(settings.data, options, clock)
        if not options.empty:
            options = sized(options, site, settings.data)
        demo = _open(settings, folder, site, clock, broker, door)
        stack.callback(demo.instance.stop)
        _keep_clock(settings.data, clock, stack)
        demo.instance.start()
        if not options.empty:
            _start_estate(demo, stack, options)

        def answering() -> None:
            demo.instance.announce(f"127.0.0.1:{broker.port}")
            _greet(demo, options, say)
            ready(demo.instance.url)

        demo.instance.serve(answering)
        say("Stopping.")


@dataclass(slots=True)
class _Demo:
    settings: Settings
    instance: Instance
    site: RunningSite
    clock: ScaledClock
    broker: EmbeddedBroker
    login: str
    password: str | None  # only when it was made just now


def _open(
    settings: Settings,
    folder: DataFolder,
    site: Site,
    clock: ScaledClock,
    broker: EmbeddedBroker,
    door: socket.socket,
) -> _Demo:
    records = records_of(settings)
    first = first_administrator(records, site.id, Passwords(), site.language)
    profiles = profiles_of(site, settings.data / "site", folder)
    running = open_site(
        site,
        settings.data / "sites" / site.id,
        records,
        store_of(settings, site.id),
        profiles,
        clock,
        [BrokerAddress(broker.host, broker.port)],
        limits_of(settings),
        lossless=False,
        speed=clock.speed,
        reader=settings.mqtt_reader,
    )
    running.broker = broker
    return _Demo(
        settings,
        make_instance(settings, folder, records, [running], clock, door, clock.speed),
        running,
        clock,
        broker,
        first[0] if first else _administrator(records, site.id),
        first[1] if first else None,
    )


def _administrator(records: Records, site: str) -> str:
    """Who was told a password at an earlier start."""
    with records.read() as tx:
        found = [p.login for p in tx.people.all(site) if p.role is Role.ADMINISTRATOR and p.password_hash]
    return found[0] if found else "admin"


def _empty(data: Path) -> None:
    """Removes what earlier runs left; the lock file stays ours."""
    for entry in data.iterdir():
        if entry.name in ("instance.lock", "version.json"):
            continue
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _demo_clock(data: Path, speed: float) -> ScaledClock:
    """Never behind where the last run stopped: time of the estate does not go back."""
    real = read_machine_time()
    kept = data / "clock.json"
    last: Ms = 0
    if kept.exists():
        try:
            last = int(json.loads(kept.read_text(encoding="utf-8"))["now"])
        except (ValueError, KeyError, TypeError) as err:
            raise Rejected(f"{kept} cannot be read ({err}); start with --fresh") from err
    return ScaledClock(max(real, last + 1), real, speed)


def _keep_clock(data: Path, clock: ScaledClock, stack: ExitStack) -> None:
    """Writes how far the estate's time has come: at the end, and where it runs ahead of the machine's
    each second, one second of it ahead, so that it does not go back after a crash either."""
    file, beside = data / "clock.json", data / "clock.json.new"

    def write(now: Ms) -> None:
        beside.write_text(json.dumps({"now": now}), encoding="utf-8")
        beside.replace(file)

    def ahead() -> float:
        write(clock.now() + round(_CLOCK_S * 1000 * clock.speed))
        return _CLOCK_S

    keeping = Loop("clock", ahead)
    stack.callback(lambda: write(clock.now()))
    if clock.speed > 1 or clock.base > clock.real_base:
        keeping.start()
        stack.callback(keeping.end)


def _agreed(data: Path, options: DemoOptions, clock: ScaledClock) -> list[str]:
    return agreed(data, options.seed, options.units or UNITS, clock)


def _demo_site(data: Path, options: DemoOptions, clock: ScaledClock) -> Site:
    if options.empty:
        return Site("my-site", {"zh-CN": "我的项目", "en": "My site"}, "Asia/Shanghai", adopt_unknown=True)
    folder = data / "site"
    if not (folder / "site.yaml").exists():
        run_to_its_end(simulators("site", str(folder), *_agreed(data, options, clock)))
    return replace(load_site(folder), scenarios=True)


def sized(options: DemoOptions, site: Site, data: Path) -> DemoOptions:
    """An estate keeps the size that it was made with. Raises Rejected when another is asked for."""
    there = sum(space.kind == "unit" for space in site.spaces.values())
    if options.units is not None and built_units(options.units) != there:
        raise Rejected(
            f"--units {options.units}: the estate in {data} has {there} units; leave it out, or add --fresh"
        )
    return replace(options, units=there)


def _start_estate(demo: _Demo, stack: ExitStack, options: DemoOptions) -> None:
    """The simulated devices, in a process of their own, and the page's button for scenarios."""
    data, clock = demo.settings.data, demo.clock
    command = simulators(
        "run",
        "--guard",
        "--host",
        demo.broker.host,
        "--port",
        str(demo.broker.port),
        *_agreed(data, options, clock),
    )
    if not options.scenarios:
        command.append("--no-auto-scenarios")
    # The pipe tells the child when we are gone, however we went.
    child = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    stack.callback(_end, child)
    publisher = MqttPublisher(demo.broker.host, demo.broker.port, "dutyroom-demo")
    stack.callback(publisher.close)

    def inject(scenario: str, given: dict[str, str]) -> None:
        check_scenario(scenario, given, options.units or UNITS)
        publisher.publish(INJECT_TOPIC, json.dumps({"scenario": scenario, "options": given}).encode())

    demo.site.runtime.inject = inject
    demo.site.runtime.scenarios = scenario_names()
    if options.history and not (data / "history.done").exists():
        past = Past(data, demo.site.runtime, _agreed(data, options, clock))
        past.start()
        stack.callback(past.end)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(1.0)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if child.stdin is not None:
        child.stdin.close()


def _greet(demo: _Demo, options: DemoOptions, say: Callable[[str], None]) -> None:
    url = demo.instance.url
    say("")
    say(f"  Dutyroom is running at {url}")
    if demo.settings.host in ("0.0.0.0", "::"):  # noqa: S104
        say(f"  Other machines find it at http://{own_address()}:{demo.instance.door.getsockname()[1]}")
    another = _command(f"password {demo.login}", demo.settings)
    if demo.password:
        say(f"  Log in as {demo.login} with the one-time password {demo.password}")
        say(f"  It is shown only now; this sets another: {another}")
    else:
        say(f"  Log in as {demo.login}; for a forgotten password: {another}")
    say("")
    say("  Three things to try:")
    if demo.site.runtime.inject is None:
        say(f"   1. Publish a message of any device to the broker at 127.0.0.1:{demo.broker.port}")
        say("   2. Look at it on the devices page; unknown ones are adopted")
        say("   3. What could not be read, and why, stands on the data page")
    else:
        if options.scenarios:
            say("   1. Wait a minute: a pipe will burst. Acknowledge the alarm with the key A")
        else:
            say(f"   1. Burst a pipe: {_command('simulate --scenario burst_pipe', demo.settings)}")
        say(f"   2. Cut a feeder: {_command('simulate --scenario feeder_cut', demo.settings)}")
        say("   3. Look at last month's statement of a unit on the statements page")
    say("")
    say("  Ctrl-C stops it; the data stays for the next start.")


def _command(words: str, settings: Settings) -> str:
    """A command that works when typed here: where ours lies, and which data folder is meant."""
    shown = "dutyroom"
    if shutil.which(shown) is None:
        here, folder = Path.cwd(), Path(sys.executable).parent
        path = next((p for p in folder.glob("dutyroom*") if p.suffix in ("", ".cmd", ".exe")), Path(shown))
        shown = str(path.relative_to(here) if path.is_relative_to(here) else path)
    usual = data_home() / "demo"
    return f"{shown} {words}" + ("" if settings.data == usual else f" --data {settings.data}")
