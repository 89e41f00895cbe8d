"""The ini option `beanstalkd_guard`, in test runs of their own."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from inproc_tubes.fakes import FakeBeanstalkd
from inproc_tubes.fakes.guarding import Guard
from inproc_tubes.fakes.registry import is_empty
from tests.fakes.shared import answers

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    """The address of a real server, to which nobody connects."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()
        listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.accept()


SUITE = """
    import asyncio, socket, pytest
    from inproc_tubes.fakes import FakeBeanstalkd

    ADDRESS = ("127.0.0.1", {port})
    REFUSED = r"127.0.0.1:{port} is guarded: beanstalkd_guard lets no test reach"

    with pytest.raises(ConnectionRefusedError, match=REFUSED):  # during collection, too
        socket.create_connection(ADDRESS)

    def test_without_a_fake():
        with pytest.raises(ConnectionRefusedError, match=REFUSED):
            socket.create_connection(ADDRESS)
        with socket.socket() as sock, pytest.raises(ConnectionRefusedError):
            sock.connect(("localhost", {port}))
        with pytest.raises(ConnectionRefusedError, match=REFUSED):
            asyncio.run(asyncio.open_connection(*ADDRESS))
        with socket.socket(socket.AF_UNIX) as sock:
            with pytest.raises(ConnectionRefusedError, match="/guarded is guarded"):
                sock.connect("/guarded")

    @pytest.mark.beanstalkd(address=ADDRESS)
    def test_with_one(fake_beanstalkd):
        socket.create_connection(ADDRESS).close()

    def test_without_one_again():
        test_without_a_fake()

    def test_elsewhere():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            socket.create_connection(listener.getsockname()).close()
"""


def test_nothing_but_a_fake_is_reached(
    address: tuple[str, int], pytester: pytest.Pytester
) -> None:
    port = address[1]
    pytester.makeini(f"[pytest]\nbeanstalkd_guard = localhost:{port} /guarded")
    pytester.makepyfile(SUITE.format(port=port))
    # pytest-asyncio, which is installed for tests/test_runners.py, warns of a missing option.
    pytester.runpytest("-Werror", "-p", "no:asyncio").assert_outcomes(passed=4)
    assert is_empty()


def test_without_the_option_nothing_is_imported(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import sys

        def test_nothing():
            assert "inproc_tubes.fakes" not in sys.modules
    """)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_an_option_that_makes_no_sense_is_an_error(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nbeanstalkd_guard = queue")
    result = pytester.runpytest("-p", "no:asyncio")
    result.stderr.fnmatch_lines(["*'queue' is neither host:port nor a path*"])
    assert is_empty()


def test_a_guard_takes_all_of_its_addresses_or_none() -> None:
    message = r"^an address is \(host, port\) or a path, not 7$"
    with pytest.raises(TypeError, match=message):
        Guard([("queue.invalid", 7), 7], "for a test")
    assert is_empty()


def test_a_guard_is_lifted_from_its_own_addresses() -> None:
    here, there = ("queue.invalid", 7), ("queue.invalid", 8)
    first, second = Guard([here], "the first"), Guard([there], "the second")
    first.lift()
    with pytest.raises(socket.gaierror):
        socket.create_connection(here)
    with pytest.raises(ConnectionRefusedError, match=r"guarded: the second$"):
        socket.create_connection(there)
    with FakeBeanstalkd(there), socket.create_connection(there) as sock:
        assert answers(sock)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(there)
    second.lift()
    assert is_empty()
