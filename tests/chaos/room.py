"""Broker, service and devices of one failure test; what must hold after it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.plant import RULES, Key, Sent, expected, write_site
from tests.chaos.sender import Sender
from tests.chaos.service import Service
from tests.servers.mosquitto import Mosquitto

from dutyroom.interfaces import LedgerRow

SAVING_S = 1.0  # that it may take to write its sessions down
BROKER = "max_inflight_messages 200\nautosave_interval {autosave_s}\n"


@dataclass
class Room:
    """One plant. port: where the service finds the broker, where that is not the broker itself. autosave_s: between
    two times that the broker writes down all that waits in it, serving nobody meanwhile."""

    folder: Path
    meters: int
    influx: tuple[str, str, str, str] | None = None
    port: Callable[[int], int] = lambda port: port
    autosave_s: int = 600
    rules: str = RULES
    interval_s: int | None = None  # of the meters
    broker: Mosquitto = field(init=False)
    service: Service = field(init=False)

    def __post_init__(self) -> None:
        self.broker = Mosquitto(self.folder / "mosquitto", BROKER.format(autosave_s=self.autosave_s))
        self.broker.start()
        write_site(
            self.folder / "site", self.port(self.broker.port), self.meters, self.rules, self.interval_s
        )
        self.service = Service(self.folder / "site", self.folder / "data", self.influx)

    def open(self) -> None:
        """The service has its session, so that the broker keeps for it what comes."""
        self.service.start()
        self.connected(1)
        time.sleep(0.3)

    def connected(self, times: int) -> None:
        """Waits until the service has been connected to the broker so many times."""
        self.until(
            lambda: self.log().count("broker.connected") >= times,
            120,
            f"the service is connected, time {times}",
        )

    def log(self) -> str:
        file = self.service.data / "dutyroom-ingest.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def close(self) -> None:
        self.service.stop()
        self.broker.stop()

    def remembered(self) -> None:
        """Waits until the broker has written down the session that the service has now: one that is killed
        sooner knows no session, and keeps nothing for it."""
        now, saved = time.time(), self.folder / "mosquitto" / "mosquitto.db"
        self.until(
            lambda: saved.exists() and saved.stat().st_mtime > now, 30, "the broker writes its sessions"
        )

    def kill_broker(self) -> float:
        """Returns since when it has forgotten everything, of `time.monotonic`."""
        self.broker.kill()
        saved = self.folder / "mosquitto" / "mosquitto.db"
        if not saved.exists():
            return 0.0
        # The file's time is that of the end of its writing.
        return time.monotonic() - (time.time() - saved.stat().st_mtime) - SAVING_S

    def until(self, true: Callable[[], object], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}\n{self.service.said()}"
            time.sleep(0.1)

    # ------------------------------------------------------------ what must hold

    def settled(self, sent: Sequence[Sent], seconds: float = 90) -> None:
        """All of it is stored, and as it was sent: compared one by one. The ledger balances."""
        wanted = expected(sent)
        deadline = time.monotonic() + seconds

        def enough() -> bool:
            if self.service.received() < len(sent) or any(map(_pending, self.service.ledger())):
                return False
            # What the broker delivers again is received again: that many may have come without the last ones.
            return self.service.stored().keys() >= wanted.keys() or time.monotonic() > deadline - 2

        self.until(enough, seconds, f"{len(sent)} messages are received and stored")
        same_set(wanted, self.service.stored())
        ours = {one.device for one in sent}
        for row in self.service.ledger():
            # The canary's reading of this minute may be on its way just now.
            assert _pending(row) == 0 or row.device not in ours, row
            assert row.received == row.decoded + row.ignored + row.quarantined, row

    def alarms(self, seconds: float = 30) -> tuple[Counter[object], Counter[object]]:
        """Alarms and tickets once nothing changes any more."""
        last, since = None, time.monotonic()
        deadline = since + seconds
        while time.monotonic() < deadline:
            now = Counter[object](self.service.alarms()), Counter[object](self.service.tickets())
            if now != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > 4:
                break
            time.sleep(0.5)
        assert last is not None
        return last


def _pending(row: LedgerRow) -> int:
    return row.readings - row.stored - row.duplicate - row.conflict


def same_set(wanted: dict[Key, float], stored: dict[Key, float]) -> None:
    """Compares one by one; says the first few that differ."""
    lost = [key for key in wanted if key not in stored]
    more = [key for key in stored if key not in wanted]
    other = [
        (key, wanted[key], stored[key]) for key in wanted if key in stored and stored[key] != wanted[key]
    ]
    assert not lost, f"{len(lost)} of {len(wanted)} readings are lost, such as {lost[:3]}"
    assert not more, f"{len(more)} readings that nobody sent, such as {more[:3]}"
    assert not other, f"{len(other)} readings with another value, such as {other[:3]}"


def load(room: Room, sent: Sequence[Sent], rate: float) -> Sender:
    sender = Sender(room.broker.port, sent, rate)
    sender.start()
    return sender
