"""One payload: made from a seed, sent through its codec, through the profiles of its topic, and looked at."""

from __future__ import annotations

import contextlib
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final, TypeVar

from tests.fuzz.corpus import Corpus, Placed, Variant, corpus
from tests.fuzz.made import MADE, REPAIRED, STARTS
from tests.fuzz.made_fields import NOW
from tests.fuzz.mutate import large, large_json, mutated, mutated_json
from tests.fuzz.oracles import ORACLES, Noted, Seen, brief_fault
from tests.fuzz.sound import MAX_REASON, document_fault, is_json, outcome_fault

from dutyroom.errors import Rejected
from dutyroom.model.telemetry import Message
from dutyroom.profiles.attempt import NOBODY
from dutyroom.profiles.binary.cursor import Skipped
from dutyroom.profiles.codecs import CODECS
from dutyroom.profiles.codecs.seam import Ask
from dutyroom.profiles.decode import Decoded, Library
from dutyroom.profiles.job import Anybody

T = TypeVar("T")
CODEC_LIMIT, DECODE_LIMIT, TRIAL_LIMIT = 0.25, 0.25, 1.0  # processor seconds
LARGE: Final = 0.015  # share of payloads of 256 bytes to 256 KiB
THROUGH_LIBRARY, IN_TRIAL, BY_STRANGERS, WEIGHED = 0.25, 0.01, 0.02, 0.1  # shares; WEIGHED: of the large ones
MAX_MEMORY = 64 * 1024 * 1024  # bytes that a codec may hold at a time for one payload
_TOPICS: Final = tuple(f"spBv1.0/plant/{kind}" for kind in ("NBIRTH/n1", "DBIRTH/n1/d1", "DDATA/n1/d1", "NDATA/n1", "NDEATH/n1", "DDEATH/n1/d1"))  # fmt: skip
_BIRTH: Final = (
    b"["
    + b",".join(b'[%d,"m/%d",%d,"kWh"]' % (n, n, kind) for n, kind in enumerate((3, 10, 11, 9, 4, 12)))
    + b"]"
)


class Hang(BaseException):
    """Raised from outside into a payload that takes for ever; no handler of the product may catch it."""


@dataclass(slots=True)
class Trying:
    """What one payload did. times: processor seconds of (codec, decode, trial), 0 = not tried."""

    family: str
    size: int = 0
    accepted: bool = False
    decoded: int = 0  # through the profiles: 0 not tried, 1 refused or ignored, 2 readings or events
    times: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    memory: int = 0  # bytes at most, where it was measured
    faults: list[str] = field(default_factory=list)
    payload: bytes = b""


class Fuzzer:
    """Seeded: payload `number` of `seed` is always the same. part: examples of every `part`th profile only.
    patience: how many times the limits of time."""

    def __init__(self, library: Library, seed: int, part: int = 1, patience: float = 1) -> None:
        self.corpus: Corpus = corpus(library, part)
        self.library, self.seed, self._patience = library, seed, patience
        weights = {"binary": 3, "json": 2, "harsh": 2}
        self._turns = [f for f in self.corpus.families for _ in range(weights.get(f, 1))]

    def made(self, number: int) -> tuple[Random, Trying, Placed | None]:
        """(what decides the rest, the payload, the example that it goes into)."""
        rng = Random(self.seed << 40 | number)
        trying = Trying(self._turns[number % len(self._turns)])
        trying.payload, example = self._payload(rng, trying.family)
        trying.size = len(trying.payload)
        return rng, trying, example

    def run(self, number: int) -> Trying:
        """Raises nothing that a payload can cause: it is among the faults."""
        rng, trying, example = self.made(number)
        try:
            self._through(rng, trying, example)
        except Hang as err:
            trying.faults.append(f"hangs {_named(err)}")
        return trying

    def _through(self, rng: Random, trying: Trying, example: Placed | None) -> None:
        family = trying.family
        if family in self.corpus.codecs:
            self._codec(rng, trying, rng.choice(self.corpus.codecs[family]), example)
        elif example is not None and example.codec is not None:
            self._codec(rng, trying, Variant({}, example.codec), example)
        if example is not None and (family not in self.corpus.codecs or rng.random() < THROUGH_LIBRARY):
            self._profiles(rng, trying, example)

    # ------------------------------------------------------------ making

    def _payload(self, rng: Random, family: str) -> tuple[bytes, Placed | None]:
        examples = self.corpus.examples.get(family, [])
        example = rng.choice(examples) if examples else None
        make, parts = MADE.get(family), self.corpus.parts(family)
        seed = make(rng) if make is not None and (example is None or rng.random() < 0.6) else b""
        if not seed:
            seed = example.inner if example is not None else rng.randbytes(20)
        json = seed[:1] in (b"{", b"[")
        if rng.random() < LARGE:
            if json:
                return large_json(rng, seed), example
            found = large(rng, seed, parts, STARTS.get(family, (seed[:4] or b"\0",)))
        else:
            found = mutated_json(rng, seed, parts) if json else mutated(rng, seed, parts)
        if family in REPAIRED and not json and found[:1] not in (b"{", b"[") and rng.random() < 0.5:
            found = REPAIRED[family](found)[: 256 * 1024]
        if family in ("wmbus", "modbus") and rng.random() < 0.1:
            found = found.hex().encode()[: 256 * 1024]
        return found, example

    # ------------------------------------------------------------ codec

    def _codec(self, rng: Random, trying: Trying, variant: Variant, example: Placed | None) -> None:
        notes: list[Noted] = []
        noted = trying.family in ORACLES or rng.random() < 0.3
        topic = rng.choice(_TOPICS) if trying.family == "sparkplug" else example.topic if example else "t/1"
        port = rng.choice((example.port if example else None, None, rng.randrange(256), 0x18FEF100))
        memory = (
            {"sparkplug/plant/n1": b'[3,1,0,["d1"]]', "sparkplug/plant/n1/d1": _BIRTH}
            if rng.random() < 0.7
            else {}
        )
        parameters = dict(example.parameters) if example is not None else {}

        def once() -> object:
            notes.clear()
            note = (lambda *told: notes.append(Noted(*told))) if noted else None
            return variant.codec(trying.payload, Ask(port, parameters, NOW, topic, note, memory=dict(memory)))

        if trying.size > 4000 and rng.random() < WEIGHED:
            _weigh(trying, once)
        try:
            document = _timed(trying, 0, CODEC_LIMIT * self._patience, once)
        except (Rejected, Skipped) as err:
            if len(err.reason) > MAX_REASON or not err.reason:
                trying.faults.append(f"a reason of {len(err.reason)} characters: {err.reason[:100]!r}")
            return
        except Exception as err:
            trying.faults.append(f"codec raised {_named(err)}")
            return
        trying.accepted = True
        json = trying.family in ("modbus", "j1939") and is_json(trying.payload)
        fault = document_fault(document, trying.size, json)
        if not fault and trying.family in ORACLES:
            fault = ORACLES[trying.family](
                Seen(trying.payload, document, notes, variant.settings, variant.codec)
            )
        kind = CODECS.get(trying.family)
        if not fault and kind is not None and kind.brief is not None:
            ask = Ask(port, parameters, NOW, topic, None, memory=dict(memory))
            fault = brief_fault(kind.brief, trying.payload, ask, document)
        if fault:
            trying.faults.append(fault)
        trying.faults += [f"note {n}" for n in notes if not _note_right(n, trying)][:1]

    # ------------------------------------------------------------ profiles

    def _profiles(self, rng: Random, trying: Trying, example: Placed) -> None:
        payload = example.around(trying.payload) if example.family != "json" else trying.payload
        message = Message(example.topic, payload, example.received_at)
        stranger = rng.random() < BY_STRANGERS
        known = NOBODY if stranger else Anybody(example.profile, example.parameters)
        try:
            outcome = _timed(
                trying,
                1,
                DECODE_LIMIT * self._patience,
                lambda: self.library.decode(message, known, adopt=stranger),
            )
        except Exception as err:
            trying.faults.append(f"{example.profile}: decode raised {_named(err)}")
            return
        trying.decoded = 2 if isinstance(outcome, Decoded) and (outcome.readings or outcome.events) else 1
        fault = outcome_fault(outcome)
        if fault:
            trying.faults.append(f"{example.profile}: {fault}")
        if rng.random() < IN_TRIAL:
            try:
                trials = _timed(trying, 2, TRIAL_LIMIT * self._patience, lambda: self.library.trial(message))
            except Exception as err:
                trying.faults.append(f"{example.topic}: trial raised {_named(err)}")
                return
            trying.faults += [f"{t.profile}: {f}" for t in trials if (f := outcome_fault(t.outcome))]


def _timed(trying: Trying, place: int, limit: float, what: Callable[[], T]) -> T:
    """What is too slow is done twice more: the quickest counts, since other programs disturb a measurement."""
    found, spent = _once(what)
    for _ in range(2):
        if spent <= limit:
            break
        found, again = _once(what)
        spent = min(spent, again)
    trying.times[place] = spent
    if spent > limit:
        name = ("codec", "decode", "trial")[place]
        trying.faults.append(
            f"{name}: {spent * 1000:.0f} ms for {trying.size} bytes, at most {limit * 1000:.0f}"
        )
    return found


def _weigh(trying: Trying, what: Callable[[], object]) -> None:
    tracemalloc.start()
    with contextlib.suppress(Exception):  # told when it is done again
        what()
    trying.memory = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    if trying.memory > MAX_MEMORY:
        trying.faults.append(f"memory: {trying.memory >> 20} MB for {trying.size} bytes")


def _once(what: Callable[[], T]) -> tuple[T, float]:
    start = time.process_time()
    return what(), time.process_time() - start


def _named(err: BaseException) -> str:
    """Type, text and the innermost place of the product."""
    place, trace = "", err.__traceback__
    while trace is not None:
        place = f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(err).__name__} at {place}: {str(err)[:120]}"


def _note_right(note: Noted, trying: Trying) -> bool:
    """Bits in order, and inside the payload (whose text may be taken apart to fewer bytes)."""
    return (
        type(note.first) is int and type(note.last) is int and 0 <= note.first <= note.last <= trying.size * 8
    )
