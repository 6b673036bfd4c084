"""Which port an instance gets, and the sentence when it gets none."""

from __future__ import annotations

import socket

import pytest

from dutyroom.backends.broker import free_port
from dutyroom.errors import Unavailable


def test_the_next_one_when_the_wanted_one_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        wanted = int(taken.getsockname()[1])
        if wanted < 65535:
            assert wanted < free_port("127.0.0.1", wanted) < wanted + 50
    assert free_port("127.0.0.1", wanted) == wanted


def test_there_is_none_behind_the_last() -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", 65535))
        taken.listen()
        with pytest.raises(Unavailable, match="no free port from 65535 to 65535 on "):
            free_port("127.0.0.1", 65535)


def test_an_address_of_no_machine_is_said_at_once() -> None:
    with pytest.raises(Unavailable, match=r"cannot listen on 192\.0\.2\.1: "):
        free_port("192.0.2.1", 8080)


def test_the_newer_address_form() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    assert free_port("::1") > 0
