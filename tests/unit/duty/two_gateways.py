"""A building for tests: a feeder with three boards of four pumps each, behind two gateways."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tests.unit.duty.duty_room import Room, device, gauge, person, state

from dutyroom.flows.ground import ground_of
from dutyroom.rules.parse import parse_rules
from dutyroom.topology import Topology

BOARDS = tuple(f"b{n}" for n in range(3))
PUMPS = tuple(f"p{n}{m}" for n in range(3) for m in range(4))
QUICK = parse_rules("rules:\n  - {id: pump.offline, parameters: {after: 30s}}\n", "rules.yaml")
CARRIED = {d: ("g0" if d in ("b0", "b1", "p10", "p11") or d[1] == "0" else "g1",) for d in (*BOARDS, *PUMPS)}
FED = {"g0": "b0", "g1": "b2"}
EVERY = ("feeder", "other", *BOARDS, *PUMPS)


def house(
    fed: Mapping[str, str] | None = None,
    carried: Mapping[str, tuple[str, ...]] = CARRIED,
    quick: bool = True,
    pace: int = 10,
    slow: Mapping[str, int] | None = None,
    more: Collection[str] = (),
    meters: Collection[str] = (),
) -> Room:
    """fed: gateway -> its board; carried: device -> its gateways, g2 a third one; pace: of the feeders; slow: of pumps that speak less often, s;
    more: further pumps, of which `day` knows nothing; meters: of water, heard once a quarter of an hour, the first time now."""
    power = {**dict.fromkeys(BOARDS, ("feeder",)), **{p: (f"b{p[1]}",) for p in PUMPS}}
    power |= {gateway: (board,) for gateway, board in (fed or {}).items()}
    room = Room(
        [
            *(device(name, "feeder", pace) for name in ("feeder", "other")),
            *(device(name, "feeder", 10) for name in BOARDS),
            *(device(p, "pump", (slow or {}).get(p, 10)) for p in (*PUMPS, *more)),
            *(device(name, "water_meter", 900) for name in meters),
            *(device(name, "gateway") for name in ("g0", "g1", "g2")),
        ],
        {
            "feeder": [gauge("voltage")],
            "pump": [state("running", 10)],
            "gateway": [state("online")],
            "water_meter": [gauge("volume", "m3", 900)],
        },
        rules=QUICK if quick else None,
        topology=Topology({"power": power, "network": dict(carried)}),
    )
    room.ground = ground_of(room.topology, "Asia/Shanghai")
    room.restart()
    room.records.rows.people = [person("li")]
    room.reads(("g0", "online", 1), ("g1", "online", 1), *((name, "volume", 1.0) for name in meters))
    return room


def day(
    room: Room,
    since: int,
    until: int,
    silent: Collection[str] = (),
    dead: Collection[str] = (),
    gateways: Mapping[int, tuple[str, int]] | None = None,
    pace: int = 10,
) -> None:
    """Each device speaks every ten seconds, at a second of its own. silent: those that say nothing; dead: those that say
    that they have no power; gateways: second -> which one's last will, or return, comes then."""
    for second in range(since, until):
        rows = []
        for number, name in enumerate(EVERY):
            often = pace if name in ("feeder", "other") else room.devices[name].interval_s or 10
            if name in silent or second % often != number % often:
                continue
            volts = 0 if name in dead else 230
            rows.append((name, "running", 1) if name in PUMPS else (name, "voltage", volts))
        for name, online in [gateways[second]] if gateways and second in gateways else ():
            rows.append((name, "online", online))
        room.at(second)
        if rows:
            room.reads(*rows)


def told(room: Room) -> list[str]:
    return [key.split("|")[1] + "|" + key.split("|")[2] for key in room.records.rows.outbox]
