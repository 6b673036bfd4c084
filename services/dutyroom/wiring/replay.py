"""`dutyroom replay`: recorded messages through a real broker into an isolated site, and a table.

The site lives in a temporary folder, adopts unknown devices and has no rules; the broker is the
one named, or an embedded one.
"""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from dutyroom.backends.broker import EmbeddedBroker
from dutyroom.backends.clock import SystemClock
from dutyroom.backends.journal import SqliteJournal
from dutyroom.backends.mqtt import MqttPublisher, MqttSession
from dutyroom.backends.records_sql import open_records
from dutyroom.errors import Invalid, Mistake, Rejected, Unavailable
from dutyroom.flows.ingest import Ingest
from dutyroom.flows.live import Live
from dutyroom.flows.loops import IngestWork
from dutyroom.flows.registry import Registry
from dutyroom.flows.replay import Problem, Record, Row, compare, given, message_of, row_of, table
from dutyroom.model.telemetry import Batch, Lane, Outcome, PointTable
from dutyroom.profiles.decode import load_library
from dutyroom.site import BrokerAddress
from dutyroom.timebase import zone
from dutyroom.wiring.shipped import shipped

SITE = "replay"
_ZONE = "Asia/Shanghai"
_QUIET_S = 10  # the broker has delivered everything, or will not


def run_replay(
    file: Path, broker: str, report: Path | None, families: Sequence[str], say: Callable[[str], None]
) -> None:
    """Publishes, compares, prints the table and writes the report. Raises Invalid, Unavailable."""
    records = read_records(file)
    if families:
        records = [r for r in records if r.get("family") in families]
    if not records:
        raise Rejected(f"{file}: no record" + (f" of {', '.join(families)}" if families else ""))
    with tempfile.TemporaryDirectory(prefix="dutyroom-replay-") as folder, ExitStack() as stack:
        host, port = _address(broker, Path(folder), stack)
        rows = replay_through(records, host, port, Path(folder))
    for line in table_lines(rows):
        say(line)
    if report is not None:
        text = json.dumps([row.as_json() for row in rows], ensure_ascii=False, indent=1)
        try:
            report.write_text(text + "\n", encoding="utf-8")
        except OSError as err:
            raise Rejected(f"{report}: the report cannot be written: {err.strerror}") from err


def read_records(file: Path) -> list[Record]:
    """One JSON object a line. Raises Invalid naming the line."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as err:
        raise Rejected(f"{file}: {err.strerror}") from err
    except UnicodeDecodeError as err:
        raise Rejected(f"{file}: not UTF-8 at byte {err.start}") from err
    records: list[Record] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as err:
            raise Invalid([Mistake(str(file), number, "", f"not JSON: {err}")]) from err
        if not isinstance(record, dict) or "payload" not in record:
            raise Invalid([Mistake(str(file), number, "payload", "missing")])
        records.append(record)
    return records


def _address(broker: str, folder: Path, stack: ExitStack) -> tuple[str, int]:
    if not broker:
        embedded = stack.enter_context(EmbeddedBroker(folder))
        return embedded.host, embedded.port
    host, _, port = broker.rpartition(":")
    if not host or not port.isdigit():
        raise Rejected(f"--broker {broker!r}: write host:port")
    return host, int(port)


@dataclass(slots=True)
class _Site:
    """The isolated site while messages come."""

    journal: SqliteJournal
    points: PointTable
    session: MqttSession
    work: IngestWork
    ingest: Ingest


@contextmanager
def _isolated(folder: Path, host: str, port: int) -> Iterator[_Site]:
    records = open_records(f"sqlite:///{folder}/records.sqlite")
    journal = SqliteJournal(folder / "journal.sqlite")
    points = PointTable()
    library = load_library(shipped("device_profiles"), zone(_ZONE))
    ingest = Ingest(SITE, library, Registry([]), points, journal, records, Live(), adopt=True)
    session = MqttSession(BrokerAddress(host, port), "dutyroom-replay", SystemClock())
    session.start()
    try:
        # A batch a message: its attributes are then surely its own.
        yield _Site(journal, points, session, IngestWork(session, ingest, lambda: None, limit=1), ingest)
    finally:
        session.stop()
        journal.close()
        records.close()


def replay_through(records: Sequence[Record], host: str, port: int, folder: Path) -> list[Row]:
    """Publishes every record on its topic and compares what the journal then holds."""
    messages = [message_of(record, 0) for record in records]
    with _isolated(folder, host, port) as site:
        publisher = MqttPublisher(host, port)
        try:
            _wait_connected(site)
            for message in messages:
                publisher.publish(message.topic, message.payload)
            found = _collect(site, {(m.topic, m.payload) for m in messages}, len(messages))
        finally:
            publisher.close()
        rows = []
        for record, message in zip(records, messages, strict=True):
            waiting = found[message.topic, message.payload]
            rows.append(
                _row(record, waiting.popleft(), site.points)
                if waiting
                else row_of(record, "lost", Problem("lost"))
            )
    return rows


def _wait_connected(site: _Site) -> None:
    for _ in range(40):
        if site.session.connected:
            # The subscription is acknowledged with the next packets; an empty turn lets it settle.
            site.work()
            return
        site.work()
    raise Unavailable("the broker did not let the replay in: " + (site.session.refused or "no answer"))


_Found = tuple[Batch, int]  # a batch, and which of its messages


def _collect(
    site: _Site, wanted: set[tuple[str, bytes]], count: int
) -> Mapping[tuple[str, bytes], deque[_Found]]:
    """What the journal holds of the wanted messages, once all have come or nothing comes any more."""
    found: dict[tuple[str, bytes], deque[_Found]] = defaultdict(deque)
    after = dict.fromkeys(Lane, 0)
    seen = quiet = 0
    while seen < count and quiet < _QUIET_S * 4:
        site.work()
        quiet += 1
        for lane in Lane:
            for seq, batch in site.journal.read(lane, after[lane], 1000):
                after[lane], quiet = seq, 0
                for index, record in enumerate(batch.messages):
                    key = (record.message.topic, record.message.payload)
                    if key in wanted:
                        found[key].append((batch, index))
                        seen += 1
    return found


def _row(record: Record, found: _Found, points: PointTable) -> Row:
    """The report's row of one message as the journal holds it."""
    batch, index = found
    kept = batch.messages[index]
    if kept.outcome is Outcome.QUARANTINED:
        return row_of(record, kept.reason, Problem(f"{kept.reason}: {kept.detail}"))
    if kept.outcome is Outcome.IGNORED:
        return row_of(record, "ignored", Problem(f"ignored: {kept.reason}"))
    r = batch.readings
    mine = [i for i, m in enumerate(r.message.tolist()) if m == index]
    devices = {points[int(r.point[i])].device for i in mine} | {kept.device}
    values = [given(points[int(r.point[i])].spec, float(r.value[i]), r.text.get(i)) for i in mine]
    events = [event for event in batch.events if event.message == index]
    devices |= {points[event.point].device for event in events}
    devices |= {a.device for a in batch.attributes}
    attributes = [(a.name, a.value) for a in batch.attributes]
    times = {int(r.at[i]) for i in mine} | {event.at for event in events}
    identities = [device.partition(":")[2] for device in devices]
    problem = compare(record, values, events, attributes, identities, times, zone(_ZONE))
    return row_of(record, "decoded", problem)


def table_lines(rows: Sequence[Row]) -> list[str]:
    """The table by family as Markdown, which also reads well on a terminal."""
    head = ("family", "sent", "read", "all values equal", "values equal / stated", "not read, why")
    body = [
        (
            f.family,
            str(f.sent),
            str(f.read),
            f"{f.ok} ({f.ok / f.sent:.1%})",
            f"{f.equal} / {f.stated}",
            ", ".join(f"{reason} {n}" for reason, n in sorted(f.reasons.items())) or "-",
        )
        for f in table(rows)
    ]
    ok = sum(r.ok for r in rows)
    body.append(
        (
            "all",
            str(len(rows)),
            str(sum(r.outcome == "decoded" for r in rows)),
            f"{ok} ({ok / len(rows):.1%})",
            f"{sum(r.equal for r in rows)} / {sum(r.stated for r in rows)}",
            "",
        )
    )
    widths = [max(len(line[i]) for line in (head, *body)) for i in range(len(head))]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |"
        for line in (head, *body)
    ]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return lines
