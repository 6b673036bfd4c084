"""One server-sent stream a site: gathered every 250 ms, encoded once per language, handed to all.

A client is a bounded queue of ready bytes. One that falls behind gets a fresh snapshot instead of
what it missed, so no page holds the server's memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from dutyroom.api.access import visitor_of, wall_visitor
from dutyroom.api.present import OPEN_TICKETS, TABS, Presenter, Row, by_urgency
from dutyroom.api.room import Room
from dutyroom.flows.live import LiveValue
from dutyroom.flows.run import SiteRuntime
from dutyroom.interfaces import Tx
from dutyroom.model.duty import Alarm, AlarmState, Change
from dutyroom.timebase import MINUTE, Ms

TICK_S = 0.25
BEAT_S = 5.0
LOOK_S = 1.0  # the quarantine lies in the journal, which writes no change log: it is looked at
QUEUE = 40  # 10 s of ticks
ROWS = 500  # alarm rows in a snapshot; the counts tell of all
CHANGES = 2_000  # change-log lines a tick; the rest comes with the next
WATCH: Ms = MINUTE  # how long a page's wish to see a device's points lasts

router = APIRouter(include_in_schema=False)


def frame(event: str, data: object) -> bytes:
    return b"event: " + event.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"


@dataclass(slots=True, eq=False)
class Client:
    """One connected page."""

    site: str
    language: str
    still: Callable[[], bool] = lambda: (
        True
    )  # whether who asked may still see it: sessions end, tokens are revoked
    queue: asyncio.Queue[bytes | None] = field(default_factory=lambda: asyncio.Queue(QUEUE))


@dataclass(slots=True)
class _Site:
    """What the hub remembers of a site between ticks."""

    version: int = 0
    watched: dict[str, float] = field(default_factory=dict)  # device -> until (loop seconds)
    counts: Row = field(default_factory=dict)
    broker: bool = True
    quarantine: int = -1
    plant: dict[int, bool] = field(default_factory=dict)  # point -> lies outside units


def presenter(room: Room, site: SiteRuntime, language: str) -> Presenter:
    """Made anew for a request or tick: it holds the time."""
    return Presenter(
        site,
        room.words(site, language),
        room.devices(site),
        {rule.id: rule for rule in site.site.rules},
        room.clock.now(),
    )


def alarm_rows(tx: Tx, shown: Presenter, alarms: list[Alarm]) -> list[Row]:
    """Rows with their tickets looked up."""
    site = shown.site.site.id
    rows = []
    for alarm in alarms:
        ticket = tx.tickets.get(site, alarm.ticket) if alarm.ticket is not None else None
        rows.append(shown.alarm(alarm, ticket))
    return by_urgency(rows)


def ringing(alarms: Iterable[Alarm]) -> int:
    """The priority whose tone is due, 0 = none: unacknowledged, also a fire or entrapment that was over
    before anybody saw it. What does not latch is quiet once it has gone."""
    return min(
        (
            int(a.priority)
            for a in alarms
            if a.state == AlarmState.UNACKNOWLEDGED or (a.state == AlarmState.RETURNED and a.latched)
        ),
        default=0,
    )


def counts(tx: Tx, site: SiteRuntime) -> Row:
    """The figures in the navigation and on the tabs."""
    name = site.site.id
    alarms = tx.alarms.open_ones(name)
    tabs = dict.fromkeys(TABS.values(), 0)
    for alarm in alarms:
        if alarm.state in TABS:
            tabs[TABS[alarm.state]] += 1
    loud = [a for a in alarms if a.state == AlarmState.UNACKNOWLEDGED]
    return {
        "tabs": tabs,
        "unacknowledged": len(loud),
        "worst": min((int(a.priority) for a in loud), default=0),
        "tone": ringing(alarms),
        "tickets": sum(t.state in OPEN_TICKETS for t in tx.tickets.search(name, open_only=True, limit=2000)),
        "quarantine": site.journal.quarantine_size(),
    }


class Hub:
    """Gathers what changed and hands it out. One per application, on its event loop."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self._clients: set[Client] = set()
        self._sites: dict[str, _Site] = {name: _Site() for name in room.sites}
        self._seq = 0
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def start(self) -> None:
        self._closed = False
        self._seq = await self.room.in_thread(self._last_change)
        for name, site in self.room.sites.items():
            self._sites[name].version = site.live.version
        self._task = asyncio.create_task(self._run(), name="page stream")

    def _last_change(self) -> int:
        with self.room.records.read() as tx:
            return tx.last_change()

    async def stop(self) -> None:
        """Ends every stream, so that a server can stop at once."""
        self.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def close(self) -> None:
        """Ends every stream; may be called before the loop stops."""
        self._closed = True
        for client in list(self._clients):
            self._end(client)

    def _end(self, client: Client) -> None:
        while not client.queue.empty():
            client.queue.get_nowait()
        client.queue.put_nowait(None)

    def watch(self, site: str, device: str) -> None:
        """A page shows this device: its values go out for a minute, or until asked again."""
        self._sites[site].watched[device] = asyncio.get_running_loop().time() + WATCH / 1000

    async def _run(self) -> None:
        beat = 0.0
        while True:
            await asyncio.sleep(TICK_S)
            beat += TICK_S
            if self._clients:
                await self._tick(look=beat % LOOK_S < TICK_S)
            if beat >= BEAT_S:
                beat = 0.0
                await self._beat()

    async def _beat(self) -> None:
        """A heartbeat to every client that may still listen; the others are let go."""
        listening = list(self._clients)
        gone = await self.room.in_thread(lambda: [c for c in listening if not c.still()])
        for client in gone:
            self._end(client)
        bytes_of = {name: frame("beat", self._pulse(site)) for name, site in self.room.sites.items()}
        for client in self._clients.difference(gone):
            if client.queue.qsize() < QUEUE - 1:
                client.queue.put_nowait(bytes_of[client.site])

    def _pulse(self, site: SiteRuntime) -> Row:
        return {
            "t": self.room.clock.now(),
            "received_at": site.live.received_at,
            "broker": bool(site.broker_ok()),
            "progress": dict(site.progress),
        }

    async def _tick(self, look: bool = False) -> None:
        """What changed since the last tick. look: also whether the quarantine grew or shrank."""
        changes = await self.room.in_thread(self._changes)
        if changes:
            self._seq = changes[-1].seq
        for name, site in self.room.sites.items():
            languages = {c.language for c in self._clients if c.site == name}
            if languages:
                mine = [c for c in changes if c.site == name]
                if look:
                    mine += await self.room.in_thread(self._quarantined, site, self._sites[name])
                encoded = await self.room.in_thread(self._gather, site, self._sites[name], mine, languages)
                self._hand_out(name, encoded)

    def _changes(self) -> list[Change]:
        with self.room.records.read() as tx:
            return list(tx.changes(self._seq, CHANGES))

    def _quarantined(self, site: SiteRuntime, state: _Site) -> list[Change]:
        """A change of its own when the number of quarantined messages is another."""
        before, state.quarantine = state.quarantine, site.journal.quarantine_size()
        if before in (-1, state.quarantine):
            return []
        return [Change(self._seq, site.site.id, self.room.clock.now(), "quarantine", "")]

    def _gather(
        self, site: SiteRuntime, state: _Site, changes: list[Change], languages: set[str]
    ) -> Mapping[str, bytes]:
        """The tick's bytes per language; empty when nothing changed."""
        version, values = site.live.since(state.version)
        state.version = version
        values = self._wanted(site, state, values)
        broker = bool(site.broker_ok())
        if not values and not changes and broker == state.broker:
            return {}
        state.broker = broker
        alarms, gone = self._alarms(site, state, changes)
        kinds = sorted({change.kind for change in changes})
        encoded = {}
        for language in languages:
            shown = presenter(self.room, site, language)
            with self.room.records.read() as tx:
                rows = alarm_rows(tx, shown, alarms)
            body = self._pulse(site) | {
                "values": [self._value(shown, v) for v in values],
                "alarms": rows,
                "gone": gone,
                "changed": kinds,
                "counts": state.counts,
            }
            encoded[language] = frame("tick", body)
        return encoded

    def _wanted(self, site: SiteRuntime, state: _Site, values: list[LiveValue]) -> list[LiveValue]:
        """Plant points always, unit meters only while a page shows them."""
        return [
            v
            for v in values
            if self._is_plant(site, state, v.point) or self._is_watched(site, state, v.point)
        ]

    def _is_plant(self, site: SiteRuntime, state: _Site, point_id: int) -> bool:
        kept = state.plant.get(point_id)
        if kept is None:
            point = site.table.get(point_id)
            space = site.site.spaces.get(point.space) if point else None
            kept = state.plant[point_id] = point is not None and (space is None or space.kind != "unit")
        return kept

    def _is_watched(self, site: SiteRuntime, state: _Site, point_id: int) -> bool:
        point = site.table.get(point_id)
        return point is not None and point.device in state.watched

    def _value(self, shown: Presenter, live: LiveValue) -> Row:
        row = shown.value(shown.site.table[live.point], live)
        return {k: row[k] for k in ("point", "text", "at", "received_at", "interval", "quality")}

    def _alarms(
        self, site: SiteRuntime, state: _Site, changes: list[Change]
    ) -> tuple[list[Alarm], list[int]]:
        """Changed alarms that are open, and the ids of those that ended; counts are renewed."""
        if not changes:
            return [], []
        ids = {int(c.key) for c in changes if c.kind == "alarm" and c.key.isdigit()}
        with self.room.records.read() as tx:
            for change in changes:
                if change.kind == "ticket" and change.key.isdigit():
                    ticket = tx.tickets.get(site.site.id, int(change.key))
                    if ticket is not None and ticket.alarm is not None:
                        ids.add(ticket.alarm)
            found = [(i, tx.alarms.get(site.site.id, i)) for i in sorted(ids)]
            state.counts = counts(tx, site)
        alive = [a for _, a in found if a is not None and a.ended_at is None]
        return alive, [i for i, a in found if a is None or a.ended_at is not None]

    def _hand_out(self, name: str, encoded: Mapping[str, bytes]) -> None:
        if not encoded:
            return
        now = asyncio.get_running_loop().time()
        watched = self._sites[name].watched
        for device in [d for d, until in watched.items() if until < now]:
            del watched[device]
        for client in [c for c in self._clients if c.site == name]:
            if client.queue.qsize() >= QUEUE - 1:
                asyncio.create_task(self._catch_up(client))  # noqa: RUF006 - lives as long as the client
            else:
                client.queue.put_nowait(encoded[client.language])

    async def _catch_up(self, client: Client) -> None:
        """A client that fell behind: forget what it missed, tell it how things stand."""
        fresh = await self.room.in_thread(self.snapshot, client.site, client.language)
        while not client.queue.empty():
            client.queue.get_nowait()
        client.queue.put_nowait(fresh if not self._closed else None)

    def snapshot(self, name: str, language: str) -> bytes:
        """How things stand: what a page gets first."""
        site, state = self.room.sites[name], self._sites[name]
        shown = presenter(self.room, site, language)
        with self.room.records.read() as tx:
            alarms = sorted(tx.alarms.open_ones(name), key=lambda a: (a.priority, a.raised_at))[:ROWS]
            rows = alarm_rows(tx, shown, list(alarms))
            state.counts = counts(tx, site)
        _, values = site.live.snapshot()
        body = self._pulse(site) | {
            "values": [self._value(shown, v) for v in self._wanted(site, state, values)],
            "alarms": rows,
            "counts": state.counts,
        }
        return frame("snapshot", body)

    async def listen(
        self, site: str, language: str, still: Callable[[], bool] = lambda: True
    ) -> AsyncIterator[bytes]:
        """One client's bytes until it goes, may no longer listen, or the hub closes."""
        client = Client(site, language, still)
        client.queue.put_nowait(await self.room.in_thread(self.snapshot, site, language))
        if self._closed:
            return
        self._clients.add(client)
        try:
            while (chunk := await client.queue.get()) is not None:
                yield chunk
        finally:
            self._clients.discard(client)


@router.get("/sites/{site}/stream", name="stream")
async def stream(request: Request, site: str, lang: str = "") -> StreamingResponse:
    """The server-sent events of a site."""
    room: Room = request.app.state.room
    hub: Hub = request.app.state.hub
    language = room.words(room.sites[site], lang).language
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}

    def still() -> bool:
        visitor = visitor_of(request, room) or wall_visitor(room, request.query_params.get("token", ""))
        return visitor is not None and visitor.sees(site)

    return StreamingResponse(
        hub.listen(site, language, still), media_type="text/event-stream", headers=headers
    )


@router.post("/sites/{site}/watch/{device}", name="watch", status_code=204)
async def watch(request: Request, site: str, device: str) -> None:
    """A device page is open: send its values too."""
    hub: Hub = request.app.state.hub
    hub.watch(site, device)
