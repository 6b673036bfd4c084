"""Which port an instance gets, and the sentence when it gets none."""

from __future__ import annotations

import socket

import pytest

from dutyroom.backends.broker import free_port, listen
from dutyroom.errors import Unavailable


def test_the_next_one_when_the_wanted_one_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        wanted = int(taken.getsockname()[1])
        if wanted < 65535:
            with listen("127.0.0.1", wanted) as other:
                assert wanted < other.getsockname()[1] < wanted + 50
    with listen("127.0.0.1", wanted) as held:
        assert held.getsockname()[1] == wanted


def test_a_port_is_held_from_the_moment_it_is_chosen() -> None:
    """A service needs seconds until it serves: who asked for any port meanwhile was given the same one."""
    with listen() as first:
        port = first.getsockname()[1]
        with socket.socket() as second:
            second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError, match="in use"):
                second.bind(("127.0.0.1", port))
        with socket.create_connection(("127.0.0.1", port), 2):  # waits to be served, is not refused
            pass


def test_a_child_gets_one_that_it_can_bind() -> None:
    port = free_port()
    with listen("127.0.0.1", port) as held:
        assert held.getsockname()[1] == port


def test_there_is_none_behind_the_last() -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", 65535))
        taken.listen()
        with pytest.raises(Unavailable, match="no free port from 65535 to 65535 on "):
            listen("127.0.0.1", 65535)


def test_an_address_of_no_machine_is_said_at_once() -> None:
    with pytest.raises(Unavailable, match=r"cannot listen on 192\.0\.2\.1: "):
        listen("192.0.2.1", 8080)


def test_the_newer_address_form() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with listen("::1") as held:
        assert held.getsockname()[1] > 0
