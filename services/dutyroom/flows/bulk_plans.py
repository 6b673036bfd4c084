"""How the messages of each topic are read in bulk: a plan a topic, the devices of one form together."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from dutyroom.model.telemetry import Ints, Lane, Longs, Message, Scalar
from dutyroom.profiles.express import Form

NO_PLAN = -1  # the messages of a topic are read with care


@dataclass(slots=True, eq=False)
class Fleet:
    """The devices of one form: their names and point ids, one row a device."""

    number: int
    form: Form
    lane: Lane
    points: Ints
    names: list[str] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)

    def add(self, device: str, points: Sequence[int]) -> Plan:
        row = len(self.names)
        if row == len(self.points):
            self.points = np.concatenate([self.points, np.zeros_like(self.points)])
        self.points[row] = points
        self.names.append(device)
        plan = Plan(self, row, device)
        self.plans.append(plan)
        return plan


@dataclass(slots=True, eq=False)
class Plan:
    """How the messages of one topic are read. said: attributes as they were committed last."""

    fleet: Fleet
    row: int
    device: str
    said: dict[str, Scalar] = field(default_factory=dict)


class Plans:
    """By topic, with their numbers in columns, so that those of thousands of messages are found by arrays."""

    def __init__(self) -> None:
        self._number: dict[str, int] = {}  # NO_PLAN: messages of that topic are read with care
        self._listed: list[Plan | None] = []
        self._fleet, self._row = np.empty(0, np.int32), np.empty(0, np.int32)  # by number

    def __len__(self) -> int:
        return len(self._number)

    def numbers(self, topics: Sequence[str]) -> Ints | None:
        """None = one of them is not known here."""
        try:
            return np.fromiter(map(self._number.__getitem__, topics), np.int32, len(topics))
        except KeyError:
            return None

    def fleets(self, numbers: Ints) -> Ints:
        return self._fleet[numbers]

    def rows(self, numbers: Ints) -> Ints:
        """Places in their fleets."""
        return self._row[numbers]

    def knows(self, topic: str) -> bool:
        return topic in self._number

    def put(self, topic: str, plan: Plan | None) -> None:
        if plan is None:
            self._number[topic] = NO_PLAN
            return
        number = self._number[topic] = len(self._listed)
        self._listed.append(plan)
        if number >= len(self._row):
            room = np.zeros(max(1024, number), np.int32)
            self._fleet, self._row = np.concatenate([self._fleet, room]), np.concatenate([self._row, room])
        self._fleet[number], self._row[number] = plan.fleet.number, plan.row

    def without(self, devices: Collection[str]) -> Plans:
        """Those of all others. A topic that had no plan may have one now: which one is not known."""
        found = Plans()
        for topic, number in self._number.items():
            plan = self._listed[number] if number != NO_PLAN else None
            if plan is not None and plan.device not in devices:
                found.put(topic, plan)
        return found


@dataclass(slots=True)
class Load:
    """The messages of one fleet in a take, as far as they can be read."""

    fleet: Fleet
    messages: Sequence[Message]
    places: Ints  # of each in the fleet
    rows: list[Any] = field(default_factory=list)  # what each says
    received: Longs = field(default_factory=lambda: np.empty(0, np.int64))

    def plan(self, message: int) -> Plan:
        return self.fleet.plans[self.places.item(message)]

    def devices(self, some: npt.NDArray[np.intp]) -> set[str]:
        """Of these messages."""
        names = self.fleet.names
        return {names[row] for row in self.places[some].tolist()}
