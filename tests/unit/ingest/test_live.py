"""The newest values in columns are what keeping an object a point gives."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dutyroom.flows.live import Live, LiveValue
from dutyroom.model.telemetry import Quality, Reading, Readings, Senders
from dutyroom.timebase import HOUR, MINUTE, SECOND

GOOD, SUSPECT, RETAINED = int(Quality.GOOD), int(Quality.SUSPECT), int(Quality.RETAINED)
T = 1_800_000_000_000


class Plain:
    """An object a point, one reading after the other."""

    def __init__(self) -> None:
        self.values: dict[int, LiveValue] = {}
        self.changed: dict[int, int] = {}
        self.version = 0

    def put(self, new: LiveValue) -> None:
        self.values[new.point], self.changed[new.point] = new, self.version

    def start(self, stored: dict[int, Reading]) -> None:
        self.version += 1
        for point, r in stored.items():
            if point not in self.values:
                came = r.at if r.received_at is None else r.received_at
                self.put(LiveValue(point, r.at, came, r.value, r.quality))

    def update(self, rows: list[Any], text: dict[int, str], now: int, received: list[int] | None) -> None:
        self.version += 1
        for number, (point, at, value, quality, message) in enumerate(rows):
            old = self.values.get(point)
            if quality == SUSPECT or (old is not None and at < old.at):
                continue
            came = now if received is None else received[message]
            new = LiveValue(point, at, came, value, quality, text.get(number, ""))
            if old is None or quality != RETAINED:
                self.put(new)
            elif new.value != old.value or (old.text and new.text != old.text):
                self.put(replace(new, received_at=old.received_at))
            elif new.text != old.text:
                self.put(replace(old, text=new.text))

    def since(self, version: int) -> list[LiveValue]:
        return [self.values[p] for p, v in sorted(self.changed.items()) if v > version]

    def newest_since(self, version: int) -> list[LiveValue]:
        found: dict[str, LiveValue] = {}
        for value in self.since(version):
            name = owner(value.point)
            if name is not None and value.quality != RETAINED:
                found[name] = max(found.get(name, value), value, key=lambda v: v.at)
        return list(found.values())


def owner(point: int) -> str | None:
    return f"d{point % 3}" if point % 5 else None


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_columns_keep_what_objects_would(seed: int) -> None:
    chance, live, plain = random.Random(seed), Live(), Plain()
    points = chance.choice([2, 5, 300])
    for step in range(12):
        seen = live.version
        if chance.random() < 0.2:
            stored = {
                chance.randint(1, points): Reading(1, 900 + step, 5.0, GOOD, chance.choice([None, 77]))
                for _ in range(3)
            }
            live.start(stored)
            plain.start(stored)
        else:
            rows: list[tuple[int, int, float, int, int]] = []
            text = {}
            for number in range(chance.choice([0, 1, 8, 40])):
                quality = chance.choice([GOOD] * 9 + [SUSPECT, RETAINED]) if step % 2 else GOOD
                at = 1000 + step * 5 + chance.randint(-12, 5)
                value = float(chance.randint(0, 3))
                rows.append((chance.randint(1, points), at, value, quality, chance.randint(0, 2)))
                if chance.random() < 0.1:
                    text[number] = chance.choice(["", "open", "shut"])
            received = [400, 500, 600] if chance.random() < 0.2 else None
            live.update(replace(Readings.of(rows), text=text), 2000 + step, len(rows), {"d"}, received)
            plain.update(rows, text, 2000 + step, received)
        assert live.since(seen) == (plain.version, plain.since(seen))
        assert live.newest_since(seen, owner) == (plain.version, plain.newest_since(seen))
        assert live.snapshot() == (plain.version, plain.since(0))
        assert [live.get(p) for p in range(points + 2)] == [plain.values.get(p) for p in range(points + 2)]


def test_what_was_counted_and_heard() -> None:
    live = Live()
    assert (live.get(-1), live.get(7), live.heard("d"), live.received_at) == (None, None, None, None)
    live.update(Readings.of([(3, 5, 1.0, GOOD, 0)]), 10, 1, ["d"])
    live.update(Readings.empty(), 9, 2, ["e"])
    assert (live.messages, live.readings, live.received_at) == (3, 1, 10)
    assert (live.heard("d"), live.heard("e")) == (10, 9)
    assert live.since(live.version) == (2, [])
    assert live.get(3) == LiveValue(3, 5, 10, 1.0, GOOD)


def test_who_is_heard_by_thousands_is_known_by_name() -> None:
    live, plain = Live(), dict[str, int]()
    chance = random.Random(3)
    lists = [[f"d{n}" for n in range(start, start + 5)] for start in range(0, 300, 3)]  # they overlap
    for at in range(1, 400):
        names = lists[chance.randrange(1 + at // 4)]
        if chance.random() < 0.3:
            names.append(f"e{at}")  # a list grows
        rows = [chance.randrange(len(names)) for _ in range(3)]
        when = at if at % 7 else at // 2  # a clock is set back: the last word counts
        if at % 5:
            live.update(Readings.empty(), when, 3, senders=[Senders(names, np.array(rows, np.int32))])
        else:
            live.update(Readings.empty(), when, 3, {names[row] for row in rows})
        plain.update({names[row]: when for row in rows})
        if at % 50 == 0:
            every = {name for names in lists for name in names}
            assert {d: live.heard(d) for d in every} == {d: plain.get(d) for d in every}


def test_a_clock_that_was_wrong_for_a_moment_hides_nothing() -> None:
    """A message that says it is tomorrow, then right ones: among others, and one beside what was retained."""
    live = Live()
    live.update(Readings.of([(1, T + 20 * HOUR, 0.0, GOOD, 0), (2, T, 5.0, GOOD, 0)]), T, 1)
    late = Readings.of([(1, T - 2 * HOUR, 7.0, GOOD, 0)])
    live.update(late, T + SECOND, 1)  # what is late is not how things stand now
    live.update(
        Readings.of([(1, T, 8.0, GOOD, 0)]), T + SECOND, 1, received=[T]
    )  # what is read again neither
    assert live.get(1) == LiveValue(1, T + 20 * HOUR, T, 0.0, GOOD)
    rows = [(2, T + SECOND, 6.0, GOOD, 0), (1, T + SECOND, 1.0, GOOD, 0), (1, T, 3.0, GOOD, 0)]
    live.update(Readings.of(rows), T + 2 * SECOND, 1)
    assert live.get(1) == LiveValue(1, T + SECOND, T + 2 * SECOND, 1.0, GOOD)
    live.update(Readings.of([(1, T + 20 * HOUR, 0.0, GOOD, 0)]), T + 3 * SECOND, 1)
    live.update(Readings.of([(1, T + 4 * SECOND, 1.0, GOOD, 0), (1, T, 9.0, RETAINED, 0)]), T + 5 * SECOND, 1)
    assert live.get(1) == LiveValue(1, T + 4 * SECOND, T + 5 * SECOND, 1.0, GOOD)
    live.update(Readings.of([(1, T + 4 * MINUTE, 2.0, GOOD, 0)]), T + 6 * SECOND, 1)
    live.update(Readings.of([(1, T + 7 * SECOND, 1.0, GOOD, 0)]), T + 7 * SECOND, 1)
    assert live.get(1) == LiveValue(1, T + 4 * MINUTE, T + 6 * SECOND, 2.0, GOOD)  # as far off as clocks are
