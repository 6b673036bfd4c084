"""A gateway was away and hands out what it kept, in order: what was over before anybody could hear of it calls nobody."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest
from tests.unit.duty.duty_room import T0, Room, device, gauge, person, state
from tests.unit.duty.test_late_data import Stored

from dutyroom.model.telemetry import Kind, PointSpec
from dutyroom.topology import Topology


def house() -> Room:
    room = Room(
        [device("feeder", "feeder", 10), device("b0", "feeder", 10), device("lift", "elevator", 10)],
        {"feeder": [gauge("voltage")], "elevator": [state("trapped", 10), state("fault_code")]},
        topology=Topology({"power": {"b0": ("feeder",), "lift": ("b0",)}}),
    )
    room.records.rows.people = [person("li")]
    for second in range(0, 300, 10):
        room.at(second)
        room.reads(("feeder", "voltage", 230), ("b0", "voltage", 230), ("lift", "trapped", 0))
    return room


def kept(room: Room, since: int, until: int, *rows: tuple[str, str, float]) -> None:
    for second in range(since, until, 10):
        room.reads(*rows, at=second)


def alone(room: Room) -> None:
    """The feeder goes on speaking, and nothing else is heard, for a quarter of an hour."""
    for second in range(300, 1200, 10):
        room.at(second)
        room.reads(("feeder", "voltage", 230))


@pytest.mark.parametrize("pause", [0, 10])
def test_a_loss_that_was_over_by_then_is_on_record_without_a_ticket(pause: int) -> None:
    """pause: seconds in the middle of what it hands out."""
    room = house()
    alone(room)
    told, tickets = set(room.records.rows.outbox), set(room.tickets())
    kept(room, 300, 600, ("b0", "voltage", 0))
    room.at(1190 + pause)
    kept(room, 600, 1200, ("b0", "voltage", 230))
    for second in range(1220, 1400, 10):
        room.at(second)
        room.reads(("feeder", "voltage", 230), ("b0", "voltage", 230), ("lift", "trapped", 0))
    (found,) = (a for a in room.records.rows.alarms.values() if a.rule == "power.mains_lost")
    assert found.cleared_at is not None
    assert found.ticket is None
    assert set(room.records.rows.outbox) == told
    assert set(room.tickets()) <= tickets


def test_the_next_loss_has_its_ticket() -> None:
    room = house()
    alone(room)
    kept(room, 300, 600, ("b0", "voltage", 0))
    kept(room, 600, 1200, ("b0", "voltage", 230))
    for second in range(1200, 1300, 10):
        room.at(second)
        room.reads(("feeder", "voltage", 230), ("b0", "voltage", 0 if second >= 1230 else 230))
    assert "power.mains_lost|b0" in room.tickets()


def test_records_that_are_played_faster_than_they_happened_have_their_tickets() -> None:
    """Of a device that was never away."""
    room = house()
    for second in range(300, 600):
        room.at(second)
        played = 300 + (second - 300) * 10
        room.reads(("b0", "voltage", 0 if 600 <= played < 1200 else 230), at=played)
    assert "power.mains_lost|b0" in room.tickets()


def test_what_stands_still_has_its_ticket() -> None:
    room = house()
    alone(room)
    kept(room, 300, 1200, ("b0", "voltage", 0), ("lift", "fault_code", 7))
    for second in range(1200, 1240, 10):
        room.at(second)
        room.reads(("feeder", "voltage", 230), ("b0", "voltage", 0), ("lift", "fault_code", 7))
    assert "power.mains_lost|b0" in room.tickets()
    assert "elevator.fault|lift" in [
        *room.tickets(),
        *(f"{a.rule}|{a.object}" for a in room.records.rows.alarms.values() if a.root),
    ]


def test_an_entrapment_is_told_whenever_it_was() -> None:
    room = house()
    alone(room)
    kept(room, 300, 600, ("lift", "trapped", 1))
    kept(room, 600, 1200, ("lift", "trapped", 0))
    room.at(1201)
    assert "elevator.entrapment|lift" in room.tickets()


# ------------------------------------------------------------ a gateway with a gate, tanks, a riser and a board

AWAY, BACK = 1000, 2800
CLASSES = {
    "gate": "gate",
    "high": "tank",
    "low": "tank",
    "riser": "water_meter",
    "board": "feeder",
    "detector": "sensor",
}
# device: point, as usual, as it must not be
SAYS = {
    "gate": ("door_forced", 0, 1),
    "high": ("level", 1.5, 2.49),
    "low": ("level", 1.5, 0.05),
    "riser": ("flow", 0.2, 9),
    "board": ("voltage", 230, 0),
    "detector": ("gas", 0, 1),
}
RINGS = (
    "gate.forced|gate",
    "tank.overflow|high",
    "tank.dry|low",
    "water.burst|riser",
    "power.mains_lost|board",
)


def court() -> Room:
    parameters = {"tank": {"height": 2.5}, "water_meter": {"use": "riser"}}
    devices = [device(name, cls, 30, **parameters.get(cls, {})) for name, cls in CLASSES.items()]
    room = Room(
        [*devices, device("main", "feeder", 10), device("gateway", "gateway")],
        {
            "gateway": [state("online")],
            "feeder": [gauge("voltage")],
            "gate": [state("door_forced")],
            "tank": [gauge("level", "m")],
            "water_meter": [gauge("flow", "m3/h")],
            "sensor": [state("gas")],
        },
        topology=Topology({"power": {"board": ("main",)}, "network": dict.fromkeys(CLASSES, ("gateway",))}),
    )
    room.records.rows.people = [person("li")]
    return room


def hand_out(
    room: Room,
    rate: int,
    until: int,
    end: int = 3400,
    restart: int = 0,
    away: Sequence[tuple[int, int]] = ((AWAY, BACK),),
) -> dict[str, int]:
    """The gateway is away for half an hour and hands out `rate` readings a second then, in order; from 1500 until a second all
    is as it must not be. restart: the service stops in that second. Returns when each ticket was opened."""
    kept: list[tuple[int, tuple[str, str, float]]] = []
    opened: dict[str, int] = {}
    room.reads(("gateway", "online", 1))
    for second in (*range(0, BACK, 5), *range(BACK, end)):
        room.at(second, step=5)
        if second == restart:
            room.watch.stop()
            room.restart()
        if second % 10 == 0:
            room.reads(("main", "voltage", 230))
        if second in (AWAY + 40, BACK):
            room.reads(("gateway", "online", int(second == BACK)))
        for number, (name, (point, usual, wrong)) in enumerate(SAYS.items()):
            if second % 30 == 5 * number:
                kept.append((second, (name, point, wrong if 1500 <= second < until else usual)))
        if not any(left <= second < back for left, back in away):
            for at, row in kept[:rate]:
                room.journal.append(room.batch(row, at=at))
            del kept[:rate]
            room.watch.drain()
        for cause in room.tickets():
            opened.setdefault(cause, second)
    return opened


@pytest.mark.parametrize("rate", [2, 5, 100, 1000])
def test_what_was_over_by_then_is_on_record_whatever_it_was_and_however_slow_the_hand_out(rate: int) -> None:
    room = court()
    opened = hand_out(room, rate, until=1900)
    # Nobody was warned of the gas: that is told whenever it was.
    assert set(opened) == {"gateway.offline|gateway", "gas.leak|detector"}
    recorded = {f"{a.rule}|{a.object}": a for a in room.records.rows.alarms.values()}
    for name in RINGS:
        assert recorded[name].cleared_at is not None
        assert recorded[name].ticket is None
    told = {row.arguments["object"] for row in room.records.rows.outbox.values()}
    assert told == {"gateway", "detector"}


@pytest.mark.parametrize(("rate", "within"), [(5, 130), (1000, 32)])
def test_what_still_stands_is_told_when_the_words_are_of_now(rate: int, within: int) -> None:
    opened = hand_out(court(), rate, until=9999)
    assert {name: BACK < opened[name] <= BACK + within for name in RINGS} == dict.fromkeys(RINGS, True)


def test_a_loss_of_power_is_told_within_a_minute_of_its_first_word_however_slow_the_hand_out() -> None:
    room = court()
    opened = hand_out(room, 2, until=9999)
    (loss,) = (a for a in room.records.rows.alarms.values() if a.rule == "power.mains_lost")
    assert opened["power.mains_lost|board"] <= (loss.recorded_at - T0) // 1000 + 60


def test_a_restart_in_the_middle_of_it_changes_nothing() -> None:
    assert set(hand_out(court(), 5, until=1900, restart=2825)) == {
        "gateway.offline|gateway",
        "gas.leak|detector",
    }


def test_a_hand_out_that_stops_is_awaited_no_longer() -> None:
    room = court()
    for second in range(0, 2000, 30):
        room.at(second)
        if second < AWAY:
            room.reads(("gate", "door_forced", 0))
    room.at(2000)
    room.reads(("gate", "door_forced", 1), at=1500)
    room.at(2040)
    assert "gate.forced|gate" not in room.tickets()
    room.at(2050)
    assert "gate.forced|gate" in room.tickets()


def test_a_register_that_went_down_is_told_though_it_is_up_again() -> None:
    """A clerk has to look at it."""
    register = PointSpec("volume", unit="m3", kind=Kind.COUNTER, step=Decimal("0.001"), interval_s=60)
    room = Room([device("meter", "water_meter", 60)], {"water_meter": [register]})
    for minute in range(10):
        room.at(60 * minute)
        room.reads(("meter", "volume", 100 + minute / 100))
    room.at(6000, step=60)
    for minute in range(10, 100):
        room.reads(("meter", "volume", 50 if 40 <= minute < 60 else 100 + minute / 100), at=60 * minute)
    room.at(6100)
    assert "meter.decrease|meter" in room.tickets()


def test_an_uplink_that_comes_and_goes_in_the_hand_out_is_one_absence() -> None:
    """It is away for another minute and a half after some seconds."""
    room = court()
    opened = hand_out(room, 5, until=1900, away=((AWAY, BACK), (BACK + 5, BACK + 100)))
    assert set(opened) == {"gateway.offline|gateway", "gas.leak|detector"}


def test_a_live_word_on_another_point_does_not_end_the_waiting() -> None:
    """A birth message comes before the backlog."""
    room = Room([device("gate", "gate", 30)], {"gate": [state("door_forced"), state("online")]})
    for second in range(0, 900, 30):
        room.at(second)
        room.reads(("gate", "door_forced", 0))
    room.at(2800, step=5)
    room.reads(("gate", "online", 1))
    for played in range(900, 2800, 30):
        room.at(2800 + played // 30)
        room.reads(("gate", "door_forced", int(1500 <= played < 1900)), at=played)
    room.at(3000)
    assert not [cause for cause in room.tickets() if cause.startswith("gate.forced")]


# ------------------------------------------------------------ clocks that are off


def wrong_clock(room: Room, behind: int, since: int, until: int, *, reset: bool = False) -> dict[str, int]:
    """All of the court is away for half an hour, without anything that keeps its words; its clocks are behind (reset: only after it).
    From one second until another all is as it must not be. Returns when each ticket was opened."""
    opened: dict[str, int] = {}
    for second in range(0, until + 120, 5):
        room.at(second, step=5)
        off = behind if not reset or second >= BACK else 0
        for number, (name, (point, usual, wrong)) in enumerate(SAYS.items()):
            if second % 30 == 5 * number and not AWAY <= second < BACK:
                room.reads((name, point, wrong if since <= second < until else usual), at=second - off)
        for cause in room.tickets():
            opened.setdefault(cause, second)
    return opened


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("behind", [70, 200, 1200])
@pytest.mark.parametrize("lasts", [65, 240])
def test_what_is_heard_as_it_happens_is_told_whatever_the_clock_says(
    behind: int, lasts: int, reset: bool
) -> None:
    """Two minutes after the return, by a clock that says that it was in the absence."""
    opened = wrong_clock(court(), behind, BACK + 120, BACK + 120 + lasts, reset=reset)
    for name in RINGS:
        assert BACK + 120 <= opened[name] <= BACK + 120 + 30 + 60, name


@pytest.mark.parametrize("behind", [70, 180, 1200, 8 * 3600])
def test_so_it_is_of_a_gate_that_speaks_when_it_likes(behind: int) -> None:
    """Each of its words comes after a pause: none of these is an absence in which something was kept."""
    room = Room([device("gate", "gate")], {"gate": [state("door_forced")]})
    for second, forced in ((0, 0), (600, 0), (5000, 1), (5040, 0)):
        room.at(second, step=10)
        room.reads(("gate", "door_forced", forced), at=second - behind)
    assert "gate.forced|gate" in room.tickets()


def test_and_of_one_whose_clock_has_stood_still_while_it_was_away() -> None:
    """Its words are of now, and all that they tell happens now; it is over within half a minute."""
    room = Room([device("gate", "gate", 10)], {"gate": [state("door_forced")]})
    for second in range(0, 3200, 10):
        room.at(second, step=10)
        if not AWAY <= second < BACK:
            off = 0 if second < AWAY else 1800
            room.reads(("gate", "door_forced", int(3000 <= second < 3030)), at=second - off)
    assert "gate.forced|gate" in room.tickets()


def test_and_of_one_whose_words_are_a_minute_late() -> None:
    room = Room([device("gate", "gate")], {"gate": [state("door_forced")]})
    room.reads(("gate", "door_forced", 0))
    room.at(5075, step=10)
    room.reads(("gate", "door_forced", 1), at=5000)
    room.reads(("gate", "door_forced", 0), at=5060)
    assert "gate.forced|gate" in room.tickets()


@pytest.mark.parametrize("ahead", [300, 1200, 3500])
def test_a_clock_that_was_ahead_and_is_set_right_hides_nothing(ahead: int) -> None:
    """Its words of before lie in times that are not yet."""
    detector = [state("gas", 30), state("leak", 30)]
    room = Room([device("hob", "sensor", 30)], {"sensor": detector})
    room.past = Stored(room)
    room.restart()
    room.records.rows.people = [person("li")]
    for second in range(0, 2400, 30):
        room.at(second, step=5)
        off, wrong = (ahead if second < 2000 else 0), int(2100 <= second < 2250)
        room.reads(("hob", "gas", wrong), ("hob", "leak", wrong), at=second + off)
    told = {row.arguments["object"] for row in room.records.rows.outbox.values()}
    assert told == {"hob"}
    rules = {key.split("|")[1] for key in room.records.rows.outbox}
    assert {"gas.leak", "sensor.leak"} <= rules


# ------------------------------------------------------------ what follows


@pytest.mark.parametrize("ran", [False, True])
def test_the_generators_verdict_on_a_cut_that_was_over_by_then_is_on_record(ran: bool) -> None:
    """The generator is heard by another way."""
    room = Room(
        [device("board", "feeder", 10), device("gen", "generator", 10, backs="board")],
        {"feeder": [gauge("voltage")], "generator": [state("running", 10)]},
        topology=Topology({"power": {}, "network": {"board": ("gateway",)}}),
    )
    kept_rows = []
    for second in range(0, 3000, 10):
        room.at(second, step=10)
        room.reads(("gen", "running", int(ran and 1510 <= second < 2200)))
        kept_rows.append((second, 0 if 1500 <= second < 1900 else 230))
        if second < 300 or second >= 2800:
            for at, volts in kept_rows:
                room.reads(("board", "voltage", volts), at=at)
            kept_rows.clear()
        elif second == 300:
            kept_rows = kept_rows[-1:]
    recorded = {alarm.rule for alarm in room.records.rows.alarms.values()}
    assert {"power.mains_lost", "generator.start_failure"} <= recorded
    assert [c for c in room.tickets() if not c.startswith("feeder.offline")] == []


def test_a_fires_first_signs_are_told_whenever_they_were() -> None:
    room = Room([device("panel", "fire_panel", 30)], {"fire_panel": [state("prealarm"), state("alarm")]})
    for second in range(0, 900, 30):
        room.at(second)
        room.reads(("panel", "prealarm", 0))
    room.at(2800, step=5)
    for played in range(900, 2800, 30):
        room.reads(("panel", "prealarm", int(1500 <= played < 1900)), at=played)
    room.at(2802)
    assert "fire.prealarm|panel" in room.tickets()
