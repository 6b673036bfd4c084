"""Registers as pure functions of seed, meter and time: use by day, spread over the hours of the day.

A day's use is the meter's mean times noise; it is spread over 24 local hours by the shape of its
kind times noise, some hours being still. So registers never go down, two evaluations agree to the
last digit, and history and live join without a seam.

Water is lived as in twelve metered homes of 70 to 450 L a day over 16 weeks: by day three hours in ten are
still and mostly in a row (all are out), by night seven in ten, because in the others somebody flushes; in most hours
somebody washes hands, in few somebody bathes. Were all hours about alike, the least of six, eight or eighteen
hours would be a flow that no home has, and rules for leaks would ring, rightly.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from dutyroom_simulators.noise import Floats, Longs, uniform

DAY, HOUR = 86_400_000, 3_600_000
EPOCH = 1_735_689_600_000  # 2025-01-01T00:00Z: all registers start somewhere here
LOCAL = 8 * HOUR  # the estate lies at UTC+8, no summer time

# Share of an hour in a day's use, by local hour.
SHAPES: dict[str, tuple[float, ...]] = {
    "water": (0.9, 0.7, 0.6, 0.6, 0.6, 0.9, 2, 5, 5, 3, 2, 2, 3, 2, 1, 1, 2, 4, 6, 6, 6, 5, 4, 1.5),
    "power": (
        2,
        1.6,
        1.5,
        1.4,
        1.4,
        1.6,
        2.4,
        3.4,
        3,
        2.6,
        2.6,
        3,
        3.6,
        3,
        2.6,
        2.6,
        3,
        4.4,
        6,
        6.6,
        6.4,
        5.6,
        4.4,
        3,
    ),
    "gas": (0, 0, 0, 0, 0, 0.5, 3, 5, 2, 1, 2, 6, 5, 1, 0.5, 0.5, 2, 7, 8, 4, 2, 1.5, 1, 0.2),
    "public": (3, 3, 3, 3, 3, 3, 3.5, 4, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 5, 6, 6, 6, 5.5, 5, 4),
    "garden": (0, 0, 0, 0, 0, 4, 6, 2, 0, 0, 0, 0, 0, 0, 0, 0, 2, 6, 5, 0, 0, 0, 0, 0),
}
# mean use a day (spread from low to high over the meters), chance that an hour is still
MEANS: dict[str, tuple[float, float, float]] = {
    "water": (0.07, 0.45, 0.0),  # m3
    "power": (3.0, 15.0, 0.0),  # kWh
    "gas": (0.15, 1.1, 0.3),  # m3
    "public": (150.0, 190.0, 0.0),
    "garden": (6.0, 6.0, 0.0),
}

# Water: chance that an hour is still, by local hour, and that a stretch of three is (all sleep, all are out); times
# 0.8 to 1.4 by flat.
STILL_HOUR = (0.25, 0.35, 0.35, 0.35, 0.35, 0.2, *(0.14 for _ in range(17)), 0.25)
STILL_STRETCH, STRETCH = (0.5, 0.55, *(0.17 for _ in range(6))), 3
NIGHT = 6  # hours; in one of them at least all sleep
UNEVEN, MOST = 1.5, 1.8  # most hours are a tap or two, some a shower and a machine, none all of them at once


@dataclass(slots=True)
class Registers:
    """The registers of all meters of one kind. Values in physical units, before the meter's step."""

    kind: str
    seed: int
    keys: Longs  # one number a meter
    start: Floats  # register at EPOCH
    _days: dict[int, tuple[Floats, Floats, Floats]] = field(default_factory=dict)
    _sums: Floats | None = None  # [meter, day]: use before the day
    _mean: Floats | None = None

    def at(self, moment: int) -> Floats:
        """All registers at an instant, one a meter."""
        local = moment + LOCAL - EPOCH
        day, inside = divmod(local, DAY)
        hour, rest = divmod(inside, HOUR)
        before, use, share = self._day(day)
        done = share[:, hour] + (share[:, hour + 1] - share[:, hour]) * (rest / HOUR)
        return np.asarray(self.start + before + use * done)

    def rate(self, moment: int) -> Floats:
        """Use per hour at an instant."""
        day, inside = divmod(moment + LOCAL - EPOCH, DAY)
        hour = inside // HOUR
        _, use, share = self._day(day)
        return np.asarray(use * (share[:, hour + 1] - share[:, hour]))

    def _use(self, day: Longs | int) -> Floats:
        low, high, _ = MEANS[self.kind]
        if self._mean is None:
            self._mean = low + (high - low) * uniform(self.seed, self.keys, 11)
        weekend = np.where((np.asarray(day) + 2) % 7 >= 5, 1.15, 1.0)  # 2025-01-01 was a Wednesday
        wave = 0.75 + 0.5 * uniform(self.seed, self.keys[:, None], np.asarray(day).reshape(1, -1), 12)
        return np.asarray(self._mean[:, None] * wave * weekend.reshape(1, -1))

    def _before(self, day: int) -> Floats:
        if self._sums is None or self._sums.shape[1] <= day:
            days = np.arange(day + 400, dtype=np.int64)
            sums = np.cumsum(self._use(days), axis=1)
            self._sums = np.concatenate([np.zeros((len(self.keys), 1)), sums], axis=1)
        return np.asarray(self._sums[:, day])

    def _day(self, day: int) -> tuple[Floats, Floats, Floats]:
        """Use before the day, in the day, and the share done at each full hour [meter, 25]."""
        if day not in self._days:
            if len(self._days) > 3:
                self._days.clear()
            shape = np.array(SHAPES[self.kind])
            still = MEANS[self.kind][2]
            hours = np.arange(24, dtype=np.int64)
            wave = uniform(self.seed, self.keys[:, None], day, hours[None, :], 13)
            if self.kind == "water":
                weight = shape[None, :] * self._lived(day, hours, wave)
            else:
                weight = shape[None, :] * (0.4 + 1.2 * wave) * (wave >= still)
            weight[:, 19] += 1e-6  # never a day without any weight
            share = np.concatenate([np.zeros((len(self.keys), 1)), np.cumsum(weight, axis=1)], axis=1)
            share /= share[:, -1:]
            use = self._use(np.array([day], dtype=np.int64))[:, 0]
            self._days[day] = (self._before(day), use, share)
        return self._days[day]

    def _lived(self, day: int, hours: Longs, wave: Floats) -> Floats:
        """What a flat makes of the usual share of each hour [meter, 24]: 0 = still."""
        keys = self.keys[:, None]
        out = 0.8 + 0.6 * uniform(self.seed, keys, 14)
        hour = uniform(self.seed, keys, day, hours[None, :], 15) < out * np.array(STILL_HOUR)
        stretch = uniform(self.seed, keys, day, hours[None, :] // STRETCH, 16)
        stretch = stretch < out * np.repeat(STILL_STRETCH, STRETCH)
        asleep = hours[None, :] == (NIGHT * uniform(self.seed, keys, day, 17)).astype(np.int64)
        return np.where(hour | stretch | asleep, 0.0, np.minimum((0.02 - np.log1p(-wave)) ** UNEVEN, MOST))
