"""python -m dutyroom_simulators: site | run | history | inject | load."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from datetime import datetime
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from dutyroom_simulators.clock import ScaledClock
from dutyroom_simulators.estate import INJECT_TOPIC, make_estate
from dutyroom_simulators.history import write_chunks, write_csv
from dutyroom_simulators.runner import Runner
from dutyroom_simulators.scenarios import NAMES, Record, make_injection
from dutyroom_simulators.sitefolder import write_site
from dutyroom_simulators.world import World


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dutyroom_simulators", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text)
        made.add_argument("--seed", type=int, default=7)
        made.add_argument("--units", type=int, default=480)
        made.add_argument("--clock", default="", help="BASE,REAL_BASE,SPEED; default: the machine's")
        made.add_argument("--data", type=Path, help="folder of the estate's records")
        return made

    site = command("site", "write the estate's site folder")
    site.add_argument("folder", type=Path)
    run = command("run", "publish on a broker until stopped")
    run.add_argument("--no-auto-scenarios", action="store_true")
    history = command("history", "write past readings")
    history.add_argument("--from", dest="start", required=True, help="ISO 8601 with a zone")
    history.add_argument("--to", dest="end", required=True)
    history.add_argument("--out", type=Path, required=True)
    history.add_argument("--format", choices=("csv", "npz"), default="csv")
    for made in (run, history):
        made.add_argument("--guard", action="store_true", help="end when standard input closes")
    inject = command("inject", "ask a running estate to play a scenario")
    inject.add_argument("scenario", choices=NAMES)
    inject.add_argument("--option", action="append", default=[], help="name=value; see docs/simulators.md")
    load = command("load", "publish water meter readings at a steady rate")
    load.add_argument("--rate", type=float, default=500)
    load.add_argument("--seconds", type=float, default=10)
    load.add_argument("--devices", type=int, default=1000)
    for made in (run, inject, load):
        made.add_argument("--host", default="127.0.0.1")
        made.add_argument("--port", type=int, default=1883)
    return parser


def _world(args: argparse.Namespace, wills: bool) -> World:
    """The estate with its records; its first start is remembered."""
    now = ScaledClock.parse(args.clock).now()
    if args.data is not None:
        args.data.mkdir(parents=True, exist_ok=True)
        file = args.data / "started.json"
        if file.exists():
            now = int(json.loads(file.read_text(encoding="utf-8"))["at"])
        else:
            file.write_text(json.dumps({"at": now}), encoding="utf-8")
    return World(make_estate(args.seed, args.units), Record(args.data), now, wills)


def _run(args: argparse.Namespace) -> None:
    runner = Runner(
        _world(args, wills=False),
        args.host,
        args.port,
        ScaledClock.parse(args.clock),
        not args.no_auto_scenarios,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: runner.stop.set())
    _watch_parent(args)
    runner.run()


def _watch_parent(args: argparse.Namespace) -> None:
    if args.guard:
        threading.Thread(target=_guard, daemon=True).start()


def _guard() -> None:
    """The parent holds our standard input open; when it is gone, so are we."""
    # Unbuffered: a thread that waits in a buffered read keeps the interpreter from ending.
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(0)


def _history(args: argparse.Namespace) -> None:
    _watch_parent(args)
    world = _world(args, wills=True)
    start, end = (round(datetime.fromisoformat(text).timestamp() * 1000) for text in (args.start, args.end))
    write = write_chunks if args.format == "npz" else write_csv
    print(f"{write(world, start, end, args.out)} readings", flush=True)


def _connected(host: str, port: int) -> paho.Client:
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.max_inflight_messages_set(1000)
    client.connect(host, port)
    client.loop_start()
    return client


def _inject(args: argparse.Namespace) -> None:
    options = dict(option.partition("=")[::2] for option in args.option)
    kinds = {d.id: d.kind for d in make_estate(args.seed, args.units).devices}
    try:
        make_injection(args.scenario, 0, options, kinds)
    except ValueError as err:
        raise SystemExit(f"cannot play that: {err}") from err
    client = _connected(args.host, args.port)
    body = json.dumps({"scenario": args.scenario, "options": options}).encode()
    client.publish(INJECT_TOPIC, body, qos=1).wait_for_publish(5)
    client.disconnect()


def _load(args: argparse.Namespace) -> None:
    """Meters 10000000 and up, in turn; total_m3 counts the rounds."""
    client, clock = _connected(args.host, args.port), ScaledClock.parse(args.clock)
    total = round(args.rate * args.seconds)
    begun = time.monotonic()
    info = None
    for n in range(total):
        meter = 10_000_000 + n % args.devices
        stamp = clock.now() // 1000
        body = (
            f'{{"_":"telegram","media":"cold water","meter":"multical21","id":"{meter}","status":"OK",'
            f'"total_m3":{n // args.devices / 1000:.3f},"timestamp":"{datetime.fromtimestamp(stamp).astimezone().isoformat()}"}}'
        )
        info = client.publish(f"wmbusmeters/{meter}", body.encode(), qos=1)
        ahead = n / args.rate - (time.monotonic() - begun)
        if ahead > 0.002:
            time.sleep(ahead)
    if info is not None:
        info.wait_for_publish(60)
    spent = time.monotonic() - begun
    print(f"{total} messages in {spent:.1f} s, {total / spent:.0f}/s", flush=True)
    client.disconnect()
    client.loop_stop()


def main() -> None:
    args = _parser().parse_args()
    if args.command == "site":
        world = _world(args, wills=True)
        write_site(world.estate, args.folder, world.started_at)
    else:
        {"run": _run, "history": _history, "inject": _inject, "load": _load}[args.command](args)


if __name__ == "__main__":
    main()
