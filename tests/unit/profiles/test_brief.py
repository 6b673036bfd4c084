"""A codec's short form says whose a message is: the same as its document, and nothing that the codec refuses."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.shipped_profiles import shipped_library

from dutyroom.errors import Rejected
from dutyroom.model.telemetry import Message, Scalar
from dutyroom.profiles.codecs import CODECS
from dutyroom.profiles.codecs.seam import Ask
from dutyroom.profiles.decode import Decoded, Library
from dutyroom.profiles.groups import NO_HEX, NO_OBJECT
from dutyroom.profiles.job import Known
from dutyroom.profiles.profile import Stage
from dutyroom.profiles.unwrap import Unreadable, unwrapper
from dutyroom.timebase import from_iso

SHORT = sorted(name for name, kind in CODECS.items() if kind.brief is not None)
AT = from_iso("2026-11-01T00:00:10Z")
WATER = "68 10 44 33 22 11 00 33 78 81 16 90 1F 00 77 66 55 00 2C 77 66 55 00 2C 31 01 22 11 05 15 20 21 84"


@pytest.fixture(scope="module")
def library() -> Library:
    return shipped_library()


def payloads(library: Library, codec: str) -> Iterator[bytes]:
    """What the examples of profiles that are named after the codec hold as hex text."""
    for profile in library.profiles.values():
        for example in profile.examples if profile.id.startswith(f"{codec}/") else ():
            try:
                yield bytes.fromhex(example.payload.decode("ascii"))
            except ValueError:
                continue


def told(codec: str, payload: bytes) -> object:
    """Ids or addresses of the short form; None where it is refused."""
    brief = CODECS[codec].brief
    assert brief is not None
    try:
        return _named(brief(payload, Ask()))
    except Rejected:
        return None


def _named(document: object) -> list[object]:
    assert isinstance(document, dict)
    frames = document.get("frames")
    return [frame["address"] for frame in frames] if isinstance(frames, list) else [document.get("id")]


@pytest.mark.parametrize("codec", SHORT)
def test_it_names_the_devices_that_the_codec_names(codec: str, library: Library) -> None:
    decode, seen = CODECS[codec].make({}), 0
    for payload in payloads(library, codec):
        try:
            named = _named(decode(payload, Ask(memory={})))
        except Rejected:
            continue  # of another setting, or damaged
        seen += 1
        assert told(codec, payload) == named
    assert seen > 3


@pytest.mark.parametrize("codec", SHORT)
@given(payload=st.binary(max_size=80))
def test_any_bytes_are_named_or_refused(codec: str, payload: bytes) -> None:
    named = told(codec, payload)
    assert named is None or isinstance(named, list)


@pytest.mark.parametrize("codec", SHORT)
def test_what_the_short_form_has_found_the_codec_need_not_look_for(codec: str, library: Library) -> None:
    decode, brief = CODECS[codec].make({}), CODECS[codec].brief
    assert brief is not None
    for payload in payloads(library, codec):
        kept: dict[object, object] = {}
        try:
            brief(payload, Ask(kept=kept))
            found = decode(payload, Ask(memory={}, kept=kept))
        except Rejected:
            continue
        assert kept
        assert found == decode(payload, Ask(memory={}))


FOREIGN = sorted(name for name, kind in CODECS.items() if kind.foreign is not None)
LINES = st.lists(st.sampled_from([0x68, 0x16, 0xFE, 0x10, 0x81, 0x91, 0, 1, 2, 0xAA]), max_size=40).map(bytes)


@pytest.mark.parametrize("codec", FOREIGN)
@given(payload=st.one_of(LINES, st.binary(max_size=80)))
def test_what_a_look_calls_foreign_is_refused(codec: str, payload: bytes) -> None:
    foreign = CODECS[codec].foreign
    assert foreign is not None
    if foreign(payload):
        assert told(codec, payload) is None
        with pytest.raises(Rejected):
            CODECS[codec].make({})(payload, Ask())


@pytest.mark.parametrize("codec", FOREIGN)
def test_a_look_knows_its_own_frames(codec: str, library: Library) -> None:
    foreign = CODECS[codec].foreign
    assert foreign is not None
    assert not any(foreign(p) for p in payloads(library, codec) if told(codec, p) is not None)


@given(rest=st.text("0123456789abcdef \t{}x", max_size=6))
def test_a_first_byte_says_what_a_text_cannot_be(rest: str) -> None:
    for first in range(256):
        payload = bytes([first]) + rest.encode()
        if NO_HEX[first]:
            assert isinstance(unwrapper([Stage("hex")])(payload, {}), Unreadable)
        if NO_OBJECT[first]:
            assert not isinstance(unwrapper([Stage("json")])(payload, {}), dict)


class Meters(Known):
    """profile -> address of its one meter."""

    def __init__(self, **addresses: str) -> None:
        self._addresses = {name.replace("__", "/"): address for name, address in addresses.items()}
        self.asked: list[str] = []

    def parameters(self, profile: str, address: str) -> dict[str, Scalar] | None:
        self.asked.append(profile)
        return {} if self._addresses.get(profile) == address else None

    def profiles(self, address: str) -> list[str]:
        return [p for p, a in self._addresses.items() if a == address]


def framed(text: str) -> bytes:
    body = bytes.fromhex(text)
    return body + bytes([sum(body) & 0xFF, 0x16])


def test_of_many_profiles_of_a_topic_only_the_registered_one_reads_the_message(library: Library) -> None:
    known = Meters(cjt188__water="78330011223344", dlt645__single_phase="1")
    outcome = library.decode(Message("dtu/dtu-1/up", framed(WATER), AT), known)
    assert isinstance(outcome, Decoded)
    assert outcome.addresses == ("78330011223344",)
    assert set(known.asked) == {"cjt188/water"}


def test_two_meters_in_one_payload_are_read_by_their_own_profiles(library: Library) -> None:
    other = framed(WATER.replace("44 33 22 11", "45 33 22 11"))
    known = Meters(**{"cjt188/water": "78330011223344", "cjt188/water-mirrored-status": "78330011223345"})
    outcome = library.decode(Message("dtu/dtu-1/up", framed(WATER) + other, AT), known)
    assert isinstance(outcome, Decoded)
    assert sorted(outcome.addresses) == ["78330011223344", "78330011223345"]
    assert outcome.owner("78330011223345") == "cjt188/water-mirrored-status"
    assert outcome.unknown == ()
