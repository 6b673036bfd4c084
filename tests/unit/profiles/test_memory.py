"""What codecs remember, and when it must be stored."""

from dutyroom.profiles.memory import Memory


def test_what_is_kept_comes_back_and_a_change_is_noticed() -> None:
    memory = Memory()
    memory.of("sparkplug")["sparkplug/g/n/"] = b"birth"
    assert memory.changed
    again = Memory(memory.packed())
    assert not again.changed
    kept = again.of("sparkplug")
    assert kept["sparkplug/g/n/"] == b"birth"
    kept["sparkplug/g/n/"] = b"birth"  # the same birth again
    assert not again.changed
    kept.pop("nothing", b"")
    assert not again.changed
    kept.pop("sparkplug/g/n/")
    assert again.changed


def test_what_changes_with_every_message_is_no_reason_to_store() -> None:
    memory = Memory()
    memory.of("sparkplug")[".sparkplug/g/n"] = b"1"
    assert not memory.changed
    assert Memory(memory.packed()).of("sparkplug")[".sparkplug/g/n"] == b"1"


def test_a_trial_reads_and_forgets() -> None:
    memory = Memory()
    memory.of("sparkplug")["a"] = b"1"
    memory.changed = False
    aside = memory.aside()
    kept = aside.of("sparkplug")
    assert kept["a"] == b"1"
    kept["b"] = b"2"
    kept["a"] = b"3"
    assert dict(memory.of("sparkplug")) == {"a": b"1"}
    assert not memory.changed


def test_what_cannot_be_read_is_forgotten() -> None:
    assert dict(Memory(b"\xff nonsense").of("sparkplug")) == {}
