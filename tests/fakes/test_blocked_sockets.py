"""A fake in a test-suite that lets nobody have a socket (pytest-socket)."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
import pytest_socket

from inproc_tubes.fakes import FakeBeanstalkd, routing
from inproc_tubes.fakes.sockets import socket_classes
from tests.fakes.shared import HOME, UNIX, answers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ELSEWHERE = ("127.0.0.1", 1)

pytestmark = pytest.mark.filterwarnings("ignore:A test tried to use:UserWarning")


@pytest.fixture
def blocked() -> Iterator[None]:
    pytest_socket.disable_socket(allow_unix_socket=True)
    try:
        yield
    finally:
        pytest_socket._remove_restrictions()
    assert socket.socket is socket_classes()[0]
    assert socket.getaddrinfo.__module__ == "socket"


def is_reached() -> bool:
    with socket.create_connection(HOME) as sock:
        return answers(sock)


@pytest.mark.usefixtures("blocked")
def test_a_fake_is_reached_and_nothing_else() -> None:
    blocked = socket.socket
    with FakeBeanstalkd():
        assert is_reached()
        with socket.socket() as sock:
            assert sock.connect_ex(HOME) == 0
            assert answers(sock)
            assert sock.sendmsg([b"list-tubes\r\n"])
        with pytest.raises(pytest_socket.SocketBlockedError):
            socket.create_connection(ELSEWHERE)
    assert socket.socket is blocked
    with pytest.raises(pytest_socket.SocketBlockedError):
        is_reached()


@pytest.mark.usefixtures("blocked")
def test_every_other_use_of_a_socket_is_refused_as_ever(fake: FakeBeanstalkd) -> None:
    uses: list[Callable[[socket.socket], object]] = [
        lambda sock: sock.connect(ELSEWHERE),
        lambda sock: sock.connect_ex(ELSEWHERE),
        lambda sock: sock.bind(("127.0.0.1", 0)),
        lambda sock: sock.sendto(b"x", ELSEWHERE),
        lambda sock: sock.sendmsg([b"x"]),
    ]
    for use in uses:
        with socket.socket() as sock:
            with pytest.raises(pytest_socket.SocketBlockedError):
                use(sock)
            assert sock.fileno() == -1
    with pytest.raises(pytest_socket.SocketBlockedError):
        socket.socket(fileno=0)
    assert fake.connections == 0


@pytest.mark.skipif(not UNIX, reason="no Unix sockets here")
@pytest.mark.usefixtures("blocked")
def test_what_is_allowed_is_allowed(fake: FakeBeanstalkd) -> None:
    with socket.socket(socket.AF_UNIX) as sock, pytest.raises(FileNotFoundError):
        sock.connect("/nowhere/at/all")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("")
        with pytest.raises(FileNotFoundError):
            sock.sendto(b"x", "/nowhere/at/all")
    a, b = socket.socketpair()
    with a, b:
        a.send(b"x")
        assert b.recv(1) == b"x"
    assert fake.connections == 0


def test_sockets_may_be_blocked_while_a_fake_is_active(fake: FakeBeanstalkd) -> None:
    for _ in range(2):
        pytest_socket.disable_socket()
        routing.rearm()  # as the plugin does before each test
        assert is_reached()
        pytest_socket._remove_restrictions()
        routing.rearm()
        assert is_reached()
        assert socket.getaddrinfo.__module__ == "socket"
    assert fake.connections == 0


def test_what_is_no_longer_blocked_is_not_blocked_again() -> None:
    pytest_socket.disable_socket()
    with FakeBeanstalkd():
        pytest_socket._remove_restrictions()
    assert socket.socket is socket_classes()[0]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(ELSEWHERE)


def test_only_the_sockets_may_be_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As pytest-socket before 0.8 does."""
    pytest_socket.disable_socket()
    monkeypatch.setattr(socket, "getaddrinfo", pytest_socket._true_getaddrinfo)
    with FakeBeanstalkd():
        assert is_reached()
    pytest_socket._remove_restrictions()


SUITE = """
    import socket, pytest
    from inproc_tubes.fakes import FakeBeanstalkd

    @pytest.fixture(scope="session")
    def fake():
        with FakeBeanstalkd() as fake:
            yield fake

    @pytest.fixture
    def client(fake):
        with socket.create_connection(fake.address) as sock:
            yield sock

    @pytest.mark.parametrize("number", range(3))
    def test_blocked(number, client, fake):
        client.sendall(b"list-tube-used\\r\\n")
        assert client.recv(100) == b"USING default\\r\\n"
        socket.create_connection(fake.address).close()
        with pytest.raises(RuntimeError), pytest.warns(UserWarning):
            socket.create_connection(("127.0.0.1", 1))

    @pytest.mark.enable_socket
    def test_enabled(client):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", 1))

    @pytest.mark.allow_hosts(["127.0.0.9"])
    def test_one_host(client):
        with pytest.raises(RuntimeError), pytest.warns(UserWarning):
            socket.create_connection(("127.0.0.1", 1))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.9", 1))

    test_blocked_again = test_blocked
"""


def test_a_suite_with_disable_socket_reaches_a_fake_of_the_session(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(SUITE)
    result = pytester.runpytest_subprocess(
        "--disable-socket", "-Werror", "-p", "no:asyncio"
    )
    result.assert_outcomes(passed=8)
