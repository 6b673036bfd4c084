"""sequence: the steps of a power cut, each in its time; seconds after the mains was lost."""

from __future__ import annotations

import random

import pytest
from tests.unit.rules.kind_bench import T0, Bench, rule, shipped, state

from dutyroom.errors import Invalid
from dutyroom.model.duty import Condition, Device, Priority
from dutyroom.model.telemetry import PointSpec, Quality
from dutyroom.rules.engine import Engine
from dutyroom.rules.kind import Ground
from dutyroom.rules.kinds.sequence import SequenceInstance
from dutyroom.rules.spec import Rule, Select, TicketPolicy

SHIPPED = ("generator.not_running", "power.transfer_late", "power.mains_long_lost", "generator.not_stopped")


class Cut(Bench):
    """A generator, its transfer switch and the feeders that it backs; each speaks every 10 s, or (interval
    None) when it changes."""

    def __init__(self, interval: int | None = 10, feeds: dict[str, tuple[str, ...]] | None = None) -> None:
        super().__init__([], kind="generator")
        self.devices = {
            "gen": device("gen", "generator", backs="mains,feeder"),
            **{name: device(name, "feeder") for name in ("mains", "feeder", "elsewhere")},
            "switch": device("switch", "transfer_switch"),
        }
        specs = {"gen": state("running", interval), "switch": state("source", interval)}
        for name in self.devices:
            self.add(name, specs.get(name, state("dark")))
        dark = Select(classes=("feeder",))
        cause = Rule(
            "power.mains_lost", "state", dark, Priority.HIGH, TicketPolicy(), {}, {"equals": (1.0,)}, "dark"
        )
        self.rules = [cause, *(shipped(name) for name in SHIPPED)]
        self.feeds = feeds or {}
        self.conditions = []
        self.fresh()

    def fresh(self) -> None:
        ground = Ground(above=lambda name: self.feeds.get(name, ()))
        self.engine = Engine(self.rules, self.table, self.devices, ground=ground)
        self.engine.tick(T0 - 100_000)

    def restart(self) -> None:
        """A new process with the state of the old one."""
        kept = self.engine.snapshot()
        self.fresh()
        self.engine.restore(kept)

    def mains(self, second: float, lost: bool, device: str = "mains", received: float | None = None) -> None:
        self.feed(second, "dark", int(lost), device=device, received=received)

    def gen(self, second: float, on: bool, **more: float) -> None:
        self.feed(second, "running", int(on), device="gen", **more)

    def switch(self, second: float, source: int, **more: float) -> None:
        self.feed(second, "source", source, device="switch", **more)

    def calm(self) -> Cut:
        self.mains(-10, False)
        self.gen(-5, False)
        self.switch(-5, 1)
        return self

    @property
    def late(self) -> list[tuple[str, float, bool]]:
        """(rule, seconds, active) of what was raised, and of its end."""
        said, standing = [], set()
        for c in self.conditions:
            if c.rule == "power.mains_lost" or not (c.active or c.rule in standing):
                continue
            (standing.add if c.active else standing.discard)(c.rule)
            said.append((c.rule, (c.at - T0) / 1000, c.active))
        return said

    @property
    def done(self) -> dict[str, float]:
        """The steps that are told as done, and when."""
        return {
            str(c.arguments["step"]): (int(str(c.arguments["done"])) - T0) / 1000
            for c in self.conditions
            if "done" in c.arguments
        }


def device(name: str, kind: str, **parameters: str) -> Device:
    return Device("s", name, name, kind, "v/m", name, name, parameters)


def minute(cut: Cut, begin: int, end: int, running: int, source: int) -> None:
    """Both speak every 10 s from `begin` until `end`."""
    for second in range(begin, end, 10):
        cut.gen(second, bool(running))
        cut.switch(second + 1, source)
        cut.tick(second + 2)


def test_a_cut_as_it_should_be_says_nothing_but_what_was_done() -> None:
    cut = Cut().calm()
    cut.mains(0, True)
    minute(cut, 2, 12, 0, 0)
    minute(cut, 12, 22, 1, 0)
    minute(cut, 22, 600, 1, 2)
    cut.mains(600, False)
    minute(cut, 602, 900, 1, 1)
    minute(cut, 902, 950, 0, 1)
    assert cut.late == []
    assert cut.done == {"running": 12, "transferred": 23, "back": 600, "off": 902}


def test_a_load_that_stays_is_late_60_s_after_the_generator_ran_and_clears_when_it_comes() -> None:
    cut = Cut().calm()
    cut.mains(0, True)
    minute(cut, 2, 12, 0, 0)
    minute(cut, 12, 112, 1, 0)
    minute(cut, 112, 150, 1, 2)
    assert cut.late == [("power.transfer_late", 72, True), ("power.transfer_late", 113, False)]


def test_a_generator_that_stops_while_the_mains_is_off_is_late_again() -> None:
    cut = Cut().calm()
    cut.mains(0, True)
    minute(cut, 2, 12, 0, 0)
    minute(cut, 12, 302, 1, 2)
    minute(cut, 302, 402, 0, 0)
    assert cut.late == [("generator.not_running", 332, True)]
    cut.mains(405, False)
    assert cut.late[1:] == [("generator.not_running", 405, False)]


@pytest.mark.parametrize("interval", [10, None])
def test_a_generator_that_stops_under_its_load_is_late_though_the_switch_stays_with_it(
    interval: int | None,
) -> None:
    cut = Cut(interval).calm()
    cut.mains(0, True)
    minute(cut, 2, 12, 0, 1)
    minute(cut, 12, 22, 1, 1)
    minute(cut, 22, 302, 1, 2)
    minute(cut, 302, 402, 0, 2)
    assert cut.late == [("generator.not_running", 332, True)]
    minute(cut, 402, 502, 1, 2)
    assert cut.late[1:] == [("generator.not_running", 402, False)]
    cut.mains(502, False)
    minute(cut, 503, 563, 1, 1)
    minute(cut, 563, 700, 0, 1)
    assert len(cut.late) == 2


def test_a_switch_that_turns_to_the_generator_anew_proves_that_it_runs_again() -> None:
    cut = Cut().calm()
    cut.mains(0, True)
    minute(cut, 2, 12, 0, 1)
    minute(cut, 12, 302, 1, 2)
    cut.gen(302, False)
    cut.switch(303, 0)
    cut.switch(323, 2)
    cut.tick(400)
    assert cut.late == []


def test_a_mains_that_stays_away_is_told_after_two_hours_of_carrying_the_load() -> None:
    cut = Cut().calm()
    cut.mains(0, True)
    minute(cut, 2, 12, 1, 2)
    cut.tick(7202)
    assert cut.late == []
    cut.tick(7204)
    assert cut.late == [("power.mains_long_lost", 7203, True)]
    cut.mains(9000, False)
    assert cut.late[1:] == [("power.mains_long_lost", 9000, False)]


def test_a_generator_that_goes_on_after_the_mains_is_back_is_told_after_its_cool_down() -> None:
    cut = Cut().calm()
    cut.mains(0, True)
    minute(cut, 2, 300, 1, 2)
    cut.mains(300, False)
    minute(cut, 302, 300 + 2400, 1, 1)
    assert cut.late == []
    minute(cut, 2702, 2720, 1, 1)
    assert cut.late == [("generator.not_stopped", 2700, True)]
    cut.gen(2800, False)
    assert cut.late[1:] == [("generator.not_stopped", 2800, False)]


def test_the_second_feeder_is_as_good_as_the_mains() -> None:
    """The switch is back on a network supply while the first feeder stays dark."""
    cut = Cut().calm()
    cut.mains(0, True)
    minute(cut, 2, 300, 1, 2)
    minute(cut, 302, 602, 1, 1)
    minute(cut, 602, 7900, 0, 1)
    assert cut.late == []
    assert cut.done["back"] == 303
    assert cut.done["off"] == 602


def test_a_dip_that_ends_before_the_generator_ran_wants_nothing_more() -> None:
    cut = Cut().calm()
    cut.mains(0, True)
    cut.mains(8, False)
    minute(cut, 10, 7900, 0, 1)
    assert cut.late == []
    assert "running" not in cut.done


def test_what_is_not_known_is_neither_late_nor_done() -> None:
    cut = Cut().calm()
    cut.mains(0, True)
    minute(cut, 2, 22, 1, 0)
    for second in range(22, 200, 10):  # the switch says nothing any more
        cut.gen(second, True)
        cut.tick(second)
    assert cut.late == []
    cut.switch(205, 0)  # still not: now it is known
    assert cut.late == [("power.transfer_late", 62, True)]
    for second in range(210, 900, 10):
        cut.gen(second, True)
        cut.tick(second)
    assert len(cut.late) == 1


def test_done_in_time_and_told_late_raises_nothing() -> None:
    """The switch's messages come two minutes late: by its own clock it was in time."""
    cut = Cut().calm()
    cut.mains(0, True)
    for second in range(2, 140, 10):
        cut.gen(second, second >= 12)
        cut.tick(second)
    for second in range(5, 140, 10):
        cut.switch(second, 2 if second >= 25 else 0, received=140)
    assert cut.late == []
    assert cut.done["transferred"] == 25


def test_a_step_told_before_the_one_it_follows_counts_for_both() -> None:
    cut = Cut().calm()
    cut.mains(0, True)
    cut.switch(3, 0)
    cut.switch(23, 2)
    assert cut.done == {"running": 23, "transferred": 23}
    cut.gen(5, False, received=30)  # older than what is known: undoes nothing
    cut.gen(12, True, received=30)
    cut.tick(60)
    assert cut.late == []


def test_the_mains_alarm_may_come_after_the_steps() -> None:
    cut = Cut().calm()
    cut.gen(12, True)
    cut.switch(15, 0)
    cut.switch(23, 2)
    cut.mains(0, True, received=40)
    minute(cut, 42, 200, 1, 2)
    assert cut.late == []
    assert {"running", "transferred"} <= cut.done.keys()


def test_points_that_speak_when_they_change_are_judged_by_time() -> None:
    cut = Cut(interval=None).calm()
    cut.mains(0, True)
    cut.gen(12, True)
    cut.switch(13, 0)
    cut.tick(71)
    assert cut.late == []
    cut.tick(73)
    assert cut.late == [("power.transfer_late", 72, True)]


def unheard(restart: bool) -> Cut:
    """The load does not go over at once; then nobody listens for some minutes, in the middle of the cut."""
    cut = Cut(interval=None).calm()
    cut.mains(0, True)
    cut.gen(12, True)
    cut.switch(13, 0)
    cut.engine.started(T0 + 300_000)
    if restart:
        cut.restart()
    cut.tick(359)
    assert cut.late == [], "it may have turned meanwhile: what the broker kept comes first"
    return cut


@pytest.mark.parametrize("restart", [False, True])
def test_a_switch_that_stayed_while_nobody_listened_for_a_while_is_late(restart: bool) -> None:
    cut = unheard(restart)
    cut.tick(361)
    assert cut.late == [("power.transfer_late", 72, True)]
    cut.switch(400, 2)
    assert cut.late[1:] == [("power.transfer_late", 400, False)]


def test_a_switch_that_turned_while_nobody_listened_is_not_late() -> None:
    cut = unheard(restart=False)
    cut.switch(40, 2, received=310)
    cut.tick(500)
    assert cut.late == []


def test_a_switch_that_turned_unheard_as_its_retained_code_says_is_not_late() -> None:
    cut = unheard(restart=False)
    cut.feed(301, "source", 2, device="switch", quality=Quality.RETAINED)
    cut.tick(500)
    assert cut.late == []


def test_what_was_known_before_counts_for_a_cut_that_comes_after() -> None:
    """The service was stopped for some minutes weeks ago; the switch has had nothing to say since, and does not turn."""
    cut = Cut(interval=None).calm()
    cut.engine.started(T0 + 300_000)
    cut.restart()
    cut.mains(900, True)
    cut.gen(912, True)
    cut.tick(990)
    assert cut.late == [("power.transfer_late", 972, True)]


def test_what_was_said_since_counts_for_more() -> None:
    cut = Cut(interval=None).calm()
    cut.engine.started(T0 + 300_000)
    cut.switch(400, 2)
    cut.mains(900, True)
    cut.gen(912, True)
    cut.tick(990)
    assert cut.late == []


def test_a_retained_code_proves_nothing() -> None:
    cut = Cut().calm()
    cut.mains(0, True)
    cut.feed(10, "running", 1, device="gen", quality=Quality.RETAINED)
    assert cut.done == {}


def test_a_cut_of_what_does_not_feed_the_switch_moves_no_load() -> None:
    """By the topology the switch hangs on the mains: that one feeder is dark is nothing to it."""
    cut = Cut(feeds={"switch": ("mains", "gen"), "feeder": ("mains",)}).calm()
    cut.mains(0, True, device="feeder")
    minute(cut, 2, 300, 1, 1)
    assert cut.late == []
    assert "transferred" not in cut.done
    cut.mains(300, True)
    minute(cut, 302, 402, 1, 0)
    assert cut.late == [("power.transfer_late", 363, True)]  # 60 s after it was seen without a supply


def test_only_what_the_generator_backs_concerns_it() -> None:
    cut = Cut().calm()
    cut.mains(0, True, device="elsewhere")
    minute(cut, 2, 300, 0, 1)
    assert cut.late == []


def test_a_switch_that_is_met_later_is_seen() -> None:
    cut = Cut()
    fresh = device("switch2", "transfer_switch")
    del cut.devices["switch"]
    cut.table = type(cut.table)([p for p in cut.table if p.device != "switch"])
    cut.fresh()
    cut.devices["switch2"] = fresh
    cut.add("switch2", state("source", 10))
    cut.mains(0, True)
    minute_of = [(2, 0), (12, 0), (22, 0), (82, 0), (92, 0)]
    for second, source in minute_of:
        cut.gen(second, True)
        cut.feed(second + 1, "source", source, device="switch2")
    assert [what[0] for what in cut.late] == ["power.transfer_late"]


@pytest.mark.parametrize("seed", range(20))
def test_a_new_process_goes_on_where_the_old_one_ended(seed: int) -> None:
    dice = random.Random(seed)

    def play(ends: set[int]) -> list[Condition]:
        cut = Cut(interval=dice_interval).calm()
        cut.mains(0, True)
        for second in range(2, 3600, 10):
            if second in ends:
                cut.restart()
            running = 12 <= second < 200 or second >= 300
            cut.gen(second, running)
            cut.switch(second + 1, 0 if second < 150 else 2 if second < 900 else 1)
            if second == 902:
                cut.mains(second, False)
            cut.tick(second + 2)
        return cut.conditions

    dice_interval = dice.choice([10, None])
    assert play(set(dice.sample(range(2, 3600, 10), 5))) == play(set())


def test_each_step_that_is_late_is_told_by_one_rule_with_its_own_name() -> None:
    """Everything goes wrong, one thing after the other: no two of them stand at once."""
    cut = Cut().calm()
    cut.mains(0, True)
    minute(cut, 2, 72, 0, 0)
    minute(cut, 72, 182, 1, 0)
    minute(cut, 182, 202, 1, 2)
    cut.tick(7500)
    cut.mains(8000, False)
    minute(cut, 8002, 10_420, 1, 1)
    cut.gen(10_500, False)
    assert [(what, active) for what, _, active in cut.late] == [
        (name, active) for name in SHIPPED for active in (True, False)
    ]
    assert cut.done == {"running": 72, "transferred": 183, "back": 8000, "off": 10_500}


def test_one_rule_may_tell_of_all_steps_of_a_site() -> None:
    own = rule(
        """\
kind: sequence
select: {classes: [pump]}
parameters:
  after: power.mains_lost
  steps:
    - {step: valve, point: open, equals: 1, within: 10s}
    - {step: flow, point: flowing, equals: 1, within: 20s}"""
    )
    steps = own.parameters["steps"]
    assert isinstance(steps, tuple)
    assert [(s.name, s.within) for s in steps] == [("valve", 10_000), ("flow", 20_000)]
    bench = Bench(own, state("open", 5), PointSpec("flowing", interval_s=5), kind="pump")
    bench.feed(0, "open", 0)
    instance = bench.engine._roster.instances["r", "d"]
    assert isinstance(instance, SequenceInstance)
    bench.feed(1, "flowing", 0)
    instance.follow(Condition("power.mains_lost", "x", True, T0), T0)
    for second, opened, flowing in ((5, 0, 0), (12, 0, 0), (17, 1, 0), (32, 1, 0), (38, 1, 0), (45, 1, 1)):
        bench.feed(second, "open", opened)
        bench.feed(second + 1, "flowing", flowing)
    assert [((c.at - T0) / 1000, c.active, c.arguments["step"]) for c in bench.conditions] == [
        (10, True, "valve"),
        (17, False, "valve"),
        (37, True, "flow"),
        (46, False, "flow"),
    ]


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ("{after: a, late: nowhere, within: 5s}", "there is no step 'nowhere'; there is running"),
        ("{after: a, late: off}", "needs a time within which"),
        ("{after: a, steps: [{step: x, within: 5s}]}", "a point with `equals`"),
        (
            "{after: a, steps: [{step: x, point: p, equals: 1, within: 5s}, {step: x, ended: true}]}",
            "names of their own",
        ),
    ],
)
def test_mistakes_are_named(parameters: str, words: str) -> None:
    with pytest.raises(Invalid) as caught:
        rule(f"kind: sequence\nparameters: {parameters}")
    assert words in str(caught.value)


def test_a_state_set_aside_does_not_change_with_what_comes_after_it() -> None:
    cut = Cut()
    cut.mains(0, True)
    one = cut.engine._roster.instances["power.transfer_late", "gen"]
    aside = one.dump()
    before = repr(aside)
    cut.mains(20, True, device="feeder")
    cut.mains(30, False)
    assert repr(one.dump()) != before
    assert repr(aside) == before
