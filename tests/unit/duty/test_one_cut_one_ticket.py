"""A feeder cut with 500 devices, in any order of arrival: one ticket, one message per person.

`DUTYROOM_ORDERS=1000` plays a thousand orders; a unit run plays some.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field

import pytest
from tests.unit.duty.duty_room import SITE, T0, Room, device, gauge, person, state
from tests.unit.duty.plain_book import PlainBook

from dutyroom.flows.episodes import Context
from dutyroom.model.duty import Condition
from dutyroom.rules.parse import default_rules
from dutyroom.topology import Topology

ORDERS = int(os.environ.get("DUTYROOM_ORDERS", "12"))
RULES = {rule.id: rule for rule in default_rules()}
CUT = T0 + 60_000  # when the feeder dies
KINDS = (
    ("gateway", "gateway.offline", 60),
    ("elevator", "elevator.offline", 60),
    ("pump", "pump.offline", 60),
    ("tank", "tank.silent", 600),
    ("electricity_meter", "meter.silent", 900),
)
CHILDREN = [device(f"c{n:03}", KINDS[n % 5][0], KINDS[n % 5][2]) for n in range(500)]
DARK = {child.id: KINDS[n % 5][1] for n, child in enumerate(CHILDREN)}
DEVICES = {d.id: d for d in (device("feeder", "feeder", 10), device("feeder2", "feeder", 10), *CHILDREN)}
TOPOLOGY = Topology({"power": {child.id: ("feeder",) for child in CHILDREN}})


@dataclass
class Cut:
    """One order: when each child is known to be dark, when the feeder itself says so (None = never)."""

    seed: int
    children: dict[str, int] = field(default_factory=dict)
    parent: int | None = None
    heard: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        chance = random.Random(self.seed)
        span = chance.choice((3, 20, 60, 120))
        for child in CHILDREN:
            self.children[child.id] = CUT + round(chance.uniform(1, 1 + span) * 1000)
            self.heard[child.id] = CUT - round(chance.uniform(0, child.interval_s or 0) * 1000)
        late = chance.choice((0, chance.uniform(0, 120), 120, None))
        self.parent = None if late is None else CUT + round(late * 1000)
        self.heard |= {"feeder": CUT - round(chance.uniform(0, 10_000)), "feeder2": CUT}

    @property
    def first(self) -> int:
        """When anything is known of it."""
        return min(*self.children.values(), self.parent or CUT + 10**6)

    def conditions(self, after: int, until: int) -> list[Condition]:
        found = [
            (at, Condition(DARK[name], name, True, at))
            for name, at in self.children.items()
            if after < at <= until
        ]
        if self.parent is not None and after < self.parent <= until:
            self.heard["feeder"] = self.parent
            found.append((self.parent, Condition("power.mains_lost", "feeder", True, self.parent)))
        return [condition for _, condition in sorted(found, key=lambda pair: pair[0])]


def book_of(cut: Cut, topology: Topology = TOPOLOGY) -> PlainBook:
    context = Context(
        SITE,
        RULES,
        DEVICES,
        topology,
        cut.heard.get,
        lambda d: ((DEVICES[d].interval_s if d in DEVICES else 0) or 0) * 1000,
    )
    return PlainBook(context)


def play(cut: Cut, book: PlainBook, step: int = 2000, until: int | None = None) -> None:
    """Two seconds a decision, so that messages come together as a queue hands them out; until a minute
    after the last of them."""
    last = max(*cut.children.values(), cut.parent or 0, CUT + 30_000) + 70_000
    for now in range(CUT, until or last, step):
        book.act(cut.conditions(now - step, now), now)


@pytest.mark.parametrize("seed", range(ORDERS))
def test_one_ticket_within_a_minute_and_one_message(seed: int) -> None:
    cut = Cut(seed)
    book = book_of(cut)
    play(cut, book)
    said = "feeder.offline" if cut.parent is None else "power.mains_lost"
    assert book.jobs() == [f"{said}|feeder"]
    assert len(book.tickets) == 1, "nothing was opened and cancelled on the way"
    assert book.tickets[1].opened_at - cut.first <= 60_000
    assert len(book.told) == 1, book.told
    root = book.open(said, "feeder")
    assert {a.object for a in book.alarms.values() if a.root == root.id} == set(DARK)
    assert (root.affected, root.state) == (500, "unacknowledged")


def test_those_that_do_not_come_back_are_raised_one_by_one() -> None:
    cut = Cut(1)
    cut.parent = CUT
    book = book_of(cut)
    play(cut, book)
    back = CUT + 400_000
    gone = {"c000", "c001", "c003", "c004"}  # intervals of 60, 60, 600 and 900 s
    book.act([Condition("power.mains_lost", "feeder", False, back)], back)
    book.act([Condition(DARK[c], c, False, back + 60_000) for c in DARK if c not in gone], back + 60_000)
    raised: dict[str, int] = {}
    for now in range(back + 61_000, back + 2_400_000, 1000):
        book.act([], now)
        for alarm in book.alarms.values():
            if alarm.state == "unacknowledged" and alarm.object in gone:
                raised.setdefault(alarm.object, (now - back) // 1000)
    assert raised == {"c000": 300, "c001": 300, "c003": 1200, "c004": 1800}
    assert book.jobs() == [
        "elevator.offline|c001", "gateway.offline|c000", "power.mains_lost|feeder", "tank.silent|c003",
    ]  # fmt: skip


def test_what_has_a_live_second_feed_is_no_consequence_and_no_evidence() -> None:
    dual = {child.id: ("feeder", "feeder2") for child in CHILDREN[:5]}
    cut = Cut(3)
    cut.parent = CUT
    book = book_of(cut, Topology({"power": {**TOPOLOGY.feeds["power"], **dual}}))
    play(cut, book)
    alone = {a.object for a in book.alarms.values() if a.state == "unacknowledged"}
    assert alone == {"feeder", *dual}
    assert book.open("power.mains_lost", "feeder").affected == 495


def told_after_the_second_supply_is_back(cut: Cut, book: PlainBook) -> None:
    """Not sooner than it has had its time to come back."""
    book.act([Condition("power.mains_lost", "feeder2", True, CUT)], CUT)
    play(cut, book)
    assert book.open("elevator.offline", "c001").state == "suppressed"
    back = CUT + 300_000
    book.act([Condition("power.mains_lost", "feeder2", False, back)], back)
    book.act([], back + 299_000)
    assert book.open("elevator.offline", "c001").state == "suppressed"
    book.act([], back + 300_000)
    assert book.open("elevator.offline", "c001").state == "unacknowledged"


def test_a_load_whose_second_feed_comes_back_alone_is_told_after_its_time() -> None:
    """Both feeds of a lift are dead; one comes back and the lift does not."""
    cut = Cut(3, parent=CUT)
    cut.children, cut.parent = {"c001": CUT + 30_000}, CUT
    book = book_of(cut, Topology({"power": {"ats": ("feeder", "feeder2"), "c001": ("ats",)}}))
    told_after_the_second_supply_is_back(cut, book)


def test_what_hangs_on_a_gateway_whose_second_supply_comes_back_is_told_after_its_time() -> None:
    """Both supplies of a gateway are dead; one comes back, and a lift that it carries stays silent."""
    cut = Cut(3, parent=CUT)
    cut.children, cut.parent = {"c001": CUT + 30_000}, CUT
    feeds = {"power": {"c000": ("feeder", "feeder2")}, "network": {"c001": ("c000",)}}
    book = book_of(cut, Topology(feeds))
    told_after_the_second_supply_is_back(cut, book)


def test_what_lay_between_it_and_its_root_has_gone_and_it_is_told_though_the_root_stands() -> None:
    """The gateway of a feeder's instrument dies, then a lift on that feeder falls silent. The instrument speaks by another way."""
    cut = Cut(3)
    cut.children, cut.parent = {"c001": CUT + 20_000}, None
    book = book_of(cut, Topology({"power": {"c001": ("feeder",)}, "network": {"feeder": ("c000",)}}))
    book.act([Condition("gateway.offline", "c000", True, CUT)], CUT)
    book.act([Condition("feeder.offline", "feeder", True, CUT + 10_000)], CUT + 10_000)
    play(cut, book)
    gateway, lift = (book.open(*key) for key in (("gateway.offline", "c000"), ("elevator.offline", "c001")))
    assert (lift.state, lift.root) == ("suppressed", gateway.id)
    back = CUT + 200_000
    book.act([Condition("feeder.offline", "feeder", False, back)], back)
    for now in range(back, back + 302_000, 2000):
        assert book.open("elevator.offline", "c001").state == "suppressed"
        book.act([], now)
    assert book.open("elevator.offline", "c001").state == "unacknowledged"
    assert book.open("gateway.offline", "c000").cleared_at is None


def test_fire_entrapment_and_gas_in_a_cut_never_wait() -> None:
    cut = Cut(5)
    book = book_of(cut)
    urgent = ("fire.alarm", "elevator.entrapment", "gas.leak")
    book.act([Condition(rule, "c001", True, CUT) for rule in urgent], CUT)
    assert book.jobs() == sorted(f"{rule}|c001" for rule in urgent)
    play(cut, book)
    assert {book.open(rule, "c001").state for rule in urgent} == {"unacknowledged"}
    assert len(book.jobs()) == 4


def test_independent_failures_are_no_cut() -> None:
    """Five devices of five hundred go dark within a minute; all others, and the feeder, are heard."""
    cut = Cut(7)
    cut.parent, cut.children = None, {c: CUT + 10_000 * n for n, c in enumerate(list(cut.children)[:5], 1)}
    book = book_of(cut)
    for now in range(CUT, CUT + 300_000, 2000):
        cut.heard |= {d: now for d in DEVICES if d not in cut.children}
        book.act(cut.conditions(now - 2000, now), now)
    assert not any("inferred" in a.arguments for a in book.alarms.values())
    assert {a.root for a in book.alarms.values()} == {None}


def test_a_guess_ends_when_the_others_are_heard() -> None:
    cut = Cut(7)
    cut.parent, cut.children = None, {c: CUT + 1000 * n for n, c in enumerate(list(cut.children)[:5], 1)}
    book = book_of(cut)
    play(cut, book, until=CUT + 60_000)
    assert book.open("feeder.offline", "feeder").arguments["inferred"] == "power"
    cut.heard |= dict.fromkeys(list(DARK)[5:], CUT + 70000)
    book.act([], CUT + 71_000)
    assert book.open("feeder.offline", "feeder").state == "returned"
    for now in range(CUT + 72_000, CUT + 400_000, 4000):
        book.act([], now)
    assert {book.open(DARK[c], c).state for c in ("c000", "c001", "c002")} == {"unacknowledged"}


def test_an_instrument_that_is_silent_stands_as_that_when_its_own_cut_explains_what_was_inferred() -> None:
    """It had been silent for an hour when its old readings told of a cut, which is over; then ten children fall silent."""
    cut = Cut(7)
    cut.parent, cut.children = None, {c: CUT + 1000 * n for n, c in enumerate(list(cut.children)[:10], 1)}
    book = book_of(cut)
    cut.heard["feeder"] = CUT - 4_000_000
    book.act([Condition("feeder.offline", "feeder", True, CUT - 3_600_000)], CUT - 3_600_000)
    book.act([Condition("power.mains_lost", "feeder", True, CUT - 60_000)], CUT - 60_000)
    book.act([Condition("power.mains_lost", "feeder", False, CUT - 10_000)], CUT - 10_000)
    play(cut, book, until=CUT + 60_000)
    assert book.open("feeder.offline", "feeder").cleared_at is None
    for now in range(CUT + 60_000, CUT + 1_200_000, 4000):
        cut.heard |= dict.fromkeys(DARK, now)
        book.act([Condition(DARK[c], c, False, now) for c in cut.children], now)
    assert [(a.rule, a.state, a.priority) for a in book.alarms.values() if a.cleared_at is None] == [
        ("feeder.offline", "unacknowledged", 3)
    ]


def test_what_is_inferred_a_second_time_ends_with_signs_of_life_though_its_own_rule_had_said_the_first() -> (
    None
):
    cut = Cut(7)
    cut.parent, cut.children = None, {c: CUT + 1000 * n for n, c in enumerate(list(cut.children)[:10], 1)}
    book = book_of(cut)

    def back(now: int) -> None:
        cut.heard |= dict.fromkeys([*DARK, "feeder"], now)
        book.act([Condition(DARK[c], c, False, now) for c in cut.children], now)

    play(cut, book, until=CUT + 60_000)
    assert book.open("feeder.offline", "feeder").arguments["inferred"] == "power"
    book.act([Condition("feeder.offline", "feeder", True, CUT + 300_000)], CUT + 300_000)
    cut.heard["feeder"] = CUT + 400_000
    book.act([Condition("feeder.offline", "feeder", False, CUT + 400_000)], CUT + 400_000)
    back(CUT + 401_000)
    again = CUT + 2_000_000
    back(again - 1000)
    book.act([Condition(DARK[c], c, True, again) for c in cut.children], again)
    book.act([], again + 30_000)
    assert book.open("feeder.offline", "feeder").cleared_at is None
    for now in range(again + 60_000, again + 200_000, 10_000):
        back(now)
    assert not [a for a in book.alarms.values() if a.cleared_at is None], "it stood for ever"


def test_an_alarm_of_a_rule_that_is_no_more_stops_nothing() -> None:
    """Its rule went while the state of the rules was lost: nothing withdraws it. Then an instrument falls silent."""
    cut = Cut(7)
    book = book_of(cut)
    book.act([Condition("tank.dry", "c003", True, CUT)], CUT)
    rules = {name: rule for name, rule in RULES.items() if name != "tank.dry"}
    book.context = Context(SITE, rules, DEVICES, TOPOLOGY, cut.heard.get)
    book.act([Condition("feeder.offline", "feeder", True, CUT + 60_000)], CUT + 60_000)
    assert book.open("feeder.offline", "feeder").state == "unacknowledged"


def test_a_dead_gateway_is_no_power_cut() -> None:
    """The feeder's instrument and five lifts hang on one gateway, which dies."""
    cut = Cut(9)
    cut.parent, cut.children = None, {f"c{n:03}": CUT + 40_000 + n for n in (1, 6, 11, 16, 21)}
    net = {**dict.fromkeys(cut.children, ("c000",)), "feeder": ("c000",)}
    book = book_of(cut, Topology({"power": dict.fromkeys(DARK, ("feeder",)), "network": net}))
    book.act([Condition("gateway.offline", "c000", True, CUT + 39_000)], CUT + 39_000)
    play(cut, book, until=CUT + 345_000)
    assert book.jobs() == ["gateway.offline|c000"]
    assert book.open("gateway.offline", "c000").affected == 5


def test_boards_under_a_feeder_make_one_root() -> None:
    boards = [device(f"b{n}", "feeder", 60) for n in range(4)]
    devices = {**DEVICES, **{b.id: b for b in boards}}
    power = {**{c.id: (f"b{n % 4}",) for n, c in enumerate(CHILDREN)}, **{b.id: ("feeder",) for b in boards}}
    cut = Cut(2)
    cut.parent = None
    book = book_of(cut, Topology({"power": power}))
    book.context = Context(SITE, RULES, devices, Topology({"power": power}), cut.heard.get)
    play(cut, book)
    assert book.jobs() == ["feeder.offline|feeder"]
    assert len(book.told) == 1
    root = book.open("feeder.offline", "feeder")
    assert {a.object for a in book.alarms.values() if a.root == root.id} >= set(DARK)


def test_a_main_that_runs_dry_is_one_ticket_with_the_tanks_that_it_alone_feeds() -> None:
    tanks = [device(name, "tank", 60) for name in ("ground", "ground2", "roof", "roof2", "both")]
    devices = {**DEVICES, **{tank.id: tank for tank in tanks}}
    water = {"roof": ("ground",), "roof2": ("roof",), "both": ("ground", "ground2")}
    heard: dict[str, int] = {}
    topology = Topology({"water": water, "gas": {"c001": ("c002",)}})
    room = PlainBook(Context(SITE, RULES, devices, topology, heard.get))
    for n, name in enumerate(("roof2", "both", "ground", "roof")):
        now = CUT + n * 30_000
        room.act([Condition("tank.dry", name, True, now)], now)
    assert room.jobs() == ["tank.dry|both", "tank.dry|ground"]
    assert len(room.tickets) == 2, "what was opened for the roof is the ground tank's now"
    assert {a.object for a in room.alarms.values() if a.state == "suppressed"} == {"roof", "roof2"}
    later = CUT + 200_000
    room.act([Condition("tank.dry", "ground", False, later)], later)
    room.act([Condition("tank.dry", "roof", False, later + 60_000)], later + 60_000)
    room.act([], later + 360_000)
    assert room.open("tank.dry", "roof2").state == "unacknowledged", "it has not come back"


def test_three_silent_meters_are_no_water_main() -> None:
    meters = [device(f"m{n}", "electricity_meter", 900) for n in range(4)]
    devices = {**{m.id: m for m in meters}, "tank": device("tank", "tank", 60)}
    topology = Topology({"water": {m.id: ("tank",) for m in meters}})
    room = PlainBook(Context(SITE, RULES, devices, topology))
    for n, meter in enumerate(meters):
        room.act([Condition("meter.silent", meter.id, True, CUT + n)], CUT + n)
    assert {a.rule for a in room.alarms.values()} == {"meter.silent"}


SPECS = {
    "feeder": [gauge("voltage", "V")],
    "gateway": [state("online")],
    "elevator": [state("trapped", 60)],
    "pump": [state("running", 60)],
    "tank": [gauge("level", "m", 600)],
    "electricity_meter": [gauge("power", "kW", 900)],
}


@pytest.mark.parametrize("seed", range(max(2, ORDERS // 20)))
def test_the_same_through_rules_journal_and_records(seed: int) -> None:
    """Last wills of gateways and silence of the others, judged by the shipped rules."""
    chance, children = random.Random(seed), CHILDREN[: 100 if ORDERS < 1000 else 500]
    power = {child.id: ("feeder",) for child in children}
    room = Room([DEVICES["feeder"], *children], SPECS, topology=Topology({"power": power}))
    room.records.rows.people = [person("li"), person("wang")]
    kinds = {"gateway": "online", "elevator": "trapped", "pump": "running", "tank": "level"}
    room.reads(("feeder", "voltage", 230))
    room.reads(*((c.id, kinds.get(c.device_class, "power"), c.device_class != "elevator") for c in children))
    late = chance.choice((0.0, 30.0, 120.0, None))
    wills = {c.id: chance.uniform(1, 90) for c in children if c.device_class == "gateway"}
    start = 10
    for second in range(start, 1500, 5):
        room.at(second, 5)
        for name in [n for n, after in wills.items() if start + after <= second]:
            room.reads((name, "online", 0))
            del wills[name]
        if late is not None and second >= start + late:
            room.reads(("feeder", "voltage", 0))
    said = "feeder.offline" if late is None else "power.mains_lost"
    assert room.tickets() == [f"{said}|feeder"]
    assert len(room.records.rows.tickets) == 1
    assert sorted(row.person for row in room.records.rows.outbox.values()) == ["li", "wang"]
    dark = [a for a in room.records.rows.alarms.values() if a.object != "feeder" and a.ended_at is None]
    root = room.alarm(said, "feeder")
    assert dark
    assert {a.root for a in dark} == {root.id}
